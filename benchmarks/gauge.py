"""What the machine gives at the moment: bursts of fused multiply-adds.

A machine that others use too may halve its rate from one second to the next, by its clock or by
what runs beside us on the same core. A time beside a peak of another second says nothing then, so
each time stands between two bursts, and is told in what the machine could have done meanwhile.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple, Self

REST = 0.005  # threads that wait for work sleep after so long; else they would slow the bursts


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
    """GFLOP possible meanwhile: the median over the less disturbed half of the samples."""
    best = sorted(samples, key=lambda sample: sample.undisturbed, reverse=True)
    return median(sample.possible for sample in best[: (len(samples) + 1) // 2])


def rounded(samples: Sequence[Sample]) -> list[list[float]]:
    """Samples to be kept, with as many figures as mean something."""
    return [[float(f"{number:.5g}") for number in sample] for sample in samples]


class Gauge:
    """The `peak` of the crate beside, for as long as the `with` lasts."""

    def __init__(self, rust: Path) -> None:
        self._process = subprocess.Popen(
            [str(rust / "peak"), "--serve"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()

    def rate(self, isa: str, threads: int) -> float:
        """float32 GFLOP/s."""
        try:
            print(isa, "float32", threads, file=self._process.stdin, flush=True)
            return float(self._process.stdout.readline())
        except (BrokenPipeError, ValueError):
            raise RuntimeError(
                f"expected the peak of {isa}; the program `peak` ended: it knows that of AVX2 and "
                "AVX-512"
            ) from None

    def sample(
        self, isa: str, threads: int, run: Callable[[], float], rest: float = REST
    ) -> Sample:
        """The seconds that run tells of itself, between two bursts."""
        before = self.rate(isa, threads)
        seconds = run()
        time.sleep(rest)
        return Sample(seconds, before, self.rate(isa, threads))
