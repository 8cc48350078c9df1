"""The NumPy engine: the whole algorithm on one page, written to be read.

A network of layers l = 1 .. L turns a row of inputs a[0] into activations a[L]:

    z[l] = W[l] a[l-1] + b[l],    a[l] = sigma(z[l])                        (Eq. 6, 7, 11)

and its error E is differentiated backwards, layer by layer, by the chain rule:

    r = sigma'(z) * dE/da,  dE/dW = r a^T,  dE/db = r,  dE/da = W^T r       (Eq. 24)

With one neuron a layer all of these are single numbers, and the recursion is Eq. 12, 13 and 14.
Here a row of each array is a sample, so a batch goes through in one product. The Rust engine does
the same in the same order; this one judges it. The equation numbers are those of the report.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

INITIAL_WEIGHTS, SHUFFLE = 1, 2  # streams of the generator: one a purpose
SATURATED = 2.0**-10  # a derivative below this hardly lets the error through


def draws(seed: int, stream: int, index: int, count: int) -> NDArray[np.uint64]:
    """`count` random words of (seed, stream, index), from Philox4x64-10."""
    key = np.array([seed, stream], dtype=np.uint64)
    counter = np.array([0, index, 0, 0], dtype=np.uint64)
    return np.random.Philox(key=key, counter=counter).random_raw(count)


def limit(initialization: str, n_in: int, n_out: int) -> float:
    """Weights are drawn evenly from -limit to limit."""
    return {
        "glorot_uniform": np.sqrt(6.0 / (n_in + n_out)),
        "he_uniform": np.sqrt(6.0 / n_in),
        "lecun_uniform": np.sqrt(3.0 / n_in),
    }[initialization]


# ---- activations: a = sigma(z), and r = sigma'(z) * dE/da. All arrays are (n, n_out).


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)) (Eq. 7), without an exp of anything above 0."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def shifted_exp(z: Array) -> tuple[Array, Array, Array]:
    """z - max(z), its exp, and the exp's sum (n, 1): what softmax and cross-entropy are made of."""
    shifted = z - z.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    return shifted, e, e.sum(axis=1, keepdims=True)


def activation_forward(name: str, z: Array) -> Array:
    """Return sigma(z)."""
    if name == "sigmoid":
        return sigmoid(z)
    if name == "tanh":
        return np.tanh(z)
    if name == "relu":
        return np.where(z <= 0, 0, z)  # NaN goes through, so that the loss shows it
    if name == "softmax":
        _, e, total = shifted_exp(z)
        return e / total
    return z.copy()


def derivative(name: str, z: Array, a: Array) -> Array:
    """Return sigma'(z), from the activation where that allows it."""
    if name == "sigmoid":
        return a * (1 - a)
    if name == "tanh":
        return 1 - a * a
    if name == "relu":
        return (~(z <= 0)).astype(z.dtype)
    return np.ones_like(z)


def activation_backward(name: str, z: Array, a: Array, dE_da: Array) -> Array:
    """Return r = sigma'(z) * dE/da, the first line of Eq. 24."""
    if name == "softmax":  # each output depends on every z: r = a * (dE/da - sum of a * dE/da)
        return a * (dE_da - (a * dE_da).sum(axis=1, keepdims=True))
    return derivative(name, z, a) * dE_da


# ---- losses: E of each row (n,), and r of the last layer (n, n_out). y is (n, n_out).


def loss_forward(name: str, z: Array, a: Array, y: Array) -> Array:
    """Return E of each row; the cross-entropies are computed from z, so that no log meets a 0."""
    if name == "squared_error":
        return ((a - y) ** 2).sum(axis=1)  # Eq. 11
    if name == "cross_entropy":
        shifted, _, total = shifted_exp(z)
        return (y * (np.log(total) - shifted)).sum(axis=1)
    return (np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))).sum(axis=1)


def loss_backward(name: str, activation: str, z: Array, a: Array, y: Array) -> Array:
    """Return r of the last layer; for a cross-entropy and its activation it is simply a - y."""
    if name == "squared_error":
        return activation_backward(activation, z, a, 2 * (a - y))
    return a - y


