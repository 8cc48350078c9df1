"""Section 4: where gradient descent ends depends on where it starts and how far it steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from chainrule import descent, plots
from chainrule.report._descending import wells, wells_gradient
from chainrule.report._section import Panel, Plot, Section, Table, Text, math, number, scientific

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STARTS = (0.0, 0.2)
WELLS_RATE = 0.3
WELLS_STEPS = 60

CURVATURES = (1.0, 10.0)  # of the trough, along x1 and along x2
TROUGH_START = (3.0, 1.0)
RATES = {"converges": 0.12, "oscillates": 0.2, "diverges": 0.21}
TROUGH_STEPS = 20

SWEEP = (0.005, 0.235)
SWEEP_RATES = 116
SWEEP_STEPS = 50


@dataclass(frozen=True, eq=False)
class Limits:
    """Descents that end apart, and what one descent makes of many rates."""

    left: descent.Path
    """On `wells`, from the first of STARTS: points (steps + 1, 1)."""
    right: descent.Path
    """From the second."""
    paths: dict[str, descent.Path]
    """On `trough`, by what becomes of them: "converges", "oscillates", "diverges"."""
    rates: NDArray[np.float64]
    """(SWEEP_RATES,): the rates of the sweep."""
    errors: NDArray[np.float64]
    """(SWEEP_RATES,): how far from the lowest point descent on `trough` ends at each."""

    @property
    def best_rate(self) -> float:
        """The rate of the sweep that ends nearest."""
        return float(self.rates[self.errors.argmin()])

    @property
    def highest_rate(self) -> float:
        """2 by the steepest curvature: above it, descent on `trough` diverges."""
        return 2 / max(CURVATURES)


def trough(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(x1^2 + 10 x2^2) / 2, lowest at 0: points (..., 2) become values (...)."""
    return np.asarray((np.array(CURVATURES) * x**2).sum(axis=-1) / 2, np.float64)


