"""Backpropagation against central differences, and against the chain of one neuron a layer."""

import math
from itertools import pairwise

import numpy as np
import pytest

from chainrule import SGD, Network

SIZES = [3, 5, 4, 3]
ROWS = 4
H = 6e-6  # the cube root of u: rounding and truncation cost alike there
SEED = 76  # puts every z where the tests ask it to be
TOLERANCE = 1e-7  # of the norm of what is compared
HIDDEN = [
    ("identity", "identity"),
    ("sigmoid", "sigmoid"),
    ("tanh", "tanh"),
    ("relu", "relu"),
    ("relu", "tanh"),
    ("sigmoid", "relu"),
]
OUTPUTS = [
    ("identity", "squared_error"),
    ("sigmoid", "squared_error"),
    ("tanh", "squared_error"),
    ("relu", "squared_error"),
    ("softmax", "squared_error"),
    ("softmax", "cross_entropy"),
    ("sigmoid", "binary_cross_entropy"),
]


# ---- the network once more, as plainly as may be: E is taken from a, not from z


def plain_activation(name, z):
    if name == "softmax":
        return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return {
        "identity": lambda: z,
        "sigmoid": lambda: 1 / (1 + np.exp(-z)),
        "tanh": lambda: np.tanh(z),
        "relu": lambda: np.maximum(z, 0),
    }[name]()


def plain_losses(name, a, y):
    """E of each row; y is (n, n_out)."""
    if name == "squared_error":
        return ((a - y) ** 2).sum(axis=1)
    if name == "cross_entropy":
        return -(y * np.log(a)).sum(axis=1)
    return -(y * np.log(a) + (1 - y) * np.log(1 - a)).sum(axis=1)


def plain_forward(names, weights, biases, a):
    """z and a of each layer; a of the inputs is given."""
    zs, activations = [], []
    for name, W, b in zip(names, weights, biases, strict=True):
        zs.append(np.einsum("ji,ni->nj", W, a) + b)
        a = plain_activation(name, zs[-1])
        activations.append(a)
    return zs, activations


def plain_output(names, weights, biases, a):
    """a of the last layer."""
    return plain_forward(names, weights, biases, a)[1][-1] if names else a


def by_equation_9(loss, array, h=H):
    """Central differences of a loss that looks at the array, each entry by itself."""
    gradient = np.empty_like(array)
    for i in np.ndindex(array.shape):
        centre = array[i]
        array[i] = centre + h
        above = loss()
        array[i] = centre - h
        below = loss()
        array[i] = centre
        gradient[i] = (above - below) / (2 * h)
    return gradient


# ---- where to differentiate


def make(backend, hidden=("tanh", "tanh"), output=None, loss="squared_error", sizes=SIZES):
    network = Network(
        sizes,
        activation=hidden,
        output_activation=output,
        loss=loss,
        dtype="float64",
        backend=backend,
    )
    draw = np.random.default_rng(SEED)
    network.set_parameters(
        [draw.uniform(-1.2, 1.2, (n_out, n_in)) for n_in, n_out in pairwise(sizes)],
        [draw.uniform(-0.5, 0.5, n) for n in sizes[1:]],
    )
    return network


def names_of(network):
    return [*network.activation, network.output_activation]


@pytest.fixture
def x():
    return np.random.default_rng(1).uniform(-1.5, 1.5, (ROWS, SIZES[0]))


def targets(kind, loss, n_out=SIZES[-1]):
    """y as it is passed, and as rows (n, n_out)."""
    draw = np.random.default_rng(2)
    if kind == "labels":
        labels = draw.integers(0, n_out, ROWS)
        return labels, np.eye(n_out)[labels]
    soft = draw.uniform(0.05, 0.95, (ROWS, n_out))
    if loss == "cross_entropy":
        soft /= soft.sum(axis=1, keepdims=True)
    return soft, soft


def arrays(gradients):
    return [*gradients.weights, *gradients.biases]


def agree(found, expected):
    """Each array, weights and biases of a layer apart, within 1e-7 of a norm worth the name."""
    for one, other in zip(found, expected, strict=True):
        assert np.linalg.norm(other) > 1e-2
        assert np.linalg.norm(one - other) <= TOLERANCE * np.linalg.norm(other)


def well_placed(network, x, y):
    """No unit is saturated, and no difference of Eq. 9 reaches over the kink of relu."""
    for layer, name in zip(network.trace(x, y), names_of(network), strict=True):
        assert np.abs(layer.z).max() <= 3
        assert name != "relu" or np.abs(layer.z).min() > 1e-2


