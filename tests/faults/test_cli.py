"""Rows 125 to 129 of the table of faults: the command line."""

import os
import re
import signal
import subprocess

import numpy as np
import pytest
from cli.process import MODULE, SCRIPT, Done, call, idx, run, started, write_small_data

from chainrule import Network


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    Network([784, 4, 10], backend="numpy").save(path)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """For trainings that need not learn."""
    return write_small_data(tmp_path_factory.mktemp("small"))


@pytest.fixture(params=[MODULE, SCRIPT], ids=["module", "script"])
def program(request):
    return request.param


# ---- 125: usage and files


@pytest.mark.parametrize(
    "arguments",
    [["--no-such-option"], ["train", "--stpes", "5"], ["info", "--backnd", "numpy"],
     ["train", "--step", "5"]],
)  # fmt: skip
def test_fault_125_unknown_option(tmp_path, program, arguments):
    message = run(*arguments, program=program, cwd=tmp_path).only_error(2)
    option = next(part for part in arguments if part.startswith("--"))
    if arguments[0] == option:
        assert "COMMAND" in message  # which is missing, too
    else:
        assert f"unrecognized arguments: {option}" in message
    assert "--help" in message


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["trian"], ["COMMAND", "'trian'", "'train'"]),
        (["train", "--steps", "many"], ["--steps", "'many'"]),
        (["train", "--steps", "5", "--epochs", "5"], ["--epochs", "--steps"]),
        (["train", "--backend", "torch"], ["--backend", "'torch'", "'rust'"]),
        (["train", "--loss", "mse"], ["--loss", "'mse'", "'squared_error'"]),
        (["train", "--output"], ["--output", "expected one argument"]),
    ],
)
def test_fault_125_wrong_value(tmp_path, arguments, parts):
    message = call(*arguments, cwd=tmp_path).only_error(2)
    for part in parts:
        assert part in message


@pytest.mark.parametrize("command", ["info", "evaluate", "predict"])
def test_fault_125_missing_model(tmp_path, program, command):
    arguments = [command, "no/such.safetensors", *["images"] * (command == "predict")]
    message = run(*arguments, program=program, cwd=tmp_path).only_error(2)
    assert message == (
        "chainrule: no/such.safetensors: No such file or directory; "
        "'chainrule train' makes a model file"
    )


def test_fault_125_missing_images_and_folders(tmp_path, model):
    message = call("predict", model, "no-images", cwd=tmp_path).only_error(2)
    assert message == "chainrule: no-images: No such file or directory"
    message = call("evaluate", model, "--data", "no-folder", cwd=tmp_path).only_error(2)
    assert "no-folder" in message
    message = call("train", "-o", "no-folder/model", cwd=tmp_path).only_error(2)
    assert str(tmp_path / "no-folder") in message
    assert "No such file or directory" in message


@pytest.mark.parametrize("command", ["info", "evaluate", "predict"])
def test_fault_125_file_that_is_no_model(tmp_path, command):
    (tmp_path / "text").write_text("not a model at all", encoding="ascii")
    arguments = [command, "text", *["text"] * (command == "predict")]
    assert "text: " in call(*arguments, cwd=tmp_path).only_error(2)


def test_fault_125_file_that_is_no_idx(tmp_path, model):
    (tmp_path / "text").write_text("not images at all", encoding="ascii")
    assert "text: expected " in call("predict", model, "text", cwd=tmp_path).only_error(2)


# ---- 126: failure, Ctrl-C


@pytest.mark.parametrize("engine", ["rust", "numpy"])
def test_fault_126_failure(tmp_path, small, engine):
    done = run(
        "train", "--data", small, "--steps", 100,
        "--activation", "relu", "--output-activation", "identity",
        "--learning-rate", "1e30", "--backend", engine, cwd=tmp_path,
    )  # fmt: skip
    message = done.error(1)
    assert re.search(r"diverged in epoch 0: layer \d .* learning_rate usually helps", message)
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("engine", ["rust", "numpy"])
def test_fault_126_ctrl_c(tmp_path, small, program, engine):
    command = [*program, "train", "--data", str(small), "--epochs", "100000", "--backend", engine]
    with started(command, cwd=tmp_path) as process:
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=9)
    message = Done(process.returncode, output, first + errors).error(130)
    assert re.fullmatch(r"chainrule: interrupted after [\d,]+ steps; nothing was saved", message)
    assert not (tmp_path / "model.safetensors").exists()


# ---- 127: the output file exists


def test_fault_127_output_exists(tmp_path, program):
    output = tmp_path / "model.safetensors"
    output.write_bytes(b"precious")
    message = run("train", "--steps", 5, program=program, cwd=tmp_path).only_error(2)
    assert message == (
        "chainrule: model.safetensors: the output file exists; pass --force to replace it"
    )
    assert output.read_bytes() == b"precious"  # and nothing was said of any training


def test_fault_127_output_is_replaced_if_told_so(tmp_path, small):
    output = tmp_path / "model.safetensors"
    output.write_bytes(b"not precious")
    done = call(
        "train", "--data", small, "--steps", 5, "--force", "--backend", "numpy", cwd=tmp_path
    )
    assert done.code == 0, done.errors
    assert Network.load(output).steps_done == 5


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize(
    ("output", "part"), [("folder", "is a folder"), ("fifo", "device or the like")]
)
def test_fault_127_output_that_is_no_file(tmp_path, force, output, part):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    message = call("train", "--steps", 5, "-o", output, *force, cwd=tmp_path).only_error(2)
    assert message.startswith(f"chainrule: {output}: ")
    assert part in message


