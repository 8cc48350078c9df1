"""Rows 114 to 122 and 124 of the table of faults: numbers at the edges of their range."""

import math

import numpy as np
import pytest

from chainrule import SGD, DivergenceError, Network, reference, training
from chainrule._backend import Totals

DTYPES = ["float32", "float64"]


def layer(backend, weights, biases, **settings):
    """A network of one layer with these parameters."""
    weights = np.asarray(weights, float)
    network = Network(weights.shape[::-1], backend=backend, **settings)
    network.set_parameters([weights], [biases])
    return network


def velocity(network):
    return network._engine.state()[1]["velocity"]


# ---- 114 to 117: activations and losses


@pytest.mark.parametrize("dtype", DTYPES)
def test_fault_114_sigmoid_and_tanh_far_out(backend, dtype):
    x = np.array([[1e4], [-1e4], [3e38], [-3e38]])
    sigmoid = layer(backend, [[1.0]], [0.0], dtype=dtype)
    assert sigmoid.predict(x)[:, 0].tolist() == [1, 0, 1, 0]
    tanh = layer(backend, [[1.0]], [0.0], dtype=dtype, output_activation="tanh")
    assert tanh.predict(x)[:, 0].tolist() == [1, -1, 1, -1]


def test_fault_114_no_exp_overflows(backend):
    """exp(88.73) is infinite in float32: 1 / (1 + exp(-z)) would be 0 from there on."""
    network = layer(backend, [[1.0]], [0.0])
    x = np.array([-88.73, -95.0, -100.0], np.float32)
    expected = [math.exp(z) / (1 + math.exp(z)) for z in x.tolist()]
    assert expected[-1] == pytest.approx(3.8e-44, rel=0.05)
    found = network.predict(x[:, None])[:, 0].astype(float)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2 * 2.0**-149)


