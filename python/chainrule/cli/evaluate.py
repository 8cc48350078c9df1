"""`chainrule evaluate`: a saved network on the test images of MNIST."""

from __future__ import annotations

from argparse import Namespace

from chainrule import mnist
from chainrule.cli import _network, _show


def run(options: Namespace) -> None:
    """Print loss, accuracy and confusion matrix."""
    network = _network.load(options)
    split = mnist.load(options.data).test
    _show.check_fit(f"{options.model}: the network", network.sizes, split)
    result = _show.test(network, split, options.threads)
    if options.json:
        _show.as_json(result)
        return
    print(f"test loss      {result['loss']:.6f}")
    print(f"test accuracy  {result['accuracy']:.4f}")
    print(f"\n{_show.confusion(result['confusion'])}")
