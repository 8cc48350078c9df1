"""What a network does: parameters, prediction, loss and accuracy, gradients, trace, explain."""

import math
from itertools import pairwise

import numpy as np
import pytest

from chainrule import SGD, Evaluation, Gradients, LayerTrace, Network, _backend

LOG3 = math.log(3)


@pytest.fixture
def x(rng):
    return rng.normal(size=(20, 4))


@pytest.fixture
def y(rng):
    return rng.integers(0, 3, 20)


def make(backend, **settings):
    return Network([4, 5, 3], backend=backend, **settings)


def linear(backend, **settings):
    """One input, two identity outputs: (x, 2x + 1/2)."""
    network = Network([1, 2], output_activation="identity", backend=backend, **settings)
    network.set_parameters([[[1.0], [2.0]]], [[0.0, 0.5]])
    return network


# ---- parameters


def test_parameters_stand_layer_by_layer_row_by_row(backend):
    network = Network([2, 3, 1], backend=backend)
    network.set_flat_parameters(np.arange(13))
    W, b = network.weights, network.biases
    assert [a.tolist() for a in W] == [[[0, 1], [2, 3], [4, 5]], [[9, 10, 11]]]
    assert [a.tolist() for a in b] == [[6, 7, 8], [12]]
    assert network.parameters.tolist() == list(range(13))
    other = Network([2, 3, 1], seed=1, backend=backend)
    other.set_parameters(W, b)
    assert other.parameters.tobytes() == network.parameters.tobytes()
    # z = 0 x0 + 1 x1 + 6, ...: (n_out, n_in) is what the layer multiplies with.
    [first, _] = network.trace([[10.0, 100.0]], [0.0])
    assert first.z.tolist() == [[106.0, 327.0, 548.0]]


def test_parameters_are_copies(backend):
    network = make(backend)
    before = network.parameters
    for array in (network.parameters, *network.weights, *network.biases):
        array += 1
    assert network.parameters.tobytes() == before.tobytes()
    given = before.copy()
    network.set_flat_parameters(given)
    given += 1
    assert network.parameters.tobytes() == before.tobytes()


def test_set_parameters_takes_whatever_is_an_array_and_rounds_once(backend):
    network = Network([1, 2], backend=backend)
    network.set_parameters([[[0.1], [1]]], [np.array([1, 2], np.int16)])
    assert network.parameters.tolist() == [float(np.float32(0.1)), 1.0, 1.0, 2.0]


def test_set_parameters_forgets_the_velocity_and_keeps_the_counters(backend, x, y):
    for way in ("set_parameters", "set_flat_parameters"):
        network = make(backend)
        network.fit(x, y, optimizer=SGD(0.1, momentum=0.5))
        if way == "set_parameters":
            network.set_parameters(network.weights, network.biases)
        else:
            network.set_flat_parameters(network.parameters)
        assert network._engine.state()[1] == {}
        assert (network.epochs_done, network.steps_done) == (1, 20)
        assert network.optimizer == SGD(0.1, momentum=0.5)


@pytest.mark.parametrize(
    ("weights", "biases", "kind", "says"),
    [
        ([], [], ValueError, "weights must have one array for each of 1 layers; got 0"),
        ([[[1], [2]]] * 2, [[0, 0]], ValueError, "weights must have one array .* got 2"),
        ([[[1], [2]]], None, ValueError, "biases must have one array .* got NoneType"),
        ([[[1, 2]]], [[0, 0]], ValueError, r"weights\[0\] must have shape \(2, 1\); got \(1, 2\)"),
        ([[[1], [2]]], [[0]], ValueError, r"biases\[0\] must have shape \(2,\); got \(1,\)"),
        ([[[1], [math.nan]]], [[0, 0]], ValueError, r"weights\[0\].* first is .*\[1, 0\] = nan"),
        ([[[1], [2]]], [[0, 1e300]], ValueError, r"biases\[0\]\[1\] = 1e\+300 is too large"),
        ([[[1], [2j]]], [[0, 0]], TypeError, r"weights\[0\] must be real"),
        ([[["a"], ["b"]]], [[0, 0]], TypeError, r"weights\[0\] must be an array of numbers"),
    ],
)
def test_set_parameters_refuses(backend, weights, biases, kind, says):
    network = Network([1, 2], backend=backend)
    before = network.parameters
    with pytest.raises(kind, match=says):
        network.set_parameters(weights, biases)
    assert network.parameters.tobytes() == before.tobytes()


