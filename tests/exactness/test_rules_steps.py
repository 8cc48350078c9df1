"""Rules 1 to 6 of docs/exactness.md: sums, deltas, steps and losses, by the Rust engine.

Where a rule forbids something near, the test also shows that the near thing has other bits here.
"""

from __future__ import annotations

import numpy as np
import pytest
from exactness import emulator

from chainrule import SGD, Network

F = np.float32
FUNCTIONS = [
    ("identity", "squared_error"),
    ("sigmoid", "squared_error"),
    ("tanh", "squared_error"),
    ("relu", "squared_error"),
    ("softmax", "squared_error"),
    ("softmax", "cross_entropy"),
    ("sigmoid", "binary_cross_entropy"),
]


@pytest.fixture
def draw():
    return np.random.Generator(np.random.Philox(3))


def spread(draw, *shape):
    """Numbers of many magnitudes and both signs: the order of their sum shows."""
    return (draw.normal(size=shape) * 2.0 ** draw.uniform(-6, 6, shape)).astype(F)


def make(weights, biases, activation="identity", output="identity", loss="squared_error"):
    """A network of these parameters: on the instruction set that the fixture `isa` chose."""
    sizes = [weights[0].shape[1], *(len(b) for b in biases)]
    network = Network(
        sizes, activation=activation, output_activation=output, loss=loss, seed=5, backend="rust"
    )
    network.set_parameters(weights, biases)
    return network


def same(found, expected):
    found, expected = emulator.bits(found), emulator.bits(expected)
    assert found.shape == expected.shape
    return bool((found == expected).all())


def without_blocks(monkeypatch, function, *arguments):
    """What the emulator finds where a sum is one chain, however long."""
    with monkeypatch.context() as patch:
        patch.setattr(emulator, "BLOCK", 10**6)
        return function(*arguments)


# ---- 1: sums of products


@pytest.mark.parametrize("k", [1, 255, 256, 257, 512, 513, 700])
@pytest.mark.parametrize(("rows", "n_out"), [(1, 1), (1, 70), (5, 3), (4, 8), (6, 37)])
def test_rule_01_weighted_sums(isa, draw, monkeypatch, k, rows, n_out):
    x, W, b = spread(draw, rows, k), spread(draw, n_out, k), np.zeros(n_out, F)
    found = make([W], [b]).predict(x)
    assert same(found, emulator.weighted_sums(x, W, b))
    if k > 257 and rows > 1:
        assert not same(found, without_blocks(monkeypatch, emulator.weighted_sums, x, W, b))
    if k > 1 and rows > 1:
        backwards = emulator.weighted_sums(x[:, ::-1], W[:, ::-1], b)
        assert not same(found, backwards)


@pytest.mark.parametrize("k", [1, 256, 300, 600])
def test_rule_01_back_products(isa, draw, monkeypatch, k):
    W, b = [spread(draw, 9, 2), spread(draw, k, 9)], [spread(draw, 9), spread(draw, k)]
    network = make(W, b)
    below, above = network.trace(spread(draw, 5, 2), spread(draw, 5, k))
    assert same(below.dE_da, emulator.back_products(above.r, W[1]))
    if k > 256:
        one_chain = without_blocks(monkeypatch, emulator.back_products, above.r, W[1])
        assert not same(below.dE_da, one_chain)
    # And in a gradient, which goes another way than a trace.
    x, y = spread(draw, 5, 2), spread(draw, 5, k)
    z, a = emulator.forward(W, b, ["identity"] * 2, x)
    expected, _ = emulator.backward(W, ["identity"] * 2, "squared_error", z, a, y)
    assert same(network.gradients(x, y).weights[0], expected[0])


@pytest.mark.parametrize("rows", [1, 256, 257, 300, 700])
def test_rule_01_weight_gradients(isa, draw, monkeypatch, rows):
    W, b = [spread(draw, 5, 3)], [spread(draw, 5)]
    x, y = spread(draw, rows, 3), spread(draw, rows, 5)
    z, a = emulator.forward(W, b, ["identity"], x)
    r = emulator.output_r("squared_error", "identity", z[-1], a[-1], y)
    found = make(W, b).gradients(x, y).weights[0]
    assert same(found, emulator.weight_gradient(r, x))
    if rows > 257:
        assert not same(found, without_blocks(monkeypatch, emulator.weight_gradient, r, x))
    # A step of training finds the same gradient: w = fma(-1, g, w).
    network = make(W, b)
    network.fit(x, y, batch_size=rows, shuffle=False, learning_rate=1.0)
    assert same(network.weights[0], emulator.fma(F(-1), found, W[0]))


