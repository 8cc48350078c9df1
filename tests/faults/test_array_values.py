"""Rows 24 to 28 of the table of faults: values of arrays, and how many there are."""

import ctypes
import platform
import sys
import threading

import numpy as np
import pytest
from faults.calls import (
    bits,
    every_call,
    every_call_with_y,
    identity,
    little_memory,
    make,
    trained,
)
from numpy.lib.stride_tricks import as_strided

from chainrule import DivergenceError, Network, _backend

NAN, INF = float("nan"), float("inf")
LIMITS = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to set the limit")
GLIBC_X86 = sys.platform == "linux" and platform.machine() == "x86_64"


@pytest.fixture
def x(rng):
    return rng.normal(size=(8, 4))


@pytest.fixture
def y(rng):
    return rng.integers(0, 3, 8)


# ---- 24: no rows


@pytest.mark.parametrize("shape", [(0, 4), (0, 2, 2), (0, 1, 4, 1)])
@pytest.mark.parametrize("code", ["f4", "f8", "?", "u1", ">f2"])
def test_fault_024_no_rows(backend, refused, x, y, shape, code):
    network = trained(backend, x, y)
    empty = np.zeros(shape, code)
    outputs, classes = network.predict(empty), network.classify(empty)
    assert (outputs.shape, outputs.dtype) == ((0, 3), np.float32)
    assert (classes.shape, classes.dtype) == ((0,), np.int64)
    for no_y in (np.zeros(0, int), np.zeros((0, 3)), []):
        for _name, call in every_call_with_y(network, empty, no_y):
            with refused(ValueError, "x must have at least one row", shape, network=network):
                call()
        with refused(ValueError, "validation_data[0]", "one row", shape, network=network):
            network.fit(x, y, validation_data=(empty, no_y))


def test_fault_024_no_rows_and_no_columns(backend, refused):
    network = make(backend)
    for nothing in ([], np.zeros(0), [[]]):
        for _name, call in every_call(network, nothing, nothing):
            with refused(ValueError, "x must have shape (n, 4)", network=network):
                call()


# ---- 25, 26: values


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("code", ["f2", "f4", "f8", ">f4", "g"])
def test_fault_025_not_finite_x(backend, refused, x, y, value, code):
    network = trained(backend, x, y)
    bad = x.astype(code)
    bad[3, 1] = bad[6, 0] = value
    parts = ["must be finite", "2 of 32 values", "NaN or infinite", "the first is"]
    for _name, call in every_call(network, bad, y):
        with refused(ValueError, *parts, f"x[3, 1] = {value}", network=network, arrays=[bad, y]):
            call()
    with refused(ValueError, *parts, f"validation_data[0][3, 1] = {value}", network=network):
        network.fit(x, y, validation_data=(bad, y))
    for _name, call in every_call(network, bad.reshape(8, 2, 2), y):
        with refused(ValueError, *parts, f"x[3, 0, 1] = {value}", network=network, arrays=[bad]):
            call()


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_fault_025_not_finite_y(backend, refused, x, y, value):
    network = trained(backend, x, y)
    bad = np.zeros((8, 3))
    bad[2:4, 1] = value
    for _name, call in every_call_with_y(network, x, bad):
        parts = ["y must be finite", "2 of 24 values", f"y[2, 1] = {value}"]
        with refused(ValueError, *parts, network=network, arrays=[x, bad]):
            call()


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_fault_025_not_finite_parameters(backend, refused, x, y, value):
    network = trained(backend, x, y)
    weights, biases, flat = network.weights, network.biases, network.parameters
    weights[1][2, 4] = biases[0][3] = flat[17] = value
    parts = ["must be finite", "1 of"]
    with refused(ValueError, *parts, f"weights[1][2, 4] = {value}", network=network):
        network.set_parameters(weights, network.biases)
    with refused(ValueError, *parts, f"biases[0][3] = {value}", network=network):
        network.set_parameters(network.weights, biases)
    with refused(ValueError, *parts, f"parameters[17] = {value}", network=network):
        network.set_flat_parameters(flat)


def test_fault_025_counted_apart_from_what_overflows(backend, refused):
    """1e39 is finite and too large for float32: it is neither counted nor shown as infinite."""
    network = make(backend)
    bad = np.array([[0, 1e39, 0, 0], [1e39, NAN, 1e39, INF]])
    with refused(ValueError, "2 of 8 values", "the first is x[1, 1] = nan", network=network):
        network.predict(bad)
    with refused(ValueError, "2 of 8 values", "the first is x[1, 1] = nan"):
        make(backend, dtype="float64").predict(bad)


