"""docs/exactness.md: fifteen rules in order, and a table of tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PAGE = (ROOT / "docs/exactness.md").read_text(encoding="utf-8")


def named():
    """Rule, file and test of each test that the table names."""
    for rule, tests in re.findall(r"^\| (\d+) \| (`.*) \|$", PAGE, re.MULTILINE):
        for path, test in re.findall(r"`([\w/.]+)::(\w+)`", tests):
            yield int(rule), ROOT / path if "/" in path else HERE / path, test


def promised():
    """Promise, file and test of each test in the second table."""
    page = PAGE.partition("## The tests of each promise")[2]
    for promise, tests in re.findall(r"^\| ([^`|]+) \| (`.*) \|$", page, re.MULTILINE):
        for path, test in re.findall(r"`([\w/.]+)::(\w+)`", tests):
            yield promise, ROOT / path if "/" in path else HERE / path, test


def is_there(path, test):
    keyword = {".py": "def", ".rs": "fn"}[path.suffix]
    source = path.read_text(encoding="utf-8")
    return re.search(rf"^ *{keyword} {test}\(", source, re.MULTILINE) is not None


def test_the_rules_are_numbered_1_to_15():
    assert [int(n) for n in re.findall(r"^### (\d+)\. ", PAGE, re.MULTILINE)] == list(range(1, 16))


def test_each_named_test_is_there():
    assert {rule for rule, _, _ in named()} == set(range(1, 16))
    for rule, path, test in named():
        assert is_there(path, test), test
        if path.suffix == ".py":
            assert test.startswith(f"test_rule_{rule:02d}_")


def test_each_test_of_a_rule_is_named():
    table = {(path.name, test) for _, path, test in named()}
    for path in HERE.glob("test_rules_*.py"):
        for test in re.findall(
            r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            assert (path.name, test) in table


def test_each_promise_has_tests_that_are_there():
    assert len({promise for promise, _, _ in promised()}) == 7
    for _, path, test in promised():
        assert is_there(path, test), test
