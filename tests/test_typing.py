"""The types that users see: a program of theirs passes `mypy --strict`, and its slips do not."""

import subprocess
import sys

import pytest

PROGRAM = """\
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

import chainrule
from chainrule import SGD, Activation, Evaluation, Gradients, History, LayerTrace, Linear
from chainrule import Network, Progress


def stop(progress: Progress) -> bool:
    assert_type(progress.network, Network)
    return progress.history.loss[-1] < 0.1 and progress.step > 10 and progress.epoch > 1


def rate(step: int, steps: int) -> float:
    return 0.5 * (steps - step) / steps


class Named(Network):
    def __init__(self, name: str) -> None:
        super().__init__((784, 16, 10), activation=["tanh"], loss="cross_entropy", seed=None)
        self.name = name


train, test = chainrule.mnist.load()
hidden: Activation = "relu"
network = Network([784, 16, 10], activation=hidden, dtype=np.float64, backend=chainrule.BACKEND)
again = Network(
    network.sizes,
    activation=network.activation,
    output_activation=network.output_activation,
    loss=network.loss,
    dtype=network.dtype,
    seed=network.seed,
    backend=network.backend,
)
history = network.fit(
    *train,
    steps=100,
    batch_size=32,
    optimizer=SGD(Linear(0.1), momentum=0.9),
    validation_data=test,
    record_every=10,
    callbacks=[stop],
    progress=False,
    threads=2,
)
assert_type(history, History)
assert_type(history.accuracy, list[float | None])
again.fit([[0.0, 1.0]], [[1.0]], learning_rate=rate, callbacks=stop)
assert_type(network.evaluate(*test), Evaluation)
assert_type(network.evaluate(*test).accuracy, float | None)
assert_type(network.classify(test.images), NDArray[np.int64])
assert_type(network.gradients(*test), Gradients)
assert_type(network.numerical_gradients(*test, epsilon=1e-5), Gradients)
assert_type(network.trace(*test), list[LayerTrace])
assert_type(network.optimizer, SGD)
assert_type(network.summary() + network.fingerprint(), str)
network.set_parameters(again.weights, again.biases)
network.set_flat_parameters(again.parameters)
assert_type(Named("a").copy(), Named)
assert_type(Named.load("model", backend="numpy"), Named)
try:
    network.save("model")
except chainrule.DivergenceError as error:
    assert_type(error.history, History)

Network([784, 10], activation="sigmod")  # wrong
Network([784, 10], backend="torch")  # wrong
Network([784, 10], "tanh")  # wrong
Network(784)  # wrong
network.fit(*train, lr=0.1)  # wrong
network.fit(*train, optimizer="sgd")  # wrong
network.fit(*train, callbacks=[rate])  # wrong
network.sizes = (784, 10)  # wrong
network.evaluate(*test).acc  # wrong
network.epochs  # wrong
chainrule.netwrok  # wrong
"""


def test_types_of_the_public_face(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    options = ["--strict", "--config-file=", f"--cache-dir={tmp_path / 'cache'}"]
    command = [sys.executable, "-m", "mypy", *options, "program.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    found = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error: " in line}
    lines = PROGRAM.splitlines()
    wrong = {number for number, line in enumerate(lines, start=1) if line.endswith("# wrong")}
    assert found == wrong, done.stdout + done.stderr
