"""What is built and installed, and what is said where it cannot be."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

import chainrule

ROOT = Path(__file__).parents[1]
SITE = Path(sysconfig.get_path("platlib"))


@pytest.fixture(scope="module")
def installed() -> importlib.metadata.Distribution:
    return importlib.metadata.distribution("chainrule")


@pytest.fixture(scope="module")
def files(installed: importlib.metadata.Distribution) -> dict[str, Path]:
    """The installed files by their name in the wheel, without what Python and pip add."""
    return {
        str(path): Path(str(path.locate()))
        for path in installed.files or []
        if path.suffix != ".pyc" and path.parts[0] != ".."
    }


def test_the_installed_package_is_under_test(files: dict[str, Path]) -> None:
    assert Path(chainrule.__file__) == SITE / "chainrule" / "__init__.py"
    package = ROOT / "python" / "chainrule"
    here = {
        f"chainrule/{path.relative_to(package).as_posix()}": path.read_bytes()
        for pattern in ("*.py", "*.pyi", "*.css", "py.typed")
        for path in package.rglob(pattern)
    }
    there = {
        name: path.read_bytes()
        for name, path in files.items()
        if name.startswith("chainrule/") and path.suffix not in {".so", ".pyd"}
    }
    assert sorted(here) == sorted(there)
    changed = [name for name in here if here[name] != there[name]]
    assert not changed, "the installed wheel is not of this checkout: make test installs it"


@pytest.mark.skipif(sysconfig.get_platform() != "linux-x86_64", reason="README tells of this one")
def test_readme_tells_the_size_of_the_wheel() -> None:
    said = re.search(r"a wheel of ([\d.]+) megabytes", (ROOT / "README.md").read_text())
    (wheel,) = (ROOT / "dist").glob("chainrule-*.whl")
    assert said is not None
    assert float(said[1]) == pytest.approx(wheel.stat().st_size / 1e6, abs=0.1)


def test_wheel_holds_the_package_and_nothing_else(files: dict[str, Path]) -> None:
    assert "chainrule/py.typed" in files
    assert "chainrule/_core.pyi" in files
    assert len([name for name in files if re.fullmatch(r"chainrule/_core\..*(so|pyd)", name)]) == 1
    others = [n for n in files if not re.match(r"chainrule(-[\d.]+\.dist-info)?/", n)]
    assert not others
    kinds = {path.suffix for name, path in files.items() if name.startswith("chainrule/")}
    assert kinds <= {".py", ".pyi", ".css", ".typed", ".so", ".pyd", ""}


def test_the_import_loads_numpy_and_nothing_else() -> None:
    code = (
        "import sys, numpy; before = set(sys.modules); import chainrule; "
        "print(*set(sys.modules) - before)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert "chainrule" in loaded
    assert loaded - sys.stdlib_module_names <= {"chainrule", "numpy"}


def test_metadata(installed: importlib.metadata.Distribution) -> None:
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["package"]
    assert installed.version == chainrule.__version__ == cargo["version"]
    assert installed.metadata["Summary"] == cargo["description"]
    assert installed.metadata["License-Expression"] == cargo["license"]
    plain = [each for each in installed.requires or [] if "extra ==" not in each]
    assert [re.match(r"\w+", each)[0] for each in plain] == ["numpy"]
    assert "Tag: cp311-abi3-" in (installed.read_text("WHEEL") or "")
    scripts = {each.name: each.value for each in installed.entry_points}
    assert scripts == {"chainrule": "chainrule.cli:main"}


def test_crate_leaves_the_data_and_its_licence_out() -> None:
    command = ["cargo", "package", "--list", "--allow-dirty", "--offline", "--locked"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    names = run.stdout.split()
    assert {"Cargo.toml", "LICENSE", "README.md", "rust/lib.rs"} <= set(names)
    folders = {name.partition("/")[0] for name in names if "/" in name}
    assert folders == {"rust", "examples"}


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^make ([\w-]+) +\S", shown.stdout, re.MULTILINE))
    assert listed == targets - {"check-tools"}


@pytest.fixture
def machine(tmp_path: Path):
    """A machine on which `run` checks the tools: all are there, until a test writes others."""

    class Machine:
        def program(self, name: str, script: str) -> None:
            path = tmp_path / name
            path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            path.chmod(0o755)

        def remove(self, name: str) -> None:
            (tmp_path / name).unlink()

        def run(self) -> tuple[int, str]:
            command = [ROOT / ".ci" / "check-tools", "python3"]
            env = {**os.environ, "PATH": str(tmp_path)}
            run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
            assert run.stdout == ""
            return run.returncode, run.stderr

    (tmp_path / "sed").symlink_to(shutil.which("sed") or "/bin/sed")
    made = Machine()
    made.program("python3", python("3 11"))
    made.program("cc", "exit 0")
    made.program("cargo", "exit 0")
    made.program("rustc", f"echo 'rustc {rust_version()}.0 (0123abcd 2025-06-23)'")
    return made


def python(version: str, *, ensurepip: bool = True) -> str:
    """A stand-in for Python, which answers the two questions that are put to it."""
    return f"""case "$2" in
        *ensurepip*) exit {0 if ensurepip else 1} ;;
        *version_info*) echo "{version}" ;;
        *) exit 9 ;;
        esac"""


def rust_version() -> str:
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    return cargo["package"]["rust-version"]


def test_tools_all_there(machine) -> None:
    assert machine.run() == (0, "")


@pytest.mark.parametrize(
    ("program", "script", "says"),
    [
        ("python3", None, "no python3; mend it with: apt-get install python3 python3-venv"),
        ("python3", "exit 1", "python3 does not run; .* make PYTHON="),
        ("python3", python("3 9"), "Python 3.9, and 3.11 or newer .* make PYTHON=python3.11"),
        ("python3", python("2 7"), "Python 2.7, and 3.11 or newer .* make PYTHON=python3.11"),
        ("python3", python("3 13", ensurepip=False), "ensurepip.* apt-get install python3-venv"),
        ("cc", None, r"no C compiler \(cc\).*: apt-get install build-essential"),
        ("cargo", None, r"no Rust; mend it with: curl .*rustup.* \| sh"),
        ("rustc", None, r"no Rust; mend it with: curl .*rustup.* \| sh"),
        ("rustc", "exit 1", r"no known version, and 1\.\d+ or newer .*: curl .*rustup.* \| sh"),
        ("rustc", "echo 'rustc 1.63.0 (x 2022)'", r"is 1\.63, and 1\.\d+ or newer .*: curl "),
    ],
)
def test_missing_tool_is_named_in_one_line_with_its_remedy(machine, program, script, says) -> None:
    machine.remove(program)
    if script is not None:
        machine.program(program, script)
    code, message = machine.run()
    assert code == 1
    assert re.fullmatch(f"chainrule: .*{says}.*\n", message)


def test_old_rust_of_rustup_is_updated_by_rustup(machine) -> None:
    machine.program("rustc", "echo 'rustc 1.63.0 (x 2022)'")
    machine.program("rustup", "exit 0")
    code, message = machine.run()
    assert code == 1
    assert message.endswith("mend it with: rustup update stable && rustup default stable\n")
