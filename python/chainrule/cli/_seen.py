"""`--show FILE`: what the network saw of each picture, and what it read."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chainrule import _files
from chainrule._extras import need
from chainrule.cli import _outputs

if TYPE_CHECKING:
    from PIL import Image

    from chainrule.cli.predict import Reading

ENDINGS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}

_TIMES = 5  # the size of a pixel that the network saw
_TILE = 28 * _TIMES
_SPACE = 16
_LINE = 24
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
    _outputs.check(show, "picture", force=force)


def _same(one: Path, other: Path) -> bool:
    """Whether both are one file, by links too; what does not exist is none."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def write(show: Path, readings: Sequence[Reading]) -> None:
    """Draw a row of digits a picture, the file's name above it, and save them."""
    from PIL import Image

    rows = [_row(reading) for reading in readings]
    width = max(row.width for row in rows) + 2 * _SPACE
    sheet = Image.new("RGB", (width, sum(row.height for row in rows) + _SPACE), _PAPER)
    top = _SPACE
    for row in rows:
        sheet.paste(row, (_SPACE, top))
        top += row.height
    file = BytesIO()
    sheet.save(file, ENDINGS[show.suffix.lower()], quality=95)
    _files.write(show, file.getvalue())


def _row(reading: Reading) -> Image.Image:
    """One picture: its name, the digits, and below each what it was read as."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(_FONT)
    name = Path(_files.shown(reading.file)).name
    n = len(reading.classes)
    width = max(n * (_TILE + _SPACE) - _SPACE, int(font.getlength(name)) + 1)
    row = Image.new("RGB", (width, 2 * _LINE + _TILE + _SPACE), _PAPER)
    draw = ImageDraw.Draw(row)
    draw.text((0, 0), name, fill=_INK, font=font)
    for i, (label, second) in enumerate(zip(reading.classes, reading.seconds, strict=True)):
        left = i * (_TILE + _SPACE)
        row.paste(Image.fromarray(_enlarged(reading.digits.images[i])), (left, _LINE))
        said = f"{label}: {reading.probabilities[i, label]:.2f}"
        if second is not None:
            said += f", {second}: {reading.probabilities[i, second]:.2f}"
        colour = _INK if second is None else _CLOSE
        draw.text((left, _LINE + _TILE + 4), said, fill=colour, font=font)
    return row


def _enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(np.repeat(image, _TIMES, axis=0), _TIMES, axis=1)
