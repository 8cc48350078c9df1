"""Descent goes where arithmetic by hand says, and derivatives agree with measured ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.descent import (
    descend,
    directional_derivative,
    measured_directional_derivative,
    measured_gradient,
)

CURVATURES = np.array([1.0, 4.0])


def bowl(w):
    return float(w @ (CURVATURES * w)) / 2


def bowl_gradient(w):
    return CURVATURES * w


# ---- Eq. 5


def test_path_by_hand():
    path = descend(bowl_gradient, [2.0, 1.0], learning_rate=0.25, steps=2, value=bowl)
    assert path.points.tolist() == [[2.0, 1.0], [1.5, 0.0], [1.125, 0.0]]
    assert path.values.tolist() == [4.0, 1.125, 0.6328125]
    assert path.diverged is False
    assert path.points.dtype == path.values.dtype == np.float64


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3, 0.5, 0.6])
def test_path_is_the_closed_form(rate):
    start = np.array([3.0, -2.0])
    path = descend(bowl_gradient, start, learning_rate=rate, steps=20)
    steps = np.arange(21)[:, None]
    np.testing.assert_allclose(path.points, start * (1 - rate * CURVATURES) ** steps, rtol=1e-12)
    assert path.values is None


def test_no_step_is_the_start():
    path = descend(bowl_gradient, [2, 1], learning_rate=0.1, steps=0, value=bowl)
    assert path.points.tolist() == [[2.0, 1.0]]
    assert path.values.tolist() == [4.0]
    assert not path.diverged


def test_divergence_ends_the_path_where_it_is_finite():
    path = descend(bowl_gradient, [1.0, 1.0], learning_rate=1e30, steps=1000, value=bowl)
    assert path.diverged
    assert 1 < len(path.points) == len(path.values) < 20
    assert np.isfinite(path.points).all()
    assert np.isfinite(path.values).all()


@pytest.mark.parametrize(
    ("gradient", "value"),
    [
        (lambda w: w * np.nan, bowl),
        (lambda w: w * np.inf, None),
        (lambda w: w, lambda w: 1.0 if w[0] == 1 else -np.inf),
        (lambda w: w / 0.0, None),
    ],
)
def test_what_is_not_finite_is_left_out(gradient, value):
    path = descend(gradient, [1.0, 1.0], learning_rate=0.1, steps=5, value=value)
    assert path.points.tolist() == [[1.0, 1.0]]
    assert path.diverged


def test_functions_get_copies_and_the_start_stays():
    start = np.array([1.0, 2.0])

    def gradient(w):
        w *= 0  # a caller's own mistake must not move the path
        return np.ones(2)

    def value(w):
        w[:] = np.nan
        return 0.0

    path = descend(gradient, start, learning_rate=0.5, steps=2, value=value)
    assert path.points.tolist() == [[1.0, 2.0], [0.5, 1.5], [0.0, 1.0]]
    assert start.tolist() == [1.0, 2.0]
    path.points[0] = 7
    assert start.tolist() == [1.0, 2.0]


def test_a_value_may_be_an_array_of_one():
    path = descend(lambda w: 2 * w, [3.0], learning_rate=0.5, steps=1, value=lambda w: w**2)
    assert path.values.tolist() == [9.0, 0.0]


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"gradient": 3}, TypeError, "gradient must be callable; got int"),
        ({"value": "f"}, TypeError, "value must be callable; got str"),
        ({"learning_rate": -1.0}, ValueError, "learning_rate must be a finite number of at least"),
        ({"learning_rate": "1"}, TypeError, "learning_rate must be a real number; got str '1'"),
        ({"steps": -1}, ValueError, "steps must be at least 0; got -1"),
        ({"steps": 1.0}, TypeError, "steps must be an int; got float"),
        ({"start": 1.0}, ValueError, r"for one variable pass \[start\]"),
        ({"start": []}, ValueError, r"start must have shape \(n,\), n at least 1; got \(0,\)"),
        ({"start": [[1.0]]}, ValueError, r"start must have shape \(n,\).*got \(1, 1\)"),
        ({"start": [1.0, np.nan]}, ValueError, r"start must be finite: 1 of 2 .* start\[1\] = nan"),
        ({"start": ["a"]}, TypeError, "start must be an array of numbers"),
        ({"gradient": lambda _: [1.0]}, ValueError, r"gradient must return shape \(2,\).*\(1,\)"),
        ({"gradient": lambda _: 1.0}, ValueError, r"gradient must return shape \(2,\).*\(\)"),
        ({"gradient": lambda _: ["a", "b"]}, TypeError, "what gradient returns must be an array"),
        ({"value": lambda w: w}, ValueError, r"value must return one number; got shape \(2,\)"),
        ({"value": lambda _: None}, TypeError, "what value returns must be an array of numbers"),
        ({"value": lambda _: np.inf}, ValueError, r"value\(start\) must be finite; got inf"),
    ],
)
def test_wrong_arguments_are_named(changed, kind, message):
    arguments = {"gradient": bowl_gradient, "start": [1.0, 2.0], "learning_rate": 0.1, "steps": 3}
    with pytest.raises(kind, match=message):
        descend(**arguments | changed)


def test_what_a_function_raises_is_its_own():
    def gradient(w):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        descend(gradient, [1.0], learning_rate=0.1, steps=1)


# ---- Eq. 3 and 4

vectors = hnp.arrays(np.float64, 3, elements=st.floats(-10, 10))
directions = vectors.filter(lambda u: np.abs(u).max() > 1e-3)


def cubic(w):
    return float(w[0] ** 3 - 2 * w[0] * w[1] + w[1] * w[2] ** 2)


def cubic_gradient(w):
    return np.array([3 * w[0] ** 2 - 2 * w[1], -2 * w[0] + w[2] ** 2, 2 * w[1] * w[2]])


@given(vectors)
def test_measured_gradient_is_the_one_by_hand(w):
    np.testing.assert_allclose(measured_gradient(cubic, w), cubic_gradient(w), atol=1e-5)


@given(vectors, directions)
def test_directional_derivative_is_the_measured_one(w, u):
    measured = measured_directional_derivative(cubic, w, u)
    assert directional_derivative(cubic_gradient(w), u) == pytest.approx(measured, abs=1e-5)


@given(directions, directions)
def test_no_direction_goes_down_faster_than_against_the_gradient(gradient, u):
    steepest = directional_derivative(gradient, -gradient)
    assert steepest == pytest.approx(-np.linalg.norm(gradient), rel=1e-12)
    assert directional_derivative(gradient, u) >= steepest * (1 + 1e-12)


def test_length_of_the_direction_is_no_matter():
    for length in (5e-324, 1e-200, 1.0, 1e200, 1.7e308):
        assert directional_derivative([2.0, 1.0], [0.0, length]) == 1.0
    assert directional_derivative([3.0, 4.0], [1e300, 1e300]) == pytest.approx(7 / np.sqrt(2))
    assert directional_derivative([1.0, 2.0], [2.0, -1.0]) == 0


def test_a_coarse_epsilon_is_used():
    # (f(2) - f(0)) / 2 for f = w^3 at 1: 4, where the derivative is 3
    assert measured_gradient(lambda w: w[0] ** 3, [1.0], epsilon=1.0).tolist() == [4.0]
    assert measured_directional_derivative(lambda w: w[0] ** 3, [1.0], [9.0], epsilon=1.0) == 4.0


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: directional_derivative([1.0], [0.0]), ValueError, "direction must not be 0"),
        (lambda: directional_derivative([1.0, 2.0], [1.0]), ValueError, r"shape \(2,\); got \(1,"),
        (lambda: directional_derivative(1.0, [1.0]), ValueError, r"pass \[gradient\]"),
        (lambda: directional_derivative([np.inf], [1.0]), ValueError, "gradient must be finite"),
        (lambda: measured_gradient(3, [1.0]), TypeError, "value must be callable; got int"),
        (lambda: measured_gradient(bowl, [[1.0]]), ValueError, "point must have shape"),
        (
            lambda: measured_gradient(bowl, [1.0], epsilon=0),
            ValueError,
            "epsilon must be a finite number above 0; got 0",
        ),
        (
            lambda: measured_directional_derivative(bowl, [1.0, 2.0], [1.0]),
            ValueError,
            r"direction must have shape \(2,\); got \(1,\)",
        ),
        (
            lambda: measured_directional_derivative(None, [1.0], [1.0]),
            TypeError,
            "value must be callable; got NoneType",
        ),
    ],
)
def test_wrong_arguments_of_derivatives_are_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
