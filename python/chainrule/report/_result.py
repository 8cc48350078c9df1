"""Section 10: the report's network, trained on MNIST as the report did."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chainrule import _report_run, plots
from chainrule.network import Network
from chainrule.report._section import Panel, Plot, Section, Table, Text, number, reported
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
    )


def section(numbers: Result) -> Section:
    """Tell it."""
    network, history, confusion = numbers.network, numbers.history, numbers.confusion
    sizes = "-".join(map(str, network.sizes))
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
                f"The report trains a {sizes} network of sigmoids with the squared error, one "
                f"picture a step, for {reported(f'{_report_run.STEPS:,}')} steps. Here it is "
                f"trained so again, for {number(steps, ',d')} steps, with a rate that falls "
                f"linearly from {number(_report_run.RATE)} to 0, from seed {number(network.seed)}."
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
                        number(numbers.seconds, ".2f") + " s",
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
                "before. Most is learned in the first tenth; then the falling rate lets the noise "
                "of single steps die away.",
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
                "pictures: blue where ink raises a unit's z, red where it lowers it. The border, "
                "where there is never ink, keeps the initial noise; within it units look for "
                "strokes and gaps rather than for whole digits.",
                [Panel(draw_weights, (4.2, 4.2))],
            ),
        ],
    )
