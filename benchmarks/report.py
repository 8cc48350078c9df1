"""Tables and plots from what `run.py` and `peak.py` measured.

    python benchmarks/report.py               # into benchmarks/README.md and benchmarks/results/

The tables stand in the README between two marks and are written anew; the rest is by hand.
"""

from __future__ import annotations

import argparse
import json
import re
from itertools import pairwise
from pathlib import Path

from works import DEEP, REPORT, WIDE

HERE = Path(__file__).parent
START, END = (
    "<!-- from here to the next mark: written by report.py -->",
    "<!-- end of report.py -->",
)
NAMES = {
    "chainrule": "chainrule", "jax": "JAX", "torch": "PyTorch eager",
    "torch_compile": "PyTorch compiled", "sklearn": "scikit-learn", "numpy": "NumPy",
    "candle": "candle", "burn": "burn", "onnx": "ONNX Runtime",
}  # fmt: skip


def duration(seconds: float) -> str:
    """Three figures, in a unit that suits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            value = seconds / size
            return f"{value:,.{max(0, 2 - len(str(int(value))) + 1)}f} {unit}"
    raise AssertionError


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, its columns of one width, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * widths[0]] + ["-" * (w - 1) + ":" for w in widths[1:]]
    lines = [header, rule, *rows]
    return "\n".join(
        "| " + " | ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ) + " |"
        for line in lines
    )  # fmt: skip


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
    return table(["work", *(NAMES[n] for n in names)], rows)


def against(results: list[dict], peer: str) -> str:
    """Our share of one peer's time beside what is aimed for, with the spread of rounds."""
    rows = []
    for result in results:
        peers, work = result["peers"], result["work"]
        if not {"chainrule", peer} <= set(peers):
            continue
        ours, theirs = peers["chainrule"], peers[peer]
        pairs = [a / b for a, b in zip(ours["rounds"], theirs["rounds"], strict=True)]
        rows.append([
            work["name"], share(ours["median"] / theirs["median"]),
            f"{share(min(pairs))} to {share(max(pairs))}",
            *(share(work[goal]) if work[goal] else "–" for goal in ("least", "aim")),
        ])  # fmt: skip
    return table(["work", f"share of {NAMES[peer]}'s time", "rounds", "at least", "aim"], rows)


def products(result: dict) -> str:
    """GFLOP/s of products alone as a fraction of the measured peak."""
    peak = peaks(result)
    libraries = sorted({(row["library"], row["threads"]) for row in result["products"]})
    rates: dict[tuple, dict] = {}
    for row in result["products"]:
        shape = row["m"], row["k"], row["n"]
        rate = 2 * row["m"] * row["k"] * row["n"] / row["seconds"] / 1e9
        rates.setdefault(shape, {})[row["library"], row["threads"]] = rate
    rows = [
        ["×".join(map(str, shape)), *(
            f"{found[key] / peak[key[1]]:.0%}" if key in found and key[1] in peak else "–"
            for key in libraries
        )]
        for shape, found in rates.items()
    ]  # fmt: skip
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


def missing(results: list[dict]) -> list[str]:
    return [
        f"- {NAMES[peer]} is missing from {result['work']['name']}: {why.splitlines()[-1]}"
        for result in results
        for peer, why in result["missing"].items()
    ]


def plot_growth(panels: list[tuple[str, str, list[dict], str]], file: Path) -> None:
    """Time over size: (title, x label, results, key of x) a panel; both axes are logarithmic."""
    from matplotlib.figure import Figure

    from chainrule import plots
    from chainrule.plots._style import MARKERS, PALETTE

    looks = zip(PALETTE[:4], MARKERS[:4], strict=True)
    colours = dict(zip(("chainrule", "jax", "torch", "onnx"), looks, strict=True))
    with plots.style():
        figure = Figure(figsize=(4.2 * len(panels), 3.2))
        for ax, (title, label, results, key) in zip(
            figure.subplots(1, len(panels)), panels, strict=True
        ):
            for name, (colour, marker) in colours.items():
                points = sorted(
                    (value(r, key), r["peers"][name]["median"] * 1e6)
                    for r in results
                    if name in r["peers"]
                )
                if points:
                    ax.plot(*zip(*points, strict=True), color=colour, marker=marker, linestyle="-",
                            label=NAMES[name])  # fmt: skip
            ax.set(xscale="log", yscale="log", title=title, xlabel=label)
            ax.grid(visible=True)
            ax.legend()
        figure.axes[0].set_ylabel("microseconds")
        file.write_bytes(plots.render(figure, "png"))


