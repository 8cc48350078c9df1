"""Arrays of every kind and form give the right answer or the right error, on both engines."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from parity import bound
from parity.twins import assert_within, rows, taken, velocity
from properties.strategies import (
    FORMS,
    KINDS,
    ROWS,
    SEEDS,
    arrange,
    as_taken,
    assert_right,
    descriptions,
    make,
    numbers,
    outcome,
    plain,
    some_answers,
    state,
)

from chainrule import SGD

BACKENDS = ("rust", "numpy")

# An output is so near to 1 that a division by 1 - a, which dE/da has and r has not, has no bound.
SATURATED = {
    "sizes": [4, 1, 40, 12, 11],
    "activation": ["identity", "relu", "identity"],
    "output_activation": "sigmoid",
    "loss": "binary_cross_entropy",
    "dtype": "float32",
    "seed": 13572884770,
}


def untouched(array, before):
    return np.array_equal(np.asarray(array), before)


@settings(max_examples=120)
@given(descriptions(), st.integers(0, 70), KINDS, st.sampled_from(sorted(FORMS)), SEEDS)
def test_predict(description, n, kind, form, seed):
    """Right by plain float64, and the bits of the contiguous, native copy."""
    n_in = description["sizes"][0]
    given_x = arrange(numbers(seed, (n, n_in), kind), kind, form)
    before = np.array(given_x)
    for backend in BACKENDS:
        network = make(description, backend)
        if kind == "list" and n == 0 and n_in > 1:  # an empty list does not say its width
            with pytest.raises(ValueError, match=r"x must have shape \(n, "):
                network.predict(given_x)
            continue
        found = network.predict(given_x)
        copy = plain(given_x, n_in)
        assert found.shape == (n, description["sizes"][-1])
        assert found.dtype == description["dtype"]
        assert found.flags.c_contiguous
        assert found.tobytes() == network.predict(copy).tobytes()
        assert_right(network, found, copy)
        assert untouched(given_x, before)


@settings(max_examples=60)
@given(
    descriptions(), ROWS, st.integers(1, 70), KINDS, st.sampled_from(sorted(FORMS)),
    st.sampled_from(sorted(FORMS)), st.sampled_from(["labels", "targets"]), SEEDS,
    st.sampled_from([0.0, 0.5]),
)  # fmt: skip
def test_fit(description, n, batch_size, kind, form, y_form, y_kind, seed, momentum):
    """The bits of a fit on contiguous, native copies; nothing of the caller's changes."""
    n_in = description["sizes"][0]
    x = arrange(numbers(seed, (n, n_in), kind), kind, form)
    assume(y_form != "three-dimensional")
    y = FORMS[y_form](some_answers(description, n, y_kind, seed))
    before = np.array(x), np.array(y)
    optimizer = SGD(0.05, momentum=momentum)
    options = {"epochs": 2, "batch_size": batch_size, "optimizer": optimizer, "l2": 0.01}
    for backend in BACKENDS:
        one, other = make(description, backend), make(description, backend)
        found = outcome(one, x, y, **options)
        copies = plain(x, n_in), np.array(y, y.dtype.newbyteorder("="), order="C")
        assert found == outcome(other, *copies, **options)
        assert one.evaluate(x, y) == other.evaluate(*copies)
        assert untouched(x, before[0])
        assert untouched(y, before[1])


@settings(max_examples=100)
@given(
    descriptions(), ROWS, st.integers(1, 70), st.sampled_from(["labels", "targets"]), SEEDS,
    st.sampled_from([0.0, 0.9]), st.sampled_from([0.0, 0.1]), st.booleans(),
)  # fmt: skip
@example(SATURATED, 4, 4, "targets", 0, 0.0, 0.0, False)
def test_one_step(description, n, batch_size, kind, seed, momentum, l2, shuffle):
    """Parameters and velocity of both engines within the bound of what rounding may make."""
    x = numbers(seed, (n, description["sizes"][0]))
    y = some_answers(description, n, kind, seed)
    for backend in BACKENDS:
        network = make(description, backend)
        seen = taken(network, n, batch_size, shuffle)
        inputs = as_taken(network, x)[seen]
        targets = as_taken(network, rows(y, network.sizes[-1]))[seen]
        step = bound.Step(network, inputs, targets, rows=len(seen))
        parameters, v = bound.descend(network, None, step, 0.1, momentum, l2)
        network.fit(
            x, y, steps=1, batch_size=batch_size, optimizer=SGD(0.1, momentum=momentum), l2=l2,
            shuffle=shuffle,
        )  # fmt: skip
        assert_within(network.parameters, parameters)
        if momentum:
            assert_within(velocity(network), v)


# ---- errors


DTYPES = [
    "?", "u1", "f2", "f4", "f8", ">f4", ">f8",
    "i1", "i2", ">i4", "i8", "u2", "u4", "u8", "c8", "c16", "O", "U3", "S3", "M8[s]",
]  # fmt: skip
FLAWS = [None, np.nan, np.inf, -np.inf, 1e60]  # the last is too large for float32 only


