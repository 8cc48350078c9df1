"""The comparison of instruction counts: what it lets pass, and that it says what it does not do."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks/instructions.py"


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("instructions", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def works(**counts):
    return {
        name: {"what": name, "path": "online", "instructions": count}
        for name, count in counts.items()
    }


@pytest.mark.parametrize(
    ("found", "good", "said"),
    [
        (works(a=1000, b=200), True, "a online 1,000 1,000 +0.0%"),
        (works(a=1029, b=200), True, "a online 1,000 1,029 +2.9%"),
        (works(a=1031, b=200), False, "a online 1,000 1,031 +3.1% SLOWER: more than 3% above"),
        (works(a=900, b=200), True, "a online 1,000 900 -10.0% faster: record it"),
        (works(a=1000), False, "b recorded, but not there any more"),
        (works(a=1000, b=200, c=3), False, "c not recorded"),
        (
            works(a=1000) | {"b": {"what": "b", "path": "layered", "instructions": 200}},
            False,
            "b layered 200 200 +0.0% ANOTHER PATH: recorded on 'online'",
        ),
    ],
)
def test_what_passes(script, capsys, found, good, said):
    assert script.compare(found, works(a=1000, b=200)) is good
    assert said in [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


HERE = {"rustc": "1.95.0", "valgrind": "3.19", "libc": "glibc 2.36", "processor": "A 25 17"}


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("rustc", "1.2.3"),
        ("rustc", "1.950.0"),
        ("libc", "glibc 2.40"),
        ("processor", "A 25 1"),
    ],
)
def test_another_machine_is_not_compared_and_that_is_said(
    script, capsys, monkeypatch, tmp_path, name, version
):
    record = tmp_path / "record.json"
    record.write_text(json.dumps([HERE | {name: version, "works": works(a=1, b=2)}]))
    monkeypatch.setattr(script, "RECORD", record)
    monkeypatch.setattr(script, "why_not", lambda: None)
    monkeypatch.setattr(script, "machine", lambda: HERE)
    monkeypatch.setattr(sys, "argv", ["instructions.py"])
    assert script.main() == 0
    output = capsys.readouterr().out
    assert f"NOT COMPARED: recorded with {name} {version}, this is {HERE[name]}" in output
    assert "not compared: a, b" in output


def test_a_patch_of_the_compiler_and_another_valgrind_are_the_same_machine(script):
    assert script.difference(HERE, HERE | {"rustc": "1.95.7", "valgrind": "3.20"}) is None


def test_without_valgrind_nothing_is_compared_and_that_is_said(script, capsys, monkeypatch):
    monkeypatch.setattr(script.shutil, "which", {}.get)
    monkeypatch.setattr(sys, "argv", ["instructions.py"])
    assert script.main() == 0
    assert "instructions: NOT COMPARED: " in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["instructions.py", "--record"])
    before = script.RECORD.read_bytes()
    assert script.main() == 1
    assert script.RECORD.read_bytes() == before


def test_each_processor_has_a_record_of_its_own(script, monkeypatch, tmp_path):
    """One recorded anew leaves the others as they are, but for what it shows to have changed."""
    other = HERE | {"processor": "B 6 207"}
    before = [HERE | {"works": works(a=100, b=200, c=300, d=400)}]
    before.append(other | {"isa": "avx2", "works": works(a=90, b=190, c=290, d=390)})
    record = tmp_path / "record.json"
    record.write_text(json.dumps(before))
    found = works(a=102, b=150, e=5) | {"d": works(d=400)["d"] | {"path": "layered"}}
    monkeypatch.setattr(script, "RECORD", record)
    monkeypatch.setattr(script, "why_not", lambda: None)
    monkeypatch.setattr(script, "machine", lambda: HERE)
    monkeypatch.setattr(script, "build", lambda: None)
    monkeypatch.setattr(script, "measure", lambda _: found)
    monkeypatch.setattr(sys, "argv", ["instructions.py", "--record"])
    assert script.main() == 0
    now = json.loads(record.read_text())
    assert [each["processor"] for each in now] == ["A 25 17", "B 6 207"]
    assert now[0]["works"] == found
    assert now[1] == other | {"isa": "avx2", "works": works(a=90)}


def test_the_first_record_of_a_processor_takes_nothing_from_others(script):
    other = HERE | {"works": works(a=100, b=200)}
    now = HERE | {"processor": "B 6 207", "works": works(a=150, b=200)}
    assert script.merged([other], None, now) == [other, now]


def test_what_is_recorded_on_another_processor_only_is_told_and_passes(script, capsys):
    assert script.compare(works(a=1, b=2), works(a=1), frozenset("ab"))
    assert "b not recorded: NOT COMPARED on this processor" in " ".join(
        capsys.readouterr().out.split()
    )
    assert not script.compare(works(a=1, b=2, c=3), works(a=1), frozenset("ab"))
    assert not script.compare(works(a=1), works(a=1, b=2), frozenset("ab"))


def test_what_is_recorded_can_be_compared(script):
    records = json.loads(script.RECORD.read_text())
    assert records
    assert all(set(HERE) <= set(record) for record in records)
