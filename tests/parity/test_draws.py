"""Initial weights and shuffles are the same bits on both engines."""

import numpy as np
import pytest
from parity.twins import ACTIVATIONS, assert_engines, twins

from chainrule import _backend
from chainrule._validate import INITIALIZATIONS

SEEDS = [0, 1, 7, 2**32, 2**63 - 1, 2**63, 2**64 - 1]
SIZES = [[1, 1], [3, 4, 2], [784, 16, 16, 10], [5, 1, 300, 2]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("initialization", INITIALIZATIONS)
def test_initial_weights_are_the_same_bits(initialization, activation, dtype):
    for sizes in SIZES:
        for seed in SEEDS:
            rust, numpy = twins(
                sizes, activation=activation, initialization=initialization, dtype=dtype, seed=seed
            )
            assert rust.parameters.dtype == numpy.parameters.dtype == dtype
            assert rust.parameters.tobytes() == numpy.parameters.tobytes()
            assert rust.fingerprint() == numpy.fingerprint()
            assert any(np.any(W) for W in rust.weights)
            assert not any(np.any(b) for b in rust.biases)


def test_reset_draws_the_same_bits(rng):
    rust, numpy = twins([4, 5, 2])
    x, y = rng.normal(size=(6, 4)), rng.integers(0, 2, 6)
    drawn = set()
    for seed in SEEDS:
        for network in (rust, numpy):
            network.fit(x, y, learning_rate=0.1)
            network.reset(seed)
        assert rust.parameters.tobytes() == numpy.parameters.tobytes()
        drawn.add(rust.parameters.tobytes())
    assert len(drawn) == len(SEEDS)


def words(seed, epoch, n):
    """The shuffle's random words, as `docs/exactness.md` draws them: one a row."""
    key, counter = np.array([seed, 2], np.uint64), np.array([0, epoch, 0, 0], np.uint64)
    return np.random.Philox(key=key, counter=counter).random_raw(n)


def order_of(network, n, epochs):
    """The rows as each epoch trains them, one a step.

    With weight, bias and rate 0 the loss of row i is its target's square, i**2, and nothing moves.
    """
    network.set_parameters([[[0.0]]], [[0.0]])
    history = network.fit(
        np.zeros((n, 1)), np.arange(n), epochs=epochs, learning_rate=0.0, record_every=1
    )
    return np.sqrt(history.loss).reshape(epochs, n).astype(int)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n", [1, 2, 5, 300])
def test_shuffles_are_the_same(n, seed, dtype):
    rust, numpy = twins([1, 1], output_activation="identity", dtype=dtype, seed=seed)
    orders = order_of(rust, n, epochs=3)
    np.testing.assert_array_equal(orders, order_of(numpy, n, epochs=3))
    for epoch, order in enumerate(orders):
        np.testing.assert_array_equal(order, np.argsort(words(seed, epoch, n), kind="stable"))
    assert_engines(rust, numpy)


@pytest.mark.parametrize("size", [2, 5, 26])
def test_batches_take_the_same_rows(size):
    """Losses are 2**i, so the sum of a batch says which rows are in it."""
    n = 26
    batches = []
    for network in twins([1, 1], output_activation="identity", dtype="float64", seed=3):
        network.set_parameters([[[0.0]]], [[0.0]])
        targets = 2.0 ** (np.arange(n) / 2)  # squares within rounding of 2**i
        history = network.fit(
            np.zeros((n, 1)), targets, batch_size=size, learning_rate=0.0, record_every=1
        )
        lengths = np.diff([*range(0, n, size), n])
        sums = np.rint(np.array(history.loss) * lengths).astype(int)
        batches.append([{i for i in range(n) if total >> i & 1} for total in sums])
    assert batches[0] == batches[1]
    order = np.argsort(words(3, 0, n), kind="stable")
    assert batches[0] == [set(order[i : i + size].tolist()) for i in range(0, n, size)]


@pytest.mark.parametrize("epoch", [2**31, 2**32 + 1, 2**53 + 1, 2**63 + 5])
def test_shuffles_of_late_epochs_are_the_same(epoch):
    """More epochs than anybody trains, as an engine is told of them."""
    n, orders = 9, []
    for network in twins([1, 1], output_activation="identity", seed=5):
        network.set_parameters([[[0.0]]], [[0.0]])
        engine = network._engine
        x, y = np.zeros((n, 1), np.float32), np.arange(n, dtype=np.float32)[:, None]
        data = engine.dataset(x, None, y, 1, 5)
        sums = [
            engine.train(data, epoch, i, np.zeros(1), 0.0, 0.0, 1, _backend.Totals())[0][0]
            for i in range(n)
        ]
        orders.append(np.sqrt(sums).astype(int).tolist())
    assert orders[0] == orders[1] == np.argsort(words(5, epoch, n), kind="stable").tolist()


def test_without_shuffle_rows_come_in_their_own_order():
    for network in twins([1, 1], output_activation="identity"):
        network.set_parameters([[[0.0]]], [[0.0]])
        history = network.fit(
            np.zeros((7, 1)), np.arange(7), epochs=2, learning_rate=0.0, record_every=1,
            shuffle=False,
        )  # fmt: skip
        assert np.sqrt(history.loss).tolist() == [0, 1, 2, 3, 4, 5, 6] * 2
