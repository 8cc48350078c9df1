"""Digits, and weights as pictures."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from plots.drawn import BLUE, VERMILION, texts

from chainrule import plots


def tiles(ax, n, shape, columns):
    """The pictures of a mosaic, found by the NaN around them, not by the arithmetic of the code."""
    array = ax.images[0].get_array().filled(np.nan)
    full = ~np.isnan(array)
    tops = starts(full.any(axis=1))
    lefts = starts(full.any(axis=0))
    assert len(lefts) == columns
    assert len(tops) == -(-n // columns)
    corners = [(top, left) for top in tops for left in lefts][:n]
    assert full.sum() == n * shape[0] * shape[1]
    return np.array([array[t : t + shape[0], a : a + shape[1]] for t, a in corners])


def starts(line):
    return np.flatnonzero(np.diff(np.r_[0, line.astype(int)]) == 1)


@pytest.mark.parametrize(
    ("n", "columns", "expected"), [(16, None, 4), (3, None, 3), (17, None, 5), (5, 2, 2)]
)
def test_weights_as_images(ax, rng, n, columns, expected):
    weights = rng.normal(size=(n, 20))
    plots.weights_as_images(weights, (5, 4), columns=columns, ax=ax)
    assert np.array_equal(tiles(ax, n, (5, 4), expected), weights.reshape(n, 5, 4))
    (image,) = ax.images
    most = np.abs(weights).max()
    assert image.get_clim() == (-most, most)
    assert [to_hex(image.to_rgba(v)) for v in (-most, most)] == [VERMILION, BLUE]
    assert min(image.to_rgba(0)) > 0.99
    assert texts(ax) == [str(i) for i in range(n)]
    (bar,) = ax.child_axes
    assert [text.get_text() for text in bar.get_xticklabels()] == [
        f"−{most:.2g}", "0", f"{most:.2g}",
    ]  # fmt: skip


def test_weights_that_are_all_zero(ax):
    plots.weights_as_images(np.zeros((2, 4)), (2, 2), ax=ax)
    assert ax.images[0].get_clim() == (-1, 1)


def test_digits(ax, rng):
    images = rng.integers(0, 256, (23, 6, 5), dtype=np.uint8)
    labels = np.arange(23) % 10
    plots.digits(images, labels, ax=ax)
    assert np.allclose(tiles(ax, 23, (6, 5), 10), images / 255, atol=0)
    (image,) = ax.images
    assert [to_hex(image.to_rgba(value)) for value in (0.0, 1.0)] == ["#ffffff", "#000000"]
    assert texts(ax) == [str(label) for label in labels]
    # Above its picture, and nearer to it than to any other.
    xs, ys = np.array([text.get_position() for text in ax.texts]).T
    assert len(set(xs)) == 10
    assert len(set(ys)) == 3
    assert xs[0] == 2


def test_digits_without_captions_and_of_floats(ax):
    images = np.linspace(0, 1, 2 * 9).reshape(2, 3, 3)
    plots.digits(images, ax=ax)
    assert np.array_equal(tiles(ax, 2, (3, 3), 2), images)
    assert texts(ax) == []


def test_digits_that_are_taken_for_others(ax):
    plots.digits(np.zeros((3, 4, 4)), [4, 7, 1], [9, 7, 2], [0.25, 0.875, 1.0], ax=ax)
    assert texts(ax) == ["4 as 9\n0.25", "7\n0.88", "1 as 2\n1.00"]
    wrong = [to_hex(text.get_color()) == VERMILION for text in ax.texts]
    assert wrong == [True, False, True]


def test_digits_with_predictions_alone(ax):
    plots.digits(np.zeros((2, 4, 4)), predictions=[9, 7], ax=ax)
    assert texts(ax) == ["9", "7"]
    assert VERMILION not in {to_hex(text.get_color()) for text in ax.texts}


def test_misclassified_are_the_surest_first(ax):
    images = np.arange(5)[:, None, None] / 4 * np.ones((3, 3))
    outputs = [[0.9, 0.1], [0.2, 0.7], [0.3, 0.8], [0.4, 0.3], [0.6, 0.7]]
    plots.misclassified(images, [1, 0, 1, 1, 0], outputs, count=3, ax=ax)
    assert texts(ax) == ["1 as 0\n0.90", "0 as 1\n0.70", "0 as 1\n0.70"]
    assert tiles(ax, 3, (3, 3), 3)[:, 0, 0].tolist() == [0, 0.25, 1]


def test_misclassified_of_a_network_that_is_right(ax):
    plots.misclassified(np.zeros((1, 3, 3)), [0], [[0.9, 0.1]], ax=ax)
    assert texts(ax) == ["none is taken for another"]
    assert list(ax.images) == []
