"""The engines behind `Network`: what one is, which there are, and which is taken.

This is the only module that reads environment variables.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Protocol, TypeVar, cast

from chainrule import _validate, reference
from chainrule.errors import BackendWarning

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chainrule._validate import Backend

try:
    # Not `from chainrule import _core`: a missing file is then told as a circular import.
    import chainrule._core as _extension

    _core: ModuleType | None = _extension
    _why_missing = ""
except ImportError as error:  # told by `choose`, at the first network or at `BACKEND`
    _core = None
    _why_missing = str(error)

P = ParamSpec("P")
R = TypeVar("R")

BACKENDS = ("rust", "numpy")

# The path that new Rust engines train on wherever they can; None: the fastest. Tests set it, to
# compare paths that the engine would not choose by itself.
forced_path: str | None = None


class Totals(NamedTuple):
    """Sums over the samples trained since the last record.

    They go into `Engine.train` and come out of it, so that one sum runs on from slice to slice
    and the clock, which cuts the slices, changes no bit of it.
    """

    loss: float = 0.0
    """The losses of the rows, added in float64 in the order of training."""
    correct: int = 0
    """Rows that were classified rightly before the step they took part in."""
    saturated: int = 0
    """Hidden activations whose derivative was below 2**-10."""


class Engine(Protocol):
    """The arithmetic of one network: nothing else crosses this border.

    An engine trusts its arguments: `Network` has checked and converted them. Arrays are
    C-contiguous, aligned, in native byte order; `T` is the network's dtype. Flat vectors hold
    weights[0] row by row (n_out, n_in), biases[0], weights[1], ...
    """

    @property
    def name(self) -> str:
        """One of `BACKENDS`."""

    def initialize(self, seed: int, initializations: tuple[str, ...]) -> None:
        """Draw new weights, a scheme a layer; zero the biases; forget the optimiser's state."""

    def dataset(
        self,
        x: NDArray[Any],  # (n, n_in) T or uint8
        labels: NDArray[np.int64] | None,  # (n,), or
        targets: NDArray[Any] | None,  # (n, n_out) T
        batch_size: int,
        shuffle_seed: int | None,  # None: the rows in their own order
    ) -> Any:
        """Copy the data into the engine's own form. MemoryError where it does not fit."""

    def train(
        self,
        dataset: Any,
        epoch: int,  # decides the order of the rows
        first: int,  # the first step, counted within the epoch
        rates: NDArray[np.float64],  # one a step; rounded to T
        momentum: float,
        l2: float,
        threads: int,
        totals: Totals,
    ) -> tuple[tuple[float, int, int], int, int | None]:
        """Take len(rates) steps. Returns totals, complete steps, layer that diverged or None."""

    def predict(self, x: NDArray[Any], threads: int) -> NDArray[Any] | None:
        """(n, n_in) T or uint8 -> activations of the last layer (n, n_out) T.

        None where x is not finite: this alone is not trusted, as another thread may change it.
        """

    def predict_few(self, x: Any, threads: int | None = None) -> NDArray[Any] | None:
        """As `predict`, at once, where x is a plain array of a few rows; else None.

        Of more rows, some hundred microseconds' work, where it is told how many threads may help.
        """

    def evaluate(
        self, dataset: Any, first: int, rows: int, loss: float, threads: int
    ) -> tuple[float, int]:
        """Add the losses of some rows in row order to `loss`; that, and how many are right."""

    def gradients(self, dataset: Any) -> tuple[float, NDArray[Any]]:
        """The sum of the rows' losses, and the flat gradient of their mean, without l2."""

    def trace(self, dataset: Any) -> list[tuple[NDArray[Any], ...]]:
        """A layer's (z, a, r, dE_da, dE_dW, dE_db) for each row by itself; rows come first."""

    def state(self) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Copies of the flat parameters and of the optimiser's vectors (momentum: velocity)."""

    def set_state(self, parameters: NDArray[Any], optimizer: dict[str, NDArray[Any]]) -> None:
        """Take over copies of both."""

    def remember(self) -> None:
        """Keep a copy of both to go back to, in place of the one before."""

    def restore(self) -> None:
        """Go back to that copy, which is then gone; without one nothing changes."""

    def forget(self) -> None:
        """Give the memory of that copy back."""

    def explain(self) -> dict[str, Any]:
        """What the last train or predict used: engine, isa, threads, path."""


def choose(backend: str | None = None) -> Backend:
    """Name the engine of a new network: the one asked for, CHAINRULE_BACKEND's, or the best.

    Raises
    ------
    ValueError
        Where Rust is asked for and the extension cannot be imported, or the name is unknown.
    """
    wanted, source = backend, "backend"
    if wanted is None and "CHAINRULE_BACKEND" in os.environ:
        wanted, source = os.environ["CHAINRULE_BACKEND"], "CHAINRULE_BACKEND"
    if wanted is None:
        return default()
    name = _validate.choice(source, wanted, BACKENDS)
    if name == "rust" and _core is None:
        raise ValueError(
            f"{source} is 'rust', but the extension cannot be imported ({_why_missing}): "
            "reinstall chainrule from its wheel, or take 'numpy'"
        )
    return cast("Backend", name)


