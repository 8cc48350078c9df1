"""Rules 12 to 15 of docs/exactness.md: control register, draws, rates and the rules' number."""

from __future__ import annotations

import ctypes
import json
import math
import os
import platform
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from exactness import emulator

import chainrule
from chainrule import SGD, FormatError, Linear, Network, storage, training

F = np.float32


def make(sizes=(4, 6, 5), dtype="float32", **settings):
    """A network on the instruction set that the fixture `isa` chose."""
    settings = {"activation": "tanh", "seed": 8} | settings
    return Network(sizes, dtype=dtype, backend="rust", **settings)


@pytest.fixture
def draw():
    return np.random.Generator(np.random.Philox(6))


# ---- 12: rounding mode and subnormals


@pytest.fixture(scope="module")
def register(tmp_path_factory):
    """The control register, by a C compiler, which the build of the package needs anyway."""
    library = tmp_path_factory.mktemp("control") / "control.so"
    compiler = os.environ.get("CC", "cc")
    source = Path(__file__).with_name("control.c")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.control.restype = ctypes.c_ulong
    loaded.set_control.argtypes = [ctypes.c_ulong]
    loaded.set_control.restype = None
    return loaded


X86 = platform.machine() in {"x86_64", "AMD64"}
NEAREST = 0x1F80 if X86 else 0
UP = 0x4000 if X86 else 1 << 22
FLUSH = 0x8040 if X86 else 1 << 24  # flush-to-zero; on x86 denormals-are-zero, too


def subnormal(dtype, draw):
    """A network, inputs and targets, and nearly all that follows from them subnormal."""
    network = make(dtype=dtype, activation="identity", output_activation="identity")
    tiny = np.finfo(dtype).tiny
    W = [draw.normal(size=(6, 4)) * tiny / 8, draw.normal(size=(5, 6))]
    network.set_parameters(W, [np.zeros(6), np.zeros(5)])
    x, y = draw.normal(size=(300, 4)), draw.normal(size=(300, 5)) * tiny / 2
    return network, x.astype(dtype), None, y.astype(dtype)


def normal(dtype, draw):
    """The same of ordinary numbers and labels, through exp and log."""
    network = make(dtype=dtype, loss="cross_entropy")
    return network, draw.normal(size=(300, 4)).astype(dtype), draw.integers(0, 5, 300), None


def everything(network, x, labels, targets):
    """The bits of all that the engine computes: what Python does with them stays out."""
    engine, found = network._engine, []

    def keep(*values):
        found.extend(v.tobytes() if isinstance(v, np.ndarray) else v for v in values)

    keep(engine.predict(x, 2))
    for seed in None, 8:
        dataset = engine.dataset(x, labels, targets, 290, seed)
        keep(engine.evaluate(dataset, 0, len(x), 0.0, 1), *engine.gradients(dataset))
        for layer in engine.trace(dataset):
            keep(*layer)
        rates, totals = np.array([0.1, 0.3]), training.Totals()
        keep(engine.train(dataset, 1, 0, rates, 0.7, 0.01, 2, totals))
        parameters, vectors = engine.state()
        keep(parameters, vectors["velocity"])
    pixels = engine.dataset((np.abs(x) * 50).astype(np.uint8), labels, targets, 7, None)
    keep(*engine.gradients(pixels))
    engine.initialize(3, network._initializations)
    keep(engine.state()[0])
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("problem", [subnormal, normal])
@pytest.mark.parametrize("mode", [FLUSH, UP, FLUSH | UP], ids=["flush", "up", "flush-up"])
def test_rule_12_another_librarys_settings_change_nothing(
    isa, register, draw, dtype, problem, mode
):
    network, *data = problem(dtype, draw)
    twin = network.copy()
    expected = everything(network, *data)
    one, smallest, ten = np.array([7, np.finfo(dtype).tiny, 10], dtype)
    half, quotient = one / 14, one / ten
    before = register.control()
    register.set_control(NEAREST | mode)
    try:
        found = everything(twin, *data)
        left = register.control()
        flushed, rounded_up = smallest * half == 0, one / ten != quotient
    finally:
        register.set_control(before)
    assert (flushed, rounded_up) == (bool(mode & FLUSH), bool(mode & UP))  # the mode was on
    assert left == NEAREST | mode
    assert found == expected
    assert found[-1] != found[0]


