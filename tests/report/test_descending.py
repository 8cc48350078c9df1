"""Section 3: paths go down, and no direction is steeper than against the gradient."""

import numpy as np
import pytest

from chainrule import report


@pytest.fixture(scope="module")
def numbers():
    return report.descending()


def test_every_step_goes_down(numbers):
    for path in (numbers.curve, numbers.surface):
        assert not path.diverged
        assert (np.diff(path.values) < 0).all()


def test_steps_on_the_curve_are_the_rate_times_the_slope(numbers):
    x = numbers.curve.points[:, 0]
    np.testing.assert_allclose(x[1:], x[:-1] - 0.5 * x[:-1] / np.sqrt(1 + x[:-1] ** 2))
    lengths = np.abs(np.diff(x))
    assert (np.diff(lengths) < 0).all()
    assert abs(x[-1]) < 0.05 < abs(x[0])
    np.testing.assert_allclose(numbers.curve.values, np.sqrt(1 + x**2))


def test_path_on_the_surface_ends_in_a_hollow(numbers):
    x1, x2 = numbers.surface.points[-1]
    assert [x1, x2] == pytest.approx([0.946, 0], abs=1e-3)
    assert abs(x1**3 - x1 + 0.1) < 1e-5
    values = numbers.surface.values
    assert values[0] == pytest.approx(0.2**4 / 4 - 0.2**2 / 2 + 0.02 + 1.5**2 / 2)
    assert values[-1] == pytest.approx(x1**4 / 4 - x1**2 / 2 + x1 / 10, abs=1e-6)


def test_path_leaves_level_lines_at_right_angles(numbers):
    x1, x2 = numbers.surface.points[0]
    step = numbers.surface.points[1] - numbers.surface.points[0]
    along_the_level_line = np.array([-x2, x1**3 - x1 + 0.1])
    assert step @ along_the_level_line == pytest.approx(0, abs=1e-12)


def test_gradient_by_hand_is_the_measured_one(numbers):
    np.testing.assert_allclose(numbers.gradient, [0.008 - 0.2 + 0.1, 1.5])
    np.testing.assert_allclose(numbers.measured_gradient, numbers.gradient, atol=1e-9)


def test_directional_derivative_is_measured_as_equation_4_says(numbers):
    assert len(numbers.angles) == len(numbers.measured) == 720
    np.testing.assert_allclose(numbers.measured, numbers.by_gradient, atol=1e-9)
    length = np.linalg.norm(numbers.gradient)
    angle = np.radians(numbers.angles - numbers.against_gradient)
    np.testing.assert_allclose(numbers.measured, -length * np.cos(angle), atol=1e-9)


def test_most_negative_along_minus_the_gradient(numbers):
    assert abs(numbers.steepest_angle - numbers.against_gradient) <= 0.25  # half of what lies apart
    assert numbers.measured.min() == pytest.approx(-np.linalg.norm(numbers.gradient), rel=1e-4)
