"""NumPy: the loop that is written by hand, in float32, with a buffer for each array."""

from __future__ import annotations

import time

import numpy as np
from works import flatten


def versions():
    build = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {"numpy": np.__version__, "blas": f"{build['name']} {build['version']}"}


def sigmoid_(a):
    """1 / (1 + exp(-a)), in place."""
    np.negative(a, out=a)
    with np.errstate(over="ignore"):
        np.exp(a, out=a)
    a += 1
    np.reciprocal(a, out=a)


def softmax_(a):
    a -= a.max(axis=1, keepdims=True)
    np.exp(a, out=a)
    a /= a.sum(axis=1, keepdims=True)


ACTIVATE = {
    "sigmoid": sigmoid_,
    "tanh": lambda a: np.tanh(a, out=a),
    "relu": lambda a: np.maximum(a, 0, out=a),
    "softmax": softmax_,
}


def through_sigmoid(d, a):
    d *= a
    d *= 1 - a


def through_tanh(d, a):
    d *= 1 - a * a


def through_relu(d, a):
    d *= a > 0


THROUGH = {"sigmoid": through_sigmoid, "tanh": through_tanh, "relu": through_relu}


class Network:
    """W (n_in, n_out) of each layer, and room for the activations of `rows` rows."""

    def __init__(self, case, rows):
        work = case.work
        last = "sigmoid" if work.loss == "squared_error" else "softmax"
        self.activations = [work.activation] * (len(work.sizes) - 2) + [last]
        self.W = [np.ascontiguousarray(W.T) for W, _ in case.layers]
        self.b = [b for _, b in case.layers]
        self.a = [np.empty((rows, n), np.float32) for n in work.sizes[1:]]

    def forward(self, x):
        before = x
        for W, b, a, name in zip(self.W, self.b, self.a, self.activations, strict=True):
            np.matmul(before, W, out=a)
            a += b
            ACTIVATE[name](a)
            before = a
        return before


class Trainer(Network):
    def __init__(self, case):
        self.case, self.work = case, case.work
        n = self.work.batch_size
        super().__init__(case, n)
        self.d = [np.empty_like(a) for a in self.a]
        self.dW = [np.empty_like(W) for W in self.W]
        self.x = np.empty((n, self.work.sizes[0]), np.float32)
        self.targets = np.eye(self.work.sizes[-1], dtype=np.float32)[case.y]

    def step(self, x, targets):
        a, d, rate = self.a, self.d, np.float32(self.work.learning_rate)
        np.subtract(self.forward(x), targets, out=d[-1])
        d[-1] *= (2 if self.work.loss == "squared_error" else 1) / np.float32(len(x))
        if self.work.loss == "squared_error":
            through_sigmoid(d[-1], a[-1])
        for i in reversed(range(len(a))):
            np.matmul((a[i - 1] if i else x).T, d[i], out=self.dW[i])
            if i:
                np.matmul(d[i], self.W[i].T, out=d[i - 1])
                THROUGH[self.activations[i - 1]](d[i - 1], a[i - 1])
            self.dW[i] *= rate
            self.W[i] -= self.dW[i]
            self.b[i] -= rate * d[i].sum(axis=0)

    def train(self, steps):
        began = time.perf_counter()
        if self.work.full_batch:
            for _ in range(steps):
                self.step(self.case.x, self.targets)
        else:
            for rows in self.case.order[:steps]:
                np.take(self.case.x, rows, axis=0, out=self.x, mode="clip")
                self.step(self.x, self.targets[rows])
        return time.perf_counter() - began

    def parameters(self):
        return flatten([(W.T, b) for W, b in zip(self.W, self.b, strict=True)])


def predictor(case):
    network = Network(case, case.work.rows)
    if case.x.dtype == np.uint8:
        return lambda x: network.forward(x.astype(np.float32) / np.float32(255)).copy()
    return lambda x: network.forward(x).copy()
