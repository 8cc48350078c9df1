"""The house rules that a machine can check: who imports whom, and who may do what."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / "python" / "chainrule"
RUST = ROOT / "rust"

# A module imports only from those that stand before it.
# fmt: off
PYTHON_ORDER = [
    "errors", "_extras", "_report_run", "_validate", "_arrays", "schedules", "optimizers",
    "results", "reference", "_core", "_backend", "_guard", "_files", "_format", "storage",
    "history", "callbacks", "training", "gradcheck", "_description", "_persistence", "network",
    "mnist", "_picture", "_ink", "_lines", "images", "plots", "descent", "quadratic", "report",
    # The command line stands on the public names.
    "__init__", "cli", "__main__",
]
RUST_ORDER = [
    "error", "rng", "matrix", "kernels", "pool", "activation", "loss", "init", "layer",
    "optimizer", "network", "data", "steps", "plan", "first", "workspace", "online", "train",
    "python",
]
# fmt: on

PYTHON_FILES = sorted(PYTHON.rglob("*.py"))
RUST_FILES = sorted(RUST.rglob("*.rs"))
FOLDERS = ("python", "rust", "tests", "benchmarks", "examples", "docs", "data", ".ci")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def python_module(path: Path) -> str:
    return path.relative_to(PYTHON).parts[0].removesuffix(".py")


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """All that runs: imports within functions too, but not those for types only."""
    yield node
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            for statement in child.orelse:
                yield from walk(statement)
        else:
            yield from walk(child)


def imported_modules(path: Path) -> Iterator[str]:
    """The modules of the package that a file imports, `__init__` for the package itself."""
    package = ["chainrule", *path.relative_to(PYTHON).parts[:-1]]
    for node in walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            stem = above + (node.module.split(".") if node.module else [])
            found = [[*stem, alias.name] for alias in node.names]
        else:
            continue
        for parts in found:
            if parts[0] == "chainrule":
                yield parts[1] if parts[1:] and parts[1] in PYTHON_ORDER else "__init__"


def rust_code(path: Path) -> str:
    """A Rust file without comments and doc tests."""
    return re.sub(r"//.*", "", path.read_text(encoding="utf-8"))


def rust_module(path: Path) -> str:
    return path.relative_to(RUST).parts[0].removesuffix(".rs")


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name)
def test_python_imports_only_from_above(path: Path) -> None:
    module = python_module(path)
    assert module in PYTHON_ORDER, f"give {module} its place in PYTHON_ORDER"
    above = PYTHON_ORDER[: PYTHON_ORDER.index(module)]
    wrong = set(imported_modules(path)) - set(above)
    if path.parent != PYTHON:
        wrong -= {module}  # the files of one folder know each other
    assert not wrong, f"{name(path)} imports {sorted(wrong)}, which come after it"


@pytest.mark.parametrize("path", RUST_FILES, ids=name)
def test_rust_uses_only_from_above(path: Path) -> None:
    module = rust_module(path)
    if module == "lib":
        declared = re.findall(r"^(?:pub(?:\(crate\))? )?mod (\w+);", rust_code(path), re.MULTILINE)
        assert declared == [each for each in RUST_ORDER if each in declared]
        return
    assert module in RUST_ORDER, f"give {module} its place in RUST_ORDER"
    code = rust_code(path)
    root = r"\bcrate" if path.parent != RUST else r"\b(?:crate|super)"
    used = set(re.findall(root + r"::(\w+)", code))
    for group in re.findall(root + r"::\{([^;]*)\};", code):
        used |= set(re.findall(r"(?:^|,)\s*(\w+)", re.sub(r"\{[^{}]*\}", "", group)))
    wrong = used & set(RUST_ORDER) - set(RUST_ORDER[: RUST_ORDER.index(module) + 1])
    assert not wrong, f"{name(path)} uses {sorted(wrong)}, which come after it"


def test_only_backend_reads_the_environment() -> None:
    for path in PYTHON_FILES:
        text = path.read_text(encoding="utf-8")
        reads = re.search(r"\b(environb?|getenvb?|expandvars)\b", text) is not None
        assert not reads or path.name == "_backend.py", name(path)
    for path in RUST_FILES:
        assert not re.search(r"\benv::vars?(_os)?\b", rust_code(path)), name(path)


def test_unsafe_stands_in_kernels_and_pool_only() -> None:
    for path in RUST_FILES:
        if rust_module(path) not in {"kernels", "pool"}:
            assert not re.search(r"\bunsafe\b|allow\(.*unsafe_code", rust_code(path)), name(path)


def test_no_file_is_over_500_lines() -> None:
    files = [
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".pyi", ".rs", ".md"} and "build" not in path.parts
    ]
    assert set(PYTHON_FILES) | set(RUST_FILES) <= set(files)
    long = {
        name(path): lines
        for path in files
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long


def modules_after(statement: str) -> set[str]:
    """The first names of all modules that a fresh interpreter has after a statement."""
    code = f"{statement}; import sys; print(*{{n.partition('.')[0] for n in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_import_needs_numpy_only() -> None:
    added = modules_after("import chainrule") - modules_after("import numpy.random, numpy.linalg")
    assert added - sys.stdlib_module_names == {"chainrule"}


def test_import_leaves_for_later_what_only_files_need() -> None:
    code = "import chainrule, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "chainrule.network" in loaded
    assert not loaded & {"chainrule.storage", "chainrule._format"}


def test_help_loads_nothing_that_is_optional() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "chainrule", "--help"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in run.stderr.splitlines()}
    assert "argparse" in loaded
    assert not loaded & {"tqdm", "matplotlib", "PIL", "latex2mathml", "IPython", "chainrule_mnist"}
