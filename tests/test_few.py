"""A few rows at once: the quick way of `predict` gives what the long one does, or is not taken."""

import sys
import threading

import numpy as np
import pytest

from chainrule import Network, _backend

MOST = 512


class Sub(np.ndarray):
    pass


@pytest.fixture(params=["float32", "float64"])
def network(request):
    return Network([30, 20, 10], activation="tanh", dtype=request.param, backend="rust")


@pytest.fixture
def x(network, rng):
    return rng.normal(size=(MOST, 30)).astype(network.dtype)


def long_way(network, x):
    """What `predict` comes to with an array that the quick way does not take."""
    x = np.array(x, np.uint8 if x.dtype == np.uint8 else network.dtype, order="C")
    return network._engine.predict(x.reshape(len(x), network.sizes[0]), 1)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 8, 9, 64, 65, MOST])
def test_it_has_the_same_bits(network, x, rows):
    some = x[:rows].copy()
    quick = network._engine.predict_few(some)
    assert quick is not None
    assert quick.dtype == network.dtype
    assert quick.shape == (rows, 10)
    expected = long_way(network, some).tobytes()
    assert quick.tobytes() == network.predict(some).tobytes() == expected
    assert network.explain()["threads"] == 1


@pytest.mark.parametrize(
    "other",
    [
        lambda x: x.astype("f8" if x.dtype == np.float32 else "f4"),
        lambda x: x.astype(x.dtype.newbyteorder()),
        lambda x: x[:, ::-1],
        np.asfortranarray,
        lambda x: x.reshape(MOST, 5, 6),
        lambda x: np.frombuffer(b"\0" + x.tobytes(), x.dtype, x.size, 1).reshape(x.shape),
    ],
    ids=["dtype", "order", "stride", "fortran", "3-d", "misaligned"],
)
def test_another_array_takes_the_long_way(network, x, other):
    changed = other(x)
    assert network._engine.predict_few(changed) is None
    assert network.predict(changed).tobytes() == long_way(network, changed).tobytes()


@pytest.mark.parametrize("rows", [1, 2, 9, 65, MOST])
def test_pixels_are_taken_too(network, rng, rows):
    pixels = rng.integers(0, 256, (rows, 30), np.uint8)
    quick = network._engine.predict_few(pixels)
    assert quick.tobytes() == network.predict(pixels).tobytes()
    assert quick.tobytes() == long_way(network, pixels).tobytes()


@pytest.mark.parametrize("kind", ["numbers", "pixels"])
@pytest.mark.parametrize("rows", [700, 1000, 1024])
def test_more_rows_are_taken_where_threads_are_told(network, rng, rows, kind):
    if kind == "pixels":
        x = rng.integers(0, 256, (rows, 30), np.uint8)
    else:
        x = rng.normal(size=(rows, 30)).astype(network.dtype)
    assert network._engine.predict_few(x) is None
    expected = long_way(network, x).tobytes()
    for threads in 1, 2, 3, sys.maxsize:
        assert network._engine.predict_few(x, threads).tobytes() == expected
    assert network.predict(x).tobytes() == expected


def test_no_more_are_taken_than_are_over_soon(network, rng):
    assert network._engine.predict_few(np.zeros((1025, 30), network.dtype), 2) is None
    network = Network([200, 64, 10], dtype=network.dtype, backend="rust")
    x = rng.normal(size=(1024, 200)).astype(network.dtype)
    assert network._engine.predict_few(x[:600], 1) is not None
    assert network._engine.predict_few(x, 1) is None
    expected = long_way(network, x).tobytes()
    assert network._engine.predict_few(x, 2).tobytes() == expected == network.predict(x).tobytes()


@pytest.mark.parametrize("rows", [1, MOST])
def test_it_follows_the_parameters(network, x, rows):
    """What is copied for a row, or packed, is made anew after each way in which they change."""
    some = x[:rows]
    changes = [
        lambda: network.fit(x, np.zeros(MOST, int), steps=1),
        network.reset,
        lambda: network.set_flat_parameters(network.parameters + 1),
        lambda: network.fit(x, np.zeros(MOST, int), steps=2, batch_size=MOST),
    ]
    for change in changes:
        before = [network.predict(some).tobytes() for _ in range(3)][-1]
        change()
        for _ in range(3):
            now = network.predict(some).tobytes()
            assert now != before
            assert now == long_way(network, some).tobytes()
            assert now == long_way(network, x)[:rows].tobytes()