def loss_derivative(name: str, a: Array, y: Array) -> Array:
    """Return dE/da of the last layer, for `trace`; a term whose numerator is 0 is 0."""
    if name == "squared_error":
        return 2 * (a - y)
    from_y = np.divide(y, a, out=np.zeros_like(a), where=y != 0)
    if name == "cross_entropy":
        return -from_y
    return np.divide(1 - y, 1 - a, out=np.zeros_like(a), where=y != 1) - from_y


class Dataset:
    """Rows, what they should become, and the order in which an epoch takes them."""

    def __init__(
        self,
        x: Array,
        labels: NDArray[np.int64] | None,
        targets: Array | None,
        batch_size: int,
        shuffle_seed: int | None,
    ) -> None:
        self.x = x.copy()
        self.labels = None if labels is None else labels.copy()
        self.targets = None if targets is None else targets.copy()
        self.batch_size = min(batch_size, max(len(x), 1))
        self.shuffle_seed = shuffle_seed
        self._order: tuple[int, NDArray[np.intp]] | None = None

    def order(self, epoch: int) -> NDArray[np.intp]:
        """The epoch's rows in order: sorted by one random word each, ties as they stood."""
        if self.shuffle_seed is None:
            return np.arange(len(self.x))
        if self._order is None or self._order[0] != epoch:
            words = draws(self.shuffle_seed, SHUFFLE, epoch, len(self.x))
            self._order = epoch, np.argsort(words, kind="stable")
        return self._order[1]


