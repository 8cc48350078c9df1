"""Section 9: the chain rule, one neuron a layer, and the same as matrices."""

from __future__ import annotations

import math as scalar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule import plots
from chainrule.gradcheck import central_differences
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
    scientific,
    sizes,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from chainrule.results import LayerTrace

CHAIN = (1, 1, 1, 1)
SIZES = (2, 3, 2)
COMPOSED, OUTER, OUTER_SLOPE = r"y = \sin(x^2)", r"y = \sin u", r"\cos u"
COMES_BACK = r"\sum_j w_{ji} r_j"
AT = 1.5  # where the example of the chain rule is differentiated

_DE_DA = r"\frac{\partial E}{\partial a}"
_DE_DW = r"\frac{\partial E}{\partial W}"
_DE_DB = r"\frac{\partial E}{\partial b}"
FORWARD = ("z", "a")
BACKWARD = (_DE_DA, rf"r = {_DE_DB}", _DE_DW)  # in the order of computing


class Neuron(NamedTuple):
    """The symbols of one layer of one neuron, as `LayerTrace` has them."""

    z: float
    a: float
    r: float
    dE_da: float
    dE_dW: float
    dE_db: float


class Composed(NamedTuple):
    """The derivative of y = sin u, u = x^2, by the chain rule and by differences."""

    x: float
    u: float
    y: float
    du_dx: float
    dy_du: float
    by_rule: float
    """dy/du du/dx."""
    by_differences: float
    """Measured on sin(x^2), without the rule."""


@dataclass(frozen=True, eq=False)
class Traced:
    """A network, one row with its target, and every symbol of every layer for it."""

    network: Network
    """In float64; weights, biases and the row have one digit behind the point."""
    x: NDArray[np.float64]
    """(n_in,)."""
    y: NDArray[np.float64]
    """(n_out,)."""
    loss: float
    trace: list[LayerTrace]
    """Of each layer, (1, ...)."""
    numerical_error: float
    """How far the gradient is from the numerical one (Eq. 9), over its length."""


@dataclass(frozen=True, eq=False)
class Backpropagation:
    """The chain rule in numbers: of two functions, of a chain of neurons, of a network."""

    composed: Composed
    chain: Traced
    """A network of one neuron a layer."""
    neurons: list[Neuron]
    """Its symbols once more, by the recursion: numbers only."""
    network: Traced
    """A network of a few neurons a layer."""

    @property
    def largest_difference(self) -> float:
        """Between the recursion and the matrices, over all symbols of the chain."""
        return max(
            abs(mine - float(theirs.item()))
            for neuron, layer in zip(self.neurons, self.chain.trace, strict=True)
            for mine, theirs in zip(neuron, layer, strict=True)
        )


def backpropagation(*, seed: int = 0) -> Backpropagation:
    """Differentiate by the chain rule, step by step (Eq. 10 to 24 of the report).

    Parameters
    ----------
    seed : int
        Of weights, biases, inputs and targets.

    Returns
    -------
    Backpropagation

    Examples
    --------
    >>> from chainrule import report
    >>> found = report.backpropagation()
    >>> len(found.neurons), found.largest_difference < 1e-12
    (3, True)
    """
    rng = np.random.default_rng(seed)
    chain, network = _traced(CHAIN, rng), _traced(SIZES, rng)
    return Backpropagation(
        composed=_compose(AT),
        chain=chain,
        neurons=recursion(
            [float(W.item()) for W in chain.network.weights],
            [float(b.item()) for b in chain.network.biases],
            float(chain.x.item()),
            float(chain.y.item()),
        ),
        network=network,
    )


