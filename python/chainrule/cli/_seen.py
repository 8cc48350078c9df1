"""`--show FILE`: what the network saw of each picture, and what it read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chainrule import _files
from chainrule._extras import need
from chainrule._picture import MOST_PIXELS
from chainrule.cli import _outputs

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

    from chainrule.cli.predict import Reading

ENDINGS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
# Pixels; of PNG, MOST_PIXELS decides.
_LONGEST_SIDE = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}

_ACROSS = 10  # digits, before the next line
_TIMES = 5  # the size of a pixel that the network saw
_TILE = 28 * _TIMES
_SPACE = 16
_LINE = 24
_STEP_ACROSS = _TILE + _SPACE
_STEP_DOWN = _TILE + _LINE + _SPACE
_FONT = 16
_PAPER, _INK = "white", "black"
_CLOSE = "#b00020"


def check(show: Path, read: Sequence[str], *, force: bool) -> None:
    """Refuse what could not be drawn or saved, or would take the place of what is read."""
    if show.suffix.lower() not in ENDINGS:
        raise ValueError(f"{show}: the name for --show must end in one of {', '.join(ENDINGS)}")
    if any(_same(show, Path(file)) for file in read):
        raise ValueError(f"{show}: --show would replace a file that is to be read")
    need("PIL", "images")
    _check_size(show, _size(read[1:], [1] * (len(read) - 1)))
    _outputs.check(show, "picture", force=force)


def _same(one: Path, other: Path) -> bool:
    """Whether both are one file, by links too; what does not exist is none."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def write(show: Path, readings: Sequence[Reading]) -> None:
    """Draw lines of digits for each picture, the file's name above them, and save them."""
    from PIL import Image, ImageDraw

    size = _size([reading.file for reading in readings], [len(r.classes) for r in readings])
    _check_size(show, size)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = _font()
    top = _SPACE
    for reading in readings:
        draw.text((_SPACE, top), _name(reading.file), fill=_INK, font=font)
        for i, image in enumerate(reading.digits.images):
            left = _SPACE + i % _ACROSS * _STEP_ACROSS
            above = top + _LINE + i // _ACROSS * _STEP_DOWN
            sheet.paste(Image.fromarray(_enlarged(image)), (left, above))
            _say(draw, (left, above + _TILE + 4), reading, i, font)
        top += _height(len(reading.classes))
    file = BytesIO()
    sheet.save(file, ENDINGS[show.suffix.lower()], quality=95)
    _files.write(show, file.getvalue())


def _size(files: Sequence[str], counts: Sequence[int]) -> tuple[int, int]:
    """Width and height for so many digits in each file."""
    font = _font()
    across = min(max(counts), _ACROSS) * _STEP_ACROSS - _SPACE
    names = max(int(font.getlength(_name(file))) + 1 for file in files)
    return max(across, names) + 2 * _SPACE, sum(map(_height, counts)) + _SPACE


def _height(count: int) -> int:
    return _LINE + math.ceil(count / _ACROSS) * _STEP_DOWN


def _check_size(show: Path, size: tuple[int, int]) -> None:
    """Refuse what the kind of file cannot hold, or what is no use to anybody."""
    would = f"it would be {size[0]:,} x {size[1]:,}; give fewer pictures"
    ending = show.suffix.lower()
    longest = _LONGEST_SIDE.get(ending)
    if longest is not None and max(size) > longest:
        raise ValueError(
            f"{show}: expected --show to be at most {longest:,} pixels wide and high, as {ending} "
            f"is; {would}, or a name that ends in .png"
        )
    if size[0] * size[1] > MOST_PIXELS:
        raise ValueError(f"{show}: expected --show to have at most {MOST_PIXELS:,} pixels; {would}")


def _font() -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(_FONT)


def _name(file: str) -> str:
    return Path(_files.shown(file)).name


def _say(
    draw: ImageDraw,
    at: tuple[int, int],
    reading: Reading,
    i: int,
    font: FreeTypeFont | ImageFont,
) -> None:
    """Write what digit i was read as, and what else it may be."""
    label, second = reading.classes[i], reading.seconds[i]
    said = f"{label}: {reading.probabilities[i, label]:.2f}"
    if second is not None:
        said += f", {second}: {reading.probabilities[i, second]:.2f}"
    draw.text(at, said, fill=_INK if second is None else _CLOSE, font=font)


def _enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(np.repeat(image, _TIMES, axis=0), _TIMES, axis=1)
