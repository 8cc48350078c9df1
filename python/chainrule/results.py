"""What the methods of `Network` return, as named tuples."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["Evaluation", "Gradients", "LayerTrace"]


class Evaluation(NamedTuple):
    """What `Network.evaluate` returns."""

    loss: float
    """The mean over the rows, without l2."""
    accuracy: float | None
    """The share of rows classified rightly; None where y cannot be compared with `classify`."""


class Gradients(NamedTuple):
    """The gradient of the mean loss, without l2."""

    loss: float
    weights: list[NDArray[Any]]
    """(n_out, n_in) of each layer."""
    biases: list[NDArray[Any]]
    """(n_out,) of each layer."""


class LayerTrace(NamedTuple):
    """One layer in the report's symbols. The first axis is the sample; nothing is averaged."""

    z: NDArray[Any]
    """(n, n_out): W a + b."""
    a: NDArray[Any]
    """(n, n_out): sigma(z)."""
    r: NDArray[Any]
    """(n, n_out): sigma'(z) * dE/da, computed as a - y where a cross-entropy allows it."""
    dE_da: NDArray[Any]
    """(n, n_out)."""
    dE_dW: NDArray[Any]
    """(n, n_out, n_in): r a^T."""
    dE_db: NDArray[Any]
    """(n, n_out): r."""
