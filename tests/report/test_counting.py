"""Section 7: Eq. 8 counts what a network has."""

import numpy as np
import pytest

from chainrule import Network
from chainrule.report import _counting, _page, counting

SEVERAL = [(1, 1), (2, 16, 16, 1), (784, 16, 16, 10), (5, 1, 7, 1, 3), *_counting.OTHERS]


def test_the_network_of_the_report():
    found = counting()
    assert found.sizes == (784, 16, 16, 10)
    assert found.weights == (12_544, 256, 160)
    assert found.biases == (16, 16, 10)
    assert (sum(found.weights), sum(found.biases), found.total) == (12_960, 42, 13_002)


@pytest.mark.parametrize("sizes", SEVERAL, ids=str)
def test_a_network_has_as_many(sizes):
    found, network = counting(sizes), Network(sizes)
    assert found.total == network.n_parameters == network.parameters.size
    assert found.weights == tuple(W.size for W in network.weights)
    assert found.biases == tuple(b.size for b in network.biases)


def test_any_sizes(rng):
    for _ in range(50):
        sizes = rng.integers(1, 30, rng.integers(2, 6))
        network = Network(sizes)
        assert counting(sizes).total == network.parameters.size
        assert counting(sizes).total == np.sum((sizes[:-1] + 1) * sizes[1:])


@pytest.mark.parametrize("sizes", [(), (3,), (2, 0, 1), (2, -1), (2.5, 1), "21", 7, None])
def test_what_is_no_network_is_refused(sizes):
    with pytest.raises((TypeError, ValueError), match="sizes"):
        counting(sizes)


def test_most_parameters_lie_where_the_largest_layers_meet():
    for sizes in (_counting.counting().sizes, *_counting.OTHERS):
        found = counting(sizes)
        assert sum(found.weights) > 0.99 * found.total
        assert max(found.weights) > 0.5 * found.total


def test_section_tells_the_numbers():
    section = _counting.section(counting())
    pictures = dict(_page.draw([section]))
    assert list(pictures) == ["07-network"]
    text = _page.page([section], pictures, title="", subtitle="", introduction="", colophon="")
    for expected in ("12,960", ">42<", "13,002", "12,960 + 42 = 13,002", 'id="eq-8"'):
        assert expected in text
    for sizes in _counting.OTHERS:
        assert f"{Network(sizes).n_parameters:,d}" in text


def test_section_of_another_network():
    section = _counting.section(counting([2, 3, 1]))
    pictures = dict(_page.draw([section]))
    text = _page.page([section], pictures, title="", subtitle="", introduction="", colophon="")
    assert ">13<" in text
    assert "12,960" not in text
