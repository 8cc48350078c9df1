"""A row has the same outputs alone and among others, whatever way a prediction takes."""

from __future__ import annotations

import numpy as np
import pytest
from exactness.runs import DTYPES, labels, make, pixels, values

from chainrule import training

ROWS = 300  # more than one tile


def path(network):
    return network.explain()["path"]


def unified(array):
    """The bytes of an array; every NaN counts as the same one."""
    return np.where(np.isnan(array), np.asarray(np.nan, array.dtype), array).tobytes()


def extreme(dtype):
    """Rows with zeros of both signs, subnormals, and some in which sums overflow."""
    draw = np.random.Generator(np.random.Philox(9))
    info = np.finfo(dtype)
    x = values(pixels(rows=ROWS), dtype) - np.dtype(dtype).type(0.25)
    choice = draw.random(x.shape)
    x[choice < 0.1] = -0.0
    x[choice < 0.06] = info.smallest_subnormal * 3
    x[choice < 0.03] = info.smallest_normal
    x[::10] = np.copysign(info.max, x[::10])
    return x


KINDS = {
    "values": lambda dtype: values(pixels(rows=ROWS), dtype),
    "extreme": extreme,
    "uint8": lambda dtype: pixels(rows=ROWS),  # noqa: ARG005
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(params=DTYPES)
def dtype(request):
    return request.param


@pytest.fixture
def network(isa, dtype):
    return make(dtype, activation="relu", sizes=(300, 40, 9, 5), loss="cross_entropy")


def test_a_row_alone_or_among_some_is_the_row_of_all(network, kind, dtype):
    x = KINDS[kind](dtype)
    together = network._engine.predict(x, 1)
    assert len({row.tobytes() for row in together}) > ROWS * 0.9 - 1
    assert np.isnan(together).any() == (kind == "extreme")
    assert path(network) == "layered sparse"
    for rows in 1, 2, 3, 8, 9, 255:
        parts = [x[i : i + rows] for i in range(0, ROWS, rows)]
        found = np.concatenate([network._engine.predict(part, 1) for part in parts])
        assert path(network) == "layered sparse"
        assert unified(found) == unified(together), rows


def test_a_few_rows_at_once_are_the_rows_of_all(network, kind, dtype):
    x = KINDS[kind](dtype)
    together = network._engine.predict(x, 1)
    for rows in 1, 2, 3, 5, 8:
        # The quick way copies nothing: a part of an array is as good as one of its own.
        parts = [network._engine.predict_few(x[i : i + rows]) for i in range(0, ROWS, rows)]
        assert all(part is not None for part in parts), "it was refused, and the test shows nothing"
        alone = "online" if kind == "extreme" else "online sparse"
        assert path(network) == (alone if rows == 1 else "layered sparse")
        assert unified(np.concatenate(parts)) == unified(together), rows
        assert unified(network.predict(x[:rows])) == unified(together[:rows])


@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("work", [1, 2**16, 2**62])
def test_slices_of_a_prediction_change_no_bit(network, kind, dtype, work, threads, monkeypatch):
    x = KINDS[kind](dtype)
    together = network._engine.predict(x, 1)
    calls, engine = [], network._engine

    class Counting:
        def predict_few(self, *_):
            """Not taken, so that there is something to cut."""

        def __getattr__(self, name):
            if name == "predict":
                calls.append(name)
            return getattr(engine, name)

    monkeypatch.setattr(training, "SLICE_MULTIPLICATIONS", work)
    network._engine = Counting()
    assert unified(network.predict(x, threads=threads)) == unified(together)
    assert len(calls) == {1: ROWS, 2**62: 1}.get(work, len(calls))
    assert 1 < len(calls) < ROWS or work != 2**16


def test_slices_of_an_evaluation_change_no_bit(network, dtype, monkeypatch):
    x, y = np.tile(values(pixels(rows=ROWS), dtype), (3, 1)), labels(3 * ROWS)
    expected = network.evaluate(x, y)
    total = 0.0  # a loop: Python's own sum of floats is not plain additions
    for i in range(len(x)):
        total += network.evaluate(x[i : i + 1], y[i : i + 1]).loss
    assert expected.loss == total / len(x)
    for work in 1, 2**62:
        monkeypatch.setattr(training, "SLICE_MULTIPLICATIONS", work)
        assert network.evaluate(x, y, threads=8) == expected


def test_pixels_are_predicted_as_their_quotients(network, dtype):
    images = pixels(rows=ROWS)
    together = network._engine.predict(images, 1)
    assert together.tobytes() == network._engine.predict(values(images, dtype), 1).tobytes()
    assert path(network) == "layered sparse"
    alone = np.concatenate([network.predict(row[None]) for row in images])
    assert path(network) == "online sparse"
    assert alone.tobytes() == together.tobytes()
