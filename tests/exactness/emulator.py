"""The arithmetic of chainrule in float32, by means that have no fused multiply-add.

So that Rust does not judge Rust: this is written after docs/exactness.md alone, in NumPy, and
imports nothing of the package. The coefficients of the elementary functions are written here a
second time. Slow and plain; arrays of any shape, all of dtype float32 unless said otherwise.

`train` is the whole; the functions above it are its parts, in the order of the rules.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

F = np.float32
ZERO, ONE, TWO, HALF = F(0.0), F(1.0), F(2.0), F(0.5)
BLOCK = 256  # rule 1: B

# Overflow, underflow and NaN are results here, not accidents.
quiet = functools.partial(np.errstate, all="ignore")


# --- One fused multiply-add ---------------------------------------------------------------------


@quiet()
def fma(a: Array, b: Array, c: Array) -> Array:
    """a * b + c, rounded to float32 once.

    The product is exact in float64. The sum is rounded to odd there, so that rounding it again, to
    float32, rounds as if the sum had been exact: 53 bits are more than 24 + 2.
    """
    product = np.asarray(a, np.float32).astype(np.float64) * np.asarray(b, np.float32)
    addend = np.asarray(c, np.float32).astype(np.float64)
    total = product + addend
    # TwoSum: product + addend = total + error, exactly.
    part = total - product
    error = (product - (total - part)) + (addend - part)
    even = total.view(np.int64) & 1 == 0
    odd = np.nextafter(total, np.copysign(np.inf, error))
    total = np.where(np.isfinite(total) & (error != 0) & even, odd, total)
    return total.astype(np.float32)


# --- Rules 1, 2, 5: sums ------------------------------------------------------------------------


@quiet()
def sum_of_products(p: Array, q: Array) -> Array:
    """The canonical sum over the first axis of p and q; the others broadcast (rule 1)."""
    shape = np.broadcast_shapes(p.shape[1:], q.shape[1:])
    total = np.zeros(shape, np.float32)
    for start in range(0, len(p), BLOCK):
        chain = np.zeros(shape, np.float32)
        for k in range(start, min(start + BLOCK, len(p))):
            chain = fma(p[k], q[k], chain)
        total = total + chain
    return total


@quiet()
def plain_sum(x: Array) -> Array:
    """The sum along the last axis, ascending from +0.0, each addition rounded (rule 5)."""
    total = np.zeros(x.shape[:-1], np.float32)
    for k in range(x.shape[-1]):
        total = total + x[..., k]
    return total


def weighted_sums(x: Array, weights: Array, biases: Array) -> Array:
    """z = W x + b for rows x (n, n_in) -> (n, n_out) (rules 1 and 2)."""
    return sum_of_products(x.T[:, :, None], weights.T[:, None, :]) + biases


def back_products(r: Array, weights: Array) -> Array:
    """dE/da = W^T r for rows r (n, n_out) -> (n, n_in)."""
    return sum_of_products(r.T[:, :, None], weights[:, None, :])


def weight_gradient(r: Array, a: Array) -> Array:
    """dE/dW = sum over rows of r a^T; r (n, n_out), a (n, n_in) -> (n_out, n_in)."""
    return sum_of_products(r[:, :, None], a[:, None, :])


def bias_gradient(r: Array) -> Array:
    """dE/db = sum over rows of r, (n, n_out) -> (n_out,)."""
    return sum_of_products(r, np.ones_like(r))


# --- Rule 11: exp, sigmoid, tanh, log -----------------------------------------------------------

LOG2_E, LN2, LN2_LOW = F(1.442695), F(0.6931472), F(-1.9046542e-9)
EXP_EVEN = (F(0.5), F(0.041666355), F(0.0013940887))
EXP_ODD = (F(0.16666667), F(0.008333273), F(0.0001991408))
LOG = (F(0.66666764), F(0.39978838), F(0.2984215))
SHORT_LN2, SHORT_LN2_LOW = F(0.69314575), F(1.4286068e-6)
ROUND = F(1.5 * 2.0**23)  # added and taken away, it rounds to a whole number


def horner(x: Array, coefficients: Sequence[np.float32]) -> Array:
    """c[0] + c[1] x + ..., from the highest power down."""
    total = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = fma(total, x, c)
    return total


def exp_parts(x: Array) -> tuple[Array, Array, Array]:
    """(high, low, n) with exp(x) = 2^n (1 + high + low)."""
    n = fma(x, LOG2_E, ROUND) - ROUND
    exact = fma(-n, LN2, x)
    r = fma(-n, LN2_LOW, exact)
    r_low = fma(-n, LN2_LOW, exact - r)
    square = r * r
    p = fma(horner(square, EXP_ODD), r, horner(square, EXP_EVEN))
    tail = fma(square, p, r_low)
    high = r + tail
    return high, tail - (high - r), n


def power_of_two(n: Array) -> Array:
    """2^n by way of the bits, as ldexp could do for exponents of normal numbers."""
    return np.ldexp(ONE, np.nan_to_num(n).astype(np.int32)).astype(np.float32)


def two_powers_of_two(n: Array) -> tuple[Array, Array]:
    """(p, q) with 2^n = p q; half of n to the nearest whole number, ties to even."""
    half = fma(n, HALF, ROUND) - ROUND
    return power_of_two(half), power_of_two(n - half)


def quotient(high: Array, low: Array, divisor: Array, divisor_low: Array) -> Array:
    """(high + low) / (divisor + divisor_low) by one division and one correction."""
    inverse = ONE / divisor
    q = high * inverse
    rest = fma(-q, divisor, high) + fma(-q, divisor_low, low)
    return fma(rest, inverse, q)


@quiet()
def exp(x: Array) -> Array:
    """e^x."""
    x = np.asarray(x, np.float32)
    x = np.where(x > 89, F(89), x)
    x = np.where(x < -105, F(-105), x)
    high, low, n = exp_parts(x)
    e = ONE + high
    e = e + ((high - (e - ONE)) + low)
    p, q = two_powers_of_two(n)
    return e * p * q


@quiet()
def sigmoid(z: Array) -> Array:
    """e / (1 + e) with e = exp(z) below 0, 1 / (1 + e) with e = exp(-z) above."""
    z = np.asarray(z, np.float32)
    x = -np.abs(z)
    x = np.where(x < -105, F(-105), x)
    high, low, n = exp_parts(x)
    e = ONE + high
    e_low = (high - (e - ONE)) + low
    p, q = two_powers_of_two(n)
    scaled = e * p * q
    divisor = ONE + scaled
    divisor_low = (scaled - (divisor - ONE)) + e_low * p * q
    negative = z < 0
    a = quotient(np.where(negative, e, ONE), np.where(negative, e_low, ZERO), divisor, divisor_low)
    return a * np.where(negative, p, ONE) * np.where(negative, q, ONE)


@quiet()
def tanh(x: Array) -> Array:
    """m / (2 + m) with m = expm1(-2 |x|), and the sign of x."""
    x = np.asarray(x, np.float32)
    y = -TWO * np.abs(x)
    y = np.where(y < -40, F(-40), y)
    high, low, n = exp_parts(y)
    p = power_of_two(n)
    whole = p - ONE
    whole_low = p - (whole + ONE)
    m = fma(p, high, whole)
    m_low = fma(p, high, whole - m) + fma(p, low, whole_low)
    divisor = TWO + m
    divisor_low = (m - (divisor - TWO)) + m_low
    return np.copysign(quotient(m, m_low, divisor, divisor_low), x)


@quiet()
def log_plus(x: Array, low: Array) -> Array:
    """log(x) + low, where low is small."""
    # x = 2^n (1 + f) with 1 + f from sqrt(1/2), as float32 has it, up to sqrt(2).
    fraction, n = np.frexp(np.where((x > 0) & np.isfinite(x), x, ONE))  # from 1/2 to 1, exact
    below = fraction < F(math.sqrt(0.5))
    f = np.where(below, TWO * fraction, fraction) - ONE
    n = (n - below).astype(np.float32)
    s = f / (f + TWO)
    z = s * s
    h = HALF * f * f
    series = fma(z, horner(z, LOG), h)
    tail = fma(n, SHORT_LN2_LOW, low) - fma(-s, series, h)
    whole = n * SHORT_LN2
    high = whole + f
    result = high + ((f - (high - whole)) + tail)
    result = np.where(x < np.inf, result, x)
    result = np.where(x == 0, F(-np.inf), result)
    return np.where(x < 0, F(np.nan), result)


def log(x: Array) -> Array:
    """The natural logarithm."""
    return log_plus(np.asarray(x, np.float32), ZERO)


@quiet()
def log1p(x: Array) -> Array:
    """log(1 + x) for x in [0, 1]."""
    x = np.asarray(x, np.float32)
    one_more = ONE + x
    return log_plus(one_more, (x - (one_more - ONE)) / one_more)


# --- Activations --------------------------------------------------------------------------------


def relu(z: Array) -> Array:
    """+0.0 where z <= 0, else z: NaN goes through."""
    return np.where(z <= 0, ZERO, z)


def exponentials(z: Array) -> tuple[Array, Array, Array]:
    """(e, S, z - m): e_j = exp(z_j - m) with m the row's largest z, and S = sum of e."""
    shifted = z - z.max(axis=-1, keepdims=True)
    e = exp(shifted)
    return e, plain_sum(e)[..., None], shifted


