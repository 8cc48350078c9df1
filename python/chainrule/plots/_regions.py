"""What is taken for what: the confusion matrix, and the plane cut into classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import _arrays, _validate
from chainrule.plots._style import (
    BLUE,
    INK,
    MARKERS,
    PALETTE,
    SMALL,
    VERMILION,
    WIDTH,
    bare,
    canvas,
    points_wide,
    shades,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from numpy.typing import ArrayLike, NDArray

    from chainrule.network import Network

_NUMBERED = 20  # the most classes whose counts are written out


def confusion_matrix(
    matrix: ArrayLike | None = None,
    *,
    labels: ArrayLike | None = None,
    predictions: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often each class was taken for each: a row a true class, a column a predicted one.

    The diagonal, what is right, is blue; all else vermilion, on a scale of its own, since there is
    much less of it. Counts of 0 are left blank, and of more than 20 classes no count is written.

    Parameters
    ----------
    matrix : (n, n) array of int, optional
        The counts.
    labels, predictions : (m,) arrays of int, optional
        Instead of the matrix: the true and the predicted class of each row.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        Where neither or both are given, or they are no counts or classes.
    ModuleNotFoundError
        Where matplotlib is not installed.

    Examples
    --------
    >>> import chainrule
    >>> ax = chainrule.plots.confusion_matrix(labels=[0, 0, 1, 2], predictions=[0, 1, 1, 2])
    >>> [text.get_text() for text in ax.texts]
    ['1', '1', '1', '1']
    """
    counts = _counts(matrix, labels, predictions)
    n = len(counts)
    diagonal = np.eye(n, dtype=np.bool_)
    with canvas(ax, height=WIDTH) as drawn:
        for colour, hidden in ((BLUE, ~diagonal), (VERMILION, diagonal)):
            shown = np.ma.masked_array(counts, hidden | (counts == 0))
            most = int(np.where(hidden, 0, counts).max())
            scale = shades("white", colour)
            image = drawn.imshow(
                shown, cmap=scale, vmin=0, vmax=max(1, most), interpolation="nearest"
            )
            if n <= _NUMBERED:
                _write_counts(drawn, counts, image)
        bare(drawn)
        if n <= _NUMBERED:
            drawn.set_xticks(range(n))
            drawn.set_yticks(range(n))
            drawn.tick_params(length=0)
        drawn.set_xlabel("predicted")
        drawn.set_ylabel("true")
    return drawn


def _write_counts(ax: Axes, counts: NDArray[Any], image: AxesImage) -> None:
    """Each count that the image shows, in white where its cell is dark."""
    # A digit is 0.64 of the size of its letters wide.
    size = min(SMALL, points_wide(ax) / len(counts) / (0.64 * len(str(counts.max())) + 0.2))
    shown = ~np.ma.getmaskarray(np.ma.asarray(image.get_array()))
    dark = _is_dark(image.to_rgba(counts))
    for row, column in np.argwhere(shown):
        ax.text(
            column, row, str(counts[row, column]), ha="center", va="center",
            color="white" if dark[row, column] else INK, fontsize=size,
        )  # fmt: skip


def _is_dark(colours: NDArray[Any]) -> NDArray[np.bool_]:
    """(..., 4) -> (...): whether white stands out more than ink does, by WCAG's contrast ratio."""
    luminance: NDArray[Any] = colours[..., :3] ** 2.2 @ [0.2126, 0.7152, 0.0722]
    return luminance < 0.21


def _counts(
    matrix: ArrayLike | None, labels: ArrayLike | None, predictions: ArrayLike | None
) -> NDArray[np.int64]:
    pair = [each for each in (labels, predictions) if each is not None]
    if len(pair) != (2 if matrix is None else 0):
        raise ValueError("confusion_matrix takes a matrix, or both labels and predictions")
    if matrix is None:
        true, predicted = _classes("labels", labels), _classes("predictions", predictions)
        if true.shape != predicted.shape or not len(true):
            raise ValueError(
                "labels and predictions must have one length of at least 1; got "
                f"{len(true)} and {len(predicted)}"
            )
        n = int(max(true.max(), predicted.max())) + 1
        counts = np.zeros((n, n), np.int64)
        np.add.at(counts, (true, predicted), 1)
        return counts
    array = _arrays.as_array("matrix", matrix)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not len(array):
        raise ValueError(f"matrix must have shape (n, n); got {array.shape}")
    return _whole("matrix", array)


