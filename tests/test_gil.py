"""While the Rust engine works, other Python threads run."""

import _thread
import sys
import threading
import time

import numpy as np
import pytest

from chainrule import Network
from chainrule._backend import Totals


@pytest.fixture
def another_thread_runs_during():
    """`another_thread_runs_during(call)`: whether another thread ran before the call returned.

    The other thread waits for a lock that is opened just before the call. From then on it wants
    only the interpreter, which this thread, with a switch interval of 100 s, does not hand over
    unless the call itself lets it go.
    """
    interval = sys.getswitchinterval()
    gate, ran = _thread.allocate_lock(), threading.Event()

    def wait_and_set():
        with gate:
            ran.set()

    def run(call):
        gate.acquire()
        thread = threading.Thread(target=wait_and_set)
        thread.start()
        time.sleep(0.05)  # it is at the gate now
        sys.setswitchinterval(100)
        try:
            gate.release()
            call()
            return ran.is_set()
        finally:
            sys.setswitchinterval(interval)
            thread.join()

    return run


@pytest.fixture
def work(rng):
    """A network on Rust, rows for it, and a dataset of them: a call takes some 0.3 s."""
    network = Network([784, 500, 10], backend="rust")
    x = rng.integers(0, 256, (1500, 784), dtype=np.uint8)
    dataset = network._engine.dataset(x, rng.integers(0, 10, len(x)), None, 1, 0)
    return network, x, dataset


def test_one_call_of_train(another_thread_runs_during, work):
    network, x, dataset = work
    done = []

    def call():
        rates = np.full(len(x), 0.01)
        done.append(network._engine.train(dataset, 0, 0, rates, 0.0, 0.0, 1, Totals()))

    assert another_thread_runs_during(call)
    assert done[0][1:] == (1500, None)


@pytest.mark.parametrize("what", ["predict", "evaluate", "gradients"])
def test_one_call_that_only_reads(another_thread_runs_during, work, what):
    network, x, dataset = work
    engine = network._engine
    call = {
        "predict": lambda: engine.predict(x, 1),
        "evaluate": lambda: engine.evaluate(dataset, 0, len(x), 0.0, 1),
        "gradients": lambda: engine.gradients(dataset),
    }[what]
    assert another_thread_runs_during(call)


def test_python_itself_does_not_let_go(another_thread_runs_during):
    """What the fixture would say of an engine that holds on to the interpreter."""

    def call():
        end = time.perf_counter() + 0.3
        while time.perf_counter() < end:
            pass

    assert not another_thread_runs_during(call)
