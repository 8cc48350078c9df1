"""What the tests of paths and threads share: data, networks trained on a path, and their bits."""

from __future__ import annotations

import numpy as np

from chainrule import SGD, Network, _backend

SEED = 5
ROWS = 60
SIZES = (300, 18, 9, 5)
DTYPES = ["float32", "float64"]

# Each path, with rows a batch that it is for.
PATHS = [
    ("layered", 1),
    ("layered", 3),
    ("online", 1),
    ("online sparse", 1),
    ("layered", 7),
    ("layered sparse", 7),
    ("few rows", 7),
    ("few rows sparse", 7),
]

SETTINGS = [
    {},
    {"momentum": 0.9},
    {"l2": 1e-3, "activation": "tanh"},
    {"activation": "relu", "loss": "cross_entropy"},
    {"momentum": 0.5, "l2": 1e-2, "loss": "binary_cross_entropy"},
]


def pixels(n_in=300, rows=ROWS):
    """Images that are mostly 0, as those of digits are."""
    draw = np.random.Generator(np.random.Philox(SEED))
    images = draw.integers(0, 256, (rows, n_in), dtype=np.uint8)
    return np.where(draw.random((rows, n_in)) < 0.85, 0, images).astype(np.uint8)


def values(images, dtype):
    """The numbers that pixels stand for (rule 7)."""
    return images.astype(dtype) / np.dtype(dtype).type(255)


def labels(rows=ROWS):
    return np.arange(rows) % 5


def make(dtype="float32", path=None, sizes=SIZES, **settings):
    """A network that trains on a path, where it is given one."""
    before, _backend.forced_path = _backend.forced_path, path
    try:
        return Network(
            sizes,
            activation=settings.get("activation", "sigmoid"),
            loss=settings.get("loss", "squared_error"),
            initialization="glorot_uniform",
            dtype=dtype,
            seed=SEED,
            backend="rust",
        )
    finally:
        _backend.forced_path = before


def bits_of(network):
    """Parameters and what the optimiser keeps."""
    parameters, vectors = network._engine.state()
    return parameters.tobytes(), {name: vector.tobytes() for name, vector in vectors.items()}


def fit(network, x, y, batch_size, settings, **others):
    """Fit with a setting; the bits then, and the history."""
    before = network.fingerprint()
    history = network.fit(
        x,
        y,
        batch_size=batch_size,
        optimizer=SGD(0.1, momentum=settings.get("momentum", 0.0)),
        l2=settings.get("l2", 0.0),
        **{"epochs": 2, **others},
    )
    assert network.fingerprint() != before
    return bits_of(network), history


def fitted(path, x, dtype, batch_size, settings):
    """The bits of a network that was trained on a path, and its history."""
    network = make(dtype, path, **settings)
    bits, history = fit(network, x, labels(len(x)), batch_size, settings)
    assert network.explain()["path"] == path
    return bits, history