def through_python(network, x, y, weights):
    """The same through `Network`, with inputs that have to be rounded, rates and means."""
    found = [network.predict(x).tobytes(), network.evaluate(x, y)]
    rate = Linear(0.01, 0.003)
    history = network.fit(x, y, epochs=2, batch_size=7, learning_rate=rate, validation_data=(x, y))
    found += [history, network.fingerprint(), *(part.tobytes() for part in network.trace(x, y)[0])]
    gradients = network.gradients(x, y)
    found += [gradients.loss, *(part.tobytes() for part in gradients.weights)]
    network.set_parameters(weights, network.biases)
    found.append(network.fingerprint())
    network.set_flat_parameters(np.concatenate([x.ravel(), y.ravel()])[: network.n_parameters])
    return [*found, network.fingerprint()]


@pytest.mark.parametrize("mode", [FLUSH, UP, FLUSH | UP], ids=["flush", "up", "flush-up"])
def test_rule_12_what_python_computes_around_the_engine(isa, register, draw, mode):
    """Wider inputs are rounded to the dtype, some to subnormals; so are targets."""
    network, x, _, y = subnormal("float32", draw)
    x, y = x.astype(np.float64) / 3, y.astype(np.float64) / 3
    x[::2] *= np.finfo("float32").tiny
    twin, weights = network.copy(), [W / 3.0 for W in map(np.float64, network.weights)]
    expected = through_python(network, x, y, weights)
    before = register.control()
    register.set_control(NEAREST | mode)
    try:
        found = through_python(twin, x, y, weights)
        left = register.control()
    finally:
        register.set_control(before)
    assert left == NEAREST | mode
    assert found == expected


def test_rule_12_the_subnormals_are_many(isa, draw):
    """Of the data above; and the emulator, which keeps them, finds the same."""
    network, x, _, y = subnormal("float32", draw)
    names, tiny = ["identity"] * 2, np.finfo(F).tiny
    z, a = emulator.forward(network.weights, network.biases, names, x)
    expected = emulator.backward(network.weights, names, "squared_error", z, a, y)
    for each in (*network.weights[:1], *a[1:], y, *expected[0][:1]):
        assert ((each != 0) & (np.abs(each) < tiny)).mean() > 0.25
    assert (emulator.bits(network.predict(x)) == emulator.bits(a[2])).all()
    for found, wanted in zip(network.gradients(x, y)[1:], expected, strict=True):
        for g, w in zip(found, wanted, strict=True):
            assert (emulator.bits(g) == emulator.bits(w)).all()


def test_rule_12_fit_keeps_subnormals(isa, register, draw, tmp_path):
    """The whole way through Python, beside a library compiled with -ffast-math."""
    network, x, _, y = subnormal("float32", draw)
    twin, drawn = network.copy(), network.weights[0]
    fit = {"epochs": 2, "batch_size": 7, "optimizer": SGD(1e-3, momentum=0.5)}
    losses = network.fit(x, y, **fit).loss
    network.save(tmp_path / "expected")
    before = register.control()
    register.set_control(NEAREST | FLUSH)
    try:
        found = twin.fit(x, y, **fit).loss
        outputs = twin.predict(x).tobytes()
        twin.save(tmp_path / "found")
        left = register.control()
    finally:
        register.set_control(before)
    assert left == NEAREST | FLUSH
    assert found == losses
    assert outputs == network.predict(x).tobytes()
    assert (tmp_path / "found").read_bytes() == (tmp_path / "expected").read_bytes()
    weights = network.weights[0]
    assert ((weights != drawn) & (np.abs(weights) < np.finfo(F).tiny)).any()


# ---- 13: draws


def words(seed, stream, index, count):
    key = np.array([seed, stream], np.uint64)
    return np.random.Philox(key=key, counter=[0, index, 0, 0]).random_raw(count)


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
@pytest.mark.parametrize("scheme", ["glorot_uniform", "he_uniform", "lecun_uniform"])
def test_rule_13_initial_weights(isa, seed, scheme):
    sizes = [7, 5, 6, 3]
    both = {
        dtype: make(sizes, dtype, seed=seed, initialization=scheme)
        for dtype in ("float32", "float64")
    }
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        limit = {
            "glorot_uniform": math.sqrt(6 / (n_in + n_out)),
            "he_uniform": math.sqrt(6 / n_in),
            "lecun_uniform": math.sqrt(3 / n_in),
        }[scheme]
        drawn = words(seed, 1, layer, n_out * n_in).tolist()
        W = [limit * (2 * ((word >> 11) * 2.0**-53) - 1) for word in drawn]
        W = np.array(W).reshape(n_out, n_in)
        assert both["float64"].weights[layer].tobytes() == W.tobytes()
        assert both["float32"].weights[layer].tobytes() == W.astype(F).tobytes()
        found = emulator.initial_weights(seed, layer, n_in, n_out, scheme)
        assert found.tobytes() == W.astype(F).tobytes()
    assert not any(b.any() for b in both["float32"].biases)


