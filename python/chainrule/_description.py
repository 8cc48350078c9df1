"""What a network is: its sizes, names and counters, and how it shows itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from chainrule import _arrays, _backend, _validate
from chainrule._guard import Guard
from chainrule.optimizers import SGD
from chainrule.training import Counters

if TYPE_CHECKING:
    from chainrule._backend import Engine
    from chainrule._validate import Activation, Backend, Loss

ATTRIBUTES = frozenset(
    [
        "_engine",
        "_sizes",
        "_activations",
        "_loss",
        "_dtype",
        "_initializations",
        "_seed",
        "_optimizer",
        "_counters",
        "_guard",
    ]
)


def _not_initialised(owner: type) -> TypeError:
    return TypeError(
        f"this {owner.__name__} was not initialised: Network.__init__ failed, or a subclass "
        "did not call super().__init__(...)"
    )


class _Unset:
    """Stands where an attribute is missing. Not `__getattr__`, which makes every look-up slower."""

    def __get__(self, network: object, owner: type) -> Any:
        if network is None:
            return self
        raise _not_initialised(owner)


class _Unmade:
    """Stands in an attribute that is looked up so often that the class must not have it."""

    def __init__(self, owner: type) -> None:
        self._owner = owner

    def __getattr__(self, name: str) -> Any:
        raise _not_initialised(vars(self).get("_owner", Description))


# What a prediction of a microsecond looks up: quick only where the class has nothing of the name.
_QUICK = frozenset(["_engine", "_guard"])


class Description:
    """The read-only part of `Network`, and the state that all its methods share."""

    _engine: _backend.Engine
    _guard: Guard

    def __new__(cls, *_args: object, **_settings: object) -> Self:
        """Make a network of which any use says that it was not initialised."""
        network = super().__new__(cls)
        for name in _QUICK:
            setattr(network, name, _Unmade(cls))
        return network

    def _set_up(
        self,
        *,
        sizes: tuple[int, ...],
        activations: tuple[str, ...],
        loss: str,
        dtype: str,
        initializations: tuple[str, ...],
        seed: int,
        optimizer: SGD,
        backend: str,
        fill: Callable[[Engine], None],
    ) -> None:
        """Take over what is checked; `fill` gives the engine its parameters."""
        count = _validate.n_parameters(sizes)
        with _arrays.enough_memory(f"sizes {list(sizes)}", count, dtype, "smaller sizes"):
            engine = _backend.make(backend, sizes, activations, loss, dtype)
            fill(engine)
        self._engine = engine
        self._sizes = sizes
        self._activations = activations
        self._loss = loss
        self._dtype = np.dtype(dtype)
        self._initializations = initializations
        self._seed = seed
        self._optimizer = optimizer
        self._counters = Counters()
        self._guard = Guard()

    # ---- what it is

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer, the input's first."""
        return self._sizes

    @property
    def activation(self) -> tuple[Activation, ...]:
        """The activation of each hidden layer."""
        return cast("tuple[Activation, ...]", self._activations[:-1])

    @property
    def output_activation(self) -> Activation:
        """The activation of the last layer."""
        return cast("Activation", self._activations[-1])

    @property
    def loss(self) -> Loss:
        """The loss that `fit` makes small."""
        return cast("Loss", self._loss)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of parameters, activations and all arithmetic."""
        return self._dtype

    @property
    def seed(self) -> int:
        """What the initial weights and the shuffles are drawn from."""
        return self._seed

    @property
    def backend(self) -> Backend:
        """The engine: "rust" or "numpy"."""
        return cast("Backend", self._engine.name)

    @property
    def optimizer(self) -> SGD:
        """The optimiser of the last fit, and of the next one unless told otherwise."""
        return self._optimizer

    @property
    def n_parameters(self) -> int:
        """Weights and biases (Eq. 8 of the report)."""
        return _validate.n_parameters(self._sizes)

    @property
    def epochs_done(self) -> int:
        """Epochs begun over the life of the network. Each has used up its shuffle."""
        return self._counters.epochs

    @property
    def steps_done(self) -> int:
        """Steps taken over the life of the network."""
        return self._counters.steps

    def summary(self) -> str:
        """Return a table of the layers: activations, shapes and counts of parameters (Eq. 8)."""
        return _text(self._title(), self._sizes, self._activations)

    def _repr_html_(self) -> str:
        return _html(self._title(), self._sizes, self._activations)

    def __repr__(self) -> str:
        """Return sizes, activations, loss, dtype and engine."""
        return (
            f"<Network {self._title()}, {', '.join(self._activations)}, seed {self._seed}, "
            f"{self.steps_done} steps done, {self.backend}>"
        )

    def _title(self) -> str:
        sizes = "-".join(map(str, self._sizes))
        return f"{sizes}, {self._loss}, {self._dtype}, {self.n_parameters:,} parameters"


for _name in ATTRIBUTES - _QUICK:
    setattr(Description, _name, _Unset())

_HEAD = ("layer", "activation", "weights", "biases", "parameters")


def _table(sizes: Sequence[int], activations: Sequence[str]) -> list[tuple[str, ...]]:
    """One row of cells a layer, and the totals (Eq. 8 of the report)."""
    pairs = list(pairwise(sizes))
    rows = [
        (str(layer), name, f"({n_out}, {n_in})", f"({n_out},)", f"{(n_in + 1) * n_out:,}")
        for layer, ((n_in, n_out), name) in enumerate(zip(pairs, activations, strict=True))
    ]
    weights = sum(n_in * n_out for n_in, n_out in pairs)
    biases = sum(sizes[1:])
    return [*rows, ("total", "", f"{weights:,}", f"{biases:,}", f"{weights + biases:,}")]


def _text(title: str, sizes: Sequence[int], activations: Sequence[str]) -> str:
    """Aligned columns under a title."""
    rows = [_HEAD, *_table(sizes, activations)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    lines = (
        "  ".join(
            f"{cell:<{width}}" if i < 2 else f"{cell:>{width}}"
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
    return "\n".join([title, *lines])


def _html(title: str, sizes: Sequence[int], activations: Sequence[str]) -> str:
    """The same as a table for notebooks."""
    from html import escape

    head = "".join(f"<th>{cell}</th>" for cell in _HEAD)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in _table(sizes, activations)
    )
    return (
        f"<table><caption>{escape(title)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
