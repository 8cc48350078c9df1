"""`--plot FILE`: a training as one picture."""

from __future__ import annotations

import logging
from pathlib import Path

from chainrule import _files, plots
from chainrule._extras import need
from chainrule.cli import _outputs
from chainrule.history import History


def check(plot: Path, output: Path, *, force: bool) -> None:
    """Refuse before the training what could not be drawn or saved after it."""
    if _kind(plot) not in plots.FORMATS:
        endings = ", ".join(f".{kind}" for kind in plots.FORMATS)
        raise ValueError(f"{plot}: the name of a plot must end in one of {endings}")
    if plot.resolve() == output.resolve():
        raise ValueError(f"{plot}: --plot and --output must name two files")
    silence_matplotlib()
    need("matplotlib", "plots")
    _outputs.check(plot, "plot", force=force)


def silence_matplotlib() -> None:
    """Keep what it tells of its caches and folders from among our lines."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def write(
    plot: Path, title: str, history: History, accuracy: float, confusion: list[list[int]]
) -> None:
    """Draw loss, accuracy and confusion matrix, one below the other, and save them."""
    from matplotlib.figure import Figure

    with plots.style():
        figure = Figure(figsize=(plots.WIDTH, 8.8))
        top, middle, bottom = figure.subplots(3, 1, height_ratios=[2, 2, 4])
        plots.learning_curve(history, ax=top)
        plots.learning_curve(history, "accuracy", ax=middle)
        plots.confusion_matrix(confusion, ax=bottom)
        top.set_title(title)
        bottom.set_title(f"test accuracy {accuracy:.4f}")
        picture = plots.render(figure, _kind(plot))
    _files.write(plot, picture)


def _kind(plot: Path) -> str:
    return plot.suffix.lower().removeprefix(".")
