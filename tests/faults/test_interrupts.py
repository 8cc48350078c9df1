"""Rows 99 and 101 of the table of faults: Ctrl-C, and training in another thread."""

import contextlib
import os
import signal
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from cli.process import started
from faults.fits import FOREVER, make, run_in_thread

from chainrule import DivergenceError, Network, training
from chainrule._guard import deferred_interrupts


@pytest.fixture
def x(rng):
    return rng.normal(size=(300, 30))


@pytest.fixture
def y(rng):
    return rng.integers(0, 10, 300)


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


# ---- 99: Ctrl-C


@pytest.mark.parametrize("batch_size", [1, 7])
def test_fault_099_ctrl_c_in_fit(backend, x, y, batch_size):
    network, alike = make(backend), make(backend)
    with pytest.raises(KeyboardInterrupt), ctrl_c_after(0.3) as sent:
        network.fit(x, y, epochs=FOREVER, batch_size=batch_size, learning_rate=0.01)
    assert time.monotonic() - sent[0] < 3  # a slice, on a busy machine
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
    assert time.monotonic() - sent[0] < 3  # a slice, on a busy machine
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
    cuts = (11, {27, 28}) if backend == "rust" else (43, {6, 7})
    assert (len(rows), set(rows)) == cuts
    assert sum(rows) == 300
    np.testing.assert_allclose(sliced, whole, rtol=1e-5)
    if backend == "rust":
        assert sliced.tobytes() == whole.tobytes()


def test_fault_099_ctrl_c_in_evaluate(backend, rng):
    """The same, also where a fit looks at its validation data."""
    network = Network([100, 2000, 2000, 10], activation="relu", backend=backend)
    x = rng.integers(0, 256, (100_000, 100), dtype=np.uint8)
    y = rng.integers(0, 10, len(x))
    with pytest.raises(KeyboardInterrupt), ctrl_c_after(0.3) as sent:
        network.evaluate(x, y, threads=1)
    assert time.monotonic() - sent[0] < 3  # a slice, on a busy machine
    with pytest.raises(KeyboardInterrupt), ctrl_c_after(0.5) as sent:
        network.fit(x[:1], y[:1], validation_data=(x, y))
    assert time.monotonic() - sent[0] < 3  # a slice, on a busy machine
    assert network.steps_done == 1


def test_fault_099_slices_of_an_evaluation_are_the_whole(backend, rng, monkeypatch):
    network = make(backend)
    x, y = rng.normal(size=(1000, 30)), rng.integers(0, 10, 1000)
    whole = network.evaluate(x, y)
    asked = []
    engine = network._engine

    class Watched:
        def __getattr__(self, name):
            return getattr(engine, name)

        def evaluate(self, dataset, first, rows, loss, threads):
            asked.append((first, rows))
            return engine.evaluate(dataset, first, rows, loss, threads)

    monkeypatch.setattr(training, "SLICE_MULTIPLICATIONS", 256 * network.n_parameters)
    network._engine = Watched()
    assert network.evaluate(x, y) == whole
    assert asked == [(0, 256), (256, 256), (512, 256), (768, 232)]


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
    with started(command) as process:
        assert process.stdout.readline() == "training\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=9)
    assert output == "True\n"
    assert errors == ""
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
    network = Network([30, 20, 10], output_activation="identity", backend=backend)
    network.fit(x, y, learning_rate=0.01)
    before = network.fingerprint(), network.epochs_done, network.steps_done
    network._engine = Interrupted(network._engine, 2)

    def rate(step, steps):
        return 1e38 if step else 0.01

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
            assert network._guard.writer is None
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