def cast(values, dtype):
    """Small whole numbers as this dtype, dates and strings included."""
    if np.dtype(dtype).kind == "M":
        return np.asarray(values).astype("i8").astype(dtype)
    with np.errstate(all="ignore"):
        return np.asarray(values).astype(dtype)


def error_of_x(x, n_in, dtype):
    """The kind of error that the table of faults has for x, or None."""
    if x.dtype.kind not in "buf" or (x.dtype.kind == "u" and x.dtype != np.uint8):
        return TypeError
    if x.ndim == 0 or int(np.prod(x.shape[1:])) != n_in:
        return ValueError
    with np.errstate(over="ignore"):
        return None if np.isfinite(x.astype(dtype)).all() else ValueError


def error_of_y(y, n, n_out, loss, dtype):
    """The same for y."""
    if y.dtype.kind not in "biuf":
        return TypeError
    if y.shape not in {(n,), (n, n_out)}:
        return ValueError
    if n_out > 1 and y.ndim == 1:
        good = np.isfinite(y) & (y >= 0) & (y < n_out)
        return None if good.all() and (y == np.floor(y)).all() else ValueError
    with np.errstate(over="ignore"):
        values = y.astype(dtype).reshape(n, n_out)
    if not np.isfinite(values).all():
        return ValueError
    if loss != "squared_error" and ((values < 0) | (values > 1)).any():
        return ValueError
    if loss == "cross_entropy" and (values.sum(axis=1) != 1).any():
        return ValueError
    return None


def same_error(calls, networks, expected):
    """Both engines raise this kind with one message, or neither raises."""
    messages = []
    for call, network in zip(calls, networks, strict=True):
        before = state(network)
        if expected is None:
            call()
            continue
        with pytest.raises(expected) as caught:
            call()
        assert type(caught.value) is expected
        messages.append(str(caught.value))
        assert state(network) == before
    assert len(set(messages)) == (expected is not None)


@settings(max_examples=150)
@given(
    descriptions(), st.sampled_from(DTYPES), st.integers(0, 6), SEEDS, st.sampled_from(FLAWS),
    st.sampled_from(["right", "wide", "narrow", "bare", "scalar", "split"]),
)  # fmt: skip
def test_any_x(description, dtype, n, seed, flaw, shape):
    n_in = description["sizes"][0]
    shapes = {
        "right": (n, n_in), "wide": (n, n_in + 1), "narrow": (n, n_in - 1), "bare": (n_in,),
        "scalar": (), "split": (n, 1, n_in, 1),
    }  # fmt: skip
    x = cast(np.random.default_rng(seed).integers(0, 2, shapes[shape]), dtype)
    if flaw is not None and x.dtype.kind == "f" and x.size:
        with np.errstate(over="ignore"):
            x[np.unravel_index(seed % x.size, x.shape)] = flaw
    expected = error_of_x(x, n_in, description["dtype"])
    networks = [make(description, backend) for backend in BACKENDS]
    same_error([lambda n=network: n.predict(x) for network in networks], networks, expected)
    count = x.shape[0] if x.ndim else 1
    y = some_answers(description, count, "labels", seed)
    if expected is None and count == 0:
        expected = ValueError
    for method in ("evaluate", "gradients", "trace"):
        calls = [lambda n=network, m=method: getattr(n, m)(x, y) for network in networks]
        same_error(calls, networks, expected)
    calls = [lambda n=network: n.fit(x, y, learning_rate=0.0) for network in networks]
    same_error(calls, networks, expected)


@settings(max_examples=150)
@given(
    descriptions(), st.sampled_from(DTYPES), st.integers(1, 6), SEEDS, st.sampled_from(FLAWS),
    st.sampled_from(["labels", "one-hot", "targets", "column", "row", "long", "wide", "scalar"]),
    st.integers(-1, 1),
)  # fmt: skip
def test_any_y(description, dtype, n, seed, flaw, shape, shift):
    """The labels are right, or one too high or too low."""
    n_out = description["sizes"][-1]
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, max(n_out, 2), n)
    values = {
        "labels": labels + shift,
        "one-hot": np.eye(max(n_out, 2), dtype=int)[labels][:, :n_out],
        "targets": rng.integers(0, 2, (n, n_out)) + shift,
        "column": labels[:, None], "row": labels[None], "long": rng.integers(0, 2, n + 1),
        "wide": rng.integers(0, 2, (n, n_out + 1)), "scalar": np.array(1),
    }[shape]  # fmt: skip
    assume(values.min() >= 0 or np.dtype(dtype).kind not in "?u")
    y = cast(values, dtype)
    if flaw is not None and y.dtype.kind == "f":
        with np.errstate(over="ignore"):
            y[np.unravel_index(seed % y.size, y.shape)] = flaw
    x = numbers(seed, (n, description["sizes"][0]))
    expected = error_of_y(y, n, n_out, description["loss"], description["dtype"])
    networks = [make(description, backend) for backend in BACKENDS]
    for method in ("evaluate", "gradients", "trace"):
        calls = [lambda n=network, m=method: getattr(n, m)(x, y) for network in networks]
        same_error(calls, networks, expected)
    calls = [lambda n=network: n.fit(x, y, learning_rate=0.0) for network in networks]
    same_error(calls, networks, expected)
