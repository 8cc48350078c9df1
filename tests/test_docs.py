"""The pages say what is so: README's code gives README's output, named files hold the equations."""

import doctest
import json
import re
from pathlib import Path

import pytest
from cli import process

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def test_the_code_of_the_readme_gives_its_output(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHAINRULE_BACKEND", "rust")
    failed, tried = doctest.testfile(
        str(README), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert tried == 8
    assert failed == 0


def block(command):
    """The lines that README shows below a command."""
    text = README.read_text(encoding="utf-8")
    (found,) = re.findall(rf"^\$ {re.escape(command)}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return found.splitlines()


def test_train_prints_what_the_readme_shows(tmp_path):
    """But for the time, and the instruction set of the machine."""
    echoed, *shown = block("make train")
    assert echoed == ".venv/bin/chainrule train --force"
    done = process.run("train", "--force", cwd=tmp_path)
    assert done.code == 0, done
    shown = shown[: shown.index("Next:") - 1]
    printed = [*done.errors.splitlines(), *done.output.splitlines()]
    other = ("training time", "engine")
    assert len([line for line in shown if line.startswith(other)]) == 2
    assert [line for line in printed if not line.startswith(other)] == [
        line for line in shown if not line.startswith(other)
    ]


def test_predict_prints_what_the_readme_shows(tmp_path):
    process.run("train", "--output", tmp_path / "model.safetensors", cwd=tmp_path)
    arguments = [tmp_path / "model.safetensors", "examples/270.png"]
    done = process.run("predict", *arguments, cwd=ROOT)
    shown = block("chainrule predict model.safetensors examples/270.png | head -7")
    assert done.output.splitlines()[:7] == shown


def test_table_of_seeds_is_what_the_benchmark_wrote():
    path = ROOT / "benchmarks/results/report_seeds.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    cells = [f"{value:.4f}" for value in (*found["accuracy"].values(), found["mean"])]
    assert f"| test accuracy | {' | '.join(cells)} |" in README.read_text(encoding="utf-8")
    assert min(found["accuracy"].values()) == found["lowest"] >= 0.9208
    assert found["mean"] >= 0.925


def links():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            yield pytest.param(page.parent / target, id=f"{page.name}-{target}")


@pytest.mark.parametrize("path", list(links()))
def test_links_lead_somewhere(path):
    assert path.exists()


def equations():
    """Rows of the table of docs/math.md: number, and the files named for it."""
    for line in (ROOT / "docs/math.md").read_text(encoding="utf-8").splitlines():
        row = re.match(r"\| \[(\d+)(?:-\d+)?\]\S* \| .* \| ([^|]*) \| ([^|]*) \|$", line)
        if row:
            yield pytest.param(row[1], row[2], row[3], id=f"{row[1]}-{row[2].strip()}")


@pytest.mark.parametrize(("number", "python", "rust"), list(equations()))
def test_equations_stand_where_the_page_says(number, python, rust):
    places = [find_python(name) for name in re.findall(r"`([^`]+)`", python)]
    places += [(ROOT / "rust" / name).read_text() for name in re.findall(r"`([^`]+)`", rust)]
    assert places
    pattern = rf"Eq\. (\d+, )*{number}\b"
    assert any(re.search(pattern, text) for text in places)


def find_python(name):
    """The source of `Engine.forward`, `_validate.n_parameters` or `tests/test_x.py`."""
    if name.endswith(".py"):
        return (ROOT / name).read_text()
    module, _, function = name.rpartition(".")
    file = "reference" if module in {"", "Engine"} else module
    source = (ROOT / f"python/chainrule/{file}.py").read_text()
    found = re.search(
        rf"^( *)def {function}\(.*?(?=^\1(?:def|class) |\Z)", source, re.DOTALL | re.MULTILINE
    )
    assert found, f"{name} is not in {file}.py"
    return found[0]
