"""Pictures of handwriting, made to look as those of MNIST do.

A network knows only what it was trained on. In MNIST each digit is white on black, its longest side
is 20 pixels long, and its centre of mass lies in the middle of 28 x 28 pixels. To a fully connected
network a digit that stands a few pixels further to the left is another thing altogether. `prepare`
undoes such differences; `find_digits` does so for each digit of a row.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule import _ink, _lines, _picture
from chainrule._picture import MOST_PIXELS

__all__ = ["MOST_PIXELS", "Digits", "find_digits", "prepare"]

_SIZE = 28
_LONGEST = 20
_MIDDLE = 14.5  # the middle of pixel 14, half a pixel from its edge

# More pieces than any row of digits has: the pattern of a table, or print.
_MOST_PIECES = 300


class Digits(NamedTuple):
    """The digits of a picture, n of them, from left to right."""

    images: NDArray[np.uint8]
    """(n, 28, 28): 0 is paper, 255 is ink."""
    boxes: NDArray[np.int64]
    """(n, 4): left, top, right and bottom of each in pixels of the picture, as it is seen upright;
    right and bottom lie one pixel outside."""


def prepare(picture: Any) -> NDArray[np.uint8]:
    """Make a picture of one digit look as those of MNIST do.

    What differs from the border is ink, darker, lighter or of another colour; light that falls off
    across a photograph, noise and dust are left out. So are lines that no digit touches: ruled from
    side to side or from top to bottom, framing what is written, or the edge of a table round the
    sheet. The ink is cropped, its longest side scaled to 20 pixels (Lanczos-3) and its centre of
    mass placed at pixel (14, 14). No ink is lost: where so placed it would not fit, it is moved to
    where it does. Ink that is 20 pixels long already is moved by whole pixels only, so that an
    image of MNIST is given back as it was.

    Parameters
    ----------
    picture : path, bytes, file, Pillow image or array
        The path of a PNG, JPEG, GIF, BMP, TIFF, WebP or PPM file, its bytes, or an open file: of
        any mode and size, turned upright as its camera noted it. An array is (h, w), or (h, w, c)
        of grey, grey and opacity, RGB, or RGB and opacity; integers and bool, or floats, whose
        opacity is from 0 to 1. What is transparent is taken for paper. All but arrays need Pillow,
        the extra ``images``.

    Returns
    -------
    (28, 28) uint8
        0 is paper, 255 the strongest ink.

    Raises
    ------
    FormatError
        Where the file is no picture, is cut or damaged, or has more than `MOST_PIXELS` pixels,
        which is seen before it is decoded.
    ValueError
        Where the picture is blank, or noise hides what is on it; where a line from side to side, or
        a frame, touches the digits; where an array is of another shape, or not finite.
    TypeError
        Where picture is none of these.
    OSError
        Where a file cannot be read.
    ModuleNotFoundError
        Where Pillow is needed and missing.

    Examples
    --------
    A thick stroke, 9 x 60 pixels, black on white:

    >>> import numpy as np
    >>> from chainrule import images
    >>> paper = np.full((100, 80), 255, np.uint8)
    >>> paper[20:80, 10:19] = 0
    >>> image = images.prepare(paper)
    >>> image.shape, image.dtype
    ((28, 28), dtype('uint8'))
    >>> rows, columns = np.nonzero(image > 127)
    >>> int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())
    (5, 23, 13, 15)
    """
    _, ink, pieces = _look(picture)
    return _as_mnist(ink, _ink.around(pieces.boxes))


def find_digits(picture: Any) -> Digits:
    """Find the digits of a row, and make each look as those of MNIST do.

    Pieces of ink belong to one digit where they lie above each other, or where one is small and
    the other near. Digits that touch are not parted. What is far smaller than the digits is no
    digit: a decimal point, for one. The heights and distances that decide were chosen on rows of
    training images of MNIST.

    Parameters
    ----------
    picture : path, bytes, file, Pillow image or array
        As for `prepare`: one row of digits.

    Returns
    -------
    Digits
        At least one. Each image is what `prepare` makes of that digit alone.

    Raises
    ------
    FormatError, ValueError, TypeError, OSError, ModuleNotFoundError
        As for `prepare`; also where the ink is in more pieces than a row of digits has, and where
        digits stand below each other, in more than one row.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import images
    >>> paper = np.zeros((40, 60))
    >>> paper[10:30, 5:8] = 1.0
    >>> paper[10:30, 20:32] = 1.0
    >>> digits = images.find_digits(paper)
    >>> digits.images.shape
    (2, 28, 28)
    >>> digits.boxes
    array([[ 5, 10,  8, 30],
           [20, 10, 32, 30]])
    """
    seen, ink, pieces = _look(picture)
    if len(pieces.boxes) > _MOST_PIECES:
        raise ValueError(
            f"{seen.name}: expected a row of digits on plain paper; found ink in "
            f"{len(pieces.boxes)} pieces"
        )
    groups = _ink.group(pieces.boxes)
    rows = _ink.count_rows(pieces.boxes, groups)
    if rows > 1:
        raise ValueError(
            f"{seen.name}: expected one row of digits; found {rows}; give each row as a picture of "
            "its own"
        )
    images, boxes = [], []
    for group in groups:
        box = _ink.around(pieces.boxes[group])
        others = (pieces.labels > 0) & ~np.isin(pieces.labels, group + 1)
        images.append(_as_mnist(np.where(others, np.float32(0), ink), box))
        boxes.append(box)
    return Digits(np.stack(images), np.stack(boxes) * seen.step)


def _look(picture: Any) -> tuple[_picture.Picture, NDArray[np.float32], _ink.Pieces]:
    """The picture, its ink (h, w), and the pieces of the ink: at least one."""
    seen = _picture.read(picture)
    ink = _ink.find(seen.planes, full=seen.full, name=seen.name)
    pieces = _ink.connected(ink)
    sheet = _lines.sheet(ink, pieces)
    if sheet is not None:
        planes = seen.planes[:, sheet.rows, sheet.columns]
        written = _ink.find(planes, full=seen.full, name=seen.name)
        ink = np.zeros_like(ink)
        ink[sheet.rows, sheet.columns] = np.where(sheet.table, np.float32(0), written)
        pieces = _ink.connected(ink)
    ink, pieces = _lines.drop(ink, pieces, seen.name)
    return seen, ink, _ink.without_dust(pieces)


def _as_mnist(ink: NDArray[np.float32], box: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Scale and place what is in the box: ink (h, w) to (28, 28)."""
    scale = _LONGEST / max(box[2] - box[0], box[3] - box[1])
    halo = math.ceil(1 / scale)  # strokes fade out over a pixel beyond what counts as ink
    left, top = np.maximum(box[:2] - halo, 0)
    right, bottom = np.minimum(box[2:] + halo, ink.shape[::-1])
    part = ink[top:bottom, left:right]
    vertical = _resampling(part.sum(axis=1), box[1] - top, box[3] - top, scale)
    horizontal = _resampling(part.sum(axis=0), box[0] - left, box[2] - left, scale)
    image = (vertical @ part @ horizontal.T).clip(0)
    result: NDArray[np.uint8] = np.rint(image * (255 / image.max())).astype(np.uint8)
    return result


def _resampling(mass: NDArray[np.float32], start: int, end: int, scale: float) -> NDArray[Any]:
    """The matrix (28, n) that scales n pixels and puts their centre of mass in the middle.

    start and end of the ink among the n pixels stay inside the 28.
    """
    n = len(mass)
    centre = float(mass @ (np.arange(n) + 0.5) / mass.sum())
    at = _MIDDLE - scale * centre  # where the n pixels begin
    at = min(max(at, -scale * start), _SIZE - scale * end)
    if scale == 1:
        return np.eye(_SIZE, n, -round(at), dtype=np.float32)
    middles = (np.arange(_SIZE) + 0.5 - at) / scale
    # Lanczos-3: as wide as three pixels of the larger kind, so that shrinking averages.
    shrink = min(scale, 1.0)
    x = shrink * (middles[:, None] - (np.arange(n) + 0.5))
    kernel = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
    return (shrink * kernel).astype(np.float32)
