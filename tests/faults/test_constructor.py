"""Rows 1 to 12 of the table of faults: what a network is made from, and what is none."""

import copy
import itertools
import os
import pickle
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from faults.calls import every_call, kinds, make, trained

from chainrule import SGD, Network, _backend, _core

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def x(rng):
    return rng.normal(size=(6, 4))


@pytest.fixture
def y(rng):
    return rng.integers(0, 3, 6)


@pytest.fixture
def not_made(backend, refused, x, y):
    """`not_made(kind, parts, *arguments, **settings)`: neither anew nor over a network there is."""
    network = trained(backend, x, y)

    def check(kind, parts, *arguments, **settings):
        settings = {"backend": backend, **settings}
        with refused(kind, *parts):
            Network(*arguments, **settings)
        with refused(kind, *parts, network=network):
            network.__init__(*arguments, **settings)

    return check


# ---- 1 to 7: sizes


@pytest.mark.parametrize("sizes", [[], [784], (), (784,), None, np.array([4]), range(4, 5)])
def test_fault_001_fewer_than_two_sizes(not_made, sizes):
    found = "got None" if sizes is None else [int(size) for size in sizes]
    not_made(ValueError, ["sizes", "at least two sizes", found], sizes)


def test_fault_001_fewer_than_two_sizes_of_a_generator(backend, refused):
    with refused(ValueError, "sizes", "at least two sizes", "[784]"):
        Network((size for size in [784]), backend=backend)
    with refused(TypeError, "sizes"):
        Network(backend=backend)


@pytest.mark.parametrize("size", [0, -1, -(2**63), -(10**30)])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_fault_002_size_below_one(not_made, size, index):
    sizes = [4, 5, 3]
    sizes[index] = size
    not_made(ValueError, [f"sizes[{index}]", "at least 1", f"got {size}"], sizes)


@pytest.mark.parametrize(
    "size", [16.0, "16", NAN, INF, None, 1j, Fraction(16), np.float64(16), [16], b"16", np.ones(2)]
)
@pytest.mark.parametrize("index", [0, 1, 2])
def test_fault_003_size_of_another_kind(not_made, size, index):
    sizes = [4, 5, 3]
    sizes[index] = size
    not_made(TypeError, [f"sizes[{index}]", "int", type(size).__name__, repr(size)], sizes)


@pytest.mark.parametrize("sizes", [16, 16.0, "16", b"16", NAN, np.float32(3)])
def test_fault_003_sizes_of_another_kind(not_made, sizes):
    not_made(TypeError, ["sizes", "sequence of ints", type(sizes).__name__, repr(sizes)], sizes)


@pytest.mark.parametrize("size", [True, False, np.True_])
@pytest.mark.parametrize("index", [0, 2])
def test_fault_004_bool_as_size(not_made, size, index):
    sizes = [4, 5, 3]
    sizes[index] = size
    not_made(TypeError, [f"sizes[{index}]", "int", repr(size)], sizes)


class Whole:
    """An integer by its own word."""

    def __index__(self):
        return 5


@pytest.mark.parametrize(
    "sizes",
    [
        [4, np.int64(5), 3],
        [np.uint8(4), np.int8(5), np.uint64(3)],
        (4, 5, 3),
        np.array([4, 5, 3]),
        np.array([4, 5, 3], ">i2"),
        [np.array(4), 5, 3],
        [4, Whole(), 3],
        {4: "in", 5: "hidden", 3: "out"},
    ],
)
def test_fault_005_integers_and_iterables_of_any_kind(backend, sizes):
    network = Network(sizes, backend=backend)
    assert network.sizes == (4, 5, 3)
    assert [type(size) for size in network.sizes] == [int, int, int]
    assert network.fingerprint() == make(backend).fingerprint()
    assert network.predict(np.ones((2, 4))).shape == (2, 3)


