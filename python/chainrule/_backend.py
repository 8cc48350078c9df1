"""The engines behind `Network`: what one is, which there are, and which is taken.

This is the only module that reads environment variables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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

    def predict(self, x: NDArray[Any], threads: int) -> NDArray[Any]:
        """(n, n_in) T or uint8 -> activations of the last layer (n, n_out) T."""

    def evaluate(self, dataset: Any, threads: int) -> tuple[float, int]:
        """The sum of the rows' losses in row order, and the number classified rightly."""

    def gradients(self, dataset: Any) -> tuple[float, NDArray[Any]]:
        """The sum of the rows' losses, and the flat gradient of their mean, without l2."""

    def trace(self, dataset: Any) -> list[tuple[NDArray[Any], ...]]:
        """A layer's (z, a, r, dE_da, dE_dW, dE_db) for each row by itself; rows come first."""

    def state(self) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Copies of the flat parameters and of the optimiser's vectors (momentum: velocity)."""

    def set_state(self, parameters: NDArray[Any], optimizer: dict[str, NDArray[Any]]) -> None:
        """Take over copies of both."""

    def explain(self) -> dict[str, Any]:
        """What the last train or predict used: engine, isa, threads, path."""