@pytest.mark.parametrize("shape", [(3,), (5,), (1, 4), ()])
def test_set_flat_parameters_refuses_another_shape(backend, shape):
    network = Network([1, 2], backend=backend)
    with pytest.raises(ValueError, match=r"parameters must have shape \(4,\); got"):
        network.set_flat_parameters(np.zeros(shape))


@pytest.mark.parametrize("seed", [None, 3])
def test_reset_gives_a_new_network(backend, x, y, tmp_path, seed):
    """To the last byte of its file, whatever the training."""
    network = make(backend, activation="relu", seed=7)
    network.fit(x, y, optimizer=SGD(0.3, momentum=0.5))
    assert network.reset(seed) is None
    fresh = make(backend, activation="relu", seed=7 if seed is None else seed)
    assert network.seed == fresh.seed
    assert (network.epochs_done, network.steps_done) == (0, 0)
    assert network.optimizer == fresh.optimizer
    assert network._engine.state()[1] == {}
    network.save(tmp_path / "reset")
    fresh.save(tmp_path / "fresh")
    assert (tmp_path / "reset").read_bytes() == (tmp_path / "fresh").read_bytes()
    assert network.fit(x, y) == fresh.fit(x, y)  # the shuffles are the seed's too
    assert network.fingerprint() == fresh.fingerprint()
    network.reset()
    assert network.seed == fresh.seed


@pytest.mark.parametrize(
    ("seed", "kind"), [(-1, ValueError), (2**64, ValueError), (1.0, TypeError)]
)
def test_reset_refuses_a_seed(backend, x, y, seed, kind):
    network = make(backend)
    network.fit(x, y)
    before = network.fingerprint()
    with pytest.raises(kind, match="seed must be"):
        network.reset(seed)
    assert (network.fingerprint(), network.seed, network.steps_done) == (before, 0, 20)


def test_optimizer_without_a_rate(backend, x, y):
    network = make(backend)
    with pytest.raises(ValueError, match="optimizer has no learning rate: give it one"):
        network.fit(x, y, optimizer=SGD(None))
    assert (network.optimizer, network.steps_done) == (SGD(), 0)


# ---- predict, classify


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predict(backend, x, dtype):
    network = make(backend, dtype=dtype)
    outputs = network.predict(x)
    assert outputs.shape == (20, 3)
    assert outputs.dtype == dtype
    a = x.astype(dtype)
    for W, b in zip(network.weights, network.biases, strict=True):
        a = 1 / (1 + np.exp(-(a @ W.T + b)))
    np.testing.assert_allclose(outputs, a, rtol=1e-5 if dtype == "float32" else 1e-13)
    assert network.predict(x.reshape(20, 2, 2)).tobytes() == outputs.tobytes()
    assert network.predict(x, threads=3).tobytes() == outputs.tobytes()
    assert network.predict(x[:0]).shape == (0, 3)


def test_pixels_are_value_over_255(backend):
    network = Network([1, 1], output_activation="identity", backend=backend)
    network.set_parameters([[[1.0]]], [[0.0]])
    pixels = np.arange(256, dtype=np.uint8)[:, None]
    expected = (np.arange(256) / 255).astype(np.float32)
    assert network.predict(pixels)[:, 0].tolist() == expected.tolist()
    assert network.predict(pixels > 0)[:, 0].tolist() == [0.0] + [1.0] * 255


def test_classify_takes_the_largest_and_the_first_of_equals(backend):
    network = Network([1, 4], output_activation="identity", backend=backend)
    rows = [[0, 0, 0, 0], [0, 1, 1, 1], [-1, -2, -1, 0], [0, 2, 3, 3]]
    for biases, expected in zip(rows, [0, 1, 3, 2], strict=True):
        network.set_parameters([np.zeros((4, 1))], [biases])
        classes = network.classify([[1.0], [2.0]])
        assert classes.dtype == np.int64
        assert classes.tolist() == [expected] * 2
    assert network.classify(np.zeros((0, 1))).shape == (0,)
    assert network.classify([[1.0]], threads=2).tolist() == [2]


@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
def test_classify_with_one_sigmoid_output(backend, loss):
    """1 above 0.5, which is z above 0; 0 at 0.5."""
    network = Network([1, 1], loss=loss, backend=backend)
    network.set_parameters([[[1.0]]], [[0.0]])
    assert network.predict([[0.0]])[0, 0] == 0.5
    classes = network.classify([[-1.0], [0.0], [1e-3], [9.0]])
    assert classes.tolist() == [0, 0, 1, 1]
    assert classes.dtype == np.int64


