"""What the machine gives at the moment: bursts of fused multiply-adds by a process beside.

A machine that others use too may halve its rate from one second to the next, by its clock or by
what runs beside us on the same core. A time beside a peak of another second says nothing then, so
each time stands between two bursts, and is told in what the machine could have done meanwhile.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple, Self


class Sample(NamedTuple):
    """A time, and the machine's GFLOP/s before and after it."""

    seconds: float
    before: float
    after: float

    @property
    def possible(self) -> float:
        """GFLOP that the machine could have done in this time."""
        return self.seconds * (self.before + self.after) / 2

    @property
    def undisturbed(self) -> float:
        return min(self.before, self.after)


def steady(samples: Sequence[Sample]) -> float:
    """GFLOP possible meanwhile: the median of that half in which the machine gave most."""
    best = sorted(samples, key=lambda sample: sample.undisturbed, reverse=True)
    return median(sample.possible for sample in best[: (len(samples) + 1) // 2])


class Gauge:
    """The `peak` of the crate beside, for as long as the `with` lasts."""

    def __init__(self, rust: Path) -> None:
        self._process = subprocess.Popen(
            [str(rust / "peak"), "--serve"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._highest: dict[tuple[str, int], float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()

    def rate(self, isa: str, threads: int) -> float:
        """float32 GFLOP/s."""
        print(isa, "float32", threads, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"no peak is measured of {isa} on this processor")
        rate = float(answer)
        self._highest[isa, threads] = max(rate, self._highest.get((isa, threads), 0.0))
        return rate

    def highest(self, isa: str, threads: int) -> float:
        """The highest rate since this was opened."""
        return self._highest[isa, threads]

    def sample(self, isa: str, threads: int, run: Callable[[], float]) -> Sample:
        """The seconds that run tells of itself, between two bursts."""
        before = self.rate(isa, threads)
        seconds = run()
        return Sample(seconds, before, self.rate(isa, threads))
