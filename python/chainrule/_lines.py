"""What is on a picture besides paper and digits: ruled lines, frames, the table round the sheet."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule import _ink
from chainrule._ink import Pieces

__all__ = ["Sheet", "drop", "sheet"]

# A sheet: so much of each side of the picture, and of its own box.
_SHEET = 0.5
_FILLED = 0.8
_CORNER = 0.3
# A line is no thicker than this, in lengths of it, or of the box that it runs round.
_THICK = 0.1
# A ruled line is so many times as long as any digit: the 1 in a row that is cropped is not.
_RULE = 1.5
# What is written in a frame or on a sheet is not smaller, in lengths of that.
_WRITTEN = 0.04
# Nor, in a frame, in lengths of how thick that is.
_LARGER = 3.0
# How much of a straight line is drawn, and how much of it may stray.
_COVERED = 0.9
_STRAY = 0.02
# A line with digits on it: thin in so many of its columns, or wider than any digit.
_BARE = 0.5
_WIDE = 2.5
# More pieces than lines and digits come in: a pattern, which is refused as such.
_MOST = 300


class Sheet(NamedTuple):
    """Where a sheet of paper lies on a table."""

    rows: slice
    columns: slice
    table: NDArray[np.bool_]
    """Where among these rows and columns the table is seen: the sheet lies a little turned."""


def sheet(ink: NDArray[np.float32], pieces: Pieces) -> Sheet | None:
    """Find a sheet of paper, where it was taken for ink on a table: it has holes."""
    h, w = ink.shape
    sides = pieces.boxes[:, 2:] - pieces.boxes[:, :2]
    for k in np.flatnonzero((sides >= np.array([_SHEET * w, _SHEET * h])).all(axis=1)).tolist():
        left, top, right, bottom = pieces.boxes[k].tolist()
        inside = _part(pieces, k)
        margin = 2 + int(sides[k].max()) // 100  # its edge is not sharp, nor quite straight
        if inside.mean() < _FILLED or sides[k].min() <= 4 * margin or not _has_corners(inside):
            continue
        rows, columns = slice(top + margin, bottom - margin), slice(left + margin, right - margin)
        holes = _ink.connected(1 - ink[rows, columns])
        corner = sides[k] - 2 * margin
        closed = (holes.boxes[:, :2] > 0).all(axis=1) & (holes.boxes[:, 2:] < corner).all(axis=1)
        lengths = _ink.longest(holes.boxes)
        if (closed & (lengths >= _WRITTEN * sides[k].max())).any():
            thickness = (holes.boxes[:, 2:] - holes.boxes[:, :2]).min(axis=1)
            wedges = ~closed & (thickness <= _THICK * lengths)
            for i in np.flatnonzero(~closed & ~wedges).tolist():
                wedges[i] = _is_outline(holes, i)  # wedges, from corner to corner
            return Sheet(rows, columns, _widened(holes.labels, wedges, margin))
    return None


def _has_corners(part: NDArray[np.bool_]) -> bool:
    """Whether all four corners of a piece's box are filled: thick digits are round."""
    y, x = _margins(part)
    corners = part[:y, :x], part[:y, -x:], part[-y:, :x], part[-y:, -x:]
    return min(float(corner.mean()) for corner in corners) >= _CORNER


def drop(ink: NDArray[np.float32], pieces: Pieces, name: str) -> tuple[NDArray[np.float32], Pieces]:
    """Ink (h, w) and its pieces without ruled lines, edges and frames.

    Raises
    ------
    ValueError
        Where one of them touches digits, so that neither can be told from the other.
    """
    lengths = _ink.longest(pieces.boxes)
    large = np.flatnonzero(lengths >= _THICK * lengths.max())
    if len(large) > _MOST or len(pieces.boxes) < 1:
        return ink, pieces
    lines = np.zeros(len(lengths), bool)
    lines[large] = _rules(pieces.boxes[large], ink.shape) | [
        _is_outline(pieces, k) for k in large.tolist()
    ]
    lines &= _have_digits_beside(pieces, lines)
    rest = _ink.select(pieces, ~lines)
    if lines.any():
        ink = np.where(_widened(pieces.labels, lines) & (rest.labels == 0), np.float32(0), ink)
    _check(rest, name)
    return ink, rest


