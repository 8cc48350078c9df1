"""The harness of FAULTS.md's rows: what must hold besides the error itself."""

from __future__ import annotations

import contextlib
import copy
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest

SECONDS = 10


@pytest.fixture(autouse=True)
def within_ten_seconds():
    """Nothing hangs."""

    def too_long(number, frame):
        raise AssertionError(f"took longer than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def no_temporary_files(tmp_path, monkeypatch):
    """No temporary file is left, neither beside the target nor in the system's folder."""
    system = tmp_path / "system-temporary"
    system.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(system))
    yield
    assert list(system.iterdir()) == []
    assert [path for path in tmp_path.rglob("*") if "tmp" in path.suffix] == []


def state_of(network):
    """All that a refused call must leave as it was."""
    return (
        network.fingerprint(),
        network.parameters.tobytes(),
        {name: a.tobytes() for name, a in network._engine.state()[1].items()},
        network.optimizer,
        network.epochs_done,
        network.steps_done,
        network.seed,
    )


@pytest.fixture
def refused():
    """`with refused(kind, "part of message", ..., network=..., arrays=[...], folder=...)`.

    The block must raise exactly one of the allowed kinds; its message must have every part; the
    network, the arrays and the files of the folder must be what they were. Gives a list that
    holds the exception afterwards.
    """

    @contextlib.contextmanager
    def check(kind, *parts, network=None, arrays=(), folder=None):
        before = None if network is None else state_of(network)
        contents = [copy.deepcopy(array) for array in arrays]
        files = None if folder is None else files_of(folder)
        caught = []
        with pytest.raises(kind) as info:
            yield caught
        caught.append(info.value)
        assert type(info.value).__name__ != "PanicException"
        message = str(info.value)
        assert message.strip(), "an error without a message"
        for part in parts:
            assert str(part) in message, f"{part!r} is not in {message!r}"
        if network is not None:
            assert state_of(network) == before
        for array, content in zip(arrays, contents, strict=True):
            np.testing.assert_array_equal(array, content)
        if folder is not None:
            assert files_of(folder) == files

    return check


def files_of(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