def test_what_is_no_plain_array_is_not_handed_over(network, x):
    network.predict(x.view(Sub))
    with pytest.raises(TypeError, match="masked"):
        network.predict(np.ma.masked_array(x, x > 0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_as_ever(network, x, bad):
    x[3, 7] = bad
    assert network._engine.predict_few(x) is None
    with pytest.raises(ValueError, match=r"x\[3, 7\]"):
        network.predict(x)


def test_wrong_width_is_refused_as_ever(network, x):
    with pytest.raises(ValueError, match=r"\(n, 30\).*\(n, 29\)"):
        network.predict(np.ascontiguousarray(x[:, 1:]))


def test_told_how_many_threads_it_is_as_quick(network, x, monkeypatch):
    """Checked like any other number, and then no reason to go the long way."""
    expected = long_way(network, x).tobytes()
    for wrong in 0, -1, True, 1.0, "1":
        with pytest.raises((TypeError, ValueError), match="threads"):
            network.predict(x, threads=wrong)
    monkeypatch.setattr(type(network), "_predict", None)  # the long way is closed
    for threads in 1, 2, 2**80:
        assert network.predict(x, threads=threads).tobytes() == expected


def test_a_wrong_environment_is_refused_as_ever(network, x, monkeypatch):
    monkeypatch.setenv("CHAINRULE_THREADS", "0")
    with pytest.raises(ValueError, match="CHAINRULE_THREADS"):
        network.predict(x)
    monkeypatch.setenv("CHAINRULE_THREADS", "2")
    network.predict(x)


def test_the_network_is_as_busy_as_ever(network, x):
    """Another thread's fit keeps it out; the fit's own callbacks do not."""
    found = []

    def callback(progress):
        def work():
            with pytest.raises(RuntimeError, match="predict: the network is busy"):
                network.predict(x)
            found.append("refused")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        found.append(network.predict(x).tobytes() == network.copy().predict(x).tobytes())

    network.fit(x, np.zeros(MOST, int), callbacks=callback)
    assert found == ["refused", True]


def test_the_result_is_the_callers_own(network, x):
    first = network.predict(x)
    kept = first.tobytes()
    first[:] = 7
    assert network.predict(x).tobytes() == kept
    assert first.flags.writeable


def test_large_networks_take_the_long_way(rng):
    network = Network([1500, 1500, 10], backend="rust")
    assert network._engine.predict_few(rng.random((1, 1500), np.float32)) is None
    network = Network([400, 400, 10], backend="rust")
    assert network._engine.predict_few(rng.random((1, 400), np.float32)) is not None


def test_wide_networks_take_it_once_their_weights_are_packed(rng):
    network = Network([400, 400, 10], backend="rust")
    x = rng.random((8, 400), np.float32)
    for _ in range(2):
        assert network._engine.predict_few(x[:2]) is None
        assert network._engine.predict_few(x, 2) is None
        expected = [long_way(network, x).tobytes() for _ in range(2)]
        assert network._engine.predict_few(x) is None
        assert network._engine.predict_few(x, 2).tobytes() == expected[0] == expected[1]
        assert network._engine.predict_few(x[:2]).tobytes() == long_way(network, x[:2]).tobytes()
        network.set_flat_parameters(network.parameters * 2)


def test_threads_that_were_told_do_not_keep_it_slow(network, x, monkeypatch):
    """The environment is looked at until it is found right, and again when it has changed."""
    calls = []
    monkeypatch.setattr(
        _backend, "threads", lambda n, real=_backend.threads: calls.append(n) or real(n)
    )
    network.predict(x)
    assert not calls
    for change in (
        lambda: monkeypatch.setenv("CHAINRULE_THREADS", "2"),
        lambda: monkeypatch.delenv("CHAINRULE_THREADS"),
    ):
        change()
        network.predict(x)
        network.predict(x)
        assert len(calls) == 1
        calls.clear()
