"""`chainrule train`."""

import errno
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import termios
from itertools import pairwise

import numpy as np
import pytest
from cli import process
from cli.process import MODULE, started

from chainrule import SGD, Linear, Network, _report_run
from chainrule.mnist import load


@pytest.fixture(params=["rust", "numpy"])
def backend(request):
    return request.param


def test_result(model, mnist):
    path, done = model
    network = Network.load(path)
    assert network.summary() in done.output
    accuracy = network.evaluate(*mnist.test).accuracy
    assert re.search(rf"^test accuracy +{accuracy:.4f} +0\.9208$", done.output, re.MULTILINE)
    assert re.search(r"^training time +\d+\.\d\ds +1m50s$", done.output, re.MULTILINE)
    assert re.search(r"^steps +2,000 +51,419$", done.output, re.MULTILINE)
    assert re.search(r"^engine +numpy$", done.output, re.MULTILINE)
    assert done.output.endswith(f"\nsaved to {path}\n")

    classes = network.classify(mnist.test.images)
    expected = np.zeros((10, 10), int)
    np.add.at(expected, (mnist.test.labels, classes), 1)
    table = done.output.partition("true \\ predicted")[2].splitlines()[1:11]
    rows = [list(map(int, line.split())) for line in table]
    assert [row[0] for row in rows] == list(range(10))
    assert np.array([row[1:] for row in rows]).tolist() == expected.tolist()


def test_live_loss_and_accuracy(model):
    first, *lines = model[1].errors.splitlines()
    assert first == "training 784-16-16-10 on 60,000 images, engine numpy"
    form = r"step +([\d,]+)   loss (0\.\d{4})   accuracy (0\.\d{4})"
    records = [re.fullmatch(form, line).groups() for line in lines]
    assert [int(step.replace(",", "")) for step, _, _ in records] == list(range(200, 2001, 200))
    assert float(records[-1][1]) < float(records[0][1])


def test_is_what_the_library_does(model, mnist):
    """With the settings chosen for the report's run, and a rate that falls to 0."""
    path, _ = model
    scheme = _report_run.INITIALIZATION
    network = Network([784, 16, 16, 10], initialization=scheme, backend="numpy")
    network.fit(*mnist.train, steps=2000, learning_rate=Linear(_report_run.RATE))
    assert Network.load(path).fingerprint() == network.fingerprint()


def test_default_output_and_default_engine(train, here):
    done = train()
    assert done.code == 0, done.errors
    assert done.output.endswith("\nsaved to model.safetensors\n")
    assert [path.name for path in here.iterdir()] == ["model.safetensors"]
    assert re.search(r"^engine +rust [a-z0-9]+$", done.output, re.MULTILINE)


def test_same_training_saves_the_same_bytes(train, here, backend):
    for name in ("one", "other"):
        assert train("--backend", backend, "-o", name).code == 0
    assert (here / "one").read_bytes() == (here / "other").read_bytes()


def test_json_has_the_same(run, here, mnist, backend):
    done = run("train", "--steps", 200, "--json", "--backend", backend)
    assert (done.code, done.errors) == (0, "")
    result = json.loads(done.output)
    network = Network.load(here / "model.safetensors", backend=backend)
    assert result["fingerprint"] == network.fingerprint()
    assert result["steps"] == network.steps_done == 200
    assert result["output"] == "model.safetensors"
    assert result["engine"] == backend
    assert result["report"] == {"accuracy": 0.9208, "seconds": 110, "steps": 51419}
    assert result["seconds"] > 0
    assert set(result["train"]) == {"loss", "accuracy"}
    loss, accuracy = network.evaluate(*mnist.test)
    assert (result["test"]["loss"], result["test"]["accuracy"]) == (loss, accuracy)
    confusion = np.array(result["test"]["confusion"])
    assert confusion.shape == (10, 10)
    assert confusion.sum() == 10_000
    assert np.trace(confusion) == round(10_000 * accuracy)


def test_every_option(train, here, backend):
    done = train(
        "--sizes", 784, 12, 8, 10, "--activation", "tanh", "relu",
        "--output-activation", "softmax", "--loss", "cross_entropy",
        "--initialization", "he_uniform", "--dtype", "float64", "--seed", 7,
        "--batch-size", 16, "--learning-rate", 0.05, "--schedule", "constant",
        "--momentum", 0.5, "--l2", 0.001, "--threads", 2, "--backend", backend, "-o", "model",
    )  # fmt: skip
    assert done.code == 0, done.errors
    network = Network.load(here / "model", backend=backend)
    assert network.sizes == (784, 12, 8, 10)
    assert network.activation == ("tanh", "relu")
    assert (network.output_activation, network.loss) == ("softmax", "cross_entropy")
    assert (network.dtype, network.seed, network.steps_done) == (np.float64, 7, 20)
    assert repr(network.optimizer) == "SGD(learning_rate=Constant(rate=0.05), momentum=0.5)"


def test_options_mean_what_the_library_means(train, here, small, backend):
    arguments = ["--activation", "relu", "--seed", 3, "--batch-size", 32, "--learning-rate", 0.2,
                 "--momentum", 0.9, "--l2", 0.01, "--initialization", "auto"]  # fmt: skip
    assert train(*arguments, "--backend", backend, steps=30).code == 0
    network = Network([784, 16, 16, 10], activation="relu", seed=3, backend=backend)
    optimizer = SGD(Linear(0.2), momentum=0.9)
    images = load(small).train
    network.fit(*images, steps=30, batch_size=32, optimizer=optimizer, l2=0.01)
    saved = Network.load(here / "model.safetensors", backend=backend)
    assert saved.fingerprint() == network.fingerprint()


