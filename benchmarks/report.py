"""Tables and plots from what `run.py`, `peak.py` and `alone.py` measured.

    python benchmarks/report.py               # into benchmarks/README.md and benchmarks/results/

The tables stand in the README between two marks and are written anew; the rest is by hand.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from statistics import median

import drawings
import report_alone
from tables import NAMES, duration, table

HERE = Path(__file__).parent
START, END = (
    "<!-- from here to the next mark: written by report.py -->",
    "<!-- end of report.py -->",
)

# What is shown of another processor.
WITH_GOALS = {"training", "prediction", "fractions"}


def share(part: float) -> str:
    """A share of another's time: 1/3.2, or times 1.4 where it is more."""
    return f"1/{1 / part:.3g}" if part <= 1 else f"{part:.3g}"


def times(results: list[dict]) -> str:
    """Each peer's time on each work."""
    names = [name for name in NAMES if any(name in r["peers"] for r in results)]
    rows = []
    for result in results:
        peers = result["peers"]
        cells = [duration(peers[n]["median"]) if n in peers else "–" for n in names]
        rows.append([result["work"]["name"], *cells])
    rounds = {len(peer["rounds"]) for result in results for peer in result["peers"].values()}
    return f"Medians of {max(rounds)} rounds.\n\n" + table(
        ["work", *(NAMES[n] for n in names)], rows
    )


def against(results: list[dict], peer: str) -> str:
    """Our share of one peer's time, the median of rounds and their spread, beside the goals."""
    rows = []
    for result in results:
        peers, work = result["peers"], result["work"]
        if not {"chainrule", peer} <= set(peers):
            continue
        ours, theirs = peers["chainrule"], peers[peer]
        pairs = [a / b for a, b in zip(ours["rounds"], theirs["rounds"], strict=True)]
        rows.append([
            work["name"], share(median(pairs)),
            f"{share(min(pairs))} to {share(max(pairs))}",
            *(share(work[goal]) if work[goal] else "–" for goal in ("least", "aim")),
        ])  # fmt: skip
    return table(["work", f"share of {NAMES[peer]}'s time", "rounds", "at least", "aim"], rows)


def products(result: dict) -> str:
    """Products alone as a share of the peak beside: the median of rounds, and the best."""
    libraries = sorted({(row["library"], row["threads"]) for row in result["products"]})
    shares: dict[tuple, dict] = {}
    for row in result["products"]:
        shape = row["m"], row["k"], row["n"]
        found = row["shares"]
        cell = f"{median(found) * 100:.0f} ({max(found) * 100:.0f})"
        shares.setdefault(shape, {})[row["library"], row["threads"]] = cell
    rows = [
        ["×".join(map(str, shape)), *(found.get(key, "–") for key in libraries)]
        for shape, found in shares.items()
    ]
    return table(["m×k×n", *(f"{name}, {threads} thr." for name, threads in libraries)], rows)


def peaks(result: dict) -> dict[int, float]:
    """The best float32 GFLOP/s by number of threads."""
    best: dict[int, float] = {}
    for form in result["peak"]:
        if form["dtype"] == "float32":
            best[form["threads"]] = max(best.get(form["threads"], 0.0), form["gflops"])
    return best


def versions(results: list[dict]) -> str:
    found = {}
    for result in results:
        for peer in result["peers"].values():
            found |= {
                k: v for k, v in peer["versions"].items() if k not in {"engine", "threads", "path"}
            }
    return ", ".join(f"{name} {version}" for name, version in found.items())


def where_and_when(peers: dict, products_alone: dict | None, itself: dict | None) -> str:
    """The machine, and of each part the day and the load before it."""
    begun = dict(peers)
    if products_alone:
        begun["products"] = products_alone
    if itself:
        begun |= {f"alone, {name}": part for name, part in itself["measured"].items()}
    machine = next(iter(begun.values()))["machine"]
    parts = ", ".join(
        f"{name} {part['date']} ({part['machine']['load']:.2f})" for name, part in begun.items()
    )
    return (
        f"Measured on {machine['processor']}, {machine['cores']} cores "
        f"({', '.join(machine['instructions'])}), {machine['system']}, "
        f"Python {machine['python']}; {machine['threads']} threads. "
        f"When, and (the load before): {parts}."
    )


def missing(results: list[dict]) -> list[str]:
    return [
        f"- {NAMES[peer]} is missing from {result['work']['name']}: {why.splitlines()[-1]}"
        for result in results
        for peer, why in result["missing"].items()
    ]


def read(file: Path) -> dict | None:
    return json.loads(file.read_text()) if file.exists() else None


def with_goals(parts: dict) -> dict:
    return {name: part for name, part in parts.items() if name in WITH_GOALS}


def sections(folder: Path, *, short: bool = False) -> list[str]:
    """What was measured on one machine; in short, the tables that have goals."""
    measured, products_alone, itself = (
        read(folder / name) for name in ("peers.json", "products.json", "alone.json")
    )
    assert measured, f"{folder} must have peers.json, which run.py writes"
    if short:
        measured = {name: with_goals(parts) for name, parts in measured.items()}
        itself = itself and with_goals(itself) | {"measured": with_goals(itself["measured"])}
    groups = measured["groups"]
    everything = [result for group in groups.values() for result in group]
    parts = [
        where_and_when(measured["measured"], products_alone, itself),
        f"Versions: {versions(everything)}.",
    ]
    if groups.get("training"):
        parts += [
            "### A step of training",
            "" if short else drawings.beside_peers(groups["training"], folder),
            against(groups["training"], "jax"),
            times(groups["training"]),
        ]
    if groups.get("prediction"):
        parts += [
            "### A prediction",
            against(groups["prediction"], "onnx"),
            times(groups["prediction"]),
        ]
    parts += ["\n".join(missing(everything))]
    if groups.get("growth"):
        parts += [
            "### Over size and batch",
            *drawings.growth(measured, folder),
            times(groups["growth"]),
        ]
    if products_alone:
        rates = ", ".join(
            f"{rate:.0f} GFLOP/s on {n} thread{'s' * (n > 1)}"
            for n, rate in peaks(products_alone).items()
        )
        parts += [
            "### Products alone",
            (
                "Per cent of the float32 peak before and after, in the median of three rounds and "
                f"(in the best). The peak at its highest: {rates}."
            ),
            products(products_alone),
        ]  # fmt: skip
    if itself:
        parts += report_alone.parts(itself)
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--readme", type=Path, default=HERE / "README.md")
    arguments = parser.parse_args()
    parts = sections(arguments.results)
    if (other := arguments.results / "elsewhere").exists():
        parts.append("### On another processor")
        parts += [re.sub("^###", "####", part) for part in sections(other, short=True)]
    text = "\n\n".join(part for part in parts if part)
    page = arguments.readme.read_text(encoding="utf-8")
    marked = re.compile(re.escape(START) + ".*" + re.escape(END), re.DOTALL)
    assert marked.search(page), f"{arguments.readme} must have the two marks"
    page = marked.sub(lambda _: f"{START}\n\n{text}\n\n{END}", page)
    arguments.readme.write_text(page, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