def recursion(
    weights: Sequence[float], biases: Sequence[float], x: float, y: float
) -> list[Neuron]:
    """Backpropagation with one sigmoid neuron a layer, where everything is one number.

    Parameters
    ----------
    weights, biases : sequence of float
        One a layer.
    x, y : float
        The input and its target.

    Returns
    -------
    list of Neuron

    Examples
    --------
    >>> from chainrule.report._backpropagation import recursion
    >>> recursion([0.0], [0.0], 2.0, 1.0)
    [Neuron(z=0.0, a=0.5, r=-0.25, dE_da=-1.0, dE_dW=-0.5, dE_db=-0.25)]
    """
    z, a = [], [x]
    for w, b in zip(weights, biases, strict=True):
        z.append(w * a[-1] + b)  # Eq. 6
        a.append(1 / (1 + scalar.exp(-z[-1])))  # Eq. 7
    found: list[Neuron] = []
    dE_da = 2 * (a[-1] - y)  # of E = (a - y)^2, Eq. 11
    for layer in reversed(range(len(weights))):
        r = a[layer + 1] * (1 - a[layer + 1]) * dE_da
        dE_dW, dE_db = r * a[layer], r  # Eq. 12, 13
        found.insert(0, Neuron(z[layer], a[layer + 1], r, dE_da, dE_dW, dE_db))
        dE_da = weights[layer] * r  # Eq. 14
    return found


def _compose(x: float) -> Composed:
    u = x**2
    du_dx, dy_du = 2 * x, scalar.cos(u)
    measured = central_differences(lambda v: scalar.sin(v[0] ** 2), np.array([x]))
    return Composed(
        x=x,
        u=u,
        y=scalar.sin(u),
        du_dx=du_dx,
        dy_du=dy_du,
        by_rule=dy_du * du_dx,  # Eq. 10
        by_differences=float(measured[0]),
    )


def _traced(units: Sequence[int], rng: np.random.Generator) -> Traced:
    """A network with numbers short enough to compute along with, and its trace."""
    network = Network(units, dtype="float64")
    # Large weights, as those of a trained network are: the gradient reaches the first layer.
    weights = [
        rng.choice([-1, 1], W.shape) * rng.uniform(0.6, 1.9, W.shape) for W in network.weights
    ]
    biases = [rng.uniform(-0.5, 0.5, b.shape) for b in network.biases]
    network.set_parameters([W.round(1) for W in weights], [b.round(1) for b in biases])
    x = rng.uniform(0.5, 1.0, (1, units[0])).round(1)
    y = np.zeros((1, units[-1]))
    y[0, 0] = 1
    gradients, measured = network.gradients(x, y), network.numerical_gradients(x, y)
    flat, numerical = (
        np.concatenate([array.ravel() for array in (*found.weights, *found.biases)])
        for found in (gradients, measured)
    )
    return Traced(
        network=network,
        x=x[0],
        y=y[0],
        loss=gradients.loss,
        trace=network.trace(x, y),
        numerical_error=float(np.linalg.norm(flat - numerical) / np.linalg.norm(flat)),
    )


def section(numbers: Backpropagation) -> Section:
    """Tell it."""
    return Section(
        9,
        "backpropagation",
        "The chain rule and backpropagation",
        [
            *_tell_rule(numbers.composed),
            *_tell_chain(numbers),
            *_tell_matrices(numbers),
            *_tell_network(numbers.network),
        ],
    )


def _tell_rule(composed: Composed) -> list[Block]:
    return [
        Text(
            "Backpropagation is the chain rule, used over and over. When y depends on u, and u on "
            "x, the rates of change multiply:"
        ),
        Formula(
            r"\frac{\mathrm{d}y}{\mathrm{d}x} = "
            r"\frac{\mathrm{d}y}{\mathrm{d}u} \, \frac{\mathrm{d}u}{\mathrm{d}x}",
            equation=10,
        ),
        Text(
            f"Take {math(COMPOSED)}, that is {math(OUTER)} with "
            f"{math('u = x^2')}, at x = {number(composed.x)} (an example of this page’s, not the "
            f"report’s). The rule multiplies {math(OUTER_SLOPE)} by {math('2x')}. The last row "
            "knows nothing of it: it is the central difference of Eq. 9, on the whole of y."
        ),
        Table(
            ["", f"at x = {number(composed.x)}"],
            [
                [name, number(value, ".7f")]
                for name, value in (
                    (math("u"), composed.u),
                    (math("y"), composed.y),
                    (_fraction("u", "x"), composed.du_dx),
                    (_fraction("y", "u"), composed.dy_du),
                    ("their product", composed.by_rule),
                    ("by differences", composed.by_differences),
                )
            ],
            "Both sides of the chain rule; they differ by "
            f"{scientific(abs(composed.by_rule - composed.by_differences))}.",
        ),
    ]