@pytest.mark.parametrize("output", ["identity", "tanh", "relu", "softmax"])
def test_classify_with_one_other_output(backend, output):
    network = Network([1, 1], output_activation=output, backend=backend)
    with pytest.raises(ValueError, match=f"got one {output} output: use predict"):
        network.classify([[1.0]])


# ---- evaluate: losses by hand


def test_squared_error_by_hand(backend):
    """Outputs for x = 2 and -1: (2, 9/2) and (-1, -3/2). All numbers are dyadic.

    Targets (1, 4), (0, 0): 1 + 1/4 and 1 + 9/4, their mean 9/4.
    Labels 1, 0, which are (0, 1), (1, 0): 4 + 49/4 and 4 + 9/4, their mean 45/4.
    """
    network = linear(backend)
    x = [[2.0], [-1.0]]
    assert network.evaluate(x, [[1.0, 4.0], [0.0, 0.0]]) == (2.25, None)
    assert network.evaluate(x, [1, 0]) == (11.25, 1.0)
    assert network.evaluate(x, [[0, 1], [1, 0]]) == (11.25, 1.0)
    assert network.evaluate(x, [1, 1]).accuracy == 0.5
    result = network.evaluate(x, [1, 1], threads=2)
    assert isinstance(result, Evaluation)
    assert type(result.loss) is type(result.accuracy) is float


def test_cross_entropy_by_hand(backend):
    """z = (0, log 3): softmax is (1/4, 3/4)."""
    network = Network([1, 2], loss="cross_entropy", dtype="float64", backend=backend)
    network.set_parameters([[[0.0], [LOG3]]], [[0.0, 0.0]])
    x = [[1.0], [1.0]]
    np.testing.assert_allclose(network.predict(x), [[0.25, 0.75]] * 2, rtol=1e-15)
    loss, accuracy = network.evaluate(x, [0, 1])
    assert loss == pytest.approx((math.log(4) + math.log(4 / 3)) / 2, rel=1e-15)
    assert accuracy == 0.5
    assert network.evaluate(x, np.eye(2)) == (loss, 0.5)
    soft = network.evaluate(x, [[0.5, 0.5], [0.5, 0.5]])
    assert soft.loss == pytest.approx(loss, rel=1e-15)
    assert soft.accuracy is None


def test_binary_cross_entropy_by_hand(backend):
    """z = log 3: sigmoid is 3/4. Over several outputs the losses are added."""
    network = Network([1, 1], loss="binary_cross_entropy", dtype="float64", backend=backend)
    network.set_parameters([[[LOG3]]], [[0.0]])
    x = [[1.0], [1.0]]
    loss, accuracy = network.evaluate(x, [1, 0])
    assert loss == pytest.approx((math.log(4 / 3) + math.log(4)) / 2, rel=1e-15)
    assert accuracy == 0.5
    assert network.evaluate(x, [[1.0], [1.0]]).accuracy == 1.0
    soft = network.evaluate(x, [0.25, 0.25])
    assert soft.loss == pytest.approx(math.log(4 / 3) / 4 + math.log(4) * 3 / 4, rel=1e-15)
    assert soft.accuracy is None
    two = Network([1, 2], loss="binary_cross_entropy", dtype="float64", backend=backend)
    two.set_parameters([[[LOG3], [-LOG3]]], [[0.0, 0.0]])
    loss, accuracy = two.evaluate(x, [[1, 1], [1, 0]])  # the first row is not one-hot
    assert loss == pytest.approx((math.log(4 / 3) * 3 + math.log(4)) / 2, rel=1e-15)
    assert accuracy is None
    assert two.evaluate(x, [0, 1]).accuracy == 0.5


def test_accuracy_with_one_output(backend):
    """Compared where `classify` works and all targets are 0 or 1."""
    x = [[-1.0], [1.0]]
    for output, expected in (("sigmoid", 1.0), ("identity", None), ("tanh", None)):
        network = Network([1, 1], output_activation=output, backend=backend)
        network.set_parameters([[[1.0]]], [[0.0]])
        assert network.evaluate(x, [0, 1]).accuracy == expected
        assert network.evaluate(x, [False, True]).accuracy == expected
        assert network.evaluate(x, [0.0, 0.5]).accuracy is None
        assert network.evaluate(x, [0, 2]).accuracy is None


