"""Section 6: one neuron, and why it needs its activation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule import _report_run, plots, reference
from chainrule.network import Network
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
    sizes,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANGE = 6.0  # of z: the curves are drawn from -RANGE to RANGE
STEP = 1e-5  # of the differences that the derivative is compared with
ROWS = 200  # inputs that the networks are compared on
ACTIVATION = r"a = \sigma(z)"
TANH = r"\tanh z = 2 \, \sigma(2 z) - 1"
TWO_LAYERS = ("W_2 (W_1 x + b_1) + b_2", "{} = (W_2 W_1) x + (W_2 b_1 + b_2)")
EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Straightness:
    """How far a network is from a map of the form W x + b, all of it in float64."""

    middle: float
    """The largest difference between the output for the middle of two inputs and the middle of
    their outputs; for W x + b the two are the same."""
    scale: float
    """The largest of these outputs, without its sign."""

    @property
    def epsilons(self) -> float:
        """`middle` in machine epsilons of `scale`."""
        return self.middle / (EPSILON * self.scale)


@dataclass(frozen=True, eq=False)
class Neuron:
    """A neuron, the sigmoid, and layers with and without it."""

    network: Network
    """Three inputs and one sigmoid unit: a single neuron."""
    inputs: NDArray[np.float64]
    """(3,): an example for it."""
    z: float
    a: float

    curve_z: NDArray[np.float64]
    """(n,): from -RANGE to RANGE."""
    sigmoid: NDArray[np.float64]
    """(n,)."""
    derivative: NDArray[np.float64]
    """(n,): sigma (1 - sigma)."""
    derivative_error: float
    """The largest difference between `derivative` and the measured slope of the sigmoid."""

    sizes: tuple[int, ...]
    """Of the networks below."""
    matrix: NDArray[np.float64]
    """(n_out, n_in): the product of the weights of all layers."""
    bias: NDArray[np.float64]
    """(n_out,): the one that goes with it."""
    difference: float
    """The largest between an output of the network without activations and W x + b."""
    scale: float
    """The largest of these outputs, without its sign."""
    bound: float
    """What rounding may make of `difference` at most."""
    plain: Straightness
    """Of the network without activations."""
    bent: Straightness
    """Of the network of the same parameters with sigmoids."""

    @property
    def epsilons(self) -> float:
        """`difference` in machine epsilons of `scale`."""
        return self.difference / (EPSILON * self.scale)


def neuron(*, seed: int = 0) -> Neuron:
    """Follow one neuron, measure the sigmoid's slope, and put layers into one (Eq. 6, 7; Fig. 7).

    Parameters
    ----------
    seed : int
        Of all weights, biases and inputs.

    Returns
    -------
    Neuron

    Examples
    --------
    >>> from chainrule import report
    >>> numbers = report.neuron()
    >>> float(numbers.derivative.max())  # at z = 0
    0.25
    >>> numbers.difference <= numbers.bound
    True
    """
    rng = np.random.default_rng(seed)
    single = Network([3, 1], dtype="float64", seed=seed)
    single.set_parameters(single.weights, [rng.uniform(-1, 1, 1)])
    inputs = rng.uniform(0, 1, 3)
    (layer,) = single.trace(inputs[None], [0])

    z = np.linspace(-RANGE, RANGE, 241)
    sigmoid = reference.sigmoid(z)
    derivative = reference.derivative("sigmoid", z, sigmoid)
    slope = (reference.sigmoid(z + STEP) - reference.sigmoid(z - STEP)) / (2 * STEP)

    plain, bent = _networks(rng, seed)
    x = rng.uniform(0, 1, (ROWS, plain.sizes[0]))
    outputs = plain.predict(x)
    matrix, bias = _one_layer(plain)
    return Neuron(
        network=single,
        inputs=inputs,
        z=float(layer.z[0, 0]),
        a=float(layer.a[0, 0]),
        curve_z=z,
        sigmoid=sigmoid,
        derivative=derivative,
        derivative_error=_largest(derivative - slope),
        sizes=plain.sizes,
        matrix=matrix,
        bias=bias,
        difference=_largest(outputs - (x @ matrix.T + bias)),
        scale=_largest(outputs),
        bound=_bound(plain, x),
        plain=_straightness(plain, x),
        bent=_straightness(bent, x),
    )


def _networks(rng: np.random.Generator, seed: int) -> tuple[Network, Network]:
    """The report's network without activations, and with sigmoids, of the same parameters."""
    plain, bent = (
        Network(
            _report_run.SIZES, activation=name, output_activation=name, dtype="float64", seed=seed
        )
        for name in ("identity", "sigmoid")
    )
    biases = [rng.uniform(-1, 1, size) for size in plain.sizes[1:]]
    for network in (plain, bent):
        network.set_parameters(plain.weights, biases)
    return plain, bent


def _one_layer(network: Network) -> tuple[NDArray[Any], NDArray[Any]]:
    """The weights and biases of the one layer that layers without activation are."""
    matrix, bias = np.eye(network.sizes[0]), np.zeros(network.sizes[0])
    for W, b in zip(network.weights, network.biases, strict=True):
        matrix, bias = W @ matrix, W @ bias + b
    return matrix, bias


def _bound(network: Network, x: NDArray[np.float64]) -> float:
    """The most that two ways of multiplying out can differ by.

    Each errs by at most k u sum of |terms|, where k is the number of roundings that a term goes
    through, here at most n_in + 1 a layer, and u half the machine epsilon (Higham, Accuracy and
    Stability of Numerical Algorithms, section 3.1).
    """
    terms = np.abs(x)
    for W, b in zip(network.weights, network.biases, strict=True):
        terms = terms @ np.abs(W).T + np.abs(b)
    roundings = sum(size + 1 for size in network.sizes[:-1])
    return roundings * EPSILON * float(terms.max())