# ---- the gradient of the mean loss


@pytest.mark.parametrize("kind", ["labels", "soft"])
@pytest.mark.parametrize(("output", "loss"), OUTPUTS)
@pytest.mark.parametrize("hidden", HIDDEN, ids="-".join)
def test_gradients_are_central_differences(backend, x, hidden, output, loss, kind):
    network = make(backend, hidden, output, loss)
    y, rows = targets(kind, loss)
    well_placed(network, x, y)
    gradients = network.gradients(x, y)
    weights, biases = network.weights, network.biases

    def plain_loss():
        return plain_losses(loss, plain_output(names_of(network), weights, biases, x), rows).mean()

    assert gradients.loss == pytest.approx(plain_loss(), rel=1e-13)
    agree(arrays(gradients), [by_equation_9(plain_loss, p) for p in weights + biases])
    numerical = network.numerical_gradients(x, y)
    assert numerical.loss == pytest.approx(gradients.loss, rel=1e-13)
    agree(arrays(gradients), arrays(numerical))


@pytest.mark.parametrize(("output", "loss"), [pair for pair in OUTPUTS if pair[0] != "softmax"])
@pytest.mark.parametrize("layers", [1, 3])
def test_gradients_with_one_output(backend, x, output, loss, layers):
    sizes = [*SIZES[:layers], 1]
    network = make(backend, ("tanh",) * (layers - 1), output, loss, sizes)
    y = np.array([0.0, 1.0, 0.25, 0.0])
    well_placed(network, x, y)
    agree(arrays(network.gradients(x, y)), arrays(network.numerical_gradients(x, y)))


def test_gradients_leave_l2_out(backend, x):
    """That of the next fit and that of the last."""
    y, rows = targets("soft", "squared_error")
    network, alike = make(backend), make(backend)
    network.fit(x, y, steps=3, l2=0.5, optimizer=SGD(0.1, momentum=0.5))
    alike.set_flat_parameters(network.parameters)
    gradients = network.gradients(x, y)
    assert gradients.loss == network.evaluate(x, y).loss
    assert gradients.loss == pytest.approx(
        plain_losses("squared_error", network.predict(x), rows).mean(), rel=1e-13
    )
    for one, other in zip(arrays(gradients), arrays(alike.gradients(x, y)), strict=True):
        assert one.tobytes() == other.tobytes()
    agree(arrays(gradients), arrays(network.numerical_gradients(x, y)))


@pytest.mark.parametrize(("output", "loss"), OUTPUTS)
def test_gradients_are_of_the_mean_loss(backend, x, output, loss):
    """Of what `trace` has for each row by itself; however often the rows are there."""
    network = make(backend, output=output, loss=loss)
    y, _ = targets("soft", loss)
    gradients = network.gradients(x, y)
    trace = network.trace(x, y)
    means = [layer.dE_dW.mean(axis=0) for layer in trace]
    means += [layer.dE_db.mean(axis=0) for layer in trace]
    often = network.gradients(np.tile(x, (150, 1)), np.tile(y, (150, 1)))
    for found, once, mean in zip(arrays(often), arrays(gradients), means, strict=True):
        np.testing.assert_allclose(once, mean, rtol=0, atol=1e-14)
        np.testing.assert_allclose(found, mean, rtol=0, atol=1e-13)
    assert often.loss == pytest.approx(gradients.loss, rel=1e-13)


def test_float32_gradients_are_those_of_its_own_parameters(backend, x):
    """The numerical ones are in float64, and so judge float32 by more than its own rounding."""
    y, _ = targets("soft", "squared_error")
    network = Network(SIZES, backend=backend)
    gradients, numerical = network.gradients(x, y), network.numerical_gradients(x, y)
    for found, expected in zip(arrays(gradients), arrays(numerical), strict=True):
        assert (found.dtype, expected.dtype) == (np.float32, np.float64)
        assert np.linalg.norm(found - expected) <= 2e-6 * np.linalg.norm(expected)


# ---- each symbol


