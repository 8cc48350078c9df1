"""Section 3: gradient descent, on a function of one variable and on one of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from chainrule import descent, plots
from chainrule.report._section import Formula, Panel, Plot, Section, Text, math, number, scientific

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVE_START = -3.0
CURVE_RATE = 0.5
CURVE_STEPS = 12

SURFACE_START = (0.2, 1.5)
SURFACE_RATE = 0.25
SURFACE_STEPS = 40

ANGLES = 720  # directions all around, half a degree apart

PATH = plots.PALETTE[1]


@dataclass(frozen=True, eq=False)
class Descending:
    """Two descents, and the slope in every direction at the start of the second."""

    curve: descent.Path
    """On `curve`: points (steps + 1, 1)."""
    surface: descent.Path
    """On `surface`: points (steps + 1, 2)."""
    gradient: NDArray[np.float64]
    """(2,): of the surface at the start, by hand."""
    measured_gradient: NDArray[np.float64]
    """(2,): the same by central differences."""
    angles: NDArray[np.float64]
    """(ANGLES,): directions, in degrees from the axis of x1."""
    measured: NDArray[np.float64]
    """(ANGLES,): the directional derivative in each, by central differences."""
    by_gradient: NDArray[np.float64]
    """(ANGLES,): the same by Eq. 4."""

    @property
    def steepest_angle(self) -> float:
        """The direction in which the measured derivative is most negative, in degrees."""
        return float(self.angles[self.measured.argmin()])

    @property
    def against_gradient(self) -> float:
        """The direction of minus the gradient, in degrees from 0 to 360."""
        down = -self.gradient
        return float(np.degrees(np.arctan2(down[1], down[0])) % 360)


def curve(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """sqrt(1 + x^2), a function of one variable: straight far out and round at its bottom."""
    return np.sqrt(1 + x**2)


def curve_gradient(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Its derivative."""
    return x / np.sqrt(1 + x**2)


