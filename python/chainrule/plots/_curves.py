"""Lines over an axis: what a fit did, and the error of numerical gradients."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import numpy as np

from chainrule import _arrays, _validate
from chainrule.plots._style import BLUE, GREY, SMALL, VERMILION, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from chainrule.history import History

_MARKED = 30  # a line of more points than this is drawn without markers


def learning_curve(
    history: History,
    quantity: Literal["loss", "accuracy"] = "loss",
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw the loss or the accuracy of a fit over its steps.

    A line for the training and, where there was any, a dashed one for the validation data. Each
    point of training is the mean since the last record.

    Parameters
    ----------
    history : History
        What `Network.fit` returned. Of an empty one nothing is drawn but the axes.
    quantity : {"loss", "accuracy"}
    ax : matplotlib.axes.Axes, optional
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        Where the quantity is another, or the history has no accuracy.
    ModuleNotFoundError
        Where matplotlib is not installed.

    Examples
    --------
    >>> import chainrule
    >>> network = chainrule.Network([2, 1], loss="binary_cross_entropy")
    >>> history = network.fit([[0.0, 1.0], [1.0, 0.0]], [0, 1], epochs=3, learning_rate=1.0)
    >>> ax = chainrule.plots.learning_curve(history)
    >>> ax.lines[0].get_xdata().tolist()
    [2.0, 4.0, 6.0]
    """
    quantity = _validate.choice("quantity", quantity, ("loss", "accuracy"))  # type: ignore[assignment]
    steps = np.array(history.steps, dtype=np.float64)
    # None becomes NaN, which is not drawn.
    training = np.array(getattr(history, quantity), dtype=np.float64)
    validation = np.array(getattr(history, f"validation_{quantity}"), dtype=np.float64)
    if len(history) and np.isnan(training).all():
        raise ValueError(
            f"history has no {quantity}: its targets cannot be compared with classes; draw the loss"
        )
    with canvas(ax, height=2.8) as drawn:
        marker = "o" if len(history) <= _MARKED else ""
        drawn.plot(steps, training, "-", color=BLUE, marker=marker, label="training")
        if len(history) and not np.isnan(validation).all():
            drawn.plot(steps, validation, "--", color=VERMILION, marker=marker, label="validation")
            drawn.legend()
        drawn.set_xlabel("steps")
        drawn.set_ylabel(quantity)
        drawn.grid(axis="y")
        drawn.set_xlim(left=0)
        if quantity == "loss":
            drawn.set_ylim(bottom=0)
        _count_axis(drawn)
    return drawn


def _count_axis(ax: Axes) -> None:
    """Whole numbers below, with a comma for each thousand."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def gradient_check(epsilons: ArrayLike, errors: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draw the error of the numerical gradient (Eq. 9) over its step, both in logarithms.

    The points make a V. To the left rounding rules, which costs about u / epsilon; to the right
    the central difference itself, which is off by about epsilon**2.

    Parameters
    ----------
    epsilons : (n,) array
        Steps to either side, above 0, in any order.
    errors : (n,) array
        The error at each, at least 0. One of 0 has no logarithm and is left out.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        Where the two are not vectors of one length, or hold numbers that are out of range.
    ModuleNotFoundError
        Where matplotlib is not installed.

    Examples
    --------
    >>> import chainrule
    >>> ax = chainrule.plots.gradient_check([1e-9, 1e-5, 1e-1], [1e-7, 1e-11, 1e-3])
    >>> ax.get_yscale()
    'log'
    """
    x, y = _vector("epsilons", epsilons), _vector("errors", errors)
    if x.shape != y.shape or not len(x):
        raise ValueError(
            f"epsilons and errors must have one length of at least 1; got {len(x)} and {len(y)}"
        )
    if not (x > 0).all() or not (y >= 0).all():
        raise ValueError("epsilons must be above 0 and errors at least 0")
    order = np.argsort(x, kind="stable")
    x, y = x[order], np.where(y > 0, y, np.nan)[order]
    with canvas(ax, height=3.0) as drawn:
        drawn.loglog(x, y, "-", color=BLUE, marker="o" if len(x) <= 2 * _MARKED else "")
        drawn.set_xlabel("step ε")
        drawn.set_ylabel("error of the gradient")
        drawn.grid(axis="y")
        drawn.minorticks_off()
        if not np.isnan(y).all():
            _mark_smallest(drawn, x, y)
    return drawn


def _mark_smallest(ax: Axes, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """Say how small it is, below it, and above, in the mouth of the V, what rules to each side."""
    least = int(np.nanargmin(y))
    ax.plot(x[least], y[least], "o", color=VERMILION, markersize=7)
    low, high = ax.get_ylim()
    ax.set_ylim(low / (high / low) ** 0.12)
    for place, offset, horizontal, vertical, text, colour in (
        (y[least], (0, -9), "center", "top", _found(x[least], y[least]), VERMILION),
        (1.0, (-6, 0), "right", "top", "← rounding", GREY),
        (1.0, (6, 0), "left", "top", "truncation →", GREY),
    ):
        ax.annotate(
            text, (x[least], place), xytext=offset, textcoords="offset points",
            xycoords="data" if place != 1.0 else ax.get_xaxis_transform(),
            ha=horizontal, va=vertical, color=colour, fontsize=SMALL,
        )  # fmt: skip


def _found(epsilon: float, error: float) -> str:
    return re.sub(r"e-0", "e-", f"{error:.0e} at ε = {epsilon:.0e}")


def _vector(name: str, value: ArrayLike) -> NDArray[np.float64]:
    array = _arrays.as_array(name, value)
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (n,); got {array.shape}")
    return _arrays.parameter_array(name, array, array.shape, np.float64)
