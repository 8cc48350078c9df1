"""Section 9: the chain rule in numbers, and two forms of backpropagation that agree."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from chainrule import Network, plots, report
from chainrule.report import _backpropagation, _page, _section


@pytest.fixture(params=["rust", "numpy"])
def engine(request, monkeypatch):
    monkeypatch.setenv("CHAINRULE_BACKEND", request.param)
    return request.param


@pytest.fixture(scope="module")
def numbers():
    return report.backpropagation()


def test_composed_function(numbers):
    """d/dx sin(x^2) = 2x cos(x^2)."""
    composed = numbers.composed
    assert (composed.u, composed.y) == (composed.x**2, math.sin(composed.x**2))
    assert (composed.du_dx, composed.dy_du) == (2 * composed.x, math.cos(composed.u))
    assert composed.by_rule == pytest.approx(2 * composed.x * math.cos(composed.x**2), rel=1e-15)
    assert abs(composed.by_rule) > 1
    assert composed.by_differences == pytest.approx(composed.by_rule, rel=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_recursion_is_the_matrix_form(engine, seed):
    numbers = report.backpropagation(seed=seed)
    chain = numbers.chain
    assert chain.network.sizes == (1, 1, 1, 1)
    assert (chain.network.backend, chain.network.dtype) == (engine, np.float64)
    assert len(numbers.neurons) == len(chain.trace) == 3
    differences = [
        abs(getattr(neuron, symbol) - getattr(layer, symbol).item())
        for neuron, layer in zip(numbers.neurons, chain.trace, strict=True)
        for symbol in ("z", "a", "r", "dE_da", "dE_dW", "dE_db")
    ]
    assert len(differences) == 18
    assert max(differences) == numbers.largest_difference <= 1e-12
    assert min(abs(neuron.r) for neuron in numbers.neurons) > 1e-5


def test_recursion_by_hand():
    """With w = 0 above, nothing comes back; sigma(0) = 1/2 and sigma'(0) = 1/4."""
    first, second = _backpropagation.recursion([2.0, 0.0], [-1.0, 0.0], 0.5, 0.0)
    assert first == (0.0, 0.5, 0.0, 0.0, 0.0, 0.0)
    assert second == (0.0, 0.5, 0.25, 1.0, 0.125, 0.25)


@pytest.mark.parametrize("seed", range(8))
def test_gradients_are_the_numerical_ones(engine, seed):
    numbers = report.backpropagation(seed=seed)
    for traced in (numbers.chain, numbers.network):
        assert 0 < traced.numerical_error < 1e-7
        found = traced.network.gradients(traced.x[None], traced.y[None])
        assert traced.loss == found.loss
        for W, b, layer in zip(found.weights, found.biases, traced.trace, strict=True):
            np.testing.assert_allclose(layer.dE_dW[0], W, rtol=1e-14, atol=0)
            np.testing.assert_allclose(layer.dE_db[0], b, rtol=1e-14, atol=0)


def test_symbols_of_the_network_obey_equation_24(numbers):
    traced = numbers.network
    assert traced.network.sizes == (2, 3, 2)
    below = traced.x
    for layer, W, b in zip(
        traced.trace, traced.network.weights, traced.network.biases, strict=True
    ):
        z, a, r, dE_da, dE_dW, dE_db = (array[0] for array in layer)
        np.testing.assert_allclose(z, W @ below + b, rtol=1e-14)
        np.testing.assert_allclose(r, a * (1 - a) * dE_da, rtol=1e-14)
        np.testing.assert_allclose(dE_dW, np.outer(r, below), rtol=1e-14)
        np.testing.assert_array_equal(dE_db, r)
        below = a
    np.testing.assert_allclose(traced.trace[-1].dE_da[0], 2 * (below - traced.y), rtol=1e-14)
    for (lower, upper), W in zip(pairwise(traced.trace), traced.network.weights[1:], strict=True):
        np.testing.assert_allclose(lower.dE_da[0], W.T @ upper.r[0], rtol=1e-13)


def test_parameters_are_short_enough_to_compute_along(numbers):
    for traced in (numbers.chain, numbers.network):
        for value in (*traced.network.parameters, *traced.x):
            assert value == round(value, 1)
        assert all((np.abs(W) >= 0.6).all() for W in traced.network.weights)