@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_rule_13_shuffles(isa, seed):
    """The rate is 0, so that the loss of a step tells which row it took."""
    rows = 60
    network = make([1, 1], output_activation="identity", seed=seed)
    network.set_flat_parameters([1, 0])
    x, y = np.arange(rows, dtype=F)[:, None], np.zeros((rows, 1), F)
    for epoch in range(3):
        history = network.fit(x, y, learning_rate=0.0, record_every=1)
        taken = np.sqrt(history.loss).astype(int)
        expected = np.argsort(words(seed, 2, epoch, rows), kind="stable")
        assert taken.tolist() == expected.tolist() == emulator.order(seed, epoch, rows).tolist()
    history = network.fit(x, y, learning_rate=0.0, record_every=1, shuffle=False)
    assert np.sqrt(history.loss).tolist() == list(range(rows))


# ---- 14: rates


class Watched:
    """An engine that keeps the rates that it was given."""

    def __init__(self, engine):
        self.engine, self.rates = engine, []

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def train(self, dataset, epoch, first, rates, *rest):
        assert rates.dtype == np.float64
        self.rates += rates.tolist()
        return self.engine.train(dataset, epoch, first, rates, *rest)


@pytest.mark.parametrize("seconds", [0.0, 1e12])
def test_rule_14_schedules_in_float64(isa, seconds, monkeypatch):
    monkeypatch.setattr(training, "SLICE_SECONDS", seconds)
    network = make([1, 1])
    network._engine = Watched(network._engine)
    network.fit(np.ones((50, 1)), np.ones((50, 1)), epochs=3, learning_rate=Linear(0.7, 0.1))
    assert network._engine.rates == [0.7 + (0.1 - 0.7) * (t / 150) for t in range(150)]
    assert network._engine.rates != [F(0.7) + F(0.1 - 0.7) * F(t / 150) for t in range(150)]
    network._engine.rates.clear()
    network.fit(np.ones((50, 1)), np.ones((50, 1)), learning_rate=lambda step, _: 1 / (step + 3))
    assert network._engine.rates == [1 / (t + 3) for t in range(50)]


@pytest.mark.parametrize(
    "rate", [0.1, 1 / 3, 1 + 2.0**-24, 1 + 2.0**-24 + 2.0**-52, 1 + 3 * 2.0**-24, 2.0**-149 * 0.6]
)
@pytest.mark.parametrize("given", ["number", "schedule", "callable"])
def test_rule_14_rates_are_rounded_once(isa, rate, given):
    """w = 0 and g = -1, so that the step is the rate itself."""
    learning_rate = {"number": rate, "schedule": Linear(rate, rate), "callable": lambda *_: rate}
    for dtype in "float32", "float64":
        network = make([1, 1], dtype, output_activation="identity")
        network.set_flat_parameters([0, 0])
        network.fit([[1.0]], [[0.5]], learning_rate=learning_rate[given])
        expected = np.dtype(dtype).type(rate)
        assert expected > 0
        assert network.parameters.tolist() == [expected, expected]


# ---- 15: the rules' number


def test_rule_15_the_number(isa, tmp_path):
    assert storage.EXACTNESS == chainrule._core.EXACTNESS == 1
    page = Path(__file__).parents[2] / "docs/exactness.md"
    assert f"exactness number {storage.EXACTNESS}" in page.read_text(encoding="utf-8")
    path = tmp_path / "model"
    make().save(path)
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    document = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["chainrule"])
    assert document["exactness"] == storage.EXACTNESS
    for arguments in ["info"], ["info", str(path)]:
        command = [sys.executable, "-m", "chainrule", *arguments, "--json"]
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert json.loads(shown)["exactness"] == storage.EXACTNESS


def test_rule_15_a_higher_number_is_refused(isa, tmp_path, monkeypatch):
    path = tmp_path / "model"
    with monkeypatch.context() as patch:
        patch.setattr(storage, "EXACTNESS", storage.EXACTNESS + 1)
        make().save(path)
    with pytest.raises(FormatError, match="exactness"):
        Network.load(path)
