"""Rows 105 to 109 of the table of faults: several threads, one network."""

import threading

import numpy as np
import pytest
from faults.fits import make, run_in_thread


@pytest.fixture
def x(rng):
    return rng.normal(size=(300, 30))


@pytest.fixture
def y(rng):
    return rng.integers(0, 10, 300)


# ---- 105: many readers


def test_fault_105_eight_threads_predict(backend, x, y):
    network = make(backend)
    network.fit(x, y)
    expected = network.predict(x).tobytes()
    together = threading.Barrier(8)
    answers = []

    def work():
        together.wait(5)
        answers.extend([network.predict(x).tobytes() for _ in range(20)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 160
    assert set(answers) == {expected}


def test_fault_105_readers_do_not_wait_for_each_other(backend, x):
    """Eight calls are within the engine at one time."""
    network = make(backend)
    engine, together = network._engine, threading.Barrier(8)

    class Meeting:
        def __getattr__(self, name):
            return getattr(engine, name)

        def predict(self, x, threads):
            together.wait(5)
            return engine.predict(x, threads)

    network._engine = Meeting()
    threads = [threading.Thread(target=network.predict, args=(x,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not together.broken


# ---- 106, 107: one writer


@pytest.fixture
def during_fit(x, y):
    """`during_fit(network, work)`: run work in another thread while the network is being fitted.

    A callback waits for it: it is within the fit, and no race decides.
    """

    def run(network, work):
        futures = []

        def callback(progress):
            if progress.step == 100:
                futures.append(run_in_thread(work))

        history = network.fit(x, y, record_every=100, callbacks=callback)
        futures[0].result()
        return history

    return run


@pytest.mark.parametrize(
    "what",
    ["predict", "classify", "evaluate", "parameters", "weights", "biases", "save", "copy",
     "fingerprint", "gradients", "numerical_gradients", "trace", "explain", "pickle"],
)  # fmt: skip
def test_fault_106_use_during_fit(backend, x, y, tmp_path, during_fit, what):
    network, alike = make(backend), make(backend)
    path = tmp_path / "model.safetensors"
    work = {
        "predict": lambda: network.predict(x),
        "classify": lambda: network.classify(x),
        "evaluate": lambda: network.evaluate(x, y),
        "parameters": lambda: network.parameters,
        "weights": lambda: network.weights,
        "biases": lambda: network.biases,
        "save": lambda: network.save(path),
        "copy": network.copy,
        "fingerprint": network.fingerprint,
        "gradients": lambda: network.gradients(x, y),
        "numerical_gradients": lambda: network.numerical_gradients(x, y),
        "trace": lambda: network.trace(x, y),
        "explain": network.explain,
        "pickle": network.__getstate__,
    }[what]
    with pytest.raises(RuntimeError, match="busy, fit runs in another thread; wait for it") as info:
        during_fit(network, work)
    assert type(info.value) is RuntimeError
    assert not path.exists()
    # The fit went on to its end, as if nobody had asked; and then the same call works.
    alike.fit(x, y, record_every=100)
    assert network.fingerprint() == alike.fingerprint()
    if what != "numerical_gradients":  # seconds
        work()


def test_fault_106_what_does_not_change_may_be_read(backend, during_fit):
    network = make(backend)
    seen = []
    during_fit(network, lambda: seen.append((network.sizes, network.seed, repr(network))))
    assert seen[0][0] == (30, 20, 10)


def test_fault_106_fit_while_another_thread_reads(backend, x, y, refused):
    network = make(backend)
    reading, leave = threading.Event(), threading.Event()
    engine = network._engine

    class Slow:
        def __getattr__(self, name):
            return getattr(engine, name)

        def predict(self, x, threads):
            reading.set()
            assert leave.wait(5)
            return engine.predict(x, threads)

    network._engine = Slow()
    thread = threading.Thread(target=network.predict, args=(x,))
    thread.start()
    assert reading.wait(5)
    try:
        with refused(RuntimeError, "fit", "busy", "another call reads it", network=network):
            network.fit(x, y)
        with refused(RuntimeError, "reset", "busy", network=network):
            network.reset()
    finally:
        leave.set()
        thread.join()
    network.fit(x, y)


@pytest.mark.parametrize("what", ["fit", "reset", "set_parameters", "set_flat_parameters"])
def test_fault_107_change_during_fit(backend, x, y, during_fit, what):
    network, alike = make(backend), make(backend)
    other = alike.parameters
    work = {
        "fit": lambda: network.fit(x, y),
        "reset": network.reset,
        "set_parameters": lambda: network.set_parameters(alike.weights, alike.biases),
        "set_flat_parameters": lambda: network.set_flat_parameters(other),
    }[what]
    with pytest.raises(RuntimeError, match=f"{what}: the network is already training"):
        during_fit(network, work)
    alike.fit(x, y, record_every=100)
    assert network.fingerprint() == alike.fingerprint()
    assert (network.epochs_done, network.steps_done) == (1, 300)
    work()


# ---- 108, 109: the data changes under a fit


def test_fault_108_data_changed_by_another_thread(backend, x, y, during_fit):
    network, alike = make(backend), make(backend)

    def overwrite():
        x[:] = np.nan
        y[:] = 99

    kept = x.copy(), y.copy()
    history = during_fit(network, overwrite)
    assert history == alike.fit(*kept, record_every=100)
    assert network.fingerprint() == alike.fingerprint()


@pytest.mark.parametrize("form", ["float32", "uint8", "targets"])
def test_fault_108_data_that_needs_no_conversion(backend, rng, during_fit, form):
    """Where `Network` hands the caller's own array on, the engine must copy it."""
    x = rng.integers(0, 256, (300, 30), dtype=np.uint8)
    y = rng.integers(0, 10, 300)
    if form == "float32":
        x = (x / 255).astype(np.float32)
    if form == "targets":
        y = rng.random((300, 10), dtype=np.float32)
    validation = x.copy(), y.copy()
    network, alike = make(backend), make(backend)
    kept = x.copy(), y.copy()
    seen = []

    def overwrite(progress):
        seen.append(progress.step)
        for array in (x, y, *validation):
            run_in_thread(lambda array=array: array.fill(7)).result()

    settings = {"epochs": 2, "record_every": 50}
    history = network.fit(x, y, validation_data=validation, callbacks=overwrite, **settings)
    assert history == alike.fit(*kept, validation_data=kept, **settings)
    assert network.fingerprint() == alike.fingerprint()
    assert seen[0] == 50
    assert (x == 7).all()


def test_fault_109_data_resized_meanwhile(backend, rng, during_fit):
    x = np.ascontiguousarray(rng.normal(size=(300, 30)), dtype=np.float32)
    y = rng.integers(0, 10, 300)
    kept = x.copy(), y.copy()
    network, alike = make(backend), make(backend)

    def shrink(progress):
        x.resize((0, 0), refcheck=False)  # its memory is free now
        y.resize(0, refcheck=False)
        np.full((300, 30), np.nan, np.float32)  # and taken by others

    history = network.fit(x, y, record_every=100, callbacks=shrink)
    assert x.size == y.size == 0
    assert history == alike.fit(*kept, record_every=100)
    assert network.fingerprint() == alike.fingerprint()


@pytest.mark.parametrize("view", [False, True])
def test_fault_109_data_resized_while_they_are_predicted(backend, rng, view):
    """NumPy resizes no array that has a weak reference: what the engine reads stays there."""
    # So many rows that they are not predicted at once, without letting the interpreter go.
    x = np.ascontiguousarray(rng.normal(size=(1500, 5, 6)), dtype=np.float32)
    given = x if view else x.reshape(1500, 30).copy()
    network, refused = make(backend), []
    expected = network.predict(given.copy())

    def resize():
        with pytest.raises(ValueError, match="cannot resize"):
            given.resize((0, 0), refcheck=False)
        refused.append(True)

    network._engine = Meddling(network._engine, "predict", resize)
    assert network.predict(given).tobytes() == expected.tobytes()
    assert refused == [True]


class Meddling:
    """An engine, with somebody else's hand in it just before a call."""

    def __init__(self, engine, name, meddle):
        self._engine, self._name, self._meddle = engine, name, meddle

    def __getattr__(self, name):
        method = getattr(self._engine, name)
        if name != self._name:
            return method

        def call(*arguments):
            self._meddle()
            return method(*arguments)

        return call


@pytest.mark.parametrize("labelled", [True, False])
def test_fault_108_data_changed_between_check_and_copy(backend, x, rng, labelled):
    network, alike = make(backend), make(backend)
    x = x.astype(np.float32)
    y = rng.integers(0, 10, 300) if labelled else rng.random((300, 10), np.float32)
    original = x.copy(), y.copy()

    def meddle():
        x[:] = np.nan
        y[:] = 99 if labelled else np.nan

    network._engine = Meddling(network._engine, "dataset", meddle)
    assert network.fit(x, y) == alike.fit(*original)
    assert network.fingerprint() == alike.fingerprint()


def test_fault_106_not_even_its_own_thread_reads_half_a_step(backend, x, y):
    """As the handler of a signal would, between two operations of the NumPy engine."""
    network = make(backend)
    said = []

    def meddle():
        for call in (network.fingerprint, lambda: network.predict(x), network.copy):
            with pytest.raises(RuntimeError, match="in the midst of a step") as error:
                call()
            said.append(str(error.value).partition(":")[0])

    network._engine = Meddling(network._engine, "train", meddle)
    network.fit(x, y, steps=1)
    assert said == ["fingerprint", "predict", "copy or pickle"]
    network.predict(x)


def test_fault_106_no_deadlock_where_a_handler_comes_while_the_lock_is_held(backend, x):
    network = make(backend)
    with network._guard._lock:
        assert network.predict(x).shape == (300, 10)
        network.fit(x, np.zeros(300, int), steps=1)
