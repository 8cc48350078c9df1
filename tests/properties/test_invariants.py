"""What must not matter: the rows around a row, their order, and how the same data are written."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from parity import bound
from parity.twins import assert_within, rows
from properties.strategies import (
    ROWS,
    SEEDS,
    as_taken,
    assert_right,
    descriptions,
    make,
    numbers,
    outcome,
    some_answers,
)

from chainrule import SGD


@settings(max_examples=80)
@given(descriptions(), ROWS, SEEDS, st.sampled_from(["float64", "uint8"]))
def test_a_row_alone_has_the_bits_of_the_row_in_a_batch(description, n, seed, kind):
    """Rust promises it; NumPy sums as it likes."""
    network = make(description, "rust")
    x = numbers(seed, (n, description["sizes"][0]), kind)
    together = network.predict(x)
    cut = seed % (n + 1)
    parts = network.predict(x[:cut]), network.predict(x[cut:])
    assert np.concatenate(parts).tobytes() == together.tobytes()
    for i in {0, n // 2, n - 1}:
        assert network.predict(x[i : i + 1]).tobytes() == together[i : i + 1].tobytes()


@settings(max_examples=60)
@given(descriptions(), ROWS, SEEDS)
def test_predict_of_a_permutation_is_the_permutation(backend, description, n, seed):
    network = make(description, backend)
    x = numbers(seed, (n, description["sizes"][0]))
    order = np.random.default_rng(seed).permutation(n)
    found = network.predict(x[order])
    if backend == "rust":
        assert found.tobytes() == network.predict(x)[order].tobytes()
    assert_right(network, found, x[order])


@settings(max_examples=60)
@given(descriptions(), ROWS, SEEDS, st.sampled_from(["labels", "targets"]))
def test_evaluate_is_the_mean_of_the_rows(backend, description, n, seed, kind):
    """Rust adds each row's loss in float64, in order: so does this sum, to the bit."""
    network = make(description, backend)
    x = numbers(seed, (n, description["sizes"][0]))
    y = some_answers(description, n, kind, seed)
    found = network.evaluate(x, y)
    each = [network.evaluate(x[i : i + 1], y[i : i + 1]) for i in range(n)]
    mean = sum(one.loss for one in each) / n
    if backend == "rust":
        assert found.loss == mean
    else:
        y = as_taken(network, rows(y, network.sizes[-1]))
        losses = bound.Step(network, as_taken(network, x), y).losses
        for loss in (found.loss, mean):
            assert_within(network.dtype.type(loss), losses.sum(0) / float(n))
    if backend == "rust" and found.accuracy is not None:
        assert found.accuracy == sum(one.accuracy for one in each) / n


@settings(max_examples=60)
@given(
    descriptions(), ROWS, SEEDS, st.integers(1, 70),
    st.sampled_from(["?", "i1", ">i4", "u8", "f2", "f4", ">f8"]),
    st.sampled_from(["i1", "u1", ">i8", "f2", "f8"]),
)  # fmt: skip
def test_labels_are_one_hot_targets(backend, description, n, seed, batch_size, dtype, label_dtype):
    sizes = [*description["sizes"][:-1], max(description["sizes"][-1], 2)]
    description = {**description, "sizes": sizes}
    x = numbers(seed, (n, sizes[0]))
    labels = np.random.default_rng(seed).integers(0, sizes[-1], n)
    forms = [labels, labels.astype(label_dtype), np.eye(sizes[-1])[labels].astype(dtype)]
    found = []
    for y in forms:
        network = make(description, backend)
        options = {"batch_size": batch_size, "learning_rate": 0.1, "epochs": 2}
        gradients = network.gradients(x, y)
        arrays = [gradients.loss, *(g.tobytes() for g in gradients.weights + gradients.biases)]
        found.append((arrays, network.evaluate(x, y), outcome(network, x, y, **options)))
    assert found[0] == found[1] == found[2]
    assert found[0][1].accuracy is not None


@settings(max_examples=60)
@given(
    descriptions(), ROWS, SEEDS, st.integers(1, 70), st.sampled_from(["bool", "uint8", "float16"]),
    st.sampled_from([0.0, 0.9]),
)  # fmt: skip
def test_inputs_mean_the_same_in_every_dtype(
    backend, description, n, seed, batch_size, kind, momentum
):
    """bool is 0 and 1, uint8 is value / 255, and a float16 is a number of every wider kind."""
    x = numbers(seed, (n, description["sizes"][0]), kind)
    same = {
        "bool": x.astype(float),
        "uint8": (x / 255).astype(description["dtype"]),
        "float16": x.astype(float),
    }[kind]
    y = some_answers(description, n, "labels", seed)
    found = []
    for inputs in (x, same):
        network = make(description, backend)
        optimizer = SGD(0.1, momentum=momentum)
        found.append(
            (
                network.predict(inputs).tobytes(),
                network.evaluate(inputs, y),
                [array.tobytes() for layer in network.trace(inputs, y) for array in layer],
                outcome(network, inputs, y, batch_size=batch_size, optimizer=optimizer),
            )
        )
    assert found[0] == found[1]


@settings(max_examples=60)
@given(descriptions(), ROWS, SEEDS)
def test_a_step_of_all_rows_takes_the_gradient_off(backend, description, n, seed):
    """At rate 1: one subtraction, rounded once, of what `gradients` returns."""
    network = make(description, backend)
    x = numbers(seed, (n, description["sizes"][0]))
    y = some_answers(description, n, "labels", seed)
    gradients, weights, biases = network.gradients(x, y), network.weights, network.biases
    history = network.fit(x, y, batch_size=n, learning_rate=1.0, shuffle=False)
    assert history.loss == [gradients.loss]
    for W, before, g in zip(network.weights, weights, gradients.weights, strict=True):
        assert W.tobytes() == (before - g).tobytes()
    for b, before, g in zip(network.biases, biases, gradients.biases, strict=True):
        assert b.tobytes() == (before - g).tobytes()


@settings(max_examples=40)
@given(descriptions(), st.integers(1, 20), SEEDS)
def test_gradients_are_the_mean_of_the_trace(backend, description, n, seed):
    """In float64 within 1e-12 of the largest number of which it is a mean."""
    description = {**description, "dtype": "float64"}
    network = make(description, backend)
    x = numbers(seed, (n, description["sizes"][0]))
    y = some_answers(description, n, "targets", seed)
    gradients = network.gradients(x, y)
    for layer, W, b in zip(network.trace(x, y), gradients.weights, gradients.biases, strict=True):
        for found, each in ((W, layer.dE_dW), (b, layer.dE_db)):
            assert np.abs(found - each.mean(axis=0)).max() <= 1e-12 * np.abs(each).max()
