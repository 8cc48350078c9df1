"""Section 7: how many parameters a network has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from chainrule import _report_run, _validate, plots
from chainrule.report._section import (
    Formula,
    Panel,
    Plot,
    Section,
    Table,
    Text,
    math,
    number,
    reported,
    sizes,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 8  # units of a layer that are drawn
OTHERS = ((784, 10), (784, 30, 10), (784, 128, 64, 10), (784, 512, 512, 10))


@dataclass(frozen=True)
class Counting:
    """The parameters of a fully connected network."""

    sizes: tuple[int, ...]
    weights: tuple[int, ...]
    """Of each layer."""
    biases: tuple[int, ...]
    """Of each layer."""

    @property
    def name(self) -> str:
        """The sizes, as in 784-16-16-10."""
        return "-".join(map(str, self.sizes))

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.weights) + sum(self.biases)


def counting(sizes: Iterable[int] = _report_run.SIZES) -> Counting:
    """Count weights and biases (Eq. 8 of the report).

    Parameters
    ----------
    sizes : iterable of int
        Units of each layer, the input's first.

    Returns
    -------
    Counting

    Raises
    ------
    TypeError, ValueError
        Where the sizes are none of a network.

    Examples
    --------
    >>> from chainrule import report
    >>> numbers = report.counting([784, 16, 16, 10])
    >>> sum(numbers.weights), sum(numbers.biases), numbers.total
    (12960, 42, 13002)
    """
    checked = _validate.sizes(sizes)
    return Counting(
        sizes=checked,
        weights=tuple(n_in * n_out for n_in, n_out in pairwise(checked)),
        biases=checked[1:],
    )


def section(numbers: Counting) -> Section:
    """Tell it."""
    products = " + ".join(rf"{n_in} \cdot {n_out}" for n_in, n_out in pairwise(numbers.sizes))
    units = " + ".join(map(str, numbers.biases))
    own = numbers.sizes == _report_run.SIZES
    left_out = ", some units of its larger layers left out" if max(numbers.sizes) > MOST else ""

    def draw(figure: Figure) -> None:
        plots.network_drawing(numbers.sizes, most=MOST, ax=figure.add_subplot())

    return Section(
        7,
        "counting",
        "Counting the parameters",
        [
            Text(
                "In a fully connected network each unit has a weight for each unit of the layer "
                "before it, and one bias; the inputs have neither. With layers of "
                f"{math('n_0, n_1, ..., n_L')} units, inputs first, that makes"
            ),
            Formula(r"n = \sum_{l=1}^{L} n_{l-1} \, n_l + \sum_{l=1}^{L} n_l", equation=8),
            Text(
                f"parameters. For {sizes(numbers.sizes)}"
                f"{', the network of the report' if own else ''}:"
            ),
            Formula(f"({products}) + ({units})"),
            Text(
                f"which is {number(sum(numbers.weights), ',d')} weights and "
                f"{number(sum(numbers.biases))} biases, {number(numbers.total, ',d')} in all"
                + (f"; the report says {reported('12,960 + 42 = 13,002')}." if own else ".")
            ),
            Plot(
                "07-network",
                f"The {sizes(numbers.sizes)} network{left_out}. "
                "Each line is a weight, each circle behind the first column has a bias.",
                [Panel(draw, (4.2, 2.8))],
            ),
            Table(
                ["network", "weights", "biases", "param\u00adeters"],
                [_row(numbers), *(_row(counting(other)) for other in OTHERS)],
                "Parameters of this network and of others. Nearly all of them are weights, and "
                "most lie where the largest two layers meet.",
            ),
        ],
    )


def _row(counted: Counting) -> list[str]:
    return [
        sizes(counted.sizes),
        number(sum(counted.weights), ",d"),
        number(sum(counted.biases), ",d"),
        number(counted.total, ",d"),
    ]
