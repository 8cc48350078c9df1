"""What training outside the interpreter lock gains: two networks, in turn and in two threads.

    python benchmarks/gil.py

Prints the ratio of both times, measured in one run, for each engine.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import chainrule

STEPS = {"rust": 20_000, "numpy": 2_000}
ROUNDS = 5


def train(backend: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.random((1000, 784), np.float32)
    y = rng.integers(0, 10, 1000)
    network = chainrule.Network([784, 16, 16, 10], seed=seed, backend=backend)
    network.fit(x, y, steps=STEPS[backend], progress=False)


def seconds(backend: str, workers: int) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda seed: train(backend, seed), range(2)))
    return time.perf_counter() - began


for backend in ("rust", "numpy"):
    ratios = [seconds(backend, 1) / seconds(backend, 2) for _ in range(ROUNDS)]
    print(
        f"{backend:<6} two threads are {np.median(ratios):.2f} times as fast as one "
        f"({min(ratios):.2f} to {max(ratios):.2f} in {ROUNDS} rounds)"
    )
