"""Section 6: the sigmoid's derivative is its slope; layers without activation are one matrix."""

import math
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from chainrule import Network
from chainrule.report import _neuron, _page, neuron
from chainrule.report._section import Plot, scientific

SEEDS = range(5)


@pytest.fixture(scope="module", params=SEEDS)
def numbers(request):
    return neuron(seed=request.param)


def test_one_neuron_by_hand(numbers):
    (W,), (b,) = numbers.network.weights, numbers.network.biases
    z = sum(w * a for w, a in zip(W[0], numbers.inputs, strict=True)) + b[0]  # Eq. 6
    assert numbers.z == pytest.approx(z, rel=1e-15, abs=1e-15)
    assert numbers.a == pytest.approx(1 / (1 + math.exp(-z)), rel=1e-14)  # Eq. 7
    assert b[0] != 0


def test_sigmoid_and_its_derivative(numbers):
    z = numbers.curve_z
    assert (z[0], z[-1]) == (-6, 6)
    np.testing.assert_allclose(numbers.sigmoid, 1 / (1 + np.exp(-z)), rtol=1e-14)
    np.testing.assert_allclose(numbers.derivative, np.exp(-z) / (1 + np.exp(-z)) ** 2, rtol=1e-13)
    slope = np.gradient(numbers.sigmoid, z)
    assert np.abs(numbers.derivative - slope)[1:-1].max() < (z[1] - z[0]) ** 2
    # STEP**2 / 6 times the third derivative, at most 1/8, and rounding: eps / STEP.
    assert 0 < numbers.derivative_error < _neuron.STEP**2 / 48 + _neuron.EPSILON / _neuron.STEP


def test_derivative_is_a_hill(numbers):
    middle = len(numbers.curve_z) // 2
    assert numbers.curve_z[middle] == 0
    assert numbers.derivative[middle] == numbers.derivative.max() == 0.25
    assert (np.diff(numbers.derivative[: middle + 1]) > 0).all()
    assert (np.diff(numbers.derivative[middle:]) < 0).all()
    assert numbers.derivative[-1] < 0.003


def test_tanh_is_the_sigmoid_stretched(numbers):
    stretched = 2 / (1 + np.exp(-2 * numbers.curve_z)) - 1
    np.testing.assert_allclose(np.tanh(numbers.curve_z), stretched, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("seed", SEEDS)
def test_layers_without_activation_are_one_matrix(monkeypatch, backend, seed):
    monkeypatch.setenv("CHAINRULE_BACKEND", backend)
    found = neuron(seed=seed)
    assert found.network.backend == backend
    assert found.sizes == (784, 16, 16, 10)
    assert found.matrix.shape == (10, 784)
    assert found.difference <= found.bound
    # Far within that bound: rounding goes either way and mostly cancels.
    assert found.epsilons < 50
    assert found.plain.epsilons < 50
    assert found.bound < 1e-9 * found.scale


def test_sigmoids_are_not(numbers):
    assert numbers.bent.middle > 1e-4 * numbers.bent.scale
    assert numbers.bent.epsilons > 1e11


def test_another_matrix_is_seen(numbers):
    """The comparison can fail: a change in the last digits of one weight is above the bound."""
    network = Network([3, 4, 2], activation="identity", output_activation="identity",
                      dtype="float64", seed=2)  # fmt: skip
    x = np.random.default_rng(0).uniform(0, 1, (50, 3))
    matrix, bias = _neuron._one_layer(network)
    np.testing.assert_array_equal(bias, 0)
    bound = _neuron._bound(network, x)
    assert np.abs(network.predict(x) - x @ matrix.T).max() <= bound
    matrix[1, 2] *= 1 + 1e-12
    assert np.abs(network.predict(x) - x @ matrix.T).max() > bound


def test_one_layer_has_the_biases_of_all():
    network = Network([2, 2, 1], activation="identity", output_activation="identity")
    network.set_parameters([[[1, 2], [3, 4]], [[5, 6]]], [[7, 8], [9]])
    matrix, bias = _neuron._one_layer(network)
    assert matrix.tolist() == [[5 * 1 + 6 * 3, 5 * 2 + 6 * 4]]
    assert bias.tolist() == [5 * 7 + 6 * 8 + 9]


def test_drawing_shows_the_numbers_of_the_text(numbers):
    section = _neuron.section(numbers)
    figure = Figure()
    next(block for block in section.blocks if isinstance(block, Plot)).panels[0].draw(figure)
    (ax,) = figure.axes
    drawn = " ".join(text.get_text() for text in ax.texts)
    told = re.findall(r'<span class="n">([^<]*)</span>', _neuron._example(numbers))
    assert len(told) == 3 + 3 + 3
    for value in told:
        assert value in drawn.split()
    assert len(re.findall(r"x = ", drawn)) == 3
    assert ax.get_xticklabels()[0].get_text() == "3\ninputs"


def test_section_tells_the_numbers(numbers):
    section = _neuron.section(numbers)
    pictures = dict(_page.draw([section]))
    assert list(pictures) == ["06-neuron-unit", "06-neuron-sigmoid"]
    text = _page.page([section], pictures, title="", subtitle="", introduction="", colophon="")
    assert f"{numbers.z:.3g}".replace("-", "−") in text
    assert f"{numbers.a:.3g}" in text
    assert scientific(numbers.difference) in text
    assert scientific(numbers.bent.epsilons) in text
    for equation in (6, 7):
        assert f'id="eq-{equation}"' in text
    assert "Fig. 7 of the report" in text
