"""One path of training against another, to the bit: sparse and dense, online and layered."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import SGD, Network, _backend

SEED = 5
ROWS = 60


def pixels(n_in=300):
    """Images that are mostly 0, as those of digits are."""
    draw = np.random.Generator(np.random.Philox(SEED))
    images = draw.integers(0, 256, (ROWS, n_in), dtype=np.uint8)
    return np.where(draw.random((ROWS, n_in)) < 0.85, 0, images).astype(np.uint8)


def fitted(monkeypatch, path, x, dtype, batch_size, settings):
    """The bits of a network that was trained on a path, and its history."""
    monkeypatch.setattr(_backend, "forced_path", path)
    network = Network(
        (x.shape[1], 18, 9, 5),
        activation=settings.get("activation", "sigmoid"),
        loss=settings.get("loss", "squared_error"),
        dtype=dtype,
        seed=SEED,
        backend="rust",
    )
    before = network.fingerprint()
    optimizer = SGD(0.1, momentum=settings.get("momentum", 0.0))
    history = network.fit(
        x,
        np.arange(ROWS) % 5,
        epochs=2,
        batch_size=batch_size,
        optimizer=optimizer,
        l2=settings.get("l2", 0.0),
    )
    assert network.fingerprint() != before
    parameters, vectors = network._engine.state()
    bits = parameters.tobytes(), {name: vector.tobytes() for name, vector in vectors.items()}
    return bits, history, network.explain()["path"]


SETTINGS = [
    {},
    {"momentum": 0.9},
    {"l2": 1e-3, "activation": "tanh"},
    {"activation": "relu", "loss": "cross_entropy"},
    {"momentum": 0.5, "l2": 1e-2, "loss": "binary_cross_entropy"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("kind", ["uint8", "T"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("path", "batch_size"),
    [("online", 1), ("online sparse", 1), ("layered sparse", 2), ("layered sparse", 7)],
)
def test_a_path_gives_the_bits_of_the_layered_one(
    isa, monkeypatch, path, batch_size, dtype, kind, settings
):
    x = pixels() if kind == "uint8" else (pixels() / np.float64(255)).astype(dtype)
    expected, slow, layered = fitted(monkeypatch, "layered", x, dtype, batch_size, settings)
    found, fast, taken = fitted(monkeypatch, path, x, dtype, batch_size, settings)
    assert (layered, taken) == ("layered", path)
    assert found == expected
    assert fast == slow


def test_the_engine_chooses_by_batch_and_zeros():
    def chosen(x, batch_size, sizes=(300, 16, 5)):
        network = Network(sizes, backend="rust")
        network.fit(x, np.arange(ROWS) % 5, batch_size=batch_size)
        return network.explain()["path"]

    assert chosen(pixels(), 1) == "online sparse"
    assert chosen(pixels() + 1, 1) == "online"
    assert chosen(pixels(), 10) == "layered sparse"
    assert chosen(pixels() + 1, 10) == "layered"
    assert chosen(pixels(), 10, (300, 40, 200, 5)) == "layered"
