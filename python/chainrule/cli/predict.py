"""`chainrule predict`: the class of each image of an IDX file."""

from __future__ import annotations

from argparse import Namespace

from chainrule import mnist
from chainrule.cli import _show
from chainrule.network import Network


def run(options: Namespace) -> None:
    """Print a line an image: number, class, and the largest output."""
    network = Network.load(options.model, backend=options.backend)
    images = mnist.read_idx(options.images)
    try:
        classes = network.classify(images, threads=options.threads)
        outputs = network.predict(images, threads=options.threads)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{options.images} with {options.model}: {error}") from error
    if options.json:
        _show.as_json({"classes": classes.tolist(), "outputs": outputs.tolist()})
        return
    for row, (label, output) in enumerate(zip(classes, outputs.max(axis=1), strict=True)):
        print(f"{row}\t{label}\t{output:.4f}")
