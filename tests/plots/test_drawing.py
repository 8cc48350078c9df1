"""The graph of a network."""

import re

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from plots.drawn import BLUE, VERMILION, texts

from chainrule import Network, plots


def edges(ax):
    """For each layer of weights: segments (n, 2, 2), colours, widths."""
    return [
        (
            np.array(each.get_segments()),
            [to_hex(c) for c in each.get_colors()],
            each.get_linewidths(),
        )
        for each in ax.collections
        if isinstance(each, LineCollection)
    ]


def test_network_drawing(ax, ours):
    plots.network_drawing(ours, ax=ax)
    places = np.array([unit.center for unit in ax.patches])
    columns = np.unique(places[:, 0])
    assert [int(np.sum(places[:, 0] == x)) for x in columns] == [2, 3, 2]
    for (segments, colours, widths), weights, x in zip(
        edges(ax), ours.weights, columns, strict=False
    ):
        n_out, n_in = weights.shape
        source = np.sort(places[places[:, 0] == x, 1])[::-1]
        for k, (segment, colour, width) in enumerate(zip(segments, colours, widths, strict=True)):
            target, origin = divmod(k, n_in)
            assert segment[0].tolist() == [x, source[origin]]
            weight = weights[target, origin]
            assert colour == (BLUE if weight >= 0 else VERMILION)
            assert width == pytest.approx(2.2 * abs(weight) / np.abs(weights).max())
        assert len(segments) == n_in * n_out
        assert len(np.unique(segments[:, 1], axis=0)) == n_out
    assert [text.get_text() for text in ax.get_xticklabels()] == [
        "2\ninputs", "3\nsigmoid", "2\nsigmoid",
    ]  # fmt: skip
    assert len(ax.get_legend().get_texts()) == 2


def test_network_drawing_leaves_units_out(ax, rng):
    network = Network([100, 12, 13])
    network.set_flat_parameters(rng.normal(size=network.n_parameters))
    plots.network_drawing(network, most=12, ax=ax)
    assert len(ax.patches) == 10 + 12 + 10
    dots = [each for each in ax.collections if not isinstance(each, LineCollection)]
    assert [len(each.get_offsets()) for each in dots] == [3, 3]
    first, second = edges(ax)
    weights = network.weights[0]
    shown = weights[:, [0, 1, 2, 3, 4, 95, 96, 97, 98, 99]]
    expected = 2.2 * np.abs(shown) / np.abs(weights).max()
    assert np.allclose(first[2], expected.ravel())
    assert len(second[0]) == 12 * 10


def test_network_drawing_of_sizes(ax):
    plots.network_drawing(iter([3, 2]), ax=ax)
    assert len(ax.patches) == 5
    (segments, colours, _) = edges(ax)[0]
    assert len(segments) == 6
    assert len(set(colours)) == 1
    assert ax.get_legend() is None
    assert [text.get_text() for text in ax.get_xticklabels()] == ["3", "2"]


def test_network_drawing_of_zero_weights(ax):
    network = Network([2, 1])
    network.set_flat_parameters([0, 0, 0])
    plots.network_drawing(network, ax=ax)
    assert set(edges(ax)[0][2]) == {0}


def numbers(ax):
    """The numbers in each text by their symbols, as written."""
    return [
        {name: float(value.replace("−", "-")) for name, value in re.findall(r"(\w) =\s(\S+)", text)}
        for text in texts(ax)
    ]


@pytest.mark.parametrize("label", [1, [0.25, 0.75]])
def test_network_drawing_shows_the_trace(ax, ours, label):
    x = [0.5, -1.0]
    plots.network_drawing(ours, sample=(x, label), ax=ax)
    found = numbers(ax)
    assert found[:2] == [{"x": 0.5}, {"x": -1.0}]
    expected = [
        {"z": layer.z[0, i], "a": layer.a[0, i], "r": layer.r[0, i]}
        for layer in ours.trace([x], [label])
        for i in range(layer.z.shape[1])
    ]
    assert len(found[2:]) == len(expected) == 5
    for ours_, theirs in zip(found[2:], expected, strict=True):
        assert ours_ == pytest.approx(theirs, rel=5e-3)


def test_network_drawing_of_pixels(ax):
    plots.network_drawing(Network([2, 1]), sample=(np.array([0, 255], np.uint8), 1.0), ax=ax)
    assert numbers(ax)[:2] == [{"x": 0.0}, {"x": 1.0}]


def test_network_drawing_shows_weights_and_biases(ax, ours):
    plots.network_drawing(ours, parameters=True, ax=ax)
    assert texts(ax)[:2] == ["x0", "x1"]
    biases = [each["b"] for each in numbers(ax)[2:7]]
    assert biases == pytest.approx(np.concatenate(ours.biases), rel=5e-3)
    written = [float(text.replace("−", "-")) for text in texts(ax)[7:]]
    weights = np.concatenate([each.ravel() for each in ours.weights])
    assert written == pytest.approx(weights, rel=5e-3)
    # Each on its line, all of a layer equally far apart.
    segments = np.concatenate([each[0] for each in edges(ax)])
    places = np.array([text.get_position() for text in ax.texts[7:]])
    for (_, start, end, _), place in zip(segments, places, strict=True):
        part = (place[0] - start[0]) / (end[0] - start[0])
        assert np.allclose(start + part * (end - start), place)
    for layer in (places[:6], places[6:]):
        assert np.allclose(np.diff(np.sort(layer[:, 1])), np.diff(np.sort(layer[:, 1]))[0])
