"""What must not matter to training: slices, records, stops, copies, files and the way back in."""

import copy
import pickle
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.strategies import (
    ROWS,
    SEEDS,
    descriptions,
    make,
    numbers,
    outcome,
    some_answers,
    state,
)

from chainrule import SGD, Network, training

MOMENTA = st.sampled_from([0.0, 0.9])
BATCHES = st.integers(1, 70)


def problem(description, n, seed):
    kind = ["labels", "targets"][seed % 2]
    return numbers(seed, (n, description["sizes"][0])), some_answers(description, n, kind, seed)


@settings(max_examples=40)
@given(descriptions(), ROWS, BATCHES, MOMENTA, SEEDS, st.integers(1, 50), st.integers(1, 50))
def test_no_slicing_and_no_record_changes_a_bit(
    backend, description, n, batch_size, momentum, seed, every, other
):
    x, y = problem(description, n, seed)
    lengths = np.random.default_rng(seed)

    def cut(fit, steps, seconds):
        fit.per_slice = int(lengths.integers(1, 9))

    def whole(fit, steps, seconds):
        fit.per_slice = 10**6

    def fit(slicing, record_every):
        network = make(description, backend)
        with mock.patch.object(training.Fit, "_adapt", slicing):
            return outcome(
                network, x, y, epochs=2, batch_size=batch_size, record_every=record_every,
                l2=0.01, optimizer=SGD(0.1, momentum=momentum),
            )  # fmt: skip

    first = fit(cut, every)
    assert fit(cut, every) == fit(whole, every) == first
    assert fit(whole, None)[1] == fit(cut, other)[1] == first[1]


@settings(max_examples=40)
@given(descriptions(), ROWS, BATCHES, MOMENTA, SEEDS, st.integers(0, 3), st.booleans())
def test_epochs_in_two_fits_are_epochs_in_one(
    backend, description, n, batch_size, momentum, seed, first, shuffle
):
    x, y = problem(description, n, seed)
    options = {
        "batch_size": batch_size, "shuffle": shuffle, "optimizer": SGD(0.1, momentum=momentum),
    }  # fmt: skip
    one, two = make(description, backend), make(description, backend)
    through, end = outcome(one, x, y, epochs=3, **options)
    before, _ = outcome(two, x, y, epochs=first, **options)
    after, same = outcome(two, x, y, epochs=3 - first, **options)
    assert end == same
    if not isinstance(through, str):  # it did not diverge
        assert before.loss + after.loss == through.loss
        assert before.steps + after.steps == through.steps


def reloaded(network, folder, backend=None):
    path = folder / "model.safetensors"
    network.save(path)
    return Network.load(path, backend=backend)


@settings(max_examples=40)
@given(descriptions(), ROWS, BATCHES, MOMENTA, SEEDS)
def test_every_way_round_keeps_the_network_and_goes_on(
    backend, folder, description, n, batch_size, momentum, seed
):
    x, y = problem(description, n, seed)
    network = make(description, backend)
    optimizer = SGD(0.1, momentum=momentum)
    outcome(network, x, y, steps=3, batch_size=batch_size, optimizer=optimizer)
    others = [
        network.copy(),
        copy.deepcopy(network),
        pickle.loads(pickle.dumps(network)),
        reloaded(network, folder, backend),
    ]
    before = state(network)
    after = outcome(network, x, y, epochs=2, batch_size=batch_size)
    for other in others:
        assert other.backend == other.explain()["engine"] == backend
        assert other.optimizer == optimizer
        assert repr(other).split(", seed")[0] == repr(network).split(", seed")[0]
        assert state(other) == before
        assert outcome(other, x, y, epochs=2, batch_size=batch_size) == after


@settings(max_examples=40)
@given(descriptions(), ROWS, MOMENTA, SEEDS)
def test_a_file_goes_from_engine_to_engine(backend, folder, description, n, momentum, seed):
    x, y = problem(description, n, seed)
    network = make(description, backend)
    outcome(network, x, y, steps=2, optimizer=SGD(0.1, momentum=momentum))
    other = {"rust": "numpy", "numpy": "rust"}[backend]
    there = reloaded(network, folder, other)
    assert there.backend == there.explain()["engine"] == other
    back = reloaded(there, folder, backend)
    assert state(there) == state(back) == state(network)


@settings(max_examples=60)
@given(descriptions(), ROWS, SEEDS)
def test_parameters_that_are_set_are_those_that_were_read(backend, description, n, seed):
    x, y = problem(description, n, seed)
    network = make(description, backend)
    outcome(network, x, y, steps=2, learning_rate=0.1)
    before, predicted = state(network), network.predict(x).tobytes()
    network.set_parameters(network.weights, network.biases)
    assert state(network) == before
    network.set_flat_parameters(network.parameters)
    assert state(network) == before
    lists = [a.tolist() for a in network.weights], [np.asfortranarray(a) for a in network.biases]
    network.set_parameters(*lists)
    assert state(network) == before
    assert network.predict(x).tobytes() == predicted
    parts = [a.ravel() for pair in zip(network.weights, network.biases, strict=True) for a in pair]
    assert np.concatenate(parts).tobytes() == network.parameters.tobytes()


@settings(max_examples=60)
@given(descriptions(), ROWS, SEEDS, SEEDS)
def test_reset_is_a_new_network(backend, description, n, seed, other):
    x, y = problem(description, n, seed)
    network = Network(**description, backend=backend)
    fresh = state(network)
    outcome(network, x, y, steps=2, optimizer=SGD(0.1, momentum=0.5))
    network.reset()
    assert state(network) == fresh
    network.reset(other)
    description = {**description, "seed": other}
    assert state(network) == state(Network(**description, backend=backend))
