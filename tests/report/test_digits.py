"""Section 1: the data."""

import numpy as np

from chainrule import report


def test_four_of_each_digit_row_by_row(mnist):
    numbers = report.digits(mnist)
    assert numbers.images.shape == (40, 28, 28)
    assert numbers.labels.tolist() == list(range(10)) * 4
    # Each is a training image, with its label.
    rows = [
        np.flatnonzero((mnist.train.images == image).all(axis=(1, 2))) for image in numbers.images
    ]
    assert all(len(found) for found in rows)
    labels = [mnist.train.labels[found[0]] for found in rows]
    assert labels == numbers.labels.tolist()


def test_counts(mnist):
    numbers = report.digits(mnist)
    assert (numbers.n_train, numbers.n_test) == (60_000, 10_000)
    assert numbers.train_counts.sum() == 60_000
    assert numbers.test_counts.tolist()[:2] == [980, 1135]
    assert 0.19 < numbers.ink < 0.2
    assert abs(numbers.pixel_mean - 0.1307) < 1e-4
