"""Ink on paper: what of a picture was written, and which pieces it consists of.

All fractions below were chosen on training images of MNIST, alone, scaled, and in rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Pieces", "around", "connected", "count_rows", "find", "group", "longest", "pieces", "select",
    "without_dust",
]  # fmt: skip

# Ink is what differs from the paper by a fifth of the strongest difference: less is the halo that
# scaling and JPEG leave around strokes. On MNIST the ink is 20 pixels long by it, as it should be.
_LEAST_INK = 0.2
# In standard deviations of the paper's noise: no noise is ink, and what is hardly more is none.
_NOISE = 4.0
_BLANK_NOISE = 8.0
# Of the whole range from black to white: the specks and shades of empty paper are less.
_BLANK = 16 / 255
# A piece shorter than this fraction of the longest one is dust.
_DUST = 0.1

# Which pieces make a digit, in heights of the tallest piece. A broken digit of MNIST has hardly
# ever two tall pieces; a small one, such as the bar of a 5, is often far from the rest.
_TALL = 0.7
_SMALL = 0.5
_NEAR = 0.1
_NEAR_IF_SMALL = 0.35
_LEAST_DIGIT = 0.4

# What is no row, in heights of the tallest piece or, of two neighbours, of the lower one. Of 3,000
# rows of training images, up to 0.3 of their height above or below the line, these refuse none; of
# 60,000 training images by themselves, 18.
_TALLEST_DIGIT = 1.4
_LEAST_OVERLAP = 0.1
_WIDEST_BREAK = 0.25


class Pieces(NamedTuple):
    """Connected pieces of ink, m of them."""

    labels: NDArray[np.int64]
    """(h, w): 1 .. m, and 0 where no ink is."""
    boxes: NDArray[np.int64]
    """(m, 4): left, top, right, bottom; right and bottom lie one pixel outside."""


def find(planes: NDArray[np.float32], *, full: bool, name: str) -> NDArray[np.float32]:
    """How much ink is on each pixel (h, w), from 0 to 1.

    Parameters
    ----------
    planes : (c, h, w) float32
        Brightness, or that of each colour.
    full : bool
        Whether planes run from 0 for black to 1 for white, and small differences mean nothing.
    name : str
        What messages call the picture.

    Raises
    ------
    ValueError
        Where there is no ink.
    """
    difference = _difference(planes)
    noise = _spread(difference[_frame(*difference.shape)])
    peak = float(difference.max())
    if peak <= (_BLANK if full else 0.0):
        raise ValueError(f"{name} is blank: expected ink that differs from its border")
    if peak <= _BLANK_NOISE * noise:
        raise ValueError(
            f"{name} is blank, or what is on it too faint: no ink stands out from the noise of "
            "its paper"
        )
    difference -= np.float32(_NOISE * noise)
    difference *= np.float32(1 / (peak - _NOISE * noise))
    np.clip(difference, 0, 1, out=difference)
    return difference


def _difference(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far each pixel (h, w) is from the paper, in the direction of the ink's colour.

    Paper varies little and everywhere, ink much and in few places: cubed, the ink counts.
    """
    from_paper = [plane - _paper(plane) for plane in planes]
    squared = from_paper[0] * from_paper[0]
    for difference in from_paper[1:]:
        squared += difference * difference
    direction = np.array(
        [np.sum(squared * difference, dtype=np.float64) for difference in from_paper]
    )
    # Divided so that no two colours differ by more than black and white do.
    direction /= np.abs(direction).sum() or 1.0
    result: NDArray[np.float32] = from_paper[0]
    result *= np.float32(direction[0])
    for weight, difference in zip(direction[1:], from_paper[1:], strict=True):
        result += np.float32(weight) * difference
    return result


def _frame(h: int, w: int) -> NDArray[np.bool_]:
    """The border: where paper is."""
    frame = np.ones((h, w), bool)
    thick = 1 + min(h, w) // 32
    frame[thick:-thick, thick:-thick] = False
    return frame


