"""`chainrule evaluate`, `predict` and `info`."""

import gzip
import json
import platform
import re

import numpy as np
import pytest
from cli.process import idx

import chainrule
from chainrule import Network, _report_run


@pytest.fixture(params=["rust", "numpy"])
def backend(request):
    return request.param


def save(network, path):
    network.save(path)
    return path


# ---- evaluate


def test_evaluate(run, model, mnist, backend):
    path, _ = model
    done = run("evaluate", path, "--backend", backend)
    assert (done.code, done.errors) == (0, "")
    network = Network.load(path, backend=backend)
    loss, accuracy = network.evaluate(*mnist.test)
    first, second, empty, head, *rows = done.output.splitlines()
    assert first == f"test loss      {loss:.6f}"
    assert second == f"test accuracy  {accuracy:.4f}"
    assert empty == ""
    assert head.split() == ["true", "\\", "predicted", *"0123456789"]
    table = np.array([list(map(int, row.split())) for row in rows])
    assert table.shape == (10, 11)
    assert table[:, 1:].sum() == 10_000
    assert np.trace(table[:, 1:]) == round(10_000 * accuracy)
    assert table[:, 1:].sum(axis=1).tolist() == np.bincount(mnist.test.labels).tolist()


def test_evaluate_json(run, model, mnist, backend):
    path, _ = model
    done = run("evaluate", path, "--backend", backend, "--json")
    result = json.loads(done.output)
    network = Network.load(path, backend=backend)
    assert (result["loss"], result["accuracy"]) == network.evaluate(*mnist.test)
    assert np.array(result["confusion"]).sum() == 10_000


def test_evaluate_is_what_train_printed(run, model):
    path, trained = model
    table = run("evaluate", path, "--backend", "numpy").output.partition("true")[2]
    assert table.rstrip() in trained.output


@pytest.mark.parametrize("sizes", [(5, 10), (784, 1), (784, 9)])
def test_evaluate_a_network_for_something_else(run, here, sizes):
    path = save(Network(sizes), here / "other.safetensors")
    message = run("evaluate", path).only_error(2)
    assert f"{path}: the network must have 784 inputs" in message
    assert message.endswith(f"got {sizes[0]} and {sizes[1]}")


# ---- predict


@pytest.mark.parametrize("zipped", [False, True])
def test_predict(run, here, model, mnist, backend, zipped):
    path, _ = model
    images = mnist.test.images[:25]
    content = idx(images)
    (here / "images").write_bytes(gzip.compress(content) if zipped else content)
    done = run("predict", path, "images", "--backend", backend)
    assert (done.code, done.errors) == (0, "")
    network = Network.load(path, backend=backend)
    outputs, classes = network.predict(images), network.classify(images)
    assert done.output.splitlines() == [
        f"{i}\t{classes[i]}\t{outputs[i].max():.4f}" for i in range(25)
    ]
    result = json.loads(run("predict", path, "images", "--backend", backend, "--json").output)
    assert result["classes"] == classes.tolist()
    assert np.float32(result["outputs"]).tobytes() == outputs.tobytes()


def test_predict_one_image_and_none(run, here, model, mnist):
    path, _ = model
    for images, expected in ((mnist.test.images[:1], 1), (mnist.test.images[:0], 0)):
        (here / "images").write_bytes(idx(images))
        done = run("predict", path, "images")
        assert done.code == 0, done.errors
        assert len(done.output.splitlines()) == expected


def test_predict_one_output(run, here):
    path = save(Network([4, 1], loss="binary_cross_entropy"), here / "binary")
    (here / "images").write_bytes(idx(np.array([[[0, 9], [255, 1]]], np.uint8)))
    assert re.fullmatch(r"0\t[01]\t0\.\d{4}\n", run("predict", path, "images").output)
    path = save(Network([4, 1], output_activation="tanh"), here / "tanh")
    message = run("predict", path, "images").only_error(2)
    assert "images with" in message
    assert "classify needs two outputs or one sigmoid output" in message