def default() -> Backend:
    """Rust, or NumPy with a warning (once a process) where the extension is missing."""
    if _core is not None:
        return "rust"
    _warn_once()
    return "numpy"


@functools.cache
def _warn_once() -> None:
    warnings.warn(
        f"the Rust extension of chainrule cannot be imported ({_why_missing}); NumPy does the "
        "work, slower. Reinstall chainrule from its wheel, or set CHAINRULE_BACKEND=numpy",
        BackendWarning,
        stacklevel=5,  # the line that made the network, loaded it or asked for BACKEND
    )


def make(
    backend: str, sizes: Sequence[int], activations: Sequence[str], loss: str, dtype: str
) -> Engine:
    """Make an engine with parameters 0.

    Raises
    ------
    ValueError
        Where CHAINRULE_ISA names an instruction set that is unknown or that this machine lacks,
        or is set for an engine that lets nobody choose.
    MemoryError
        Where the parameters do not fit.
    """
    isa = os.environ.get("CHAINRULE_ISA")
    if backend == "rust":
        assert _core is not None
        if isa is not None:
            _validate.choice("CHAINRULE_ISA", isa, isas())
        return cast(
            "Engine",
            _core.Engine(list(sizes), list(activations), loss, dtype, isa, forced_path),
        )
    if isa is not None:
        raise ValueError(
            f"CHAINRULE_ISA is {isa!r}, but NumPy chooses its instructions by itself: unset it, "
            "or take the engine 'rust'"
        )
    return reference.Engine(tuple(sizes), tuple(activations), loss, dtype)


def exactly(call: Callable[P, R]) -> Callable[P, R]:
    """Round to nearest and keep subnormals while the call lasts (rule 12), then restore.

    An engine sees to that itself. This is for what Python and NumPy compute around it: inputs
    rounded to the dtype, rates, means.
    """
    if _core is None:
        return call
    exact = _core.exactly

    @functools.wraps(call)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        return cast("R", exact(call, *args, **kwargs))

    return wrapped


def version() -> str:
    """Of the package: the extension's, or else of what is installed."""
    if _core is not None:
        return cast("str", _core.VERSION)
    from importlib.metadata import version  # slow to import

    return version("chainrule")


def isas() -> list[str]:
    """Instruction sets that the Rust engine can use here, the widest last."""
    return [] if _core is None else list(_core.isas())


def threads(value: int | None) -> int:
    """How many threads a call may use at most: the argument, CHAINRULE_THREADS, or what is free.

    Raises
    ------
    TypeError, ValueError
        Where either is not a whole number of at least 1.
    """
    if value is not None:
        return min(_validate.integer("threads", value, at_least=1), sys.maxsize)
    global threads_checked  # noqa: PLW0603
    told = environment.get(THREADS)
    if told is None:
        threads_checked = None
        return _free_threads()
    text = os.fsdecode(told)
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"CHAINRULE_THREADS must be a whole number of at least 1; got {text!r}")
    count = min(_validate.integer("CHAINRULE_THREADS", int(text), at_least=1), sys.maxsize)
    threads_checked = told
    return count


# The names and values themselves: `os.environ` encodes and decodes at each look.
environment: Any = getattr(os.environ, "_data", os.environ)
THREADS: Any = os.fsencode("CHAINRULE_THREADS") if os.name == "posix" else "CHAINRULE_THREADS"
OMP_THREADS: Any = os.fsencode("OMP_NUM_THREADS") if os.name == "posix" else "OMP_NUM_THREADS"

# The very value of CHAINRULE_THREADS that was last found right, so that a call which needs no
# threads need not look at it again; None, as where it is not set.
threads_checked: Any = None


def _free_threads() -> int:
    """What affinity, cgroup and OMP_NUM_THREADS allow; the least of the three, at least 1."""
    allowed = [
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ]
    quota = _cgroup_quota()
    if quota is not None:
        allowed.append(quota)
    told = environment.get(OMP_THREADS)
    first = os.fsdecode(told).split(",")[0].strip() if told else ""
    if first.isascii() and first.isdigit():  # another program's variable: only taken if plain
        allowed.append(int(first))
    return max(1, min(allowed))


@functools.cache
def _cgroup_quota() -> int | None:
    """Cores that a container is given, by version 2 or 1 of cgroups; None where not limited."""
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
    except (OSError, ValueError):
        try:
            with open("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", encoding="ascii") as file:
                quota = file.read().strip()
            with open("/sys/fs/cgroup/cpu/cpu.cfs_period_us", encoding="ascii") as file:
                period = file.read().strip()
        except (OSError, ValueError):
            return None
    if not (quota.isdigit() and period.isdigit()) or int(period) == 0:
        return None
    return max(1, -(-int(quota) // int(period)))
