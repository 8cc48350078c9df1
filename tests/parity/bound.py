"""One step of training in float64, each number with a bound of what float32 may make of it.

With u = 2**-24, a rounded operation gives (p op q) (1 + d) + e with |d| <= u, |e| <= 2**-150. In
a sum of K products, in whatever order and fused or not, each product is rounded at most K times:
once itself and in at most K - 1 additions. So the sum of products of exact p and q is off by at
most

    gamma(K) sum |p q| + K 2**-150,    gamma(K) = K u / (1 - K u),

and where p and q are off by dp and dq already, the sum of |p| dq + dp |q| + dp dq is added. A
function adds its own error to what its slope makes of z's. Where an engine is right, its float32
array lies within `error` of `value`, and so two engines lie within twice that of each other.

U has a little more than u, for the rounding of these float64 numbers themselves. The bound grows
at least in proportion to u, so float64 engines lie within 2**-29 of it, and so do these numbers.
"""

from __future__ import annotations

import numpy as np

U = 2.0**-24 * (1 + 2.0**-16)
TINY = 2.0**-150
# exp, tanh, log and log1p: NumPy promises 4 ulp, and an ulp is at most 2 u; Rust 1.5 ulp.
FUNCTION = 8 * U


class Bounded:
    """Numbers, and how far float32 may be from them."""

    __array_ufunc__ = None  # NumPy leaves `array * bounded` to us

    def __init__(self, value, error=0.0):
        self.value = np.asarray(value, np.float64)
        self.error = np.broadcast_to(np.asarray(error, np.float64), self.value.shape)

    @property
    def most(self):
        """What the magnitudes are at most."""
        return np.abs(self.value) + self.error

    def __add__(self, other):
        other = exact(other)
        return rounded(self.value + other.value, self.error + other.error)

    def __sub__(self, other):
        other = exact(other)
        return rounded(self.value - other.value, self.error + other.error)

    def __rsub__(self, other):
        return exact(other) - self

    def __mul__(self, other):
        other = exact(other)
        error = np.abs(self.value) * other.error + self.error * other.most
        return rounded(self.value * other.value, error)

    __rmul__ = __mul__

    def __truediv__(self, other):
        other = exact(other)
        quotient = self.value / other.value
        least = np.abs(other.value) - other.error
        assert (least > 0).all()
        return rounded(quotient, (self.error + np.abs(quotient) * other.error) / least)

    def __matmul__(self, other):
        """Sums of K products: the bound at the head of this file."""
        p, q, terms = self, exact(other), self.value.shape[1]
        error = np.abs(p.value) @ q.error + p.error @ q.most
        gamma = terms * U / (1 - terms * U)
        return Bounded(p.value @ q.value, error + gamma * (p.most @ q.most) + terms * TINY)

    def sum(self, axis):
        """A sum of K numbers: products with q = 1."""
        terms = self.value.shape[axis]
        gamma = terms * U / (1 - terms * U)
        error = self.error.sum(axis) + gamma * self.most.sum(axis)
        return Bounded(self.value.sum(axis), error + terms * TINY)

    def __getitem__(self, index):
        return Bounded(self.value[index], self.error[index])

    @property
    def T(self):  # noqa: N802 - NumPy's name
        return Bounded(self.value.T, self.error.T)


def exact(x):
    return x if isinstance(x, Bounded) else Bounded(x)


def rounded(value, error, unit=U):
    """Add what rounding the float32 result, which is at most |value| + error, costs."""
    return Bounded(value, error + unit * (np.abs(value) + error) + TINY)


def pixels(x):
    """The inputs as the engines see them: uint8 is value / 255, rounded once."""
    return rounded(x / 255, 0.0) if x.dtype == np.uint8 else exact(x)


def exp(z):
    """exp(z + d) is off by at most exp(z) (exp(|d|) - 1); z is not above 0."""
    value = np.exp(z.value)
    return rounded(value, value * np.expm1(z.error), FUNCTION)


def above_zero(z):
    """max(z, 0): no slope is above 1, and nothing is rounded."""
    return Bounded(np.maximum(z.value, 0), z.error)


def shifted_exp(z):
    """z - max(z), its exp and that one's sum: a maximum moves by no more than the most of its z."""
    largest = Bounded(z.value.max(1, keepdims=True), z.error.max(1, keepdims=True))
    shifted = z - largest
    e = exp(shifted)
    return shifted, e, e.sum(1)[:, None]


def forward(name, z):
    """a = sigma(z)."""
    if name == "sigmoid":  # the slope is at most 1/4; exp's error, one addition, one division
        return rounded(1 / (1 + np.exp(-z.value)), z.error / 4, FUNCTION + 2.01 * U)
    if name == "tanh":  # the slope is at most 1
        return rounded(np.tanh(z.value), z.error, FUNCTION)
    if name == "relu":
        return above_zero(z)
    if name == "softmax":
        _, e, total = shifted_exp(z)
        return e / total
    return z