@pytest.mark.parametrize("shape", [(9, 8, 8), (9,), (9, 783)])
def test_predict_images_of_another_size(run, here, model, shape):
    """The file is named, and the model: either may be the wrong one."""
    (here / "images").write_bytes(idx(np.zeros(shape, np.uint8)))
    message = run("predict", model[0], "images").only_error(2)
    assert f"images with {model[0]}: x must have shape (n, 784); got " in message


def test_predict_what_json_cannot_say(run, here):
    """Finite parameters can make an infinite output: null, for JSON has no such number."""
    network = Network([2, 2], output_activation="identity")
    network.set_parameters([np.full((2, 2), [[3e38], [0.0]])], [np.zeros(2)])
    (here / "images").write_bytes(idx(np.full((1, 1, 2), 255, np.uint8)))
    done = run("predict", save(network, here / "model"), "images", "--json")
    assert json.loads(done.output, parse_constant=pytest.fail)["outputs"] == [[None, 0.0]]


# ---- info


def test_info_of_a_model(run, model, backend):
    path, _ = model
    done = run("info", path, "--backend", backend)
    assert (done.code, done.errors) == (0, "")
    network = Network.load(path, backend=backend)
    assert done.output == (
        f"{network.summary()}\n\n"
        "epochs done  1\n"
        "steps done   2000\n"
        "seed         0\n"
        f"optimizer    {network.optimizer}\n"
        "exactness    1\n"
        f"fingerprint  {network.fingerprint()}\n"
    )


def test_info_of_a_model_json(run, model):
    path, _ = model
    assert json.loads(run("info", path, "--json").output) == {
        "sizes": [784, 16, 16, 10],
        "activations": ["sigmoid"] * 3,
        "loss": "squared_error",
        "dtype": "float32",
        "parameters": 13002,
        "epochs_done": 1,
        "steps_done": 2000,
        "seed": 0,
        "optimizer": {
            "name": "sgd",
            "learning_rate": {"schedule": "linear", "start": _report_run.RATE, "end": 0.0},
            "momentum": 0.0,
        },
        "exactness": 1,
        "fingerprint": Network.load(path).fingerprint(),
    }


def test_info_of_the_installation(run, backend):
    done = run("info", "--backend", backend, "--threads", 3)
    assert (done.code, done.errors) == (0, "")
    shown = dict(line.split(maxsplit=1) for line in done.output.splitlines())
    assert shown["version"] == chainrule.__version__
    assert shown["engine"] == backend
    assert shown["threads"] == "3"
    assert shown["exactness"] == "1"
    assert shown["numpy"] == np.__version__
    assert shown["python"] == platform.python_version()
    found = json.loads(run("info", "--backend", backend, "--threads", 3, "--json").output)
    assert found["engine"] == backend
    assert found["threads"] == 3
    assert "portable" in found["isas"]
    assert shown["isas"] == ", ".join(found["isas"])
    assert shown["isa"] == (found["isa"] or "-")
    assert (found["isa"] in found["isas"]) == (backend == "rust")


def test_threads_of_a_command_that_needs_none(run, model):
    message = run("info", model[0], "--threads", 0).only_error(2)
    assert message.endswith("threads must be at least 1; got 0")


def test_instruction_set_for_an_engine_that_takes_none(run):
    message = run("info", "--backend", "numpy", env={"CHAINRULE_ISA": "portable"}).only_error(2)
    assert "CHAINRULE_ISA is 'portable', but NumPy chooses" in message


def test_info_follows_the_environment(run):
    env = {"CHAINRULE_ISA": "portable", "CHAINRULE_THREADS": "2", "CHAINRULE_BACKEND": "rust"}
    found = json.loads(run("info", "--json", env=env).output)
    assert (found["isa"], found["threads"], found["engine"]) == ("portable", 2, "rust")
    assert (
        json.loads(run("info", "--json", env={"CHAINRULE_BACKEND": "numpy"}).output)["isa"] is None
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("CHAINRULE_ISA", "mmx"), ("CHAINRULE_THREADS", "many"), ("CHAINRULE_BACKEND", "torch")],
)
def test_environment_that_cannot_be_honoured(run, name, value):
    message = run("info", env={name: value}).only_error(2)
    assert name in message
    assert repr(value) in message
