"""Rows 13 to 23 of the table of faults: kinds, layouts and shapes of arrays."""

import pickle
import re
from itertools import pairwise

import numpy as np
import pytest
from faults.calls import (
    SIZES,
    bits,
    every_call,
    every_call_with_y,
    identity,
    make,
    outcomes,
    trained,
)

from chainrule import Network

DTYPES = ["float32", "float64"]
OVERFLOWS = [1e39, -1e300, 2.0**128 - 2.0**103]  # the last one is halfway to what comes next
LARGEST = float(np.finfo(np.float32).max)


@pytest.fixture
def x(rng):
    return rng.normal(size=(8, 4))


@pytest.fixture
def y(rng):
    return rng.integers(0, 3, 8)


def named(name, parts):
    return [part.replace("{}", name) for part in parts]


@pytest.fixture
def x_refused(backend, refused, x, y):
    """`x_refused(kind, parts, bad)`: by every call, as x and as x of the validation data.

    {} in a part is the array's name.
    """
    network = trained(backend, x, y)

    def check(kind, parts, bad, arrays=(), without=()):
        for name, call in every_call(network, bad, y):
            if name not in without:
                with refused(kind, *named("x", parts), network=network, arrays=[*arrays, y]):
                    call()
        parts = named("validation_data[0]", parts)
        with refused(kind, *parts, network=network, arrays=[x, *arrays]):
            network.fit(x, y, validation_data=(bad, y))

    return check


@pytest.fixture
def y_refused(backend, refused, x):
    """`y_refused(kind, parts, bad)`: by every call that takes y, and in the validation data."""
    y = np.arange(8) % 3
    network = trained(backend, x, y)

    def check(kind, parts, bad, arrays=(), without=()):
        for name, call in every_call_with_y(network, x, bad):
            if name not in without:
                with refused(kind, *named("y", parts), network=network, arrays=[x, *arrays]):
                    call()
        parts = named("validation_data[1]", parts)
        with refused(kind, *parts, network=network, arrays=[x, y, *arrays]):
            network.fit(x, y, validation_data=(x, bad))

    return check


@pytest.fixture
def parameters_refused(backend, refused, x, y):
    """`parameters_refused(kind, change, parts)`: `change` makes a bad array of a good one."""
    network = trained(backend, x, y)

    def check(kind, change, *parts):
        weights, biases = network.weights, network.biases
        with refused(kind, "weights[1]", *parts, network=network, arrays=weights + biases):
            network.set_parameters([weights[0], change(weights[1])], biases)
        with refused(kind, "biases[0]", *parts, network=network, arrays=weights + biases):
            network.set_parameters(weights, [change(biases[0]), biases[1]])
        with refused(kind, "parameters", *parts, network=network):
            network.set_flat_parameters(change(network.parameters))

    return check


# ---- 13: float64 into float32


def test_fault_013_rounded_once(backend, rng):
    x, y = rng.normal(size=(8, 4)), rng.normal(size=(8, 3))
    assert outcomes(backend, x, y)[1] == outcomes(backend, *(a.astype("f4") for a in (x, y)))[1]
    narrow = x.astype(np.float32)
    network = make(backend)
    assert bits(network.predict(x)) == bits(network.predict(narrow))
    assert bits(network.trace(x, y)) == bits(network.trace(narrow, y.astype(np.float32)))
    found = identity(backend).predict(x.reshape(-1, 1))
    assert found.dtype == np.float32
    assert found.ravel().tolist() == narrow.ravel().tolist() != x.ravel().tolist()


def test_fault_013_parameters_are_rounded_once(backend, rng):
    network, alike = make(backend), make(backend)
    flat = rng.normal(size=network.n_parameters)
    network.set_flat_parameters(flat)
    assert network.parameters.tobytes() == flat.astype(np.float32).tobytes()
    alike.set_parameters(
        *(  # the same numbers as lists of float64
            [part.astype(float) for part in parts] for parts in (network.weights, network.biases)
        )
    )
    assert alike.parameters.tobytes() == network.parameters.tobytes()


