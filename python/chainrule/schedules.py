"""Learning rates that change over a fit.

A schedule is a function of (step of this fit, counted from 0; steps of this fit). It is computed
in float64 with +, -, *, / and square roots only, so that it gives the same bits everywhere. Unlike
any other callable, a schedule of this module is kept in model files and pickles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule import _validate

__all__ = ["Constant", "Linear", "Schedule"]


class Schedule:
    """Base of the schedules that a file can keep.

    Each is written so that `step` may also be an array: the same operations give the rates of
    many steps at once, with the same bits.
    """

    def __call__(self, step: Any, steps: int) -> Any:
        """The rate of step `step` (from 0) of a fit of `steps` steps."""
        raise TypeError(f"{type(self).__name__} must define __call__(step, steps)")


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate at every step.

    Parameters
    ----------
    rate : float
        At least 0.

    Raises
    ------
    TypeError, ValueError
        Where the rate is not a finite number of at least 0.

    Examples
    --------
    >>> Constant(0.5)(3, 10)
    0.5
    """

    rate: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", _validate.number("rate", self.rate))

    def __call__(self, step: Any, steps: int) -> Any:
        """Return `rate`."""
        return self.rate


@dataclass(frozen=True)
class Linear(Schedule):
    """From `start` at the first step in equal parts towards `end`, reached after the last.

    rate(t) = start + (end - start) * (t / steps), t = 0 .. steps - 1

    Parameters
    ----------
    start, end : float
        At least 0. `end` is 0 unless given.

    Raises
    ------
    TypeError, ValueError
        Where one of the two is not a finite number of at least 0.

    Examples
    --------
    >>> rate = Linear(0.5)
    >>> [rate(step, 4) for step in range(4)]
    [0.5, 0.375, 0.25, 0.125]
    """

    start: float
    end: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", _validate.number("start", self.start))
        object.__setattr__(self, "end", _validate.number("end", self.end))

    def __call__(self, step: Any, steps: int) -> Any:
        """Return the rate of step `step` of `steps`."""
        return self.start + (self.end - self.start) * (step / steps)


# By the names that files use.
SCHEDULES: dict[str, type[Any]] = {"constant": Constant, "linear": Linear}
