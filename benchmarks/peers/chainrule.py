"""chainrule: `Network.fit` and `Network.predict`, as anyone calls them."""

from __future__ import annotations

import time

import chainrule


def versions():
    told = chainrule.Network([1, 1]).explain()  # what has not run knows no path and no threads
    return {"chainrule": chainrule.__version__, "engine": told["engine"], "isa": told["isa"]}


def network(case):
    made = chainrule.Network(
        case.work.sizes, activation=case.work.activation, loss=case.work.loss, backend="rust"
    )
    made.set_flat_parameters(case.initial)
    return made


class Trainer:
    """Takes pixels where the data is pixels, as `mnist.load` gives them, and shuffles by itself.

    A step is timed as a peer's: from where the data is in place, which the history tells.
    """

    whole: float
    """Seconds of the last fit with all that comes before its first step."""

    def __init__(self, case):
        self.work, self.order, self.y = case.work, case.order, case.y
        self.x = case.x if case.pixels is None else case.pixels
        self.network = network(case)

    def train(self, steps):
        return self.fit(self.x, self.y, steps, shuffle=not self.work.full_batch)

    def check(self, steps):
        rows = slice(None) if self.work.full_batch else self.order[:steps].ravel()
        return self.fit(self.x[rows], self.y[rows], steps, shuffle=False)

    def fit(self, x, y, steps, *, shuffle):
        began = time.perf_counter()
        history = self.network.fit(
            x, y, steps=steps, batch_size=self.work.batch_size,
            learning_rate=self.work.learning_rate, shuffle=shuffle, progress=False,
        )  # fmt: skip
        self.whole = time.perf_counter() - began
        return history.seconds[-1]

    def parameters(self):
        return self.network.parameters


def predictor(case):
    return network(case).predict
