"""How a network becomes a file, a pickle or a copy, and comes back.

`storage` is imported where it is first needed: with hashlib and json, which it brings, it would be
a third of the time that `import chainrule` takes.
"""

from __future__ import annotations

import os
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Self

from chainrule import _backend, optimizers
from chainrule._description import ATTRIBUTES, Description
from chainrule._guard import deferred_interrupts
from chainrule._validate import Backend

if TYPE_CHECKING:
    from chainrule import storage


class Persistence(Description):
    """The part of `Network` that keeps it: all forms are the bytes of a model file."""

    def fingerprint(self) -> str:
        """SHA-256 of description and parameters, 64 hexadecimal digits.

        Equal for networks that compute the same, whatever trained them. -0.0 counts as +0.0.
        """
        from chainrule import storage

        return storage.fingerprint(self._model("fingerprint"))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file, whole or not at all.

        An existing file is replaced. The same network gives the same bytes.

        Raises
        ------
        OSError
            Where the file cannot be written; an existing one is as it was.
        RuntimeError
            While another thread trains the network.
        """
        from chainrule import storage

        data = storage.dumps(self._model("save"))
        with deferred_interrupts():
            storage.write(path, data)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, backend: Backend | None = None) -> Self:
        """Read a network that `save` wrote: it goes on as if never stopped.

        Raises
        ------
        FormatError
            Where the file is not a whole model file of chainrule.
        OSError
            Where it cannot be read.
        """
        from chainrule import storage

        chosen = _backend.choose(backend)
        network = cls.__new__(cls)
        network._restore(storage.loads(storage.read(path), path), chosen)  # noqa: SLF001 - of this class
        return network

    def copy(self) -> Self:
        """Return an independent network in the same state, on the same engine."""
        twin = type(self).__new__(type(self))
        twin.__setstate__(self.__getstate__())
        twin._optimizer = self._optimizer  # noqa: SLF001 - keeps a callable rate, as bytes cannot
        return twin

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        memo[id(self)] = twin = self.copy()
        twin._optimizer = deepcopy(self._optimizer, memo)  # noqa: SLF001 - of this class
        twin._add(deepcopy(self._added(), memo))  # noqa: SLF001 - likewise
        return twin

    def _added(self) -> dict[str, Any]:
        """The attributes that a subclass, or anybody else, has added; slots are among them."""
        state = object.__getstate__(self)
        attributes, slots = state if isinstance(state, tuple) else (state, {})
        everything = {**(attributes or {}), **slots}
        return {name: value for name, value in everything.items() if name not in ATTRIBUTES}

    def _add(self, added: dict[str, Any]) -> None:
        for name, value in added.items():
            object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        """The bytes of a model file, the engine's name, and what a subclass has added."""
        from chainrule import storage

        model = storage.dumps(self._model("copy or pickle"))
        return {"model": model, "backend": self.backend, "added": self._added()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what `__getstate__` gave."""
        from chainrule import storage

        self._restore(storage.loads(state["model"], None), _backend.choose(state["backend"]))
        self._add(state["added"])

    def _model(self, what: str) -> storage.Model:
        from chainrule import storage

        with self._guard.reading(what):
            parameters, optimizer_state = self._engine.state()
            return storage.Model(
                sizes=self._sizes,
                activations=self._activations,
                loss=self._loss,
                initializations=self._initializations,
                dtype=self._dtype.name,
                seed=self._seed,
                epochs_done=self._counters.epochs,
                steps_done=self._counters.steps,
                optimizer=optimizers.to_json(self._optimizer),
                parameters=parameters,
                optimizer_state=optimizer_state,
            )

    def _restore(self, model: storage.Model, backend: str) -> None:
        self._set_up(
            sizes=model.sizes,
            activations=model.activations,
            loss=model.loss,
            dtype=model.dtype,
            initializations=model.initializations,
            seed=model.seed,
            optimizer=optimizers.from_json(model.optimizer),
            backend=backend,
            fill=lambda engine: engine.set_state(model.parameters, model.optimizer_state),
        )
        self._counters.epochs, self._counters.steps = model.epochs_done, model.steps_done
