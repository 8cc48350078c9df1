"""The report's network over many seeds: choose rate and initialisation, then test once.

    python benchmarks/report_seeds.py choose
    python benchmarks/report_seeds.py test

`choose` trains on the first 50,000 training images with seeds 100-109 and compares on the last
10,000. `test` trains on all 60,000 with seeds 0-9, with what `chainrule train` uses, and evaluates
on the test set, which plays no part in `choose`. Each prints a table and writes it to
benchmarks/results/.
"""

from __future__ import annotations

import json
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

import chainrule
from chainrule import _report_run

RESULTS = Path(__file__).parent / "results"
RATES = (0.02, 0.05, 0.1, 0.15, 0.175, 0.2, 0.225, 0.25, 0.275, 0.3, 0.5, 0.8)
INITIALIZATIONS = ("glorot_uniform", "he_uniform", "lecun_uniform")


def accuracy(seed: int, rate: float, initialization: str, *, on_test: bool) -> float:
    data = chainrule.mnist.load()
    if on_test:
        train, held_out = data.train, data.test
    else:
        images, labels = data.train
        train = chainrule.mnist.Split(images[:50_000], labels[:50_000])
        held_out = chainrule.mnist.Split(images[50_000:], labels[50_000:])
    network = chainrule.Network(_report_run.SIZES, initialization=initialization, seed=seed)
    schedule = chainrule.Linear(rate)
    network.fit(*train, steps=_report_run.STEPS, learning_rate=schedule, progress=False)
    return network.evaluate(*held_out).accuracy


def runs(seeds: range, rate: float, initialization: str, *, on_test: bool) -> dict:
    run = partial(accuracy, rate=rate, initialization=initialization, on_test=on_test)
    with ProcessPoolExecutor() as pool:
        found = dict(zip(seeds, pool.map(run, seeds), strict=True))
    return {
        "initialization": initialization,
        "learning_rate": rate,
        "accuracy": found,
        "mean": statistics.mean(found.values()),
        "lowest": min(found.values()),
    }


def choose() -> None:
    table = []
    for initialization, rate in product(INITIALIZATIONS, RATES):
        row = runs(range(100, 110), rate, initialization, on_test=False)
        table.append(row)
        print(f"{initialization:<15} {rate:<5} mean {row['mean']:.4f}  lowest {row['lowest']:.4f}")
    best = max(table, key=lambda row: row["mean"])
    print(f"best by mean: {best['initialization']}, {best['learning_rate']}")
    write("report_choice.json", {"table": table, "best": best})


def test() -> None:
    rate, initialization = _report_run.RATE, _report_run.INITIALIZATION
    row = runs(range(10), rate, initialization, on_test=True)
    print(f"784-16-16-10, {_report_run.STEPS:,} steps, {initialization}, linear from {rate}\n")
    print("| seed | test accuracy |\n| ---: | ---: |")
    for seed, value in row["accuracy"].items():
        print(f"| {seed} | {value:.4f} |")
    print(f"| mean | {row['mean']:.4f} |\n| lowest | {row['lowest']:.4f} |")
    write("report_seeds.json", row)


def write(name: str, document: dict) -> None:
    RESULTS.mkdir(exist_ok=True)
    document = {"chainrule": chainrule.__version__, "engine": chainrule.BACKEND, **document}
    (RESULTS / name).write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    commands = {"choose": choose, "test": test}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]]()
