"""A classifier that is a quadratic form, and its descent: the report's Equations 1 and 2.

Six weights, found by gradient descent on the RMSE. The same weights have a closed answer, so what
descent reaches can be compared with what there is to reach.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule import _arrays, _validate
from chainrule.descent import Path, descend

__all__ = [
    "QuadraticClassifier",
    "Students",
    "curvature",
    "features",
    "least_squares",
    "rmse",
    "rmse_gradient",
    "students",
]

N_WEIGHTS = 6
LEARNING_RATE = 0.1
STEPS = 1000

BEST_HOURS = 4.0  # of sleep: the synthetic students that slept so long pass most often
MOST_HOURS = 8.0
MOST_MINUTES = 90.0  # of a lecture


class Students(NamedTuple):
    """A synthetic class before its exam, a row a student."""

    x: NDArray[np.float64]
    """(n, 2): x1, hours slept the night before; x2, minutes of lecture listened to a meeting."""
    passed: NDArray[np.int64]
    """(n,): 1 for passed, 0 for failed."""


class QuadraticClassifier:
    """Two classes of points in the plane, told apart by a quadratic form (Eq. 1 of the report).

    f(x) = w1 x1^2 + w2 x2^2 + w3 x1 x2 + w4 x1 + w5 x2 + w6 is fitted to labels 0 and 1 by gradient
    descent (Eq. 5) on the RMSE (Eq. 2), from weights of 0; where it is above 0.5, the class is 1.

    Near its lowest point the RMSE is a bowl, whose curvatures are the eigenvalues of `curvature`.
    Descent comes to rest only below a rate of 2 / (the largest of them), and goes along the
    flattest direction as 1 - rate * (the smallest) to the power of the steps: what counts is the
    spread, the largest by the smallest. With hours up to 8 and minutes up to 90, one feature is
    up to 8100 and another always 1, and the spread is hundreds of millions: at a rate that the
    steepest direction allows, the flattest is never gone down. So each input is first moved and
    scaled to run from -1 to 1 over the data. All features are then of the size of 1, the spread is
    about 20, the largest curvature at most 6 / RMSE, and one rate does for any units.

    The gradient of an RMSE does not fade as the RMSE does: where the best RMSE is smaller than
    about the rate, which labels seldom allow, the last steps go to and fro.

    Parameters
    ----------
    scale : bool
        Whether inputs are scaled. Without, descent does as badly as said above.

    Raises
    ------
    TypeError
        Where `scale` is not a bool.

    Examples
    --------
    >>> from chainrule import QuadraticClassifier, quadratic
    >>> x, passed = quadratic.students(400, seed=0)
    >>> classifier = QuadraticClassifier()
    >>> path = classifier.fit(x, passed)
    >>> path.points.shape, path.values.shape
    ((1001, 6), (1001,))
    >>> classifier.predict([[4.0, 90.0], [8.0, 10.0]])
    array([1, 0])
    """

    def __init__(self, *, scale: bool = True) -> None:
        self._scale = _validate.flag("scale", scale)
        self._centre = np.zeros(2)
        self._half_range = np.ones(2)
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        """The last fit: weights (steps + 1, 6) of the scaled inputs, RMSE (steps + 1,).

        Raises
        ------
        RuntimeError
            Before the first fit.
        """
        if self._path is None:
            raise RuntimeError("expected a fitted classifier, found no weights: call fit first")
        return self._path

    @property
    def weights(self) -> NDArray[np.float64]:
        """A copy of w1 to w6 (6,), of the scaled inputs.

        Raises
        ------
        RuntimeError
            Before the first fit.
        """
        weights: NDArray[np.float64] = self.path.points[-1]
        return weights.copy()

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        learning_rate: float = LEARNING_RATE,
        steps: int = STEPS,
        start: ArrayLike | None = None,
    ) -> Path:
        """Descend from a start, whatever was fitted before; every step sees all rows.

        Parameters
        ----------
        x : (n, 2) array
            At least one row.
        y : (n,) array
            Labels: 0 or 1.
        learning_rate : float
            At least 0.
        steps : int
            At least 0.
        start : (6,) array, optional
            The first weights, of the scaled inputs; 0 where it is left out.

        Returns
        -------
        Path
            Weights and RMSE at the start and after each step; the same as `path` from then on.

        Raises
        ------
        TypeError, ValueError
            Where an argument is of the wrong kind, shape or value.
        ArithmeticError
            Where the weights do not stay finite: the classifier is as it was before.
        """
        inputs = _inputs(x)
        labels = _labels(y, len(inputs))
        first = np.zeros(N_WEIGHTS) if start is None else start
        first = _arrays.parameter_array("start", first, (N_WEIGHTS,), np.float64)
        centre, half_range = _frame(inputs) if self._scale else (np.zeros(2), np.ones(2))
        phi = features((inputs - centre) / half_range)
        path = descend(
            lambda w: rmse_gradient(w, phi, labels),
            first,
            learning_rate=learning_rate,
            steps=steps,
            value=lambda w: rmse(w, phi, labels),
        )
        if path.diverged:
            raise ArithmeticError(
                f"expected finite weights, found others after step {len(path.points)} of {steps} "
                f"at learning_rate {learning_rate:g}: lower the rate"
            )
        assert path.values is not None  # `value` was given
        path.points.flags.writeable = path.values.flags.writeable = False
        self._centre, self._half_range, self._path = centre, half_range, path
        return path

    def value(self, x: ArrayLike) -> NDArray[np.float64]:
        """f(x) of each row (n,), x being (n, 2).

        Raises
        ------
        RuntimeError
            Before the first fit.
        TypeError, ValueError
            Where x is of the wrong kind or shape, or too large to be squared.
        """
        weights = self.weights
        return features(self.scaled(x)) @ weights

    def predict(self, x: ArrayLike) -> NDArray[np.int64]:
        """Return the class of each row (n,): 1 where f(x) is above 0.5, else 0; x being (n, 2).

        Raises
        ------
        RuntimeError
            Before the first fit.
        TypeError, ValueError
            Where x is of the wrong kind or shape, or too large to be squared.
        """
        return (self.value(x) > 0.5).astype(np.int64)

    def scaled(self, x: ArrayLike) -> NDArray[np.float64]:
        """Inputs as f sees them (n, 2): from -1 to 1 over the rows of the last fit.

        Raises
        ------
        RuntimeError
            Before the first fit.
        TypeError, ValueError
            Where x is of the wrong kind or shape.
        """
        _ = self.path
        with np.errstate(over="ignore"):  # `features` says what is too large
            return (_inputs(x) - self._centre) / self._half_range


def features(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the weights of f are multiplied with, each row of (n, 2) becoming one of (n, 6).

    Raises
    ------
    ValueError
        Where a number is too large to be squared.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.quadratic import features
    >>> features(np.array([[2.0, 10.0]]))
    array([[  4., 100.,  20.,   2.,  10.,   1.]])
    """
    x1, x2 = x[:, 0], x[:, 1]
    with np.errstate(over="ignore"):
        # Eq. 1: f(x) = w1 x1^2 + w2 x2^2 + w3 x1 x2 + w4 x1 + w5 x2 + w6 = phi . w
        phi = np.stack([x1 * x1, x2 * x2, x1 * x2, x1, x2, np.ones_like(x1)], axis=1)
    if not np.isfinite(phi).all():
        raise ValueError(
            f"x must be small enough to be squared; found {np.abs(x).max():g}: scale it first"
        )
    return phi