def _tell_chain(numbers: Backpropagation) -> list[Block]:
    chain = numbers.chain
    return [
        Text(
            "A network is functions within functions. With one neuron a layer everything is a "
            "number. Layer l makes z and a from the activation below, and E compares the last "
            "activation with y:"
        ),
        Formula(
            (
                r"z^{(l)} = w^{(l)} a^{(l-1)} + b^{(l)}, \quad",
                r"a^{(l)} = \sigma(z^{(l)}), \quad",
                r"E = (a^{(L)} - y)^2",
            ),
            equation=11,
        ),
        Text(
            "(With several outputs E is their sum. The report calls it a mean squared error, but "
            "nothing is divided.) A weight acts on E through z and a of its layer, so three rates "
            "multiply; a bias acts the same way, but that its z changes by as much as it does:"
        ),
        Formula(
            r"\frac{\partial E}{\partial w^{(l)}} = a^{(l-1)} \, \sigma'(z^{(l)}) \, "
            r"\frac{\partial E}{\partial a^{(l)}}",
            equation=12,
        ),
        Formula(
            r"\frac{\partial E}{\partial b^{(l)}} = \sigma'(z^{(l)}) \, "
            r"\frac{\partial E}{\partial a^{(l)}}",
            equation=13,
        ),
        Text(
            f"At the output {math(_DE_DA)} is {math('2(a - y)')}. Below, it comes from the layer "
            "above, and so the computation runs backwards:"
        ),
        Formula(
            r"\frac{\partial E}{\partial a^{(l-1)}} = w^{(l)} \, \sigma'(z^{(l)}) \, "
            r"\frac{\partial E}{\partial a^{(l)}}",
            equation=14,
        ),
        Plot(
            "09-chain",
            f"A chain of {number(len(numbers.neurons))} sigmoids in numbers, drawn from the "
            f"network itself, for the target y = {number(float(chain.y[0]), '.0f')}. Forward, from "
            "left to right: w on the lines, b, z and a in the neurons. Backward, from right to "
            "left: r = σ′(z) ∂E/∂a in the neurons, which is ∂E/∂b too, and ∂E/∂w on the lines. "
            "Blue is positive, vermilion negative; a line is the wider the larger its number.",
            [_panel(chain, "forward", 1.7, named=True), _panel(chain, "backward", 1.5, named=True)],
            figure=8,
        ),
    ]


def _tell_matrices(numbers: Backpropagation) -> list[Block]:
    difference = numbers.largest_difference
    return [
        Text(
            "With several neurons a layer an activation acts on E through every neuron above it, "
            "and the rates of these ways add up. That sum is a matrix product, and all indices go "
            "away, with the two that the report mistook: its Eq. 15 writes "
            f"{math('a_i')} where {math('a_j')} is meant, its Eq. 16 {math('w_{ij}')} where "
            f"{math('w_{ji}')} is meant. The report’s Eq. 15 to 23 go that way step by step: from "
            f"one weight’s {math('r_i a_j')}, and the sum {math(COMES_BACK)} that comes "
            "back to one activation, to the products of vectors and matrices that its Eq. 24 "
            "gathers. For each layer:"
        ),
        Formula(
            (
                r"r = \sigma'(z) \odot \frac{\partial E}{\partial a}, \quad",
                r"\frac{\partial E}{\partial a_{\mathrm{below}}} = W^{T} r, \quad",
                r"\frac{\partial E}{\partial W} = r \, a_{\mathrm{below}}^{T}, \quad",
                r"\frac{\partial E}{\partial b} = r",
            ),
            equation=24,
        ),
        Text(
            "Here ⊙ multiplies entry by entry. Descent then takes its step (Eq. 5) "
            "with both gradients; the report’s pseudo-code forgets that of the biases. For the "
            "chain above the matrices have one entry each, and Eq. 24 must give what Eq. 12 to 14 "
            "give. It does:"
        ),
        _both(numbers, FORWARD, ("z", "a"), "The way forward, by numbers and by matrices."),
        _both(
            numbers,
            BACKWARD,
            ("dE_da", "r", "dE_dW"),
            "The way back, by the recursion on numbers (Eq. 12 to 14) and by the matrices (Eq. "
            "24). The largest difference between two symbols of the same name, in double "
            f"precision, is {scientific(difference) if difference else number(0)}: rounding.",
        ),
    ]


