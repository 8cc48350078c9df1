"""Section 2: students told apart by a quadratic form, found by gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from chainrule import plots, quadratic
from chainrule.report._section import (
    Formula,
    Panel,
    Plot,
    Section,
    Table,
    Text,
    math,
    number,
    scientific,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STUDENTS = 400
NEAR = 0.01  # of the closed answer: descent has arrived
CELLS = 24  # of the surface, along each side
FAILED, PASSED = plots.PALETTE[1], plots.PALETTE[0]


@dataclass(frozen=True)
class Bowl:
    """The RMSE about its lowest point, for one choice of the inputs' scale."""

    steepest: float
    """The largest eigenvalue of its second derivatives."""
    flattest: float
    """The smallest."""
    rate: float
    """Of the descent on it."""
    rmse: float
    """After that descent."""

    @property
    def spread(self) -> float:
        """The steepest curvature by the flattest."""
        return self.steepest / self.flattest

    @property
    def highest_rate(self) -> float:
        """Above it descent comes to rest nowhere."""
        return 2 / self.steepest


@dataclass(frozen=True, eq=False)
class Classifier:
    """A class of students, the quadratic form fitted to it, and the closed answer."""

    seed: int
    x: NDArray[np.float64]
    """(n, 2): hours slept and minutes listened to."""
    passed: NDArray[np.int64]
    """(n,): 0 or 1."""
    weights: NDArray[np.float64]
    """(steps + 1, 6): w1 to w6 of the scaled inputs, from the start to the last step."""
    rmse: NDArray[np.float64]
    """(steps + 1,)."""
    closed_weights: NDArray[np.float64]
    """(6,): by least squares, without descent."""
    closed_rmse: float
    arrival: int
    """The first step whose RMSE is within 1 % of the closed answer's."""
    accuracy: float
    """The share of students that f tells rightly."""
    majority: float
    """The share that is right where everybody is taken for the more frequent class."""
    scaled: Bowl
    """Inputs from -1 to 1, as they were fitted."""
    raw: Bowl
    """Inputs in hours and minutes, at half of the highest rate that descent stands there."""
    hours: NDArray[np.float64]
    """(CELLS + 1,), over the range of x1."""
    minutes: NDArray[np.float64]
    """(CELLS + 1,), over the range of x2."""
    surface: NDArray[np.float64]
    """(CELLS + 1, CELLS + 1): f, a row each of `minutes`, a column each of `hours`."""
    best: tuple[float, float]
    """Hours and minutes where f is highest, within the range of the data."""

    @property
    def steps(self) -> int:
        """Steps of the descent."""
        return len(self.rmse) - 1


def classifier(*, students: int = STUDENTS, seed: int = 0) -> Classifier:
    """Fit a quadratic form to a class of students (Eq. 1, 2 and 5 of the report).

    Parameters
    ----------
    students : int
        How many; at least 7, so that six weights cannot fit them all.
    seed : int
        Decides who they are.

    Returns
    -------
    Classifier

    Examples
    --------
    >>> from chainrule import report
    >>> numbers = report.classifier(seed=0)
    >>> bool(numbers.rmse[-1] < 1.01 * numbers.closed_rmse)
    True
    """
    x, passed = quadratic.students(students, seed)
    y = passed.astype(np.float64)
    fitted = quadratic.QuadraticClassifier()
    path = fitted.fit(x, passed)
    values = cast("NDArray[np.float64]", path.values)
    phi = quadratic.features(fitted.scaled(x))
    closed = quadratic.least_squares(phi, y)
    closed_rmse = quadratic.rmse(closed, phi, y)
    hours, minutes = (
        np.linspace(low, high, CELLS + 1)
        for low, high in zip(x.min(axis=0), x.max(axis=0), strict=True)
    )
    surface = fitted.value(_grid(hours, minutes)).reshape(len(minutes), len(hours))
    return Classifier(
        seed=seed,
        x=x,
        passed=passed,
        weights=path.points,
        rmse=values,
        closed_weights=closed,
        closed_rmse=closed_rmse,
        arrival=int(np.argmax(values <= (1 + NEAR) * closed_rmse)),
        accuracy=float(np.mean(fitted.predict(x) == passed)),
        majority=float(max(passed.mean(), 1 - passed.mean())),
        scaled=_bowl(phi, y, quadratic.LEARNING_RATE, float(values[-1])),
        raw=_raw_bowl(x, y),
        hours=hours,
        minutes=minutes,
        surface=surface,
        best=_highest(fitted, x),
    )


