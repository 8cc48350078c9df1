"""`chainrule report`: what is refused. That it works is tested in tests/report/."""

import json
import sys

import pytest

from chainrule import report
from chainrule.report._section import Section


@pytest.fixture
def quick(monkeypatch):
    """One section, in no time."""
    monkeypatch.setattr(report, "sections", lambda *_, **__: iter([Section(1, "a", "A")]))


def test_report_is_not_replaced_without_force(run, here, small, quick):
    arguments = ["report", "--out", "out", "--data", small]
    assert run(*arguments).code == 0
    page = here / "out" / "report.html"
    page.write_text("old")
    line = run(*arguments).only_error(2)
    assert "out/report.html" in line
    assert "--force" in line
    assert page.read_text() == "old"
    assert run(*arguments, "--force").code == 0
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_report_json(run, here, small, quick):
    done = run("report", "--out", "out", "--data", small, "--json", "--seed", 5)
    document = json.loads(done.output)
    assert document["page"] == "out/report.html"
    assert (document["sections"], document["seed"]) == (["A"], 5)
    assert done.errors == ""


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "--out"),
        (["--out", "out", "--seed", "-1"], "seed"),
        (["--out", "out", "--data", "nowhere"], "nowhere"),
        (["--out", "file"], "file"),
        (["--out", "file/out"], "file/out"),
    ],
)
def test_report_that_cannot_be_made(run, here, arguments, part):
    (here / "file").write_text("")
    assert part in run("report", *arguments).only_error(2)


def test_report_without_its_extra(run, here, small, monkeypatch):
    monkeypatch.setitem(sys.modules, "latex2mathml", None)
    monkeypatch.setitem(sys.modules, "latex2mathml.converter", None)
    line = run("report", "--out", "out", "--data", small).only_error(2)
    assert "pip install 'chainrule[report]'" in line
