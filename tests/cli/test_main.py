"""The command line as a whole: help, version, both ways to run it, exit codes."""

import re
import warnings

import pytest
from cli.process import MODULE, SCRIPT

import chainrule
from chainrule import _report_run, cli
from chainrule.cli import _options

COMMANDS = ["train", "evaluate", "predict", "info", "report"]


@pytest.mark.parametrize("program", [MODULE, SCRIPT], ids=["module", "script"])
def test_version_and_help(run, program):
    done = run("--version", program=program)
    assert done == (0, f"chainrule {chainrule.__version__}\n", "")
    done = run("--help", program=program)
    assert (done.code, done.errors) == (0, "")
    assert done.output.startswith("usage: chainrule [-h] [--version] COMMAND ...\n")
    listed = re.findall(r"^    (\w+) +\S", done.output, re.MULTILINE)
    assert listed == COMMANDS
    done = run("info", program=program)
    assert done.code == 0
    assert done.output.startswith("version ")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(run, command):
    done = run(command, "--help")
    assert (done.code, done.errors) == (0, "")
    assert done.output.startswith(f"usage: chainrule {command} [-h]")
    assert "None" not in done.output
    assert "--json" in done.output
    assert max(map(len, done.output.splitlines())) <= 90


def test_help_of_train_names_every_choice_and_default(run):
    text = " ".join(run("train", "--help").output.split())
    for part in (
        "(784 16 16 10)", "51,419 steps", "identity, sigmoid, tanh, relu (sigmoid)", "softmax",
        "squared_error, cross_entropy, binary_cross_entropy (squared_error)",
        f"auto, glorot_uniform, he_uniform, lecun_uniform ({_report_run.INITIALIZATION})",
        "float32, float64 (float32)", "rust, numpy", "linear (down to 0), constant (linear)",
        "(model.safetensors)", "chainrule-mnist", "CHAINRULE_THREADS",
    ):  # fmt: skip
        assert part in text, part


def test_every_option_of_train_has_help(run):
    options = _options.parser()._subparsers._group_actions[0].choices["train"]._actions
    assert len(options) == 22
    assert all(option.help for option in options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "chainrule: the following arguments are required: COMMAND (see chainrule --help)"),
        (["info", "--threads"],
         "chainrule info: argument --threads: expected one argument (see chainrule info --help)"),
        (["evaluate", "a", "b"], "chainrule: unrecognized arguments: b (see chainrule --help)"),
    ],
)  # fmt: skip
def test_wrong_usage_is_told_in_one_line(run, arguments, message):
    assert run(*arguments).only_error(2) == message


def test_main_returns_the_exit_code(capsys, tmp_path):
    assert cli.main(["info"]) == 0
    assert cli.main(["info", str(tmp_path / "none")]) == 2
    output, errors = capsys.readouterr()
    assert output.startswith("version ")
    assert errors.startswith(f"chainrule: {tmp_path / 'none'}: No such file or directory; ")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MemoryError(), 1, "not enough memory"),
        (MemoryError("no room for 3 GiB"), 1, "no room for 3 GiB"),
        (RuntimeError("two\n  lines"), 1, "two lines"),
        (OSError("no number"), 2, "no number"),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
        (OSError(5, "Input/output error", b"a/b"), 2, "a/b: Input/output error"),
        (ValueError("wrong"), 2, "wrong"),
        (TypeError("wrong kind"), 2, "wrong kind"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_failure_has_its_code_and_one_line(monkeypatch, capsys, error, code, message):
    def run(options):
        raise error

    monkeypatch.setattr("chainrule.cli.info.run", run)
    assert cli.main(["info"]) == code
    assert capsys.readouterr() == ("", f"chainrule: {message}\n")


def test_what_is_a_bug_is_not_hidden(monkeypatch):
    """One line is for people's mistakes; ours come with their traceback."""

    def run(options):
        raise KeyError("ours")

    monkeypatch.setattr("chainrule.cli.info.run", run)
    with pytest.raises(KeyError):
        cli.main(["info"])


def test_a_warning_is_one_line(monkeypatch, capsys):
    def run(options):
        warnings.warn("so\nand so", chainrule.BackendWarning, stacklevel=1)

    monkeypatch.setattr("chainrule.cli.info.run", run)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert cli.main(["info"]) == 0
    assert capsys.readouterr().err == "chainrule: warning: so and so\n"
