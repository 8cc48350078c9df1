"""Rows 102 and 103 of the table of faults: a process that is forked."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="not run: there is no fork here")

# A child that hangs is killed by its alarm.
BEGIN = """
import os, signal, sys, threading, time, warnings
import numpy as np
from chainrule import Network
warnings.simplefilter("ignore", DeprecationWarning)  # that forks and threads do not go together
rng = np.random.default_rng(0)
x, y = rng.normal(size=(1000, 300)).astype(np.float32), rng.integers(0, 10, 1000)
def make():
    return Network([300, 100, 10], seed=1, backend=sys.argv[1])
def in_child(work):
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        os._exit(0 if work() else 1)
    status = os.waitpid(child, 0)[1]
    assert status == 0, f"the child ended with {status}"
"""

AFTER_USE = """
def train():
    network = make()
    network.fit(x, y, batch_size=250, threads=2)
    return network.fingerprint()
expected = train()
in_child(lambda: train() == expected)
"""

WHILE_ANOTHER_THREAD_PREDICTS = """
network = make()
expected, stop = network.predict(x[:500], threads=1).tobytes(), threading.Event()
def predict():
    while not stop.is_set():
        network.predict(x, threads=2)
def answers():
    return all(network.predict(x[:500], threads=n).tobytes() == expected for n in (1, 2))
thread = threading.Thread(target=predict)
thread.start()
try:
    for _ in range(20):
        time.sleep(0.005)
        in_child(answers)
finally:
    stop.set()
    thread.join()
"""

WHILE_ANOTHER_THREAD_TRAINS = """
network, other = make(), make()
expected, stop = other.copy(), threading.Event()
expected.fit(x, y, batch_size=250, threads=1)
def train():
    copy = other.copy()
    copy.fit(x, y, batch_size=250, threads=2)
    return copy.fingerprint() == expected.fingerprint()
thread = threading.Thread(
    target=network.fit, args=(x, y),
    kwargs={"epochs": 10**9, "batch_size": 250, "callbacks": lambda progress: stop.is_set()},
)
thread.start()
try:
    for _ in range(5):
        time.sleep(0.005)
        in_child(train)
finally:
    stop.set()
    thread.join()
"""


def run(backend, script):
    command = [sys.executable, "-c", BEGIN + script, backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_fault_102_the_child_trains(backend):
    run(backend, AFTER_USE)


# NumPy's engine has no say in what its BLAS does then.


def test_fault_103_while_another_thread_predicts():
    run("rust", WHILE_ANOTHER_THREAD_PREDICTS)


def test_fault_103_while_another_thread_trains():
    run("rust", WHILE_ANOTHER_THREAD_TRAINS)
