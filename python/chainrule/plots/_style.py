"""The one look of all figures, and how a figure becomes a file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from chainrule import _validate
from chainrule._extras import need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure, SubFigure

# Okabe and Ito's colours, which the colour-blind tell apart, without the yellow, which is lost on
# white paper (https://jfly.uni-koeln.de/color/).
BLUE, VERMILION = "#0072B2", "#D55E00"
PALETTE = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The colours of lines and classes, in their order."""

INK, GREY, PALE = "#222222", "#767676", "#E4E4E4"
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # one for each colour of the palette
_DASHES = ("-", "--", "-.", ":", "-", "--", "-.")

SMALL = 9  # points: the smallest letters

WIDTH = 4.2
"""Inches: on a phone, 360 pixels wide, letters of 9 points are then some 11 pixels high."""

FORMATS = ("png", "svg", "pdf")
"""What `render` can make."""

_DPI = 200

_RC: dict[str, Any] = {
    "figure.figsize": (WIDTH, 2.8),
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
    "savefig.dpi": _DPI,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 10,
    "text.color": INK,
    "axes.facecolor": "white",
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": "medium",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.prop_cycle": f"cycler('color', {list(PALETTE)}) + cycler('linestyle', {list(_DASHES)})",
    "grid.color": PALE,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "lines.solid_capstyle": "round",
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.frameon": False,
    "legend.fontsize": SMALL,
    "image.interpolation": "nearest",
    "svg.fonttype": "path",  # looks the same where DejaVu Sans is not installed
    "svg.hashsalt": "chainrule",  # or each run would name the parts of the picture anew
    "pdf.fonttype": 42,
}


def style() -> AbstractContextManager[None]:
    """Make what is drawn within it look as the figures of chainrule do.

    matplotlib's defaults with chainrule's changes, whatever a matplotlibrc says: so a figure is the
    same on each machine.

    Returns
    -------
    context manager
        Restores the settings at its end. They are matplotlib's `rcParams`, which all threads share.

    Raises
    ------
    ModuleNotFoundError
        Where matplotlib is not installed.

    Examples
    --------
    A figure that pyplot knows nothing of:

    >>> from matplotlib.figure import Figure
    >>> from chainrule import plots
    >>> with plots.style():
    ...     figure = Figure()
    ...     left, right = figure.subplots(1, 2)
    >>> float(figure.get_figwidth())
    4.2
    """
    need("matplotlib", "plots")
    import matplotlib.style

    return matplotlib.style.context(["default", _RC])


def render(figure: Figure | SubFigure, kind: str = "png") -> bytes:
    """Return a figure as the bytes of a file: the same for the same figure, with no date in it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Of a part the whole is taken, so that ``ax.figure`` always will do.
    kind : {"png", "svg", "pdf"}
        PNG has 200 dots an inch.

    Raises
    ------
    TypeError, ValueError
        Where the kind is another.
    """
    kind = _validate.choice("kind", kind, FORMATS)
    date = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    file = io.BytesIO()
    with style():
        _settle(figure.figure)
        figure.figure.savefig(file, format=kind, dpi=_DPI, metadata=date)
    return file.getvalue()


@contextmanager
def canvas(ax: Axes | None, *, height: float, width: float = WIDTH) -> Iterator[Axes]:
    """The axes that are given, as they are; or new ones of pyplot's, and the style meanwhile."""
    if ax is not None:
        yield ax
        return
    with style():
        import matplotlib.pyplot as plt

        figure, made = plt.subplots(figsize=(width, height))
        try:
            yield made
            _settle(figure)
        except BaseException:
            plt.close(figure)
            raise


def _settle(figure: Figure) -> None:
    """Lay out once, in our style: it makes the first ticks, which all later ones are copies of.

    And at the first time a picture of fixed proportions moves after its room is set.
    """
    figure.draw_without_rendering()


def points_wide(ax: Axes) -> float:
    """How wide axes are in points: about, since their layout is not yet settled."""
    return float(ax.bbox.width / ax.figure.dpi * 72)


def bare(ax: Axes) -> None:
    """Take frame, ticks and grid away: what is shown has no scale."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)


def shades(*colours: str) -> LinearSegmentedColormap:
    """A scale from colour to colour; nothing is drawn where there is no value."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("chainrule", colours)
