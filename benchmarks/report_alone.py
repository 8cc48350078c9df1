"""Tables from what `alone.py` measured; `report.py` puts them into the README."""

from __future__ import annotations

from statistics import median
from typing import Any

from tables import duration, table


def growth(rows: list[dict[str, Any]]) -> str:
    """A step's share of one thread's peak over width and batch, on up to two threads."""
    widths = sorted({row["width"] for row in rows})
    batches = sorted({row["batch"] for row in rows})
    at = {(row["width"], row["batch"]): row for row in rows}
    return table(
        ["width w", *(f"batch {batch:,}" for batch in batches)],
        [
            [f"{width:,}", *(f"{at[width, batch]['two']:.0%}" for batch in batches)]
            for width in widths
        ],
    )


def threads(rows: list[dict[str, Any]]) -> str:
    """What two threads take by one thread's time; and what the same step takes by itself."""
    again, helped = (
        sorted(row["one"] / row["two"] for row in rows if (row["explain"]["threads"] > 1) is others)
        for others in (False, True)
    )
    return (
        f"{len(helped)} of these are shared by two threads and take {helped[0]:.2f} to "
        f"{helped[-1]:.2f} of one thread's time, {median(helped):.2f} in the median. The other "
        f"{len(again)} are taken by one thread where two are allowed, too, and so show what the "
        f"same step takes when it is measured twice: {again[0]:.2f} to {again[-1]:.2f}, "
        f"{median(again):.2f} in the median."
    )


def traffic(rows: list[dict[str, Any]]) -> str:
    """Bytes of weights a second by one layered row."""
    found, once = {}, False
    for row in rows:
        width, seconds = row["width"], median(sample[0] for sample in row["one_samples"])
        if row["batch"] == 1 and row["explain"]["path"] == "layered":
            passes = row.get("passes", {"first": 3, "others": 3})
            once = passes["first"] == 2
            passed = passes["first"] * 784 * width + passes["others"] * width * (width + 10)
            found[width] = 4 * passed / seconds / 1e9
    each = ", ".join(f"{rate:.0f} at width {width:,}" for width, rate in found.items())
    read = "read twice and written once" + " (the first layer's read once)" * once
    return f"GB/s of weights, {read}, by one row and one thread: {each}."


def fractions(rows: list[dict[str, Any]]) -> str:
    """Whole steps beside the peak, and what float64 and momentum cost."""
    return table(
        ["a whole step of", "instructions", "threads", "of the peak", "float64's rate", "momentum"],
        [
            [
                row["net"], row["isa"], str(row["threads"]), f"{row['of_peak']:.1%}",
                f"{row['float64_rate']:.0%}", f"{row['momentum_cost']:.2f}",
            ]
            for row in rows
        ],
    )  # fmt: skip


def company(busy: list[dict[str, Any]], workers: list[dict[str, Any]]) -> str:
    """Several threads beside one: on free cores, beside another program, in two processes."""
    in_workers = {row["net"]: row["free"] for row in workers}
    several = list(busy[0]["free"])
    places = (("free", "free cores"), ("taken", "another program on one"))
    return table(
        ["time of a step, by one thread's",
         *(f"{threads} threads, {place}" for _, place in places for threads in several),
         "in joblib"],
        [
            [row["net"],
             *(f"{row[name][threads]:.2f}" for name, _ in places for threads in several),
             f"{in_workers[row['net']]:.2f}"]
            for row in busy
        ],
    )  # fmt: skip


def saturation(rows: list[dict[str, Any]]) -> str:
    """What an epoch takes when most units are saturated, by the first."""
    return table(
        ["sigmoids on MNIST, one thread", "rate", "units saturated", "of the first epoch"],
        [
            [f"{row['net']}, epoch {row['epochs']}", f"{row['learning_rate']}",
             f"{row['saturated']:.0%}", f"{row['last_of_first']:.2f}"]
            for row in rows
        ],
    )  # fmt: skip


def costs(found: dict[str, Any]) -> str:
    """Memory and import."""
    memory = found["fit_memory_of_pixels"]
    return (
        f"Beside the caller's 60,000 images in uint8, `fit` takes {memory['1']:.2f} times their "
        f"bytes by batch 1 and {memory['128']:.2f} by batch 128 (784-128-10, whose parameters are "
        f"{found['parameters_of_pixels']:.3f} of them). `import chainrule` takes "
        f"{duration(found['import_seconds'])} over NumPy's own "
        f"{duration(found['import_of_numpy_seconds'])}."
    )


def parts(result: dict[str, Any]) -> list[str]:
    """All that was measured, headed."""
    found = ["### Beside itself"]
    if "growth" in result:
        steep = result["cliffs"]
        lines = [f"- {line}, by two threads" for line in steep["two"]]
        lines += [f"- {line}, by one" for line in steep["one"]]
        activation = result["growth"][0]["activation"]
        what = f"784-w-w-10, {activation}, cross-entropy, dense random rows, float32"
        found += [
            f"{what}: a step by up to two threads, as a share of one thread's peak:",
            growth(result["growth"]),
            threads(result["growth"]),
            traffic(result["growth"]),
            "Where neighbours differ by more than their arithmetic says and 30 % beside:",
            "\n".join(lines or ["- none"]),
        ]
    if "fractions" in result:
        found.append(fractions(result["fractions"]))
    if "busy" in result and "workers" in result:
        found.append(company(result["busy"], result["workers"]))
    if "saturation" in result:
        found.append(saturation(result["saturation"]))
    if "costs" in result:
        found.append(costs(result["costs"]))
    return found
