"""Training by the Rust engine, judged to the bit by an emulator that has no fused multiply-add."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from exactness import emulator

from chainrule import SGD, Linear, Network, training

F = np.float32
SEED = 11
EPOCHS = 2

SIZES = [(3, 4, 2), (20, 7, 5), (300, 5, 3)]
# Rows a batch, and rows: the last batch of an epoch is shorter, and a batch of 300 is two blocks.
BATCHES = [(1, 9), (7, 31), (300, 310)]
# Hidden activation, output activation, loss, what y is.
FUNCTIONS = [
    ("sigmoid", "sigmoid", "squared_error", "labels"),
    ("tanh", "softmax", "cross_entropy", "labels"),
    ("relu", "sigmoid", "binary_cross_entropy", "targets"),
    ("sigmoid", "identity", "squared_error", "targets"),
    ("relu", "softmax", "cross_entropy", "targets"),
    ("tanh", "tanh", "squared_error", "targets"),
    ("identity", "softmax", "squared_error", "labels"),
    ("tanh", "relu", "squared_error", "targets"),
    ("sigmoid", "sigmoid", "binary_cross_entropy", "labels"),
]
# Momentum, l2, whether the rate falls; and how the weights are drawn.
SETTINGS = [
    (0.0, 0.0, False, "glorot_uniform"),
    (0.9, 0.0, True, "he_uniform"),
    (0.0, 1e-2, True, "lecun_uniform"),
    (0.5, 1e-3, False, "glorot_uniform"),
]
# Each setting with each pair of shapes; the functions take turns.
CASES = [
    (*shapes, FUNCTIONS[(i + i // 9) % 9], setting)
    for i, (setting, shapes) in enumerate(
        itertools.product(SETTINGS, itertools.product(SIZES, BATCHES))
    )
]


def name(case):
    sizes, (batch_size, _), (activation, output, loss, kind), (momentum, l2, falls, _) = case
    shape = "-".join(map(str, sizes))
    rate = "falling" if falls else "constant"
    return f"{shape}-by-{batch_size}-{activation}-{output}-{loss}-{kind}-{momentum}-{l2}-{rate}"


@functools.cache
def rows_for(sizes, rows, kind, loss):
    """Inputs of float32, and what they should become."""
    draw = np.random.Generator(np.random.Philox(SEED))
    x = draw.normal(size=(rows, sizes[0])).astype(F)
    x[draw.random(x.shape) < 0.2] = 0
    if kind == "labels":
        return x, draw.integers(0, sizes[-1], rows)
    y = draw.uniform(0.05, 0.95, (rows, sizes[-1]))
    if loss == "cross_entropy":
        y /= y.sum(axis=1, keepdims=True)
    return x, y.astype(F)


def rates(case):
    """What `fit` is given, and the rates of its steps as rule 14 has them."""
    _, (batch_size, rows), _, (_, _, falls, _) = case
    steps = EPOCHS * -(-rows // batch_size)
    if not falls:
        return 0.3, [0.3] * steps
    return Linear(0.3, 0.1), [0.3 + (0.1 - 0.3) * (t / steps) for t in range(steps)]


@functools.cache
def emulated(case):
    """The emulator is slow, and the same for each instruction set."""
    sizes, (batch_size, rows), (activation, output, loss, kind), setting = case
    momentum, l2, _, initialization = setting
    return emulator.train(
        *rows_for(sizes, rows, kind, loss),
        sizes,
        seed=SEED,
        epochs=EPOCHS,
        batch_size=batch_size,
        learning_rate=rates(case)[1],
        activation=activation,
        output_activation=output,
        loss=loss,
        initialization=initialization,
        momentum=momentum,
        l2=l2,
    )


def fitted(case, isa, x, y, dtype):
    """The network of a case, trained on an instruction set that is already chosen, and history."""
    sizes, (batch_size, _), (activation, output, loss, _), setting = case
    momentum, l2, _, initialization = setting
    network = Network(
        sizes,
        activation=activation,
        output_activation=output,
        loss=loss,
        initialization=initialization,
        seed=SEED,
        dtype=dtype,
        backend="rust",
    )
    drawn = network.weights
    history = network.fit(
        x,
        y,
        epochs=EPOCHS,
        batch_size=batch_size,
        optimizer=SGD(rates(case)[0], momentum=momentum),
        l2=l2,
    )
    assert network.explain()["isa"] == isa
    for before, after in zip(drawn, network.weights, strict=True):
        assert (before != after).any()
    return network, history


@pytest.mark.parametrize("case", CASES, ids=name)
def test_the_emulator_trains_to_the_same_bits(isa, case):
    sizes, (_, rows), (_, _, loss, kind), _ = case
    network, history = fitted(case, isa, *rows_for(sizes, rows, kind, loss), "float32")
    expected = emulated(case)
    for after, wanted in zip(network.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(emulator.bits(after), emulator.bits(wanted))
    for after, wanted in zip(network.biases, expected.biases, strict=True):
        assert after.any()
        np.testing.assert_array_equal(emulator.bits(after), emulator.bits(wanted))
    assert history.loss == expected.losses


def test_the_cases_cover_each_name():
    """The turns that the functions take leave none out."""
    assert {case[2] for case in CASES} == set(FUNCTIONS)
    assert {each for case in FUNCTIONS for each in case[:2]} == set(emulator.ACTIVATIONS)


# ---- the same bits however they are computed


DTYPES = ["float32", "float64"]


def make(dtype="float32", sizes=(20, 9, 5), **settings):
    return Network(sizes, activation="tanh", dtype=dtype, seed=SEED, backend="rust", **settings)


def data(rows=300, n_in=20, n_out=5):
    draw = np.random.Generator(np.random.Philox(SEED))
    return draw.normal(size=(rows, n_in)).astype(F), draw.integers(0, n_out, rows)


def bits_of(network):
    """Parameters and what the optimiser keeps."""
    parameters, vectors = network._engine.state()
    return parameters.tobytes(), {name: vector.tobytes() for name, vector in vectors.items()}


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_alone_is_the_row_of_a_batch(isa, dtype):
    network = make(dtype, sizes=(300, 17, 5), output_activation="softmax")
    x, y = data(n_in=300)
    x = x.astype(dtype)
    together = network.predict(x)
    assert network.explain() == {**network.explain(), "isa": isa, "path": "layered sparse"}
    assert len({row.tobytes() for row in together}) == len(x)
    alone = np.concatenate([network.predict(x[i : i + 1]) for i in range(len(x))])
    assert network.explain() == {**network.explain(), "isa": isa, "path": "online"}
    assert alone.tobytes() == together.tobytes()
    some = np.concatenate(
        [network.predict(x[:3]), network.predict(x[3:290]), network.predict(x[290:])]
    )
    assert some.tobytes() == together.tobytes()
    total = 0.0  # a loop: Python's own sum of floats is not plain additions
    for i in range(len(x)):
        total += network.evaluate(x[i : i + 1], y[i : i + 1]).loss
    assert network.evaluate(x, y).loss == total / len(x)
    for whole, row in zip(network.trace(x, y), network.trace(x[270:271], y[270:271]), strict=True):
        for array, single in zip(whole, row, strict=True):
            assert array[270:271].tobytes() == single.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_size", [1, 7, 270])
def test_slices_change_no_bit(isa, dtype, batch_size, monkeypatch):
    x, y = data()
    results, counts = [], []
    for seconds, work in (0.0, 1), (1e12, 2**60):
        monkeypatch.setattr(training, "SLICE_SECONDS", seconds)
        monkeypatch.setattr(training, "SLICE_MULTIPLICATIONS", work)
        network = make(dtype)
        drawn, calls = bits_of(network), count_calls(network)
        history = network.fit(
            x,
            y,
            epochs=2,
            batch_size=batch_size,
            optimizer=SGD(Linear(0.3), momentum=0.5),
            l2=0.01,
            record_every=11,
        )
        path = {1: "online", 7: "few rows", 270: "layered"}[batch_size]
        assert network.explain() == {**network.explain(), "isa": isa, "path": path}
        outputs = network.predict(x).tobytes()
        assert bits_of(network) != drawn
        results.append((bits_of(network), history.loss, history.accuracy, outputs))
        counts.append(len(calls))
    assert results[0] == results[1]
    assert counts[0] > counts[1]


def count_calls(network):
    """A list that grows with each call of the engine's train and predict."""
    calls, engine = [], network._engine

    class Counting:
        def __getattr__(self, name):
            if name in {"train", "predict"}:
                calls.append(name)
            return getattr(engine, name)

    network._engine = Counting()
    return calls


