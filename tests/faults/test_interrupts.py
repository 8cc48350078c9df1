"""Rows 99, 101 and 105 to 109 of the table of faults: Ctrl-C, and other threads."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from chainrule import DivergenceError, Network, training
from chainrule._guard import deferred_interrupts

FOREVER = 10**9  # steps or epochs
SIZES = [30, 20, 10]


@pytest.fixture
def x(rng):
    return rng.normal(size=(300, 30))


@pytest.fixture
def y(rng):
    return rng.integers(0, 10, 300)


def make(backend):
    return Network(SIZES, backend=backend)


@contextlib.contextmanager
def ctrl_c_after(seconds):
    """What a terminal sends, so long after the block has begun; gives when it was sent."""
    sent = []

    def send():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(seconds, send)
    timer.start()
    try:
        yield sent
    finally:
        timer.cancel()
        timer.join()


def run_in_thread(work):
    """Run work to its end in another thread; the future has its result or exception."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work)


# ---- 99: Ctrl-C


@pytest.mark.parametrize("batch_size", [1, 7])
def test_fault_099_ctrl_c_in_fit(backend, x, y, batch_size):
    network, alike = make(backend), make(backend)
    with pytest.raises(KeyboardInterrupt), ctrl_c_after(0.3) as sent:
        network.fit(x, y, epochs=FOREVER, batch_size=batch_size, learning_rate=0.01)
    assert time.monotonic() - sent[0] < 1
    assert network.steps_done > 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    # Exactly so many whole steps have been taken, and the shuffle of each epoch begun is used up.
    alike.fit(x, y, steps=network.steps_done, batch_size=batch_size, learning_rate=0.01)
    assert network.fingerprint() == alike.fingerprint()
    assert network.epochs_done == alike.epochs_done
    # Usable, and it goes on as the other does.
    assert network.predict(x).tobytes() == alike.predict(x).tobytes()
    assert network.fit(x, y) == alike.fit(x, y)
    assert network.fingerprint() == alike.fingerprint()


def test_fault_099_ctrl_c_in_predict(backend, rng):
    """Some 8e11 multiplications: many slices, seconds of work."""
    network = Network([100, 2000, 2000, 10], activation="relu", backend=backend)
    before = network.fingerprint()
    x = rng.normal(size=(200_000, 100)).astype(np.float32)
    with pytest.raises(KeyboardInterrupt), ctrl_c_after(0.3) as sent:
        network.predict(x, threads=1)
    assert time.monotonic() - sent[0] < 1
    assert network.fingerprint() == before
    assert network.predict(x[:3]).shape == (3, 10)
    network.fit(x[:3], [0, 1, 2])  # nobody is left reading


def test_fault_099_slices_of_a_prediction_are_the_whole(backend, x, monkeypatch):
    """Each row is predicted once, in its place; on Rust the bits do not tell where it was cut."""
    network = make(backend)
    whole = network.predict(x)
    rows = []
    predict = type(network._engine).predict
    monkeypatch.setattr(training, "SLICE_MULTIPLICATIONS", 7 * network.n_parameters)
    engine = network._engine

    class Watched:
        def __getattr__(self, name):
            return getattr(engine, name)

        def predict(self, x, threads):
            rows.append(len(x))
            return predict(engine, x, threads)

    network._engine = Watched()
    sliced = network.predict(x)
    assert len(rows) == 43
    assert set(rows) == {6, 7}
    assert sum(rows) == 300
    np.testing.assert_allclose(sliced, whole, rtol=1e-5)
    if backend == "rust":
        assert sliced.tobytes() == whole.tobytes()


def test_fault_099_ctrl_c_at_a_terminal():
    """A process of its own, as people run it: the default handler, nothing patched."""
    script = textwrap.dedent("""
        import sys
        import numpy as np
        import chainrule
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(300, 30)), rng.integers(0, 10, 300)
        network = chainrule.Network([30, 20, 10])
        def say(progress):
            if progress.step == 300:
                print("training", flush=True)
        try:
            network.fit(x, y, epochs=10**9, callbacks=say)
        except KeyboardInterrupt:
            alike = chainrule.Network([30, 20, 10])
            alike.fit(x, y, steps=network.steps_done)
            print(network.fingerprint() == alike.fingerprint(), flush=True)
            sys.exit(7)
    """)
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"training\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=9)
    assert output == b"True\n"
    assert errors == b""
    assert process.returncode == 7