class Engine:
    """The arithmetic of one network; see `chainrule._backend.Engine` for what each method owes."""

    name = "numpy"

    def __init__(
        self, sizes: tuple[int, ...], activations: tuple[str, ...], loss: str, dtype: str
    ) -> None:
        self.sizes = sizes
        self.activations = activations
        self.loss = loss
        self.dtype = np.dtype(dtype)
        count = sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
        self.parameters = np.zeros(count, self.dtype)
        self.velocity: Array | None = None
        self._kept: tuple[Array, dict[str, Array]] | None = None
        self.pixels = (np.arange(256) / 255).astype(self.dtype)  # uint8 -> value / 255

    def initialize(self, seed: int, initializations: tuple[str, ...]) -> None:
        """Weights even in -limit .. limit, biases 0."""
        self.parameters = np.zeros_like(self.parameters)
        self.velocity = None
        weights, _ = self.views(self.parameters)
        for layer, W in enumerate(weights):
            n_out, n_in = W.shape
            words = draws(seed, INITIAL_WEIGHTS, layer, W.size)
            uniform = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53  # in [0, 1)
            W[:] = (limit(initializations[layer], n_in, n_out) * (2 * uniform - 1)).reshape(W.shape)

    def views(self, flat: Array) -> tuple[list[Array], list[Array]]:
        """Weights (n_out, n_in) and biases (n_out,) of each layer, as views of a flat vector."""
        weights, biases, at = [], [], 0
        for n_in, n_out in pairwise(self.sizes):
            weights.append(flat[at : at + n_out * n_in].reshape(n_out, n_in))
            at += n_out * n_in
            biases.append(flat[at : at + n_out])
            at += n_out
        return weights, biases

    def dataset(
        self,
        x: Array,
        labels: NDArray[np.int64] | None,
        targets: Array | None,
        batch_size: int,
        shuffle_seed: int | None,
    ) -> Dataset:
        """Copy the data."""
        return Dataset(x, labels, targets, batch_size, shuffle_seed)

    def inputs(self, x: Array) -> Array:
        """Pixels become value / 255; all else is of the network's dtype already."""
        return self.pixels[x] if x.dtype == np.uint8 else x

    def rows(self, data: Dataset, rows: Any) -> tuple[Array, Array]:
        """Return x (n, n_in) and y (n, n_out) of some rows; a label becomes a row of 0 and 1."""
        x = self.inputs(data.x[rows])
        if data.targets is not None:
            return x, data.targets[rows]
        assert data.labels is not None
        y = np.zeros((len(x), self.sizes[-1]), self.dtype)
        y[np.arange(len(x)), data.labels[rows]] = 1
        return x, y

    def forward(self, x: Array) -> tuple[list[Array], list[Array]]:
        """Return z of each layer, and the activations of each, the inputs first. x is (n, n_in)."""
        weights, biases = self.views(self.parameters)
        z, a = [], [x]
        for W, b, activation in zip(weights, biases, self.activations, strict=True):
            z.append(a[-1] @ W.T + b)  # Eq. 6
            a.append(activation_forward(activation, z[-1]))  # Eq. 7
        return z, a

    def deltas(self, z: list[Array], a: list[Array], r: Array) -> list[tuple[Array, Array]]:
        """From r of the last layer, (dE/da, r) of each hidden layer, both (n, n_out) (Eq. 24)."""
        weights, _ = self.views(self.parameters)
        found: list[tuple[Array, Array]] = []
        for layer in reversed(range(1, len(weights))):
            dE_da = r @ weights[layer]  # dE/da = W^T r
            r = activation_backward(self.activations[layer - 1], z[layer - 1], a[layer], dE_da)
            found.insert(0, (dE_da, r))
        return found

    def backward(self, z: list[Array], a: list[Array], y: Array) -> Array:
        """The flat gradient of the mean of the rows' losses (Eq. 24)."""
        gradients = np.empty_like(self.parameters)
        dE_dW, dE_db = self.views(gradients)
        last = loss_backward(self.loss, self.activations[-1], z[-1], a[-1], y) / len(y)
        for layer, r in enumerate([*(r for _, r in self.deltas(z, a, last)), last]):
            dE_dW[layer][:] = r.T @ a[layer]  # dE/dW = r a^T
            dE_db[layer][:] = r.sum(axis=0)  # dE/db = r
        return gradients

    def train(
        self,
        dataset: Dataset,
        epoch: int,
        first: int,
        rates: NDArray[np.float64],
        momentum: float,
        l2: float,
        threads: int,
        totals: tuple[float, int, int],
    ) -> tuple[tuple[float, int, int], int, int | None]:
        """One step a rate: forward, loss, backward, descent."""
        loss, correct, saturated = totals
        order, size = dataset.order(epoch), dataset.batch_size
        with np.errstate(all="ignore"):  # what is no longer finite is looked for, and told
            for step, rate in enumerate(rates.astype(self.dtype)):
                start = (first + step) * size
                rows = order[start : start + size]
                x, y = self.rows(dataset, rows)
                z, a = self.forward(x)
                losses = loss_forward(self.loss, z[-1], a[-1], y)
                if not np.isfinite(losses.sum(dtype=np.float64)):
                    return (loss, correct, saturated), step, len(self.activations) - 1
                gradients = self.backward(z, a, y)
                self.descend(gradients, rate, self.dtype.type(momentum), self.dtype.type(l2))
                diverged = self.first_not_finite()
                if diverged is not None:
                    return (loss, correct, saturated), step, diverged
                loss = running_sum(loss, losses)
                correct += self.count_correct(dataset, rows, a[-1])
                for i, name in enumerate(self.activations[:-1]):
                    small = derivative(name, z[i], a[i + 1]) < SATURATED
                    saturated += int(np.count_nonzero(small))
        return (loss, correct, saturated), len(rates), None

    def descend(self, gradients: Array, rate: Any, momentum: Any, l2: Any) -> None:
        """One step of gradient descent (Eq. 5), in place."""
        if l2 != 0:
            decay, _ = self.views(gradients)  # l2 is for weights, not for biases
            for g, W in zip(decay, self.views(self.parameters)[0], strict=True):
                g += l2 * W
        if momentum != 0:
            velocity = 0 if self.velocity is None else self.velocity
            gradients = momentum * velocity + gradients
            self.velocity = gradients
        else:
            self.velocity = None
        self.parameters -= rate * gradients

    def first_not_finite(self) -> int | None:
        """The first layer with an infinite or NaN parameter."""
        if np.isfinite(self.parameters.sum()) or np.isfinite(self.parameters).all():
            return None
        layers = zip(*self.views(self.parameters), strict=True)
        return next(
            i
            for i, (W, b) in enumerate(layers)
            if not (np.isfinite(W).all() and np.isfinite(b).all())
        )

    def count_correct(self, dataset: Dataset, rows: Any, a: Array) -> int:
        """How many rows are classified rightly; 0 where there is nothing to compare with."""
        if dataset.labels is not None:
            return int(np.count_nonzero(a.argmax(axis=1) == dataset.labels[rows]))
        assert dataset.targets is not None
        if self.sizes[-1] > 1:
            return 0
        return int(np.count_nonzero((a > 0.5) == (dataset.targets[rows] > 0.5)))

    def predict(self, x: Array, threads: int) -> Array | None:
        """Activations of the last layer (n, n_out); None where x is not finite."""
        if not np.isfinite(x).all():
            return None
        with np.errstate(all="ignore"):
            return self.forward(self.inputs(x))[1][-1]

    def predict_few(self, x: Any, threads: int | None = None) -> None:
        """No quick way: what it would save is small beside NumPy's own calls."""

    def evaluate(
        self, dataset: Dataset, first: int, rows: int, loss: float, threads: int
    ) -> tuple[float, int]:
        """Add the losses of some rows to `loss`; that, and the number classified rightly."""
        correct = 0
        with np.errstate(all="ignore"):
            for start in range(first, first + rows, 256):
                some = slice(start, min(start + 256, first + rows))
                x, y = self.rows(dataset, some)
                z, a = self.forward(x)
                loss = running_sum(loss, loss_forward(self.loss, z[-1], a[-1], y))
                correct += self.count_correct(dataset, some, a[-1])
        return loss, correct

    def gradients(self, dataset: Dataset) -> tuple[float, Array]:
        """The sum of the losses, and the gradient of their mean."""
        with np.errstate(all="ignore"):
            x, y = self.rows(dataset, slice(None))
            z, a = self.forward(x)
            loss = running_sum(0.0, loss_forward(self.loss, z[-1], a[-1], y))
            return loss, self.backward(z, a, y)

    def trace(self, dataset: Dataset) -> list[tuple[Array, ...]]:
        """Every symbol of Eq. 24 for every row by itself: nothing is averaged."""
        with np.errstate(all="ignore"):
            x, y = self.rows(dataset, slice(None))
            z, a = self.forward(x)
            r = loss_backward(self.loss, self.activations[-1], z[-1], a[-1], y)
            last = loss_derivative(self.loss, a[-1], y), r
            return [
                (z[i], a[i + 1], r, dE_da, r[:, :, None] * a[i][:, None, :], r.copy())
                for i, (dE_da, r) in enumerate([*self.deltas(z, a, r), last])
            ]

    def state(self) -> tuple[Array, dict[str, Array]]:
        """Copies of parameters and velocity."""
        optimizer = {} if self.velocity is None else {"velocity": self.velocity.copy()}
        return self.parameters.copy(), optimizer

    def set_state(self, parameters: Array, optimizer: dict[str, Array]) -> None:
        """Take copies of parameters and velocity."""
        velocity = optimizer.get("velocity")
        self.parameters, self.velocity = (
            parameters.copy(),
            None if velocity is None else velocity.copy(),
        )

    def remember(self) -> None:
        """Keep copies of parameters and velocity."""
        self._kept = self.state()

    def restore(self) -> None:
        """Go back to what was kept."""
        if self._kept is not None:
            (self.parameters, optimizer), self._kept = self._kept, None
            self.velocity = optimizer.get("velocity")

    def forget(self) -> None:
        """Keep nothing any more."""
        self._kept = None

    def explain(self) -> dict[str, Any]:
        """NumPy decides on threads and instructions by itself."""
        return {"engine": self.name, "isa": None, "threads": None, "path": "layered"}


def running_sum(start: float, losses: Array) -> float:
    """Losses of rows added one by one in float64, so that it does not matter where a sum is cut."""
    return float(np.add.accumulate(np.append(start, losses), dtype=np.float64)[-1])
