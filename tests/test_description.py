"""What a network is and how it shows itself: attributes, tables, fingerprint, copies, pickles."""

import copy
import inspect
import pickle

import numpy as np
import pytest

import chainrule
from chainrule import SGD, Linear, Network

# ---- the public face


def parameters_of(function):
    """The parameters as they would be written, without types."""
    signature = inspect.signature(function)
    plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=signature.empty))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "__init__",
            (
                "(self, sizes, *, activation='sigmoid', output_activation=None, "
                "loss='squared_error', initialization='auto', dtype='float32', seed=0, "
                "backend=None)"
            ),
        ),
        ("set_parameters", "(self, weights, biases)"),
        ("set_flat_parameters", "(self, parameters)"),
        ("reset", "(self, seed=None)"),
        (
            "fit",
            (
                "(self, x, y, *, epochs=None, steps=None, batch_size=1, learning_rate=None, "
                "optimizer=None, l2=0.0, shuffle=True, validation_data=None, record_every=None, "
                "callbacks=(), progress=None, threads=None)"
            ),
        ),
        ("predict", "(self, x, *, threads=None)"),
        ("classify", "(self, x, *, threads=None)"),
        ("evaluate", "(self, x, y, *, threads=None)"),
        ("gradients", "(self, x, y)"),
        ("trace", "(self, x, y)"),
        ("explain", "(self)"),
        ("summary", "(self)"),
        ("fingerprint", "(self)"),
        ("save", "(self, path)"),
        ("load", "(path, *, backend=None)"),
        ("copy", "(self)"),
    ],
)
def test_signatures(name, expected):
    assert parameters_of(getattr(Network, name)) == expected


def test_signature_of_numerical_gradients():
    epsilon = inspect.signature(Network.numerical_gradients).parameters["epsilon"]
    assert epsilon.kind is epsilon.KEYWORD_ONLY
    assert epsilon.default == pytest.approx(np.finfo(float).eps ** (1 / 3))


def test_named_tuples_and_errors():
    assert chainrule.Evaluation._fields == ("loss", "accuracy")
    assert chainrule.Gradients._fields == ("loss", "weights", "biases")
    assert chainrule.LayerTrace._fields == ("z", "a", "r", "dE_da", "dE_dW", "dE_db")
    assert chainrule.Progress._fields == ("network", "history", "epoch", "step")
    assert chainrule.FormatError.__bases__ == (ValueError,)
    assert chainrule.DivergenceError.__bases__ == (ArithmeticError,)
    assert chainrule.BackendWarning.__bases__ == (RuntimeWarning,)


@pytest.mark.parametrize(
    "name",
    [
        "Activation", "Loss", "Initialization", "Rate", "BACKEND", "__version__", "FormatError",
        "DivergenceError", "BackendWarning", "SGD", "Constant", "Linear", "Schedule", "Evaluation",
        "Gradients", "LayerTrace", "History", "Progress", "Callback", "Network", "mnist",
    ],
)  # fmt: skip
def test_public_names(name):
    assert name in chainrule.__all__
    assert getattr(chainrule, name) is not None


def test_a_name_that_there_is_not():
    with pytest.raises(AttributeError, match="'chainrule' has no attribute 'Netwrok'"):
        chainrule.Netwrok  # noqa: B018


# ---- attributes


def test_defaults(backend):
    network = Network([784, 16, 16, 10], backend=backend)
    assert network.sizes == (784, 16, 16, 10)
    assert network.activation == ("sigmoid", "sigmoid")
    assert network.output_activation == "sigmoid"
    assert network.loss == "squared_error"
    assert network.dtype == np.float32
    assert network.seed == 0
    assert network.backend == backend
    assert network.optimizer == SGD(network.optimizer.learning_rate, momentum=0.0)
    assert isinstance(network.optimizer.learning_rate, float)
    assert network.n_parameters == 13_002
    assert (network.epochs_done, network.steps_done) == (0, 0)


@pytest.mark.parametrize(
    "name",
    [
        "sizes", "activation", "output_activation", "loss", "dtype", "seed", "backend",
        "optimizer", "n_parameters", "epochs_done", "steps_done", "weights", "biases",
        "parameters",
    ],
)  # fmt: skip
def test_attributes_are_read_only(backend, name):
    network = Network([2, 3, 1], backend=backend)
    before = getattr(network, name)
    with pytest.raises(AttributeError, match=name):
        setattr(network, name, before)
    with pytest.raises(AttributeError, match=name):
        delattr(network, name)


