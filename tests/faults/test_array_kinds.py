"""Rows 29 to 31 of the table of faults: what is nearly an array, and whose a result is."""

from itertools import combinations

import numpy as np
import pytest
from faults.calls import WITH_Y, bits, every_call, every_call_with_y, make, outcomes, trained

from chainrule import SGD


@pytest.fixture
def x(rng):
    return rng.normal(size=(8, 4))


@pytest.fixture
def y(rng):
    return rng.integers(0, 3, 8)


# ---- 29: what is nearly an array


@pytest.mark.parametrize("mask", [False, True])
def test_fault_029_masked_array(backend, refused, x, y, mask):
    network = trained(backend, x, y)
    bad = np.ma.masked_array(x, mask=np.zeros(x.shape, bool))
    bad.mask[2, 1] = mask
    for _name, call in every_call(network, bad, y):
        with refused(TypeError, "x is a masked array", "x.filled(0)", network=network, arrays=[x]):
            call()
    for _name, call in every_call_with_y(network, x, np.ma.masked_array(y)):
        with refused(TypeError, "y is a masked array", "y.filled(0)", network=network, arrays=[y]):
            call()
    assert outcomes(backend, bad.filled(0), y) == outcomes(backend, np.where(bad.mask, 0, x), y)


class Sparse:
    """As SciPy's: no `__array__`, no `__len__`, an array only when asked."""

    def __init__(self, dense):
        self.dense, self.shape, self.ndim, self.dtype = dense, dense.shape, dense.ndim, dense.dtype

    def __len__(self):
        raise TypeError("sparse array length is ambiguous; use getnnz()")

    def toarray(self):
        return self.dense.copy()


def test_fault_029_sparse_matrix(backend, refused, x, y):
    network = trained(backend, x, y)
    targets = np.eye(3)[y]
    for _name, call in every_call(network, Sparse(x), y):
        with refused(TypeError, "x is a sparse matrix", "x.toarray()", network=network):
            call()
    for _name, call in every_call_with_y(network, x, Sparse(targets)):
        with refused(TypeError, "y is a sparse matrix", "y.toarray()", network=network):
            call()
    with refused(TypeError, "weights[0] is a sparse", "weights[0].toarray()", network=network):
        network.set_parameters([Sparse(network.weights[0]), network.weights[1]], network.biases)
    assert network.predict(Sparse(x).toarray()).shape == (8, 3)


class Frame:
    """As a DataFrame or a tensor: an array by `__array__`, with columns of their own types."""

    def __init__(self, **columns):
        self.columns = columns
        self.shape = (len(next(iter(columns.values()))), len(columns))

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, column):
        return self.columns[column]

    def __iter__(self):
        return iter(self.columns)

    def __array__(self, dtype=None, copy=None):
        dtype = np.result_type(*self.columns.values()) if dtype is None else dtype
        return np.array(list(self.columns.values()), dtype).T


def test_fault_029_data_frame(backend, refused, x, y):
    network = trained(backend, x, y)
    frame = Frame(a=x[:, 0], b=x[:, 1], c=x[:, 2], d=x[:, 3])
    assert outcomes(backend, frame, y) == outcomes(backend, x, y)
    targets = np.eye(3)[y]
    assert outcomes(backend, x, Frame(**dict(zip("abc", targets.T, strict=True)))) == outcomes(
        backend, x, targets
    )
    whole = Frame(**dict(zip("abcd", np.ones((4, 8), int), strict=True)))
    with refused(TypeError, "int64", "x.astype(float)", "x / 255", network=network):
        network.predict(whole)
    mixed = Frame(a=x[:, 0], b=x[:, 1], c=x[:, 2], d=np.array(["left"] * 8, object))
    with refused(TypeError, "x must be an array of numbers", "x[0, 3] is str 'left'"):
        network.predict(mixed)


# ---- 30: results belong to the caller


def arrays_in(result):
    if isinstance(result, np.ndarray):
        yield result
    elif isinstance(result, (tuple, list)):
        for item in result:
            yield from arrays_in(item)


