"""What several commands print."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.mnist import Split
from chainrule.network import Network


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


def as_json(document: dict[str, Any]) -> None:
    """Print a document for programs."""
    print(json.dumps(document, indent=2))