def trough_gradient(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Its gradient."""
    return np.array(CURVATURES) * x


def distances(path: descent.Path) -> NDArray[np.float64]:
    """How far each point of a path on `trough` is from the lowest (steps + 1,)."""
    return np.asarray(np.linalg.norm(path.points, axis=1), np.float64)


def limits() -> Limits:
    """Descend from two starts, at three rates and over a sweep of rates (Eq. 5 of the report).

    Returns
    -------
    Limits

    Examples
    --------
    >>> from chainrule import report
    >>> numbers = report.limits()
    >>> numbers.left.points[-1].round(3), numbers.right.points[-1].round(3)
    (array([-1.047]), array([0.946]))
    """
    left, right = (
        descent.descend(
            wells_gradient, [start], learning_rate=WELLS_RATE, steps=WELLS_STEPS, value=wells
        )
        for start in STARTS
    )
    rates = np.linspace(*SWEEP, SWEEP_RATES)
    return Limits(
        left=left,
        right=right,
        paths={name: _roll(rate, TROUGH_STEPS) for name, rate in RATES.items()},
        rates=rates,
        errors=np.array([distances(_roll(rate, SWEEP_STEPS))[-1] for rate in rates]),
    )


def _roll(rate: float, steps: int) -> descent.Path:
    return descent.descend(
        trough_gradient, TROUGH_START, learning_rate=rate, steps=steps, value=trough
    )


def section(numbers: Limits) -> Section:
    """Tell it."""
    left, right = (path.points[-1, 0] for path in (numbers.left, numbers.right))
    low, high = (
        cast("NDArray[np.float64]", path.values)[-1] for path in (numbers.left, numbers.right)
    )
    eta, along, across = math(r"\eta"), math(r"1 - \eta"), math(r"1 - 10 \eta")
    best = number(numbers.best_rate, ".3f")
    return Section(
        4,
        "limits",
        "Its limits",
        [
            Text(
                "Descent sees no further than the slope under it. Where there are several hollows "
                "it ends in the one that the start leads to, and knows of no other."
            ),
            Plot(
                "04-minima",
                "Two starts on one function, on either side of a ridge: "
                f"{number(STARTS[0], '.1f')} leads to {number(left, '.3f')}, where f is "
                f"{number(low, '.3f')}, and {number(STARTS[1], '.1f')} to {number(right, '.3f')}, "
                f"where it is {number(high, '.3f')}. Both points are minima; only the first is the "
                "lowest.",
                [Panel(lambda figure: _draw_minima(figure, numbers), (4.2, 2.8))],
                figure=4,
            ),
            Text(
                "And the rate must be chosen. In the trough "
                f"{math('f(x_1, x_2) = (x_1^2 + 10 x_2^2) / 2')} every step multiplies "
                f"{math('x_1')} by {along} and {math('x_2')} by "
                f"{across}. Below {eta} = "
                f"{number(numbers.highest_rate)}, which is {number(2)} by the larger "
                f"curvature, both shrink; at it {math('x_2')} "
                "jumps to and fro for ever; above, each jump is longer than "
                "the last."
            ),
            Plot(
                "04-rates",
                f"Descent in that trough, {number(TROUGH_STEPS)} steps from one start at three "
                "rates; the cross is the lowest point. In order: it converges; it comes along the "
                "trough while jumping from side to side, and never comes to rest; it leaves, "
                f"further with each step (that picture shows more of {math('x_2')}).",
                [
                    Panel(
                        partial(_draw_rate, numbers=numbers, name=name),
                        (2.4, 2.3),
                        name,
                    )
                    for name in RATES
                ],
                figure=4,
            ),
            Table(
                ["", "rate", "distance at the start", "at the end"],
                [
                    [
                        name,
                        number(RATES[name]),
                        number(distances(path)[0], ".3f"),
                        number(distances(path)[-1], ".3f"),
                    ]
                    for name, path in numbers.paths.items()
                ],
                "How far the three are from the lowest point.",
            ),
            Plot(
                "04-sweep",
                f"The distance from the lowest point after {number(SWEEP_STEPS)} steps, over the "
                f"rate. Too small a rate does not arrive; the best, {best}, ends at "
                f"{scientific(numbers.errors.min())}; it is not far below "
                f"{number(numbers.highest_rate)} (dashed), where descent fails altogether.",
                [Panel(lambda figure: _draw_sweep(figure, numbers), (4.2, 2.8))],
            ),
        ],
    )


def _draw_minima(figure: Figure, numbers: Limits) -> None:
    ax = figure.add_subplot()
    x = np.linspace(-1.6, 1.5, 201)
    ax.plot(x, wells(x), color="black", linewidth=1, linestyle="-")
    for path, colour, marker in zip(
        (numbers.left, numbers.right), plots.PALETTE, ("o", "s"), strict=False
    ):
        points = path.points[:, 0]
        ax.plot(points, wells(points), marker, color=colour, label=f"from {points[0]:.1f}")
    ax.set(xlabel="x", ylabel="f(x)")
    ax.legend(loc="upper center")


def _draw_rate(figure: Figure, numbers: Limits, name: str) -> None:
    ax = figure.add_subplot()
    points = numbers.paths[name].points
    height = 1.15 * max(2.0, np.abs(points[:, 1]).max())
    x1, x2 = np.meshgrid(np.linspace(-1, 3.5, 61), np.linspace(-height, height, 61))
    f = trough(np.stack([x1, x2], axis=-1))
    ax.contour(
        x1, x2, f, levels=f.max() * np.linspace(0.1, 1, 7) ** 2, colors="#B0B0B0", linewidths=0.7
    )
    ax.plot(*points.T, "o-", color=plots.PALETTE[1], markersize=3, linewidth=1)
    ax.plot(0, 0, "+", color="black", markersize=8)
    ax.set(xlabel="x1", ylabel="x2", title=f"{name}: {RATES[name]}")


def _draw_sweep(figure: Figure, numbers: Limits) -> None:
    ax = figure.add_subplot()
    ax.plot(numbers.rates, numbers.errors)
    ax.axvline(numbers.highest_rate, color=plots.PALETTE[1], linestyle="--")
    ax.axhline(np.hypot(*TROUGH_START), color="black", linestyle=":", linewidth=1)
    ax.annotate("at the start", (0, np.hypot(*TROUGH_START)), (2, 4), textcoords="offset points")
    ax.set(yscale="log", xlabel="rate", ylabel="final distance")
