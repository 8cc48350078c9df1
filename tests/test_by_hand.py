"""One step of gradient descent of a 2-2-1 network, worked out by hand."""

import mpmath as mp
import numpy as np
import pytest
from golden import make_step

from chainrule import SGD, Network

# ---- identity, with numbers whose sums and products are exact
#
#   W0 = [1  -2]   b0 = [0.5]     W1 = [2 -1]   b1 = 0.25     rate 1/8
#        [0.5 3]        [-1 ]
#
# The first row, x = (2, 1), y = 0.25:
#   z0 = a0 = (1*2 - 2*1 + 0.5, 0.5*2 + 3*1 - 1)  = (0.5, 3)
#   z1 = a1 = 2*0.5 - 1*3 + 0.25                  = -1.75
#   E       = (-1.75 - 0.25)^2                    = 4
#   dE/da1  = 2 (-1.75 - 0.25) = r1 = dE/db1      = -4
#   dE/dW1  = -4 (0.5, 3)                         = (-2, -12)
#   dE/da0  = (2 * -4, -1 * -4) = r0 = dE/db0     = (-8, 4)
#   dE/dW0  = -8 (2, 1) and 4 (2, 1)              = [-16 -8], [8 4]
#
# The second, x = (-1, 0.5), y = -3.75:
#   z0 = a0 = (-1 - 1 + 0.5, -0.5 + 1.5 - 1)      = (-1.5, 0)
#   z1 = a1 = 2 * -1.5 - 0 + 0.25                 = -2.75
#   E       = (-2.75 + 3.75)^2                    = 1
#   dE/da1  = 2 (-2.75 + 3.75) = r1 = dE/db1      = 2
#   dE/dW1  = 2 (-1.5, 0)                         = (-3, 0)
#   dE/da0  = (2 * 2, -1 * 2) = r0 = dE/db0       = (4, -2)
#   dE/dW0  = 4 (-1, 0.5) and -2 (-1, 0.5)        = [-4 2], [2 -1]

W0, B0 = [[1, -2], [0.5, 3]], [0.5, -1]
W1, B1 = [[2, -1]], [0.25]
X, Y = np.array([[2, 1], [-1, 0.5]]), np.array([0.25, -3.75])
RATE = 1 / 8
LOSSES = [4, 1]
TRACE = [
    {
        "z": [[0.5, 3], [-1.5, 0]],
        "a": [[0.5, 3], [-1.5, 0]],
        "r": [[-8, 4], [4, -2]],
        "dE_da": [[-8, 4], [4, -2]],
        "dE_dW": [[[-16, -8], [8, 4]], [[-4, 2], [2, -1]]],
        "dE_db": [[-8, 4], [4, -2]],
    },
    {
        "z": [[-1.75], [-2.75]],
        "a": [[-1.75], [-2.75]],
        "r": [[-4], [2]],
        "dE_da": [[-4], [2]],
        "dE_dW": [[[-2, -12]], [[-3, 0]]],
        "dE_db": [[-4], [2]],
    },
]


@pytest.fixture(params=["float32", "float64"])
def network(backend, request):
    network = Network(
        [2, 2, 1],
        activation="identity",
        output_activation="identity",
        dtype=request.param,
        backend=backend,
    )
    network.set_parameters([W0, W1], [B0, B1])
    return network


def exactly(network, found, expected):
    found = np.asarray(found)
    assert found.dtype == network.dtype
    np.testing.assert_array_equal(found, expected)
    assert found.shape == np.shape(expected)


def has(network, weights, biases):
    for found, expected in zip(network.weights + network.biases, weights + biases, strict=True):
        exactly(network, found, expected)


@pytest.mark.parametrize("rows", [[0], [1], [0, 1]], ids=str)
def test_every_symbol(network, rows):
    trace = network.trace(X[rows], Y[rows])
    assert len(trace) == len(TRACE)
    for layer, expected in zip(trace, TRACE, strict=True):
        for symbol, values in expected.items():
            exactly(network, getattr(layer, symbol), np.array(values)[rows])
    assert network.evaluate(X[rows], Y[rows]).loss == np.mean(np.array(LOSSES)[rows])
    exactly(network, network.predict(X[rows]), np.array(TRACE[1]["a"])[rows])


def test_gradients_are_of_the_mean(network):
    """Each is the first row's and the second's, halved."""
    loss, weights, biases = network.gradients(X, Y)
    assert loss == (4 + 1) / 2
    exactly(network, weights[0], [[-10, -3], [5, 1.5]])
    exactly(network, biases[0], [-2, 1])
    exactly(network, weights[1], [[-2.5, -6]])
    exactly(network, biases[1], [-1])


def test_a_step(network):
    """W - g / 8: 1 + 16/8, -2 + 8/8, ..."""
    history = network.fit(X[:1], Y[:1], learning_rate=RATE)
    assert history.loss == [4]
    has(network, [[[3, -1], [-0.5, 2.5]], [[2.25, 0.5]]], [[1.5, -1.5], [0.75]])


def test_a_step_of_two_rows(network):
    """W - g / 8 with the mean's g: 1 + 10/8, -2 + 3/8, ..."""
    history = network.fit(X, Y, batch_size=2, learning_rate=RATE)
    assert (history.loss, history.steps) == ([2.5], [1])
    has(network, [[[2.25, -1.625], [-0.125, 2.8125]], [[2.3125, -0.25]]], [[0.75, -1.125], [0.375]])