def derivative(name, z, a):
    """sigma'(z), from a as the engines compute it."""
    if name == "sigmoid":
        return a * (1.0 - a)
    if name == "tanh":
        return 1.0 - a * a
    if name == "relu":  # where z may have either sign, so has the slope either value
        return Bounded(z.value > 0, np.abs(z.value) <= z.error)
    return Bounded(np.ones_like(z.value))


def backward(name, z, a, d):
    """r = sigma'(z) * dE/da."""
    if name == "softmax":
        return a * (d - (a * d).sum(1)[:, None])
    return derivative(name, z, a) * d


def losses(name, z, a, y):
    """E of each row."""
    if name == "squared_error":
        d = a - y
        return (d * d).sum(1)
    if name == "cross_entropy":
        shifted, _, total = shifted_exp(z)
        # S is at least 1; the slope of its log is at most 1 / (S - error).
        value = np.log(total.value)
        log = rounded(value, total.error / (total.value - total.error), FUNCTION)
        return (y * (log - shifted)).sum(1)
    e = exp(Bounded(-np.abs(z.value), z.error))
    log = rounded(np.log1p(e.value), e.error, FUNCTION)  # the slope is at most 1
    return ((above_zero(z) - z * y) + log).sum(1)


def loss_derivative(name, a, y):
    """dE/da of the last layer; a term whose numerator is 0 is 0."""
    if name == "squared_error":
        return (a - y) * 2.0
    from_y = quotient(y, a)
    if name == "cross_entropy":
        return from_y * -1.0
    return quotient(1.0 - y, 1.0 - a) - from_y


def quotient(x, y):
    """x / y, and 0 where x is 0."""
    none = x.value == 0
    return Bounded(np.where(none, 0, x.value), x.error * ~none) / Bounded(
        np.where(none, 1, y.value), y.error * ~none
    )


class Step:
    """Everything that one batch makes: z, a, losses, r, dE_da, gradients; lists, a layer each.

    `rows` divides r: the batch's number of rows, or 1 for what `trace` shows.
    """

    def __init__(self, network, x, y, rows=1):
        x, y = pixels(x), exact(y)
        names, weights = (*network.activation, network.output_activation), network.weights
        self.names, self.loss, self.y = names, network.loss, y
        self.z, self.a = [], [x]
        for W, b, name in zip(weights, network.biases, names, strict=True):
            self.z.append(self.a[-1] @ W.T.astype(float) + b.astype(float))
            self.a.append(forward(name, self.z[-1]))
        z, a = self.z, self.a
        self.losses = losses(network.loss, z[-1], a[-1], y)
        if network.loss == "squared_error":
            last = backward(names[-1], z[-1], a[-1], (a[-1] - y) * 2.0)
        else:
            last = a[-1] - y
        self.r, self.hidden_dE_da = [last / float(rows) if rows > 1 else last], []
        for layer in reversed(range(1, len(weights))):
            d = self.r[0] @ weights[layer].astype(float)
            self.hidden_dE_da.insert(0, d)
            self.r.insert(0, backward(names[layer - 1], z[layer - 1], a[layer], d))
        self.dE_dW = [r.T @ a for r, a in zip(self.r, self.a[:-1], strict=True)]
        self.dE_db = [r.sum(0) for r in self.r]

    @property
    def dE_da(self):  # noqa: N802 - the field's name
        """A layer's each. The last divides by a or 1 - a, which may be 0; a step needs r only."""
        return [*self.hidden_dE_da, loss_derivative(self.loss, self.a[-1], self.y)]

    def saturated(self):
        """The least and the most units whose derivative is below 2**-10."""
        least = most = 0
        for name, z, a in zip(self.names[:-1], self.z, self.a[1:], strict=False):
            slope = derivative(name, z, a)
            least += np.count_nonzero(slope.value + slope.error < 2.0**-10)
            most += np.count_nonzero(slope.value - slope.error < 2.0**-10)
        return least, most


def flat(weights, biases):
    """One vector in the order of `Network.parameters`."""
    parts = [part for W, b in zip(weights, biases, strict=True) for part in (W, b)]
    return Bounded(
        np.concatenate([part.value.ravel() for part in parts]),
        np.concatenate([part.error.ravel() for part in parts]),
    )


def descend(network, velocity, step, rate, momentum, l2):
    """(parameters, velocity) after a step from those of the network."""
    rate, momentum, l2 = (float(network.dtype.type(number)) for number in (rate, momentum, l2))
    dE_dW = step.dE_dW
    if l2:
        decay = [exact(W.astype(float)) * l2 for W in network.weights]
        dE_dW = [g + d for g, d in zip(dE_dW, decay, strict=True)]
    v = flat(dE_dW, step.dE_db)
    if momentum:
        before = np.zeros(network.n_parameters) if velocity is None else velocity.astype(float)
        v = exact(before) * momentum + v
    return exact(network.parameters.astype(float)) - v * rate, v
