"""The kinds of failure that are chainrule's own; all others are Python's."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chainrule.history import History

__all__ = ["BackendWarning", "DivergenceError", "FormatError"]


class FormatError(ValueError):
    """A file is not what its format says: the message has path, what was expected and found."""


class DivergenceError(ArithmeticError):
    """Training made a parameter or a loss infinite or NaN, and was undone.

    The network is as it was when the epoch began.

    Attributes
    ----------
    epoch : int
        The epoch in which it happened, counted from 0 over the life of the network.
    layer : int
        The first layer with a parameter that is not finite; the last layer where the
        parameters were finite but the loss was not.
    history : History
        The records made before it happened.
    """

    def __init__(self, message: str, *, epoch: int, layer: int, history: History) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.layer = layer
        self.history = history

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name: an exception would otherwise be made anew from its message alone."""
        make = functools.partial(
            type(self), epoch=self.epoch, layer=self.layer, history=self.history
        )
        return make, self.args


class BackendWarning(RuntimeWarning):
    """The Rust extension is missing and NumPy does the work instead."""