def softmax(z: Array) -> Array:
    """exp(z_j - m) / S along the last axis."""
    e, total, _ = exponentials(z)
    return e / total


def identity(z: Array) -> Array:
    """z itself."""
    return z


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": identity,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "relu": relu,
    "softmax": softmax,
}


@quiet()
def backward_activation(name: str, z: Array, a: Array, dE_da: Array) -> Array:
    """r = sigma' * dE/da (rule 3)."""
    if name == "identity":
        return dE_da
    if name == "sigmoid":
        return (a * (ONE - a)) * dE_da
    if name == "tanh":
        return (ONE - a * a) * dE_da
    if name == "relu":
        return np.where(z <= 0, ZERO, dE_da)
    if name == "softmax":
        return a * (dE_da - plain_sum(a * dE_da)[..., None])
    raise ValueError(name)


# --- Losses -------------------------------------------------------------------------------------


def one_hot(labels: NDArray[np.int64], n_out: int) -> Array:
    """Rows of 0 and 1."""
    return (labels[:, None] == np.arange(n_out)).astype(np.float32)


@quiet()
def losses(name: str, z: Array, a: Array, y: NDArray[np.generic]) -> Array:
    """Each row's loss (n,); y is labels (n,) of int64, or targets (n, n_out)."""
    labels = y if y.ndim == 1 else None
    targets = one_hot(y, z.shape[1]) if y.ndim == 1 else y
    if name == "squared_error":
        d = a - targets
        return plain_sum(d * d)
    if name == "cross_entropy":
        _, total, shifted = exponentials(z)
        each = log(total) - shifted
        if labels is not None:
            return each[np.arange(len(z)), labels]
        return plain_sum(targets * each)
    if name == "binary_cross_entropy":
        return plain_sum((np.where(z > 0, z, ZERO) - z * targets) + log1p(exp(-np.abs(z))))
    raise ValueError(name)


