"""Section 8: the gradient by differences, and why nobody trains a network with it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chainrule import _report_run, plots
from chainrule.gradcheck import EPSILON, central_differences
from chainrule.network import Network
from chainrule.report._section import (
    Block,
    Formula,
    Panel,
    Plot,
    Section,
    Table,
    Text,
    math,
    number,
    reported,
    scientific,
    sizes,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHECKED = (5, 4, 3)
ROWS = 8
EPSILONS = 10.0 ** np.arange(-12, 0.5, 0.5)

# The report's network last; before it, the same shape on smaller pictures with narrower layers.
NETWORKS = ((49, 4, 4, 10), (100, 6, 6, 10), (196, 8, 8, 10), (400, 12, 12, 10), _report_run.SIZES)
REPEATS = 25
BUDGET = 0.3  # seconds: no further repeat once they have taken so long together

# Heads of narrow columns: with soft hyphens.
PARAMETERS, BACKPROPAGATION = "param\u00adeters", "back\u00adpropa\u00adgation"

ROUNDING, TRUNCATION = r"1 / \varepsilon", r"\varepsilon^2"
CENTRAL = (
    r"\frac{\partial E}{\partial w_i} \approx "
    r"\frac{E(w + \varepsilon e_i) - E(w - \varepsilon e_i)}{2 \varepsilon}"
)


@dataclass(frozen=True)
class Price:
    """What one gradient of one network costs, for one row, both ways."""

    sizes: tuple[int, ...]
    n_parameters: int
    evaluations: int
    """Of E, for the numerical gradient: counted by letting `central_differences` run."""
    numerical_seconds: float
    """Median."""
    backpropagation_seconds: float
    """Median."""
    work: float
    """The multiplications of backpropagation, where those of one evaluation are 1."""

    @property
    def counted_ratio(self) -> float:
        """How many times more the numerical gradient multiplies."""
        return self.evaluations / self.work

    @property
    def ratio(self) -> float:
        """How many times longer the numerical gradient takes."""
        return self.numerical_seconds / self.backpropagation_seconds

    @property
    def evaluation_seconds(self) -> float:
        """One evaluation of E, as the numerical gradient makes them."""
        return self.numerical_seconds / self.evaluations

    @property
    def measured_work(self) -> float:
        """How many such evaluations take as long as backpropagation: compare `work`."""
        return self.backpropagation_seconds / self.evaluation_seconds


@dataclass(frozen=True, eq=False)
class Numerical:
    """Numerical gradients against backpropagation: how far they agree, and what they cost."""

    sizes: tuple[int, ...]
    """Of the network of which the gradients are compared."""
    rows: int
    epsilons: NDArray[np.float64]
    """(k,), ascending."""
    errors: NDArray[np.float64]
    """(k,): the distance of the two gradients over the length of backpropagation's."""
    engine: str
    """That of all networks here."""
    prices: tuple[Price, ...]
    """From the smallest network to the largest."""


def numerical(*, seed: int = 0, networks: Sequence[Sequence[int]] = NETWORKS) -> Numerical:
    """Compare the numerical gradient with backpropagation's (Eq. 9 of the report).

    Parameters
    ----------
    seed : int
        Of weights, inputs and labels.
    networks : sequence of sizes
        Whose gradients are timed, in ascending order.

    Returns
    -------
    Numerical
        Its seconds differ from run to run, all else comes from the seed.

    Examples
    --------
    >>> from chainrule import report
    >>> found = report.numerical(networks=[(4, 3, 2)])
    >>> found.prices[0].n_parameters, found.prices[0].evaluations
    (23, 46)
    """
    rng = np.random.default_rng(seed)
    network = Network(CHECKED, dtype="float64", seed=seed)
    x, y = _sample(network, ROWS, rng)
    exact = _flat(*network.gradients(x, y)[1:])
    measured = [
        _flat(*network.numerical_gradients(x, y, epsilon=float(epsilon))[1:])
        for epsilon in EPSILONS
    ]
    return Numerical(
        sizes=network.sizes,
        rows=ROWS,
        epsilons=EPSILONS,
        errors=np.linalg.norm(np.array(measured) - exact, axis=1) / np.linalg.norm(exact),
        engine=network.backend,
        prices=tuple(_price(Network(each, dtype="float64", seed=seed), rng) for each in networks),
    )