def _paper(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """The paper's brightness behind the ink, (h, w) or (1, 1).

    Light falls off smoothly across a photograph: a surface of second degree, fitted to the border,
    whose ink is left out step by step. Where more than half of the border is of one value, the
    paper is, too.
    """
    h, w = plane.shape
    frame = _frame(h, w)
    values = plane[frame].astype(np.float64)
    middle = float(np.median(values))
    if float(np.median(np.abs(values - middle))) == 0:
        return np.full((1, 1), middle, np.float32)
    rows, columns = np.nonzero(frame)
    y, x = np.linspace(-1, 1, h), np.linspace(-1, 1, w)
    terms = _terms(x[columns], y[rows])
    surface = np.zeros(6)
    surface[0] = middle
    for _ in range(4):
        rest = values - terms @ surface
        near = np.abs(rest - np.median(rest)) <= 3 * _spread(rest)
        # Of six by six: a picture of a row or two leaves some of the terms open.
        chosen = terms[near]
        surface = np.linalg.lstsq(chosen.T @ chosen, chosen.T @ values[near], rcond=1e-10)[0]
    # The same terms at every pixel, without a matrix of all of them.
    c = surface.astype(np.float32)
    u, v = x.astype(np.float32), y.astype(np.float32)[:, None]
    paper: NDArray[np.float32] = (
        (c[0] + c[1] * u + c[3] * u * u) + (c[2] * v + c[5] * v * v) + c[4] * v * u
    )
    return paper


def _terms(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """1, x, y, x^2, x y, y^2 at n points: (n, 6)."""
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _spread(values: NDArray[Any]) -> float:
    """The standard deviation, by the median: up to half of the values may be anything."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def pieces(ink: NDArray[np.float32]) -> Pieces:
    """Find what is connected, corners included, without dust."""
    return without_dust(connected(ink))


def connected(ink: NDArray[np.float32]) -> Pieces:
    """The same with dust."""
    mask = ink >= _LEAST_INK
    h, w = mask.shape
    # Rows with a gap between them, end to end: a run of ink cannot go on into the next row.
    stride = w + 2
    flat = np.zeros((h, stride), np.int8)
    flat[:, 1:-1] = mask
    edges = np.flatnonzero(np.diff(flat.ravel(), prepend=np.int8(0)))
    starts, ends = edges[::2], edges[1::2]
    numbers = _connected(starts, ends, stride)
    labels = np.zeros((h, w), np.int64)
    labels[mask] = np.repeat(numbers + 1, ends - starts)
    return Pieces(labels, _boxes(starts, ends, numbers, stride))


def without_dust(pieces: Pieces) -> Pieces:
    """Those that are not far shorter than the longest."""
    lengths = longest(pieces.boxes)
    return select(pieces, lengths >= _DUST * lengths.max(initial=0))


def select(pieces: Pieces, kept: NDArray[np.bool_]) -> Pieces:
    """Some of the pieces: kept (m,)."""
    if kept.all():
        return pieces
    numbers = np.append(0, np.where(kept, np.cumsum(kept), 0))
    return Pieces(numbers[pieces.labels], pieces.boxes[kept])


def _connected(
    starts: NDArray[np.int64], ends: NDArray[np.int64], stride: int
) -> NDArray[np.int64]:
    """Number the runs of ink so that those that touch have one number, 0 .. m - 1."""
    # A run touches those of the next row that begin before its end and end after its start.
    first = np.searchsorted(ends, starts + stride - 1, side="right")
    last = np.searchsorted(starts, ends + stride + 1, side="left")
    counts = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(starts)), counts)
    lower = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - first, counts)
    # Every run points to an earlier one of its piece, until all point to the first.
    root = np.arange(len(starts))
    while True:
        a, b = root[upper], root[lower]
        if np.array_equal(a, b):
            break
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(root, root[root]):
            root = root[root]
    numbers: NDArray[np.int64] = np.unique(root, return_inverse=True)[1]
    return numbers


def _boxes(
    starts: NDArray[np.int64], ends: NDArray[np.int64], numbers: NDArray[np.int64], stride: int
) -> NDArray[np.int64]:
    rows, left = starts // stride, starts % stride - 1
    right = left + ends - starts
    m = int(numbers.max(initial=-1)) + 1
    boxes = np.empty((m, 4), np.int64)
    boxes[:, :2] = np.iinfo(np.int64).max
    boxes[:, 2:] = 0
    for column, values, extreme in (
        (0, left, np.minimum), (1, rows, np.minimum), (2, right, np.maximum),
        (3, rows + 1, np.maximum),
    ):  # fmt: skip
        extreme.at(boxes[:, column], numbers, values)
    return boxes


def around(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The box (4,) around boxes (m, 4)."""
    return np.append(boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0))


def group(boxes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Which of the boxes (m, 4) of pieces make each digit, from left to right.

    The nearest two that belong together are joined, until none do.
    """
    height = int((boxes[:, 3] - boxes[:, 1]).max())
    groups = [np.array([i]) for i in range(len(boxes))]
    while len(groups) > 1:
        distances = _distances(boxes, height)
        one, other = sorted(np.unravel_index(int(distances.argmin()), distances.shape))
        if distances[one, other] == np.inf:
            break
        groups[one] = np.append(groups[one], groups.pop(other))
        boxes = boxes.copy()
        boxes[one] = around(boxes[[one, other]])
        boxes = np.delete(boxes, other, axis=0)
    kept = longest(boxes) >= _LEAST_DIGIT * height
    return [groups[i] for i in np.argsort(boxes[:, 0], kind="stable") if kept[i]]


def count_rows(boxes: NDArray[np.int64], groups: list[NDArray[np.int64]]) -> int:
    """How many rows of digits these groups of the boxes (m, 4) of pieces stand in.

    In a row, neighbours stand beside each other, and none is as high as two.
    """
    tops, heights = boxes[:, 1], boxes[:, 3] - boxes[:, 1]
    height = int(heights.max())
    digits = np.stack([around(boxes[group]) for group in groups])
    high = digits[:, 3] - digits[:, 1]
    overlaps = np.minimum(digits[1:, 3], digits[:-1, 3]) - np.maximum(digits[1:, 1], digits[:-1, 1])
    parted = overlaps < _LEAST_OVERLAP * np.minimum(high[1:], high[:-1])
    # From top to bottom, what is large enough for a digit: a new row begins below all before.
    order = np.argsort(tops, kind="stable")
    order = order[heights[order] >= _LEAST_DIGIT * height]
    below = np.maximum.accumulate(boxes[order, 3])[:-1]
    gaps = tops[order][1:] - below
    if len(groups) == 1:  # a column, or one digit in two pieces
        return 1 + int(np.count_nonzero(gaps > _WIDEST_BREAK * height))
    if parted.any() or (high > _TALLEST_DIGIT * height).any():
        return max(2, 1 + int(np.count_nonzero(gaps > -_LEAST_OVERLAP * height)))
    return 1


def _distances(boxes: NDArray[np.int64], height: int) -> NDArray[np.float64]:
    """From each box to each (m, m), sidewards; infinite where they are not of one digit."""
    left, top, right, bottom = boxes.T
    tall = bottom - top >= _TALL * height
    small = longest(boxes) < _SMALL * height
    gap = np.maximum.outer(left, left) - np.minimum.outer(right, right)
    widths = right - left
    narrower, wider = np.minimum.outer(widths, widths), np.maximum.outer(widths, widths)
    # Two tall pieces, one leaning over the other, may well be two digits.
    both_tall = np.logical_and.outer(tall, tall)
    above = -gap > np.where(both_tall, wider, narrower) / 2
    limit = height * np.where(np.logical_or.outer(small, small), _NEAR_IF_SMALL, _NEAR)
    near = ~both_tall & (gap < limit)
    distances = np.where(above | near, gap, np.inf)
    np.fill_diagonal(distances, np.inf)
    return distances


def longest(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The longer side of each of boxes (m, 4)."""
    result: NDArray[np.int64] = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    return result
