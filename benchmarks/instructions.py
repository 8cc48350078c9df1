"""How many instructions the main paths take, beside what is recorded: no clock is asked.

    python benchmarks/instructions.py             # fails where one takes more
    python benchmarks/instructions.py --record    # writes results/instructions.json

valgrind's callgrind counts, on one thread, what AVX2 does: it knows no AVX-512. A count depends on
the compiler, and a little on the C library, which copies memory as suits the processor: only counts
by the same minor version of rustc, C library and model of processor are compared. There is a
record for each model; what changes in one is taken out of the others, until it is recorded there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
RECORD = HERE / "results/instructions.json"
CRATE = HERE / "instructions"
TARGET = ROOT / ".build/instructions"
# Counts of the same code differ by less, by where memory happens to lie.
ALLOWED = 0.03


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def why_not() -> str | None:
    """What this machine lacks."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"the path of AVX2 is for x86-64, and callgrind for Linux; this is {sys.platform}"
    if shutil.which("valgrind") is None:
        return "there is no valgrind; apt-get install valgrind"
    return None


def build() -> Path:
    manifest = CRATE / "Cargo.toml"
    command = ["cargo", "build", "--release", "--locked", "--quiet"]
    subprocess.run(
        [*command, "--manifest-path", manifest, "--target-dir", TARGET], check=True, cwd=ROOT
    )
    return TARGET / "release/instructions"


def count(binary: Path, name: str) -> tuple[int, str]:
    """Instructions of one time, and the path that was taken; 0 where there is no AVX2."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        options = ["--collect-atstart=no", "--toggle-collect=*instructions::counted*"]
        said = run(
            "valgrind", "--tool=callgrind", *options, f"--callgrind-out-file={out}", binary, name
        )
        if said == "no AVX2\n":
            return 0, ""
        times, path = said.rstrip("\n").split(" ", 1)
        found = re.search(r"^summary: (\d+)$", out.read_text(), re.MULTILINE)
    if found is None or int(found[1]) == 0:
        raise SystemExit(f"{name}: callgrind counted nothing: is `counted` still called?")
    return round(int(found[1]) / int(times)), path


def measure(binary: Path) -> dict[str, dict[str, object]]:
    """Every work, several side by side: a count does not mind."""
    works = dict(line.split("\t") for line in run(binary).splitlines())
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        counts = pool.map(lambda name: count(binary, name), works)
        return {
            name: {"what": what, "path": path, "instructions": instructions}
            for (name, what), (instructions, path) in zip(works.items(), counts, strict=True)
        }


def machine() -> dict[str, str]:
    """What a count depends on beside our own code."""
    fields = dict(
        [part.strip() for part in line.split(":", 1)]
        for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        if ":" in line
    )
    return {
        "rustc": run("rustc", "--version").split()[1],
        "valgrind": run("valgrind", "--version").strip(),
        "libc": " ".join(platform.libc_ver()),
        "processor": " ".join(fields[name] for name in ("vendor_id", "cpu family", "model")),
    }


def difference(here: dict[str, str], there: dict[str, str]) -> str | None:
    """What keeps the counts of two machines from being compared."""
    for name, now in here.items():
        before = there.get(name, "none")
        alike = now.split(".")[:2] == before.split(".")[:2] if name == "rustc" else now == before
        if not alike and name != "valgrind":  # it counts what is done, whatever its version
            return f"{name} {before}, this is {now}"
    return None


def ratio(new: dict, old: dict) -> float:
    return new["instructions"] / old["instructions"]


def comparable(here: dict[str, str], records: list[dict]) -> dict | None:
    """The record of a machine like this one."""
    return next((record for record in records if difference(here, record) is None), None)


def compare(found: dict, recorded: dict, elsewhere: frozenset[str] = frozenset()) -> bool:
    """Print each work's line; whether all is as recorded, or better.

    Works that are only recorded `elsewhere`, on other processors, are named and not compared.
    """
    good = True
    print(f"{'work':20} {'path':15} {'recorded':>11} {'found':>11}   change")
    for name in {**recorded, **found}:
        new, old = found.get(name), recorded.get(name)
        if new is None or old is None:
            known = old is None and name in elsewhere
            good = good and known
            said = "not recorded" if old is None else "recorded, but not there any more"
            print(f"{name:20} {said}{': NOT COMPARED on this processor' if known else ''}")
            continue
        change = ratio(new, old) - 1
        said = ""
        if change > ALLOWED:
            good, said = False, f"  SLOWER: more than {ALLOWED:.0%} above"
        elif change < -ALLOWED:
            said = "  faster: record it"
        if new["path"] != old["path"]:
            good, said = False, f"{said}  ANOTHER PATH: recorded on {old['path']!r}"
        print(
            f"{name:20} {new['path']:15} {old['instructions']:11,} {new['instructions']:11,} "
            f"{change:+8.1%}{said}"
        )
    return good


def merged(records: list[dict], before: dict | None, now: dict) -> list[dict]:
    """With a new record of this processor, after one of a like machine or none.

    What has changed here has changed elsewhere, too, by nobody knows how much.
    """
    new = now["works"]
    old = before["works"] if before else new
    alike = {
        name
        for name in new.keys() & old.keys()
        if new[name]["path"] == old[name]["path"]
        and abs(ratio(new[name], old[name]) - 1) <= ALLOWED
    }
    others = [
        record | {"works": {name: work for name, work in record["works"].items() if name in alike}}
        for record in records
        if record["processor"] != now["processor"]
    ]
    return sorted([*others, now], key=lambda record: record["processor"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write results/instructions.json")
    arguments = parser.parse_args()
    reason = why_not()
    records = json.loads(RECORD.read_text()) if RECORD.exists() else []
    known = frozenset(name for record in records for name in record["works"])
    here = machine() if reason is None else {}
    recorded = comparable(here, records)
    if reason is None and recorded is None and not arguments.record:
        where = "; ".join(str(difference(here, record)) for record in records) or "nothing"
        reason = f"recorded with {where}; to record: --record"
    if reason is None:
        found = measure(build())
        if not all(work["instructions"] for work in found.values()):
            reason = "this processor, or this valgrind, has no AVX2"
    if reason is not None:
        print(f"instructions: NOT COMPARED: {reason}\nnot compared: {', '.join(sorted(known))}")
        return 1 if arguments.record else 0
    if arguments.record:
        now = {**here, "isa": "avx2", "works": found}
        RECORD.write_text(json.dumps(merged(records, recorded, now), indent=2) + "\n")
    elif not compare(found, recorded["works"], known):
        print(
            "\nA path takes more instructions than are recorded, or is another one. Make it faster "
            "again; or, where that is meant:\n    make instructions ARGS=--record"
        )
        return 1
    else:
        print("all within what is recorded")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