def test_fault_127_force_of_a_training_that_fails_replaces_nothing(tmp_path, small):
    output = tmp_path / "model.safetensors"
    output.write_bytes(b"precious")
    call(
        "train",
        "--data",
        small,
        "--steps",
        5,
        "--force",
        "--learning-rate",
        "1e38",
        "--output-activation",
        "identity",
        cwd=tmp_path,
    ).error(1)
    assert output.read_bytes() == b"precious"


# ---- 128: the reader goes


def piped(command, reader, tmp_path):
    """`command | reader`: its exit code, what it said on standard error, what the reader got."""
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe) as writer,
        subprocess.Popen(reader, stdin=writer.stdout, stdout=pipe) as head,
    ):
        writer.stdout.close()
        errors = writer.stderr.read()
        return writer.wait(9), errors, head.stdout.read()


def test_fault_128_head(tmp_path, model, program):
    images = tmp_path / "images"
    images.write_bytes(idx(np.zeros((60_000, 784), np.uint8)))  # more lines than a pipe holds
    code, errors, got = piped([*program, "predict", model, images], ["head", "-n", "1"], tmp_path)
    assert got.startswith(b"0\t")
    assert errors == b""
    assert code == 141


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("arguments", [["--help"], ["info"]])
def test_fault_128_reader_that_reads_nothing(arguments, buffered):
    """What is left in the buffer is told to nobody, at exit either."""
    read, write = os.pipe()
    os.close(read)
    env = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    with subprocess.Popen(
        [*MODULE, *arguments], stdout=write, stderr=subprocess.PIPE, env=env
    ) as process:
        os.close(write)
        assert process.stderr.read() == b""
        # Unbuffered, it is argparse that writes the help, and it takes no notice.
        assert process.wait(9) == (141 if buffered or arguments == ["info"] else 0)


def test_fault_128_train_into_a_pipe_that_nobody_reads(tmp_path, small):
    """The result cannot be shown; the model is saved all the same."""
    read, write = os.pipe()
    os.close(read)
    command = [*MODULE, "train", "--data", str(small), "--steps", "5", "--backend", "numpy"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(write)
        errors = process.stderr.read()
        assert process.wait(9) == 141
    assert "Traceback" not in errors
    assert "Exception" not in errors
    assert Network.load(tmp_path / "model.safetensors").steps_done == 5


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_fault_128_no_standard_streams(tmp_path, small, model, closed):
    images = tmp_path / "images"
    images.write_bytes(idx(np.zeros((2, 784), np.uint8)))
    for arguments in (
        f"info {model}",
        f"predict {model} images",
        f"train --data {small} --steps 5 --backend numpy --force",
    ):
        script = f"{' '.join(MODULE)} {arguments} {closed}"
        done = subprocess.run(script, shell=True, cwd=tmp_path, capture_output=True, timeout=9)
        assert done.returncode == 0, (arguments, done)
        assert b"Traceback" not in done.stderr
        assert not (done.stdout and ">&-" in closed.split()), arguments
    script = f"{' '.join(MODULE)} info none {closed}"
    done = subprocess.run(script, shell=True, cwd=tmp_path, capture_output=True, timeout=9)
    assert done.returncode == 2
    assert done.stdout == b""


def test_fault_128_full_disk(tmp_path):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*MODULE, "info"], stdout=full, stderr=subprocess.PIPE, timeout=9, text=True
        )
    assert done.returncode == 2
    assert done.stderr == "chainrule: No space left on device\n"


# ---- 129: poor surroundings


@pytest.mark.parametrize("encoding", [{}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0"}])
def test_fault_129_language_c(tmp_path, small, encoding):
    """And a path that ASCII cannot write, which is escaped, not fatal."""
    env = {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", **encoding}
    command = [
        *MODULE,
        "train",
        "--data",
        str(small),
        "--steps",
        "5",
        "--backend",
        "numpy",
        "-o",
        "zahlen-äöü-数",
    ]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **env}, capture_output=True, timeout=9
    )
    assert done.returncode == 0, done.stderr
    assert b"\nsaved to zahlen-" in done.stdout
    assert (tmp_path / "zahlen-äöü-数").is_file()
    done = subprocess.run(
        [*MODULE, "info", "fehlt-ä"], cwd=tmp_path, env={**os.environ, **env}, capture_output=True,
        timeout=9,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(b"chainrule: fehlt-")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "info", "help"])
def test_fault_129_output_is_ascii_without_a_terminal(tmp_path, small, model, command):
    """No terminal on any stream, no environment to speak of; `run` sees to the ASCII."""
    images = tmp_path / "images"
    images.write_bytes(idx(np.zeros((2, 784), np.uint8)))
    arguments = {
        "train": ["train", "--data", small, "--steps", 5, "-o", "other", "--backend", "numpy"],
        "evaluate": ["evaluate", model, "--data", small],
        "predict": ["predict", model, images],
        "info": ["info", model],
        "help": ["train", "--help"],
    }[command]
    done = run(*arguments, cwd=tmp_path, env={"LC_ALL": "C", "TERM": "dumb"})
    assert done.code == 0, done.errors
    assert "\x1b" not in done.output + done.errors
    assert "\r" not in done.output + done.errors


def test_fault_129_folder_that_cannot_be_written(tmp_path, small, model):
    """/proc is one for root, too. What needs no file there works; what does fails at once."""
    done = run("evaluate", model, "--data", small, cwd="/proc")
    assert (done.code, done.errors) == (0, "")
    elsewhere = tmp_path / "elsewhere"
    done = run(
        "train", "--data", small, "--steps", 5, "--backend", "numpy", "-o", elsewhere, cwd="/proc"
    )
    assert done.code == 0, done.errors
    assert Network.load(elsewhere).steps_done == 5
    message = run("train", "--steps", 5, cwd="/proc").only_error(2)
    assert message.startswith("chainrule: /proc: no model can be saved in this folder (")