def test_all_comes_from_the_seed():
    first, again, other = (report.backpropagation(seed=seed) for seed in (1, 1, 2))
    assert first.neurons == again.neurons
    assert first.network.network.fingerprint() == again.network.network.fingerprint()
    assert first.neurons != other.neurons
    assert first.network.network.fingerprint() != other.network.network.fingerprint()


# ---- the page


def test_section_is_drawn(numbers):
    section = _backpropagation.section(numbers)
    assert (section.number, section.anchor) == (9, "backpropagation")
    pictures = dict(_page.draw([section]))
    assert list(pictures) == [
        "09-chain-forward", "09-chain-backward", "09-forward", "09-backward",
    ]  # fmt: skip
    blocks = section.blocks
    assert [block.figure for block in blocks if isinstance(block, _section.Plot)] == [8, 9, 10]
    equations = [block.equation for block in blocks if isinstance(block, _section.Formula)]
    assert equations == [10, 11, 12, 13, 14, 24]
    html = _page.page([section], pictures, title="t", subtitle="s", introduction="", colophon="")
    assert [html.count(f'id="eq-{number}"') for number in sorted({*equations})] == [1] * 6


def shown(cells):
    text = re.sub("<[^>]*>", "", " ".join(cells)).replace("−", "-")
    return [float(number) for number in text.split()]


def test_both_forms_stand_side_by_side(numbers):
    forward, backward = (
        block
        for block in _backpropagation.section(numbers).blocks
        if isinstance(block, _section.Table) and block.head[:2] == ["layer", "by"]
    )
    # Under their symbols: z and a; dE/da, r = dE/db, dE/dW.
    for table, names in ((forward, ("z", "a")), (backward, ("dE_da", "r", "dE_dW"))):
        assert len(table.head) == 2 + len(names)
        assert len(table.rows) == 6
        for neuron, by_numbers, by_matrices in zip(
            numbers.neurons, table.rows[::2], table.rows[1::2], strict=True
        ):
            assert by_numbers[1:2] + by_matrices[1:2] == ["numbers", "matrices"]
            assert by_numbers[2:] == by_matrices[2:]
            expected = [getattr(neuron, name) for name in names]
            assert shown(by_numbers[2:]) == pytest.approx(expected, abs=6e-6)


def test_every_symbol_of_the_network_is_shown(numbers):
    forward, backward = (
        block
        for block in _backpropagation.section(numbers).blocks
        if isinstance(block, _section.Table) and block.head[:2] == ["layer", "neuron"]
    )
    trace = numbers.network.trace
    places = [[1, 1], [1, 2], [1, 3], [2, 1], [2, 2]]
    for place, ahead, back in zip(places, forward.rows, backward.rows, strict=True):
        layer, i = trace[place[0] - 1], place[1] - 1
        expected = [*place, layer.z[0, i], layer.a[0, i]]
        assert shown(ahead) == pytest.approx(expected, abs=6e-5)
        expected = [*place, layer.dE_da[0, i], layer.r[0, i], *layer.dE_dW[0, i]]
        assert shown(back) == pytest.approx(expected, abs=6e-5)


def drawn(traced, direction):
    """What stands in the units, and at the lines, of a drawing of both."""
    ax = plots.network_drawing(
        traced.network,
        sample=(traced.x, traced.y),
        parameters=True,
        direction=direction,
        ax=Figure().add_subplot(),
    )
    units = sum(traced.network.sizes)
    written = [text.get_text().replace("−", "-") for text in ax.texts]
    inside = [
        {name: float(value) for name, value in re.findall(r"(\w) =\s(\S+)", text)}
        for text in written[:units]
    ]
    return inside[traced.network.sizes[0] :], [float(text) for text in written[units:]]


