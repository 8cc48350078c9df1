"""JAX: the whole round is one compiled scan, with the data on the device and donated parameters."""

from __future__ import annotations

import time
from functools import partial

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
from works import flatten


def versions():
    return {"jax": jax.__version__, "jaxlib": jaxlib.__version__}


ACTIVATE = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}


def placed(case):
    """W (n_in, n_out) and b of each layer."""
    return [(jnp.asarray(W.T), jnp.asarray(b)) for W, b in case.layers]


def logits(work, parameters, x):
    for W, b in parameters[:-1]:
        x = ACTIVATE[work.activation](x @ W + b)
    W, b = parameters[-1]
    return x @ W + b


def mean_loss(work, parameters, x, y):
    z = logits(work, parameters, x)
    targets = jax.nn.one_hot(y, work.sizes[-1], dtype=z.dtype)
    if work.loss == "squared_error":
        return ((jax.nn.sigmoid(z) - targets) ** 2).sum(axis=1).mean()
    return -(jax.nn.log_softmax(z) * targets).sum(axis=1).mean()


def descend(work, parameters, x, y):
    gradients = jax.grad(partial(mean_loss, work))(parameters, x, y)
    return jax.tree.map(lambda w, g: w - work.learning_rate * g, parameters, gradients)


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def gathered_epoch(work, unroll, parameters, order, x, y):
    def step(parameters, rows):
        return descend(work, parameters, x[rows], y[rows]), None

    return jax.lax.scan(step, parameters, order, unroll=unroll)[0]


@partial(jax.jit, static_argnums=(0, 1, 5), donate_argnums=2)
def whole_epoch(work, unroll, parameters, x, y, steps):
    def step(parameters, _):
        return descend(work, parameters, x, y), None

    return jax.lax.scan(step, parameters, length=steps, unroll=unroll)[0]


class Trainer:
    """Takes the scan that is the quickest here: as it stands, or unrolled."""

    def __init__(self, case):
        self.work = case.work
        self.state = placed(case)
        self.x, self.y = jnp.asarray(case.x), jnp.asarray(case.y, jnp.int32)
        self.order = case.order
        self.compiled = {}
        probe = max(1, self.work.steps // 50)
        self.unroll = min((1, 4, 16), key=lambda unroll: self.cost(unroll, probe))
        self.state = placed(case)

    def cost(self, unroll, steps):
        """Seconds of the better of a few runs that follow the first, which compiles."""
        self.unroll = unroll
        return min([self.train(steps) for _ in range(4)][1:])

    def train(self, steps):
        if self.work.full_batch:
            run, rest = whole_epoch, (self.x, self.y, steps)
        else:
            order = jnp.asarray(self.order[:steps], jnp.int32)
            run, rest = gathered_epoch, (order, self.x, self.y)
            order.block_until_ready()
        if (steps, self.unroll) not in self.compiled:  # compiled apart from what is timed
            self.compiled[steps, self.unroll] = run.lower(
                self.work, self.unroll, self.state, *rest
            ).compile()
        arrays = [part for part in rest if not isinstance(part, int)]
        began = time.perf_counter()
        self.state = self.compiled[steps, self.unroll](self.state, *arrays)
        jax.block_until_ready(self.state)
        return time.perf_counter() - began

    def parameters(self):
        return flatten([(np.asarray(W).T, b) for W, b in self.state])


def predictor(case):
    parameters, work = placed(case), case.work

    @jax.jit
    def forward(parameters, x):
        if x.dtype == jnp.uint8:
            x = x.astype(jnp.float32) * np.float32(1 / 255)
        z = logits(work, parameters, x)
        return jax.nn.sigmoid(z) if work.loss == "squared_error" else jax.nn.softmax(z)

    return lambda x: np.asarray(forward(parameters, x))
