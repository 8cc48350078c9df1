"""Section 5: what one layer cannot part, and two hidden layers can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule import plots
from chainrule.network import Network
from chainrule.report._section import Block, Panel, Plot, Section, Table, Text, number, sizes
from chainrule.schedules import Linear

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TURNS = 1.5  # of each spiral
INNER, OUTER = 0.5, 5.0  # its distances from the centre
NOISE = 0.1  # standard deviation of each coordinate
POINTS = 400  # to train on
FRESH = 2000  # to test with

# The last two have equally many parameters: 3 k + (k + 1) k + k + 1 = 4 m + 1 at k = 16, m = 84.
SIZES = ((2, 1), (2, 84, 1), (2, 16, 16, 1))
STEPS = 6000
BATCH_SIZE = 50
RATE = 0.3  # at the first step; it falls linearly to 0

DIRECTIONS = 1440  # in which the best straight line is looked for


@dataclass(frozen=True, eq=False)
class Attempt:
    """A network trained on the spirals."""

    network: Network
    accuracy: float
    """On the fresh points."""
    train_accuracy: float
    """On the points that it was trained on."""

    @property
    def name(self) -> str:
        """Its sizes, as in 2-16-16-1."""
        return "-".join(map(str, self.network.sizes))


@dataclass(frozen=True, eq=False)
class Spirals:
    """Two spirals, and the networks that try to part them."""

    x: NDArray[np.float64]
    """(POINTS, 2): to train on."""
    labels: NDArray[np.int64]
    """(POINTS,): 0 or 1, the spiral of each point."""
    fresh_x: NDArray[np.float64]
    """(FRESH, 2): to test with."""
    fresh_labels: NDArray[np.int64]
    line_accuracy: float
    """Of the best straight line, on the points to train on."""
    attempts: tuple[Attempt, ...]
    """Without a hidden layer, with one, with two."""


def spirals(*, seed: int = 0) -> Spirals:
    """Train networks of no, one and two hidden layers on spirals (Fig. 6 of the report).

    The three are trained alike, and the two with hidden layers have equally many parameters.

    Parameters
    ----------
    seed : int
        Of the points, the initial weights and the shuffles.

    Returns
    -------
    Spirals

    Examples
    --------
    >>> from chainrule import report
    >>> single, one, two = report.spirals().attempts
    >>> single.accuracy < one.accuracy < two.accuracy
    True
    >>> one.network.n_parameters == two.network.n_parameters
    True
    """
    rng = np.random.default_rng(seed)
    x, labels = _points(rng, POINTS)
    fresh_x, fresh_labels = _points(rng, FRESH)

    def attempt(units: Sequence[int]) -> Attempt:
        network = Network(units, activation="tanh", loss="binary_cross_entropy", seed=seed)
        network.fit(
            x,
            labels,
            steps=STEPS,
            batch_size=BATCH_SIZE,
            learning_rate=Linear(RATE),
            progress=False,
        )
        return Attempt(
            network,
            accuracy=_accuracy(network, fresh_x, fresh_labels),
            train_accuracy=_accuracy(network, x, labels),
        )

    return Spirals(
        x=x,
        labels=labels,
        fresh_x=fresh_x,
        fresh_labels=fresh_labels,
        line_accuracy=_line_accuracy(x, labels),
        attempts=tuple(attempt(units) for units in SIZES),
    )


def _points(rng: np.random.Generator, count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points (count, 2) along two spirals, in equal parts, and which spiral each is of."""
    labels = np.arange(count) % 2
    along = (np.arange(count) // 2 + 0.5) / (count // 2)
    distance = INNER + (OUTER - INNER) * along
    angle = 2 * np.pi * TURNS * along + np.pi * labels
    exact = distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return exact + rng.normal(scale=NOISE, size=exact.shape), labels


def _accuracy(network: Network, x: NDArray[Any], labels: NDArray[Any]) -> float:
    accuracy = network.evaluate(x, labels).accuracy
    assert accuracy is not None  # the targets are 0 and 1
    return accuracy


def _line_accuracy(x: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The largest share that is right when one side of a line is called 1, the other 0."""
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    across = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ x.T
    ones = labels[np.argsort(across, axis=1)]
    # With the line behind the first i points: the zeros among them and the ones after them.
    gained = np.cumsum(1 - 2 * ones, axis=1)
    return float((labels.sum() + max(0, gained.max())) / len(labels))


def section(numbers: Spirals) -> Section:
    """Tell it."""
    single, one, two = numbers.attempts
    return Section(
        5,
        "spirals",
        "What one layer cannot do",
        [
            _problem(numbers),
            Plot(
                "05-spirals",
                "What each network takes for which spiral, blue dots or orange squares, with the "
                f"{number(len(numbers.x))} points that it was trained on; above, its sizes and its "
                f"accuracy on {number(len(numbers.fresh_x), ',d')} fresh points. Without a hidden "
                "layer the border is a straight line. One hidden layer bends it, but it does not "
                "follow all turns; two hidden layers wind it between the spirals.",
                [
                    Panel(
                        partial(_draw_regions, numbers=numbers, attempt=attempt), (2.4, 2.5), name
                    )
                    for attempt, name in zip(
                        numbers.attempts, ("single", "one-hidden", "two-hidden"), strict=True
                    )
                ],
                figure=6,
            ),
            Table(
                ["network", "param\u00adeters", "steps", "trained on", "fresh"],
                [_row(attempt) for attempt in numbers.attempts],
                "Accuracy of the three networks on the points that they were trained on, and on "
                "fresh ones. All are trained alike: tanh in the hidden layers, "
                "a sigmoid and binary cross-entropy at the output, batches of "
                f"{number(BATCH_SIZE)} points, a rate that falls linearly from {number(RATE)} to "
                f"{number(0)}.",
            ),
            Text(
                f"The single layer gets only {number(single.accuracy, '.3f')} of the fresh points "
                "right, and no training would mend that: of all straight lines in "
                f"{number(DIRECTIONS, ',d')} directions the best gets "
                f"{number(numbers.line_accuracy, '.3f')} of the training points. Two hidden layers "
                f"get {number(two.accuracy, '.3f')}. One hidden layer with as many parameters, "
                f"{number(one.network.n_parameters)}, stands between them with "
                f"{number(one.accuracy, '.3f')} after the same steps. That is no limit of what it "
                "can draw, for with enough units and time one hidden layer comes as close to any "
                "border as one likes; but a second layer makes its bends out of those of the "
                f"first, and here {number(_hidden(two))} hidden units in two layers do what "
                f"{number(_hidden(one))} in one do not."
            ),
        ],
    )


def _problem(numbers: Spirals) -> Block:
    return Text(
        "A quadratic form cuts the plane along a conic section, and a single layer, whose output "
        "depends on the inputs through one weighted sum only, along a straight line. Two "
        f"interleaved spirals of {number(TURNS)} turns each, {number(len(numbers.x) // 2)} points "
        f"on either, {number(INNER)} to {number(OUTER, '.0f')} from the centre and scattered by "
        f"{number(NOISE)}, cannot be parted so. Three networks try."
    )


def _hidden(attempt: Attempt) -> int:
    return sum(attempt.network.sizes[1:-1])


def _row(attempt: Attempt) -> list[str]:
    network = attempt.network
    return [
        sizes(network.sizes),
        number(network.n_parameters),
        number(network.steps_done, ",d"),
        number(attempt.train_accuracy, ".3f"),
        number(attempt.accuracy, ".3f"),
    ]


def _draw_regions(figure: Figure, numbers: Spirals, attempt: Attempt) -> None:
    ax = plots.decision_regions(attempt.network, numbers.x, numbers.labels, ax=figure.add_subplot())
    for line in ax.lines:  # many points on a small picture
        line.set(markersize=3, markeredgewidth=0.3)
    ticks = (-OUTER, 0, OUTER)
    ax.set(xticks=ticks, yticks=ticks, xlabel="", ylabel="")
    ax.set_title(f"{attempt.name}: {attempt.accuracy:.3f}")
