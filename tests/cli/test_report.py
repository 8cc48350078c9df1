"""`chainrule report`: what is refused. That it works is tested in tests/report/."""

import json
import os
import signal
import subprocess
import sys
from subprocess import PIPE

import pytest
from cli.process import started

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


def test_out_that_is_empty(run, here, small):
    line = run("report", "--out", "", "--data", small).only_error(2)
    assert line == "chainrule: --out must name a folder; got ''"
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("name", ["report.html", "01-digits.png", "07-network.svg"])
def test_fault_127_what_is_there_is_not_replaced(run, here, name):
    """And refused at once: the data, which are not there, are not even looked for."""
    (here / "ow").mkdir()
    (here / "ow" / name).write_text("mine")
    line = run("report", "--out", "ow", "--data", "nowhere").only_error(2)
    assert line == f"chainrule: ow/{name}: the output file exists; pass --force to replace it"
    assert (here / "ow" / name).read_text() == "mine"
    assert len(list((here / "ow").iterdir())) == 1


def test_fault_127_force_replaces_no_folder(run, here, small, quick):
    (here / "out" / "01-a.png").mkdir(parents=True)
    line = run("report", "--out", "out", "--data", small, "--force").only_error(2)
    assert "01-a.png: the output is a folder" in line


def test_a_refused_command_makes_no_folder(run, here):
    run("report", "--out", "out", "--data", "nowhere").only_error(2)
    assert list(here.iterdir()) == []


# One section, of which a picture is drawn, as a process of its own.
QUICK = """
import sys, time
from chainrule import cli, report
from chainrule.report import _counting
pause = float(sys.argv.pop())
def sections(*_, **__):
    yield _counting.section(report.counting())
    time.sleep(pause)
report.sections = sections
sys.exit(cli.main(sys.argv[1:]))
"""


def quickly(small, *arguments, pause=0):
    command = [sys.executable, "-c", QUICK, "report", "--data", small, *arguments, pause]
    return list(map(str, command))


def test_fault_126_ctrl_c(small, here):
    command = quickly(small, "--out", "out", pause=60)
    with started(command, cwd=here) as process:
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert first == " 7  Counting the parameters\n"
    assert (process.returncode, output, errors) == (130, "", "chainrule: interrupted\n")
    assert list((here / "out").iterdir()) == []


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_fault_128_nobody_reads(small, here, form):
    read, write = os.pipe()
    os.close(read)
    command = quickly(small, "--out", "out", *form)
    with subprocess.Popen(command, cwd=here, stdout=write, stderr=PIPE, text=True) as process:
        os.close(write)
        assert process.stderr.read() == ("" if form else " 7  Counting the parameters\n")
        assert process.wait(30) == 141
    assert (here / "out" / "report.html").read_text(encoding="utf-8").endswith("</html>\n")


@pytest.mark.parametrize("folder", ["", "/proc/nope"])
def test_fault_129_ascii_no_home_and_a_folder_that_cannot_be_written(small, here, folder):
    """matplotlib would tell of a cache that it cannot keep."""
    env = {**os.environ, "LC_ALL": "C", "HOME": "/nonexistent", "XDG_CONFIG_HOME": "",
           "XDG_CACHE_HOME": "", "MPLCONFIGDIR": folder, "DISPLAY": "",
           "TMPDIR": str(here)}  # fmt: skip
    out = here / "out"
    command = quickly(small, "--out", out)
    done = subprocess.run(command, cwd="/proc", env=env, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b" 7  Counting the parameters\n")
    assert done.stdout.endswith(f"{out}/report.html\n".encode())
    assert sorted(path.name for path in out.iterdir()) == [
        "07-network.png", "07-network.svg", "report.html",
    ]  # fmt: skip
    refused = subprocess.run(
        quickly(small, "--out", "out"), cwd="/proc", env=env, capture_output=True, timeout=60
    )
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert refused.stderr.startswith(b"chainrule: out: ")
    assert refused.stderr.count(b"\n") == 1
