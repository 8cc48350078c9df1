"""The works that are measured: networks, data, batches. All peers get the same."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Work:
    """What is computed: training where there is a batch, else prediction."""

    name: str
    sizes: tuple[int, ...]
    activation: str
    loss: str = "cross_entropy"  # squared_error has sigmoid outputs, cross_entropy softmax
    rows: int = 60_000
    batch_size: int = 0
    data: str = "mnist"
    dtype: str = "float32"  # of the rows that are predicted
    learning_rate: float = 0.1
    check: int = 468  # steps after which all peers must have learnt the same
    repeats: int = 1  # passes over the data in a round
    calls: int = 1  # predictions in a round
    least: float | None = None  # the share of JAX's (ONNX Runtime's) time that will do
    aim: float | None = None

    @property
    def steps(self) -> int:
        """Steps of a round: whole batches only, so that each step is the same work."""
        return self.rows // self.batch_size * self.repeats if self.batch_size else 0

    @property
    def n_parameters(self) -> int:
        return sum(n_out * (n_in + 1) for n_in, n_out in pairwise(self.sizes))

    @property
    def full_batch(self) -> bool:
        """Whether each step takes all rows as they stand, so that nothing need be gathered."""
        return self.batch_size == self.rows


WIDE = (784, 512, 512, 10)
DEEP = (784, 2500, 2000, 1500, 1000, 500, 10)
REPORT = (784, 16, 16, 10)

# fmt: off
TRAINING = [
    Work("784-16-16-10 sigmoid, batch 1", REPORT, "sigmoid", "squared_error", batch_size=1,
         learning_rate=0.05, check=20_000, least=1 / 12, aim=1 / 20),
    Work("784-30-10 sigmoid, batch 10", (784, 30, 10), "sigmoid", "squared_error", batch_size=10,
         learning_rate=0.5, check=6_000, least=1 / 4, aim=1 / 8),
    Work("784-128-10 relu, batch 128", (784, 128, 10), "relu", batch_size=128,
         least=1 / 2, aim=1 / 3),
    Work("784-512-512-10 relu, batch 128", WIDE, "relu", batch_size=128,
         least=1 / 1.4, aim=1 / 1.6),
    Work("784-512-512-10 relu, batch 128, dense", WIDE, "relu", batch_size=128, data="dense",
         learning_rate=0.05, least=1 / 1.2, aim=1 / 1.3),
    Work("784-2500-2000-1500-1000-500-10 relu, batch 256", DEEP, "relu", batch_size=256,
         rows=10_240, learning_rate=0.05, check=40, least=1 / 1.12, aim=1 / 1.2),
    Work("4-32-16-4 tanh, full batch", (4, 32, 16, 4), "tanh", rows=10_000, batch_size=10_000,
         data="blobs", repeats=200, check=200, least=1 / 1.7, aim=1 / 3),
]
PREDICTION = [
    Work("784-16-16-10, one row", REPORT, "sigmoid", "squared_error", rows=1, calls=20_000,
         least=1 / 10),
    Work("784-16-16-10, 10,000 rows float32", REPORT, "sigmoid", "squared_error", rows=10_000,
         calls=100, least=1 / 1.2),
    Work("784-16-16-10, 10,000 rows uint8", REPORT, "sigmoid", "squared_error", rows=10_000,
         dtype="uint8", calls=100, least=1 / 2),
]
# How time grows: over the batch and the width in training, over the rows in prediction.
GROWTH = [
    *(Work(f"784-128-10 relu, batch {batch}", (784, 128, 10), "relu", batch_size=batch,
           rows=rows, learning_rate=0.02, check=0)
      for batch, rows in ((1, 10_000), (8, 20_000), (32, 60_000), (512, 60_000))),
    *(Work(f"784-{width}-{width}-10 relu, batch 128", (784, width, width, 10), "relu",
           batch_size=128, rows=rows, learning_rate=0.02, check=0)
      for width, rows in
      ((16, 60_000), (64, 60_000), (256, 60_000), (1024, 20_000), (2048, 10_240))),
    *(Work(f"{'-'.join(map(str, sizes))}, {rows:,} rows", sizes, "sigmoid", "squared_error",
           rows=rows, calls=max(2, min(20_000, most // rows)))
      for sizes, most in ((REPORT, 1_000_000), (WIDE, 50_000))
      for rows in (1, 10, 100, 1000, 10_000)
      if (sizes, rows) not in {(REPORT, 1), (REPORT, 10_000)}),  # measured above
]
# fmt: on
GROUPS = {"training": TRAINING, "prediction": PREDICTION, "growth": GROWTH}


def quick(work: Work) -> Work:
    """The same work cut to a moment: shows that everything runs, not how fast."""
    batch = min(work.batch_size, 256)
    rows = min(work.rows, max(512, 4 * batch))
    if work.full_batch:
        rows = batch
    return replace(
        work,
        rows=rows if work.rows > 1 else 1,
        batch_size=batch,
        check=min(work.check, rows // batch) if batch else 0,
        repeats=min(work.repeats, 4),
        calls=min(work.calls, 20),
    )


@dataclass(frozen=True)
class Case:
    """A work and its arrays, as a peer finds them in a folder."""

    work: Work
    x: NDArray[Any]  # (rows, n_in) float32, or uint8 for a prediction from pixels
    pixels: NDArray[np.uint8] | None  # (rows, n_in) where x is pixels / 255
    y: NDArray[np.int64]  # (rows,) labels
    order: NDArray[np.int64]  # (steps, batch_size) rows of each step
    initial: NDArray[np.float32]  # (n_parameters,)

    @property
    def layers(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Copies of the initial W (n_out, n_in) and b (n_out,) of each layer."""
        return layers(self.work.sizes, self.initial)


