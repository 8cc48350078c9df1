"""Zeros of both signs, subnormals, underflow and overflow: the same bits on each path and set."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from exactness import emulator
from exactness.runs import DTYPES, PATHS, ROWS, SEED, SIZES, bits_of, fit, labels, make

from chainrule import SGD, DivergenceError

SETTINGS = [
    {"activation": "tanh"},
    {"activation": "relu", "momentum": 0.9},
    {"activation": "sigmoid", "l2": 1e-3, "loss": "binary_cross_entropy"},
    {"activation": "tanh", "momentum": 0.5, "l2": 1e-2},
]


def spread(draw, shape, dtype, large):
    """Mild numbers; among them zeros of both signs, subnormal, tiny and large ones."""
    info = np.finfo(dtype)
    mild, choice = draw.normal(size=shape) * 0.2, draw.random(shape)
    scales = [0.0, float(info.smallest_normal), float(info.eps) ** 2, large]
    rare = [choice < 0.08 * (i + 1) for i in range(len(scales))]
    return np.select(rare, [scale * mild for scale in scales], mild).astype(dtype)


@functools.cache
def start(dtype, large=50.0):
    """Inputs, weights and biases of all magnitudes; five inputs in six are a zero of some sign.

    Those of the first ten columns are subnormal, and so are the weights that they meet.
    """
    draw = np.random.Generator(np.random.Philox(SEED))
    smallest = np.finfo(dtype).smallest_normal
    x = spread(draw, (ROWS, SIZES[0]), dtype, large)
    x[:, :10] = draw.normal(size=(ROWS, 10)).astype(dtype) * (smallest / 8)
    dark = draw.random(x.shape) < 0.85
    x[dark] = np.where(draw.random(x.shape) < 0.5, -0.0, 0.0)[dark]
    shapes = list(zip(SIZES[1:], SIZES[:-1], strict=True))
    weights = [spread(draw, shape, dtype, large) for shape in shapes]
    weights[0][:, :10] = draw.normal(size=(SIZES[1], 10)).astype(dtype) * (smallest / 8)
    biases = [spread(draw, shape[0], dtype, large) for shape in shapes]
    for array in x, *weights:
        assert (np.signbit(array) & (array == 0)).any()
        assert is_subnormal(array).any()
    return x, weights, biases


def is_subnormal(array):
    return (array != 0) & (abs(array) < np.finfo(array.dtype).smallest_normal)


def network_of(dtype, path, settings, large=50.0):
    _, weights, biases = start(dtype, large)
    network = make(dtype, path, **settings)
    network.set_parameters(weights, biases)
    return network


def trained(dtype, path, batch_size, settings):
    """The bits of a network that was trained on a path from there, its outputs, its losses."""
    x = start(dtype)[0]
    network = network_of(dtype, path, settings)
    bits, history = fit(network, x, labels(), batch_size, settings)
    assert network.explain()["path"] == path
    return bits, network.predict(x).tobytes(), history.loss


@functools.cache
def judged(dtype, batch_size, index):
    """The same on the layered path with plain scalar arithmetic."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAINRULE_ISA", "portable")
        return trained(dtype, "layered", batch_size, SETTINGS[index])


@pytest.mark.parametrize("index", range(len(SETTINGS)), ids=lambda i: str(SETTINGS[i]))
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("path", "batch_size"), PATHS)
def test_extreme_numbers_give_the_same_bits(isa, path, batch_size, dtype, index):
    found = trained(dtype, path, batch_size, SETTINGS[index])
    assert found == judged(dtype, batch_size, index)


@functools.cache
def emulated(batch_size, index):
    settings = SETTINGS[index]
    x, *parameters = start("float32")
    return emulator.train(
        x,
        labels(),
        SIZES,
        seed=SEED,
        epochs=2,
        batch_size=batch_size,
        learning_rate=0.1,
        activation=settings["activation"],
        loss=settings.get("loss", "squared_error"),
        momentum=settings.get("momentum", 0.0),
        l2=settings.get("l2", 0.0),
        parameters=parameters,
    )


@pytest.mark.parametrize("index", range(len(SETTINGS)), ids=lambda i: str(SETTINGS[i]))
@pytest.mark.parametrize(("path", "batch_size"), PATHS)
def test_the_emulator_finds_the_bits_of_extreme_numbers(isa, path, batch_size, index):
    (parameters, _), _, losses = trained("float32", path, batch_size, SETTINGS[index])
    expected = emulated(batch_size, index)
    flat = [each.ravel() for pair in zip(*expected[:2], strict=True) for each in pair]
    found = np.frombuffer(parameters, np.float32)
    np.testing.assert_array_equal(emulator.bits(found), emulator.bits(np.concatenate(flat)))
    assert losses == expected.losses


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_subnormal_weights_move_and_stay_so(dtype, settings):
    """Else the tests above show little."""
    network = network_of(dtype, "layered", settings)
    first = network.weights[0]
    assert is_subnormal(network.trace(start(dtype)[0], labels())[0].dE_dW).any()
    fit(network, start(dtype)[0], labels(), 7, settings)
    moved = network.weights[0] != first
    assert (is_subnormal(first) & moved & is_subnormal(network.weights[0])).sum() > 20


# ---- overflow

BEYOND = [
    {"activation": "identity"},
    {"activation": "relu", "momentum": 0.9},
    {"activation": "identity", "l2": 0.5, "loss": "cross_entropy"},
]


@pytest.mark.parametrize("settings", BEYOND, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("path", "batch_size"), PATHS)
def test_overflow_ends_each_path_at_the_same_step(
    monkeypatch, isa, path, batch_size, dtype, settings
):
    said, large = [], float(np.finfo(dtype).max) ** 0.5
    for each, on in (path, isa), ("layered", "portable"):
        monkeypatch.setenv("CHAINRULE_ISA", on)
        x = start(dtype, large)[0]
        network = network_of(dtype, each, settings, large)
        before = bits_of(network)
        with pytest.raises(DivergenceError) as info:
            fit(network, x, labels(), batch_size, settings, epochs=3)
        explained = network.explain()
        assert (explained["path"], explained["isa"]) == (each, on)
        assert bits_of(network) == before
        said.append(str(info.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize(("path", "batch_size"), PATHS)
def test_a_fit_that_diverged_leaves_nothing_behind(path, batch_size, momentum):
    """An infinite r makes 0 times r NaN, in the padding of what an engine keeps, too."""
    rng = np.random.default_rng(SEED)
    x = np.where(rng.random((ROWS, 300)) < 0.8, 0, 200).astype(np.uint8)
    y = np.full((ROWS, 1), 100.0)
    settings = {"activation": "tanh", "path": path, "sizes": (300, 2, 1)}
    network, fresh = make(**settings), make(**settings)
    good = network.parameters
    # Two units that are alike: what they give cancels, and what comes back does not.
    first, last = rng.normal(size=300) * 0.1, [2.0**127, -(2.0**127)]
    network.set_flat_parameters(np.concatenate([first, first, np.zeros(2), last, [0]]))
    assert np.isnan(network.gradients(x[:batch_size], y[:batch_size]).weights[0]).any()
    how = {"steps": 3, "batch_size": batch_size, "optimizer": SGD(1e-3, momentum=momentum)}
    with pytest.raises(DivergenceError, match="layer 0"):
        network.fit(x, y, **how)
    assert network.explain()["path"] == path
    network.set_flat_parameters(good)
    assert network.fit(x, y, **how).loss == fresh.fit(x, y, **how).loss
    assert network.parameters.tobytes() == fresh.parameters.tobytes()
    assert network.explain() == fresh.explain()
