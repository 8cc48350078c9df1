"""Section 10: the report's network, trained on MNIST as the report did."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chainrule import _report_run, plots
from chainrule.network import Network
from chainrule.report._section import Panel, Plot, Section, Table, Text, number, reported, sizes
from chainrule.schedules import Linear

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from chainrule.history import History
    from chainrule.mnist import Mnist

RECORDS = 60  # points of the training curve
WRONG = 12  # pictures shown


@dataclass(frozen=True, eq=False)
class Result:
    """The trained network, and how it does on the test images."""

    network: Network
    history: History
    seconds: float
    """Of training."""
    accuracy: float
    """On the test images."""
    loss: float
    confusion: NDArray[np.int64]
    """(10, 10): a row a true digit, a column a predicted one."""
    wrong_images: NDArray[np.uint8]
    """(WRONG, 28, 28): the test images that the network is most sure of and gets wrong."""
    wrong_labels: NDArray[np.int64]
    wrong_predictions: NDArray[np.int64]
    wrong_outputs: NDArray[np.float32]
    """(WRONG,): the largest output of each."""
    blank: NDArray[np.bool_]
    """(784,): the pixels that have no ink in any training image."""

    @property
    def after_a_tenth(self) -> float:
        """The accuracy of the training curve's point at a tenth of the steps."""
        steps = np.array(self.history.steps)
        return self._curve[int(np.argmax(steps >= steps[-1] / 10))]

    @property
    def chance(self) -> float:
        """The standard deviation of the last points' accuracy if each were a mere sample."""
        p = float(np.mean(self._second_half))
        return float(np.sqrt(p * (1 - p) / self.history.steps[0]))

    @property
    def scatter(self) -> float:
        """What it is, about a straight line through the second half of the curve."""
        half = self._second_half
        at = np.arange(len(half))
        rest = half - np.polyval(np.polyfit(at, half, 1), at)
        return float(np.sqrt((rest**2).sum() / max(1, len(half) - 2)))

    @property
    def blank_weight(self) -> float:
        """The largest weight of a pixel without ink, without its sign."""
        return float(np.abs(self.network.weights[0][:, self.blank]).max())

    @property
    def _curve(self) -> list[float]:
        return [float(value or 0.0) for value in self.history.accuracy]

    @property
    def _second_half(self) -> NDArray[np.float64]:
        return np.array(self._curve[len(self._curve) // 2 : -1])  # the last is of fewer pictures


def result(data: Mnist, *, seed: int = 0, steps: int = _report_run.STEPS) -> Result:
    """Train the report's network on MNIST and test it (section 5 of the report).

    Parameters
    ----------
    data : Mnist
        What `mnist.load` returns.
    seed : int
        Of initial weights and shuffles.
    steps : int
        Of one image each.

    Returns
    -------
    Result
    """
    train, test = data
    network = Network(_report_run.SIZES, initialization=_report_run.INITIALIZATION, seed=seed)
    began = time.perf_counter()
    history = network.fit(
        train.images,
        train.labels,
        steps=steps,
        learning_rate=Linear(_report_run.RATE),
        record_every=max(1, -(-steps // RECORDS)),
        progress=False,
    )
    seconds = time.perf_counter() - began
    loss, accuracy = network.evaluate(test.images, test.labels)
    assert accuracy is not None  # there are labels
    outputs = network.predict(test.images)
    predictions = network.classify(test.images)
    confusion = np.zeros((10, 10), np.int64)
    np.add.at(confusion, (test.labels, predictions), 1)
    largest = outputs.max(axis=1)
    wrong = np.flatnonzero(predictions != test.labels)
    worst = wrong[np.argsort(-largest[wrong], kind="stable")[:WRONG]]
    return Result(
        network=network,
        history=history,
        seconds=seconds,
        accuracy=accuracy,
        loss=loss,
        confusion=confusion,
        wrong_images=test.images[worst],
        wrong_labels=test.labels[worst].astype(np.int64),
        wrong_predictions=predictions[worst],
        wrong_outputs=largest[worst],
        blank=train.images.max(axis=0).ravel() == 0,
    )


def section(numbers: Result) -> Section:
    """Tell it."""
    network, history, confusion = numbers.network, numbers.history, numbers.confusion
    steps = network.steps_done
    mistakes = confusion - np.diag(np.diag(confusion))
    true, predicted = (int(i) for i in np.unravel_index(mistakes.argmax(), mistakes.shape))
    minutes, seconds = divmod(_report_run.SECONDS, 60)

    def draw_loss(figure: Figure) -> None:
        plots.learning_curve(history, "loss", ax=figure.add_subplot())

    def draw_accuracy(figure: Figure) -> None:
        plots.learning_curve(history, "accuracy", ax=figure.add_subplot())

    def draw_confusion(figure: Figure) -> None:
        plots.confusion_matrix(confusion, ax=figure.add_subplot())

    def draw_wrong(figure: Figure) -> None:
        plots.digits(
            numbers.wrong_images,
            numbers.wrong_labels,
            predictions=numbers.wrong_predictions,
            confidence=numbers.wrong_outputs,
            columns=4,
            ax=figure.add_subplot(),
        )

    def draw_weights(figure: Figure) -> None:
        plots.weights_as_images(network.weights[0], ax=figure.add_subplot())

    return Section(
        10,
        "result",
        "The result",
        [
            Text(
                f"The report trains a {sizes(network.sizes)} network of sigmoids with the squared "
                f"error, one picture a step, for {reported(f'{_report_run.STEPS:,}')} steps. Here "
                f"it is trained so again, for {number(steps, ',d')} steps, with a rate that falls "
                f"linearly from {number(_report_run.RATE)} to {number(0)}, from seed "
                f"{number(network.seed)}."
            ),
            Table(
                ["", "this run", "the report"],
                [
                    [
                        "accuracy on the test images",
                        number(numbers.accuracy, ".4f"),
                        reported(f"{_report_run.ACCURACY:.4f}"),
                    ],
                    [
                        "time to train",
                        number(numbers.seconds, ".2f", varies=True) + " s",
                        reported(f"{minutes}m{seconds:02d}s"),
                    ],
                    ["steps", number(steps, ",d"), reported(f"{_report_run.STEPS:,}")],
                ],
                "The same network and the same number of steps. The report leaves its rate and its "
                "initial weights open; ours were chosen on training images.",
            ),
            Plot(
                "10-training",
                "Loss and accuracy over the training images, each as it was seen, since the point "
                "before. Most is learned at first: after a tenth of the steps the accuracy is "
                f"{number(numbers.after_a_tenth, '.3f')}, of {number(history.accuracy[-1], '.3f')} "
                f"at the end. A point is of {number(history.steps[0])} pictures, and so few "
                f"scatter by some {number(numbers.chance, '.3f')} by chance alone; from the middle "
                f"on the points do by {number(numbers.scatter, '.3f')}.",
                [Panel(draw_loss, name="loss"), Panel(draw_accuracy, name="accuracy")],
            ),
            Plot(
                "10-confusion",
                "How often each test digit (row) is taken for each digit (column). The most "
                f"frequent mistake: a {number(true)} taken for a {number(predicted)}, "
                f"{number(int(mistakes.max()))} times.",
                [Panel(draw_confusion, (4.2, 3.9))],
            ),
            Plot(
                "10-wrong",
                "The test pictures of which the network is most sure, and wrong: true digit, "
                "answer, and the answer's output. Some would puzzle a person too.",
                [Panel(draw_wrong, (4.2, 3.6))],
            ),
            Plot(
                "10-weights",
                f"The weights of the {number(network.sizes[1])} units of the first layer as "
                "pictures: blue where ink raises a unit's z, red where it lowers it. Of the "
                f"{number(int(numbers.blank.sum()))} pixels at the border that have no ink in any "
                "training picture the weights stay where they began, as good as white: they are "
                f"{number(numbers.blank_weight, '.3f')} at most. Within it units look for strokes "
                "and gaps rather than for whole digits.",
                [Panel(draw_weights, (4.2, 4.2))],
            ),
        ],
    )