def _straightness(network: Network, x: NDArray[np.float64]) -> Straightness:
    first, second = np.split(x, 2)
    middle = network.predict((first + second) / 2)
    return Straightness(
        _largest(middle - (network.predict(first) + network.predict(second)) / 2),
        _largest(middle),
    )


def _largest(values: NDArray[Any]) -> float:
    return float(np.abs(values).max())


def section(numbers: Neuron) -> Section:
    """Tell it."""
    end = number(RANGE, ".0f")
    return Section(
        6,
        "neuron",
        "The neuron",
        [
            Text(
                "Such networks are made of one part, repeated. A neuron weighs its inputs "
                f"{math('a_i')}, which in the first layer are the {math('x_i')} of the network, "
                "and adds a bias,"
            ),
            Formula(r"z = \sum_i w_i \, a_i + b", equation=6),
            Text(
                "and puts the sum through the sigmoid, which takes any number to one "
                f"in {math('(0, 1)')}:"
            ),
            Formula(r"\sigma(z) = \frac{1}{1 + e^{-z}}", equation=7),
            Text(
                f"The tanh of the networks above is the same curve, stretched: {math(TANH)}. "
                f"{_example(numbers)}"
            ),
            Text("The derivative of the sigmoid is made of the sigmoid itself:"),
            Formula(r"\sigma'(z) = \frac{e^{-z}}{(1 + e^{-z})^2} = \sigma(z) \, (1 - \sigma(z))"),
            Text(
                "It differs from the slope measured at "
                f"{number(len(numbers.curve_z))} points by at most "
                f"{scientific(numbers.derivative_error)}. It is largest in the middle, "
                f"{number(float(numbers.derivative.max()))}, and "
                f"{number(float(numbers.derivative[-1]), '.4f')} at {math('z')} = {end}: where a "
                "neuron is all but decided, a change of its weights changes hardly anything."
            ),
            Plot(
                "06-neuron",
                "The neuron of the example: inputs x, weights on the lines, b, z and a in the "
                f"unit. And what the sigmoid makes of z: it rises from {number(0)} to {number(1)}, "
                "and its derivative is a hill, flat on either side.",
                [
                    Panel(lambda figure: _draw_neuron(figure, numbers), (3.4, 2.8), "unit"),
                    Panel(lambda figure: _draw_curves(figure, numbers), (3.4, 2.8), "sigmoid"),
                ],
                figure=7,
            ),
            Text("The bend is what makes layers worth having. Without it two layers are"),
            Formula(TWO_LAYERS),
            Text(
                "which is one layer again, and so on for any number of them. The "
                f"{sizes(numbers.sizes)} network with no activation is the one "
                f"{number(numbers.matrix.shape[0])} by "
                f"{number(numbers.matrix.shape[1])} matrix that is the product of its own, and a "
                f"bias: over {number(ROWS)} random inputs the two differ by at most "
                f"{scientific(numbers.difference)}, where rounding alone may "
                f"make {scientific(numbers.bound)}."
            ),
            _table(numbers),
        ],
    )


def _example(numbers: Neuron) -> str:
    """One neuron in numbers."""
    weights = numbers.network.weights[0][0]
    terms = [
        f"{number(float(w), '.3g')} · {number(float(a), '.3g')}"
        for w, a in zip(weights, numbers.inputs, strict=True)
    ]
    terms.append(number(float(numbers.network.biases[0][0]), ".3g"))
    return (
        f"An example, of random weights and inputs: {math('z')} = {' + '.join(terms)} = "
        f"{number(numbers.z, '.3g')}, and {math(ACTIVATION)} = {number(numbers.a, '.3g')}."
    )


def _table(numbers: Neuron) -> Table:
    plain, bent = numbers.plain, numbers.bent
    rows = [
        ("none: network and one matrix", numbers.difference, numbers.epsilons),
        ("none: middle of two inputs", plain.middle, plain.epsilons),
        ("sigmoids: middle of two inputs", bent.middle, bent.epsilons),
    ]
    return Table(
        ["activation", "largest difference", "in epsilons"],
        [
            [
                name,
                scientific(difference),
                scientific(epsilons) if epsilons > 1e4 else number(epsilons, ".1f", varies=True),
            ]
            for name, difference, epsilons in rows
        ],
        "The largest differences, also in machine epsilons of the largest output, which is what "
        "rounding makes. A map of the "
        "form W x + b takes the middle of two inputs to the middle of their outputs, but for "
        "rounding; with sigmoids the same weights do not.",
    )


def _draw_neuron(figure: Figure, numbers: Neuron) -> None:
    plots.network_drawing(
        numbers.network,
        sample=(numbers.inputs, 0),
        parameters=True,
        direction="forward",
        ax=figure.add_subplot(),
    )


def _draw_curves(figure: Figure, numbers: Neuron) -> None:
    ax = figure.add_subplot()
    (curve,) = ax.plot(numbers.curve_z, numbers.sigmoid)
    (slope,) = ax.plot(numbers.curve_z, numbers.derivative)
    # Beside the lines, not in a legend: there is room.
    ax.text(1.6, 0.72, "σ(z)", color=curve.get_color(), va="top")
    ax.text(1.6, 0.2, "σ′(z)", color=slope.get_color())
    ax.set(xlabel="z", xlim=(-RANGE, RANGE), ylim=(0, 1.03))
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
    ax.grid(axis="y")
