"""What turns a gradient into a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from chainrule import _validate
from chainrule.schedules import SCHEDULES, Schedule

__all__ = ["SGD", "Rate"]

Rate: TypeAlias = float | Schedule | Callable[[int, int], float]
"""A number, a schedule, or any callable of (step of this fit from 0, steps of this fit)."""


@dataclass(frozen=True)
class SGD:
    """Gradient descent (Eq. 5 of the report), with momentum if wanted.

    For each weight w with gradient g, one operation at a time, each rounded once::

        g = fma(l2, w, g)             where l2 is not 0; not for biases
        v = fma(momentum, v, g)       v = g where momentum is 0
        w = fma(-learning_rate, v, w)

    Parameters
    ----------
    learning_rate : float, Schedule, callable or None
        Given (step, steps) of the fit, a callable returns the rate of that step. None stands in
        a network that was read from a file for a callable that the file could not keep.
    momentum : float
        In [0, 1).

    Raises
    ------
    TypeError, ValueError
        Where a number is not finite or out of its range.

    Examples
    --------
    >>> from chainrule import SGD
    >>> SGD(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9)
    """

    learning_rate: Rate | None = 0.1
    momentum: float = 0.0

    def __post_init__(self) -> None:
        if self.learning_rate is not None:
            object.__setattr__(self, "learning_rate", rate(self.learning_rate))
        object.__setattr__(self, "momentum", _validate.number("momentum", self.momentum, below=1))


def rate(value: Any, name: str = "learning_rate") -> Rate:
    """Check a learning rate: a number of at least 0, or a callable."""
    if callable(value):
        return value  # type: ignore[no-any-return]
    return _validate.number(name, value)


def rates(optimizer: SGD) -> Iterable[tuple[str, float]]:
    """The numbers, by name, between which the rates of a number or a schedule lie."""
    value = optimizer.learning_rate
    if isinstance(value, float):
        return {"learning_rate": value}.items()
    if type(value) in SCHEDULES.values():
        return vars(value).items()
    return {}.items()


def to_json(optimizer: SGD) -> dict[str, Any]:
    """As model files keep it. A callable that is no schedule of ours becomes None."""
    value = optimizer.learning_rate
    kept: Any = None
    if isinstance(value, float):
        kept = value
    for name, schedule in SCHEDULES.items():
        if type(value) is schedule:
            kept = {"schedule": name, **vars(value)}
    return {"name": "sgd", "learning_rate": kept, "momentum": optimizer.momentum}


def from_json(document: dict[str, Any]) -> SGD:
    """Build the optimiser that `to_json` described.

    Raises
    ------
    KeyError, TypeError, ValueError
        Where the document is not one that `to_json` makes.
    """
    if set(document) != {"name", "learning_rate", "momentum"} or document["name"] != "sgd":
        raise ValueError(f"expected an optimiser as this version writes it; got {document}")
    kept = document["learning_rate"]
    if isinstance(kept, dict):
        arguments = dict(kept)
        kept = SCHEDULES[arguments.pop("schedule")](**arguments)
    return SGD(kept, momentum=document["momentum"])