def decision_regions(
    network: Network,
    x: ArrayLike,
    y: ArrayLike,
    *,
    resolution: int = 200,
    ax: Axes | None = None,
) -> Axes:
    """Draw the plane in the colours of the classes that a network of two inputs puts it in.

    The rows of x lie upon it as points, whose shape and colour tell their true class; a line runs
    where two classes meet.

    Parameters
    ----------
    network : Network
        With two inputs, and two outputs or more or one sigmoid output.
    x : (n, 2) array
    y : (n,) or (n, 1) array
        Labels, at most seven of them.
    resolution : int
        Points to either side at which the network is asked, at least 2.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        Where the network has other inputs or outputs, or x or y another shape.
    ModuleNotFoundError
        Where matplotlib is not installed.

    Examples
    --------
    >>> import chainrule
    >>> network = chainrule.Network([2, 4, 1], activation="tanh", seed=1)
    >>> ax = chainrule.plots.decision_regions(network, [[0.0, 1.0], [1.0, 0.0]], [0, 1])
    >>> ax.images[0].get_array().shape
    (200, 200)
    """
    if network.sizes[0] != 2:
        raise ValueError(f"network must have 2 inputs, for the plane; got {network.sizes[0]}")
    points = _arrays.inputs(x, 2, np.float64)
    if points.dtype == np.uint8:
        points = points / 255
    n_classes = max(network.sizes[-1], 2)
    labels = _labels(y, len(points), n_classes)
    side = _validate.integer("resolution", resolution, at_least=2)
    (left, right), (low, high) = _bounds(points[:, 0]), _bounds(points[:, 1])
    across, up = np.linspace(left, right, side), np.linspace(low, high, side)
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    classes = network.classify(grid).reshape(side, side)
    margins = _margins(network.predict(grid)).reshape(side, side, -1)
    height = 0.5 + (WIDTH - 0.6) * float(np.clip((high - low) / (right - left), 0.4, 1.5))
    with canvas(ax, height=height) as drawn:
        from matplotlib.colors import ListedColormap, to_rgb

        tints = ListedColormap(
            [tuple(1 - 0.25 * (1 - np.array(to_rgb(colour)))) for colour in PALETTE[:n_classes]]
        )
        drawn.imshow(
            classes, cmap=tints, vmin=0, vmax=n_classes - 1, origin="lower", aspect="equal",
            extent=(left, right, low, high), interpolation="nearest",
        )  # fmt: skip
        for margin in np.moveaxis(margins, -1, 0):
            if margin.min() < 0 < margin.max():
                drawn.contour(across, up, margin, levels=[0], colors=INK, linewidths=0.8)
        for label in np.unique(labels):
            drawn.plot(
                *points[labels == label].T, linestyle="none", marker=MARKERS[label],
                color=PALETTE[label], markeredgecolor="white", markeredgewidth=0.5, markersize=5,
                label=str(label),
            )  # fmt: skip
        drawn.set_xlabel("x₁")
        drawn.set_ylabel("x₂")
        drawn.grid(visible=False)
    return drawn


def _margins(outputs: NDArray[Any]) -> NDArray[Any]:
    """(n, n_out) -> (n, k): by how much each class leads; it is 0 on its border.

    Of two classes one margin says all, of one sigmoid output what it is above one half.
    """
    if outputs.shape[1] == 1:
        return outputs - 0.5
    ordered = np.sort(outputs, axis=1)
    best_other = np.where(outputs == ordered[:, -1:], ordered[:, -2:-1], ordered[:, -1:])
    margins = outputs - best_other
    return margins[:, :1] if outputs.shape[1] == 2 else margins


def _bounds(values: NDArray[Any]) -> tuple[float, float]:
    """A little more than the points need."""
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    room = 0.08 * (high - low) or 1.0
    return low - room, high + room


def _labels(y: ArrayLike, n: int, n_classes: int) -> NDArray[np.int64]:
    array = _arrays.as_array("y", y)
    if array.shape not in {(n,), (n, 1)}:
        raise ValueError(f"y must have shape ({n},), a label for each row of x; got {array.shape}")
    if n_classes > len(PALETTE):
        raise ValueError(f"network must have at most {len(PALETTE)} outputs; got {n_classes}")
    labels = _classes("y", array.ravel())
    if n and labels.max() >= n_classes:
        raise ValueError(f"y must hold labels in 0 .. {n_classes - 1}; got {labels.max()}")
    return labels


def _classes(name: str, value: Any) -> NDArray[np.int64]:
    array = _arrays.as_array(name, value)
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (n,); got {array.shape}")
    return _whole(name, array)


def _whole(name: str, array: NDArray[Any]) -> NDArray[np.int64]:
    """Whole numbers of at least 0."""
    if not ((array >= 0) & (array < 2**53) & (array == np.floor(array))).all():
        raise ValueError(f"{name} must hold whole numbers of at least 0")
    return array.astype(np.int64)