def test_fault_114_numpy_calls_exp_of_nothing_above_zero(monkeypatch, rng):
    largest = []

    class Watched:
        def __getattr__(self, name):
            return getattr(np, name)

        def exp(self, z):
            largest.append(z.max())
            return np.exp(z)

    monkeypatch.setattr(reference, "np", Watched())
    x, y = rng.normal(size=(9, 4)) * 1e3, np.arange(9) % 3
    for loss in ("squared_error", "cross_entropy"):
        network = Network([4, 5, 3], loss=loss, backend="numpy")
        network.fit(x, y, batch_size=4)
        network.evaluate(x, y)
    Network([4, 1], loss="binary_cross_entropy", backend="numpy").fit(x, y % 2)
    assert len(largest) > 20
    assert max(largest) == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("z", "expected"),
    [
        ([5.0, 5.0, 5.0], [1 / 3, 1 / 3, 1 / 3]),
        ([1e38, 1e38, 1e38], [1 / 3, 1 / 3, 1 / 3]),
        ([1e38, -1e38, 0.0], [1, 0, 0]),
        ([-1e38, -1e38, -1e38], [1 / 3, 1 / 3, 1 / 3]),
        ([1e4, 1e4, -1e4], [1 / 2, 1 / 2, 0]),
        ([0.0, math.log(2), -1e38], [1 / 3, 2 / 3, 0]),
    ],
)
def test_fault_115_softmax_far_out(backend, dtype, z, expected):
    network = layer(backend, np.zeros((3, 2)), z, dtype=dtype, loss="cross_entropy")
    found = network.predict(np.ones((2, 2)))
    np.testing.assert_allclose(found, [expected, expected], rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(found.sum(axis=1, dtype=float), 1, rtol=2 * np.finfo(dtype).eps)


def test_fault_115_softmax_of_minus_infinity(backend):
    """z overflows to -inf in one output: a finite network and a finite input can do that."""
    network = layer(backend, [[-3e38], [0.0], [0.0]], [0.0, 1.0, 1.0], loss="cross_entropy")
    assert network.predict(np.array([[2.0]])).tolist() == [[0.0, 0.5, 0.5]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_fault_115_loss_is_log_sum_exp(backend, dtype):
    for bias in (0.0, 1e4, -1e4, 1e30):
        network = layer(backend, np.zeros((3, 1)), [bias] * 3, dtype=dtype, loss="cross_entropy")
        loss = network.evaluate(np.ones((1, 1)), [1]).loss
        assert loss == pytest.approx(math.log(3), rel=float(4 * np.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", DTYPES)
def test_fault_116_cross_entropy_where_the_probability_is_zero(backend, dtype):
    network = layer(backend, np.zeros((2, 1)), [0.0, -1000.0], dtype=dtype, loss="cross_entropy")
    x, y = np.zeros((1, 1)), [1]
    assert network.predict(x)[0, 1] == 0
    assert network.evaluate(x, y) == (1000.0, 0.0)
    gradients = network.gradients(x, y)
    assert gradients.biases[0].tolist() == [1, -1]
    history = network.fit(x, y, epochs=2, learning_rate=0.25)
    assert history.loss == [1000.0, 999.5]


@pytest.mark.parametrize("dtype", DTYPES)
def test_fault_116_binary_cross_entropy_where_the_probability_is_zero(backend, dtype):
    for z, y in ((-1000.0, 1), (1000.0, 0)):
        network = layer(backend, [[0.0]], [z], dtype=dtype, loss="binary_cross_entropy")
        x = np.zeros((1, 1))
        assert network.predict(x)[0, 0] == 1 - y
        assert network.evaluate(x, [y]) == (1000.0, 0.0)
        assert network.fit(x, [y], epochs=2, learning_rate=0.25).loss == [1000.0, 999.75]


def test_fault_117_all_units_saturated(backend, rng):
    network = Network([3, 4, 2], backend=backend)
    weights, biases = network.weights, network.biases
    network.set_parameters([weights[0], weights[1]], [biases[0] + 50, biases[1]])
    x, y = rng.normal(size=(8, 3)), np.arange(8) % 2
    history = network.fit(x, y, epochs=3)
    assert history.saturated == [1.0, 1.0, 1.0]
    assert np.isfinite(history.loss).all()
    assert np.isfinite(network.parameters).all()
    assert "100.0%" in repr(history)


def test_fault_117_all_relu_dead(backend, rng):
    network = Network([3, 4, 2], activation="relu", backend=backend)
    weights, biases = network.weights, network.biases
    network.set_parameters(weights, [biases[0] - 100, biases[1]])
    before = network.parameters
    x, y = rng.normal(size=(8, 3)), np.arange(8) % 2
    history = network.fit(x, y, epochs=3)
    assert history.saturated == [1.0, 1.0, 1.0]
    assert np.isfinite(history.loss).all()
    # Nothing reaches the dead units, and they send nothing on: only the last biases have moved.
    assert network.parameters[:-2].tobytes() == before[:-2].tobytes()
    assert (network.biases[1] != biases[1]).all()


def test_fault_117_share_by_hand(backend):
    """Four relu units on inputs 1 and -1: on are units 0 and 1, then unit 2; off 2, then 3 of 4."""
    network = Network([1, 4, 2], activation="relu", backend=backend)
    network.set_parameters(
        [[[1.0], [2.0], [-1.0], [0.0]], np.zeros((2, 4))], [np.zeros(4), np.zeros(2)]
    )
    x, y = np.array([[1.0], [-1.0]]), [0, 1]
    history = network.fit(x, y, learning_rate=0, shuffle=False, record_every=1)
    assert history.saturated == [2 / 4, 3 / 4]
    assert network.fit(x, y, learning_rate=0).saturated == [5 / 8]
    assert Network([1, 2], backend=backend).fit(x, y).saturated == [None]


# ---- 118, 119: divergence


@pytest.mark.parametrize("slice_seconds", [1e-9, 0.02, 1e9])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_fault_118_learning_rate_too_large(backend, rng, monkeypatch, momentum, slice_seconds):
    monkeypatch.setattr(training, "SLICE_SECONDS", slice_seconds)
    x, y = rng.normal(size=(30, 4)), rng.integers(0, 3, 30)
    network = Network([4, 5, 3], activation="relu", output_activation="identity", backend=backend)
    alike = network.copy()

    def rate(step, steps):
        return 0.01 if step < 64 else 1e10

    settings = {"record_every": 20}
    with pytest.raises(DivergenceError) as caught:
        network.fit(x, y, epochs=5, optimizer=SGD(rate, momentum=momentum), **settings)
    history = alike.fit(x, y, epochs=2, optimizer=SGD(0.01, momentum=momentum), **settings)

    error = caught.value
    assert isinstance(error, ArithmeticError)
    assert error.epoch == 2
    assert error.layer in {0, 1}
    message = str(error)
    for part in ("epoch 2", f"layer {error.layer}", "learning_rate", "as it was", "scaled"):
        assert part in message
    # As at the start of that epoch: parameters, velocity, counters. What was recorded stays.
    assert network.parameters.tobytes() == alike.parameters.tobytes()
    if momentum:
        assert velocity(network).tobytes() == velocity(alike).tobytes()
    assert (network.epochs_done, network.steps_done) == (2, 60)
    history.stopped_by = error.history.stopped_by
    assert error.history == history
    assert error.history.steps == [20, 30, 40, 60]
    # It can go on, with a rate that fits.
    optimizer = SGD(0.01, momentum=momentum)
    assert network.fit(x, y, optimizer=optimizer) == alike.fit(x, y, optimizer=optimizer)
    assert network.fingerprint() == alike.fingerprint()


def test_fault_118_message_does_not_depend_on_the_clock(backend, rng, monkeypatch):
    x, y = rng.normal(size=(300, 4)), rng.integers(0, 3, 300)
    network = Network([4, 5, 3], activation="relu", output_activation="identity", backend=backend)
    messages = set()
    for seconds in (1e-9, 1e-4, 1e9):
        monkeypatch.setattr(training, "SLICE_SECONDS", seconds)
        with pytest.raises(DivergenceError) as caught:
            network.fit(x, y, epochs=5, learning_rate=10.0)
        messages.add(str(caught.value))
    assert len(messages) == 1, messages


def test_fault_118_in_the_first_step(backend, rng):
    x, y = rng.normal(size=(30, 4)), np.full((30, 3), 100.0)
    network = Network([4, 5, 3], output_activation="identity", backend=backend)
    before = network.parameters.tobytes()
    with pytest.raises(DivergenceError) as caught:
        network.fit(x, y, learning_rate=3e38)
    assert caught.value.epoch == 0
    assert len(caught.value.history) == 0
    assert network.parameters.tobytes() == before
    assert (network.epochs_done, network.steps_done) == (0, 0)


def test_fault_118_loss_overflows(backend):
    """The parameters are finite, z is not: the last layer is named."""
    network = Network([1, 1, 1], activation="identity", output_activation="identity",
                      backend=backend)  # fmt: skip
    network.set_flat_parameters([1e30, 0, 1e30, 0])
    before = network.fingerprint()
    with pytest.raises(DivergenceError) as caught:
        network.fit([[1.0]], [[0.0]], learning_rate=0)
    assert (caught.value.epoch, caught.value.layer) == (0, 1)
    assert network.fingerprint() == before


@pytest.mark.parametrize("hidden", ["relu", "identity", "tanh", "sigmoid"])
def test_fault_026_infinity_minus_infinity_is_not_hidden(backend, hidden):
    """One block of a sum overflows upwards, the next downwards: z is NaN, and so is the output."""
    network = Network([512, 2, 1], activation=hidden, output_activation="identity", backend=backend)
    W = np.zeros((2, 512))
    W[:, 0], W[:, 300] = 1e38, -1e38
    network.set_parameters([W, [[1, 1]]], [[0, 0], [7]])
    x = np.full((1, 512), 1e38)
    assert np.isnan(network.predict(x)).all()
    assert math.isnan(network.evaluate(x, [[1.0]]).loss)
    with pytest.raises(DivergenceError):
        network.fit(x, [[1.0]], learning_rate=0.1)


@pytest.mark.parametrize(
    ("parameters", "target", "rate", "layer"),
    [
        # a = 0, E = 1e10, dE/da = 2e5; back through w[1]: dE/dw[0] = 2e35, rate times that 2e39.
        ([0, 0, 1e30, 0], -1e5, 1e4, 0),
        # a[1] = 1, a = 0, E = 1e36, dE/dw[1] = 2e18, rate times that 2e39; layer 0 gets nothing.
        ([1, 0, 0, 0], -1e18, 1e21, 1),
        # The same with w[1] = 1: both layers get 2e18. The first is named.
        ([1, 0, 1, 0], -1e18, 1e21, 0),
    ],
)
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_fault_119_update_overflows(backend, parameters, target, rate, layer, momentum):
    network = Network([1, 1, 1], activation="identity", output_activation="identity",
                      backend=backend)  # fmt: skip
    network.set_flat_parameters(parameters)
    x, y = np.ones((1, 1)), np.array([[target]])
    assert math.isfinite(network.evaluate(x, y).loss)
    optimizer = SGD(0, momentum=momentum)
    network.fit(x, y, optimizer=optimizer)  # leaves a velocity, and the parameters as they are
    before = network._engine.state()
    with pytest.raises(DivergenceError) as caught:
        network.fit(x, y, optimizer=SGD(rate, momentum=momentum))
    assert (caught.value.epoch, caught.value.layer) == (1, layer)
    after = network._engine.state()
    assert after[0].tobytes() == before[0].tobytes()
    assert set(after[1]) == set(before[1]) == ({"velocity"} if momentum else set())
    for name in after[1]:
        assert after[1][name].tobytes() == before[1][name].tobytes()
    assert (network.epochs_done, network.steps_done) == (1, 1)


# ---- 120 to 122, 124: data and counters


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0])
def test_fault_120_constant_and_duplicated_features(backend, rng, value):
    useful = rng.normal(size=(60, 2))
    y = (useful[:, 0] > useful[:, 1]).astype(int)
    x = np.column_stack([useful, np.full((60, 3), value), useful, useful[:, 0]])
    network = Network([8, 6, 2], activation="tanh", backend=backend)
    history = network.fit(x, y, epochs=40, learning_rate=0.1)
    assert history.accuracy[-1] > 0.9
    assert history.loss[-1] < history.loss[0] / 2
    constant = Network([8, 6, 2], backend=backend).fit(np.full((60, 8), value), y, epochs=3)
    assert np.isfinite(constant.loss).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_fault_121_one_row_one_unit_by_hand(backend, dtype):
    """a = w x + b, E = (a - t)^2, x = 2, t = 1, rate 1/4, from w = 1/2, b = 1/4.

    Step 1: a = 5/4, E = 1/16, dE/da = 1/2, dE/dw = 1, dE/db = 1/2: w = 1/4, b = 1/8.
    Step 2: a = 5/8, E = 9/64, dE/da = -3/4, dE/dw = -3/2, dE/db = -3/4: w = 5/8, b = 5/16.
    """
    network = layer(backend, [[0.5]], [0.25], output_activation="identity", dtype=dtype)
    history = network.fit([[2.0]], [1.0], epochs=2, learning_rate=0.25)
    assert history.loss == [1 / 16, 9 / 64]
    assert history.accuracy == [None, None]
    assert network.parameters.tolist() == [5 / 8, 5 / 16]
    assert network.predict([[2.0]]).tolist() == [[25 / 16]]


def test_fault_122_sums_beyond_what_float32_counts(backend):
    """2**24 + 1 has no float32: what an engine adds up is integers, and losses in float64."""
    network = layer(backend, [[0.0], [0.0]], [0.0, 0.0], output_activation="identity")
    dataset = network._engine.dataset(
        np.zeros((3, 1), np.float32), np.zeros(3, np.int64), None, 1, None
    )
    before = Totals(2.0**30, 2**53, 2**60)
    totals, done, diverged = network._engine.train(dataset, 0, 0, np.zeros(3), 0.0, 0.0, 1, before)
    assert (done, diverged) == (3, None)
    assert tuple(totals) == (2.0**30 + 3.0, 2**53 + 3, 2**60)
    assert [type(value) for value in totals] == [float, int, int]


@pytest.mark.parametrize("steps", [2**24, 2**53])
def test_fault_122_counters_are_integers(backend, tmp_path, steps):
    network = layer(backend, [[0.0], [0.0]], [0.0, 0.0])
    network._counters.steps = steps
    history = network.fit(np.zeros((3, 1)), [0, 1, 0], record_every=1)
    assert history.steps == [steps + 1, steps + 2, steps + 3]
    network.save(tmp_path / "model")
    assert Network.load(tmp_path / "model", backend=backend).steps_done == steps + 3


@pytest.mark.parametrize("activation", ["identity", "sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_fault_124_negative_zero_bias_on_zero_pixels(backend, dtype, activation):
    """Pixels are zeros that may be skipped, floats zeros that may be multiplied."""
    pixels = np.zeros((9, 20), np.uint8)
    pixels[::2, 3:7] = [255, 0, 1, 128]
    floats = (np.arange(256) / 255)[pixels]
    y = np.arange(9) % 3
    networks = []
    for x in (pixels, floats):
        network = Network(
            [20, 6, 3], activation=activation, output_activation=activation, dtype=dtype,
            backend=backend,
        )  # fmt: skip
        weights = network.weights
        weights[0][:, 10:] *= -0.0
        network.set_parameters(weights, [np.full(6, -0.0), np.full(3, -0.0)])
        assert np.signbit(network.biases[0]).all()
        networks.append((network, x, network.predict(x).tobytes()))
        history = network.fit(x, y, epochs=2, batch_size=2, learning_rate=0.1)
        networks[-1] += (history, network.parameters.tobytes(), network.fingerprint())
    assert networks[0][2:] == networks[1][2:]


def test_fault_124_skipped_zeros_leave_no_negative_zero():
    """EXACTNESS 1, 2: z = (+0.0 + +0.0 * w) + -0.0 = +0.0, on Rust, skipped or multiplied."""
    network = layer("rust", -np.ones((3, 20)), [-0.0] * 3, output_activation="identity")
    for dtype in (np.uint8, np.float32):
        outputs = network.predict(np.zeros((2, 20), dtype))
        assert not outputs.any()
        assert not np.signbit(outputs).any()
