"""The graph of a network: its units, and its weights as lines between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from chainrule import _arrays, _validate
from chainrule.network import Network
from chainrule.plots._style import BLUE, GREY, INK, SMALL, VERMILION, WIDTH, canvas, points_wide

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path
    from numpy.typing import NDArray

DIRECTIONS = ("both", "forward", "backward")
_LABELLED = 6  # the most units in a layer that numbers can be written to
_CROSSING = 3  # the same for weights: of one of the two layers
_RADIUS = 0.32  # of a unit, where 1 lies between two
_WIDEST = 2.2  # points: the line of a layer's largest weight
_LETTER = 0.07  # inches: the width of one, on average, of `SMALL` points
_LAID_OUT = 1.25  # how much wider the layout makes axes that have nothing at their sides
_THINNEST = 0.5  # points: the least of a line with a number on it
_PAD = 0.2  # of a box, in letters' heights


class _Layer:
    """Where the units of one layer stand: centred about 0, from top to bottom, 1 apart.

    Attributes
    ----------
    units : (k,) int
        Those that are drawn.
    heights : (k,) float
        Where.
    dots : float or None
        Where dots stand for all the others.
    """

    def __init__(self, size: int, most: int) -> None:
        side = (most - 1) // 2
        if size <= most:
            self.units = np.arange(size)
            places, self.slots = self.units, size
        else:
            self.units = np.r_[:side, size - side : size]
            places, self.slots = np.r_[:side, side + 1 : 2 * side + 1], 2 * side + 1
        self.heights = (self.slots - 1) / 2 - places
        self.dots = 0.0 if size > most else None


def network_drawing(
    network: Network | Iterable[int],
    *,
    sample: tuple[Any, Any] | None = None,
    parameters: bool = False,
    direction: Literal["both", "forward", "backward"] = "both",
    digits: int = 3,
    most: int = 12,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw a network as a graph: its units, and a line for each weight between two of them.

    A line is the wider the larger its weight is beside the largest of its layer; blue where it is
    positive, vermilion where it is negative, and then dashed too, unless its number is on it. Of a
    layer of many units the first and the last are drawn, with dots between them.

    Parameters
    ----------
    network : Network or iterable of int
        A network, or the sizes of one, whose lines then are all the same.
    sample : (x, y), optional
        A row (n_in,) and its label or targets. Each unit shows its z, a and r = dE/dz for them,
        as `Network.trace` gives them.
    parameters : bool
        Write each weight to its line, and each bias into its unit.
    direction : {"both", "forward", "backward"}
        Of the sample's numbers show only those that the one pass computes: "forward" z and a,
        "backward" r. Lines are weights, but backward they are dE/dW, and `parameters` writes
        those; a bias has no number then, for its dE/db is r.
    digits : int
        How many of each number, at least 1.
    most : int
        How many units a layer may have, 3 at least, before some are left out.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        Where an argument is of the wrong kind or value; where numbers are to be written but a
        layer has more than six units, or only sizes are given; where backward has no sample.
    ModuleNotFoundError
        Where matplotlib is not installed.

    Examples
    --------
    >>> import chainrule
    >>> ax = chainrule.plots.network_drawing(chainrule.Network([784, 16, 16, 10]))
    >>> [text.get_text() for text in ax.get_xticklabels()]
    ['784\ninputs', '16\nsigmoid', '16\nsigmoid', '10\nsigmoid']
    >>> network = chainrule.Network([2, 3, 1])
    >>> ax = chainrule.plots.network_drawing(network, sample=([0.0, 1.0], 1.0), parameters=True)
    """
    sizes = network.sizes if isinstance(network, Network) else _validate.sizes(network)
    layers = [_Layer(size, _validate.integer("most", most, at_least=3)) for size in sizes]
    direction = _validate.choice("direction", direction, DIRECTIONS)  # type: ignore[assignment]
    digits = _validate.integer("digits", digits, at_least=1)
    numbered = _validate.flag("parameters", parameters) or sample is not None
    if direction == "backward" and sample is None:
        raise ValueError("direction='backward' needs a sample: r and dE/dW are of one row")
    edges = network.weights if isinstance(network, Network) else None
    texts: list[list[str]] = []
    if numbered:
        if not isinstance(network, Network):
            raise TypeError("sample and parameters need a network; got only sizes")
        _check_room(sizes, parameters=parameters)
        symbols, gradients = _symbols(network, sample, direction, parameters=parameters)
        texts = _unit_texts(symbols, sizes, digits, narrow=direction == "backward")
        if direction == "backward":
            edges = gradients
    narrow = direction == "backward"
    width, height = _size(layers, texts, parameters=parameters)
    with canvas(ax, height=height, width=width) as drawn:
        boxes = [_box(lines) for lines in texts]
        widths = _number_widths(edges if parameters else None, boxes, digits)
        places = _set_up(drawn, layers, _captions(network, sizes), boxes, widths)
        _draw_edges(drawn, edges, layers, _between(places, boxes), numbered=parameters)
        if edges is not None and not parameters:
            _tell_signs(drawn, "dE/dW" if narrow else "weight")
        if numbered:
            _draw_texts(drawn, layers, places, texts)
        else:
            _draw_units(drawn, layers, places)
        if parameters:
            assert edges is not None
            _write_weights(drawn, edges, layers, _between(places, boxes), digits)
    return drawn