def test_a_step_with_l2(network):
    """A quarter of W is added to its g, nothing to that of b, nothing to E.

    g of W0 is [-16 + 1/4, -8 - 2/4], [8 + 1/8, 4 + 3/4] and of W1 (-2 + 2/4, -12 - 1/4).
    """
    history = network.fit(X[:1], Y[:1], learning_rate=RATE, l2=1 / 4)
    assert history.loss == [4]
    has(
        network,
        [[[2.96875, -0.9375], [-0.515625, 2.40625]], [[2.1875, 0.53125]]],
        [[1.5, -1.5], [0.75]],
    )


def test_a_step_with_momentum(network):
    """A step at rate 0 leaves v = g and all else; the next has v = g / 2 + g."""
    network.fit(X[:1], Y[:1], optimizer=SGD(0, momentum=1 / 2))
    has(network, [W0, W1], [B0, B1])
    exactly(network, velocity(network), [-16, -8, 8, 4, -8, 4, -2, -12, -4])
    network.fit(X[:1], Y[:1], learning_rate=RATE)
    exactly(network, velocity(network), [-24, -12, 12, 6, -12, 6, -3, -18, -6])
    has(network, [[[4, -0.5], [-1, 2.25]], [[2.375, 1.25]]], [[2, -1.75], [1]])


def test_a_step_with_momentum_and_l2(network):
    """The same, with the g of l2 in v."""
    network.fit(X[:1], Y[:1], optimizer=SGD(0, momentum=1 / 2), l2=1 / 4)
    exactly(network, velocity(network), [-15.75, -8.5, 8.125, 4.75, -8, 4, -1.5, -12.25, -4])
    network.fit(X[:1], Y[:1], learning_rate=RATE, l2=1 / 4)
    exactly(
        network,
        velocity(network),
        [-23.625, -12.75, 12.1875, 7.125, -12, 6, -2.25, -18.375, -6],
    )
    has(
        network,
        [[[3.953125, -0.40625], [-1.0234375, 2.109375]], [[2.28125, 1.296875]]],
        [[2, -1.75], [1]],
    )


def velocity(network):
    return network._engine.state()[1]["velocity"]


# ---- sigmoid, against 30 digits
#
#   W0 = [1  -2]   b0 = [ 0.5 ]   W1 = [1 -0.5]   b1 = 0.625   x = (0.5, 0.25)   y = 0   rate 1/2
#        [0.5 3]        [-0.25]
#
#   z0     = (0.5 - 0.5 + 0.5, 0.25 + 0.75 - 0.25)             = (0.5, 0.75)
#   a0     = (1 / (1 + e^-0.5), 1 / (1 + e^-0.75))             = (0.62246, 0.67918)
#   z1     = 0.62246 - 0.5 * 0.67918 + 0.625                   = 0.90787
#   a1     = 1 / (1 + e^-0.90787)                              = 0.71256
#   E      = 0.71256^2                                         = 0.50775
#   dE/da1 = 2 * 0.71256                                       = 1.42513
#   r1     = 0.71256 (1 - 0.71256) 1.42513           = dE/db1  = 0.29189
#   dE/dW1 = 0.29189 (0.62246, 0.67918)                        = (0.18169, 0.19825)
#   dE/da0 = (0.29189, -0.5 * 0.29189)                         = (0.29189, -0.14594)
#   r0     = (0.62246 (1 - 0.62246) 0.29189,
#             0.67918 (1 - 0.67918) -0.14594)        = dE/db0  = (0.06860, -0.03180)
#   dE/dW0 = 0.06860 (0.5, 0.25) and -0.03180 (0.5, 0.25)      = [ 0.03430  0.01715]
#                                                                [-0.01590 -0.00795]
#   W - g / 2, b - g / 2:
#   W0 = [0.98285 -2.00857]   b0 = [ 0.46570]   W1 = [0.90916 -0.59912]   b1 = 0.47906
#        [0.50795  3.00398]        [-0.23410]

ULPS = 4


def golden():
    """The arrays of step.txt, flat, by name."""
    lines = make_step.FILE.read_text(encoding="ascii").splitlines()
    with mp.workdps(make_step.DIGITS + 10):
        return {name: [mp.mpf(t) for t in texts] for name, *texts in map(str.split, lines)}


def test_the_golden_values_are_those_of_the_script():
    assert make_step.FILE.read_text(encoding="ascii") == make_step.text()


def close(found, expected):
    """Within 4 units of the last place that the true value has in the type of `found`."""
    found = np.asarray(found)
    assert found.size == len(expected)
    for one, value in zip(found.ravel(), expected, strict=True):
        unit = float(np.spacing(abs(found.dtype.type(value))))
        with mp.workdps(make_step.DIGITS + 10):
            assert abs(mp.mpf(float(one)) - value) <= ULPS * unit


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_of_sigmoids(backend, dtype):
    network = Network([2, 2, 1], dtype=dtype, backend=backend)
    network.set_parameters([make_step.W0, [make_step.W1]], [make_step.B0, [make_step.B1]])
    x, y, expected = np.array([make_step.X]), np.array([make_step.Y]), golden()
    compared = {"E"}
    for i, layer in enumerate(network.trace(x, y)):
        for symbol, found in layer._asdict().items():
            assert found.dtype == dtype
            close(found, expected[f"{symbol}{i}"])
            compared.add(f"{symbol}{i}")
    gradients = network.gradients(x, y)
    for i in range(2):
        close(gradients.weights[i], expected[f"dE_dW{i}"])
        close(gradients.biases[i], expected[f"dE_db{i}"])
    history = network.fit(x, y, learning_rate=make_step.RATE)
    for loss in (gradients.loss, *history.loss):
        close(np.array(loss, dtype), expected["E"])
    for i in range(2):
        close(network.weights[i], expected[f"W{i}"])
        close(network.biases[i], expected[f"b{i}"])
        compared |= {f"W{i}", f"b{i}"}
    assert compared == set(expected)