@pytest.mark.parametrize("kind", ["labels", "soft"])
@pytest.mark.parametrize(("output", "loss"), OUTPUTS)
@pytest.mark.parametrize("hidden", HIDDEN, ids="-".join)
def test_trace_is_central_differences_of_each_row(backend, x, hidden, output, loss, kind):
    """dE/da by moving a, r by moving z: the layers above see the change, those below do not."""
    network = make(backend, hidden, output, loss)
    y, rows = targets(kind, loss)
    well_placed(network, x, y)
    trace, names = network.trace(x, y), names_of(network)
    weights, biases = network.weights, network.biases
    zs, activations = plain_forward(names, weights, biases, x)
    assert len(trace) == 3
    for i, layer in enumerate(trace):
        z, a, above = zs[i], activations[i], slice(i + 1, None)
        np.testing.assert_allclose(layer.z, z, rtol=0, atol=1e-14)
        np.testing.assert_allclose(layer.a, a, rtol=0, atol=1e-14)

        # The sum of the rows' losses, since each entry of z and a belongs to one row.
        def moved_a(a=a, above=above):
            out = plain_output(names[above], weights[above], biases[above], a)
            return plain_losses(loss, out, rows).sum()

        def moved_z(z=z, name=names[i], moved_a=moved_a):
            return moved_a(plain_activation(name, z))

        # A small step along a: log(a) bends where a is small.
        dE_da, dE_dz = by_equation_9(moved_a, a, H / 10), by_equation_9(moved_z, z)
        agree([layer.dE_da, layer.r], [dE_da, dE_dz])
        below = x if i == 0 else trace[i - 1].a
        np.testing.assert_array_equal(layer.dE_dW, layer.r[:, :, None] * below[:, None, :])
        np.testing.assert_array_equal(layer.dE_db, layer.r)


# ---- one neuron a layer: section 4.2 of the report

SIGMA = {
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": math.tanh,
    "identity": lambda z: z,
}
SIGMA_PRIME = {
    "sigmoid": lambda z: math.exp(-z) / (1 + math.exp(-z)) ** 2,
    "tanh": lambda z: 1 / math.cosh(z) ** 2,
    "identity": lambda _: 1.0,
}


def recursion(w, b, sigma, x, y):
    """E, and (z, a, r, dE/da, dE/dw, dE/db) of each layer: all are numbers."""
    a, z = [x], []
    for layer in range(len(w)):
        z.append(w[layer] * a[layer] + b[layer])
        a.append(SIGMA[sigma](z[layer]))
    found = []
    dE_da = 2 * (a[-1] - y)
    for layer in reversed(range(len(w))):
        r = SIGMA_PRIME[sigma](z[layer]) * dE_da
        dE_dw, dE_db = r * a[layer], r  # Eq. 12, 13
        found.insert(0, (z[layer], a[layer + 1], r, dE_da, dE_dw, dE_db))
        dE_da = w[layer] * r  # Eq. 14
    return (a[-1] - y) ** 2, found


@pytest.mark.parametrize("sigma", list(SIGMA))
@pytest.mark.parametrize("depth", [1, 2, 3, 5, 12])
def test_one_neuron_a_layer(backend, depth, sigma):
    network = make(backend, (sigma,) * (depth - 1), sigma, sizes=[1] * (depth + 1))
    draw = np.random.default_rng(4)
    w = (draw.choice([-1, 1], depth) * draw.uniform(0.5, 2, depth)).tolist()
    b = draw.uniform(-0.5, 0.5, depth).tolist()
    network.set_parameters([[[value]] for value in w], [[value] for value in b])
    x, y = np.array([[0.5], [-1.25], [2.0]]), np.array([0.25, 0.75, 1.0])
    rows = [recursion(w, b, sigma, float(x[row, 0]), float(y[row])) for row in range(3)]
    trace = network.trace(x, y)
    assert len(trace) == depth
    for layer, found in enumerate(trace):
        for row, (_, expected) in enumerate(rows):
            values = [float(array[row].item()) for array in found]
            assert values == pytest.approx(expected[layer], rel=1e-13, abs=0)
    gradients = network.gradients(x, y)
    assert gradients.loss == pytest.approx(sum(E for E, _ in rows) / 3, rel=1e-13)
    for layer in range(depth):
        dE_dw = [row[layer][4] for _, row in rows]
        dE_db = [row[layer][5] for _, row in rows]
        # Rows may all but cancel: what counts is their size.
        for found, terms in ((gradients.weights, dE_dw), (gradients.biases, dE_db)):
            bound = 1e-13 * sum(map(abs, terms))
            assert abs(found[layer].item() - sum(terms) / 3) <= bound


def test_a_step_that_rounding_swallows_is_refused(backend):
    network = Network([2, 1], backend=backend)
    network.set_parameters([[[1e3, 2.0]]], [[0.0]])
    with pytest.raises(ValueError, match=r"1e-14 is lost beside 1000, parameter 0"):
        network.numerical_gradients([[1.0, 2.0]], [0.5], epsilon=1e-14)
    network.numerical_gradients([[1.0, 2.0]], [0.5], epsilon=1e-12)
