"""What several commands check and print."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.mnist import Split
from chainrule.network import Network

CLASSES = 10


def check_fit(where: str, sizes: Sequence[int], split: Split) -> None:
    """Refuse a network that cannot tell digits from images of this shape."""
    pixels = math.prod(split.images.shape[1:])
    if sizes[0] != pixels or sizes[-1] < CLASSES:
        raise ValueError(
            f"{where} must have {pixels} inputs, the pixels of an image, and at least {CLASSES} "
            f"outputs, one for each digit; got {sizes[0]} and {sizes[-1]}"
        )


def test(network: Network, split: Split, threads: int | None) -> dict[str, Any]:
    """Loss, accuracy and confusion matrix (true class, predicted class) on a split."""
    loss, accuracy = network.evaluate(split.images, split.labels, threads=threads)
    classes = network.classify(split.images, threads=threads)
    n = network.sizes[-1]
    confusion = np.zeros((n, n), np.int64)
    np.add.at(confusion, (split.labels, classes), 1)
    return {"loss": loss, "accuracy": accuracy, "confusion": confusion.tolist()}


def confusion(matrix: list[list[int]]) -> str:
    """A table: a row a true class, a column a predicted one."""
    counts: NDArray[np.int64] = np.array(matrix)
    width = max(5, len(str(counts.max())) + 1)
    classes = range(len(matrix))
    lines = ["true \\ predicted" + "".join(f"{column:>{width}}" for column in classes)]
    lines += [
        f"{row:>16}" + "".join(f"{count:>{width}}" for count in counts[row]) for row in classes
    ]
    return "\n".join(lines)


def say(line: str) -> None:
    """Print a line of progress."""
    if sys.stderr is not None:
        print(line, file=sys.stderr, flush=True)


def as_json(document: dict[str, Any]) -> None:
    """Print a document for programs."""
    print(json.dumps(_finite(document), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    """Put None, which is null, for the floats that JSON has not."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
