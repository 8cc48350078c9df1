"""The gradient by central differences: what backpropagation is checked against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

# Rounding costs about u / epsilon and truncation epsilon**2: the best is near the cube root of u.
EPSILON = float(np.cbrt(np.finfo(np.float64).eps))


def central_differences(
    loss: Callable[[NDArray[np.float64]], float],
    parameters: NDArray[np.float64],
    epsilon: float = EPSILON,
) -> NDArray[np.float64]:
    """Differentiate a loss by 2n evaluations (Eq. 9 of the report).

    dE/dw_i = (E(w + epsilon e_i) - E(w - epsilon e_i)) / (2 epsilon)

    Parameters
    ----------
    loss : callable
        Takes a vector (n,) of float64 and returns a float.
    parameters : (n,) float64
        Where to differentiate; not changed.
    epsilon : float
        The step to either side, above 0. Divided by is the distance of the two points as float64
        has them, which is not quite 2 epsilon.

    Returns
    -------
    (n,) float64

    Raises
    ------
    ValueError
        Where a step is lost in the rounding of its parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.gradcheck import central_differences
    >>> central_differences(lambda w: float(w @ w), np.array([1.0, -2.0])).round(6)
    array([ 2., -4.])
    """
    point = np.array(parameters, np.float64)
    gradient = np.empty_like(point)
    for i, centre in enumerate(point):
        right, left = centre + epsilon, centre - epsilon
        if not left < centre < right:
            raise ValueError(
                f"epsilon must be large enough to move every parameter; {epsilon:g} is lost beside "
                f"{centre:g}, parameter {i}: leave it out for one that is right in most cases"
            )
        point[i] = right
        above = loss(point)
        point[i] = left
        below = loss(point)
        point[i] = centre
        gradient[i] = (above - below) / (right - left)
    return gradient