@quiet()
def output_r(loss: str, activation: str, z: Array, a: Array, y: NDArray[np.generic]) -> Array:
    """r at the output, already divided by the number of rows (rule 3)."""
    targets = one_hot(y, z.shape[1]) if y.ndim == 1 else y
    if loss == "squared_error":
        r = backward_activation(activation, z, a, TWO * (a - targets))
    else:
        r = a - targets
    return r / F(len(z))


# --- Rule 13: draws -----------------------------------------------------------------------------


def words(seed: int, stream: int, index: int, count: int) -> NDArray[np.uint64]:
    """The first words of (seed, stream, index)."""
    # Of lists NumPy would make float64, where the seed is 2**63 or more.
    key, counter = (np.array(each, np.uint64) for each in ([seed, stream], [0, index, 0, 0]))
    return np.random.Philox(key=key, counter=counter).random_raw(count)


LIMITS: dict[str, Callable[[int, int], float]] = {
    "glorot_uniform": lambda n_in, n_out: math.sqrt(6.0 / (n_in + n_out)),
    "he_uniform": lambda n_in, _: math.sqrt(6.0 / n_in),
    "lecun_uniform": lambda n_in, _: math.sqrt(3.0 / n_in),
}


def initial_weights(seed: int, layer: int, n_in: int, n_out: int, scheme: str) -> Array:
    """W (n_out, n_in) of a layer, counted from 0."""
    uniform = (words(seed, 1, layer, n_out * n_in) >> np.uint64(11)) * 2.0**-53
    weights = LIMITS[scheme](n_in, n_out) * (2.0 * uniform - 1.0)
    return weights.astype(np.float32).reshape(n_out, n_in)


def order(seed: int, epoch: int, rows: int) -> NDArray[np.int64]:
    """The order of the rows in an epoch."""
    return np.argsort(words(seed, 2, epoch, rows), kind="stable")


# --- Rules 3, 4: passes, steps, training --------------------------------------------------------


