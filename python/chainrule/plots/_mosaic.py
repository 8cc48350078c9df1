"""Many pictures as one image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.plots._style import WIDTH, bare, points_wide, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray


class Mosaic:
    """Pictures (n, height, width) row by row, each below a strip for its caption.

    `array` holds them all, NaN where there is none: thousands of pictures are one image to
    matplotlib.
    """

    def __init__(self, pictures: NDArray[Any], columns: int, strip: float) -> None:
        n, self.height, self.width = pictures.shape
        self.columns = columns
        gap = max(1, round(0.1 * self.width))
        self.strip = max(1, round(strip * self.height))
        self.pitch = (self.strip + self.height + gap, self.width + gap)  # from one to the next
        rows = -(-n // columns)
        shape = (rows * self.pitch[0] - gap, columns * self.pitch[1] - gap)
        self.array = np.full(shape, np.nan)
        for i, picture in enumerate(pictures):
            top, left = self.corner(i)
            self.array[top : top + self.height, left : left + self.width] = picture

    @property
    def inches(self) -> float:
        """The height that goes with the width of a figure."""
        return float(WIDTH * self.array.shape[0] / self.array.shape[1])

    def corner(self, i: int) -> tuple[int, int]:
        """The row and the column of `array` at which picture i begins."""
        row, column = divmod(i, self.columns)
        return row * self.pitch[0] + self.strip, column * self.pitch[1]

    def draw(self, ax: Axes, colours: tuple[str, ...], low: float, high: float) -> AxesImage:
        """Show the pictures and nothing around them."""
        bare(ax)
        return ax.imshow(
            self.array, cmap=shades(*colours), vmin=low, vmax=high, interpolation="nearest"
        )

    def write(self, ax: Axes, i: int, text: str, colour: str) -> None:
        """Put a caption above picture i: as large as other text, where the pictures allow it."""
        from matplotlib import rcParams

        top, left = self.corner(i)
        pitch = points_wide(ax) / self.columns
        ax.text(
            left + (self.width - 1) / 2,
            top - 0.5 - 0.05 * self.height,
            text,
            ha="center",
            va="bottom",
            color=colour,
            fontsize=min(rcParams["font.size"], 0.4 * pitch),
            linespacing=1.05,
        )
