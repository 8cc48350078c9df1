"""chainrule beside itself: over size and batch, threads, dtypes, a busy machine; memory and import.

    python benchmarks/alone.py                     # into benchmarks/results/alone.json
    python benchmarks/alone.py --quick             # a moment of each: shows that it runs

Steps stand between two bursts of the machine's peak and are told as shares of it, so that a clock
that changes meanwhile does not make them. What is measured in two processes at once is a ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from gauge import Gauge, Sample, rounded, steady
from run import HERE, environment, machine
from works import DEEP, WIDE

import chainrule

CLIFF = 1.3  # what neighbours may differ by, beside what the arithmetic says
PASSES = {"first": 2, "others": 3}  # how often one layered row reads or writes a layer's weights


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    rounds: int
    gauge: Gauge
    widths: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
    batches: tuple[int, ...] = (1, 4, 16, 64, 256, 1024)
    seconds: float = 0.12  # of one measurement, at least one step
    epochs: int = 12  # until units are saturated


@dataclass(frozen=True)
class Net:
    """A network, the batch it is trained by, and the dtype."""

    sizes: tuple[int, ...]
    batch: int
    activation: str = "identity"  # relu's zeros are left out: more than the peak, and by the data
    dtype: str = "float32"
    momentum: float = 0.0

    @property
    def name(self) -> str:
        return f"{'-'.join(map(str, self.sizes))}, batch {self.batch:,}"

    @property
    def flops(self) -> int:
        """Of a step: forward, dE/dW, and dE/da but for the first layer's; 2 a multiply-add."""
        products = [a * b for a, b in pairwise(self.sizes)]
        return 2 * self.batch * (3 * sum(products) - products[0])


class Fitted:
    """A network that can be trained some steps at a time, on dense random rows."""

    def __init__(self, net: Net, seconds: float) -> None:
        rng = np.random.default_rng(0)
        rows = max(net.batch, 4096)  # many steps an epoch
        self.net = net
        self.x = rng.standard_normal((rows, net.sizes[0]), np.float32).astype(net.dtype)
        self.y = rng.integers(0, net.sizes[-1], rows)
        self.network = chainrule.Network(
            net.sizes, activation=net.activation, loss="cross_entropy", dtype=net.dtype, seed=0
        )
        self.optimizer = chainrule.SGD(1e-4, momentum=net.momentum)
        self.steps = 1
        self.settle(seconds)

    def step(self, threads: int | None) -> float:
        """Seconds a step, behind the first few: what a fit does once, as its first copy to go back
        to, is no part of a step. What later epochs do once is, where they are so short."""
        first = max(1, self.steps // 4)
        history = self.network.fit(
            self.x, self.y, steps=first + self.steps, record_every=first,
            batch_size=self.net.batch, optimizer=self.optimizer, threads=threads, progress=False,
        )  # fmt: skip
        return (history.seconds[-1] - history.seconds[0]) / self.steps

    def settle(self, seconds: float) -> None:
        """Find how many steps take about so long."""
        self.step(1)
        while (each := self.step(1)) * self.steps < seconds / 4 and self.steps < 100_000:
            self.steps *= 4
        self.steps = max(1, min(100_000, round(seconds / each)))


def interleaved(
    scale: Scale, forms: list[tuple[Fitted, int]], peak: int, rounds: int | None = None
) -> list[list[Sample]]:
    """Steps of each form beside the peak of so many threads, in each round: A B C A B C."""
    found: list[list[Sample]] = [[] for _ in forms]
    for _ in range(rounds or scale.rounds):
        for samples, (fitted, threads) in zip(found, forms, strict=True):
            isa = fitted.network.explain()["isa"]
            samples.append(scale.gauge.sample(isa, peak, partial(fitted.step, threads)))
    return found


def growth(scale: Scale) -> list[dict[str, Any]]:
    """A step of 784-w-w-10 over widths and batches, by one thread and by up to two.

    Both stand beside one thread's peak: `explain` says how many were at work.
    """
    rows = []
    for width in scale.widths:
        for batch in scale.batches:
            fitted = Fitted(Net((784, width, width, 10), batch), scale.seconds)
            one, two = interleaved(scale, [(fitted, 1), (fitted, 2)], peak=1)
            gflop = fitted.net.flops / 1e9
            rows.append({
                "width": width, "batch": batch, "flops": fitted.net.flops,
                "activation": fitted.net.activation, "explain": fitted.network.explain(),
                "one": gflop / steady(one), "two": gflop / steady(two),
                "one_samples": rounded(one), "two_samples": rounded(two), "passes": PASSES,
            })  # fmt: skip
            print("  {:<32} {:6.1%} of one thread's peak, two threads of one {:.2f}".format(
                fitted.net.name, rows[-1]["two"], rows[-1]["one"] / rows[-1]["two"]
            ), flush=True)  # fmt: skip
    return rows


def cliffs(rows: list[dict[str, Any]], form: str) -> list[str]:
    """Neighbours whose times differ by more than the arithmetic says and `CLIFF` beside.

    A step may grow by less than its arithmetic, as what does not grow with it weighs less; it
    must not shrink by more than `CLIFF`.
    """
    at = {(row["width"], row["batch"]): row for row in rows}
    wider = dict(pairwise(sorted({width for width, _ in at})))
    longer = dict(pairwise(sorted({batch for _, batch in at})))
    found = []
    for (width, batch), small in at.items():
        for key in (wider.get(width), batch), (width, longer.get(batch)):
            if key not in at:
                continue
            large = at[key]
            arithmetic = large["flops"] / small["flops"]
            grown = arithmetic * small[form] / large[form]  # shares of the peak
            if not 1 / CLIFF <= grown <= CLIFF * arithmetic:
                found.append(
                    f"width {width} batch {batch} to width {key[0]} batch {key[1]}: "
                    f"times {grown:.2f}, arithmetic {arithmetic:.2f}"
                )
    return found


@contextmanager
def instruction_set(isa: str) -> Iterator[None]:
    """Networks made within use this one."""
    os.environ["CHAINRULE_ISA"] = isa
    try:
        yield
    finally:
        del os.environ["CHAINRULE_ISA"]


def fractions(scale: Scale) -> list[dict[str, Any]]:
    """Whole steps as a fraction of the peak; float64 and momentum beside plain float32."""
    rows = []
    for sizes, batch in ((DEEP, 256), (WIDE, 128)):
        for isa in [isa for isa in ("avx512", "avx2") if isa in chainrule._backend.isas()]:
            with instruction_set(isa):
                plain = Fitted(Net(sizes, batch), scale.seconds)
                double = Fitted(Net(sizes, batch, dtype="float64"), scale.seconds)
                moved = Fitted(Net(sizes, batch, momentum=0.9), scale.seconds)
            for threads in (1, 2):
                forms = [(fitted, threads) for fitted in (plain, double, moved)]
                found = interleaved(scale, forms, peak=threads, rounds=3 * scale.rounds)
                p, d, m = map(steady, found)
                rows.append({
                    "net": plain.net.name, "isa": isa, "threads": threads,
                    "of_peak": plain.net.flops / 1e9 / p, "float64_rate": p / d,
                    "momentum_cost": m / p, "samples": [rounded(samples) for samples in found],
                })  # fmt: skip
                print("  {net} {isa} {threads}: {of_peak:.1%} of the peak, float64 at "
                      "{float64_rate:.2f} of the rate, momentum {momentum_cost:.2f}"
                      .format(**rows[-1]), flush=True)  # fmt: skip
    return rows


SHARED = [
    Net((784, 30, 10), 10), Net((784, 128, 10), 128), Net(WIDE, 128), Net(DEEP, 256),
    Net((4, 32, 16, 4), 10_000, "tanh"),
]  # fmt: skip


@contextmanager
def another_program() -> Iterator[None]:
    """One that takes a whole core, the last one that we may use."""
    core = max(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{core}])\nwhile True: pass"
    spinner = subprocess.Popen([sys.executable, "-c", code])
    try:
        time.sleep(0.3)
        yield
    finally:
        spinner.kill()
        spinner.wait()