def _size(
    layers: Sequence[_Layer], texts: Sequence[Sequence[str]], *, parameters: bool
) -> tuple[float, float]:
    """Width and height in inches: of units with numbers each has the room of its lines."""
    slots = max(layer.slots for layer in layers)
    if not texts:
        return WIDTH, 0.9 + slots * min(0.28, 2.5 / slots)
    unit = 0.3 + 0.16 * max(text.count("\n") + 1 for layer in texts for text in layer)
    apart = 1.4
    if parameters:
        fewer = max(min(len(a.units), len(b.units)) for a, b in pairwise(layers))
        unit, apart = max(unit, 0.18 * (1 + fewer)), max(apart, 0.85 * (1 + fewer))
    return max(WIDTH, apart * (len(layers) - 1) + 1.0), 0.8 + slots * unit


def _captions(network: Network | Iterable[int], sizes: Sequence[int]) -> list[str]:
    """Below each layer: its size, and its activation where that is known."""
    if not isinstance(network, Network):
        return [str(size) for size in sizes]
    inputs = "input" if network.sizes[0] == 1 else "inputs"
    names = (inputs, *network.activation, network.output_activation)
    return [f"{size}\n{name}" for size, name in zip(sizes, names, strict=True)]


def _box(texts: Sequence[str]) -> float:
    """Width in inches, about, of a layer's widest box with numbers in it."""
    letters = max(len(line) for text in texts for line in text.split("\n"))
    return _LETTER * letters + 2 * _PAD * SMALL / 72


def _number_widths(
    weights: Sequence[NDArray[Any]] | None, boxes: Sequence[float], digits: int
) -> list[float]:
    """Width in inches, about, of the widest number on the lines of each layer, where there are."""
    if weights is None:
        return [0.0] * (len(boxes) - 1)
    return [_LETTER * max(len(_number(w, digits)) for w in W.ravel()) for W in weights]


def _set_up(
    ax: Axes,
    layers: Sequence[_Layer],
    captions: Sequence[str],
    boxes: Sequence[float],
    numbers: Sequence[float],
) -> list[float]:
    """Make the room, for round units or for boxes; return where the layers stand."""
    slots = max(layer.slots for layer in layers)
    if boxes:  # in inches; of each line as much is seen beside its number
        taken = sum(boxes) + sum(numbers)
        wide = max(_LAID_OUT * points_wide(ax) / 72, 1.2 * taken)
        gap = (wide - taken) / len(numbers)
        places = [
            sum(boxes[:i]) + sum(numbers[:i]) + i * gap + box / 2 for i, box in enumerate(boxes)
        ]
        ax.set_xlim(0, wide)
    else:
        ratio = ax.bbox.width / ax.bbox.height
        # Captions and the legend leave a drawing wider than the axes are before their layout.
        apart = float(np.clip(1.4 * ratio * slots / len(layers), 1.5, max(3.0, 0.9 * slots)))
        places = [i * apart for i in range(len(layers))]
        ax.set_xlim(-_RADIUS - 0.1, places[-1] + _RADIUS + 0.1)
        ax.set_aspect("equal")
    ax.set_ylim(-slots / 2, slots / 2)
    ax.set_xticks(places, captions)
    ax.set_yticks([])
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return places