@pytest.mark.parametrize("dtype", DTYPES)
def test_pixels_are_the_same_values(isa, dtype):
    draw = np.random.Generator(np.random.Philox(SEED))
    pixels = draw.integers(0, 256, (40, 20), np.uint8)
    values = pixels.astype(dtype) / np.dtype(dtype).type(255)
    y = data(40)[1]
    results = []
    for x in pixels, values:
        network = make(dtype)
        history = network.fit(x, y, epochs=2, batch_size=7, learning_rate=0.5)
        assert network.explain() == {**network.explain(), "isa": isa, "path": "few rows"}
        results.append((bits_of(network), history.loss, network.predict(x).tobytes()))
    assert results[0] == results[1]
    assert results[0][0] != bits_of(make(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_stopped_and_resumed_is_run_through(isa, dtype, momentum, tmp_path):
    x, y = data(100)

    def fit(network, epochs):
        optimizer = SGD(0.1, momentum=momentum)
        return network.fit(x, y, epochs=epochs, batch_size=7, optimizer=optimizer, l2=0.01).loss

    through = make(dtype)
    losses = fit(through, 4)
    resumed = make(dtype)
    found = fit(resumed, 1)
    resumed.save(tmp_path / "stopped")
    resumed = Network.load(tmp_path / "stopped", backend="rust")
    found += fit(resumed, 2)
    resumed = resumed.copy()
    found += fit(resumed, 1)
    assert resumed.explain()["isa"] == isa
    assert bits_of(resumed) == bits_of(through)
    assert ("velocity" in bits_of(resumed)[1]) == (momentum > 0)
    assert found == losses


@pytest.mark.parametrize("case", CASES, ids=name)
def test_float64_has_the_same_bits_on_each_instruction_set(monkeypatch, fast_isa, case):
    found = float64_found(case, fast_isa)
    monkeypatch.setenv("CHAINRULE_ISA", "portable")
    assert found == float64_found(case, "portable")


def float64_found(case, isa):
    """The bits of a network that was trained in float64, its losses and its outputs."""
    sizes, (_, rows), (_, _, loss, kind), _ = case
    x, y = rows_for(sizes, rows, kind, loss)
    x = x.astype(np.float64) * 1.1  # of more bits than a float32 has
    if kind == "targets":
        y = y.astype(np.float64) * 0.9
        y = y / y.sum(axis=1, keepdims=True) if loss == "cross_entropy" else y
    network, history = fitted(case, isa, x, y, "float64")
    return bits_of(network), history.loss, network.predict(x).tobytes()