SEVERAL = (2, 3, 8)  # threads; more than there are cores, too


def busy(scale: Scale) -> list[dict[str, Any]]:
    """Several threads beside one, on free cores and while another program has one of them."""
    rows = []
    for net in SHARED:
        fitted = Fitted(net, scale.seconds)
        forms = [(fitted, threads) for threads in (1, *SEVERAL)]
        free = interleaved(scale, forms, peak=1)
        with another_program():
            taken = interleaved(scale, forms, peak=1)
        row: dict[str, Any] = {"net": net.name}
        for name, samples in (("free", free), ("taken", taken)):
            one, *several = map(steady, samples)
            ratios = [each / one for each in several]
            row[name] = dict(zip(map(str, SEVERAL), ratios, strict=True))
        rows.append(row)
        print(f"  {net.name}: threads by one, free {row['free']}, taken {row['taken']}", flush=True)
    return rows


def _step_among_others(net: Net, threads: int | None, seconds: float) -> float:
    """Seconds a step in a process that has others beside it for so long."""
    fitted = Fitted(net, seconds / 4)
    began, found = time.perf_counter(), []
    while time.perf_counter() - began < seconds:
        found.append(fitted.step(threads))
    return median(found)


def workers(scale: Scale) -> list[dict[str, Any]]:
    """Two processes of joblib that train at once: threads as they come, beside one each."""
    from joblib import Parallel, delayed

    rows = []
    with Parallel(n_jobs=2) as parallel:
        for net in SHARED:
            ratios = []
            for _ in range(scale.rounds):
                one, free = (
                    sum(
                        parallel(
                            delayed(_step_among_others)(net, t, 4 * scale.seconds) for _ in range(2)
                        )
                    )
                    for t in (1, None)
                )
                ratios.append(free / one)
            rows.append({"net": net.name, "free": median(ratios)})
            print("  {net}: default of one thread each {free:.2f}".format(**rows[-1]), flush=True)
    return rows