def work(of: Sequence[int]) -> float:
    """Count the multiplications of backpropagation, where those of one evaluation of E are 1.

    Each weight takes part in one product forward (z), in one for its own derivative (dE/dW) and,
    but for those of the first layer, in one for the layer below (dE/da).

    Parameters
    ----------
    of : sequence of int
        The sizes of a network.

    Returns
    -------
    float
        From 2 (a single layer) to below 3.

    Examples
    --------
    >>> from chainrule.report._numerical import work
    >>> work([2, 3, 2])
    2.5
    """
    weights = [n_in * n_out for n_in, n_out in pairwise(of)]
    return (2 * sum(weights) + sum(weights[1:])) / sum(weights)


def _sample(
    network: Network, rows: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Inputs (rows, n_in) in [0, 1), as pixels are, and labels (rows,)."""
    return rng.random((rows, network.sizes[0])), rng.integers(0, network.sizes[-1], rows)


def _flat(
    weights: Sequence[NDArray[np.float64]], biases: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    return np.concatenate([array.ravel() for array in (*weights, *biases)])


def _price(network: Network, rng: np.random.Generator) -> Price:
    x, y = _sample(network, 1, rng)
    return Price(
        sizes=network.sizes,
        n_parameters=network.n_parameters,
        evaluations=_count_evaluations(network.n_parameters),
        numerical_seconds=_median_seconds(lambda: network.numerical_gradients(x, y)),
        backpropagation_seconds=_median_seconds(lambda: network.gradients(x, y)),
        work=work(network.sizes),
    )


def _count_evaluations(n: int) -> int:
    """How often the central differences of a function of n variables call it."""
    calls = 0

    def loss(_: NDArray[np.float64]) -> float:
        nonlocal calls
        calls += 1
        return 0.0

    central_differences(loss, np.zeros(n))
    return calls


def _median_seconds(run: Callable[[], object]) -> float:
    """The median of up to `REPEATS` runs, of fewer where they take long, of one at least."""
    seconds: list[float] = []
    while len(seconds) < REPEATS and sum(seconds) < BUDGET:
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def section(numbers: Numerical) -> Section:
    """Tell it."""

    def draw_errors(figure: Figure) -> None:
        plots.gradient_check(numbers.epsilons, numbers.errors, ax=figure.add_subplot())

    def draw_prices(figure: Figure) -> None:
        _draw_prices(figure, numbers.prices)

    return Section(
        8,
        "numerical",
        "The numerical gradient and its price",
        [
            *_agreement(numbers),
            Plot(
                "08-agreement",
                "The distance between the numerical gradient and backpropagation’s, over the "
                "length of the latter, for steps ε of many sizes. Both axes are logarithmic. The "
                "two branches fall and rise in straight lines: one error goes as "
                f"{math(ROUNDING)}, the other as {math(TRUNCATION)}.",
                [Panel(draw_errors, (4.2, 3.0))],
            ),
            _cost(numbers.prices[-1]),
            Plot(
                "08-price",
                "Seconds for one gradient, for one picture, over the number of parameters. Both "
                "axes are logarithmic. The gap between the lines widens as the network grows.",
                [Panel(draw_prices, (4.2, 3.0))],
            ),
            _counted(numbers.prices),
            _measured(numbers),
            _why(numbers.prices[-1]),
            _estimate(numbers.prices[-1]),
        ],
    )


def _agreement(numbers: Numerical) -> list[Block]:
    least = int(numbers.errors.argmin())
    ends = numbers.errors[[0, -1]] / numbers.errors[least]
    return [
        Text(
            "What is the derivative of E by a weight? Move the weight by a small step ε to either "
            "side, and see what E does:"
        ),
        Formula(CENTRAL, equation=9),
        Text(
            "This needs no calculus, only E, and so it judges any other way to the gradient. "
            f"Below it judges backpropagation, on a {sizes(numbers.sizes)} network and "
            f"{number(numbers.rows)} rows, in double precision. They agree best, to "
            f"{scientific(numbers.errors[least])}, at ε = {scientific(numbers.epsilons[least])}. "
            "A larger ε makes the difference a worse likeness of the derivative; with a smaller "
            "one the two values of E agree in so many digits that what is left of them is mostly "
            "rounding. At the ends of the sweep the error is "
            f"{scientific(ends[0])} and {scientific(ends[1])} times the least. The best step is "
            "near the cube root of the unit of rounding, "
            f"{scientific(EPSILON)}, where the two errors cost alike."
        ),
    ]


def _cost(price: Price) -> Text:
    return Text(
        f"The price is in the index {math('i')}: each of the {math('n')} parameters is moved by "
        f"itself, to both sides, which takes {math('2n')} evaluations of E. (The report counts "
        f"{math('n')}; Eq. 9 needs two for each parameter.) Backpropagation has all derivatives "
        "after one pass forward and one back. Counted in multiplications, that is the work of "
        f"{number(price.work, '.2f')} evaluations for the {sizes(price.sizes)} network, and of "
        "fewer than three for any: a weight is used once forward, once for its own derivative, "
        "and once for the layer below, where that is not the input."
    )


def _counted(prices: Sequence[Price]) -> Table:
    return Table(
        [
            "network",
            PARAMETERS,
            "evalu\u00adations",
            BACKPROPAGATION,
            "ratio",
        ],
        [
            [
                sizes(price.sizes),
                number(price.n_parameters, ",d"),
                number(price.evaluations, ",d"),
                number(price.work, ".2f"),
                number(price.counted_ratio, ",.0f"),
            ]
            for price in prices
        ],
        "Counted: evaluations of E for one numerical gradient; the multiplications of "
        "backpropagation, where those of one evaluation are one; how many times dearer the "
        "numerical gradient is by that count.",
    )


def _measured(numbers: Numerical) -> Table:
    return Table(
        [
            PARAMETERS,
            "evalu\u00adation, µs",
            "numer\u00adical, ms",
            f"{BACKPROPAGATION}, µs",
            "the same, in evalu\u00adations",
            "ratio",
        ],
        [
            [
                number(price.n_parameters, ",d"),
                _digits(price.evaluation_seconds * 1e6),
                _digits(price.numerical_seconds * 1e3),
                _digits(price.backpropagation_seconds * 1e6),
                number(price.measured_work, ".2f", varies=True),
                number(price.ratio, ",.0f", varies=True),
            ]
            for price in numbers.prices
        ],
        "Measured, on the same networks: one evaluation among those of the numerical gradient, all "
        f"of them, and backpropagation. Medians of up to {number(REPEATS)} runs, fewer of the slow "
        f"ones, on the engine {numbers.engine}.",
    )


def _why(price: Price) -> Text:
    return Text(
        f"For the {sizes(price.sizes)} network the ratio is {number(price.counted_ratio, ',.0f')} "
        f"counted and {number(price.ratio, ',.0f', varies=True)} measured. The clock also sees "
        "what is no multiplication: an evaluation is first handed all parameters, one of them "
        "moved; "
        "backpropagation hands all derivatives back; and each call from Python has its fixed "
        "cost, which is nearly all that the smallest networks take. So backpropagation took the "
        f"time of {number(price.measured_work, '.2f', varies=True)} evaluations, where it has the "
        f"multiplications of {number(price.work, '.2f')}. Either way the ratio grows with the "
        "number of parameters."
    )


def _estimate(price: Price) -> Text:
    """What the whole training of the report would take, from one gradient, measured."""
    numerical_hours = price.numerical_seconds * _report_run.STEPS / 3600
    backpropagation_seconds = price.backpropagation_seconds * _report_run.STEPS
    return Text(
        f"One numerical gradient of the {sizes(price.sizes)} network takes "
        f"{number(price.evaluations, ',d')} evaluations and was measured in full: "
        f"{_duration(price.numerical_seconds)}, where backpropagation takes "
        f"{_duration(price.backpropagation_seconds)}. Multiplied out, not run: the report’s "
        f"{reported(f'{_report_run.STEPS:,}')} steps would take "
        f"{number(numerical_hours, '.1f', varies=True)} hours of numerical gradients, and "
        f"{number(backpropagation_seconds, '.1f', varies=True)} seconds of backpropagation, "
        "called from Python picture by picture; the training at the end of this page makes all "
        "its steps within one call."
    )


def _digits(value: float) -> str:
    """Three digits, and commas where there are thousands."""
    return number(float(f"{value:.3g}"), ",.10g", varies=True)


def _duration(seconds: float) -> str:
    """Three digits in the unit that suits."""
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return number(f"{seconds * factor:.3g} {unit}", varies=True)
    return number(f"{seconds * 1e6:.3g} µs", varies=True)


def _draw_prices(figure: Figure, prices: Sequence[Price]) -> None:
    ax = figure.add_subplot()
    n = [price.n_parameters for price in prices]
    numerical_seconds = [price.numerical_seconds for price in prices]
    backpropagation_seconds = [price.backpropagation_seconds for price in prices]
    ax.loglog(n, numerical_seconds, marker="o", label="numerical gradient")
    ax.loglog(n, backpropagation_seconds, marker="s", label="backpropagation")
    ax.set_xlabel("parameters n")
    ax.set_ylabel("seconds")
    ax.grid(axis="y")
    ax.minorticks_off()
    ax.set_xticks(n, [f"{count:,d}" for count in n])
    ax.legend(loc="upper left")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high * (high / low) ** 0.2)  # room for the legend
