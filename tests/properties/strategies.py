"""Networks, arrays in every form that NumPy has for them, and what is right for them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from parity import bound
from parity.twins import ACTIVATIONS, OUTPUTS, answers, assert_within, velocity

from chainrule import DivergenceError, Network

SIZES = st.lists(st.integers(1, 40), min_size=2, max_size=5)
ROWS = st.integers(1, 70)
SEEDS = st.integers(0, 2**64 - 1)
DTYPES = st.sampled_from(["float32", "float64"])
KINDS = st.sampled_from(["float16", "float32", "float64", "bool", "uint8", "list"])


@st.composite
def descriptions(draw, *, outputs=OUTPUTS):
    """The arguments of a network, without the engine; each layer has its own activation."""
    sizes = draw(SIZES)
    loss, output = draw(st.sampled_from(outputs))
    if loss == "cross_entropy":
        sizes[-1] = max(sizes[-1], 2)
    hidden = draw(st.lists(st.sampled_from(ACTIVATIONS), min_size=3, max_size=3))
    return {
        "sizes": sizes,
        "activation": hidden[: len(sizes) - 2],
        "output_activation": output,
        "loss": loss,
        "dtype": draw(DTYPES),
        "seed": draw(SEEDS),
    }


def make(description, backend):
    """The network on this engine, with biases other than 0."""
    network = Network(**description, backend=backend)
    rng = np.random.default_rng(description["seed"])
    network.set_parameters(network.weights, [rng.normal(size=b.shape) for b in network.biases])
    assert network.backend == network.explain()["engine"] == backend
    return network


def numbers(seed, shape, kind="float64"):
    """An array of this kind; a list is made of it last, by `arrange`."""
    rng = np.random.default_rng(seed)
    if kind == "bool":
        return rng.random(shape) < 0.5
    if kind == "uint8":
        return rng.integers(0, 256, shape).astype(np.uint8)
    return rng.normal(size=shape).astype("float64" if kind == "list" else kind)


# ---- the same numbers in other forms


def strided(a):
    wide = np.zeros([2 * n for n in a.shape], a.dtype)
    wide[(slice(None, None, 2),) * a.ndim] = a
    return wide[(slice(None, None, 2),) * a.ndim]


def misaligned(a):
    raw = np.zeros(a.nbytes + 1, np.uint8)[1:]
    view = np.frombuffer(raw, a.dtype, a.size).reshape(a.shape)
    view[...] = a
    return view


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


FORMS = {
    "contiguous": np.copy,
    "rows reversed": lambda a: a[::-1].copy()[::-1],
    "all reversed": lambda a: np.flip(np.flip(a).copy()),
    "every other": strided,
    "read-only": read_only,
    "Fortran": np.asfortranarray,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "big-endian Fortran": lambda a: np.asfortranarray(a.astype(a.dtype.newbyteorder(">"))),
    "misaligned": misaligned,
    "one row over and over": lambda a: np.broadcast_to(a[:1], a.shape),
    "three-dimensional": lambda a: a[..., None] if a.ndim > 1 else a.copy(),
}


def arrange(a, kind, form):
    """The array in this form, or as nested lists."""
    return a.tolist() if kind == "list" else FORMS[form](a)


def plain(a, n_in):
    """Its contiguous, native copy: (n, n_in)."""
    a = np.asarray(a)
    return np.array(a, a.dtype.newbyteorder("="), order="C").reshape(len(a), n_in)


# ---- what is right


def as_taken(network, x):
    """x (n, n_in) or y as the engine gets it, in float64: rounded to the network's dtype once."""
    return x if x.dtype == np.uint8 else x.astype(network.dtype).astype(float)


def assert_right(network, found, x):
    """`found` is what the network makes of x (n, n_in), by the plain float64 of `bound.py`."""
    n_out = network.sizes[-1]
    y = np.full((len(x), n_out), 1 / n_out)
    assert found.dtype == network.dtype
    assert_within(found, bound.Step(network, as_taken(network, x), y).a[-1])


def outcome(network, *args, **options):
    """All that a fit leaves behind; a divergence is an outcome like others."""
    try:
        history = network.fit(*args, **options)
    except DivergenceError as error:
        history = str(error)
    return history, state(network)


def state(network):
    v = velocity(network)
    return (
        network.parameters.tobytes(),
        None if v is None else v.tobytes(),
        network.epochs_done,
        network.steps_done,
        network.fingerprint(),
    )


def some_answers(description, n, kind, seed):
    """Labels or targets for n rows."""
    rng = np.random.default_rng(seed)
    return answers(rng, n, description["sizes"][-1], kind, description["loss"])