def test_unknown_attribute(backend):
    with pytest.raises(AttributeError, match="'Network' object has no attribute 'layers'"):
        Network([1, 1], backend=backend).layers  # noqa: B018


def test_one_activation_a_layer(backend):
    network = Network([2, 3, 4, 1], activation=["tanh", "relu"], backend=backend)
    assert network.activation == ("tanh", "relu")
    network = Network([2, 3, 4, 1], activation="relu", backend=backend)
    assert network.activation == ("relu", "relu")
    network = Network([2, 1], activation="relu", output_activation="tanh", backend=backend)
    assert (network.activation, network.output_activation) == ((), "tanh")
    assert Network([2, 1], activation=[], backend=backend).activation == ()
    message = "one for each of 2 hidden layers; got 1"
    with pytest.raises(ValueError, match=message):
        Network([2, 3, 4, 1], activation=["tanh"], backend=backend)
    with pytest.raises(TypeError, match="activation must be a str or a sequence of str"):
        Network([2, 3, 1], activation=None, backend=backend)


def test_activations_are_the_layers_own(backend):
    """Each is computed in its layer: z = x + b, b = 0."""
    network = Network(
        [1, 1, 1, 1],
        activation=["relu", "tanh"],
        output_activation="identity",
        dtype="float64",
        backend=backend,
    )
    network.set_flat_parameters([1, 0, 1, 0, 1, 0])
    outputs = network.predict([[-1.0], [0.5]])
    np.testing.assert_allclose(outputs, [[0.0], [np.tanh(0.5)]], rtol=1e-15)


@pytest.mark.parametrize(
    ("loss", "output"),
    [
        ("squared_error", "sigmoid"),
        ("cross_entropy", "softmax"),
        ("binary_cross_entropy", "sigmoid"),
    ],
)
def test_output_activation_goes_with_the_loss(backend, loss, output):
    assert Network([2, 3], loss=loss, backend=backend).output_activation == output
    for wrong in {"identity", "sigmoid", "tanh", "relu", "softmax"} - {output}:
        if loss == "squared_error":
            made = Network([2, 3], loss=loss, output_activation=wrong, backend=backend)
            assert made.output_activation == wrong
        else:
            with pytest.raises(ValueError, match=f"'{loss}' goes with .*'{output}' only"):
                Network([2, 3], loss=loss, output_activation=wrong, backend=backend)


def test_cross_entropy_needs_two_outputs(backend):
    with pytest.raises(ValueError, match=r"at least two outputs; got 1.*binary_cross_entropy"):
        Network([2, 1], loss="cross_entropy", backend=backend)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("float32", np.float32),
        ("float64", np.float64),
        (np.float32, np.float32),
        (np.dtype("float64"), np.float64),
        (float, np.float64),
    ],
)
def test_dtype_by_name_or_as_numpy_has_it(backend, given, expected):
    network = Network([2, 3, 1], dtype=given, backend=backend)
    assert network.dtype == expected
    assert isinstance(network.dtype, np.dtype)
    assert network.parameters.dtype == expected
    assert {array.dtype for array in network.weights + network.biases} == {network.dtype}
    assert network.predict([[1, 2.0]]).dtype == expected


@pytest.mark.parametrize("given", ["float16", "f4,,", None, int, object, [("a", "f4")] * 2])
def test_other_dtypes(backend, given):
    with pytest.raises(ValueError, match="dtype must be one of 'float32', 'float64'; got"):
        Network([2, 1], dtype=given, backend=backend)


def test_seed_none_is_drawn_and_told(backend):
    one, other = (Network([3, 2], seed=None, backend=backend) for _ in range(2))
    assert one.seed != other.seed
    assert 0 <= one.seed < 2**64
    assert type(one.seed) is int
    again = Network([3, 2], seed=one.seed, backend=backend)
    assert again.parameters.tobytes() == one.parameters.tobytes() != other.parameters.tobytes()


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1, np.uint64(2**64 - 1)])
def test_seed_decides_the_weights(backend, seed):
    network = Network([3, 2], seed=seed, backend=backend)
    assert network.seed == int(seed)
    assert network.parameters.tobytes() == Network([3, 2], seed=seed).parameters.tobytes()
    other = Network([3, 2], seed=2, backend=backend)
    assert network.parameters.tobytes() != other.parameters.tobytes()


