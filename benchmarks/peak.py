"""Products alone, beside the peak of the machine: chainrule, OpenBLAS, faer, gemm.

    python benchmarks/peak.py                      # into benchmarks/results/products.json

The peak is measured in the same run: fused multiply-adds in registers and nothing else.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from run import HERE, environment, machine

RUST = HERE.parent / ".build/rust-peers/release"
# Batch rows m, inputs k, outputs n: what forward passes of the measured networks multiply; then
# the gradient of the first layer's weights, and the square that all libraries are tuned for.
SHAPES = [
    (1, 784, 16), (10, 784, 30), (128, 784, 10), (128, 784, 32), (128, 784, 64), (128, 784, 128),
    (128, 784, 512), (128, 512, 512), (128, 512, 10), (256, 784, 2500), (256, 2500, 2000),
    (256, 2000, 1500), (256, 1500, 1000), (256, 1000, 500), (784, 128, 512), (1024, 1024, 1024),
]  # fmt: skip


def openblas(repeats: int) -> None:
    """What a process of its own prints: NumPy's products by as many threads as it was given."""
    import numpy as np
    from threadpoolctl import threadpool_info, threadpool_limits

    info = next(i for i in threadpool_info() if i["user_api"] == "blas")
    name = f"{info['internal_api']} {info['version']} {info.get('architecture', '')}".strip()
    for threads in (1, 2):
        with threadpool_limits(threads, "blas"):
            for m, k, n in SHAPES:
                rng = np.random.default_rng(0)
                a, b = rng.random((m, k), np.float32), rng.random((k, n), np.float32)
                c = np.empty((m, n), np.float32)
                inner, best = max(1, 20_000_000 // (m * k * n)), float("inf")
                for _ in range(repeats + 1):
                    began = time.perf_counter()
                    for _ in range(inner):
                        np.matmul(a, b, out=c)
                    best = min(best, time.perf_counter() - began)
                print(json.dumps({
                    "library": name, "threads": threads, "m": m, "k": k, "n": n,
                    "seconds": best / inner,
                }))  # fmt: skip


def lines(command: list[str], text: str = "") -> list[dict]:
    run = subprocess.run(
        command, input=text, capture_output=True, text=True, check=True, env=environment()
    )
    return [json.loads(line) for line in run.stdout.splitlines()]


def merged(found: list[list[dict]]) -> list[dict]:
    """The best of all rounds."""
    best: dict[tuple, dict] = {}
    for row in (row for part in found for row in part):
        key = tuple(row[name] for name in ("library", "threads", "m", "k", "n"))
        if key not in best or row["seconds"] < best[key]["seconds"]:
            best[key] = row
    return list(best.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of one")
    parser.add_argument("--openblas", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--rust", type=Path, default=RUST, help="where peak and products are")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "products.json")
    arguments = parser.parse_args()
    if arguments.openblas:
        openblas(arguments.openblas)
        return
    rounds, repeats = (1, 1) if arguments.quick else (5, 10)
    text = "".join(f"{m} {k} {n}\n" for m, k, n in SHAPES)
    peaks, found = [], []
    for _ in range(rounds):
        run = subprocess.run(
            [str(arguments.rust / "peak")], capture_output=True, text=True, check=True
        )
        peaks.append(json.loads(run.stdout))
        found.append(lines([sys.executable, __file__, "--openblas", str(repeats)]))
        found.append(lines([str(arguments.rust / "products"), str(repeats)], text))
    peak = [max(forms, key=lambda form: form["gflops"]) for forms in zip(*peaks, strict=True)]
    result = {"machine": machine(), "peak": peak, "products": merged(found)}
    for form in peak:
        print(f"{form['isa']:<8}{form['dtype']} {form['threads']} {form['gflops']:8.1f} GFLOP/s")
    for row in result["products"]:
        rate = 2 * row["m"] * row["k"] * row["n"] / row["seconds"] / 1e9
        top = max(
            (
                p["gflops"]
                for p in peak
                if p["dtype"] == "float32" and p["threads"] == row["threads"]
            ),
            default=float("nan"),
        )
        print(
            f"{row['m']:5} {row['k']:5} {row['n']:5}  {row['library']:<32} {row['threads']} "
            f"{rate:8.1f} GFLOP/s {rate / top:6.1%}"
        )
    if not arguments.quick:
        arguments.out.parent.mkdir(exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
