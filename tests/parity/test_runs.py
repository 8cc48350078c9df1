"""Many steps: 100 of them in float64 within 1e-9; longer runs, one engine set from the other's
state every 100 steps; whole runs in accuracy only, because training is chaotic.
"""

import numpy as np
import pytest
from parity import bound
from parity.twins import (
    ACTIVATIONS,
    OUTPUTS,
    answers,
    assert_engines,
    assert_near,
    assert_within,
    inputs,
    rows,
    same_state,
    twins,
    velocity,
)

from chainrule import SGD, Linear


def assert_hundred_steps_agree(rust, numpy, histories):
    assert_engines(rust, numpy)
    for one, other in zip(
        [*rust.weights, *rust.biases], [*numpy.weights, *numpy.biases], strict=True
    ):
        assert_near(one, other, 1e-9)
    assert (velocity(rust) is None) == (velocity(numpy) is None)
    if velocity(rust) is not None:
        assert_near(velocity(rust), velocity(numpy), 1e-9)
    one, other = histories
    assert len(one) > 1
    for name in ("steps", "epochs", "accuracy", "validation_accuracy", "saturated"):
        assert getattr(one, name) == getattr(other, name)
    assert one.stopped_by == other.stopped_by
    for name in ("loss", "validation_loss"):
        losses = getattr(other, name)
        if losses[0] is not None:
            np.testing.assert_allclose(getattr(one, name), losses, rtol=0, atol=1e-9 * max(losses))
        else:
            assert getattr(one, name) == losses


def moved(network, before):
    """How far training has taken the weights: enough that agreeing means something."""
    return np.abs(network.parameters - before).max()


@pytest.mark.parametrize(("loss", "output"), OUTPUTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_hundred_steps(rng, activation, loss, output):
    x, y = inputs(rng, 50, 6), answers(rng, 50, 3, "labels", loss)
    rust, numpy = twins(
        [6, 8, 5, 3], activation=activation, output_activation=output, loss=loss, dtype="float64"
    )
    before, histories = rust.parameters, []
    for network in (rust, numpy):
        optimizer = SGD(Linear(0.02), momentum=0.8)
        histories.append(
            network.fit(x, y, steps=100, batch_size=7, optimizer=optimizer, l2=1e-3,
                        record_every=11, validation_data=(x[:20], y[:20]))
        )  # fmt: skip
    assert moved(rust, before) > 0.02
    assert_hundred_steps_agree(rust, numpy, histories)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("kind", ["labels", "targets"])
@pytest.mark.parametrize(
    ("sizes", "n", "batch_size", "pixels"),
    [
        ([1, 1], 10, 1, "float"),
        ([3, 40, 2], 64, 64, "float"),
        ([257, 5, 2, 4], 60, 13, "uint8"),
        ([784, 16, 16, 10], 40, 1, "uint8"),
    ],
)
def test_a_hundred_steps_of_other_sizes(rng, sizes, n, batch_size, pixels, kind, shuffle):
    x, y = inputs(rng, n, sizes[0], pixels), answers(rng, n, sizes[-1], kind)
    rust, numpy = twins(sizes, dtype="float64", seed=1)
    before = rust.parameters
    histories = [
        network.fit(x, y, steps=100, batch_size=batch_size, learning_rate=0.5, record_every=30,
                    shuffle=shuffle)
        for network in (rust, numpy)
    ]  # fmt: skip
    assert moved(rust, before) > 0.02
    assert_hundred_steps_agree(rust, numpy, histories)


@pytest.mark.parametrize("leader", [0, 1])
def test_a_long_run_in_hundreds(rng, leader):
    """2000 steps in float64: every 100 steps one engine gets the other's state."""
    x, y = inputs(rng, 90, 8), answers(rng, 90, 4)
    pair = twins([8, 12, 4], activation="tanh", loss="cross_entropy", dtype="float64")
    before = pair[0].parameters
    for _ in range(20):
        histories = [
            network.fit(x, y, steps=100, batch_size=8, record_every=50,
                        optimizer=SGD(0.05, momentum=0.9))
            for network in pair
        ]  # fmt: skip
        assert_hundred_steps_agree(*pair, histories)
        same_state(pair[leader], pair[1 - leader])
    assert moved(pair[0], before) > 1
    assert pair[0].steps_done == pair[1].steps_done == 2000
    assert pair[0].epochs_done == pair[1].epochs_done == 180  # 12 steps an epoch, 9 begun a fit


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_long_run_of_float32_in_single_steps(rng, activation):
    """200 steps: each from the other engine's state, each within the bound of its sums."""
    x, y = inputs(rng, 21, 8, dtype="float32"), answers(rng, 21, 4)
    rust, numpy = twins([8, 6, 4], activation=activation, loss="cross_entropy")
    targets = rows(y, 4)
    for step in range(200):
        chosen = np.arange(21)[step % 3 * 7 :][:7]
        made = bound.Step(numpy, x[chosen], targets[chosen], rows=7)
        expected, v = bound.descend(numpy, velocity(numpy), made, 0.1, 0.9, 1e-3)
        for network in (rust, numpy):
            network.fit(
                x[chosen], y[chosen], batch_size=7, shuffle=False, l2=1e-3,
                optimizer=SGD(0.1, momentum=0.9),
            )  # fmt: skip
            assert_within(network.parameters, expected)
            assert_within(velocity(network), v)
        same_state(rust, numpy)
    assert_engines(rust, numpy)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_whole_runs_on_digits_in_accuracy(mnist, dtype):
    """2,000 images of MNIST, 5 epochs: both learn them, and equally well."""
    train, test = mnist
    pair = twins([784, 16, 16, 10], dtype=dtype)
    found = []
    for network in pair:
        network.fit(
            train.images[:2000], train.labels[:2000], epochs=5, batch_size=4, learning_rate=0.5
        )
        found.append(network.evaluate(test.images[:2000], test.labels[:2000]).accuracy)
    assert_engines(*pair)
    assert min(found) > 0.8
    assert abs(found[0] - found[1]) < 0.02
