"""The same network on both engines, and data for it."""

from __future__ import annotations

import numpy as np

from chainrule import Network, _backend, reference

ACTIVATIONS = ["identity", "sigmoid", "tanh", "relu"]
OUTPUTS = [
    ("squared_error", "identity"),
    ("squared_error", "sigmoid"),
    ("squared_error", "tanh"),
    ("squared_error", "relu"),
    ("squared_error", "softmax"),
    ("cross_entropy", "softmax"),
    ("binary_cross_entropy", "sigmoid"),
]


def assert_engines(rust, numpy):
    """Each network has the engine it should have, by every way of asking."""
    assert _backend._core is not None, "the extension is missing: nothing would be compared"
    for network, name, kind in (
        (rust, "rust", _backend._core.Engine),
        (numpy, "numpy", reference.Engine),
    ):
        assert network.backend == name
        assert network.explain()["engine"] == name
        assert type(network._engine) is kind


def twins(sizes, **settings):
    """The Rust and the NumPy network."""
    pair = tuple(Network(sizes, backend=name, **settings) for name in ("rust", "numpy"))
    assert_engines(*pair)
    return pair


def taken(network, n, batch_size, shuffle):
    """The rows of the network's next step: the first of a new epoch."""
    if not shuffle:
        return np.arange(n)[:batch_size]
    key = np.array([network.seed, 2], np.uint64)
    counter = [0, network.epochs_done, 0, 0]
    words = np.random.Philox(key=key, counter=counter).random_raw(n)
    return np.argsort(words, kind="stable")[:batch_size]


def same_state(source, target):
    """Set parameters and velocity of the target from those of the source."""
    target._engine.set_state(*source._engine.state())
    assert target.parameters.tobytes() == source.parameters.tobytes()


def velocity(network):
    """The optimiser's vector, or None."""
    return network._engine.state()[1].get("velocity")


def inputs(rng, n, n_in, kind="float", dtype="float64"):
    """(n, n_in) of the network's dtype, or pixels, four of five of them 0."""
    if kind == "uint8":
        lit = rng.random((n, n_in)) < 0.2
        return np.where(lit, rng.integers(0, 256, (n, n_in)), 0).astype(np.uint8)
    return rng.normal(size=(n, n_in)).astype(dtype)


def answers(rng, n, n_out, kind="labels", loss="squared_error", dtype="float64"):
    """Labels (n,), or targets (n, n_out) that the loss takes. With one output always targets."""
    if kind == "labels":
        return rng.integers(0, max(n_out, 2), n)
    y = rng.random((n, n_out))
    if loss == "cross_entropy":
        y /= y.sum(axis=1, keepdims=True)
    return y.astype(dtype)


def rows(y, n_out):
    """(n, n_out): labels become rows of 0 and 1."""
    if y.ndim == 1 and n_out > 1:
        return np.eye(n_out)[y]
    return y.reshape(len(y), n_out).astype(float)


def assert_near(found, expected, relative):
    """Within `relative` of the largest magnitude in the array."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    largest = np.abs(expected).max(initial=0.0)
    off = np.abs(found - expected).max(initial=0.0)
    assert off <= relative * largest, f"off by {off / largest:.3g} of the largest magnitude"


def assert_within(found, bounded):
    """Within the bound of what rounding may make of it; see `bound.py` for float64."""
    assert found.shape == bounded.value.shape
    scale = {np.float32: 1.0, np.float64: 2.0**-28}[found.dtype.type]
    off = np.abs(found - bounded.value)
    bounds = (off / np.maximum(bounded.error * scale, 2.0**-300)).max(initial=0.0)
    assert bounds <= 1, f"off by {bounds:.3g} bounds"
