"""Tables from what `alone.py` measured; `report.py` puts them into the README."""

from __future__ import annotations

from typing import Any

from tables import duration, table


def growth(rows: list[dict[str, Any]]) -> str:
    """A step's time over width and batch, on two threads."""
    widths = sorted({row["width"] for row in rows})
    batches = sorted({row["batch"] for row in rows})
    at = {(row["width"], row["batch"]): row for row in rows}
    return table(
        ["width w", *(f"batch {batch:,}" for batch in batches)],
        [
            [f"{width:,}", *(duration(at[width, batch]["two"]) for batch in batches)]
            for width in widths
        ],
    )


def threads(rows: list[dict[str, Any]]) -> str:
    """The share of one thread's time that two take, over width and batch."""
    ratios = sorted(row["two"] / row["one"] for row in rows)
    worst = max(rows, key=lambda row: row["two"] / row["one"])
    return (
        f"Two threads take {ratios[0]:.2f} to {ratios[-1]:.2f} of one thread's time on these, "
        f"{ratios[len(ratios) // 2]:.2f} in the median; most at width {worst['width']:,}, "
        f"batch {worst['batch']:,}."
    )


def fractions(rows: list[dict[str, Any]]) -> str:
    """Whole steps beside the peak, and what float64 and momentum cost."""
    return table(
        ["a whole step of", "instructions", "threads", "of the peak", "float64's rate", "momentum"],
        [
            [
                row["net"], row["isa"], str(row["threads"]), f"{row['of_peak']:.0%}",
                f"{row['float64_rate']:.0%}", f"{row['momentum_cost']:.2f}",
            ]
            for row in rows
        ],
    )  # fmt: skip


def company(busy: list[dict[str, Any]], workers: list[dict[str, Any]]) -> str:
    """Two threads beside one: on free cores, beside another program, in two processes at once."""
    in_workers = {row["net"]: row["free"] for row in workers}
    return table(
        ["time of a step, by one thread's", "free cores", "another program on one", "in joblib"],
        [
            [row["net"], f"{row['free']:.2f}", f"{row['taken']:.2f}",
             f"{in_workers[row['net']]:.2f}"]
            for row in busy
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
    """All of it, headed."""
    cliffs = [f"- {line}" for line in result["cliffs"]] or ["- none"]
    activation = result["growth"][0].get("activation", "relu")  # relu before that was written down
    what = f"784-w-w-10, {activation}, cross-entropy, dense random rows, float32"
    return [
        "### Beside itself",
        f"{what}, a step on two threads:",
        growth(result["growth"]),
        threads(result["growth"]),
        "Where neighbours differ by more than their arithmetic says and 30 % beside:",
        "\n".join(cliffs),
        fractions(result["fractions"]),
        company(result["busy"], result["workers"]),
        costs(result["costs"]),
    ]