def _rules(boxes: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which run from side to side, or from top to bottom, and are thin."""
    sides = boxes[:, 2:] - boxes[:, :2]
    across, down = _spans(boxes, shape)
    thin_down = sides[:, 1] <= _THICK * sides[:, 0]
    thin_across = sides[:, 0] <= _THICK * sides[:, 1]
    rules: NDArray[np.bool_] = (across & thin_down) | (down & thin_across)
    return rules


def _spans(
    boxes: NDArray[np.int64], shape: tuple[int, ...]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which reach from side to side, and which from top to bottom."""
    h, w = shape
    left, top, right, bottom = boxes.T
    across = (left <= 1 + w // 100) & (right >= w - 1 - w // 100)
    down = (top <= 1 + h // 100) & (bottom >= h - 1 - h // 100)
    return across, down


def _is_outline(pieces: Pieces, k: int) -> bool:
    """Whether a piece only runs along the sides of its box, or straight from one to the other."""
    part = _part(pieces, k)
    y, x = _margins(part)
    middle = part[y:-y, x:-x]
    if middle.size == 0:
        return False
    rows, columns = part.mean(axis=1) >= _COVERED, part.mean(axis=0) >= _COVERED
    rest = part[np.ix_(~rows, ~columns)]
    return not middle.any() or int(rest.sum()) <= _STRAY * int(part.sum())


def _margins(part: NDArray[np.bool_]) -> tuple[int, int]:
    """How thick a line along the sides may be, of rows and of columns."""
    h, w = part.shape
    return max(1, round(_THICK * h)), max(1, round(_THICK * w))


def _part(pieces: Pieces, k: int) -> NDArray[np.bool_]:
    left, top, right, bottom = pieces.boxes[k]
    part: NDArray[np.bool_] = pieces.labels[top:bottom, left:right] == k + 1
    return part


def _have_digits_beside(pieces: Pieces, lines: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the lines are none of the digits: what else there is tells."""
    boxes = pieces.boxes
    lengths = _ink.longest(boxes)
    longest = lengths[~lines].max(initial=0)
    result = np.zeros(len(boxes), bool)
    for k in np.flatnonzero(lines).tolist():
        written = ~lines & (lengths >= _WRITTEN * lengths[k])
        sides = boxes[k, 2:] - boxes[k, :2]
        if sides.min() <= _THICK * lengths[k]:
            result[k] = written.any() and lengths[k] >= _RULE * longest
            continue
        thick = np.count_nonzero(_part(pieces, k)) / (2 * sides.sum())
        written &= lengths >= _LARGER * thick  # no speck in a 0
        result[k] = (written & _inside(boxes, boxes[k])).any()
    return result


def _inside(boxes: NDArray[np.int64], box: NDArray[np.int64]) -> NDArray[np.bool_]:
    after = (boxes[:, :2] > box[:2]).all(axis=1)
    before = (boxes[:, 2:] < box[2:]).all(axis=1)
    inside: NDArray[np.bool_] = np.logical_and(after, before)
    return inside


def _widened(
    labels: NDArray[np.int64], chosen: NDArray[np.bool_], by: int = 2
) -> NDArray[np.bool_]:
    """Where the chosen pieces are, and some pixels round them: lines fade out."""
    mask: NDArray[np.bool_] = np.append(np.zeros(1, bool), chosen)[labels]
    for _ in range(by):
        mask[1:] |= mask[:-1].copy()
        mask[:-1] |= mask[1:].copy()
        mask[:, 1:] |= mask[:, :-1].copy()
        mask[:, :-1] |= mask[:, 1:].copy()
    return mask


def _check(pieces: Pieces, name: str) -> None:
    lengths = _ink.longest(pieces.boxes)
    across, down = _spans(pieces.boxes, pieces.labels.shape)
    for k in np.flatnonzero(lengths >= lengths.max(initial=0) / 2).tolist():
        if across[k] and _is_line_with_digits(_part(pieces, k), cropped=bool(down[k])):
            found = "a line from side to side"
        elif _is_frame_with_digits(pieces, k):
            found = "a frame"
        else:
            continue
        raise ValueError(
            f"{name}: expected digits on plain paper; found {found} that touches the digits; crop "
            "the picture so that it holds the digits only, with paper on all sides"
        )


def _is_line_with_digits(part: NDArray[np.bool_], *, cropped: bool) -> bool:
    """Whether a piece is a line in most columns: a digit that is cropped to its ink may be, too."""
    h, w = part.shape
    if w >= _WIDE * h:
        return True
    first, last = part.argmax(axis=0), h - 1 - part[::-1].argmax(axis=0)
    bare = last - first < max(3.0, _THICK * h)
    return not cropped and float(bare.mean()) >= _BARE


def _is_frame_with_digits(pieces: Pieces, k: int) -> bool:
    """Whether all sides of its box are drawn, and more is in it than in a digit."""
    part = _part(pieces, k)
    y, x = _margins(part)
    covered = min(
        float(part[:y].any(axis=0).mean()), float(part[-y:].any(axis=0).mean()),
        float(part[:, :x].any(axis=1).mean()), float(part[:, -x:].any(axis=1).mean()),
    )  # fmt: skip
    if covered < _COVERED or part.mean() > _BARE:
        return False
    h, w = part.shape
    others = _ink.longest(pieces.boxes) >= 2 * _THICK * max(h, w)
    return w >= 1.5 * h or bool((others & _inside(pieces.boxes, pieces.boxes[k])).any())