def test_accuracy_is_the_share_that_classify_has_right(backend, x, y):
    network = make(backend)
    assert network.evaluate(x, y).accuracy == np.mean(network.classify(x) == y)
    assert network.evaluate(x, y.astype(float)) == network.evaluate(x, np.eye(3)[y])


def test_evaluate_needs_a_row(backend):
    with pytest.raises(ValueError, match=r"x must have at least one row; got shape \(0, 4\)"):
        make(backend).evaluate(np.zeros((0, 4)), [])


# ---- gradients and trace

LOSSES = [
    ("squared_error", "identity"),
    ("squared_error", "softmax"),
    ("squared_error", "tanh"),
    ("cross_entropy", "softmax"),
    ("binary_cross_entropy", "sigmoid"),
]


def test_gradients_by_hand(backend):
    """Outputs for x = 2: (2, 9/2). Targets (1, 4): delta = 2 (a - y) = (2, 1)."""
    result = linear(backend).gradients([[2.0]], [[1.0, 4.0]])
    assert isinstance(result, Gradients)
    assert result.loss == 1.25
    assert [array.tolist() for array in result.weights] == [[[4.0], [2.0]]]
    assert [array.tolist() for array in result.biases] == [[2.0, 1.0]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("loss", "output"), LOSSES)
def test_gradients_and_trace(backend, x, y, dtype, loss, output):
    network = make(backend, activation="tanh", loss=loss, output_activation=output, dtype=dtype)
    targets = np.eye(3, dtype=dtype)[y]
    tolerance = {"rtol": 1e-4, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-11}
    before = network.fingerprint()
    gradients, layers = network.gradients(x, y), network.trace(x, y)
    assert network.fingerprint() == before
    assert gradients.loss == pytest.approx(network.evaluate(x, y).loss, rel=1e-6)
    assert type(gradients.loss) is float
    assert [array.shape for array in gradients.weights] == [(5, 4), (3, 5)]
    assert [array.shape for array in gradients.biases] == [(5,), (3,)]
    assert type(gradients.weights) is type(gradients.biases) is type(layers) is list
    assert all(isinstance(layer, LayerTrace) for layer in layers)
    sizes = network.sizes
    a, outputs = x.astype(dtype), network.predict(x)
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        layer, W, b = layers[i], network.weights[i], network.biases[i]
        assert {array.dtype for array in layer} == {np.dtype(dtype)}
        for array in (layer.z, layer.a, layer.r, layer.dE_da, layer.dE_db):
            assert array.shape == (20, n_out)
        assert layer.dE_dW.shape == (20, n_out, n_in)
        np.testing.assert_allclose(layer.z, a @ W.T + b, **tolerance)
        np.testing.assert_allclose(layer.dE_dW, layer.r[:, :, None] * a[:, None, :], **tolerance)
        assert layer.dE_db.tobytes() == layer.r.tobytes()
        np.testing.assert_allclose(layer.dE_dW.mean(axis=0), gradients.weights[i], **tolerance)
        np.testing.assert_allclose(layer.dE_db.mean(axis=0), gradients.biases[i], **tolerance)
        a = layer.a
    hidden, last = layers
    np.testing.assert_allclose(hidden.a, np.tanh(hidden.z), **tolerance)
    np.testing.assert_allclose(last.a, outputs, **tolerance)
    np.testing.assert_allclose(hidden.dE_da, last.r @ network.weights[1], **tolerance)
    np.testing.assert_allclose(hidden.r, (1 - hidden.a**2) * hidden.dE_da, **tolerance)
    expected = {
        "squared_error": 2 * (last.a - targets),
        "cross_entropy": -targets / last.a,
        "binary_cross_entropy": (1 - targets) / (1 - last.a) - targets / last.a,
    }[loss]
    np.testing.assert_allclose(last.dE_da, expected, **tolerance)
    if loss == "squared_error":
        slope = {"identity": 1, "tanh": 1 - last.a**2, "softmax": None}[output]
        if slope is None:
            inner = (last.a * expected).sum(axis=1, keepdims=True)
            np.testing.assert_allclose(last.r, last.a * (expected - inner), **tolerance)
        else:
            np.testing.assert_allclose(last.r, slope * expected, **tolerance)
    else:
        np.testing.assert_allclose(last.r, last.a - targets, **tolerance)