@pytest.mark.parametrize("output", ["identity", "sigmoid", "softmax"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fault_030_result_changed_by_the_caller(backend, rng, output, dtype):
    """Data in the network's own dtype, which needs no copy on the way in."""
    x, y = rng.normal(size=(8, 4)).astype(dtype), rng.normal(size=(8, 3)).astype(dtype)
    settings = {"activation": "identity", "output_activation": output, "dtype": dtype}
    network = make(backend, **settings)
    network.fit(x, y, batch_size=3, optimizer=SGD(0.01, momentum=0.5))
    kept, state = (x.copy(), y.copy()), network.fingerprint()
    ways = {
        "predict": lambda: network.predict(x),
        "classify": lambda: network.classify(x),
        "weights": lambda: network.weights,
        "biases": lambda: network.biases,
        "parameters": lambda: network.parameters,
        **{name: lambda name=name: WITH_Y[name](network, x, y) for name in ("gradients", "trace")},
        "numerical_gradients": lambda: network.numerical_gradients(x, y),
        "state": lambda: [network._engine.state()[0], *network._engine.state()[1].values()],
    }
    for name, way in ways.items():
        first = way()
        expected = bits(first)
        found = list(arrays_in(first))
        assert found, name
        for one, other in combinations([x, y, *found], 2):
            assert not np.shares_memory(one, other), name
        for array in found:
            array[...] = 99
        assert bits(way()) == expected, name
        assert network.fingerprint() == state, name
        assert (x.tobytes(), y.tobytes()) == tuple(a.tobytes() for a in kept), name


# ---- 31: what an array's class may do


class Tagged(np.ndarray):
    """A subclass that would show if arithmetic were done with it."""

    def __array_finalize__(self, other):
        self.tag = getattr(other, "tag", None)

    def __array_ufunc__(self, *arguments, **settings):
        raise AssertionError("the subclass was computed with")

    def __getitem__(self, index):
        raise AssertionError("the subclass was indexed")


def test_fault_031_array_subclass(backend, x, y):
    tagged = [a.view(Tagged) for a in (x, y, np.eye(3)[y])]
    assert outcomes(backend, tagged[0], tagged[1]) == outcomes(backend, x, y)
    assert outcomes(backend, tagged[0], tagged[2]) == outcomes(backend, x, np.eye(3)[y])
    network, alike = make(backend), make(backend, seed=1)
    alike.set_parameters(*([a.view(Tagged) for a in p] for p in (network.weights, network.biases)))
    assert alike.parameters.tobytes() == network.parameters.tobytes()
    alike.set_flat_parameters(network.parameters.view(Tagged))
    results = [alike.predict(tagged[0]), alike.parameters, *alike.gradients(*tagged[:2]).weights]
    assert {type(a) for a in results} == {np.ndarray}
    matrix = x.view(np.matrix)  # its rows stay matrices, its product is another
    assert outcomes(backend, matrix, y) == outcomes(backend, x, y)


class OwnError(Exception):
    pass


class Raises:
    shape, ndim, dtype = (8, 4), 2, np.dtype("f8")

    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 8

    def __array__(self, dtype=None, copy=None):
        raise self.error


ERRORS = [
    OwnError("mine"),
    ValueError("mine"),
    ValueError("an inhomogeneous shape, says the caller"),
    TypeError("mine"),
    MemoryError("mine"),
    RuntimeError("mine"),
    KeyboardInterrupt("mine"),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_fault_031_array_that_raises(backend, refused, x, y, error):
    network = trained(backend, x, y)
    bad = Raises(error)
    calls = [call for _name, call in every_call(network, bad, y)]
    calls += [call for _name, call in every_call_with_y(network, x, bad)]
    calls += [
        lambda: network.fit(x, y, validation_data=(bad, y)),
        lambda: network.fit(x, y, validation_data=(x, bad)),
        lambda: network.set_flat_parameters(bad),
        lambda: network.set_parameters([bad, bad], network.biases),
        lambda: network.predict([bad, bad]),
        lambda: network.predict([[0.0, 1, 2, 3], bad]),
    ]
    for call in calls:
        if "inhomogeneous" in str(error) and call in calls[-2:]:
            continue  # within a list it cannot be told from NumPy's
        with refused(type(error), network=network, arrays=[x, y]) as caught:
            call()
        assert caught == [error]
        assert caught[0] is error
        assert len(error.args) == 1
    assert network.fit(x, y).steps  # and nothing is locked


def test_fault_031_array_that_is_none(backend, refused, x, y):
    class Wrong(Raises):
        def __array__(self, dtype=None, copy=None):
            return [1.0, 2.0, 3.0, 4.0]

    network = trained(backend, x, y)
    with refused(ValueError, "__array__", network=network):
        network.predict(Wrong(None))