def forward(
    weights: list[Array], biases: list[Array], activations: Sequence[str], x: Array
) -> tuple[list[Array], list[Array]]:
    """(z, a): z of each layer, and a with x before them."""
    z, a = [], [x]
    for W, b, name in zip(weights, biases, activations, strict=True):
        z.append(weighted_sums(a[-1], W, b))
        a.append(ACTIVATIONS[name](z[-1]))
    return z, a


def backward(
    weights: list[Array],
    activations: Sequence[str],
    loss: str,
    z: list[Array],
    a: list[Array],
    y: NDArray[np.generic],
) -> tuple[list[Array], list[Array]]:
    """(dE/dW, dE/db) of each layer, of the mean loss."""
    dE_dW, dE_db = [], []
    r = output_r(loss, activations[-1], z[-1], a[-1], y)
    for i in range(len(weights) - 1, -1, -1):
        dE_dW.insert(0, weight_gradient(r, a[i]))
        dE_db.insert(0, bias_gradient(r))
        if i > 0:
            dE_da = back_products(r, weights[i])
            r = backward_activation(activations[i - 1], z[i - 1], a[i], dE_da)
    return dE_dW, dE_db


def sgd(
    w: Array, g: Array, v: Array, rate: float, momentum: float, l2: float
) -> tuple[Array, Array]:
    """One step of rule 4: (w, v) after it. Biases are to be given l2 = 0."""
    if l2 != 0:
        g = fma(F(l2), w, g)
    v = fma(F(momentum), v, g) if momentum != 0 else g
    return fma(-F(rate), v, w), v


class Trained(NamedTuple):
    """What `train` gives."""

    weights: list[Array]  # (n_out, n_in) a layer
    biases: list[Array]  # (n_out,) a layer
    losses: list[float]  # an epoch's mean over rows, each seen before its step (rule 6)


def train(
    x: Array,  # (n, n_in)
    y: NDArray[np.generic],  # labels (n,) of int64, or targets (n, n_out)
    sizes: Sequence[int],
    *,
    seed: int,
    epochs: int,
    batch_size: int,
    learning_rate: float | Sequence[float],  # one number, or one a step
    activation: str = "sigmoid",
    output_activation: str = "sigmoid",
    loss: str = "squared_error",
    initialization: str = "glorot_uniform",
    momentum: float = 0.0,
    l2: float = 0.0,
    shuffle: bool = True,
    parameters: tuple[list[Array], list[Array]] | None = None,  # to begin with; else the drawn
) -> Trained:
    """Train a network from its seed, as `Network(...).fit(...)` must, to the bit."""
    layers = range(len(sizes) - 1)
    activations = [activation] * (len(sizes) - 2) + [output_activation]
    weights = [initial_weights(seed, i, sizes[i], sizes[i + 1], initialization) for i in layers]
    biases = [np.zeros(sizes[i + 1], np.float32) for i in layers]
    if parameters is not None:
        weights, biases = (list(each) for each in parameters)
    weight_v = [np.zeros_like(w) for w in weights]
    bias_v = [np.zeros_like(b) for b in biases]
    x = np.asarray(x, np.float32)
    n_steps = epochs * -(-len(x) // batch_size)
    rates = np.broadcast_to(np.asarray(learning_rate, np.float64), n_steps)
    step, means = 0, []
    for epoch in range(epochs):
        rows = order(seed, epoch, len(x)) if shuffle else np.arange(len(x))
        total = 0.0
        for start in range(0, len(x), batch_size):
            batch = rows[start : start + batch_size]
            z, a = forward(weights, biases, activations, x[batch])
            for row_loss in losses(loss, z[-1], a[-1], y[batch]):
                total += float(row_loss)
            dE_dW, dE_db = backward(weights, activations, loss, z, a, y[batch])
            rate = float(rates[step])
            for i in layers:
                weights[i], weight_v[i] = sgd(weights[i], dE_dW[i], weight_v[i], rate, momentum, l2)
                biases[i], bias_v[i] = sgd(biases[i], dE_db[i], bias_v[i], rate, momentum, 0.0)
            step += 1
        means.append(total / len(x))
    return Trained(weights, biases, means)


@quiet()
def bits(x: Array) -> NDArray[np.uint32]:
    """The bits of x after -0.0 is written as +0.0 (rule 9); NaN has one form."""
    x = np.asarray(x, np.float32)
    return np.where(np.isnan(x), F(np.nan), x + ZERO).view(np.uint32)
