"""One path of training against another, to the bit: sparse and dense, online and layered."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from exactness import emulator
from exactness.runs import (
    DTYPES,
    PATHS,
    ROWS,
    SEED,
    SETTINGS,
    SIZES,
    bits_of,
    fitted,
    labels,
    make,
    pixels,
    values,
)

from chainrule import Network


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("kind", ["uint8", "T"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("path", "batch_size"),
    [
        ("online", 1),
        ("online sparse", 1),
        ("layered sparse", 2),
        ("layered sparse", 7),
        ("few rows", 2),
        ("few rows", 7),
        ("few rows sparse", 2),
        ("few rows sparse", 7),
    ],
)
def test_a_path_gives_the_bits_of_the_layered_one(isa, path, batch_size, dtype, kind, settings):
    x = pixels() if kind == "uint8" else values(pixels(), dtype)
    expected, slow = fitted("layered", x, dtype, batch_size, settings)
    found, fast = fitted(path, x, dtype, batch_size, settings)
    assert found == expected
    assert fast == slow


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("path", "batch_size"), PATHS)
def test_pixels_are_their_quotients_on_each_path(isa, path, batch_size, dtype, settings):
    expected = fitted(path, values(pixels(), dtype), dtype, batch_size, settings)
    assert fitted(path, pixels(), dtype, batch_size, settings) == expected


def test_the_engine_chooses_by_batch_and_zeros():
    def chosen(x, batch_size, sizes=(300, 16, 5)):
        network = Network(sizes, backend="rust")
        network.fit(x, np.arange(ROWS) % 5, batch_size=batch_size)
        return network.explain()["path"]

    assert chosen(pixels(), 1) == "online sparse"
    assert chosen(pixels() + 1, 1) == "online"
    assert chosen(pixels(), 10) == "few rows sparse"
    assert chosen(pixels() + 1, 10) == "layered"
    assert chosen(pixels() + 1, 8) == "few rows"
    # Numbers are listed where that takes less than half of their bytes: 0.4 of 8 each are more.
    draw = np.random.Generator(np.random.Philox(SEED))
    some = np.where(draw.random((ROWS, 300)) < 0.4, np.float32(0.5), np.float32(0))
    assert [chosen(some, size) for size in (1, 8, 10)] == ["online", "few rows", "layered"]
    assert chosen(some * (np.arange(300) % 4 == 0), 8) == "few rows sparse"
    assert chosen(pixels(), 10, (300, 40, 200, 5)) == "layered sparse"


# ---- each path against the emulator, which knows of none


@functools.cache
def emulated(batch_size, index):
    """What the emulator makes of a setting."""
    settings = SETTINGS[index]
    loss = settings.get("loss", "squared_error")
    return emulator.train(
        values(pixels(), "float32"),
        labels(),
        SIZES,
        seed=SEED,
        epochs=2,
        batch_size=batch_size,
        learning_rate=0.1,
        activation=settings.get("activation", "sigmoid"),
        output_activation="softmax" if loss == "cross_entropy" else "sigmoid",
        loss=loss,
        momentum=settings.get("momentum", 0.0),
        l2=settings.get("l2", 0.0),
    )


@pytest.mark.parametrize("index", range(len(SETTINGS)), ids=lambda i: str(SETTINGS[i]))
@pytest.mark.parametrize(("path", "batch_size"), PATHS)
def test_a_path_gives_the_bits_of_the_emulator(isa, path, batch_size, index):
    (parameters, _), history = fitted(path, pixels(), "float32", batch_size, SETTINGS[index])
    expected = emulated(batch_size, index)
    flat = np.concatenate(
        [each.ravel() for pair in zip(*expected[:2], strict=True) for each in pair]
    )
    found = np.frombuffer(parameters, np.float32)
    np.testing.assert_array_equal(emulator.bits(found), emulator.bits(flat))
    assert history.loss == expected.losses


# ---- any cut


def cut(path, batch_size, dtype, settings, counts, *, resume):
    """Two epochs in slices of so many steps: bits, totals; in a new engine each where resumed."""
    x, y = pixels(), labels().astype(np.int64)
    network = make(dtype, path, **settings)
    before, totals = bits_of(network), (0.0, 0, 0)
    steps = -(-ROWS // batch_size)
    rates = np.linspace(0.3, 0.1, steps)
    data = network._engine.dataset(x, y, None, batch_size, SEED)
    for epoch in range(2):
        first, turn = 0, 0
        while first < steps:
            count = min(counts[turn % len(counts)], steps - first)
            totals, done, diverged = network._engine.train(
                data,
                epoch,
                first,
                rates[first : first + count],
                settings.get("momentum", 0.0),
                settings.get("l2", 0.0),
                1,
                totals,
            )
            assert (done, diverged) == (count, None)
            assert network._engine.explain()["path"] == path
            first, turn = first + count, turn + 1
            if resume:
                state = network._engine.state()
                network = make(dtype, path, **settings)
                network._engine.set_state(*state)
                data = network._engine.dataset(x, y, None, batch_size, SEED)
    assert bits_of(network) != before
    return bits_of(network), totals


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("path", "batch_size"), PATHS)
def test_any_cut_gives_the_same_bits(isa, path, batch_size, dtype, settings):
    expected = cut(path, batch_size, dtype, settings, [ROWS], resume=False)
    for counts in [1], [2, 3], [7, 1]:
        assert cut(path, batch_size, dtype, settings, counts, resume=False) == expected
    assert cut(path, batch_size, dtype, settings, [1, 4], resume=True) == expected
