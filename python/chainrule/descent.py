"""Gradient descent on a function of n variables, and the derivatives that it goes by.

The report's Equations 3 to 5 by themselves, in NumPy and float64: the gradient points where a
function rises fastest, so a short step against it goes down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule import _arrays, _validate
from chainrule.gradcheck import EPSILON, central_differences

__all__ = [
    "Path",
    "descend",
    "directional_derivative",
    "measured_directional_derivative",
    "measured_gradient",
]

Gradient: TypeAlias = Callable[[NDArray[np.float64]], ArrayLike]
"""Takes a point (n,) and returns the gradient there, (n,)."""
Value: TypeAlias = Callable[[NDArray[np.float64]], Any]
"""Takes a point (n,) and returns one number."""


class Path(NamedTuple):
    """Where a descent went: the start and the point after each step, all of them finite."""

    points: NDArray[np.float64]
    """(steps + 1, n); fewer rows where it diverged."""
    values: NDArray[np.float64] | None
    """(steps + 1,): the function at each point; None where it was not given."""
    diverged: bool
    """Whether it ended early, because the next point or value would not have been finite."""


def descend(
    gradient: Gradient,
    start: ArrayLike,
    *,
    learning_rate: float,
    steps: int,
    value: Value | None = None,
) -> Path:
    """Go down a function by its gradient (Eq. 5 of the report).

    Every step is w <- w - learning_rate * gradient(w). Nothing stops it before its time but a point
    or value that is not finite, and nothing warns: what overflows on the way is no surprise.

    Parameters
    ----------
    gradient : callable
        Takes a point (n,) float64, a copy, and returns the gradient there, (n,).
    start : (n,) array
        The first point; not changed.
    learning_rate : float
        At least 0.
    steps : int
        At least 0.
    value : callable, optional
        The function itself, to be recorded: takes a point (n,), a copy, and returns one number.

    Returns
    -------
    Path

    Raises
    ------
    TypeError, ValueError
        Where an argument, or what `gradient` or `value` returns, is of the wrong kind or shape, or
        the value at the start is not finite.

    Examples
    --------
    Downhill on (w_0^2 + 4 w_1^2) / 2, whose gradient is (w_0, 4 w_1):

    >>> from chainrule.descent import descend
    >>> path = descend(lambda w: w * [1.0, 4.0], [2.0, 1.0], learning_rate=0.5, steps=3)
    >>> path.points
    array([[ 2.  ,  1.  ],
           [ 1.  , -1.  ],
           [ 0.5 ,  1.  ],
           [ 0.25, -1.  ]])
    """
    rate = _validate.number("learning_rate", learning_rate)
    n_steps = _validate.integer("steps", steps, at_least=0)
    _check_callable("gradient", gradient)
    if value is not None:
        _check_callable("value", value)
    w = _vector("start", start)
    points, values, diverged = [w], [], False
    with np.errstate(all="ignore"):
        if value is not None:
            values.append(_number(value(w.copy())))
            if not np.isfinite(values[0]):
                raise ValueError(
                    f"value(start) must be finite; got {values[0]}: start where the function is"
                )
        for _ in range(n_steps):
            w = w - rate * _gradient(gradient(w.copy()), w.shape)  # Eq. 5
            here = 0.0 if value is None else _number(value(w.copy()))
            if not (np.isfinite(w).all() and np.isfinite(here)):
                diverged = True
                break
            points.append(w)
            values.append(here)
    return Path(np.array(points), None if value is None else np.array(values), diverged)


def directional_derivative(gradient: ArrayLike, direction: ArrayLike) -> float:
    """How fast a function changes in a direction, by its gradient (Eq. 4 of the report).

    It is the gradient's length times the cosine of the angle between the two: the largest along the
    gradient, the least against it, and 0 along a level line.

    Parameters
    ----------
    gradient : (n,) array
        Of the function at the point in question.
    direction : (n,) array
        Of any length but 0, which does not matter.

    Returns
    -------
    float
        The change of the function for each unit of length.

    Raises
    ------
    TypeError, ValueError
        Where the two are not finite vectors of one length, or the direction is 0.

    Examples
    --------
    >>> from chainrule.descent import directional_derivative
    >>> directional_derivative([3.0, 4.0], [-3.0, -4.0])
    -5.0
    """
    slope = _vector("gradient", gradient)
    return float(slope @ _unit(direction, len(slope)))  # Eq. 4: gradient . u / |u|


def measured_gradient(
    value: Value, point: ArrayLike, *, epsilon: float = EPSILON
) -> NDArray[np.float64]:
    """Measure all partial derivatives by central differences (Eq. 3 of the report).

    Parameters
    ----------
    value : callable
        Takes a point (n,) float64 and returns one number.
    point : (n,) array
        Where to differentiate.
    epsilon : float
        The step to either side, above 0.

    Returns
    -------
    (n,) float64

    Raises
    ------
    TypeError, ValueError
        Where an argument, or what `value` returns, is of the wrong kind or shape.

    Examples
    --------
    >>> from chainrule.descent import measured_gradient
    >>> measured_gradient(lambda w: w[0] * w[1] ** 2, [3.0, 2.0]).round(6)
    array([ 4., 12.])
    """
    _check_callable("value", value)
    step = _validate.number("epsilon", epsilon, positive=True)
    # Eq. 3: (df/dw_0, ..., df/dw_(n-1))
    return central_differences(lambda w: _number(value(w)), _vector("point", point), step)


def measured_directional_derivative(
    value: Value, point: ArrayLike, direction: ArrayLike, *, epsilon: float = EPSILON
) -> float:
    """Measure by central differences how fast a function changes in a direction.

    No gradient is needed for it: the judge of `directional_derivative`.

    Parameters
    ----------
    value : callable
        Takes a point (n,) float64 and returns one number.
    point, direction : (n,) arrays
        The direction may have any length but 0.
    epsilon : float
        The step to either side, above 0.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        Where an argument, or what `value` returns, is of the wrong kind or shape.

    Examples
    --------
    >>> from chainrule.descent import measured_directional_derivative
    >>> round(measured_directional_derivative(lambda w: w @ w, [1.5, 2.0], [-3.0, -4.0]), 6)
    -5.0
    """
    _check_callable("value", value)
    step = _validate.number("epsilon", epsilon, positive=True)
    w = _vector("point", point)
    u = _unit(direction, len(w))
    # Eq. 4 by its meaning: the derivative of t -> f(w + t u) at 0
    return float(central_differences(lambda t: _number(value(w + t * u)), np.zeros(1), step)[0])


def _check_callable(name: str, given: Any) -> None:
    if not callable(given):
        raise TypeError(f"{name} must be callable; got {type(given).__name__}")


def _vector(name: str, given: ArrayLike) -> NDArray[np.float64]:
    """A finite vector (n,), n at least 1, as a copy."""
    array = _arrays.as_array(name, given)
    if array.ndim != 1 or not array.size:
        hint = f": for one variable pass [{name}]" if array.ndim == 0 else ""
        raise ValueError(f"{name} must have shape (n,), n at least 1; got {array.shape}{hint}")
    return _arrays.parameter_array(name, array, array.shape, np.float64).copy()


def _unit(direction: ArrayLike, n: int) -> NDArray[np.float64]:
    """A direction as a vector (n,) of length 1."""
    u = _vector("direction", direction)
    if len(u) != n:
        raise ValueError(f"direction must have shape ({n},); got {u.shape}")
    largest = np.abs(u).max()
    if largest == 0:
        raise ValueError("direction must not be 0: a zero vector points nowhere")
    u /= largest  # so that no square overflows, or vanishes
    u /= np.linalg.norm(u)
    return u


def _gradient(returned: ArrayLike, shape: tuple[int, ...]) -> NDArray[Any]:
    array = _arrays.as_array("what gradient returns", returned)
    if array.shape != shape:
        raise ValueError(f"gradient must return shape {shape}, as start has; got {array.shape}")
    return array


def _number(returned: Any) -> float:
    array = _arrays.as_array("what value returns", returned)
    if array.size != 1:
        raise ValueError(f"value must return one number; got shape {array.shape}")
    return float(array.item())