@pytest.mark.parametrize(
    ("epochs", "expected"), [(1, [2, 4, 6, 8, 10, 12, 14, 16, 17]), (2, [17, 34])]
)
def test_epochs(run, here, small, epochs, expected):
    """One has about ten records, none of a few rows only; of several each has one."""
    done = run("train", "--epochs", epochs, "--batch-size", 12, "--data", small)
    assert done.code == 0, done.errors
    assert [int(line.split()[1]) for line in done.errors.splitlines()[1:]] == expected
    assert Network.load(here / "model.safetensors").epochs_done == epochs


@pytest.mark.parametrize("length", ["--epochs", "--steps"])
def test_no_training_at_all(run, here, small, length):
    done = run("train", length, 0, "--json", "--data", small)
    assert json.loads(done.output)["train"] == {"loss": None, "accuracy": None}
    assert Network.load(here / "model.safetensors").steps_done == 0


def test_images_of_another_size(run, here):
    (here / "own").mkdir()
    process.write_small_data(here / "own", shape=(5, 4))
    done = run("train", "--data", "own", "--steps", 20, "--sizes", 20, 10)
    assert done.code == 0, done.errors
    assert "training 20-10 on 200 images" in done.errors
    assert run("evaluate", "model.safetensors", "--data", "own").code == 0
    message = run("train", "--data", "own", "--force").only_error(2)
    assert "--sizes must have 20 inputs" in message
    assert message.endswith("got 784 and 10")


@pytest.mark.parametrize("sizes", [(100, 10), (784, 9), (784, 16, 1)])
def test_sizes_that_do_not_fit_the_images(train, here, sizes):
    message = train("--sizes", *sizes).only_error(2)
    assert "--sizes must have 784 inputs" in message
    assert "at least 10 outputs" in message
    assert message.endswith(f"got {sizes[0]} and {sizes[-1]}")
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--sizes", "784"], ["sizes", "at least two"]),
        (["--sizes", "784", "0", "10"], ["sizes[1]", "at least 1"]),
        (["--activation", "sigmod"], ["activation", "did you mean 'sigmoid'?"]),
        (["--activation", "tanh", "tanh", "tanh"], ["activation", "2 hidden layers", "got 3"]),
        (["--loss", "cross_entropy", "--output-activation", "sigmoid"], ["softmax", "sigmoid"]),
        (["--seed", "-1"], ["seed", "-1"]),
        (["--batch-size", "0"], ["batch_size", "at least 1", "got 0"]),
        (["--learning-rate", "nan"], ["--learning-rate", "at least 0", "got nan"]),
        (["--learning-rate", "-1"], ["--learning-rate", "at least 0", "got -1"]),
        (["--momentum", "1"], ["momentum", "[0, 1)", "got 1"]),
        (["--l2", "-1"], ["l2", "at least 0", "got -1"]),
        (["--threads", "0"], ["threads", "at least 1", "got 0"]),
        (["--steps", "-1"], ["steps", "at least 0", "got -1"]),
        (["--data", "nowhere"], ["nowhere"]),
    ],
)
def test_value_that_cannot_be_honoured(run, here, small, arguments, parts):
    message = run("train", "--data", small, *arguments).error(2)
    for part in parts:
        assert part in message
    assert list(here.iterdir()) == []


def test_output_that_cannot_be_replaced(run, here):
    """Said before the training. To a program that runs nobody may write, not even root."""
    shutil.copy(shutil.which("sleep"), here / "busy")
    with started(["sleep", "60"], executable=here / "busy"):
        message = run("train", "--steps", 5, "--force", "-o", "busy").only_error(2)
    assert message == f"chainrule: busy: {os.strerror(errno.ETXTBSY)}"


# ---- somebody watches


@pytest.mark.parametrize("terminal", [True, False])
def test_bar_at_a_terminal_and_lines_elsewhere(here, terminal):
    ours, theirs = pty.openpty() if terminal else os.pipe()
    if terminal:
        termios.tcsetwinsize(theirs, (24, 100))
    command = [*MODULE, "train", "--steps", "2000", "--backend", "numpy"]
    process = subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # a terminal whose other end has been closed
        pass
    os.close(ours)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"saved to model.safetensors" in output
    text = shown.decode()
    bars = re.findall(r"(\d+)/2000 \[.*?, loss \d\.\d{4}, accuracy \d\.\d{4}\]", text)
    lines = re.findall(r"step +[\d,]+   loss", text)
    assert (len(bars) > 1, len(lines) == 10) == (terminal, not terminal)
    if terminal:
        assert bars[-1] == "2000"
        assert all(int(a) <= int(b) for a, b in pairwise(bars))


# ---- it is stopped


def test_ctrl_c(here):
    command = [*MODULE, "train", "--epochs", "1000", "--backend", "numpy"]
    with started(command, cwd=here) as process:
        assert process.stderr.readline().startswith("training 784-16-16-10")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert output == ""
    line = r"chainrule: interrupted after [\d,]+ steps; nothing was saved"
    assert re.fullmatch(line, errors.splitlines()[-1])
    assert "Traceback" not in errors
    assert list(here.iterdir()) == []


def test_divergence(train, here, backend):
    message = train(
        "--activation", "relu", "--output-activation", "identity",
        "--learning-rate", "1e30", "--backend", backend,
    ).error(1)  # fmt: skip
    assert "diverged in epoch 0" in message
    assert "learning_rate" in message
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [["--momentum", 1], ["--batch-size", 0], ["--l2", -1], ["--threads", 0]]
)
def test_what_fit_would_refuse_is_refused_before_the_data_are_read(run, arguments):
    line = run("train", *arguments, "--data", "nowhere").only_error(2)
    assert "nowhere" not in line