def test_rule_01_begins_at_plus_zero(isa):
    """A chain that ends in -0.0 by underflow is added to +0.0: -0.0 as bias shows it."""
    network = make([F([[-(2.0**-149)]])], [F([-0.0])])
    assert np.signbit(network.biases[0]).all()
    assert not np.signbit(network.predict(F([[0.25]]))).any()


# ---- 2: bias


def test_rule_02_bias_after_the_sum(isa, draw):
    x, W, b = spread(draw, 6, 300), spread(draw, 8, 300), spread(draw, 8)
    found = make([W], [b]).predict(x)
    assert same(found, emulator.sum_of_products(x.T[:, :, None], W.T[:, None, :]) + b)
    first = np.concatenate([np.ones((6, 1), F), x], axis=1)
    begun_with_b = emulator.weighted_sums(first, np.concatenate([b[:, None], W], 1), F([0] * 8))
    assert not same(found, begun_with_b)


@pytest.mark.parametrize("rows", [1, 256, 300, 700])
def test_rule_02_bias_gradients(isa, draw, monkeypatch, rows):
    W, b = [spread(draw, 11, 3)], [spread(draw, 11)]
    x, y = spread(draw, rows, 3), spread(draw, rows, 11)
    z, a = emulator.forward(W, b, ["identity"], x)
    r = emulator.output_r("squared_error", "identity", z[-1], a[-1], y)
    found = make(W, b).gradients(x, y).biases[0]
    assert same(found, emulator.bias_gradient(r))
    if rows > 256:
        assert not same(found, without_blocks(monkeypatch, emulator.bias_gradient, r))


# ---- 3: deltas and batch


def problem(draw, output, loss, rows=7):
    """Parameters of a 4-6-5 network, inputs and targets."""
    W = [draw.normal(size=s).astype(F) for s in ((6, 4), (5, 6))]
    b = [draw.normal(size=s).astype(F) for s in (6, 5)]
    x, y = draw.normal(size=(rows, 4)).astype(F), draw.uniform(0.05, 1, (rows, 5))
    if loss == "cross_entropy":
        y /= y.sum(axis=1, keepdims=True)
    return W, b, x, y.astype(F)


@pytest.mark.parametrize(("output", "loss"), FUNCTIONS)
@pytest.mark.parametrize("hidden", ["identity", "sigmoid", "tanh", "relu"])
def test_rule_03_deltas(isa, draw, hidden, output, loss):
    W, b, x, y = problem(draw, output, loss)
    below, above = make(W, b, hidden, output, loss).trace(x, y)
    z, a = emulator.forward(W, b, [hidden, output], x)
    assert same(above.a, a[2])
    if loss == "squared_error":
        assert same(above.dE_da, F(2) * (a[2] - y))
        assert same(above.r, emulator.backward_activation(output, z[1], a[2], above.dE_da))
    else:
        assert same(above.r, a[2] - y)
    assert same(below.dE_da, emulator.back_products(above.r, W[1]))
    assert same(below.r, emulator.backward_activation(hidden, z[0], a[1], below.dE_da))
    # Multiplied in another order, some bit is another.
    if hidden == "sigmoid":
        assert not same(below.r, a[1] * ((F(1) - a[1]) * below.dE_da))
    if hidden == "tanh":
        assert not same(below.r, (F(1) - a[1]) * (F(1) + a[1]) * below.dE_da)


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 10])
@pytest.mark.parametrize(("output", "loss"), FUNCTIONS)
def test_rule_03_divided_by_the_rows(isa, draw, output, loss, rows):
    W, b, x, y = problem(draw, output, loss, rows)
    network, names = make(W, b, "tanh", output, loss), ["tanh", output]
    z, a = emulator.forward(W, b, names, x)
    r = np.concatenate(
        [emulator.output_r(loss, output, z[1][[i]], a[2][[i]], y[[i]]) for i in range(rows)]
    )
    found = network.gradients(x, y)
    assert same(found.weights[1], emulator.weight_gradient(r / F(rows), a[1]))
    assert same(found.biases[1], emulator.bias_gradient(r / F(rows)))
    if rows in {3, 7}:
        reciprocal = emulator.weight_gradient(r * (F(1) / F(rows)), a[1])
        afterwards = emulator.weight_gradient(r, a[1]) / F(rows)
        assert not same(found.weights[1], reciprocal)
        assert not same(found.weights[1], afterwards)
    for got, wanted in zip(found[1:], emulator.backward(W, names, loss, z, a, y), strict=True):
        assert all(same(g, w) for g, w in zip(got, wanted, strict=True))


