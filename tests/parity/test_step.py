"""One step from the same state, and all that is computed on the way to it.

float64: within 1e-12 of the largest magnitude in each array. float32: each engine within the bound
of `bound.py`, which follows from the lengths of the sums.
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
    taken,
    twins,
    velocity,
)

from chainrule import SGD, _backend

DTYPES = ["float32", "float64"]
U = bound.U


def one_step(pair, x, y, *, batch_size, momentum=0.0, l2=0.0, shuffle=True, rate=0.25, before=3):
    """A step of both from a state that some training has left; compare all that it makes."""
    rust, numpy = pair
    options = {"batch_size": batch_size, "l2": l2, "shuffle": shuffle}
    for network in pair:
        network.fit(x, y, steps=before, optimizer=SGD(rate / 8, momentum=momentum), **options)
    same_state(numpy, rust)
    seen = taken(numpy, len(x), batch_size, shuffle)
    step = bound.Step(numpy, x[seen], rows(y, numpy.sizes[-1])[seen], rows=len(seen))
    expected = bound.descend(numpy, velocity(numpy), step, rate, momentum, l2)
    histories = [
        network.fit(x, y, steps=1, optimizer=SGD(rate, momentum=momentum), **options)
        for network in pair
    ]
    assert_engines(*pair)
    assert rust.steps_done == numpy.steps_done == before + 1
    if momentum:
        assert velocity(rust) is not None
        assert velocity(numpy) is not None
    else:
        assert velocity(rust) is velocity(numpy) is None
    if rust.dtype == np.float64:
        for found, judge in zip(parts(rust), parts(numpy), strict=True):
            assert_near(found, judge, 1e-12)
        assert histories[0].loss == pytest.approx(histories[1].loss, rel=1e-12)
        assert histories[0].accuracy == histories[1].accuracy
        assert histories[0].saturated == histories[1].saturated
        return
    for network, history in zip(pair, histories, strict=True):
        assert_within(network.parameters, expected[0])
        if momentum:
            assert_within(velocity(network), expected[1])
        # float64 adds the rows' losses; U covers what that rounds.
        off = abs(history.loss[0] - step.losses.value.mean())
        assert off <= step.losses.error.mean() + U * step.losses.value.mean()
        if history.saturated[0] is not None:
            least, most = step.saturated()
            hidden = sum(network.sizes[1:-1]) * len(seen)
            assert least <= round(history.saturated[0] * hidden) <= most


def parts(network):
    """Each array of the state: weights and biases of each layer, and the velocity."""
    v = velocity(network)
    return [*network.weights, *network.biases, *([] if v is None else [v])]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "output"), OUTPUTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_activation_and_loss(rng, activation, loss, output, dtype):
    for kind in ("labels", "targets"):
        x, y = inputs(rng, 23, 7, dtype=dtype), answers(rng, 23, 4, kind, loss, dtype)
        pair = twins(
            [7, 9, 6, 4], activation=activation, output_activation=output, loss=loss, dtype=dtype
        )
        one_step(pair, x, y, batch_size=8, momentum=0.5, l2=0.01)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_size", [1, 7, 32, 300])
@pytest.mark.parametrize(
    "sizes",
    [
        [1, 1], [3, 1, 2], [2, 40, 1], [255, 4, 3], [256, 5, 3], [257, 6], [4, 300, 3, 5],
        [513, 17, 2],
    ],
)  # fmt: skip
def test_each_size_and_batch_size(rng, sizes, batch_size, dtype):
    """Around the blocks of 256 in inputs, outputs and rows; n is 300."""
    x, y = inputs(rng, 300, sizes[0], dtype=dtype), answers(rng, 300, sizes[-1], "targets")
    y = y.astype(dtype)
    pair = twins(sizes, activation="tanh", dtype=dtype, seed=2**64 - 1)
    one_step(pair, x, y, batch_size=batch_size, momentum=0.9, l2=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("l2", [0.0, 0.1])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("kind", ["float", "uint8"])
@pytest.mark.parametrize("batch_size", [5, 10])  # 30 rows: 5 and 10 divide
def test_each_option(rng, kind, shuffle, l2, momentum, batch_size, dtype):
    x, y = inputs(rng, 30, 12, kind, dtype), answers(rng, 30, 3)
    pair = twins([12, 8, 3], loss="cross_entropy", activation="relu", dtype=dtype)
    one_step(pair, x, y, batch_size=batch_size, momentum=momentum, l2=l2, shuffle=shuffle)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_size", [7, 30, 31])
def test_the_shorter_last_batch(rng, batch_size, dtype):
    """30 rows: the last batch of an epoch has 2 rows of 7; 30 and 31 make one batch."""
    x, y = inputs(rng, 30, 6, dtype=dtype), answers(rng, 30, 3)
    rust, numpy = twins([6, 5, 3], dtype=dtype)
    steps = -(-30 // batch_size)
    last = np.arange(30)[(steps - 1) * batch_size :]
    for network in (rust, numpy):
        network.fit(x, y, steps=1, batch_size=30, learning_rate=1.0)
    same_state(numpy, rust)
    step = bound.Step(numpy, x[last], rows(y, 3)[last], rows=len(last))
    expected, _ = bound.descend(numpy, None, step, 1.0, 0.0, 0.0)

    def rate(step, steps):  # only the last batch moves anything
        return float(step == steps - 1)

    for network in (rust, numpy):
        network.fit(x, y, batch_size=batch_size, learning_rate=rate, shuffle=False)
    assert_engines(rust, numpy)
    if dtype == "float64":
        assert_near(rust.parameters, numpy.parameters, 1e-12)
    else:
        assert_within(rust.parameters, expected)
        assert_within(numpy.parameters, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["float", "uint8"])
def test_the_network_of_the_report(rng, kind, dtype):
    x, y = inputs(rng, 40, 784, kind, dtype), answers(rng, 40, 10)
    one_step(twins([784, 16, 16, 10], dtype=dtype), x, y, batch_size=1, before=10)
    one_step(twins([784, 16, 16, 10], dtype=dtype), x, y, batch_size=16, momentum=0.9)


# ---- what is computed without changing anything


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "output"), OUTPUTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_predict_evaluate_gradients_and_trace(rng, activation, loss, output, dtype):
    sizes = [11, 8, 5, 3]
    x, y = inputs(rng, 19, 11, dtype=dtype), answers(rng, 19, 3, "targets", loss, dtype)
    rust, numpy = twins(
        sizes, activation=activation, output_activation=output, loss=loss, dtype=dtype, seed=9
    )
    flat = rng.normal(size=rust.n_parameters) / 3
    for network in (rust, numpy):
        network.set_flat_parameters(flat)
    mean = bound.Step(numpy, x, y, rows=19)
    single = bound.Step(numpy, x, y)
    results = [
        (n.predict(x), n.evaluate(x, y), n.gradients(x, y), n.trace(x, y)) for n in (rust, numpy)
    ]
    assert_engines(rust, numpy)
    for predicted, evaluation, gradients, trace in results:
        assert evaluation.loss == gradients.loss
        assert evaluation.accuracy is None
        if dtype == "float64":
            judge = results[1]
            assert_near(predicted, judge[0], 1e-12)
            assert evaluation.loss == pytest.approx(judge[1].loss, rel=1e-12)
            found, expected = (
                [*g.weights, *g.biases, *(array for layer in t for array in layer)]
                for g, t in [(gradients, trace), judge[2:]]
            )
            for one, other in zip(found, expected, strict=True):
                assert_near(one, other, 1e-12)
            continue
        assert_within(predicted, mean.a[-1])
        off = abs(evaluation.loss - mean.losses.value.mean())
        assert off <= mean.losses.error.mean() + U * mean.losses.value.mean()
        for layer in range(3):
            assert_within(gradients.weights[layer], mean.dE_dW[layer])
            assert_within(gradients.biases[layer], mean.dE_db[layer])
            r = single.r[layer]
            for found, expected in zip(
                trace[layer],
                [single.z[layer], single.a[layer + 1], r, single.dE_da[layer],
                 r[:, :, None] * single.a[layer][:, None, :], r],
                strict=True,
            ):  # fmt: skip
                assert_within(found, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "output"), OUTPUTS)
def test_classes_and_accuracy(rng, loss, output, dtype):
    """Equal but where the two largest outputs lie within their bounds of each other."""
    x, y = inputs(rng, 200, 6, dtype=dtype), answers(rng, 200, 4)
    rust, numpy = twins([6, 5, 4], output_activation=output, loss=loss, dtype=dtype)
    outputs = bound.Step(numpy, x, rows(y, 4)).a[-1]
    second, first = np.sort(outputs.value, axis=1)[:, -2:].T
    clear = first - second > 2 * outputs.error.max(axis=1)
    classes = rust.classify(x), numpy.classify(x)
    np.testing.assert_array_equal(classes[0][clear], classes[1][clear])
    doubtful = np.count_nonzero(~clear)
    right = [round(network.evaluate(x, y).accuracy * 200) for network in (rust, numpy)]
    assert abs(right[0] - right[1]) <= doubtful
    assert doubtful < 20 or output == "relu"  # relu: where all outputs are 0, all are equal
    assert_engines(rust, numpy)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "output"), OUTPUTS)
def test_numerical_gradients(rng, loss, output, dtype, monkeypatch):
    """Both are of float64. Losses within 1e-12 make differences over 2 epsilon within
    2 * 1e-12 loss / (2 epsilon).
    """
    made = []
    make = _backend.make
    monkeypatch.setattr(_backend, "make", lambda *args: made.append(make(*args)) or made[-1])
    x, y = inputs(rng, 6, 4), answers(rng, 6, 3, "targets", loss)
    pair = twins([4, 5, 3], activation="tanh", output_activation=output, loss=loss, dtype=dtype)
    made.clear()
    found, expected = (network.numerical_gradients(x, y, epsilon=1e-4) for network in pair)
    assert [engine.name for engine in made] == ["rust", "numpy"]
    assert found.loss == pytest.approx(expected.loss, rel=1e-12)
    for ours, theirs in zip(
        [*found.weights, *found.biases], [*expected.weights, *expected.biases], strict=True
    ):
        assert ours.dtype == theirs.dtype == np.float64
        assert np.abs(ours - theirs).max() <= 1e-12 * expected.loss / 1e-4