def wells(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """x^4 / 4 - x^2 / 2 + x / 10, a function of one variable with two minima, the left lower."""
    return x**4 / 4 - x**2 / 2 + x / 10


def wells_gradient(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Its derivative."""
    return x**3 - x + 0.1


def surface(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """`wells` along x1 and x2^2 / 2 across it: points (..., 2) become values (...)."""
    return wells(x[..., 0]) + x[..., 1] ** 2 / 2


def surface_gradient(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Its gradient at a point (2,)."""
    return np.array([wells_gradient(x[0]), x[1]])


def descending() -> Descending:
    """Go down two functions, and measure the slope all around a point (Eq. 3 to 5 of the report).

    Returns
    -------
    Descending

    Examples
    --------
    >>> from chainrule import report
    >>> numbers = report.descending()
    >>> abs(numbers.steepest_angle - numbers.against_gradient) < 0.5
    True
    """
    start = np.array(SURFACE_START)
    gradient = surface_gradient(start)
    angles = np.linspace(0.0, 360.0, ANGLES, endpoint=False)
    directions = np.stack([np.cos(np.radians(angles)), np.sin(np.radians(angles))], axis=1)
    return Descending(
        curve=descent.descend(
            curve_gradient,
            [CURVE_START],
            learning_rate=CURVE_RATE,
            steps=CURVE_STEPS,
            value=curve,
        ),
        surface=descent.descend(
            surface_gradient,
            start,
            learning_rate=SURFACE_RATE,
            steps=SURFACE_STEPS,
            value=surface,
        ),
        gradient=gradient,
        measured_gradient=descent.measured_gradient(surface, start),
        angles=angles,
        measured=np.array(
            [descent.measured_directional_derivative(surface, start, u) for u in directions]
        ),
        by_gradient=np.array([descent.directional_derivative(gradient, u) for u in directions]),
    )


def section(numbers: Descending) -> Section:
    """Tell it."""
    lengths = np.abs(np.diff(numbers.curve.points[:, 0]))
    apart = np.abs(numbers.gradient - numbers.measured_gradient).max()
    differ = np.abs(numbers.measured - numbers.by_gradient).max()
    first, last = numbers.surface.points[0], numbers.surface.points[-1]
    values = cast("NDArray[np.float64]", numbers.surface.values)
    eta = math(r"\eta")
    return Section(
        3,
        "descent",
        "Gradient descent",
        [
            Text(
                "A function of many variables is rarely one whose lowest point can be computed at "
                "once. But from any point one can look which way is down. The gradient holds the "
                "derivative with respect to each variable,"
            ),
            Formula(
                r"\nabla f = \left(\frac{\partial f}{\partial x_1}, \dots, "
                r"\frac{\partial f}{\partial x_n}\right)",
                3,
            ),
            Text(f"and how fast {math('f')} changes in any direction {math('u')} follows from it:"),
            Formula(r"D_u f = \nabla f \cdot \frac{u}{\lVert u \rVert}", 4),
            Text(
                "That is the length of the gradient times the cosine of the angle between the two: "
                "nothing falls faster than the direction straight against the gradient. So one "
                f"takes a step there, of a length set by the rate {eta}, and looks again:"
            ),
            Formula(r"x \leftarrow x - \eta \nabla f(x)", 5),
            Plot(
                "03-curve",
                f"Descent on a function of one variable, {number(CURVE_STEPS)} steps at the rate "
                f"{number(CURVE_RATE)}. Each step is the rate times the slope: "
                f"{number(lengths[0], '.2f')} at first, {number(lengths[-1], '.3f')} at last, "
                "where the curve is nearly level.",
                [Panel(lambda figure: _draw_curve(figure, numbers), (4.2, 2.6))],
            ),
            Text("A function of two variables is a surface, such as"),
            Formula((r"f(x_1, x_2) = x_1^4/4 - x_1^2/2", r"{} + x_1/10 + x_2^2/2")),
            Text(
                "Descent on it starts from "
                f"({number(first[0], '.1f')}, {number(first[1], '.1f')}), where {math('f')} is "
                f"{number(values[0], '.3f')}, and after {number(SURFACE_STEPS)} steps at the rate "
                f"{number(SURFACE_RATE)} is at ({number(last[0], '.3f')}, "
                f"{number(last[1], '.3f')}), where it is {number(values[-1], '.3f')}: in a hollow, "
                "though not the deeper one."
            ),
            Plot(
                "03-surface",
                "A surface with two hollows and the path that rolls down it, seen from the side "
                "and from above. The path leaves each level line at a right angle: first down "
                "the slope, then, from the saddle, along the valley.",
                [
                    Panel(lambda figure: _draw_surface(figure, numbers), (3.6, 3.0), "side"),
                    Panel(lambda figure: _draw_map(figure, numbers), (3.6, 3.0), "above"),
                ],
                figure=3,
            ),
            Text(
                "That no direction is steeper can be measured. At the start of that path the "
                "gradient, "
                f"({number(numbers.gradient[0], '.4f')}, {number(numbers.gradient[1], '.4f')}) by "
                "hand, is the same by differences of the function alone to within "
                f"{scientific(apart)}. The derivative measured so in {number(ANGLES)} "
                "directions all around is what Eq. 4 says to within "
                f"{scientific(differ)}, and most negative, "
                f"{number(numbers.measured.min(), '.4f')}, at "
                f"{number(numbers.steepest_angle, '.1f')}\u00b0; minus the gradient points to "
                f"{number(numbers.against_gradient, '.2f')}\u00b0."
            ),
            Plot(
                "03-directions",
                "The slope in every direction, measured (dots, one in twenty) and by Eq. 4 (line): "
                "a cosine. It is lowest against the gradient, highest along it, and nothing at "
                "right angles to it, along the level line.",
                [Panel(lambda figure: _draw_directions(figure, numbers), (4.2, 2.6))],
            ),
        ],
    )


def _draw_curve(figure: Figure, numbers: Descending) -> None:
    ax = figure.add_subplot()
    x = np.linspace(-3.4, 1.6, 201)
    points = numbers.curve.points[:, 0]
    ax.plot(x, curve(x), label="f")
    ax.plot(points, curve(points), "o-", color=PATH, linewidth=1, label="descent")
    ax.set(xlabel="x", ylabel="f(x)")
    ax.legend()


def _plane() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    x1, x2 = np.meshgrid(np.linspace(-1.6, 1.5, 63), np.linspace(-0.9, 1.8, 55))
    return x1, x2, surface(np.stack([x1, x2], axis=-1))


def _draw_surface(figure: Figure, numbers: Descending) -> None:
    ax: Any = figure.add_subplot(projection="3d", computed_zorder=False)
    x1, x2, f = _plane()
    ax.plot_surface(x1, x2, f, rcount=27, ccount=31, cmap="cividis", linewidth=0, zorder=1)
    points = numbers.surface.points
    ax.plot(*points.T, surface(points) + 0.03, "o-", color=PATH, markersize=2.5, zorder=2)
    ax.set(xlabel="x1", ylabel="x2", zlabel="f", xticks=(-1, 0, 1), yticks=(0, 1), zticks=(0, 1))
    ax.view_init(elev=42, azim=-72)
    ax.set_box_aspect(None, zoom=0.86)  # or the labels are cut


def _draw_map(figure: Figure, numbers: Descending) -> None:
    ax = figure.add_subplot()
    x1, x2, f = _plane()
    ax.contour(x1, x2, f, levels=np.linspace(-0.3, 1.8, 15), cmap="cividis", linewidths=1)
    points = numbers.surface.points
    ax.plot(*points.T, "o-", color=PATH, markersize=3)
    ax.annotate("start", points[0], (6, 0), textcoords="offset points")
    ax.set(xlabel="x1", ylabel="x2", aspect="equal")


def _draw_directions(figure: Figure, numbers: Descending) -> None:
    ax = figure.add_subplot()
    ax.plot(numbers.angles, numbers.by_gradient, label="by Eq. 4")
    ax.plot(numbers.angles[::20], numbers.measured[::20], "o", color="black", label="measured")
    ax.axvline(numbers.against_gradient, color=PATH, linestyle="--", label="\u2212gradient")
    ax.axhline(0, color="black", linewidth=0.6, linestyle="-")
    ax.set(xlabel="direction, degrees", ylabel="slope", xticks=range(0, 361, 90))
    figure.legend(loc="outside upper center", ncols=3)