@pytest.mark.skipif(np.finfo(np.longdouble).nmant <= 52, reason="long double is float64 here")
def test_fault_013_long_double_is_rounded_once(backend):
    """1 + 2^-24 + 2^-60: rounded to float64 first, it would be a tie, and go to 1."""
    wide = np.ones((1, 1), np.longdouble) + np.longdouble(2.0**-24) + np.longdouble(2.0**-60)
    assert wide.astype(np.float64).astype(np.float32) == 1
    assert identity(backend).predict(wide).tolist() == [[1 + 2.0**-23]]
    assert identity(backend, dtype="float64").predict(wide).tolist() == [[1 + 2.0**-24]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_fault_013_float16_is_taken_as_it_is(backend, dtype):
    x = np.array([[2.0**-24], [65504.0], [-0.333]], np.float16)
    assert identity(backend, dtype=dtype).predict(x).tolist() == x.tolist()


@pytest.mark.parametrize("value", OVERFLOWS)
def test_fault_013_finite_value_that_overflows_in_x(x_refused, x, value):
    bad = x.copy()
    bad[5, 2] = bad[6, 0] = value
    parts = [f"{{}}[5, 2] = {value}", "too large for float32", "2 such values", "float64"]
    x_refused(ValueError, parts, bad, arrays=[bad], without={"numerical_gradients"})  # in float64


@pytest.mark.parametrize("value", OVERFLOWS)
def test_fault_013_finite_value_that_overflows_in_y(y_refused, value):
    y = np.zeros((8, 3))
    y[4, 1] = value
    parts = [f"{{}}[4, 1] = {value}", "too large for float32", "1 such values", "float64"]
    y_refused(ValueError, parts, y, arrays=[y], without={"numerical_gradients"})


@pytest.mark.parametrize("value", OVERFLOWS)
def test_fault_013_finite_parameter_that_overflows(parameters_refused, value):
    def change(array):
        array = array.astype(np.float64)
        array.flat[-1] = value
        return array

    parameters_refused(ValueError, change, f"= {value}", "too large for float32")


def test_fault_013_largest_value_that_does_not_overflow(backend):
    x = np.array([[np.nextafter(OVERFLOWS[-1], 0)], [LARGEST], [-LARGEST]])
    assert identity(backend).predict(x).tolist() == [[LARGEST], [LARGEST], [-LARGEST]]
    wide = identity(backend, dtype="float64")
    assert wide.predict([[1e300], [OVERFLOWS[-1]]]).tolist() == [[1e300], [OVERFLOWS[-1]]]


# ---- 14 to 16: kinds


@pytest.mark.parametrize("dtype", DTYPES)
def test_fault_014_bool_is_0_and_1(backend, dtype, x, y):
    on = x > 0
    assert outcomes(backend, on, y, dtype=dtype) == outcomes(
        backend, on.astype(dtype), y, dtype=dtype
    )
    assert identity(backend, dtype=dtype).predict([[True], [False]]).tolist() == [[1], [0]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_fault_014_uint8_is_pixels(backend, dtype, y, rng):
    every = np.arange(256, dtype=np.uint8).reshape(-1, 1)
    quotients = every.astype(dtype) / np.dtype(dtype).type(255)
    assert bits(identity(backend, dtype=dtype).predict(every)) == bits(quotients)
    images = rng.integers(0, 256, (8, 2, 2), np.uint8)
    numbers = images.astype(dtype) / np.dtype(dtype).type(255)
    kept = images.copy()
    found = outcomes(backend, images, y, dtype=dtype)
    assert found == outcomes(backend, numbers, y, dtype=dtype)
    np.testing.assert_array_equal(images, kept)


@pytest.mark.parametrize("code", ["i1", "u2", "i2", "u4", "i4", "u8", "i8", ">i4"])
def test_fault_014_other_integers(x_refused, code):
    bad = np.ones((8, 4), code)
    parts = ["{} must be float, bool or uint8", str(bad.dtype), "{}.astype(float)", "{} / 255"]
    x_refused(TypeError, parts, bad, arrays=[bad])


def test_fault_014_lists_of_integers(x_refused, backend):
    """A list has no `astype`."""
    ways = ["int64", "numpy.asarray({}).astype(float)", "numpy.asarray({}) / 255"]
    x_refused(TypeError, ways, [[0, 1, 2, 3]] * 8)
    assert make(backend).predict([[0, 1, 2, 3.0]]).shape == (1, 3)


@pytest.mark.parametrize("code", ["c8", "c16", "G"])
def test_fault_015_complex(x_refused, y_refused, parameters_refused, x, code):
    """Also where every imaginary part is 0: nothing is dropped."""
    bad = x.astype(code)
    x_refused(TypeError, ["{} must be real", str(bad.dtype), "{}.real"], bad, arrays=[bad])
    bad = np.ones(8, code)
    y_refused(TypeError, ["{} must be real", str(bad.dtype), "{}.real"], bad, arrays=[bad])
    parameters_refused(TypeError, lambda a: a.astype(code), "must be real", ".real")


def test_fault_015_list_of_complex(x_refused):
    x_refused(TypeError, ["{} must be real", "complex128"], [[1.0, 2.0, 3.0, 4j]] * 8)


class Number:
    """Would be 1.0, if it were asked."""

    def __float__(self):
        raise AssertionError("asked")

    def __reduce__(self):
        raise AssertionError("pickled")


@pytest.mark.parametrize(
    ("bad", "parts"),
    [
        (np.ones((8, 4), object), ["dtype object", "pass {}.astype(float)"]),
        ([[1.0, 2, 3, 4], [1.0, None, 3, 4]], ["dtype object", "{}[1, 1] is NoneType None"]),
        ([[1.0, 2, 3, 4], [1.0, 2, 3, Number()]], ["dtype object", "{}[1, 3] is Number"]),
        ([["1", "2", "3", "4"]], ["dtype <U1", "{}[0, 0] is str '1'"]),
        ([[1.0, 2, 3, 4], [1.0, 2, 3, "4"]], ["dtype <U", "{}[1, 3] is str '4'"]),
        (np.array([[b"1", b"2", b"3", b"4"]]), ["dtype |S1", "{}[0, 0] is bytes b'1'"]),
        (np.zeros((1, 4), "M8[D]"), ["dtype datetime64[D]", "{}[0, 0] is"]),
        (np.zeros((1, 4), "m8[s]"), ["dtype timedelta64[s]", "pass {}.astype(float)"]),
        (np.zeros((1, 4), [("a", "f4")]), ["'<f4'", "{}[0, 0] is"]),
        ([[10**40, 1, 2, 3]], ["dtype object"]),
        (None, ["dtype object", "{} is NoneType None"]),
        ("data.csv", ["dtype <U8", "{} is str 'data.csv'"]),
        ({1.0, 2.0}, ["dtype object", "{} is set"]),
        ({"x": [1.0]}, ["dtype object", "{} is dict"]),
        (pickle.dumps(np.ones((8, 4))), ["dtype |S", "{} is bytes"]),
        (Number(), ["dtype object", "{} is Number"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_fault_016_no_numbers(x_refused, y_refused, monkeypatch, bad, parts):
    monkeypatch.setattr(pickle, "loads", lambda *_: pytest.fail("unpickled"))
    for check in (x_refused, y_refused):
        check(TypeError, ["{} must be an array of numbers", *parts], bad)


def test_fault_016_generator(x_refused, parameters_refused):
    x_refused(TypeError, ["{} must be an array of numbers", "{} is generator"], (i for i in [1.0]))
    parameters_refused(TypeError, lambda a: a.astype(object), "dtype object", ".astype(float)")


@pytest.mark.parametrize(
    ("bad", "part"),
    [
        ([[1.0, 2, 3, 4], [1.0, 2]], "row 1 has (2,), row 0 has (4,)"),
        ([[1.0, 2, 3, 4], [1.0, 2, 3, 4], 5.0], "row 2 has (), row 0 has (4,)"),
        (([1.0], [1.0, 2, 3, 4]), "row 1 has (4,), row 0 has (1,)"),
        ([[], [1.0]], "row 1 has (1,), row 0 has (0,)"),
        ([np.zeros(4), np.zeros(3)], "row 1 has (3,), row 0 has (4,)"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], "row 1 has (2, 3), row 0 has (2, 2)"),
        ([[[1.0, 2], [3, 4]], [[1.0, 2], [3]]], "row 1 itself has not"),
    ],
)
def test_fault_016_ragged_list(x_refused, y_refused, bad, part):
    x_refused(ValueError, ["{} must have rows of one shape", part], bad)
    y_refused(ValueError, ["{} must have rows of one shape", part], bad)


# ---- 17 to 21: layouts


def strided(array):
    """Every second element along each axis of an array in which the others are NaN or 99."""
    wider = np.full([2 * size for size in array.shape], 99).astype(array.dtype)
    if array.dtype.kind == "f":
        wider[:] = np.nan
    view = wider[tuple(slice(None, None, 2) for _ in array.shape)]
    view[:] = array
    return view


def reversed_view(array):
    backwards = tuple(slice(None, None, -1) for _ in array.shape)
    return array[backwards].copy()[backwards]


def read_only(array):
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def misaligned(array):
    buffer = np.zeros(array.nbytes + 1, np.uint8)
    view = buffer[1:].view(array.dtype).reshape(array.shape)
    view[:] = array
    return view


CODES = pytest.mark.parametrize("code", ["f2", "f4", "f8", "?", "u1", "i2", "i8"])


@pytest.fixture
def same_bits(backend, rng, x):
    """`same_bits(lay, code)`: x, y and parameters laid out in another way give the same bits."""
    labels = rng.integers(0, 2, 8)

    def numbers(shape, code):
        return np.ascontiguousarray(rng.normal(size=shape) * 3).astype(code)

    def check(lay, code):
        for shape in ((8, 4), (8, 2, 2)):
            plain = numbers(shape, code)
            given = lay(plain)
            np.testing.assert_array_equal(given, plain)
            kept = given.tobytes()
            for dtype in DTYPES if code not in {"i2", "i8"} else []:
                expected = outcomes(backend, plain, labels, dtype=dtype)
                assert outcomes(backend, given, labels, dtype=dtype) == expected
            assert given.tobytes() == kept
        for plain in (labels.astype(code), numbers((8, 3), code)):
            given = lay(plain)
            kept = given.tobytes()
            assert outcomes(backend, x, given) == outcomes(backend, x, plain)
            assert given.tobytes() == kept
        weights = [numbers((n_out, n_in), code) for n_in, n_out in pairwise(SIZES)]
        biases = [numbers(n_out, code) for n_out in SIZES[1:]]
        network = make(backend)
        network.set_parameters([lay(w) for w in weights], [lay(b) for b in biases])
        flat = np.concatenate([a.ravel() for a in (weights[0], biases[0], weights[1], biases[1])])
        assert network.parameters.tobytes() == flat.astype(np.float32).tobytes()
        network.reset()
        network.set_flat_parameters(lay(flat))
        assert network.parameters.tobytes() == flat.astype(np.float32).tobytes()

    return check


@CODES
def test_fault_017_big_endian(same_bits, code):
    same_bits(lambda array: array.astype(array.dtype.newbyteorder(">")), code)


@CODES
@pytest.mark.parametrize("lay", [np.asfortranarray, strided, reversed_view])
def test_fault_018_order_and_strides(same_bits, code, lay):
    same_bits(lay, code)


@CODES
def test_fault_020_read_only(same_bits, code):
    same_bits(read_only, code)


@CODES
def test_fault_021_misaligned(same_bits, code):
    same_bits(misaligned, code)


def test_fault_018_one_column_of_a_table(backend, rng):
    """A view that is contiguous along no axis of its own, rows and labels from one array."""
    table = rng.normal(size=(8, 7, 2))
    table[:, 5, 1] = np.arange(8) % 3
    x, y = table[:, 1:5, 0], table[:, 5, 1]
    assert outcomes(backend, x, y) == outcomes(backend, x.copy(), y.astype(int))


@pytest.mark.parametrize("code", ["f4", "f8", "?", "u1"])
def test_fault_019_broadcast_views(backend, rng, code):
    row = (rng.normal(size=4) * 3).astype(code)
    views = [np.broadcast_to(row, (8, 4)), np.broadcast_to(row[:1], (8, 2, 2))]
    writable = np.lib.stride_tricks.as_strided(row, (8, 4), (0, row.itemsize))
    assert writable.flags.writeable
    labels = np.broadcast_to(2, 8)
    for x in (*views, writable):
        assert outcomes(backend, x, labels) == outcomes(backend, x.copy(), labels.copy())
    targets = np.broadcast_to(np.float32(0.25), (8, 3))
    assert outcomes(backend, x, targets) == outcomes(backend, x, targets.copy())
    assert row.tobytes() == x[0].tobytes()


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.parametrize("code", ["f4", "f8", "u1"])
def test_fault_020_memmap(backend, y, rng, tmp_path, mode, code):
    plain = (rng.normal(size=(8, 4)) * 3).astype(code)
    path = tmp_path / "x"
    path.write_bytes(plain.tobytes())
    x = np.memmap(path, code, mode, shape=(8, 4))
    assert outcomes(backend, x, y) == outcomes(backend, plain, y)
    assert path.read_bytes() == plain.tobytes()


# ---- 22, 23: shapes


def test_fault_022_wrong_last_dimension(backend, refused):
    network = make(backend, [784, 3])
    for shape, got in [
        ((5, 783), "(n, 783)"),
        ((5, 785), "(n, 785)"),
        ((5, 28, 27), "(n, 756)"),
        ((5, 0), "(n, 0)"),
        ((0, 783), "(n, 783)"),
        ((5, 28, 28, 2), "(n, 1568)"),
        ((783,), "(783,)"),
    ]:
        x, y = np.zeros(shape), np.zeros(shape[0])
        for _name, call in every_call(network, x, y):
            with refused(ValueError, "x must have shape (n, 784)", f"got {got}", network=network):
                call()


@pytest.mark.parametrize("n", [1, 5])
def test_fault_022_wrong_number_of_parameters(parameters_refused, n):
    parameters_refused(ValueError, lambda a: np.zeros((n, *a.shape)), "must have shape", f"({n},")


@pytest.mark.parametrize(
    "bare", [np.zeros(784), np.zeros((28, 28)), [0.0] * 784, np.uint8([9] * 784)]
)
def test_fault_023_one_bare_sample(backend, refused, bare):
    network = make(backend, [784, 3])
    got = re.escape(str(np.shape(bare)))
    for _name, call in every_call(network, bare, [1]):
        way = "pass [x]" if isinstance(bare, list) else "pass x[None]"
        with refused(ValueError, "(n, 784)", "single sample", way, network=network) as caught:
            call()
        assert re.search(f"got {got}", str(caught[0]))
    assert network.predict(np.asarray(bare)[None]).shape == (1, 3)


@pytest.mark.parametrize("scalar", [0.5, np.float32(0.5), np.array(0.5), np.uint8(3), True])
def test_fault_023_scalars(x_refused, backend, refused, scalar):
    x_refused(ValueError, ["{} must have shape (n, 4)", "got ()", "{}[None]"], scalar)
    network = Network([1, 1], backend=backend)
    with refused(ValueError, "x must have shape (n, 1)", "got ()", "x[None]", network=network):
        network.predict(scalar)
    assert network.predict(np.asarray(scalar)[None]).shape == (1, 1)


def test_fault_023_one_input(backend):
    """(n,) is n rows there: the trailing product of nothing is 1."""
    network = Network([1, 2], backend=backend)
    x = np.linspace(0, 1, 5)
    assert bits(network.predict(x)) == bits(network.predict(x[:, None]))