def test_trace_is_of_each_row_by_itself(backend, x, y):
    network = make(backend)
    together = network.trace(x, y)
    for row in range(3):
        alone = network.trace(x[row : row + 1], y[row : row + 1])
        for one, all_rows in zip(alone, together, strict=True):
            for array, arrays in zip(one, all_rows, strict=True):
                np.testing.assert_allclose(array[0], arrays[row], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("loss", "output"), LOSSES)
def test_numerical_gradients_are_the_same_in_float64(backend, x, y, loss, output):
    network = make(backend, activation="tanh", loss=loss, output_activation=output)
    network.predict(x)
    before = network.fingerprint(), network.explain()
    found = network.numerical_gradients(x, y)
    assert (network.fingerprint(), network.explain()) == before
    expected = network.gradients(x, y)
    assert isinstance(found, Gradients)
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    for ours, theirs in zip(found[1:], expected[1:], strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.dtype == np.float64
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


def test_epsilon_is_the_step_to_either_side(backend):
    """Eq. 9 with a step of 1: (E(w + 1) - E(w - 1)) / 2, E(w) = sigmoid(w)^2."""
    network = Network([1, 1], dtype="float64", backend=backend)
    network.set_parameters([[[0.5]]], [[0.0]])
    found = network.numerical_gradients([[1.0]], [0.0], epsilon=1)
    expected = ((1 + math.exp(-1.5)) ** -2 - (1 + math.exp(0.5)) ** -2) / 2
    assert found.weights[0][0, 0] == pytest.approx(expected, rel=1e-14)
    assert found.biases[0][0] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("epsilon", [0, -1e-6, math.nan, math.inf])
def test_epsilon_is_above_0(backend, epsilon):
    with pytest.raises(ValueError, match="epsilon must be a finite number above 0; got"):
        Network([1, 1], backend=backend).numerical_gradients([[1.0]], [0.0], epsilon=epsilon)


@pytest.mark.parametrize("epsilon", ["1e-6", None, True])
def test_epsilon_is_a_number(backend, epsilon):
    with pytest.raises(TypeError, match="epsilon must be a real number; got"):
        Network([1, 1], backend=backend).numerical_gradients([[1.0]], [0.0], epsilon=epsilon)


# ---- explain


def test_explain_before_and_after(backend, x, y):
    network = make(backend)
    before = network.explain()
    assert set(before) == {"engine", "isa", "threads", "path"}
    assert before["engine"] == backend
    assert before["path"] == "layered"
    if backend == "rust":
        assert before["isa"] == _backend.isas()[-1]
        assert before["threads"] == 1
    else:
        assert before["isa"] is before["threads"] is None
    network.fit(x, y, batch_size=7, threads=1)
    if backend == "rust":
        before["path"] = "few rows"
    assert network.explain() == before
    network.predict(x, threads=1)
    if backend == "rust":
        before["path"] = "layered sparse"
    assert network.explain() == before
    network.explain()["engine"] = "other"
    assert network.explain() == before


def test_explain_is_of_the_fit_and_not_of_its_validation(x, y):
    for batch_size, path in (1, "online"), (7, "few rows"):
        network = make("rust")
        network.fit(x, y, batch_size=batch_size, validation_data=(x, y))
        assert network.explain()["path"] == path
        network.evaluate(x, y)
        assert network.explain()["path"] == path


@pytest.mark.parametrize("rows", [1, 7, 5000])
def test_explain_is_not_of_what_was_refused(x, rows):
    network = make("rust")
    before = network.explain()
    with pytest.raises(ValueError, match="x must be finite"):
        network.predict(np.full((rows, x.shape[1]), np.nan, np.float32))
    assert network.explain() == before


def test_explain_is_of_this_network(x, y, monkeypatch):
    """Another with another instruction set and another engine does not change it."""
    own = make("rust")
    monkeypatch.setenv("CHAINRULE_ISA", "portable")
    portable = make("rust")
    monkeypatch.delenv("CHAINRULE_ISA")
    other = make("numpy")
    for network in (own, portable, other):
        network.fit(x, y)
        network.predict(x)
    explained = [network.explain() for network in (own, portable, other)]
    assert [each["engine"] for each in explained] == ["rust", "rust", "numpy"]
    assert [each["isa"] for each in explained] == [_backend.isas()[-1], "portable", None]
    assert own.fingerprint() == portable.fingerprint()
