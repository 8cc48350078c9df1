"""`chainrule train --plot FILE`."""

import errno
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from cli.process import MODULE, run

from chainrule import plots
from chainrule.cli import _plot

STARTS = {"png": b"\x89PNG\r\n", "svg": b"<?xml", "pdf": b"%PDF-"}


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.pdf", "A.PNG", "a.b.svg"])
def test_writes_the_kind_that_the_name_says(train, here, name):
    done = train("--plot", name)
    assert done.code == 0, done.errors
    assert done.output.endswith(f"\nsaved to model.safetensors\nplotted in {name}\n")
    assert sorted(path.name for path in here.iterdir()) == sorted([name, "model.safetensors"])
    assert (here / name).read_bytes().startswith(STARTS[name[-3:].lower()])


def test_draws_the_training_and_its_test(train, monkeypatch):
    figures = []

    def render(figure, kind):
        figures.append(figure)
        return kind.encode()

    monkeypatch.setattr(plots, "render", render)
    done = train("--plot", "a.svg", "--json", steps=150)
    result = json.loads(done.output)
    loss, accuracy, confusion = figures[0].axes
    assert [axes.get_ylabel() for axes in figures[0].axes] == ["loss", "accuracy", "true"]
    assert loss.lines[0].get_xdata().tolist() == list(range(15, 151, 15))
    assert loss.lines[0].get_ydata()[-1] == result["train"]["loss"]
    assert accuracy.lines[0].get_ydata()[-1] == result["train"]["accuracy"]
    drawn = sum(image.get_array().filled(0) for image in confusion.images)
    assert drawn.tolist() == result["test"]["confusion"]
    assert loss.get_title(loc="left") == "784-16-16-10, 150 steps, seed 0"
    test_accuracy = np.trace(result["test"]["confusion"]) / 200
    assert confusion.get_title(loc="left") == f"test accuracy {test_accuracy:.4f}"


def test_changes_nothing_but_one_line(train, here):
    without, with_ = train("-o", "a"), train("-o", "b", "--plot", "b.svg")
    assert (here / "a").read_bytes() == (here / "b").read_bytes()
    assert without.errors == with_.errors
    assert without.output.count("\n") + 1 == with_.output.count("\n")


def test_same_training_draws_the_same_bytes(train, here):
    for name in ("a.svg", "b.svg"):
        assert train("--plot", name, "--force").code == 0
    assert (here / "a.svg").read_bytes() == (here / "b.svg").read_bytes()


def test_json_names_the_plot(train):
    assert json.loads(train("--json").output)["plot"] is None
    assert json.loads(train("--json", "--force", "--plot", "a.png").output)["plot"] == "a.png"


def test_no_step_at_all(train):
    assert train("--plot", "a.png", steps=0).code == 0


@pytest.mark.parametrize("name", ["a", "a.jpg", "png", ".png", "a.png.gz", "a."])
def test_unknown_kind(train, here, name):
    message = train("--plot", name).only_error(2)
    assert message == f"chainrule: {name}: the name of a plot must end in one of .png, .svg, .pdf"
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("name", ["a.png", "./a.png", "link.png"])
def test_same_file_as_the_model(train, here, name):
    (here / "link.png").symlink_to("a.png")
    message = train("--plot", name, "-o", "a.png").only_error(2)
    assert "--plot and --output must name two files" in message


def test_fault_125_matplotlib_is_missing(train, here, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = train("--plot", "a.png").only_error(2)
    assert message.endswith("pip install 'chainrule[plots]'")
    assert "matplotlib" in message
    assert list(here.iterdir()) == []
    assert train().code == 0


def test_fault_127_plot_exists(train, here):
    (here / "a.png").write_bytes(b"precious")
    message = train("--plot", "a.png").only_error(2)
    assert message == "chainrule: a.png: the output file exists; pass --force to replace it"
    assert (here / "a.png").read_bytes() == b"precious"
    assert train("--plot", "a.png", "--force").code == 0
    assert (here / "a.png").read_bytes().startswith(STARTS["png"])


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_fault_127_plot_that_is_no_file(train, here, force):
    (here / "folder.png").mkdir()
    os.mkfifo(here / "fifo.png")
    assert "is a folder" in train("--plot", "folder.png", *force).only_error(2)
    assert "device or the like" in train("--plot", "fifo.png", *force).only_error(2)
    assert "No such file" in train("--plot", "no-folder/a.png", *force).only_error(2)


def test_fault_127_force_of_a_training_that_fails_replaces_nothing(train, here):
    (here / "a.png").write_bytes(b"precious")
    train(
        "--plot", "a.png", "--force", "--learning-rate", "1e38", "--output-activation", "identity"
    ).error(1)
    assert (here / "a.png").read_bytes() == b"precious"


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_disk_that_fills_up_costs_the_plot_only(train, here, monkeypatch, form):
    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(_plot, "_files", SimpleNamespace(write=full))
    done = train("--plot", "a.png", *form)
    assert done.code == 2
    assert done.errors.endswith("chainrule: a.png: No space left on device\n")
    assert "plotted" not in done.output
    assert '"plot": null' in done.output if form else "test accuracy" in done.output
    assert [path.name for path in here.iterdir()] == ["model.safetensors"]


def test_fault_128_plot_of_a_training_that_nobody_reads(small, here):
    read, write = os.pipe()
    os.close(read)
    arguments = ["train", "--data", small, "--steps", 5, "--plot", "a.svg"]
    command = [*MODULE, *map(str, arguments)]
    with subprocess.Popen(command, cwd=here, stdout=write, stderr=subprocess.PIPE) as process:
        os.close(write)
        assert b"Traceback" not in process.stderr.read()
        assert process.wait(30) == 141
    assert (here / "a.svg").read_bytes().startswith(STARTS["svg"])


def test_fault_129_no_display_no_home_and_a_folder_that_cannot_be_written(small, here):
    """matplotlib would tell of a cache that it cannot keep."""
    env = {"LC_ALL": "C", "HOME": "/proc", "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": "",
           "MPLCONFIGDIR": "", "DISPLAY": "", "TMPDIR": str(here)}  # fmt: skip
    plot = here / "a.png"
    arguments = ["train", "--data", small, "--steps", 5, "-o", here / "model", "--plot", plot]
    done = run(*arguments, cwd="/proc", env=env)
    assert done.code == 0, done.errors
    assert [line.split()[0] for line in done.errors.splitlines()] == ["training"] + ["step"] * 5
    assert plot.read_bytes().startswith(STARTS["png"])
    message = run("train", "--steps", 5, "-o", here / "other", "--plot", "a.png", cwd="/proc")
    message = message.only_error(2)
    assert message.startswith("chainrule: /proc: no plot can be saved in this folder (")


def test_matplotlib_is_loaded_for_a_plot_only(small, here):
    code = (
        "import sys; from chainrule.cli import main\n"
        f"assert main(['train', '--steps', '5', '--data', {str(small)!r}]) == 0\n"
        "assert 'matplotlib' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=here, check=True, timeout=60)
