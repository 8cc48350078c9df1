"""Section 1: the data, and what a classifier is to do with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chainrule import plots
from chainrule.report._section import Panel, Plot, Section, Table, Text, math, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from chainrule.mnist import Mnist

EACH = 4  # pictures of each digit
TWO_STEPS = r"\mathbb{R}^{28 \times 28} \to \mathbb{R}^{10} \to \mathbb{Z}"


@dataclass(frozen=True, eq=False)
class Digits:
    """A few pictures of each digit, and how many there are."""

    images: NDArray[np.uint8]
    """(10 * EACH, 28, 28): a column of the grid a digit, its rows one after the other."""
    labels: NDArray[np.uint8]
    """(10 * EACH,)."""
    n_train: int
    n_test: int
    train_counts: NDArray[np.int64]
    """(10,): training images of each digit."""
    test_counts: NDArray[np.int64]
    """(10,)."""
    ink: float
    """The share of pixels of the training images that are not 0."""
    pixel_mean: float
    """The mean of a pixel of the training images as the network sees it, in [0, 1]."""


def digits(data: Mnist, *, seed: int = 0) -> Digits:
    """Choose a few pictures of each digit and count all (Fig. 1 of the report).

    Parameters
    ----------
    data : Mnist
        What `mnist.load` returns.
    seed : int
        Decides which pictures of the training images are shown.

    Returns
    -------
    Digits
    """
    train, test = data
    rng = np.random.default_rng(seed)
    chosen = np.array(
        [rng.choice(np.flatnonzero(train.labels == digit), EACH) for digit in range(10)]
    )
    rows = chosen.T.ravel()  # row by row of the grid
    return Digits(
        images=train.images[rows],
        labels=train.labels[rows],
        n_train=len(train.images),
        n_test=len(test.images),
        train_counts=np.bincount(train.labels, minlength=10),
        test_counts=np.bincount(test.labels, minlength=10),
        ink=np.count_nonzero(train.images) / train.images.size,
        pixel_mean=float(train.images.mean() / 255),
    )


def section(numbers: Digits) -> Section:
    """Tell it."""

    def draw(figure: Figure) -> None:
        plots.digits(numbers.images, numbers.labels, columns=10, ax=figure.add_subplot())

    return Section(
        1,
        "data",
        "The data",
        [
            Text(
                f"A picture of a digit is {number(numbers.images.shape[1])} by "
                f"{number(numbers.images.shape[2])} pixels of grey, and what is wanted is a number "
                f"from {number(0)} to {number(9)}. A network gives that in two steps, "
                f"{math(TWO_STEPS)}: from the pixels one output for each digit, and from "
                "those the digit whose output is the "
                f"largest. The MNIST database has {number(numbers.n_train, ',d')} pictures to "
                f"train on and {number(numbers.n_test, ',d')} by other writers to test with. "
                f"A pixel is {number(0)} for paper and {number(255)} for ink, which the network "
                f"sees as {number(0)} to {number(1)}; {number(100 * numbers.ink, '.1f')} % of the "
                "training pixels have some ink, and the mean of all is "
                f"{number(numbers.pixel_mean, '.3f')}."
            ),
            Plot(
                "01-digits",
                "Four training pictures of each digit, chosen by the seed; the label stands above "
                "each. The same digit is written in very different ways.",
                [Panel(draw, (4.2, 2.1))],
                figure=1,
            ),
            Table(
                ["digit", "training", "test"],
                [
                    [number(digit), number(int(training), ",d"), number(int(test), ",d")]
                    for digit, (training, test) in enumerate(
                        zip(numbers.train_counts, numbers.test_counts, strict=True)
                    )
                ],
                "How many pictures there are of each digit.",
            ),
        ],
    )
