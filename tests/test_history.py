"""What people see of a fit: the history as text and HTML, and the progress while it goes on."""

import copy
import io
import pickle
import re
import sys
import types

import numpy as np
import pytest

from chainrule import History, Network, callbacks


def history_of(records):
    """A history with this number of records, made by hand."""
    history = History()
    for i in range(records):
        history.steps.append(10 * (i + 1))
        history.epochs.append(i + 1)
        history.loss.append(1 / (i + 1))
        history.accuracy.append(i / 100)
        history.validation_loss.append(None)
        history.validation_accuracy.append(None)
        history.saturated.append(0.25)
        history.seconds.append(i / 4)
    return history


def test_text():
    assert repr(history_of(2)).splitlines() == [
        "History: 2 records, stopped by epochs",
        "step  epoch  loss  accuracy  saturated  seconds",
        "  10      1     1    0.0000      25.0%     0.00",
        "  20      2   0.5    0.0100      25.0%     0.25",
    ]
    assert repr(history_of(1)).startswith("History: 1 record, stopped by epochs\n")


def test_text_of_nothing():
    history = history_of(0)
    history.stopped_by = "steps"
    first, head = repr(history).splitlines()
    assert first == "History: 0 records, stopped by steps"
    assert head.split()[:2] == ["step", "epoch"]
    assert len(history) == 0
    assert "<tbody></tbody>" in history._repr_html_()


def test_text_of_many_records_is_short():
    lines = repr(history_of(1000)).splitlines()
    assert len(lines) == 2 + 21
    assert lines[12] == "..."
    assert [line.split()[0] for line in lines[2:12]] == [str(10 * (i + 1)) for i in range(10)]
    assert [line.split()[0] for line in lines[13:]] == [str(10 * (i + 1)) for i in range(990, 1000)]
    assert len(repr(history_of(20)).splitlines()) == 22
    assert "..." not in repr(history_of(20))


def test_html():
    html = history_of(2)._repr_html_()
    assert "<caption>2 records, stopped by epochs</caption>" in html
    heads = re.findall("<th>(.*?)</th>", html)
    assert heads == ["step", "epoch", "loss", "accuracy", "saturated", "seconds"]
    rows = [re.findall("<td>(.*?)</td>", row) for row in re.findall("<tr>(.*?)</tr>", html)[1:]]
    assert rows == [
        ["10", "1", "1", "0.0000", "25.0%", "0.00"],
        ["20", "2", "0.5", "0.0100", "25.0%", "0.25"],
    ]
    assert history_of(1000)._repr_html_().count("<tr>") == 22


def test_columns_with_a_value_are_shown():
    history = history_of(3)
    history.validation_loss[1] = 0.125
    assert "val. loss" in repr(history)
    assert "val. accuracy" not in repr(history)
    assert repr(history).splitlines()[2].split() == ["10", "1", "1", "0.0000", "25.0%", "0.00"]


def test_equality_leaves_the_seconds_out():
    one, other = history_of(3), history_of(3)
    other.seconds[:] = [7.0, 8.0, 9.0]
    assert one == other
    assert pickle.loads(pickle.dumps(one)) == one == copy.deepcopy(one)
    names = ["steps", "epochs", "loss", "accuracy", "validation_loss", "validation_accuracy",
             "saturated"]  # fmt: skip
    for name in names:
        other = history_of(3)
        getattr(other, name)[1] = 0.123
        assert one != other, name
    other = history_of(3)
    other.stopped_by = "callback"
    assert one != other
    assert one != history_of(2)
    assert one != [1, 2, 3]
    with pytest.raises(TypeError):
        hash(one)


def test_seconds_go_up(backend, rng):
    history = Network([2, 3], backend=backend).fit(
        rng.normal(size=(50, 2)), rng.integers(0, 3, 50), record_every=5
    )
    assert len(history.seconds) == len(history) == 10
    assert history.seconds == sorted(history.seconds)
    assert history.seconds[0] > 0


# ---- progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def sit_at_a_terminal(monkeypatch):
    """To be called in the test: before it pytest has put a stream of its own there."""
    made = Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    return made


@pytest.fixture
def without_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)


def fit(backend, **settings):
    x = np.linspace(-1, 1, 40).reshape(20, 2)
    network = Network([2, 3, 3], backend=backend)
    network.fit(x, np.arange(20) % 3, epochs=3, **settings)
    return network


@pytest.mark.parametrize("progress", [None, False])
def test_programs_see_nothing(backend, capfd, progress):
    fit(backend, progress=progress)
    assert capfd.readouterr() == ("", "")


def test_false_is_silent_at_a_terminal(backend, monkeypatch):
    terminal = sit_at_a_terminal(monkeypatch)
    fit(backend, progress=False)
    assert terminal.getvalue() == ""


def test_true_always_shows_a_bar(backend, capfd):
    fit(backend, progress=True)
    output, errors = capfd.readouterr()
    assert output == ""
    assert re.search(r"60/60 \[.*step/s, loss \d\.\d{4}, accuracy \d\.\d{4}\]", errors)


def test_bar_that_would_flash_by_is_not_drawn(backend, monkeypatch):
    terminal = sit_at_a_terminal(monkeypatch)
    fit(backend)
    assert terminal.getvalue().strip() == ""


def test_bar_at_a_terminal(monkeypatch):
    terminal = sit_at_a_terminal(monkeypatch)
    bar = callbacks.display(60, progress=None)
    assert isinstance(bar, callbacks.Bar)
    bar._bar.start_t -= 60  # a fit that has gone on for a minute
    bar._bar.last_print_t -= 60
    bar.update(20, 0.5, None)
    bar.close()
    assert "20/60" in terminal.getvalue()
    assert "loss 0.5000]" in terminal.getvalue()


@pytest.mark.parametrize("shell", ["ZMQInteractiveShell", "TerminalInteractiveShell"])
def test_notebook_is_watched_and_a_shell_without_a_terminal_is_not(monkeypatch, shell):
    ipython = types.SimpleNamespace(get_ipython=type(shell, (), {}))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert callbacks._is_watched() == (shell == "ZMQInteractiveShell")


def test_lines_without_tqdm(backend, without_tqdm, monkeypatch):
    terminal = sit_at_a_terminal(monkeypatch)
    monkeypatch.setattr(callbacks.Lines, "SECONDS", 0)
    fit(backend)
    lines = terminal.getvalue().splitlines()
    assert re.fullmatch(r"step 60 of 60: loss \d\.\d{4}, accuracy \d\.\d{4}", lines[-1])
    assert len(lines) == len(set(lines))


def test_lines_are_seldom(backend, without_tqdm, monkeypatch):
    terminal = sit_at_a_terminal(monkeypatch)
    fit(backend)
    assert terminal.getvalue() == ""
    fit(backend, progress=True)
    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().startswith("step 60 of 60: loss ")


@pytest.mark.parametrize("stream", [None, "closed", object()])
def test_no_standard_error(backend, monkeypatch, without_tqdm, capfd, stream):
    if stream == "closed":
        stream = io.StringIO()
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    fit(backend)
    if stream is None:
        fit(backend, progress=True)
    assert capfd.readouterr() == ("", "")


def test_progress_must_be_a_bool(backend):
    network = Network([2, 3], backend=backend)
    with pytest.raises(TypeError, match="progress must be True or False; got str 'yes'"):
        network.fit(np.ones((1, 2)), [0], progress="yes")
    assert network.steps_done == 0