@pytest.mark.parametrize(
    ("scheme", "squares"),
    [
        ("glorot_uniform", [6 / (50 + 40), 6 / (40 + 30)]),
        ("he_uniform", [6 / 50, 6 / 40]),
        ("lecun_uniform", [3 / 50, 3 / 40]),
    ],
)
def test_initialization(backend, scheme, squares):
    network = Network([50, 40, 30], initialization=scheme, dtype="float64", backend=backend)
    for W, b, square in zip(network.weights, network.biases, squares, strict=True):
        limit = np.sqrt(square)
        assert np.abs(W).max() <= limit
        assert np.abs(W).max() > 0.98 * limit
        assert abs(W.mean()) < 0.05 * limit
        assert not b.any()


def test_auto_initialization_goes_by_each_layers_activation(backend):
    settings = {"activation": ["relu", "tanh"], "backend": backend}
    auto, he, glorot = (
        Network([6, 5, 4, 3], initialization=scheme, **settings).weights
        for scheme in ("auto", "he_uniform", "glorot_uniform")
    )
    for layer, expected in enumerate([he, glorot, glorot]):
        assert auto[layer].tobytes() == expected[layer].tobytes()
    assert he[1].tobytes() != glorot[1].tobytes()


# ---- how it shows itself

SUMMARY = """\
784-16-16-10, squared_error, float32, 13,002 parameters
layer  activation    weights  biases  parameters
0      sigmoid     (16, 784)   (16,)      12,560
1      sigmoid      (16, 16)   (16,)         272
2      sigmoid      (10, 16)   (10,)         170
total                 12,960      42      13,002"""


def test_summary_counts_as_equation_8(backend):
    """12,960 weights and 42 biases."""
    network = Network([784, 16, 16, 10], backend=backend)
    assert network.summary() == SUMMARY
    assert network.n_parameters == network.parameters.size == 13_002


def test_repr(backend):
    network = Network(
        [2, 3, 1], activation="tanh", loss="binary_cross_entropy", seed=7, backend=backend
    )
    network.fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
    assert repr(network) == (
        "<Network 2-3-1, binary_cross_entropy, float32, 13 parameters, tanh, sigmoid, seed 7, "
        f"2 steps done, {backend}>"
    )


def test_html(backend):
    network = Network([2, 3, 2], loss="cross_entropy", dtype="float64", backend=backend)
    assert network._repr_html_() == (
        "<table><caption>2-3-2, cross_entropy, float64, 17 parameters</caption>"
        "<thead><tr><th>layer</th><th>activation</th><th>weights</th><th>biases</th>"
        "<th>parameters</th></tr></thead><tbody>"
        "<tr><td>0</td><td>sigmoid</td><td>(3, 2)</td><td>(3,)</td><td>9</td></tr>"
        "<tr><td>1</td><td>softmax</td><td>(2, 3)</td><td>(2,)</td><td>8</td></tr>"
        "<tr><td>total</td><td></td><td>12</td><td>5</td><td>17</td></tr>"
        "</tbody></table>"
    )


# ---- fingerprint


def test_fingerprint_is_sha256_of_what_the_network_computes(backend):
    network = Network([2, 3, 2], backend=backend)
    first = network.fingerprint()
    assert len(first) == 64
    assert set(first) <= set("0123456789abcdef")
    assert first == Network([2, 3, 2]).fingerprint()  # the engine does not count
    network.fit(np.ones((3, 2)), [0, 1, 1], optimizer=SGD(0.0, momentum=0.5))
    assert network.steps_done == 3
    assert network.fingerprint() == first  # nor do counters, optimiser and its state
    other = Network([2, 3, 2], seed=1, backend=backend)
    assert other.fingerprint() != first
    other.set_flat_parameters(network.parameters)
    assert other.fingerprint() == first  # nor does the seed
    flat = np.zeros(17)
    other.set_flat_parameters(flat)
    network.set_flat_parameters(-flat)
    assert other.fingerprint() == network.fingerprint() != first


