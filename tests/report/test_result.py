"""Section 10: the report's run."""

import numpy as np
import pytest

from chainrule import _report_run, report


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
    assert numbers.seconds > 0


def test_most_confidently_wrong(numbers, mnist):
    network = numbers.network
    assert (numbers.wrong_labels != numbers.wrong_predictions).all()
    assert network.classify(numbers.wrong_images).tolist() == numbers.wrong_predictions.tolist()
    outputs = network.predict(numbers.wrong_images).max(axis=1)
    assert outputs.tolist() == numbers.wrong_outputs.tolist()
    everything = network.predict(mnist.test.images)
    wrong = everything.argmax(axis=1) != mnist.test.labels
    assert sorted(everything[wrong].max(axis=1))[-len(outputs) :][::-1] == outputs.tolist()
