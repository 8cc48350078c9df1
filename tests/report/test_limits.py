"""Section 4: two minima, three rates, and a sweep of rates."""

import numpy as np
import pytest

from chainrule import report


@pytest.fixture(scope="module")
def numbers():
    return report.limits()


def test_two_starts_end_in_different_minima(numbers):
    # Where the slope of x^4 / 4 - x^2 / 2 + x / 10 is 0.
    low, ridge, high = np.sort(np.roots([1, 0, -1, 0.1]).real)
    ends = [path.points[-1, 0] for path in (numbers.left, numbers.right)]
    np.testing.assert_allclose(ends, [low, high], atol=1e-6)
    assert all(3 * x**2 - 1 > 0 for x in ends)
    assert numbers.left.values[-1] < numbers.right.values[-1] - 0.1
    starts = [path.points[0, 0] for path in (numbers.left, numbers.right)]
    assert starts[0] < ridge < starts[1]


def test_one_rate_converges(numbers):
    distance = np.linalg.norm(numbers.paths["converges"].points, axis=1)
    assert (np.diff(distance) < 0).all()
    assert distance[-1] < 0.1 * distance[0]


def test_one_rate_oscillates(numbers):
    x1, x2 = numbers.paths["oscillates"].points.T
    np.testing.assert_allclose(x2, (-1.0) ** np.arange(len(x2)))
    assert (np.diff(x1) < 0).all()


def test_one_rate_diverges(numbers):
    path = numbers.paths["diverges"]
    x2 = path.points[:, 1]
    assert (np.diff(np.abs(x2)) > 0).all()
    assert (np.sign(x2[1:]) == -np.sign(x2[:-1])).all()
    assert np.linalg.norm(path.points[-1]) > 2 * np.linalg.norm(path.points[0])
    assert path.values[-1] > 5 * path.values[0]


def test_sweep_of_rates(numbers):
    # After k steps x1 has been multiplied by (1 - rate)^k and x2 by (1 - 10 rate)^k.
    start = np.array([3.0, 1.0])
    left = start * (1 - numbers.rates[:, None] * [1, 10]) ** 50
    np.testing.assert_allclose(numbers.errors, np.linalg.norm(left, axis=1), rtol=1e-9)
    best = numbers.errors.argmin()
    assert (np.diff(numbers.errors[: best + 1]) < 0).all()
    assert (np.diff(numbers.errors[best:]) > 0).all()
    assert 100 * numbers.errors[best] < min(numbers.errors[0], numbers.errors[-1])
    assert numbers.best_rate == pytest.approx(2 / (1 + 10), abs=0.002)
    assert numbers.highest_rate == 0.2
    assert (numbers.errors[numbers.rates > 0.203] > np.linalg.norm(start)).all()
    assert (numbers.errors[numbers.rates < 0.199] < np.linalg.norm(start)).all()
