"""Make what stands beside this file: the report's page, and its picture in README.

    make docs

It is `chainrule report` of today's code, seed 0.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from chainrule import report

HERE = Path(__file__).parent
PANELS = ("single", "one-hidden", "two-hidden")
GAP = 30  # pixels between two
COLOURS = 64  # flat areas and lines: more would only make the file larger


def spirals(folder: Path) -> Image.Image:
    """The three pictures of decision regions side by side."""
    pictures = [Image.open(folder / f"05-spirals-{name}.png").convert("RGB") for name in PANELS]
    width = sum(picture.width for picture in pictures) + GAP * (len(pictures) - 1)
    whole = Image.new("RGB", (width, max(picture.height for picture in pictures)), "white")
    left = 0
    for picture in pictures:
        whole.paste(picture, (left, 0))
        left += picture.width + GAP
    return whole.quantize(COLOURS, dither=Image.Dither.NONE)


def main() -> None:
    """Replace both."""
    with tempfile.TemporaryDirectory() as folder:
        page = report.write(Path(folder) / "report")
        (HERE / report.PAGE).write_bytes(page.read_bytes())
        spirals(page.parent).save(HERE / "spirals.png", optimize=True)


if __name__ == "__main__":
    main()