def _between(places: Sequence[float], boxes: Sequence[float]) -> list[list[float]]:
    """For each pair of layers: where their lines start, leave a box, reach the next, and end.

    Without boxes the lines go straight from centre to centre.
    """
    if not boxes:
        return [list(pair) for pair in pairwise(places)]
    return [
        [start, start + box / 2, end - following / 2, end]
        for (start, end), (box, following) in zip(pairwise(places), pairwise(boxes), strict=True)
    ]


def _draw_edges(
    ax: Axes,
    weights: Sequence[NDArray[Any]] | None,
    layers: Sequence[_Layer],
    between: Sequence[Sequence[float]],
    *,
    numbered: bool,
) -> None:
    """A `LineCollection` for each layer of weights: its lines by target, then source.

    With a number on it a line is not dashed: what a box leaves of a dash looks like a point.
    """
    from matplotlib.collections import LineCollection

    for i, (source, target) in enumerate(pairwise(layers)):
        half = len(between[i]) // 2
        ends = [
            list(zip(between[i], [before] * half + [after] * half, strict=True))
            for after in target.heights
            for before in source.heights
        ]
        if weights is None:
            ax.add_collection(LineCollection(ends, colors=GREY, linewidths=0.5, zorder=1))
            continue
        largest = float(np.abs(weights[i]).max()) or 1.0
        shown = weights[i][np.ix_(target.units, source.units)].ravel()
        ax.add_collection(
            LineCollection(
                ends,
                colors=[BLUE if weight >= 0 else VERMILION for weight in shown],
                linestyles=["-" if weight >= 0 or numbered else "--" for weight in shown],
                linewidths=np.maximum(
                    _WIDEST * np.abs(shown) / largest, _THINNEST if numbered else 0.0
                ),
                zorder=1,
            )
        )


def _tell_signs(ax: Axes, name: str) -> None:
    """A legend above the drawing."""
    from matplotlib.lines import Line2D

    ax.legend(
        handles=[
            Line2D([], [], color=BLUE, linestyle="-", label=f"positive {name}"),
            Line2D([], [], color=VERMILION, linestyle="--", label=f"negative {name}"),
        ],
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=2,
    )


def _draw_units(ax: Axes, layers: Sequence[_Layer], places: Sequence[float]) -> None:
    """A circle for each unit, and three dots for those that are left out."""
    from matplotlib.patches import Circle

    for layer, x in zip(layers, places, strict=True):
        for height in layer.heights:
            unit = Circle((x, height), _RADIUS, facecolor="white", edgecolor=INK)
            ax.add_patch(unit)
        if layer.dots is not None:
            heights = layer.dots + np.array([0.28, 0.0, -0.28])
            ax.scatter([x] * 3, heights, s=4, color=INK, linewidths=0)


def _draw_texts(
    ax: Axes,
    layers: Sequence[_Layer],
    places: Sequence[float],
    texts: Sequence[Sequence[str]],
) -> None:
    """A box for each unit with its numbers in it."""
    for layer, x, lines in zip(layers, places, texts, strict=True):
        for height, text in zip(layer.heights, lines, strict=True):
            ax.text(
                x, height, text, ha="center", va="center", fontsize=SMALL, color=INK,
                bbox={"boxstyle": f"round,pad={_PAD}", "facecolor": "white", "edgecolor": INK},
                zorder=3,
            )  # fmt: skip