def _grid(hours: NDArray[np.float64], minutes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack(np.meshgrid(hours, minutes), axis=-1).reshape(-1, 2)


def _highest(fitted: quadratic.QuadraticClassifier, x: NDArray[np.float64]) -> tuple[float, float]:
    """Where f is highest over the rectangle of the data, to a 400th of its sides."""
    low, high = x.min(axis=0), x.max(axis=0)
    grid = _grid(*(np.linspace(a, b, 401) for a, b in zip(low, high, strict=True)))
    hours, minutes = grid[fitted.value(grid).argmax()]
    return float(hours), float(minutes)


def _bowl(phi: NDArray[np.float64], y: NDArray[np.float64], rate: float, rmse: float) -> Bowl:
    bends = quadratic.curvature(phi, y)
    return Bowl(steepest=float(bends[-1]), flattest=float(bends[0]), rate=rate, rmse=rmse)


def _raw_bowl(x: NDArray[np.float64], y: NDArray[np.float64]) -> Bowl:
    phi = quadratic.features(x)
    rate = 1 / float(quadratic.curvature(phi, y)[-1])
    path = quadratic.QuadraticClassifier(scale=False).fit(x, y, learning_rate=rate)
    return _bowl(phi, y, rate, float(cast("NDArray[np.float64]", path.values)[-1]))


def section(numbers: Classifier) -> Section:
    """Tell it."""
    hours, minutes = numbers.best
    eta = math(r"\eta")
    step = math(r"w \leftarrow w - \eta \nabla E")
    limit = math(r"2 / \lambda_{\max}")
    decay = math(r"(1 - \eta \lambda_{\min})^{\text{steps}}")
    return Section(
        2,
        "classifier",
        "A quadratic classifier",
        [
            Text(
                "Before digits, something with two inputs. Of "
                f"{number(len(numbers.x))} students, made up by the seed, one knows the hours "
                f"{math('x_1')} that each slept the night before the exam and the minutes "
                f"{math('x_2')} of a lecture that each listens to, and whether each passed, "
                f"{math('y = 1')}, or failed, {math('y = 0')}: "
                f"{number(int(numbers.passed.sum()))} passed. Who will pass?"
            ),
            Plot(
                "02-students",
                "The students. They pass most often after about four hours of sleep and the "
                "longest listening; chance has its part, so the classes overlap.",
                [Panel(lambda figure: _draw_students(figure, numbers), (4.2, 3.1))],
                figure=2,
            ),
            Text(
                "A straight line cannot part them, since both short and long nights go with "
                "failing. A quadratic form can bend:"
            ),
            Formula(
                (
                    r"f(x) = w_1 x_1^2 + w_2 x_2^2 + w_3 x_1 x_2",
                    r"{} + w_4 x_1 + w_5 x_2 + w_6",
                ),
                1,
            ),
            Text(
                f"A student is expected to pass where {math('f(x) > 0.5')}. How far "
                f"{math('f')} is from the labels is said by the root of the mean square error,"
            ),
            Formula(
                r"E(w) = \sqrt{\frac{1}{n} \sum_{i=1}^{n} \left(f(x^{(i)}) - y^{(i)}\right)^2}", 2
            ),
            Text("which depends on the six weights. Its gradient follows by the chain rule:"),
            Formula(
                r"\nabla E = \frac{1}{n E} \sum_{i=1}^{n} "
                r"\left(f(x^{(i)}) - y^{(i)}\right) \varphi(x^{(i)})",
                3,
            ),
            Text("in which the weights are multiplied with"),
            Formula(r"\varphi(x) = (x_1^2, x_2^2, x_1 x_2, x_1, x_2, 1)"),
            Text(
                f"Descent starts from weights of {number(0)} and takes "
                f"{number(numbers.steps, ',d')} steps {step} (Eq. 5, of which the next section has "
                f"more) at the rate {eta} = {number(numbers.scaled.rate)}. The RMSE "
                f"falls from {number(numbers.rmse[0], '.4f')} to "
                f"{number(numbers.rmse[-1], '.4f')}. For a quadratic form the least RMSE can also "
                f"be computed at once, by least squares: {number(numbers.closed_rmse, '.4f')}. "
                f"Descent is within {number(NEAR, '.0%')} of it from step "
                f"{number(numbers.arrival)} on."
            ),
            Plot(
                "02-fit",
                "First, the RMSE after each step of descent: with scaled inputs it comes "
                "down to the closed answer; in hours and minutes, at half the highest rate that "
                "those allow, it is stuck above. Then, the fitted surface f under the "
                "students: those who passed lie above, where f would be "
                f"{number(1)}, those who failed below, at {number(0)}.",
                [
                    Panel(lambda figure: _draw_rmse(figure, numbers), (3.6, 3.1), "rmse"),
                    Panel(lambda figure: _draw_surface(figure, numbers), (3.6, 3.1), "surface"),
                ],
                figure=5,
            ),
            Text(
                f"f is highest at {number(hours, '.1f')} hours and {number(minutes, '.0f')} "
                f"minutes, and tells {number(100 * numbers.accuracy, '.1f')} % of these students "
                f"rightly, where calling all of them failed would be right for "
                f"{number(100 * numbers.majority, '.1f')} %."
            ),
            _weights(numbers),
            Text(
                "<b>Why the inputs are scaled.</b> Near its lowest point the RMSE is a bowl, with "
                "one curvature for each of six directions. Descent comes to rest only at rates "
                f"below {limit}, the steepest curvature deciding, and goes "
                f"down the flattest as {decay}. In "
                f"hours and minutes {math('x_2^2')} goes up to thousands while the last feature "
                f"is always {number(1)}, so that the curvatures differ by a factor of "
                f"{scientific(numbers.raw.spread)}, and the rate that the steepest allows is "
                "far too small for the flattest. Here each input is therefore first moved and "
                f"stretched to run from {number(-1)} to {number(1)}; that changes the weights, but "
                "not the forms that can be reached."
            ),
            _scales(numbers),
        ],
    )


def _weights(numbers: Classifier) -> Table:
    rows = [
        [math(f"w_{i}"), number(by_descent, ".4f"), number(closed, ".4f")]
        for i, (by_descent, closed) in enumerate(
            zip(numbers.weights[-1], numbers.closed_weights, strict=True), start=1
        )
    ]
    return Table(
        ["", "descent", "least squares"],
        rows,
        f"The weights, of inputs scaled to run from {number(-1)} to {number(1)}.",
    )


def _scales(numbers: Classifier) -> Table:
    columns = (numbers.scaled, numbers.raw)

    def row(label: str, values: list[float], form: str) -> list[str]:
        plain = [1e-3 < value < 1e4 for value in values]
        cells = zip(values, plain, strict=True)
        return [label, *(number(v, form) if p else scientific(v) for v, p in cells)]

    return Table(
        ["", f"{number(-1)} to {number(1)}", "hours, minutes"],
        [
            row("steepest curvature", [bowl.steepest for bowl in columns], ".3g"),
            row("flattest curvature", [bowl.flattest for bowl in columns], ".3g"),
            row("their ratio", [bowl.spread for bowl in columns], ".3g"),
            row("highest rate", [bowl.highest_rate for bowl in columns], ".3g"),
            row("rate used", [bowl.rate for bowl in columns], ".3g"),
            row("RMSE reached", [bowl.rmse for bowl in columns], ".4f"),
        ],
        f"The bowl of the RMSE and descent on it, {number(numbers.steps, ',d')} steps, with the "
        "inputs scaled and as they are.",
    )


def _classes(numbers: Classifier) -> list[tuple[str, str, str, NDArray[np.float64]]]:
    """Name, colour, marker and inputs of those who failed and of those who passed."""
    passed = numbers.passed == 1
    return [
        ("failed", FAILED, "x", numbers.x[~passed]),
        ("passed", PASSED, "o", numbers.x[passed]),
    ]


def _draw_students(figure: Figure, numbers: Classifier) -> None:
    ax = figure.add_subplot()
    for label, colour, marker, x in _classes(numbers):
        ax.plot(*x.T, marker, color=colour, markersize=3.5, alpha=0.8, label=label)
    ax.set(xlabel="hours slept, x1", ylabel="minutes listened to, x2")
    figure.legend(loc="outside upper center", ncols=2)


def _draw_rmse(figure: Figure, numbers: Classifier) -> None:
    ax = figure.add_subplot()
    steps = np.arange(numbers.steps + 1)
    ax.plot(steps[1:], numbers.rmse[1:], label="descent")
    ax.axhline(numbers.closed_rmse, color="black", linestyle=":", label="least squares")
    ax.axhline(numbers.raw.rmse, linestyle="--", color=FAILED, label="unscaled, at the end")
    ax.set(xscale="log", xlabel="step", ylabel="RMSE")
    ax.legend()


def _draw_surface(figure: Figure, numbers: Classifier) -> None:
    ax: Any = figure.add_subplot(projection="3d", computed_zorder=False)
    for (label, colour, marker, x), height in zip(_classes(numbers), (0, 1), strict=True):
        ax.plot(
            *x.T, np.full(len(x), height), marker, color=colour, markersize=2.5, label=label,
            zorder=height * 2,
        )  # fmt: skip
    hours, minutes = np.meshgrid(numbers.hours, numbers.minutes)
    ax.plot_surface(
        hours, minutes, numbers.surface, rcount=CELLS, ccount=CELLS, cmap="cividis", alpha=0.8,
        linewidth=0, zorder=1,
    )  # fmt: skip
    ax.set(xlabel="hours", ylabel="minutes", zlabel="f")
    ax.view_init(elev=22, azim=-62)
    ax.set_box_aspect(None, zoom=0.86)  # or the labels are cut