def rmse(weights: NDArray[np.float64], phi: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Root of the mean square of f(x) - y (Eq. 2 of the report).

    Parameters
    ----------
    weights : (6,)
    phi : (n, 6)
        What `features` gives.
    y : (n,)
    """
    return float(np.sqrt(np.mean((phi @ weights - y) ** 2)))  # Eq. 2


def rmse_gradient(
    weights: NDArray[np.float64], phi: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The gradient (6,) of `rmse` with respect to the weights (Eq. 3 of the report).

    With E^2 = mean of (phi w - y)^2, 2 E dE/dw = 2 phi^T (phi w - y) / n by the chain rule. Where E
    is 0, the lowest there is, E has a tip and no gradient; 0 is returned and descent stays.
    """
    error = phi @ weights - y
    E = np.sqrt(np.mean(error**2))
    if E == 0:
        return np.zeros_like(weights)
    gradient: NDArray[np.float64] = phi.T @ error / (len(y) * E)
    return gradient  # Eq. 3: (dE/dw1, ..., dE/dw6)


def least_squares(phi: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights (6,) of the least RMSE that there is, without descent.

    The RMSE is least where its square is, and that is a linear problem, with a closed answer.
    """
    return np.asarray(np.linalg.lstsq(phi, y, rcond=None)[0], np.float64)


def curvature(phi: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Eigenvalues (6,), ascending, of the second derivatives of the RMSE where it is least.

    With a gradient of 0 there, they are phi^T phi / (n E). Taken from the singular values of phi:
    squaring phi first would lose the small ones to rounding.

    Raises
    ------
    ZeroDivisionError
        Where the least RMSE is 0, at the tip of the RMSE, which has no second derivatives.
    """
    E = rmse(least_squares(phi, y), phi, y)
    if E == 0:
        raise ZeroDivisionError("expected a least RMSE above 0, found 0: its curvature is infinite")
    singular = np.linalg.svd(phi, compute_uv=False)
    values = np.zeros(phi.shape[1])
    values[: len(singular)] = singular**2 / (len(y) * E)
    return np.sort(values)


def students(n: int, seed: int | None = 0) -> Students:
    """Draw a class of students, each of whom passed an exam or failed it.

    Hours slept run evenly from 0 to 8 and minutes listened to from 0 to 90. A student passes with
    probability sigma(5 x2 / 90 - 2.5 - 0.3 (x1 - 4)^2): most often with four hours of sleep and the
    longest listening. That is no quadratic form, so f can come near it only.

    Parameters
    ----------
    n : int
        At least 1.
    seed : int or None
        In 0 .. 2**64 - 1; None takes one from the operating system.

    Returns
    -------
    Students

    Raises
    ------
    TypeError, ValueError
        Where an argument is of the wrong kind or value.

    Examples
    --------
    >>> from chainrule import quadratic
    >>> x, passed = quadratic.students(400, seed=0)
    >>> x.shape, passed.shape
    ((400, 2), (400,))
    """
    n = _validate.integer("n", n, at_least=1)
    rng = np.random.default_rng(_validate.seed(seed))
    x = rng.random((n, 2)) * [MOST_HOURS, MOST_MINUTES]
    hours, minutes = x.T
    z = 5 * minutes / MOST_MINUTES - 2.5 - 0.3 * (hours - BEST_HOURS) ** 2
    passes = 1 / (1 + np.exp(-z))
    return Students(x, (rng.random(n) < passes).astype(np.int64))


def _inputs(x: ArrayLike) -> NDArray[np.float64]:
    """(n, 2) as float64; integers are numbers here, not pixels."""
    array = _arrays.as_array("x", x)
    if array.ndim != 2 or array.shape[1] != 2:
        hint = ": for a single point pass x[None]" if array.shape == (2,) else ""
        raise ValueError(f"x must have shape (n, 2); got {array.shape}{hint}")
    return _arrays.parameter_array("x", array, array.shape, np.float64)


def _labels(y: ArrayLike, n: int) -> NDArray[np.float64]:
    if not n:
        raise ValueError("x must have at least one row; got none")
    array = _arrays.as_array("y", y)
    if array.shape != (n,):
        raise ValueError(f"y must have shape ({n},), a label for each row of x; got {array.shape}")
    labels = _arrays.targets(array, n, 2, "identity", "squared_error", np.float64).labels
    assert labels is not None  # y is 1-D
    return labels.astype(np.float64)


def _frame(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre and half of the range of each input (2,); 1 for an input that is always the same."""
    low, high = x.min(axis=0) / 2, x.max(axis=0) / 2  # halves, so that no range overflows
    half_range = high - low
    return low + high, np.where(half_range > 0, half_range, 1.0)