def _write_weights(
    ax: Axes,
    weights: Sequence[NDArray[Any]],
    layers: Sequence[_Layer],
    between: Sequence[Sequence[float]],
    digits: int,
) -> None:
    """Each weight on its line, where the numbers of a layer stand the same way apart."""
    for i, (matrix, source, target) in enumerate(
        zip(weights, layers[:-1], layers[1:], strict=True)
    ):
        # Here the lines of one unit of the larger layer end just where those of the next begin,
        # so that all numbers stand equally far apart.
        n_in, n_out = len(source.units), len(target.units)
        part = 1 / (1 + n_out) if n_out <= n_in else n_in / (1 + n_in)
        _, left, right, _ = between[i]
        for j, after in enumerate(target.heights):
            for k, before in enumerate(source.heights):
                ax.text(
                    (1 - part) * left + part * right, (1 - part) * before + part * after,
                    _number(matrix[j, k], digits),
                    ha="center", va="center", fontsize=SMALL,
                    color=BLUE if matrix[j, k] >= 0 else VERMILION,
                    bbox={"boxstyle": _clearance, "facecolor": "white", "edgecolor": "none"},
                    zorder=2,
                )  # fmt: skip


def _clearance(x0: float, y0: float, width: float, height: float, size: float) -> Path:
    """The white about a number on a line: wide enough to tell a minus from the line."""
    from matplotlib.path import Path

    x, y = 0.35 * size, 0.1 * size
    left, right, bottom, top = x0 - x, x0 + width + x, y0 - y, y0 + height + y
    corners = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
    return Path(corners, closed=True)


def _check_room(sizes: Sequence[int], *, parameters: bool) -> None:
    if parameters and max(map(min, pairwise(sizes))) > _CROSSING:
        raise ValueError(
            f"weights can be written where one of two layers has at most {_CROSSING} units; got "
            f"{list(sizes)}: leave parameters out"
        )
    if max(sizes) > _LABELLED:
        raise ValueError(
            f"numbers can be written to layers of at most {_LABELLED} units; got {max(sizes)}: "
            "leave sample and parameters out"
        )


_Symbols = list[tuple[str, Any]]  # of a layer: names and values (units,)


def _symbols(
    network: Network, sample: tuple[Any, Any] | None, direction: str, *, parameters: bool
) -> tuple[list[_Symbols], list[NDArray[Any]]]:
    """What the units of each layer show; and dE/dW of each, where there is a sample."""
    symbols: list[_Symbols] = [[] for _ in network.sizes]
    if parameters and direction != "backward":
        for layer, biases in zip(symbols[1:], network.biases, strict=True):
            layer.append(("b", biases))
    if sample is None:
        return symbols, []
    x, y = _validate.pair("sample", sample)
    row = np.asarray(x)[None]
    inputs = _arrays.inputs(row, network.sizes[0], network.dtype, "sample[0]")[0]
    symbols[0].append(("x", inputs / 255 if inputs.dtype == np.uint8 else inputs))
    trace = network.trace(row, np.asarray(y)[None])
    for layer, found in zip(symbols[1:], trace, strict=True):
        if direction != "backward":
            layer += [("z", found.z[0]), ("a", found.a[0])]
        if direction != "forward":
            layer.append(("r", found.r[0]))
    return symbols, [found.dE_dW[0] for found in trace]


def _unit_texts(
    symbols: Sequence[_Symbols], sizes: Sequence[int], digits: int, *, narrow: bool
) -> list[list[str]]:
    """What stands in each unit of each layer; narrow: a number stands below its symbol."""
    equals = " =\n" if narrow else " = "
    return [
        [
            "\n".join(f"{name}{equals}{_number(values[unit], digits)}" for name, values in layer)
            or f"x{unit}"
            for unit in range(size)
        ]
        for size, layer in zip(sizes, symbols, strict=True)
    ]


def _number(value: float, digits: int) -> str:
    """So many digits, and a minus as wide as a plus."""
    return f"{value:.{digits}g}".replace("-", "−")