def test_fault_005_iterators(backend):
    for sizes in ((size for size in [4, 5, 3]), iter([4, 5, 3]), reversed([3, 5, 4])):
        assert Network(sizes, backend=backend).fingerprint() == make(backend).fingerprint()
    assert Network(range(4, 1, -1), backend=backend).sizes == (4, 3, 2)


LARGE = [2**31, 2**32, 2**63, 2**64, 10**30]


@pytest.mark.parametrize(
    "sizes",
    [
        *([size, 1] for size in LARGE),
        *([1, size] for size in LARGE),
        *([4, size, 3] for size in LARGE),
        [2**63, 2**63],
        [2**32, 2**32, 2**32],
        [46_341, 46_341],
        [1, 2**30],  # 2**31 parameters, one more than the limit
        [np.uint64(2**63), 1],
    ],
    ids=str,
)
def test_fault_006_sizes_too_large(not_made, sizes):
    count = sum((int(n) + 1) * int(m) for n, m in pairwise(sizes))
    assert count >= 2**31
    parts = ["sizes", count, 2**31 - 1]
    not_made(ValueError, parts, sizes)


@pytest.mark.parametrize("sizes", [[size, 1] for size in LARGE] + [[2**32, 2**32], [1, 2**63]])
def test_fault_006_rust_checks_its_own_products(refused, sizes):
    """What no validation has seen: the crate is used without Python, too."""
    for dtype in ("float32", "float64"):
        with refused(ValueError, "expected", "found"):
            _core.Engine(sizes, ["sigmoid"], "squared_error", dtype)


