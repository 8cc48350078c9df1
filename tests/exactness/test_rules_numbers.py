"""Rules 7 to 11 of docs/exactness.md: inputs, finite numbers, zeros and elementary functions."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from exactness import emulator

from chainrule import SGD, DivergenceError, Network

F = np.float32
DTYPES = ["float32", "float64"]


def make(weights, biases, output="identity", loss="squared_error", dtype="float32"):
    """A network of one layer, on the instruction set that the fixture `isa` chose."""
    weights = np.asarray(weights, dtype)
    network = Network(
        weights.shape[::-1], output_activation=output, loss=loss, dtype=dtype, backend="rust"
    )
    network.set_parameters([weights], [np.asarray(biases, dtype)])
    return network


def seen(x, dtype="float32", **settings):
    """What a network makes of single inputs: the numbers themselves, where it is the identity."""
    x = np.asarray(x)
    return make([[1]], [0], dtype=dtype, **settings).predict(x.reshape(-1, 1))[:, 0]


@pytest.fixture
def draw():
    return np.random.Generator(np.random.Philox(4))


# ---- 7: input


def nearest(value, dtype):
    """Whether no neighbour of a float is nearer to a fraction; ties do not occur here."""

    def off(x):
        return abs(Fraction(float(x)) - value)

    return lambda x: all(
        off(x) < off(np.nextafter(x, dtype(side), dtype=dtype)) for side in (-np.inf, np.inf)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rule_07_pixels_are_quotients(isa, dtype):
    pixels = np.arange(256, dtype=np.uint8)
    found = seen(pixels, dtype.__name__)
    assert found.dtype == dtype
    for i in range(1, 256):
        assert nearest(Fraction(i, 255), dtype)(found[i]), i
    assert (found[0], found[255]) == (0, 1)
    assert (found != pixels * (dtype(1) / dtype(255))).any()


def test_rule_07_wider_floats_are_rounded_once(isa):
    one_up = F(1 + 2.0**-23)
    x = np.array([1 + 2.0**-24, 1 + 2.0**-24 + 2.0**-50, 1 + 3 * 2.0**-24, 2.0**-149 * 1.5, 1e-46])
    assert seen(x).tolist() == [1, one_up, F(1 + 2.0**-22), 2 * 2.0**-149, 0]
    if np.finfo(np.longdouble).nmant > 60:  # by way of float64 this would be a tie
        x = np.longdouble(1) + np.longdouble(2.0**-24) + np.longdouble(2.0**-60)
        assert seen([x]).tolist() == [one_up]
        assert F(np.float64(x)) == 1
    y = [[1 + 2.0**-24 + 2.0**-50]]
    network = make([[0]], [0])
    assert network.trace([[0.0]], y)[0].dE_da.tolist() == [[-2 * one_up]]


@pytest.mark.parametrize("value", [1e39, -1e39, 2.0**128 - 2.0**103])
def test_rule_07_overflow_is_refused(isa, value):
    network = make([[1]], [0])
    before = network.fingerprint()
    with pytest.raises(ValueError, match="too large for float32"):
        network.predict([[value]])
    with pytest.raises(ValueError, match="too large for float32"):
        network.fit([[0.0]], [[value]])
    with pytest.raises(ValueError, match="too large for float32"):
        network.set_parameters([[[value]]], [[0]])
    assert network.fingerprint() == before
    below = np.nextafter(2.0**128 - 2.0**103, 0)
    assert seen([below, -below]).tolist() == [np.finfo(F).max, -np.finfo(F).max]
    assert seen([value], "float64").tolist() == [value]


# ---- 8: finite


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rule_08_what_is_not_finite_is_refused(isa, dtype, bad):
    network = make([[1]], [0], dtype=dtype)
    before = network.fingerprint()
    for call in (
        lambda: network.set_parameters([[[bad]]], [[0]]),
        lambda: network.set_flat_parameters([0, bad]),
        lambda: network.fit([[bad]], [[0.0]]),
        lambda: network.fit([[0.0]], [[bad]]),
        lambda: network.predict([[bad]]),
        lambda: network.evaluate([[bad]], [[0.0]]),
        lambda: network.fit([[0.0]], [[0.0]], learning_rate=bad),
        lambda: network.fit([[0.0]], [[0.0]], l2=bad),
    ):
        with pytest.raises(ValueError, match="finite"):
            call()
    assert network.fingerprint() == before


@pytest.mark.parametrize("dtype", DTYPES)
def test_rule_08_divergence_is_undone(isa, dtype):
    network = make([[1]], [0.5], dtype=dtype)
    x, y = [[1.0], [2.0]], [[1.0], [0.0]]
    optimizer = SGD(0.1, momentum=0.5)
    network.fit(x, y, optimizer=optimizer)
    before = network.parameters, network._engine.state()[1]["velocity"]
    with pytest.raises(DivergenceError):
        network.fit(x, y, epochs=500, optimizer=SGD(1e30 if dtype == "float32" else 1e300, 0.5))
    assert network.parameters.tobytes() == before[0].tobytes()
    assert network._engine.state()[1]["velocity"].tobytes() == before[1].tobytes()


def test_rule_08_products_with_zero_may_be_left_out(isa, draw):
    """Inputs of 0 and -0.0 change no bit, signs of zeros included."""
    W = draw.normal(size=(5, 20)).astype(F)
    W[0], W[1, ::2] = 0, -0.0
    b = F([0, -0.0, 1, -1, 2.0**-149])
    x = draw.normal(size=(7, 20)).astype(F)
    zeros = np.zeros(20, bool)
    zeros[[0, 3, 4, 5, 11, 18, 19]] = True
    x[:, zeros] = np.where(draw.random((7, 7)) < 0.5, F(0), F(-0.0))
    found = make(W, b).predict(x)
    assert found.tobytes() == make(W[:, ~zeros], b).predict(x[:, ~zeros]).tobytes()
    y = np.zeros((7, 5), F)
    gradients = make(W, b).gradients(x, y).weights[0]
    assert gradients[:, ~zeros].any()
    assert (gradients[:, zeros].view(np.uint32) == 0).all()


# ---- 9: equality


def test_rule_09_minus_zero_is_plus_zero(isa, tmp_path):
    minus, plus = make([[-0.0, 1]], [-0.0]), make([[0.0, 1]], [0.0])
    assert np.signbit(minus.weights[0][0, 0])
    assert minus.parameters.tobytes() != plus.parameters.tobytes()
    assert minus.fingerprint() == plus.fingerprint()
    assert minus.fingerprint() != make([[2.0**-149, 1]], [0.0]).fingerprint()
    minus.save(tmp_path / "minus")
    plus.save(tmp_path / "plus")
    assert (tmp_path / "minus").read_bytes() == (tmp_path / "plus").read_bytes()
    assert not np.signbit(Network.load(tmp_path / "minus", backend="rust").parameters).any()


# ---- 10: leaving out zeros in an update


def test_rule_10_a_gradient_of_zero(isa, draw):
    """It changes nothing without momentum and l2, and something with either."""
    W, b = draw.normal(size=(3, 6)).astype(F), draw.normal(size=3).astype(F)
    W[0, 0], W[1, 0], W[2, 0] = -0.0, 2.0**-149, 0.0
    x, y = draw.normal(size=(4, 6)).astype(F), draw.normal(size=(4, 3)).astype(F)
    dark = x.copy()
    dark[:, :3] = 0

    def step(x, momentum=0.0, l2=0.0, network=None):
        network = make(W, b) if network is None else network
        optimizer = SGD(0.1, momentum=momentum)
        network.fit(x, y, batch_size=4, shuffle=False, optimizer=optimizer, l2=l2)
        return network

    still = step(dark).weights[0]
    assert still[:, :3].tobytes() == W[:, :3].tobytes()
    assert (still[:, 3:] != W[:, 3:]).all()
    # The state of momentum is 0 at first, and then it is not.
    assert (step(dark, momentum=0.9).weights[0][:, :3] == W[:, :3]).all()
    network = step(x, momentum=0.9)
    w, v = network.weights[0], network._engine.state()[1]["velocity"][:18].reshape(3, 6)
    moved = step(dark, momentum=0.9, network=network).weights[0]
    expected = emulator.fma(F(-0.1), emulator.fma(F(0.9), v, F(0)), w)
    assert (moved[:, :3] != w[:, :3]).all()
    assert (emulator.bits(moved) == emulator.bits(expected))[:, :3].all()
    decayed = step(dark, l2=0.01).weights[0]
    expected = emulator.fma(F(-0.1), emulator.fma(F(0.01), W, F(0)), W)
    assert (emulator.bits(decayed) == emulator.bits(expected))[:, :3].all()
    assert (decayed[:, 1:3] != W[:, 1:3]).all()


# ---- 11: elementary functions


def floats():
    """Finite float32 of every sign and exponent, subnormals too."""
    x = np.arange(0, 2**32, 65_521, dtype=np.uint64).astype(np.uint32).view(F)
    ends = F([88.7, 88.8, -87.3, -87.4, -100, -103.9, -104.1, -105, 9.01, 20, 40, 1e-7, 2.0**-149])
    return np.concatenate([x[np.isfinite(x)], ends, -ends])


JUDGES = {
    "sigmoid": lambda z: np.where(z < 0, np.exp(-abs(z)), 1) / (1 + np.exp(-abs(z))),
    "tanh": np.tanh,
}


@pytest.mark.parametrize("name", JUDGES)
def test_rule_11_sigmoid_and_tanh(isa, name):
    x = floats()
    found = seen(x, output=name)
    assert (emulator.bits(found) == emulator.bits(getattr(emulator, name)(x))).all()
    true = JUDGES[name](x.astype(np.float64))
    exponent = np.maximum(np.frexp(true)[1] - 1, -126)
    ulps = np.abs(found - true) / np.ldexp(1.0, exponent - 23)
    assert 0.49 < ulps.max() <= 1.5
    assert ((found != 0) & (np.abs(found) < np.finfo(F).tiny)).any()


def test_rule_11_sigmoid_keeps_subnormals(isa):
    assert seen([-100.0], output="sigmoid").tolist() == [F(3.8e-44)]


def test_rule_11_exp(isa, draw):
    """By way of softmax, whose largest z is 0: e / (1 + e)."""
    x = np.concatenate([-np.abs(floats()), F([0])])
    found = make([[1], [0]], [0, 0], output="softmax").predict(x[:, None])
    e = emulator.exp(x)
    assert (emulator.bits(found[:, 0]) == emulator.bits(e / (F(1) + e))).all()
    assert ((e != 0) & (e < np.finfo(F).tiny)).any()


def test_rule_11_log(isa, draw):
    """By way of the cross-entropies of single rows."""
    x = draw.normal(size=(60, 4)).astype(F) * F(2) ** draw.integers(-8, 8, (60, 1)).astype(F)
    W, b = draw.normal(size=(40, 4)).astype(F), draw.normal(size=40).astype(F)
    labels, targets = draw.integers(0, 40, 60), draw.random((60, 40)).astype(F)
    soft = (targets.astype(float) / targets.sum(axis=1, keepdims=True, dtype=float)).astype(F)
    for loss, output, answers in (
        ("cross_entropy", "softmax", labels),
        ("cross_entropy", "softmax", soft),
        ("binary_cross_entropy", "sigmoid", targets),  # log1p
    ):
        network = make(W, b, output, loss)
        z = emulator.weighted_sums(x, W, b)
        expected = emulator.losses(loss, z, emulator.ACTIVATIONS[output](z), answers)
        found = [network.evaluate(x[[i]], answers[[i]]).loss for i in range(60)]
        assert found == expected.tolist()
        assert len(set(found)) > 50


@pytest.mark.parametrize("name", JUDGES)
def test_rule_11_float64_within_two_ulp(isa, name, draw):
    x = draw.normal(size=800) * 2.0 ** draw.uniform(-20, 6, 800)
    true = {"sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)), "tanh": mpmath.tanh}[name]
    worst = 0.0
    with mpmath.workdps(60):
        for value, found in zip(x.tolist(), seen(x, "float64", output=name).tolist(), strict=True):
            exact = true(mpmath.mpf(value))
            worst = max(worst, float(abs(found - exact) / np.spacing(abs(float(exact)))))
    assert 0.49 < worst <= 2
