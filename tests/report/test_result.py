"""Section 10: the report's run."""

import numpy as np
import pytest

from chainrule import Network, _report_run, report


@pytest.fixture(scope="module")
def numbers(mnist):
    return report.result(mnist)


def test_it_is_the_reports_network_and_number_of_steps(numbers):
    assert numbers.network.sizes == (784, 16, 16, 10)
    assert numbers.network.loss == "squared_error"
    assert numbers.network.activation == ("sigmoid", "sigmoid")
    assert numbers.network.steps_done == 51_419


def test_accuracy_is_at_least_the_reports(numbers):
    assert numbers.accuracy >= _report_run.ACCURACY


def test_numbers_agree_with_the_network(numbers, mnist):
    loss, accuracy = numbers.network.evaluate(*mnist.test)
    assert (numbers.loss, numbers.accuracy) == (loss, accuracy)
    assert numbers.confusion.sum() == 10_000
    assert np.trace(numbers.confusion) / 10_000 == accuracy
    assert numbers.confusion.sum(axis=1).tolist() == np.bincount(mnist.test.labels).tolist()
    assert 40 <= len(numbers.history) <= 61
    assert 0 < numbers.seconds < _report_run.SECONDS


def test_most_confidently_wrong(numbers, mnist):
    network = numbers.network
    assert (numbers.wrong_labels != numbers.wrong_predictions).all()
    assert network.classify(numbers.wrong_images).tolist() == numbers.wrong_predictions.tolist()
    outputs = network.predict(numbers.wrong_images).max(axis=1)
    assert outputs.tolist() == numbers.wrong_outputs.tolist()
    everything = network.predict(mnist.test.images)
    wrong = everything.argmax(axis=1) != mnist.test.labels
    assert sorted(everything[wrong].max(axis=1))[-len(outputs) :][::-1] == outputs.tolist()


def test_most_is_learned_in_the_first_tenth(numbers):
    """From 0.1, that of a guess, to what it is at the end."""
    accuracy = numbers.history.accuracy
    steps = numbers.history.steps
    tenth = next(i for i, step in enumerate(steps) if step >= steps[-1] / 10)
    assert numbers.after_a_tenth == accuracy[tenth]
    assert 5_000 < steps[tenth] < 6_100
    assert numbers.after_a_tenth - 0.1 > 0.8 * (accuracy[-1] - 0.1)


def test_points_of_the_curve_scatter_as_samples_do(numbers):
    pictures = np.diff([0, *numbers.history.steps])
    assert set(pictures[:-1]) == {numbers.history.steps[0]} == {857}
    p = np.mean(numbers.history.accuracy[-30:-1])
    assert numbers.chance == pytest.approx(np.sqrt(p * (1 - p) / 857), rel=0.05)
    # Over 29 points a standard deviation is off by some 13 %.
    assert 0.6 < numbers.scatter / numbers.chance < 1.5


def test_weights_of_pixels_without_ink_stay_where_they_began(numbers, mnist):
    blank = mnist.train.images.reshape(-1, 784).max(axis=0) == 0
    assert numbers.blank.tolist() == blank.tolist()
    assert blank.sum() == 67
    began = Network(
        _report_run.SIZES, initialization=_report_run.INITIALIZATION, seed=numbers.network.seed
    )
    first, last = (network.weights[0][:, blank] for network in (began, numbers.network))
    assert np.array_equal(first, last)
    assert numbers.blank_weight == np.abs(last).max()
    assert numbers.blank_weight < 0.05 * np.abs(numbers.network.weights[0]).max()