def layers(
    sizes: tuple[int, ...], flat: NDArray[np.float32]
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """W (n_out, n_in) and b (n_out,) of each layer, copied from all parameters in a row."""
    parts, at = [], 0
    for n_in, n_out in pairwise(sizes):
        W = flat[at : at + n_out * n_in].reshape(n_out, n_in).copy()
        at += W.size
        parts.append((W, flat[at : at + n_out].copy()))
        at += n_out
    return parts


def flatten(parts: list[tuple[Any, Any]]) -> NDArray[np.float32]:
    """All parameters in a row: W row by row, b, of the first layer, the second, ..."""
    return np.concatenate(
        [np.ravel(np.asarray(part, np.float32)) for pair in parts for part in pair]
    )


def outputs(case: Case, flat: NDArray[np.float32]) -> NDArray[np.float64]:
    """What the network gives in float64 (rows, n_out): the judge of all peers."""
    a = case.x.astype(np.float64) / (255 if case.x.dtype == np.uint8 else 1)
    parts = layers(case.work.sizes, flat)
    hidden = {"sigmoid": sigmoid, "tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}
    for i, (W, b) in enumerate(parts):
        z = a @ W.T.astype(np.float64) + b
        if i < len(parts) - 1:
            a = hidden[case.work.activation](z)
        elif case.work.loss == "squared_error":
            a = sigmoid(z)
        else:
            e = np.exp(z - z.max(axis=1, keepdims=True))
            a = e / e.sum(axis=1, keepdims=True)
    return a


def sigmoid(z: NDArray[Any]) -> NDArray[Any]:
    return 1 / (1 + np.exp(-z))


def loss(case: Case, flat: NDArray[np.float32], rows: int = 10_000) -> float:
    """The mean loss over the first rows, in float64."""
    part = Case(case.work, case.x[:rows], None, case.y[:rows], case.order, case.initial)
    a = outputs(part, flat)
    if case.work.loss == "cross_entropy":
        return float(-np.log(a[np.arange(len(a)), part.y]).mean())
    return float(((a - np.eye(a.shape[1])[part.y]) ** 2).sum(axis=1).mean())


def make(work: Work) -> Case:
    """Draw or load the data, and let chainrule draw the initial parameters."""
    import chainrule

    rng = np.random.default_rng(0)
    pixels = None
    if work.data == "mnist":
        train = chainrule.mnist.load().train
        pixels = np.ascontiguousarray(train.images[: work.rows].reshape(work.rows, -1))
        x, y = (
            pixels.astype(np.float32) / np.float32(255),
            train.labels[: work.rows].astype(np.int64),
        )
    else:
        x = rng.standard_normal((work.rows, work.sizes[0]), np.float32)
        teacher = rng.standard_normal((work.sizes[0], work.sizes[-1]), np.float32)
        y = (np.tanh(x) @ teacher).argmax(axis=1)
    order = np.zeros((0, 0), np.int64)
    if work.batch_size and not work.full_batch:
        n = work.rows // work.batch_size
        order = rng.permutation(work.rows)[: n * work.batch_size].reshape(n, work.batch_size)
    network = chainrule.Network(work.sizes, activation=work.activation, loss=work.loss, seed=0)
    x = pixels if work.dtype == "uint8" else x
    return Case(work, x, pixels, y, order, network.parameters)


def write(case: Case, folder: Path) -> None:
    """Put a case where a peer finds it."""
    (folder / "work.json").write_text(json.dumps(asdict(case.work)))
    for name in ("x", "y", "order", "initial"):
        np.save(folder / f"{name}.npy", getattr(case, name))
    if case.pixels is not None:
        np.save(folder / "pixels.npy", case.pixels)


def read(folder: Path) -> Case:
    """What `write` wrote."""
    fields = json.loads((folder / "work.json").read_text())
    work = Work(**{**fields, "sizes": tuple(fields["sizes"])})
    x, y, order, initial = (np.load(folder / f"{n}.npy") for n in ("x", "y", "order", "initial"))
    pixels = np.load(folder / "pixels.npy") if (folder / "pixels.npy").exists() else None
    return Case(work, x, pixels, y, order, initial)