def test_rule_03_the_last_batch_counts_its_own_rows(isa, draw):
    W, b, x, y = problem(draw, "sigmoid", "squared_error", rows=10)
    network = make(W, b, "tanh", "sigmoid")
    network.fit(x, y, steps=1, batch_size=7, shuffle=False, learning_rate=0.5)
    before, short = network.copy(), network.gradients(x[7:], y[7:])
    whole = make(W, b, "tanh", "sigmoid")
    whole.fit(x, y, epochs=1, batch_size=7, shuffle=False, learning_rate=0.5)
    for w, g, after in zip(before.weights, short.weights, whole.weights, strict=True):
        assert same(after, emulator.fma(F(-0.5), g, w))
        assert not same(after, emulator.fma(F(-0.5), g * F(3) / F(7), w))


@pytest.mark.parametrize(("output", "loss"), FUNCTIONS)
def test_rule_03_the_loss_is_the_mean(isa, draw, output, loss):
    W, b, x, y = problem(draw, output, loss)
    network = make(W, b, "relu", output, loss)
    z, a = emulator.forward(W, b, ["relu", output], x)
    total = 0.0
    for row_loss in emulator.losses(loss, z[1], a[2], y):
        total += float(row_loss)
    assert network.evaluate(x, y).loss == total / 7
    assert network.gradients(x, y).loss == total / 7
    assert network.fit(x, y, shuffle=False, batch_size=7).loss == [total / 7]


# ---- 4: step


def test_rule_04_the_gradient_is_rounded_first(isa, draw):
    """Also for one row, where multiplying by the rate first would save work."""
    W, b, x, y = spread(draw, 5, 40), spread(draw, 5), spread(draw, 1, 40), spread(draw, 1, 5)
    network = make([W], [b])
    r = network.trace(x, y)[0].r
    network.fit(x, y, learning_rate=0.3)
    rate = F(0.3)
    g = emulator.fma(r.T, x, F(0))
    assert same(network.weights[0], emulator.fma(-rate, g, W))
    assert same(network.biases[0], emulator.fma(-rate, r[0], b))
    assert not same(network.weights[0], emulator.fma(-(rate * r.T), x, W))
    assert not same(network.weights[0], W - rate * g)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_rule_04_order_of_operations(isa, draw, momentum, l2):
    W, b, x, y = [spread(draw, 5, 40)], [spread(draw, 5)], spread(draw, 4, 40), spread(draw, 4, 5)
    network = make(W, b)
    optimizer = SGD(0.003, momentum=momentum)
    network.fit(x, y, batch_size=4, shuffle=False, optimizer=optimizer, l2=l2)  # so that v is not 0
    w, c = network.weights[0], network.biases[0]
    g, h = (part[0] for part in network.gradients(x, y)[1:])
    velocity = network._engine.state()[1].get("velocity", np.zeros(205, F))
    v, u = velocity[:200].reshape(5, 40), velocity[200:]
    assert velocity.any() == (momentum > 0)
    network.fit(x, y, batch_size=4, shuffle=False, optimizer=optimizer, l2=l2)
    fma, rate, momentum, l2 = emulator.fma, F(0.003), F(momentum), F(l2)

    decayed = fma(l2, w, g) if l2 else g
    new_v = fma(momentum, v, decayed) if momentum else decayed
    new_u = fma(momentum, u, h) if momentum else h
    assert same(network.weights[0], fma(-rate, new_v, w))
    assert same(network.biases[0], fma(-rate, new_u, c))  # l2 is for weights only
    if momentum:
        kept = network._engine.state()[1]["velocity"]
        assert same(kept, np.concatenate([new_v.ravel(), new_u]))
    # What is near, and is not done.
    near = [w - rate * new_v]
    if l2:
        near += [fma(-rate, fma(momentum, v, g), fma(-rate * l2, w, w))]
    if momentum:
        near += [fma(-rate, momentum * v + decayed, w), w + (momentum * -rate * v - rate * decayed)]
    if momentum and l2:
        near += [fma(-rate, fma(l2, w, fma(momentum, v, g)), w)]
    assert not any(same(network.weights[0], each) for each in near)