@pytest.mark.parametrize("value", [1e38, -1e38])
@pytest.mark.parametrize("output", ["sigmoid", "tanh", "identity", "relu", "softmax"])
def test_fault_026_large_and_finite(backend, value, output):
    network = make(backend, activation="relu", output_activation=output)
    before = network.fingerprint()
    x = np.array([[value] * 4, [value, -value, 0, 1], [0, 0, 0, 1]])
    for y in ([0, 1, 2], np.full((3, 3), 1e38)):
        for name, call in every_call(network, x, y):
            if name != "fit":
                call()
        assert network.fingerprint() == before
        assert network.predict(x).shape == (3, 3)
        np.testing.assert_allclose(network.predict(x[2:]), network.predict(x)[2:], rtol=1e-4)
        try:
            network.fit(x, y, learning_rate=1e-3, epochs=2)
        except DivergenceError as error:
            assert network.epochs_done == error.epoch  # noqa: PT017 - either is right
        assert np.isfinite(network.parameters).all()
        network.reset()


def test_fault_026_what_large_inputs_give(backend):
    x = np.array([[1e38], [-1e38]])
    settings = {"output_activation": "identity", "backend": backend}
    for weight, found in ((1.0, 1e38), (1e38, INF)):
        network = Network([1, 1], **settings)
        network.set_parameters([[[weight]]], [[0.0]])
        assert network.predict(x).ravel().tolist() == [np.float32(found), -np.float32(found)]
    before = network.fingerprint()
    with pytest.raises(DivergenceError, match="learning_rate"):
        network.fit(x, [0.0, 0.0], learning_rate=0.1)
    assert (network.fingerprint(), network.steps_done) == (before, 0)
    squashed = Network([1, 1], backend=backend)
    squashed.set_parameters([[[1.0]]], [[0.0]])
    assert squashed.fit(x, [1.0, 0.0]).loss == [0.0]


# ---- 27: subnormals


