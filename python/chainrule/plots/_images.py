"""Pictures side by side: digits, and weights seen as pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import _arrays, _validate
from chainrule.plots._mosaic import Mosaic
from chainrule.plots._style import BLUE, GREY, INK, VERMILION, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from numpy.typing import ArrayLike, NDArray


def weights_as_images(
    weights: ArrayLike,
    shape: tuple[int, int] = (28, 28),
    *,
    columns: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what each unit of a first layer looks for: its weights in the places of the pixels.

    One scale for all units, the same to either side: blue where ink speaks for the unit, vermilion
    where it speaks against it, white at 0.

    Parameters
    ----------
    weights : (n_out, n_in) array
        Such as ``network.weights[0]``.
    shape : (int, int)
        Height and width of a picture, of product n_in.
    columns : int, optional
        Pictures in a row. None: as many as make a square, four at least.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        Where weights or shape are no such arrays.
    ModuleNotFoundError
        Where matplotlib is not installed.

    Examples
    --------
    >>> import chainrule
    >>> network = chainrule.Network([784, 16, 10])
    >>> ax = chainrule.plots.weights_as_images(network.weights[0])
    >>> [text.get_text() for text in ax.texts][:3]
    ['0', '1', '2']
    """
    array = _finite("weights", weights)
    height, width = (_validate.integer("shape", size, at_least=1) for size in _pair(shape))
    if array.ndim != 2 or not len(array) or array.shape[1] != height * width:
        raise ValueError(
            f"weights must have shape (n, {height * width}), a row for each unit, for pictures of "
            f"shape ({height}, {width}); got {array.shape}"
        )
    n = len(array)
    columns = _columns(columns, min(n, max(4, math.isqrt(n - 1) + 1)))
    mosaic = Mosaic(array.reshape(n, height, width), columns, strip=0.25)
    most = float(np.abs(array).max()) or 1.0
    with canvas(ax, height=mosaic.inches + 0.5) as drawn:
        image = mosaic.draw(drawn, (VERMILION, "white", BLUE), -most, most)
        for i in range(n):
            mosaic.write(drawn, i, str(i), GREY)
        _scale(drawn, image, most)
    return drawn


def _scale(ax: Axes, image: AxesImage, most: float) -> None:
    """A bar of the colours below the pictures, within the same axes."""
    rows, columns = image.get_array().shape  # type: ignore[union-attr]
    unit = columns / rows  # as much of the height as 1 is of the width
    place = ax.inset_axes((0.25, -0.07 * unit, 0.5, 0.025 * unit))
    bar = ax.figure.colorbar(image, cax=place, orientation="horizontal")
    bar.set_ticks([-most, 0.0, most], labels=[f"−{most:.2g}", "0", f"{most:.2g}"])
    bar.outline.set_visible(False)
    place.tick_params(length=0)