MADE_WITH_LITTLE_MEMORY = """
import sys
from chainrule import Network
from faults.calls import kinds, little_memory

class Kept(Network):
    def __init__(self, *arguments, **settings):
        kept.append(self)
        super().__init__(*arguments, **settings)

kept = []
backend, dtype = sys.argv[1:]
one = Network([4, 5, 3], backend=backend)
before = one.fingerprint()
with little_memory():
    for make in (Kept, one.__init__):
        try:
            make([20_000, 20_000], backend=backend, dtype=dtype)
        except MemoryError as error:
            print(error)
assert kinds(kept[0]) == kinds(Kept.__new__(Kept))
assert one.fingerprint() == before
Network([4, 5, 3], backend=backend).predict([[0.0] * 4])
print("alive")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to set the limit")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fault_006_sizes_within_the_limit_but_not_the_memory(backend, dtype):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", MADE_WITH_LITTLE_MEMORY, backend, dtype]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    size = 20_001 * 20_000 * np.dtype(dtype).itemsize
    said = f"sizes [20000, 20000] needs {size} bytes as {dtype}, more than is free: "
    assert done.stdout.splitlines() == [f"{said}pass smaller sizes"] * 2 + ["alive"]


def test_fault_006_more_than_the_machine_has_is_not_asked_for(backend, refused, monkeypatch):
    """A system that overcommits would grant it, and kill the process when it is used."""
    monkeypatch.setattr("chainrule._arrays._memory", lambda: 1000)
    monkeypatch.setattr(_backend, "make", lambda *_: pytest.fail("asked for it"))
    with refused(MemoryError, "sizes [10, 10, 16]", "1144 bytes as float32", "this machine"):
        Network([10, 10, 16], backend=backend)


@pytest.mark.parametrize("layers", [4097, 10_000, 100_000])
def test_fault_007_too_many_layers(not_made, layers):
    not_made(ValueError, ["sizes", "at most 4096 layers", f"got {layers}"], [1] * (layers + 1))


def test_fault_007_as_many_layers_as_there_may_be(backend):
    sizes = [1] * 4097
    network = Network(sizes, activation="tanh", backend=backend)
    x, y = np.ones((2, 1)), np.zeros(2)
    assert network.fit(x, y, batch_size=2).steps == [1]
    assert network.predict(x).shape == (2, 1)
    assert len(network.gradients(x, y).weights) == len(network.trace(x, y)) == 4096
    assert network.copy().fingerprint() == network.fingerprint()
    assert network.summary().count("\n") == 4098
    assert repr(network)


def test_fault_007_engines_have_no_stack_that_layers_fill(backend):
    layers = 10_000
    sizes, activations = [1] * (layers + 1), ["tanh"] * layers
    engine = _backend.make(backend, sizes, activations, "squared_error", "float32")
    engine.initialize(0, ("glorot_uniform",) * layers)
    x = np.ones((1, 1), np.float32)
    assert engine.predict(x, 1).shape == (1, 1)
    dataset = engine.dataset(x, None, x, 1, None)
    rates, nothing = np.full(1, 0.1), (0.0, 0, 0)
    assert engine.train(dataset, 0, 0, rates, 0.0, 0.0, 1, nothing)[1:] == (1, None)


# ---- 8 to 10: names


@pytest.mark.parametrize(
    ("name", "value", "nearest", "choices"),
    [
        ("activation", "sigmoyd", "sigmoid", ["identity", "sigmoid", "tanh", "relu", "softmax"]),
        ("activation", "RELU", None, ["identity", "sigmoid", "tanh", "relu", "softmax"]),
        ("output_activation", "soft_max", "softmax", ["identity", "tanh", "relu", "softmax"]),
        ("loss", "square_error", "squared_error", ["squared_error", "binary_cross_entropy"]),
        ("loss", "crossentropy", "cross_entropy", ["cross_entropy", "binary_cross_entropy"]),
        ("loss", "mse", None, ["squared_error", "cross_entropy", "binary_cross_entropy"]),
        ("loss", "", None, ["squared_error", "cross_entropy", "binary_cross_entropy"]),
        ("initialization", "he", None, ["auto", "glorot_uniform", "he_uniform", "lecun_uniform"]),
        ("initialization", "he_unifrom", "he_uniform", ["auto", "glorot_uniform"]),
        ("backend", "rsut", "rust", ["rust", "numpy"]),
        ("backend", "torch", None, ["rust", "numpy"]),
    ],
)
def test_fault_008_unknown_name(not_made, name, value, nearest, choices):
    parts = [name, f"got {value!r}", *map(repr, choices)]
    parts += [f"did you mean {nearest!r}"] if nearest else []
    not_made(ValueError, parts, [4, 5, 3], **{name: value})


def test_fault_008_unknown_name_of_one_layer(not_made):
    parts = ["activation[1]", "'tanh'", "got 'tahn'", "did you mean 'tanh'"]
    not_made(ValueError, parts, [4, 5, 5, 3], activation=["relu", "tahn"])


@pytest.mark.parametrize("given", [["relu"], [], ["relu"] * 3, ("relu",)])
def test_fault_008_activations_of_another_number(not_made, given):
    parts = ["activation", "each of 2 hidden layers", f"got {len(given)}"]
    not_made(ValueError, parts, [4, 5, 5, 3], activation=given)


@pytest.mark.parametrize("name", ["output_activation", "loss", "initialization", "backend"])
@pytest.mark.parametrize("value", [3, b"sigmoid", ["sigmoid"], True])
def test_fault_008_name_of_another_kind(not_made, name, value):
    not_made(TypeError, [name, "str", type(value).__name__], [4, 5, 3], **{name: value})


@pytest.mark.parametrize("value", [3, None, np.tanh, {"relu"}])
def test_fault_008_activation_of_another_kind(not_made, value):
    not_made(TypeError, ["activation", "str", type(value).__name__], [4, 5, 3], activation=value)
    not_made(TypeError, ["activation[0]", "str"], [4, 5, 3], activation=[value])


@pytest.mark.parametrize(
    ("sizes", "activation"),
    [
        ([4, 5, 3], "softmax"),
        ([4, 5, 3], ["softmax"]),
        ([4, 5, 5, 3], ("relu", "softmax")),
        ([4, 3], "softmax"),
    ],
)
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_fault_009_softmax_in_a_hidden_layer(not_made, sizes, activation, loss):
    parts = ["softmax", "whole layer", "for the output only", "output_activation", "hidden"]
    not_made(ValueError, parts, sizes, activation=activation, loss=loss)


def test_fault_009_rust_refuses_it_too(refused):
    with refused(ValueError, "softmax", "output only", "hidden layer 0"):
        _core.Engine([4, 5, 3], ["softmax", "sigmoid"], "squared_error", "float32")


@pytest.mark.parametrize(
    ("loss", "output"), [("cross_entropy", "sigmoid"), ("binary_cross_entropy", "softmax")]
)
def test_fault_009_loss_and_output_that_do_not_fit(not_made, loss, output):
    parts = [f"loss {loss!r}", "output_activation", f"got {output!r}"]
    not_made(ValueError, parts, [4, 5, 3], loss=loss, output_activation=output)


def test_fault_009_cross_entropy_of_one_output(not_made):
    parts = ["loss 'cross_entropy'", "at least two outputs", "got 1", "binary_cross_entropy"]
    not_made(ValueError, parts, [4, 1], loss="cross_entropy")


@pytest.mark.parametrize(
    "dtype",
    [
        "f16",
        "f2",
        "float16",
        "int32",
        "complex64",
        "g",
        "",
        "f4,",
        object,
        int,
        bool,
        None,
        32,
        np.dtype(">f8"),
    ],
    ids=repr,
)
def test_fault_010_dtype(not_made, dtype):
    parts = ["dtype", "'float32'", "'float64'", f"got {dtype!r}"]
    not_made(ValueError, parts, [4, 5, 3], dtype=dtype)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [("f4", "float32"), (np.float32, "float32"), (np.dtype("f8"), "float64"), (float, "float64")],
)
def test_fault_010_dtype_by_any_of_its_names(backend, dtype, name):
    network = make(backend, dtype=dtype)
    assert network.dtype == network.parameters.dtype == np.dtype(name)
    assert network.fingerprint() == make(backend, dtype=name).fingerprint()


# ---- 11: seed


@pytest.mark.parametrize("seed", [-1, 2**64, 10**30, -(2**63)])
def test_fault_011_seed_out_of_range(backend, refused, not_made, x, y, seed):
    parts = ["seed", "0 .. 2**64 - 1", f"got {seed}"]
    not_made(ValueError, parts, [4, 5, 3], seed=seed)
    network = trained(backend, x, y)
    with refused(ValueError, *parts, network=network):
        network.reset(seed=seed)


@pytest.mark.parametrize("seed", [1.5, 1.0, "1", True, NAN, [1], np.random.default_rng(0)])
def test_fault_011_seed_of_another_kind(backend, refused, not_made, x, y, seed):
    parts = ["seed", "int", type(seed).__name__]
    not_made(TypeError, parts, [4, 5, 3], seed=seed)
    network = trained(backend, x, y)
    with refused(TypeError, *parts, network=network):
        network.reset(seed=seed)


@pytest.mark.parametrize("seed", [0, 2**63, 2**64 - 1, np.uint64(2**64 - 1), np.int8(3)])
def test_fault_011_seeds_in_range(backend, seed):
    network = make(backend, seed=seed)
    assert (type(network.seed), network.seed) == (int, int(seed))
    network.fit(np.ones((3, 4)), [0, 1, 2])


def test_fault_011_no_seed_takes_entropy_and_reports_it(backend, x, y):
    np.random.seed(0)  # noqa: NPY002 - what must not matter
    one = make(backend, seed=None)
    np.random.seed(0)  # noqa: NPY002
    other = make(backend, seed=None)
    assert one.seed != other.seed
    assert 0 <= one.seed < 2**64
    assert f"seed {one.seed}" in repr(one)
    again = make(backend, seed=one.seed)
    assert again.parameters.tobytes() == one.parameters.tobytes()
    assert again.fit(x, y, epochs=2) == one.fit(x, y, epochs=2)
    assert again.fingerprint() == one.fingerprint() == pickle.loads(pickle.dumps(one)).fingerprint()


# ---- 12: what was not initialised


class Unfinished(Network):
    def __init__(self):
        self.mine = 3


class Leaky(Network):
    """Shows itself before it is made."""

    shown: "Leaky"

    def __init__(self, *arguments, **settings):
        Leaky.shown = self
        super().__init__(*arguments, **settings)


def uses(network):
    """All that can be done with a network, as (name, function of nothing)."""
    x, y = np.ones((2, 4)), [0, 1]
    names = {name for name in dir(Network) if not name.startswith("_")} - {"load"}
    yield from every_call(network, x, y)
    yield "set_parameters", lambda: network.set_parameters([np.ones((3, 4))], [np.ones(3)])
    yield "set_flat_parameters", lambda: network.set_flat_parameters(np.ones(15))
    yield "reset", network.reset
    yield "save", lambda: network.save("never-written.safetensors")
    for name in ("copy", "explain", "fingerprint", "summary"):
        yield name, getattr(network, name)
    done = {"predict", "classify", "fit", "evaluate", "gradients", "numerical_gradients", "trace"}
    done |= {"set_parameters", "set_flat_parameters", "reset", "save"}
    for name in names - done - {"copy", "explain", "fingerprint", "summary"}:
        assert isinstance(getattr(Network, name), property), f"{name} is not tried"
        yield name, lambda name=name: getattr(network, name)
    for use in (repr, copy.copy, copy.deepcopy, pickle.dumps, Network._repr_html_):
        yield use.__name__, lambda use=use: use(network)


def assert_never_used(refused, network):
    for _name, use in uses(network):
        with refused(TypeError, type(network).__name__, "not initialised", "super().__init__"):
            use()
    with pytest.raises(AttributeError, match="no attribute 'weigths'"):
        network.weigths  # noqa: B018


def test_fault_012_subclass_without_super(refused):
    network = Unfinished()
    assert network.mine == 3
    assert_never_used(refused, network)
    assert kinds(network) == {**kinds(Network.__new__(Network)), "mine": int}


def test_fault_012_new_without_init(refused):
    assert_never_used(refused, Network.__new__(Network))


def test_fault_012_use_after_init_has_failed(backend, refused):
    for settings in ({"seed": -1}, {"loss": "mse"}, {"dtype": "f2"}):
        with pytest.raises(ValueError, match="must be"):
            Leaky([4, 5, 3], backend=backend, **settings)
        assert_never_used(refused, Leaky.shown)


def test_fault_012_use_after_memory_has_run_out(backend, refused, monkeypatch):
    """An engine that could be made, but not filled, belongs to no network."""

    class Full:
        def initialize(self, seed, initializations):
            raise MemoryError

    monkeypatch.setattr(_backend, "make", lambda *_: Full())
    with refused(MemoryError, "sizes [4, 5, 3]", "172 bytes as float32", "more than is free"):
        Leaky([4, 5, 3], backend=backend)
    assert_never_used(refused, Leaky.shown)


def test_fault_012_rust_classes_have_no_null_state(refused):
    for make_none in (
        _core.Engine,
        _core.Dataset,
        lambda: _core.Engine.__new__(_core.Engine),
        lambda: _core.Dataset.__new__(_core.Dataset),
        lambda: object.__new__(_core.Engine),
        lambda: type("Sub", (_core.Engine,), {}),
        lambda: copy.copy(_core.Engine([1, 1], ["identity"], "squared_error", "float32")),
    ):
        with refused(TypeError):
            make_none()


def test_fault_012_subclass_that_does_call_super(backend, x, y):
    class Named(Network):
        def __init__(self, name, **settings):
            self.name = name
            super().__init__([4, 5, 3], **settings)

    network = Named("mine", backend=backend)
    network.fit(x, y, optimizer=SGD(0.1))
    for twin in (network.copy(), copy.deepcopy(network)):
        assert (type(twin), twin.name) == (Named, "mine")
        assert twin.fingerprint() == network.fingerprint()


def test_fault_007_endless_sizes(not_made):
    not_made(ValueError, ["sizes", "at most 4096 layers", "got more"], itertools.repeat(3))