def value(result: dict, key: str) -> float:
    return result["work"]["sizes"][1] if key == "width" else result["work"][key]


def growth(measured: dict, folder: Path) -> list[str]:
    """The plots of training and of prediction over size and batch."""
    found = [
        r for group in measured["groups"].values() for r in group if r["work"]["data"] == "mnist"
    ]

    def some(training: bool, **wanted) -> list[dict]:
        return [
            r for r in found
            if (r["work"]["batch_size"] > 0) == training and r["work"]["dtype"] == "float32"
            and all(r["work"][k] == v for k, v in wanted.items())
        ]  # fmt: skip

    square = [
        r for r in some(training=True, batch_size=128)
        if len(r["work"]["sizes"]) == 4 and r["work"]["activation"] == "relu"
    ]  # fmt: skip
    panels = {
        "training": [
            (
                "A step of 784-128-10",
                "batch",
                some(training=True, sizes=[784, 128, 10]),
                "batch_size",
            ),
            ("A step of 784-w-w-10, batch 128", "width w", square, "width"),
        ],
        "prediction": [
            (
                "A prediction of 784-16-16-10",
                "rows",
                some(training=False, sizes=list(REPORT)),
                "rows",
            ),
            (
                "A prediction of 784-512-512-10",
                "rows",
                some(training=False, sizes=list(WIDE)),
                "rows",
            ),
        ],
    }
    written = []
    for name, parts in panels.items():
        if all(len(results) > 1 for _, _, results, _ in parts):
            plot_growth(parts, folder / f"{name}.png")
            written.append(f"![Time of {name} over size and batch](results/{name}.png)")
    return written


def step_of_peak(results: list[dict], peak: dict[int, float]) -> list[str]:
    """The largest network's step as a fraction of the peak: 2 flops a multiply-add."""
    for result in results:
        work = result["work"]
        if tuple(work["sizes"]) == DEEP and "chainrule" in result["peers"] and 2 in peak:
            products_ = [a * b for a, b in pairwise(DEEP)]
            # Forward, the weights' gradient, and the inputs' but for the first layer's.
            flops = 2 * work["batch_size"] * (3 * sum(products_) - products_[0])
            rate = flops / result["peers"]["chainrule"]["median"] / 1e9
            return [f"The step of {work['name']} runs at {rate / peak[2]:.0%} of the peak."]
    return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--readme", type=Path, default=HERE / "README.md")
    arguments = parser.parse_args()
    folder = arguments.results
    measured = json.loads((folder / "peers.json").read_text())
    alone = (
        json.loads((folder / "products.json").read_text())
        if (folder / "products.json").exists()
        else None
    )
    groups, machine = measured["groups"], measured["machine"]
    everything = [result for group in groups.values() for result in group]
    parts = [
        (
            f"Measured {measured['date']} on {machine['processor']}, {machine['cores']} cores "
            f"({', '.join(machine['instructions'])}), {machine['system']}, "
            f"Python {machine['python']}; {machine['threads']} threads. "
            f"Load before: {machine['load']:.2f}."
        ),
        f"Versions: {versions(everything)}.",
    ]
    if groups.get("training"):
        parts += [
            "### A step of training",
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
        parts += ["### Over size and batch", *growth(measured, folder), times(groups["growth"])]
    if alone:
        rates = ", ".join(
            f"{rate:.0f} GFLOP/s on {n} thread{'s' * (n > 1)}" for n, rate in peaks(alone).items()
        )
        parts += [
            "### Products alone", f"As a fraction of the float32 peak measured beside: {rates}.",
            products(alone), *step_of_peak(groups.get("training", []), peaks(alone)),
        ]  # fmt: skip
    text = "\n\n".join(part for part in parts if part)
    page = arguments.readme.read_text(encoding="utf-8")
    marked = re.compile(re.escape(START) + ".*" + re.escape(END), re.DOTALL)
    assert marked.search(page), f"{arguments.readme} must have the two marks"
    page = marked.sub(lambda _: f"{START}\n\n{text}\n\n{END}", page)
    arguments.readme.write_text(page, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
