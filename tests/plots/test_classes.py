"""The confusion matrix, and the plane cut into classes."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex
from plots.drawn import BLUE, VERMILION, texts

from chainrule import Network, plots


def test_confusion_matrix(ax):
    counts = np.array([[50, 3, 0], [0, 40, 1], [7, 0, 30]])
    plots.confusion_matrix(counts, ax=ax)
    right, wrong = (image.get_array() for image in ax.images)
    assert right.compressed().tolist() == [50, 40, 30]
    assert wrong.compressed().tolist() == [3, 1, 7]
    assert np.array_equal(right.filled(0) + wrong.filled(0), counts)
    assert [image.get_clim() for image in ax.images] == [(0, 50), (0, 7)]
    assert [to_hex(image.to_rgba(50)) for image in ax.images] == [BLUE, VERMILION]
    written = {text.get_position()[::-1]: int(text.get_text()) for text in ax.texts}
    assert written == {(i, j): n for (i, j), n in np.ndenumerate(counts) if n}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["0", "1", "2"]


def test_confusion_matrix_counts(ax):
    plots.confusion_matrix(labels=[0, 0, 2, 1, 2], predictions=[0, 1, 2, 1, 0], ax=ax)
    right, wrong = (image.get_array().filled(0) for image in ax.images)
    assert (right + wrong).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]


def test_confusion_matrix_of_many_classes_has_no_numbers(ax):
    plots.confusion_matrix(np.eye(21, dtype=int), ax=ax)
    assert texts(ax) == []
    assert len(ax.get_xticks()) == 0


def test_numbers_stand_out_from_their_cells(ax):
    plots.confusion_matrix(np.arange(1, 101).reshape(10, 10), ax=ax)
    for text in ax.texts:
        column, row = text.get_position()
        cell = ax.images[0 if row == column else 1].to_rgba(int(text.get_text()))
        light, dark = sorted(map(luminance, (cell, mpl.colors.to_rgb(text.get_color()))))[::-1]
        assert (light + 0.05) / (dark + 0.05) > 3.8


def luminance(colour):
    """WCAG 2's relative luminance."""
    c = np.array(colour[:3])
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]


@pytest.mark.parametrize(
    ("sizes", "settings"),
    [([2, 4, 1], {}), ([2, 4, 2], {"loss": "cross_entropy"}), ([2, 5, 4], {"dtype": "float64"})],
)
def test_decision_regions(ax, rng, sizes, settings):
    network = Network(sizes, seed=2, **settings)
    network.set_flat_parameters(rng.normal(0, 3, network.n_parameters))
    x = rng.normal(size=(40, 2))
    y = np.arange(40) % max(2, sizes[-1])
    plots.decision_regions(network, x, y, resolution=30, ax=ax)
    (image,) = ax.images
    left, right, low, high = image.get_extent()
    assert left < x[:, 0].min() < x[:, 0].max() < right
    assert low < x[:, 1].min() < x[:, 1].max() < high
    across, up = np.linspace(left, right, 30), np.linspace(low, high, 30)
    for row, height in enumerate(up):
        points = np.stack([across, np.full(30, height)], axis=1)
        assert image.get_array()[row].tolist() == network.classify(points).tolist()
    assert image.origin == "lower"
    assert [line.get_label() for line in ax.lines] == [str(label) for label in np.unique(y)]
    for label, line in enumerate(ax.lines):
        assert np.array_equal(line.get_xydata(), x[y == label])
        assert to_hex(line.get_color()) == plots.PALETTE[label].lower()
    assert len({line.get_marker() for line in ax.lines}) == len(ax.lines)


def test_border_of_decision_regions_lies_where_the_output_is_one_half(ax):
    network = Network([2, 1], dtype="float64")
    network.set_parameters([[[1.0, 2.0]]], [[-0.5]])
    plots.decision_regions(network, [[-1.0, -1], [1, 1]], [[0], [1]], ax=ax)
    (border,) = ax.collections
    points = np.concatenate([path.vertices for path in border.get_paths()])
    assert len(points) > 10
    assert np.abs(points @ [1, 2] - 0.5).max() < 0.01


def test_decision_regions_of_one_class_have_no_border(ax):
    network = Network([2, 1])
    network.set_parameters([[[0.0, 0.0]]], [[1.0]])
    plots.decision_regions(network, [[0.0, 0.0]], [1], ax=ax)
    assert list(ax.collections) == []
    assert set(ax.images[0].get_array().ravel()) == {1}
