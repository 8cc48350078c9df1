"""Products alone, beside the peak of the machine: chainrule, OpenBLAS, faer, gemm.

    python benchmarks/peak.py                      # into benchmarks/results/products.json

The peak is fused multiply-adds in registers and nothing else, measured before and after each
product.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from gauge import Gauge, Sample, rounded, steady
from run import HERE, environment, machine

RUST = HERE.parent / ".build/rust-peers/release"
# Batch rows m, inputs k, outputs n: what forward passes of the measured networks multiply; then
# the gradient of the first layer's weights, and the square that all libraries are tuned for.
SHAPES = [
    (1, 784, 16), (10, 784, 30), (128, 784, 10), (128, 784, 32), (128, 784, 64), (128, 784, 128),
    (128, 784, 512), (128, 512, 512), (128, 512, 10), (256, 784, 2500), (256, 2500, 2000),
    (256, 2000, 1500), (256, 1500, 1000), (256, 1000, 500), (784, 128, 512), (1024, 1024, 1024),
]  # fmt: skip

SAMPLE = 1_000_000_000  # multiply-adds, as in `products`
OPENBLAS_RESTS = 0.2  # so long its threads look for work, 2^26 cycles


def openblas(repeats: int, rust: Path, isa: str) -> None:
    """What a process of its own prints: NumPy's products by one thread and by two."""
    import numpy as np
    from threadpoolctl import threadpool_info, threadpool_limits

    info = next(i for i in threadpool_info() if i["user_api"] == "blas")
    name = f"{info['internal_api']} {info['version']} {info.get('architecture', '')}".strip()
    with Gauge(rust) as gauge:
        for threads in (1, 2):
            with threadpool_limits(threads, "blas"):
                for m, k, n in SHAPES:
                    rng = np.random.default_rng(0)
                    a, b = rng.random((m, k), np.float32), rng.random((k, n), np.float32)
                    c, times = np.empty((m, n), np.float32), max(1, SAMPLE // (m * k * n))

                    def seconds(a=a, b=b, c=c, times=times) -> float:
                        np.matmul(a, b, out=c)  # threads wake
                        began = time.perf_counter()
                        for _ in range(times):
                            np.matmul(a, b, out=c)
                        return (time.perf_counter() - began) / times

                    samples = [
                        gauge.sample(isa, threads, seconds, OPENBLAS_RESTS) for _ in range(repeats)
                    ]
                    print(json.dumps({
                        "library": name, "threads": threads, "m": m, "k": k, "n": n,
                        "samples": samples,
                    }))  # fmt: skip


def lines(command: list[str], text: str = "") -> list[dict]:
    run = subprocess.run(
        command, input=text, capture_output=True, text=True, check=True, env=environment()
    )
    return [json.loads(line) for line in run.stdout.splitlines()]


def merged(found: list[list[dict]]) -> list[dict]:
    """Each product's samples and its share of the peak in each round."""
    rounds = defaultdict(list)
    for row in (row for part in found for row in part):
        key = tuple(row[name] for name in ("library", "threads", "m", "k", "n"))
        rounds[key].append([Sample(*sample) for sample in row["samples"]])
    return [
        {
            "library": library, "threads": threads, "m": m, "k": k, "n": n,
            "shares": [round(2 * m * k * n / 1e9 / steady(samples), 4) for samples in parts],
            "samples": [rounded(samples) for samples in parts],
        }
        for (library, threads, m, k, n), parts in rounds.items()
    ]  # fmt: skip


def written(result: dict) -> str:
    """As JSON, a product a line."""
    rows = ",\n".join(json.dumps(row) for row in result["products"])
    head = json.dumps({key: value for key, value in result.items() if key != "products"}, indent=1)
    return head[:-2] + f',\n "products": [\n{rows}\n]}}\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of one")
    parser.add_argument("--openblas", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--isa", help=argparse.SUPPRESS)
    parser.add_argument("--rust", type=Path, default=RUST, help="where peak and products are")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "products.json")
    arguments = parser.parse_args()
    rust = arguments.rust
    if arguments.openblas:
        openblas(arguments.openblas, rust, arguments.isa)
        return
    begun = {"machine": machine(), "date": time.strftime("%Y-%m-%d")}
    rounds, repeats = (1, 2) if arguments.quick else (3, 6)
    text = "".join(f"{m} {k} {n}\n" for m, k, n in SHAPES)
    peaks, found = [], []
    for _ in range(rounds):
        run = subprocess.run([str(rust / "peak")], capture_output=True, text=True, check=True)
        peaks.append(json.loads(run.stdout))
        if not peaks[0]:
            sys.exit("peak.py needs a processor with AVX2: of others no peak is known")
        widest = peaks[0][-1]["isa"]
        found.append(lines([
            sys.executable, __file__, "--openblas", str(repeats), "--rust", str(rust),
            "--isa", widest,
        ]))  # fmt: skip
        found.append(lines([str(rust / "products"), str(repeats)], text))
    peak = [max(forms, key=lambda form: form["gflops"]) for forms in zip(*peaks, strict=True)]
    result = {**begun, "peak": peak, "products": merged(found)}
    for form in peak:
        print(f"{form['isa']:<8}{form['dtype']} {form['threads']} {form['gflops']:8.1f} GFLOP/s")
    for row in result["products"]:
        print(
            f"{row['m']:5} {row['k']:5} {row['n']:5}  {row['library']:<32} {row['threads']} "
            f"{median(row['shares']):6.1%} ({min(row['shares']):.1%} to {max(row['shares']):.1%})"
        )
    if not arguments.quick:
        arguments.out.parent.mkdir(exist_ok=True)
        arguments.out.write_text(written(result))


if __name__ == "__main__":
    main()
