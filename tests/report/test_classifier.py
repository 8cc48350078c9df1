"""Section 2: the students, the RMSE against its closed answer, and what scaling is for."""

import dataclasses

import numpy as np
import pytest

from chainrule import quadratic, report


@pytest.fixture(scope="module")
def numbers():
    return report.classifier(seed=0)


@pytest.mark.parametrize("seed", range(6))
def test_students_pass_most_often_at_four_hours_and_the_longest_listening(seed):
    numbers = report.classifier(seed=seed)
    hours, minutes = numbers.best
    assert hours == pytest.approx(4, abs=1)
    assert minutes == numbers.x[:, 1].max()


def test_more_of_them_pass_there_than_elsewhere(numbers):
    hours, minutes = numbers.x.T
    there = (np.abs(hours - 4) < 1.5) & (minutes > 60)
    assert numbers.passed[there].mean() > 0.6
    assert numbers.passed[~there].mean() < 0.3


@pytest.mark.parametrize("seed", range(6))
def test_rmse_comes_within_1_percent_of_the_closed_answer(seed):
    numbers = report.classifier(seed=seed)
    assert numbers.closed_rmse * (1 - 1e-12) <= numbers.rmse[-1] < 1.01 * numbers.closed_rmse
    assert (np.diff(numbers.rmse) <= 1e-15).all()
    assert (numbers.rmse[numbers.arrival :] <= 1.01 * numbers.closed_rmse).all()
    assert numbers.rmse[numbers.arrival - 1] > 1.01 * numbers.closed_rmse


def test_descent_starts_where_it_says_and_follows_equation_5(numbers):
    assert numbers.weights[0].tolist() == [0.0] * 6
    assert len(numbers.weights) == len(numbers.rmse) == numbers.steps + 1
    low, high = numbers.x.min(axis=0), numbers.x.max(axis=0)
    phi = quadratic.features((numbers.x - (low + high) / 2) / ((high - low) / 2))
    for step in (0, 10, 500):
        w, after = numbers.weights[step : step + 2]
        E = np.sqrt(np.mean((phi @ w - numbers.passed) ** 2))
        assert numbers.rmse[step] == pytest.approx(E, rel=1e-12)
        gradient = phi.T @ (phi @ w - numbers.passed) / (len(phi) * E)
        np.testing.assert_allclose(after, w - numbers.scaled.rate * gradient, rtol=1e-10)


def test_scaling_is_what_makes_the_rate_do(numbers):
    assert numbers.scaled.spread < 25
    assert numbers.raw.spread > 1e8
    assert numbers.scaled.rate < numbers.scaled.highest_rate
    assert numbers.raw.rate == pytest.approx(numbers.raw.highest_rate / 2)
    assert numbers.raw.highest_rate < 1e-6 * numbers.scaled.highest_rate
    # It goes down where it is steep, and is then stuck.
    assert 1.05 * numbers.closed_rmse < numbers.raw.rmse < 0.8 * numbers.rmse[0]


def test_it_tells_more_students_rightly_than_one_word_for_all(numbers):
    assert numbers.accuracy > numbers.majority + 0.05


def test_surface_is_f_over_the_data(numbers):
    assert numbers.surface.shape == (len(numbers.minutes), len(numbers.hours))
    for axis, values in enumerate((numbers.hours, numbers.minutes)):
        assert values[0] == numbers.x[:, axis].min()
        assert values[-1] == numbers.x[:, axis].max()
    rescaled = np.array([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])  # three corners
    corners = quadratic.features(rescaled) @ numbers.weights[-1]
    found = numbers.surface[[0, 0, -1], [0, -1, 0]]
    np.testing.assert_allclose(found, corners, rtol=1e-9)


def test_the_same_seed_gives_the_same_numbers(numbers):
    again, other = report.classifier(seed=0), report.classifier(seed=1)
    for field in dataclasses.fields(numbers):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(numbers, field.name))
    assert not np.array_equal(other.x, numbers.x)