def _both(
    numbers: Backpropagation, symbols: Sequence[str], names: Sequence[str], caption: str
) -> Table:
    """Some symbols of the chain, as both ways compute them."""
    return Table(
        ["layer", "by", *map(math, symbols)],
        [
            [
                number(layer),
                by,
                *(number(float(np.asarray(getattr(found, name)).item()), ".5f") for name in names),
            ]
            for layer, pair in enumerate(
                zip(numbers.neurons, numbers.chain.trace, strict=True), start=1
            )
            for by, found in zip(("numbers", "matrices"), pair, strict=True)
        ],
        caption,
    )


def _tell_network(traced: Traced) -> list[Block]:
    evaluations = 2 * traced.network.n_parameters
    target = ", ".join(number(float(value), ".0f") for value in traced.y)
    return [
        Text(
            f"The same Eq. 24 on a {sizes(traced.network.sizes)} network, drawn from its weights. "
            "Each r of the middle layer collects what comes back along all the lines that leave "
            "its neuron."
        ),
        Plot(
            "09-forward",
            "Forward, from left to right: W on the lines, b, z and a in the neurons.",
            [_panel(traced, "forward", 3.4)],
            figure=9,
        ),
        Plot(
            "09-backward",
            f"Backward, from right to left, for the target ({target}): r in the neurons, which is "
            "∂E/∂b too, and ∂E/∂W on the lines, each the r at its right end times the activation "
            "at its left.",
            [_panel(traced, "backward", 2.8)],
            figure=10,
        ),
        Table(
            ["layer", "neuron", *map(math, FORWARD)],
            [
                [*place, number(float(trace.z[0, i]), ".4f"), number(float(trace.a[0, i]), ".4f")]
                for place, trace, i in _neurons(traced)
            ],
            f"The way forward in numbers; it ends with E = {number(traced.loss, '.4f')}.",
        ),
        Table(
            ["layer", "neuron", *map(math, BACKWARD)],
            [
                [
                    *place,
                    number(float(trace.dE_da[0, i]), ".4f"),
                    number(float(trace.r[0, i]), ".4f"),
                    "\u00a0 ".join(number(float(value), ".4f") for value in trace.dE_dW[0, i]),
                ]
                for place, trace, i in _neurons(traced)
            ],
            "The way back. The last column is a row of the matrix: one number for each line into "
            "the neuron, from the top. The gradient differs from "
            f"{number(evaluations)} evaluations’ worth of central differences (Eq. 9) by "
            f"{scientific(traced.numerical_error)} of its length.",
        ),
    ]


def _neurons(traced: Traced) -> Iterator[tuple[list[str], LayerTrace, int]]:
    """Of each neuron: the cells of its layer's and its own number, both from 1; and its trace."""
    for layer, trace in enumerate(traced.trace, start=1):
        for i in range(trace.z.shape[1]):
            yield [number(layer), number(i + 1)], trace, i


def _fraction(above: str, below: str) -> str:
    return math(rf"\frac{{\mathrm{{d}}{above}}}{{\mathrm{{d}}{below}}}")


def _panel(
    traced: Traced,
    direction: Literal["forward", "backward"],
    height: float,
    *,
    named: bool = False,
) -> Panel:
    def draw(figure: Figure) -> None:
        ax = plots.network_drawing(
            traced.network,
            sample=(traced.x, traced.y),
            parameters=True,
            direction=direction,
            digits=2,
            ax=figure.add_subplot(),
        )
        ax.set_title("forward →" if direction == "forward" else "← backward")

    return Panel(draw, (4.2, height), direction if named else "")