# ---- 5: sums along a row


def test_rule_05_softmax_sums_ascend(isa, draw):
    W, b = draw.normal(size=(50, 4)).astype(F), draw.normal(size=50).astype(F)
    x = draw.normal(size=(9, 4)).astype(F)
    found = make([W], [b], output="softmax").predict(x)
    z = emulator.weighted_sums(x, W, b)
    e, _, _ = emulator.exponentials(z)
    total = np.zeros(9, F)
    for j in range(50):
        total = total + e[:, j]
    assert same(found, e / total[:, None])
    assert not same(found, e / emulator.plain_sum(e[:, ::-1])[:, None])
    assert not same(found, e * (F(1) / total)[:, None])


def test_rule_05_other_sums_along_a_row(isa, draw):
    """Back through softmax, and the losses of a row."""
    W, b = draw.normal(size=(8, 4)).astype(F), draw.normal(size=8).astype(F)
    x, y = draw.normal(size=(90, 4)).astype(F), draw.uniform(size=(90, 8)).astype(F)
    network = make([W], [b], output="softmax")
    (layer,) = network.trace(x, y)
    a, d = layer.a, layer.dE_da
    total = np.zeros(90, F)
    for j in range(8):
        total = total + a[:, j] * d[:, j]
    assert same(layer.r, a * (d - total[:, None]))
    fused = emulator.sum_of_products(a.T, d.T)
    assert not same(layer.r, a * (d - fused[:, None]))
    squares = np.zeros(90, F)
    for j in range(8):
        squares = squares + (a[:, j] - y[:, j]) * (a[:, j] - y[:, j])
    rows = F([network.evaluate(x[[i]], y[[i]]).loss for i in range(90)])
    assert same(rows, squares)
    assert not same(rows, emulator.sum_of_products((a - y).T, (a - y).T))


# ---- 6: loss


@pytest.mark.parametrize("batch_size", [1, 7, 300])
def test_rule_06_losses_in_float64_as_trained(isa, draw, batch_size):
    """The rate is 0, so that the order of the rows is all that the sum depends on."""
    W, b = [spread(draw, 3, 4)], [np.zeros(3, F)]
    x, y = spread(draw, 300, 4), spread(draw, 300, 3)
    x[::2], y[::2] = x[::2] * F(2**20), y[::2] * F(2**20)  # float64 has to round, too
    z, a = emulator.forward(W, b, ["identity"], x)
    each = emulator.losses("squared_error", z[-1], a[-1], y)

    def total(rows, dtype):
        result = dtype(0)
        for row in rows:
            result = result + dtype(each[row])
        return float(result)

    network = make(W, b)
    history = network.fit(x, y, epochs=3, batch_size=batch_size, learning_rate=0.0)
    orders = [emulator.order(5, epoch, 300) for epoch in range(3)]
    assert history.loss == [total(rows, np.float64) / 300 for rows in orders]
    assert len(set(history.loss)) > 1
    assert history.loss[0] != total(orders[0], F) / 300
    # Without a shuffle and in `evaluate`: their own order.
    own = total(range(300), np.float64) / 300
    assert network.evaluate(x, y).loss == own
    assert network.fit(x, y, shuffle=False, learning_rate=0.0).loss == [own]
    assert own not in history.loss
