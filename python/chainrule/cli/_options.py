"""The commands and their options."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from chainrule import __version__, _report_run
from chainrule._backend import BACKENDS
from chainrule._validate import ACTIVATIONS, DTYPES, INITIALIZATIONS, LOSSES

OUTPUT = "model.safetensors"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; takes no abbreviations, which a new option would break."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings
        )

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())} (see {self.prog} --help)\n")


def parser() -> Parser:
    """Return the parser of the whole command line."""
    made = Parser(
        prog="chainrule",
        description="Train and run fully connected neural networks on the CPU.",
        epilog="'chainrule COMMAND --help' tells the options of a command.",
    )
    made.add_argument("--version", action="version", version=f"chainrule {__version__}")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(commands)
    _add_evaluate(commands)
    _add_predict(commands)
    _add_info(commands)
    _add_report(commands)
    return made


def _add_train(commands: Any) -> None:
    sizes = "-".join(map(str, _report_run.SIZES))
    train = commands.add_parser(
        "train",
        help="train a network on MNIST, test it and save it",
        description=(
            "Train a network on MNIST, test it and save it. Without options this is the report's\n"
            f"run: {sizes}, {_report_run.STEPS:,} steps of one image."
        ),
        epilog=(
            "examples:\n"
            "  chainrule train\n"
            "  chainrule train --epochs 5 --seed 1 -o five.safetensors\n"
            "  chainrule train --sizes 784 100 10 --activation relu --loss cross_entropy \\\n"
            "      --epochs 10 --batch-size 32 --learning-rate 0.1 --momentum 0.9"
        ),
    )
    network = train.add_argument_group("network")
    network.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=list(_report_run.SIZES),
        metavar="N",
        help=f"units of each layer ({' '.join(map(str, _report_run.SIZES))})",
    )
    network.add_argument(
        "--activation",
        nargs="+",
        default=["sigmoid"],
        metavar="NAME",
        help=f"of hidden layers, one for all or one each: {_listed(ACTIVATIONS[:-1])} (sigmoid)",
    )
    network.add_argument(
        "--output-activation",
        choices=ACTIVATIONS,
        metavar="NAME",
        help=f"{_listed(ACTIVATIONS)} (what goes with the loss)",
    )
    network.add_argument(
        "--loss",
        choices=LOSSES,
        default="squared_error",
        metavar="NAME",
        help=f"{_listed(LOSSES)} (%(default)s)",
    )
    network.add_argument(
        "--initialization",
        choices=INITIALIZATIONS,
        default=_report_run.INITIALIZATION,
        metavar="NAME",
        help=f"how weights are drawn: {_listed(INITIALIZATIONS)} (%(default)s)",
    )
    network.add_argument(
        "--dtype",
        choices=DTYPES,
        default="float32",
        metavar="NAME",
        help=f"of all arithmetic: {_listed(DTYPES)} (%(default)s)",
    )
    network.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of initial weights and shuffles (0)"
    )
    training = train.add_argument_group("training")
    length = training.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=int, metavar="N", help="passes over the training images")
    length.add_argument(
        "--steps", type=int, metavar="N", help=f"steps of one batch ({_report_run.STEPS})"
    )
    training.add_argument(
        "--batch-size", type=int, default=1, metavar="N", help="images a step (%(default)s)"
    )
    training.add_argument(
        "--learning-rate",
        type=float,
        default=_report_run.RATE,
        metavar="RATE",
        help="at the first step (%(default)s)",
    )
    training.add_argument(
        "--schedule",
        choices=("linear", "constant"),
        default="linear",
        metavar="NAME",
        help="of the rate: linear (down to 0), constant (%(default)s)",
    )
    training.add_argument(
        "--momentum", type=float, default=0.0, metavar="M", help="at least 0, below 1 (0)"
    )
    training.add_argument("--l2", type=float, default=0.0, metavar="L", help="weight decay (0)")
    files = train.add_argument_group("files")
    _add_data(files)
    files.add_argument(
        "-o", "--output", default=OUTPUT, metavar="FILE", help="the model file (%(default)s)"
    )
    files.add_argument(
        "--plot",
        metavar="FILE",
        help="draw learning curve and confusion matrix: a .png, .svg or .pdf",
    )
    files.add_argument("--force", action="store_true", help="replace existing files")
    _add_common(train)


def _add_evaluate(commands: Any) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="test a saved network on MNIST",
        description="Print loss, accuracy and confusion matrix on the test images of MNIST.",
    )
    evaluate.add_argument("model", metavar="MODEL", help="a model file")
    _add_data(evaluate.add_argument_group("files"))
    _add_common(evaluate)


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser(
        "predict",
        help="read the digits of pictures, or classify an IDX file",
        description=(
            "Read handwritten digits. Of each picture: its digits from left to right, and for\n"
            "each the probabilities of all ten, as bars. Of an IDX file, which is given alone: a\n"
            "line an image, with its number from 0, its class and the largest output, parted by\n"
            "tabs. What a file is, its content decides.\n\n"
            "A picture holds one digit or one row of them on plain paper. Ruled lines, frames and\n"
            "the edge of a table are left out where no digit touches them, and refused where one\n"
            "does; so is more than one row.\n\n"
            "Outputs of a softmax are probabilities. Of other networks they estimate those, each\n"
            "for itself: negative ones are taken as 0, and all are divided by their sum."
        ),
        epilog=(
            "examples:\n"
            "  chainrule predict model.safetensors photo.png\n"
            "  chainrule predict model.safetensors *.jpg --show seen.png"
        ),
    )
    predict.add_argument("model", metavar="MODEL", help="a model file")
    predict.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="a picture of one digit or of a row of them; or an IDX file, gzipped or not",
    )
    files = predict.add_argument_group("files")
    files.add_argument(
        "--show", metavar="FILE", help="also draw a picture of what the network saw, such as a .png"
    )
    files.add_argument("--force", action="store_true", help="replace an existing file")
    _add_common(predict)


def _add_info(commands: Any) -> None:
    info = commands.add_parser(
        "info",
        help="describe a model file, or this installation",
        description=(
            "Print layers, counters and fingerprint of a model file; without a file version,\n"
            "engine, instruction set and threads of this installation."
        ),
    )
    info.add_argument("model", metavar="MODEL", nargs="?", help="a model file")
    _add_common(info)


def _add_report(commands: Any) -> None:
    report = commands.add_parser(
        "report",
        help="reproduce the report as one HTML page",
        description=(
            "Compute all that the report shows, from gradient descent on a quadratic form to the\n"
            "trained network, and write it as one self-contained HTML page, with its figures as\n"
            "SVG and PNG beside it. The engine is CHAINRULE_BACKEND's, or the best there is: with\n"
            "rust it takes some ten seconds of one core, with numpy some twenty."
        ),
    )
    report.add_argument("--out", required=True, metavar="DIR", help="the folder to write to")
    report.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of all that is drawn (%(default)s)"
    )
    report.add_argument("--force", action="store_true", help="replace an existing report")
    _add_data(report)
    report.add_argument("--json", action="store_true", help="print one JSON document instead")


def _add_common(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    group.add_argument(
        "--backend",
        choices=BACKENDS,
        metavar="NAME",
        help=f"the engine: {_listed(BACKENDS)} (CHAINRULE_BACKEND, or the best there is)",
    )
    group.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="the most to use (CHAINRULE_THREADS, or what is free)",
    )
    group.add_argument("--json", action="store_true", help="print one JSON document instead")


def _add_data(group: Any) -> None:
    group.add_argument(
        "--data",
        metavar="FOLDER",
        help="with the four MNIST files (those of the package chainrule-mnist)",
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)
