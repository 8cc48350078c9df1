"""The options of each command."""

from __future__ import annotations

import argparse
from typing import Any

from chainrule._backend import BACKENDS
from chainrule._validate import ACTIVATIONS, DTYPES, INITIALIZATIONS, LOSSES

# The report's run. Rate and initialisation were chosen on the last 10,000 training images by
# benchmarks/report_seeds.py, not on the test set.
REPORT_SIZES = (784, 16, 16, 10)
REPORT_STEPS = 51_419
REPORT_RATE = 0.1
REPORT_INITIALIZATION = "glorot_uniform"


def add_train(commands: Any) -> None:
    """Add `chainrule train`."""
    parser = commands.add_parser(
        "train",
        help="train a network on MNIST and save it",
        description=(
            "Train a network on MNIST, test it and save it. Without options: the network of the "
            f"report, 784-16-16-10, for {REPORT_STEPS:,} steps of one image."
        ),
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    network = parser.add_argument_group("network")
    network.add_argument(
        "--sizes", type=int, nargs="+", default=list(REPORT_SIZES), metavar="N", help="units a layer"
    )
    network.add_argument(
        "--activation", nargs="+", default=["sigmoid"], metavar="NAME",
        help=f"of the hidden layers, one for all or one each: {', '.join(ACTIVATIONS[:-1])}",
    )
    network.add_argument(
        "--output-activation", choices=ACTIVATIONS, help="None: what goes with the loss"
    )
    network.add_argument("--loss", choices=LOSSES, default="squared_error", help="what is made small")
    network.add_argument(
        "--initialization", choices=INITIALIZATIONS, default=REPORT_INITIALIZATION,
        help="how weights are drawn",
    )
    network.add_argument("--dtype", choices=DTYPES, default="float32", help="of all arithmetic")
    network.add_argument("--seed", type=int, default=0, help="of initial weights and shuffles")
    training = parser.add_argument_group("training")
    length = training.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=int, help="passes over the 60,000 images")
    length.add_argument(
        "--steps", type=int, help=f"steps of one batch; {REPORT_STEPS} unless --epochs is given"
    )
    training.add_argument("--batch-size", type=int, default=1, help="images a step")
    training.add_argument("--learning-rate", type=float, default=REPORT_RATE, help="at the start")
    training.add_argument(
        "--schedule", choices=("linear", "constant"), default="linear", help="linear: down to 0"
    )
    training.add_argument("--momentum", type=float, default=0.0, help="in [0, 1)")
    training.add_argument("--l2", type=float, default=0.0, help="weight decay")
    training.add_argument("-o", "--output", default="model.safetensors", help="the model file")
    training.add_argument("--force", action="store_true", help="replace an existing model file")
    _add_common(parser)
    _add_data(parser)


def add_evaluate(commands: Any) -> None:
    """Add `chainrule evaluate`."""
    parser = commands.add_parser(
        "evaluate",
        help="test a saved network on MNIST",
        description="Loss, accuracy and confusion matrix on the 10,000 test images of MNIST.",
    )
    parser.add_argument("model", metavar="MODEL", help="a model file")
    _add_common(parser)
    _add_data(parser)


def add_predict(commands: Any) -> None:
    """Add `chainrule predict`."""
    parser = commands.add_parser(
        "predict",
        help="classify the images of an IDX file",
        description="Print a line for each image of an IDX file: its number, class and output.",
    )
    parser.add_argument("model", metavar="MODEL", help="a model file")
    parser.add_argument("images", metavar="IMAGES", help="an IDX file, gzipped or not")
    _add_common(parser)


def add_info(commands: Any) -> None:
    """Add `chainrule info`."""
    parser = commands.add_parser(
        "info",
        help="describe a model file, or this installation",
        description=(
            "Layers, counters and fingerprint of a model file; without one version, engine, "
            "instruction set and threads of this installation."
        ),
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="a model file")
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    group.add_argument("--backend", choices=BACKENDS, help="the engine; None: the best there is")
    group.add_argument("--threads", type=int, help="the most to use; None: what is free")
    group.add_argument("--json", action="store_true", help="print one JSON document instead")


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", metavar="FOLDER", help="of the four MNIST files; None: package chainrule-mnist"
    )