@pytest.mark.parametrize("name", ["chain", "network"])
def test_graph_forward_shows_w_b_z_and_a(numbers, name):
    traced = getattr(numbers, name)
    inside, lines = drawn(traced, "forward")
    expected = [
        {"b": b[i], "z": layer.z[0, i], "a": layer.a[0, i]}
        for b, layer in zip(traced.network.biases, traced.trace, strict=True)
        for i in range(len(b))
    ]
    for found, right in zip(inside, expected, strict=True):
        assert found == pytest.approx(right, rel=5e-3)
    assert lines == pytest.approx(np.concatenate([W.ravel() for W in traced.network.weights]))


@pytest.mark.parametrize("name", ["chain", "network"])
def test_graph_backward_shows_r_and_its_products(numbers, name):
    traced = getattr(numbers, name)
    inside, lines = drawn(traced, "backward")
    expected = [{"r": r} for layer in traced.trace for r in layer.r[0]]
    for found, right in zip(inside, expected, strict=True):
        assert found == pytest.approx(right, rel=5e-3)
    dE_dW = np.concatenate([layer.dE_dW.ravel() for layer in traced.trace])
    assert lines == pytest.approx(dE_dW, rel=5e-3)


def test_graph_backward_needs_a_sample():
    with pytest.raises(ValueError, match="needs a sample"):
        plots.network_drawing(Network([2, 1]), direction="backward")


@pytest.mark.parametrize("name", ["09-chain", "09-forward", "09-backward"])
@pytest.mark.parametrize("seed", range(4))
def test_numbers_in_the_graphs_do_not_overlap(seed, name):
    section = _backpropagation.section(report.backpropagation(seed=seed))
    plot = next(b for b in section.blocks if isinstance(b, _section.Plot) and b.name == name)
    for panel in plot.panels:
        with plots.style():
            figure = Figure(figsize=panel.size, layout="constrained")
            panel.draw(figure)
            figure.draw_without_rendering()
        (ax,) = figure.axes
        assert min(text.get_fontsize() for text in ax.texts) >= 9
        # Of a number at a line the letters count, not the white below them.
        boxes = [
            (text.get_bbox_patch() if "=" in text.get_text() else text).get_window_extent()
            for text in ax.texts
        ]
        whole = figure.bbox
        for i, box in enumerate(boxes):
            assert whole.x0 <= box.x0 < box.x1 <= whole.x1
            assert whole.y0 <= box.y0 < box.y1 <= whole.y1
            assert not any(box.overlaps(other) for other in boxes[:i])


def pieces(start, end, boxes):
    """Lengths in pixels of what boxes leave of a line."""
    along = np.linspace(start, end, 2001)
    free = np.ones(len(along), bool)
    for box in boxes:
        free &= ~((along >= [box.x0, box.y0]) & (along <= [box.x1, box.y1])).all(axis=1)
    ends = np.flatnonzero(np.diff(np.r_[False, free, False].astype(int)))
    return np.diff(ends)[::2] * np.hypot(*(end - start)) / 2000


@pytest.mark.parametrize("name", ["09-chain", "09-forward", "09-backward"])
@pytest.mark.parametrize("seed", range(4))
def test_lines_keep_clear_of_the_numbers_on_them(seed, name):
    """Of each line a good piece is seen on either side of its number, and no minus touches it."""
    section = _backpropagation.section(report.backpropagation(seed=seed))
    plot = next(b for b in section.blocks if isinstance(b, _section.Plot) and b.name == name)
    for panel in plot.panels:
        with plots.style():
            figure = Figure(figsize=panel.size, layout="constrained")
            panel.draw(figure)
            figure.draw_without_rendering()
        (ax,) = figure.axes
        point = figure.dpi / 72
        units = [t.get_bbox_patch().get_window_extent() for t in ax.texts if "=" in t.get_text()]
        numbers = [t for t in ax.texts if "=" not in t.get_text()]
        lines = [line for each in ax.collections for line in each.get_segments()]
        assert {style[1] for each in ax.collections for style in each.get_linestyles()} == {None}
        for text, line in zip(numbers, lines, strict=True):
            white, letters = text.get_bbox_patch().get_window_extent(), text.get_window_extent()
            assert letters.x0 - white.x0 >= 3 * point
            assert white.x1 - letters.x1 >= 3 * point
            _, start, end, _ = ax.transData.transform(line)
            before, after = pieces(start, end, [white, *units])
            assert min(before, after) >= 4 * point
