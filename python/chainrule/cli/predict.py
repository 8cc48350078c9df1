"""`chainrule predict`: the digits of pictures, or the class of each image of an IDX file."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule import _files, images, mnist
from chainrule.cli import _network, _seen, _show
from chainrule.images import Digits
from chainrule.network import Network

_BAR = 40  # characters of probability 1

# The second best is named where it has more than a third of the best one's probability. Of the
# report's network on 10,000 training images kept apart, that is one image in 15; of these it read
# half wrongly, of the others 4 %.
_CLOSE = 1 / 3


class Reading(NamedTuple):
    """What a network makes of the digits of one picture, n of them."""

    file: str
    digits: Digits
    classes: NDArray[np.int64]
    """(n,)"""
    outputs: NDArray[Any]
    """(n, n_out)"""
    probabilities: NDArray[np.float64]
    """(n, classes)"""
    seconds: list[int | None]
    """The second best of each, where it is close."""


def run(options: Namespace) -> None:
    """Print what each file holds."""
    show = None if options.show is None else Path(options.show)
    if show is not None:
        _seen.check(show, [options.model, *options.files], force=options.force)
    network = _network.load(options)
    idx = [file for file in options.files if _is_idx(file)]
    if not idx:
        _pictures(network, show, options)
    elif len(options.files) > 1:
        raise ValueError(f"{idx[0]}: an IDX file must be the only file; got {len(options.files)}")
    elif show is not None:
        raise ValueError(f"{idx[0]}: --show is for pictures; this is an IDX file")
    else:
        _idx(network, idx[0], options)


def _is_idx(file: str) -> bool:
    """Whether the file begins as one, or as gzip. Phones' HEIC begins with three zero bytes."""
    with _files.open_regular(file) as opened:
        head = opened.read(3)
    return head[:2] == b"\x1f\x8b" or (head[:2] == b"\0\0" and head[2:] != b"\0")


def _idx(network: Network, file: str, options: Namespace) -> None:
    classes, outputs = _outputs(network, mnist.read_idx(file), file, options)
    if options.json:
        _show.as_json({"classes": classes.tolist(), "outputs": outputs.tolist()})
        return
    for row, (label, output) in enumerate(zip(classes, outputs.max(axis=1), strict=True)):
        print(f"{row}\t{label}\t{output:.4f}")


def _outputs(
    network: Network, x: NDArray[Any], file: str, options: Namespace
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Classes (n,) and outputs (n, n_out); where they do not fit, either file may be wrong."""
    try:
        classes = network.classify(x, threads=options.threads)
        return classes, network.predict(x, threads=options.threads)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file} with {options.model}: {error}") from error


# ---- pictures


def _pictures(network: Network, show: Path | None, options: Namespace) -> None:
    # All are read before anything is printed: a command that fails says nothing else.
    readings = [_read(network, file, options) for file in options.files]
    if show is not None:
        _seen.write(show, readings)
    if options.json:
        pictures = [_document(reading) for reading in readings]
        _show.as_json({"pictures": pictures, "show": options.show})
        return
    print("\n\n".join(_text(reading) for reading in readings))
    if show is not None:
        print(f"\nsaved to {show}")


def _read(network: Network, file: str, options: Namespace) -> Reading:
    digits = images.find_digits(file)
    classes, outputs = _outputs(network, digits.images, file, options)
    probabilities = _probabilities(outputs, network.output_activation)
    seconds = [_second(row, label) for row, label in zip(probabilities, classes, strict=True)]
    return Reading(file, digits, classes, outputs, probabilities, seconds)


def _probabilities(outputs: NDArray[Any], activation: str) -> NDArray[np.float64]:
    """Outputs (n, n_out) as probabilities (n, n_out), or (n, 2) of one sigmoid output.

    With targets of 0 and 1 the squared error is smallest where each output is the probability of
    its class. A network comes near to that, but its outputs need not sum to 1.
    """
    values = outputs.astype(np.float64)
    if values.shape[1] == 1:
        return np.concatenate([1 - values, values], axis=1)
    if activation == "softmax":
        return values
    values = np.nan_to_num(values, nan=0.0, posinf=1e300, neginf=0.0).clip(0)
    sums = values.sum(axis=1, keepdims=True)
    even = np.full_like(values, 1 / values.shape[1])
    probabilities: NDArray[np.float64] = np.divide(values, sums, out=even, where=sums > 0)
    return probabilities


def _second(probabilities: NDArray[np.float64], best: int) -> int | None:
    others = probabilities.copy()
    others[best] = -1
    second = int(others.argmax())
    return second if others[second] > _CLOSE * probabilities[best] else None


def _document(reading: Reading) -> dict[str, Any]:
    return {
        "file": reading.file,
        "classes": reading.classes.tolist(),
        "close": reading.seconds,
        "boxes": reading.digits.boxes.tolist(),
        "outputs": reading.outputs.tolist(),
        "probabilities": reading.probabilities.tolist(),
    }


def _text(reading: Reading) -> str:
    n = len(reading.classes)
    lines = [f"{reading.file}: {' '.join(map(str, reading.classes))}"]
    for i, label in enumerate(reading.classes):
        if n > 1:
            left, top, right, bottom = reading.digits.boxes[i]
            lines.append(
                f"\ndigit {i + 1} of {n}, at x {left} to {right}, y {top} to {bottom}: {label}"
            )
        lines += _bars(reading.probabilities[i])
        second = reading.seconds[i]
        if second is not None:
            lines.append(f"close: {label} or {second}")
    return "\n".join(lines)


def _bars(probabilities: Sequence[float] | NDArray[np.float64]) -> list[str]:
    """A line a class: its number, its probability, and that as a bar."""
    return [
        f"{label:>4}  {probability:.4f}  {'#' * round(_BAR * probability)}".rstrip()
        for label, probability in enumerate(probabilities)
    ]