def digits(
    images: ArrayLike,
    labels: ArrayLike | None = None,
    predictions: ArrayLike | None = None,
    confidence: ArrayLike | None = None,
    *,
    columns: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw images as ink on paper, and above each what it is and what it is taken for.

    Parameters
    ----------
    images : (n, height, width) array
        uint8 from 0, paper, to 255, ink; or floats from 0 to 1.
    labels : (n,) array, optional
        What each is: "4".
    predictions : (n,) array, optional
        What each is taken for. Where that is another than its label: "4 as 9", in vermilion.
    confidence : (n,) array, optional
        A number from 0 to 1, written below.
    columns : int, optional
        Images in a row. None: at most ten; five where there are predictions or confidence.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        Where the arrays are of another kind, or differ in length.
    ModuleNotFoundError
        Where matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np, chainrule
    >>> images = np.zeros((3, 28, 28), np.uint8)
    >>> ax = chainrule.plots.digits(images, [4, 7, 1], [9, 7, 1])
    >>> [text.get_text() for text in ax.texts]
    ['4 as 9', '7', '1']
    """
    array = _arrays.as_array("images", images)
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"images must have shape (n, height, width), none 0; got {array.shape}")
    pictures = array / 255 if array.dtype == np.uint8 else _finite("images", array)
    n = len(array)
    captions = _captions(
        n,
        _per_image("labels", labels, n),
        _per_image("predictions", predictions, n),
        _per_image("confidence", confidence, n),
    )
    long = predictions is not None or confidence is not None
    lines = 1 + max((text.count("\n") for text, _ in captions), default=-1)
    mosaic = Mosaic(
        pictures,
        _columns(columns, min(n, 5 if long else 10)),
        strip=0.0 if not lines else (0.22 if long else 0.45) * lines,
    )
    with canvas(ax, height=mosaic.inches) as drawn:
        mosaic.draw(drawn, ("white", "black"), 0.0, 1.0)
        for i, (text, colour) in enumerate(captions):
            mosaic.write(drawn, i, text, colour)
    return drawn


def misclassified(
    images: ArrayLike,
    labels: ArrayLike,
    outputs: ArrayLike,
    *,
    count: int = 20,
    columns: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw the images that a network is wrong about, those first of which it is surest.

    Parameters
    ----------
    images : (n, height, width) array
        As for `digits`.
    labels : (n,) array
        What each is.
    outputs : (n, n_out) array
        What `Network.predict` gives for them. The largest output is the class that an image is
        taken for and, written below, how sure the network is.
    count : int
        How many to show at most. Where none is wrong, a line says so.
    columns : int, optional
        Images in a row; None: at most five.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        Where the arrays are of another kind, or differ in length.
    ModuleNotFoundError
        Where matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np, chainrule
    >>> images, outputs = np.zeros((3, 28, 28)), [[0.9, 0.2], [0.3, 0.6], [0.1, 0.95]]
    >>> ax = chainrule.plots.misclassified(images, [1, 1, 0], outputs)
    >>> [text.get_text() for text in ax.texts]
    ['0 as 1\n0.95', '1 as 0\n0.90']
    """
    array = _arrays.as_array("images", images)
    scores = _finite("outputs", outputs)
    if scores.ndim != 2 or scores.shape[1] < 2 or len(scores) != len(array):
        raise ValueError(
            f"outputs must have shape ({len(array)}, n_out), a row for each image, n_out of at "
            f"least 2; got {scores.shape}"
        )
    truth = _per_image("labels", labels, len(array))
    assert truth is not None
    count = _validate.integer("count", count, at_least=1)
    classes, sureness = scores.argmax(axis=1), scores.max(axis=1)
    wrong = np.flatnonzero(classes != truth)
    chosen = wrong[np.argsort(-sureness[wrong], kind="stable")][:count]
    if len(chosen):
        return digits(
            array[chosen], truth[chosen], classes[chosen], sureness[chosen], columns=columns, ax=ax
        )
    with canvas(ax, height=0.6) as drawn:
        drawn.set_axis_off()
        drawn.text(0.5, 0.5, "none is taken for another", ha="center", va="center", color=INK)
    return drawn


def _captions(
    n: int,
    labels: NDArray[Any] | None,
    predictions: NDArray[Any] | None,
    confidence: NDArray[Any] | None,
) -> list[tuple[str, str]]:
    """Text and colour for each image; no captions at all where nothing is known."""
    if labels is None and predictions is None and confidence is None:
        return []
    captions = []
    for i in range(n):
        known = [str(column[i]) for column in (labels, predictions) if column is not None]
        right = len(set(known)) < 2
        lines = [" as ".join(known[:1] if right else known)]
        if confidence is not None:
            lines.append(f"{confidence[i]:.2f}")
        captions.append(("\n".join(filter(None, lines)), INK if right else VERMILION))
    return captions


def _per_image(name: str, value: ArrayLike | None, n: int) -> NDArray[Any] | None:
    if value is None:
        return None
    array = _arrays.as_array(name, value)
    if array.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one for each image; got {array.shape}")
    return array


def _finite(name: str, value: ArrayLike) -> NDArray[np.float64]:
    array = _arrays.as_array(name, value)
    return _arrays.parameter_array(name, array, array.shape, np.float64)


def _pair(shape: Sequence[int]) -> tuple[int, int]:
    height, width = _validate.pair("shape", shape)
    return height, width


def _columns(columns: int | None, default: int) -> int:
    return default if columns is None else _validate.integer("columns", columns, at_least=1)
