"""Any number of threads gives the bits of one, on each path; and more than one are at work."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from exactness.runs import DTYPES, PATHS, SETTINGS, fit, labels, make, pixels

THREADS = (2, 3, 8)
SIZES = (200, 150, 70, 5)
# A busy machine lets fewer work, and a crew that was held up rests for a second at most.
TRIES = 200


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def rows_for(isa):
    """So many that other threads have time to come."""
    return 300 if isa == "portable" else 3000


def numbers(rows, dtype):
    """Inputs of which some are zeros of either sign or subnormal."""
    draw = np.random.Generator(np.random.Philox(6))
    x = draw.normal(size=(rows, SIZES[0])).astype(dtype)
    chance = draw.random(x.shape)
    x[chance < 0.1] = -0.0
    x[chance < 0.05] = np.finfo(dtype).smallest_subnormal * 77
    return x


def judge(run, expected):
    """Hold run(threads), which tells what it found and how many threads worked, to one thread's.

    Each try must have the same bits, and in one of them two threads at least must have worked.
    """
    if cores() < 2:
        pytest.skip("not run: this process has one core, and threads would take turns")
    for threads in THREADS:
        for _ in range(TRIES):
            found, worked = run(threads)
            assert found == expected, f"{threads} threads, of which {worked} worked"
            assert worked <= threads
            if worked > 1:
                break
            time.sleep(0.1)
        else:
            pytest.fail(
                f"of {threads} threads never two were at work in {TRIES} tries: the machine is "
                "too busy for this test, or work is no longer shared"
            )


@pytest.mark.parametrize(
    ("settings", "batch_size"),
    [(SETTINGS[0], 300), (SETTINGS[3], 100), (SETTINGS[4], 300)],
    ids=str,
)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("path", "sizes"),
    [("layered", SIZES), ("layered", (200, 20, 5)), ("layered sparse", SIZES)],
    ids=["products", "tiles", "sparse"],
)
def test_threads_train_to_the_same_bits(isa, dtype, path, sizes, settings, batch_size):
    rows = rows_for(isa)
    y = labels(rows)
    x = pixels(SIZES[0], rows) if path == "layered sparse" else numbers(rows, dtype)

    def run(threads):
        network = make(dtype, path, sizes, **settings)
        found = fit(network, x, y, batch_size, settings, epochs=1, threads=threads)
        explained = network.explain()
        assert explained["path"] == path
        return found, explained["threads"]

    expected, worked = run(1)
    assert worked == 1
    judge(run, expected)


@pytest.mark.parametrize("batch_size", [3, 12])
@pytest.mark.parametrize("settings", [SETTINGS[0], SETTINGS[4]], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_pass_many_weights_to_the_same_bits(isa, dtype, settings, batch_size):
    """By few rows: of weights of more than 512 KiB each worker passes blocks of its own, and
    by fewer still, columns of the first layer's.
    """
    rows, sizes = rows_for(isa) // 5, (200, 520, 300, 5)
    x, y = numbers(rows, dtype), labels(rows)

    def run(threads):
        network = make(dtype, "layered", sizes, **settings)
        found = fit(network, x, y, batch_size, settings, epochs=1, threads=threads)
        explained = network.explain()
        assert (explained["path"], explained["isa"]) == ("layered", isa)
        return found, explained["threads"]

    expected, worked = run(1)
    assert worked == 1
    judge(run, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["uint8", "T"])
def test_threads_predict_the_same_bits(isa, kind, dtype):
    network = make(dtype, sizes=SIZES)
    rows = rows_for(isa)
    x = pixels(SIZES[0], rows) if kind == "uint8" else numbers(rows, dtype)

    def run(threads):
        outputs = network.predict(x, threads=threads)
        assert len({row.tobytes() for row in outputs}) > rows / 2
        return outputs.tobytes(), network.explain()["threads"]

    expected, worked = run(1)
    assert worked == 1
    judge(run, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_evaluate_to_the_same_bits(isa, dtype):
    network = make(dtype, sizes=SIZES)
    rows = rows_for(isa)
    x, y = numbers(rows, dtype), labels(rows)

    def run(threads):
        return network.evaluate(x, y, threads=threads), network.explain()["threads"]

    expected, worked = run(1)
    assert worked == 1
    judge(run, expected)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("path", "batch_size"), PATHS)
def test_small_work_stays_with_one_of_the_threads_that_are_allowed(
    isa, path, batch_size, dtype, settings
):
    found = []
    for threads in 1, *THREADS:
        network = make(dtype, path, **settings)
        network.predict(pixels(), threads=8)  # so that what is told is of the fit
        found.append(fit(network, pixels(), labels(), batch_size, settings, threads=threads))
        explained = network.explain()
        assert (explained["path"], explained["threads"]) == (path, 1)
    assert all(each == found[0] for each in found)
