"""The whole report, made once by the command."""

import pytest
from cli import process


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """What the command printed, and the folder that it wrote."""
    folder = tmp_path_factory.mktemp("report") / "out"
    return process.run("report", "--out", folder), folder


@pytest.fixture(scope="session")
def html(made):
    return (made[1] / "report.html").read_text(encoding="utf-8")