# Networks of sigmoids on MNIST, at rates at which most hidden units come to be saturated.
SATURATED = [
    (Net((784, 16, 16, 10), 1, "sigmoid"), 0.5), (Net((784, 30, 10), 1, "sigmoid"), 0.5),
    (Net((784, 30, 10), 10, "sigmoid"), 3.0), (Net((784, 100, 10), 10, "sigmoid"), 3.0),
]  # fmt: skip


def saturation(scale: Scale) -> list[dict[str, Any]]:
    """Epochs of MNIST by one thread while deltas come near the least numbers that there are."""
    data = chainrule.mnist.load().train
    rows = []
    for net, rate in SATURATED:
        network = chainrule.Network(net.sizes, activation=net.activation, seed=0)
        history = network.fit(
            data.images, data.labels, epochs=scale.epochs, batch_size=net.batch,
            learning_rate=rate, threads=1, progress=False,
        )  # fmt: skip
        epochs = np.diff([0.0, *history.seconds])
        rows.append({
            "net": net.name, "learning_rate": rate, "epochs": len(epochs),
            "saturated": history.saturated[-1], "accuracy": history.accuracy[-1],
            "last_of_first": epochs[-1] / epochs[0], "seconds": [round(s, 4) for s in epochs],
        })  # fmt: skip
        print("  {net}, rate {learning_rate}: {saturated:.0%} saturated, epoch {epochs} takes "
              "{last_of_first:.2f} of the first".format(**rows[-1]), flush=True)  # fmt: skip
    return rows


MEMORY = """
import sys, numpy as np, chainrule
batch = int(sys.argv[1])
x = np.zeros((60_000, 784), np.uint8)
rng = np.random.default_rng(0)
for row in x:  # a fifth is lit, as in MNIST
    row[rng.integers(0, 784, 156)] = 200
y = rng.integers(0, 10, 60_000)
net = chainrule.Network([784, 128, 10], activation="relu", loss="cross_entropy", seed=0)
net.fit(x[:256], y[:256], steps=1, batch_size=batch)
def status(name):
    return next(int(l.split()[1]) * 1024 for l in open("/proc/self/status") if l.startswith(name))
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
net.fit(x, y, steps=3, batch_size=batch)
print((status("VmHWM") - before) / x.nbytes, net.n_parameters * 4 / x.nbytes)
"""

IMPORT = """
import time
began = time.perf_counter()
import numpy
between = time.perf_counter()
import chainrule
print(time.perf_counter() - between, between - began)
"""


def child(code: str, *arguments: str) -> list[float]:
    """The numbers that a process of its own prints."""
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, check=True, env=environment(),
    )  # fmt: skip
    return [float(word) for word in run.stdout.split()]


def costs(scale: Scale) -> dict[str, Any]:
    """Memory of a fit beside the caller's array, and time of an import beside NumPy's."""
    memory = {batch: child(MEMORY, batch) for batch in ("1", "128")}
    imports = [child(IMPORT) for _ in range(scale.rounds + 1)][1:]
    found = {
        "fit_memory_of_pixels": {batch: found[0] for batch, found in memory.items()},
        "parameters_of_pixels": memory["1"][1],
        "import_seconds": median(ours for ours, _ in imports),
        "import_of_numpy_seconds": median(numpy for _, numpy in imports),
    }
    print(f"  {found}", flush=True)
    return found


def written(result: dict[str, Any]) -> str:
    """As JSON, each row on a line of its own, as it has many samples."""
    parts = []
    for name, found in result.items():
        if isinstance(found, list):
            text = "[\n" + ",\n".join(json.dumps(row) for row in found) + "\n]"
        else:
            text = json.dumps(found, indent=1)
        parts.append(f"{json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a moment of each")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--rust",
        type=Path,
        default=HERE.parent / ".build/rust-peers/release",
        help="where the peak is measured",
    )
    parser.add_argument("--out", type=Path, default=HERE / "results" / "alone.json")
    arguments = parser.parse_args()
    partial_run = set(arguments.parts) != set(PARTS) and arguments.out.exists()
    result: dict[str, Any] = json.loads(arguments.out.read_text()) if partial_run else {}
    with Gauge(arguments.rust) as gauge:
        scale = Scale(arguments.rounds, gauge)
        if arguments.quick:
            scale = Scale(1, gauge, scale.widths[:3], scale.batches[:3], 0.01, 2)
        for name in arguments.parts:
            print(name, flush=True)
            begun = {"date": time.strftime("%Y-%m-%d"), "machine": machine()}
            result.setdefault("measured", {})[name] = begun
            result[name] = PARTS[name](scale)
    if "growth" in arguments.parts:
        result["cliffs"] = {form: cliffs(result["growth"], form) for form in ("one", "two")}
        print(json.dumps(result["cliffs"], indent=1))
    if not arguments.quick:
        arguments.out.parent.mkdir(exist_ok=True)
        arguments.out.write_text(written(result))


PARTS: dict[str, Callable[[Scale], Any]] = {
    "growth": growth,
    "fractions": fractions,
    "busy": busy,
    "workers": workers,
    "saturation": saturation,
    "costs": costs,
}

if __name__ == "__main__":
    main()
