"""The whole report, made once by the command."""

import resource
from pathlib import Path
from typing import NamedTuple

import pytest
from cli import process


class Made(NamedTuple):
    done: process.Done
    """What the command printed."""
    folder: Path
    """What it wrote."""
    cpu_seconds: float


def cpu_seconds():
    """Of the processes that have ended, in their own code and in the system's."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "out"
    before = cpu_seconds()
    done = process.run("report", "--out", folder, timeout=600)
    return Made(done, folder, cpu_seconds() - before)


@pytest.fixture(scope="session")
def html(made):
    return (made.folder / "report.html").read_text(encoding="utf-8")