@pytest.mark.parametrize(
    "change",
    [
        {"sizes": [2, 2, 3]},
        {"activation": "tanh"},
        {"output_activation": "identity"},
        {"loss": "binary_cross_entropy"},
        {"dtype": "float64"},
    ],
)
def test_fingerprint_of_another_description_is_another(backend, change):
    """With the same numbers in the same order: 17 of them."""
    settings = {"sizes": [2, 3, 2], "backend": backend}
    one, other = Network(**settings), Network(**{**settings, **change})
    for network in (one, other):
        network.set_flat_parameters(np.arange(network.n_parameters))
    assert one.fingerprint() != other.fingerprint()


def test_fingerprint_of_one_changed_bit_is_another(backend):
    network = Network([2, 3, 2], backend=backend)
    before, flat = network.fingerprint(), network.parameters
    flat[5] = np.nextafter(flat[5], np.float32(9))
    network.set_flat_parameters(flat)
    assert network.fingerprint() != before


# ---- copies and pickles


class Named(Network):
    """What users make: an attribute of its own beside the network."""

    def __init__(self, name, *args, **settings):
        super().__init__(*args, **settings)
        self.name = name


def half(step, steps):
    return 0.5


def trained(backend, kind=Network, *first):
    network = kind(*first, [2, 3, 2], activation="tanh", seed=5, backend=backend)
    network.fit([[0.0, 1.0], [1.0, 0.0]], [0, 1], optimizer=SGD(Linear(0.5), momentum=0.5))
    return network


WAYS = {
    "copy": Network.copy,
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda network: pickle.loads(pickle.dumps(network)),
}


@pytest.mark.parametrize("way", WAYS)
def test_copy_goes_on_as_the_network_does_and_by_itself(backend, way):
    network = trained(backend)
    twin = WAYS[way](network)
    assert type(twin) is Network
    for name in (
        "sizes", "activation", "output_activation", "loss", "dtype", "seed", "backend",
        "optimizer", "epochs_done", "steps_done",
    ):  # fmt: skip
        assert getattr(twin, name) == getattr(network, name), name
    before = network.fingerprint()
    assert twin.fingerprint() == before
    x, y = np.eye(2), [1, 0]
    history = twin.fit(x, y, epochs=3)
    assert network.fingerprint() == before != twin.fingerprint()
    assert network.steps_done == 2
    assert network.fit(x, y, epochs=3) == history  # the velocity too
    assert network.fingerprint() == twin.fingerprint()
    twin.reset()
    network.reset()
    assert network.fingerprint() == twin.fingerprint()


@pytest.mark.parametrize("way", WAYS)
def test_copy_of_a_subclass_keeps_what_it_added(backend, way):
    network = trained(backend, Named, ["a", "b"])
    twin = WAYS[way](network)
    assert type(twin) is Named
    assert twin.name == ["a", "b"]
    assert twin.fingerprint() == network.fingerprint()
    assert (twin.name is network.name) == (way in {"copy", "copy.copy"})


@pytest.mark.parametrize("way", WAYS)
def test_callable_rate_is_kept_by_copies_and_lost_in_a_pickle(backend, way):
    network = trained(backend)
    network.fit(np.eye(2), [0, 1], learning_rate=half)
    twin = WAYS[way](network)
    assert network.optimizer == SGD(half, momentum=0.5)
    assert twin.optimizer == SGD(None if way == "pickle" else half, momentum=0.5)
    if way == "pickle":
        with pytest.raises(ValueError, match=r"callable.*pass learning_rate or optimizer"):
            twin.fit(np.eye(2), [0, 1])
    else:
        assert twin.fit(np.eye(2), [0, 1]) == network.fit(np.eye(2), [0, 1])


def test_deepcopy_follows_what_refers_to_the_network(backend):
    network = trained(backend, Named, None)
    network.name = {"self": network}
    twin = copy.deepcopy(network)
    assert twin.name["self"] is twin


def test_pickle_names_its_engine(backend, monkeypatch):
    network = trained(backend)
    other = "rust" if backend == "numpy" else "numpy"
    monkeypatch.setenv("CHAINRULE_BACKEND", other)
    assert pickle.loads(pickle.dumps(network)).backend == network.copy().backend == backend
    assert Network([1, 1]).backend == other


class Slotted(chainrule.Network):
    __slots__ = ("tag",)


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_slots_of_a_subclass_are_kept(backend, way):
    network = Slotted([2, 1], backend=backend)
    network.tag = ["a"]
    assert way(network).tag == ["a"]
    del network.tag
    assert not hasattr(way(network), "tag")