def subnormals(rng, shape, dtype):
    """Among them the smallest and the largest of both signs."""
    info = np.finfo(dtype)
    values = rng.uniform(-1, 1, shape).astype(dtype) * info.smallest_normal
    values.flat[:4] = [info.smallest_subnormal, -info.smallest_subnormal, 0, 0]
    values.flat[2] = np.nextafter(info.smallest_normal, info.dtype.type(0))
    values.flat[3] = -values.flat[2]
    assert (np.abs(values) < info.smallest_normal).all()
    assert (values != 0).all()
    return values


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fault_027_subnormals_are_kept(backend, rng, dtype):
    x = subnormals(rng, (40, 5), dtype)
    assert bits(identity(backend, 5, dtype=dtype).predict(x)) == bits(x)
    if dtype == "float32":  # rounded to subnormals, not to zero
        assert bits(identity(backend, 5).predict(x.astype(float))) == bits(x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fault_027_same_bits_on_every_instruction_set(rng, monkeypatch, dtype):
    """Sizes and rows that no vector divides, with outputs and gradients that are subnormal too."""
    x, y = subnormals(rng, (37, 21), dtype), subnormals(rng, (37, 19), dtype)
    settings = {"dtype": dtype, "activation": "tanh", "output_activation": "identity"}
    found = set()
    isas = _backend.isas()
    assert isas[0] == "portable"
    for isa in isas:
        monkeypatch.setenv("CHAINRULE_ISA", isa)
        network = make("rust", [21, 17, 19], **settings)
        before = network.parameters
        results = [network.predict(x), network.gradients(x, y), network.trace(x, y)]
        history = network.fit(x, y, epochs=2, batch_size=5, learning_rate=0.5)
        assert network.explain()["isa"] == isa
        assert (network.parameters != before).any()
        tiny = results[1].biases[0]
        assert ((tiny != 0) & (np.abs(tiny) < np.finfo(dtype).smallest_normal)).any()
        found.add(repr((bits(results), history.loss, network.fingerprint())))
    assert len(found) == 1


def in_thread(work):
    """The control register belongs to the thread: what is done to it goes away with one."""
    results = []

    def run():
        results.append(work())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fault_027_the_thread_still_has_subnormals(backend, dtype, x, y):
    def work():
        network = make(backend, dtype=dtype)
        tiny = np.full(64, np.finfo(dtype).smallest_normal, dtype)
        for name, call in every_call(network, x, y):
            call()
            assert (tiny / 2 != 0).all(), name  # no FTZ
            assert ((tiny / 2) * 2 == tiny).all(), name  # no DAZ
            assert sys.float_info.min / 2 * 2 == sys.float_info.min, name
        return True

    assert in_thread(work)


FTZ_AND_DAZ = 0x8040


@pytest.mark.skipif(not GLIBC_X86, reason="reads MXCSR where glibc keeps it on x86-64")
def test_fault_027_control_register_comes_back(backend, x, y):
    """As it was, with FTZ and DAZ or without them; and the bits are the same with them."""
    libm = ctypes.CDLL("libm.so.6")
    x, y = x * 2.0**-126, np.eye(3)[y]  # rounded to subnormals of float32 on the way in

    def control(change=None):
        """MXCSR is the last of the eight words of fenv_t; the low six bits are sticky flags."""
        environment = (ctypes.c_uint32 * 8)()
        assert libm.fegetenv(environment) == 0
        if change is not None:
            environment[7] = environment[7] & ~FTZ_AND_DAZ | change
            assert libm.fesetenv(environment) == 0
        return environment[7] & ~0x3F

    def work(change):
        network = make(backend, output_activation="identity")
        results = []
        before = control(change)
        try:
            for name, call in every_call(network, x, y):
                results.append(call())
                assert control() == before, name
        finally:
            control(0)
        return before, repr(bits(results)), network.fingerprint()

    usual, flushing = in_thread(lambda: work(0)), in_thread(lambda: work(FTZ_AND_DAZ))
    assert (usual[0] & FTZ_AND_DAZ, flushing[0] & FTZ_AND_DAZ) == (0, FTZ_AND_DAZ)
    assert in_thread(control) & FTZ_AND_DAZ == 0
    assert flushing[1:] == usual[1:]


# ---- 28: more than fits


SHAPES = {
    "rows": ((2**30, 1024), (0, 0)),
    "images": ((2**30, 32, 32), (0, 1, 0)),
    "transposed": ((2**30, 1024), (0, 1)),
}


@LIMITS
@pytest.mark.parametrize("known", [True, False], ids=["refused", "tried"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("code", ["f2", "f4", "f8", ">f4", "?", "u1"])
def test_fault_028_view_of_2_to_the_40_elements(backend, refused, monkeypatch, code, shape, known):
    """4 TiB that are not there. Where memory is promised freely only a refusal helps."""
    dims, strides = SHAPES[shape]
    small = np.zeros(1024, code)
    x = as_strided(small, dims, [step * small.itemsize for step in strides])
    size = 2**40 * (1 if code == "u1" else 4)
    why = "more than this machine has" if known else "more than is free"
    if not known:
        monkeypatch.setattr("chainrule._arrays._memory", lambda: INF)
    network = make(backend, [1024, 3])
    labels = np.broadcast_to(1, 2**30)
    parts = [f"x of shape {dims}", size, "uint8" if code == "u1" else "float32", why, "fewer rows"]
    for name, call in every_call(network, x, labels):
        if name != "numerical_gradients":
            with little_memory(), refused(MemoryError, *parts, network=network):
                call()
    with little_memory(), refused(MemoryError, "validation_data[0] of", why, network=network):
        network.fit(np.zeros((1, 1024)), [1], validation_data=(x, labels))
    assert not small.any()


@LIMITS
@pytest.mark.parametrize("code", ["i8", "c8", "O", "U1", "M8[s]"])
def test_fault_028_of_a_kind_that_is_refused_anyway(backend, refused, code):
    network = make(backend, [1024, 3])
    small = np.zeros(1, code)
    x = as_strided(small, (2**30, 1024), (0, 0))
    with little_memory(), refused(TypeError, "x must be", network=network):
        network.predict(x)


@LIMITS
def test_fault_028_targets(backend, refused):
    network = make(backend, [1, 2**20])
    n = 2**20
    x, y = np.zeros((n, 1), np.uint8), np.broadcast_to(0.5, (n, n))
    for name, call in every_call_with_y(network, x, y):
        if name != "numerical_gradients":
            with little_memory(), refused(MemoryError, f"y of shape {y.shape}", "float32"):
                call()


@LIMITS
@pytest.mark.parametrize("known", [True, False], ids=["refused", "tried"])
def test_fault_028_the_output_is_what_does_not_fit(backend, refused, monkeypatch, known):
    """64 MiB of pixels make 2**42 outputs: too many to begin with the first of them."""
    if not known:
        monkeypatch.setattr("chainrule._arrays._memory", lambda: INF)
    network = make(backend, [1, 2**16])
    n = 2**26
    with little_memory(), refused(MemoryError, f"the output of shape {(n, 2**16)}", 2**44):
        network.predict(np.zeros((n, 1), np.uint8))
    assert network.predict(np.zeros((2, 1), np.uint8)).shape == (2, 2**16)


@LIMITS
def test_a_few_rows_of_a_wide_network_need_little_memory():
    """Scratch for 64 rows, as narrow networks keep it, would be 128 MB."""
    network = Network([10, 500_000, 1], backend="rust")
    with little_memory(room=60 * 2**20):
        for rows in (1, 1, 2, 2):
            assert np.isfinite(network.predict(np.ones((rows, 10), np.float32))).all()


@LIMITS
def test_few_outputs_are_not_filled_up_to_whole_registers():
    """A copy of the weights that is kept would be 32 MB, of 2."""
    network = Network([500_000, 1], backend="rust")
    x = np.ones((2, 500_000), np.float32)
    with little_memory(room=20 * 2**20):
        outputs = [network.predict(x).tobytes() for _ in range(3)]
    assert len(set(outputs)) == 1