class Interrupted:
    """An engine in whose `train` Ctrl-C comes, at the call of that number."""

    def __init__(self, engine, call):
        self.engine, self.calls = engine, call

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def train(self, *arguments):
        self.calls -= 1
        if self.calls == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return self.engine.train(*arguments)


@pytest.mark.parametrize("call", [1, 2, 5])
def test_fault_099_ctrl_c_within_a_slice_keeps_the_slice(backend, x, y, monkeypatch, call):
    monkeypatch.setattr(training, "SLICE_SECONDS", 1e-9)  # slices of one step
    network, alike = make(backend), make(backend)
    network._engine = Interrupted(network._engine, call)
    with pytest.raises(KeyboardInterrupt):
        network.fit(x, y)
    assert network.steps_done == call
    alike.fit(x, y, steps=call)
    assert network.fingerprint() == alike.fingerprint()


def test_fault_099_ctrl_c_in_a_slice_that_diverges(backend, x, y):
    """What the user gets is a KeyboardInterrupt; what is left is no network of NaN."""
    network = make(backend)
    network.fit(x, y)
    before = network.fingerprint(), network.epochs_done, network.steps_done
    network._engine = Interrupted(network._engine, 2)

    def rate(step, steps):
        return 1e39 if step else 0.1  # infinite in float32

    with pytest.raises(KeyboardInterrupt) as caught:
        network.fit(x, y, learning_rate=rate)
    assert isinstance(caught.value.__context__, DivergenceError)
    assert (network.fingerprint(), network.epochs_done, network.steps_done) == before


def test_fault_099_ctrl_c_at_any_moment_leaves_no_mark(backend, x, y):
    """A network that an interrupted call left marked as busy could never be trained again."""
    network = make(backend)
    interrupted = 0
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for moment in range(300):
            with contextlib.suppress(KeyboardInterrupt):
                try:
                    signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + moment % 60))
                    while True:
                        with network._guard.reading("a test"):
                            pass
                        with network._guard.writing("a test"):
                            pass
                except KeyboardInterrupt:
                    interrupted += 1
                    raise
            assert network._guard._writer is None
            assert not network._guard._readers
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.alarm(9)
    assert interrupted == 300


def test_fault_099_what_the_process_wants_of_ctrl_c_stays(backend, x, y):
    """Ignored stays ignored; a handler of the program's own is called, after the slice."""
    network = make(backend)
    network._engine = Interrupted(network._engine, 1)
    calls = []

    def own(number, frame):
        calls.append((number, network.steps_done))

    for handler in (signal.SIG_IGN, own):
        before = signal.signal(signal.SIGINT, handler)
        try:
            network.fit(x, y)
            assert signal.getsignal(signal.SIGINT) is handler
        finally:
            signal.signal(signal.SIGINT, before)
        network._engine.calls = 1
    assert network.steps_done == 600
    assert calls == [(signal.SIGINT, 301)]


def test_fault_099_deferred_interrupts_come_once():
    seen = []

    @deferred_interrupts()
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        seen.append("the block ends")

    with pytest.raises(KeyboardInterrupt):
        twice()
    assert seen == ["the block ends"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# ---- 101: other threads than the main one


def test_fault_101_train_in_another_thread(backend, x, y):
    network, alike = make(backend), make(backend)
    history = run_in_thread(lambda: network.fit(x, y, epochs=2, batch_size=7)).result()
    assert history == alike.fit(x, y, epochs=2, batch_size=7)
    assert network.fingerprint() == alike.fingerprint()


def test_fault_101_ctrl_c_reaches_the_main_thread_only(backend, x, y):
    network, alike = make(backend), make(backend)
    began, stop = threading.Event(), threading.Event()

    def callback(progress):
        began.set()
        return stop.is_set()

    thread = threading.Thread(
        target=network.fit, args=(x, y), kwargs={"epochs": FOREVER, "callbacks": callback}
    )
    thread.start()
    assert began.wait(5)
    try:
        with pytest.raises(KeyboardInterrupt), ctrl_c_after(0.01):
            time.sleep(5)
        assert thread.is_alive()
    finally:
        stop.set()
        thread.join()
    alike.fit(x, y, steps=network.steps_done)
    assert network.fingerprint() == alike.fingerprint()


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
    assert seen[0][0] == tuple(SIZES)


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
