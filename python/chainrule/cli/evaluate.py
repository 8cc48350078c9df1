"""`chainrule evaluate`: a saved network on the test images of MNIST."""

from __future__ import annotations

from argparse import Namespace

from chainrule import mnist
from chainrule.cli import _show
from chainrule.network import Network


def run(options: Namespace) -> None:
    """Print loss, accuracy and confusion matrix."""
    network = Network.load(options.model, backend=options.backend)
    split = mnist.load(options.data).test
    _show.check_fit(f"{options.model}: the network", network.sizes, split)
    result = _show.test(network, split, options.threads)
    if options.json:
        _show.as_json(result)
        return
    print(f"test loss      {result['loss']:.6f}")
    print(f"test accuracy  {result['accuracy']:.4f}")
    print(f"\n{_show.confusion(result['confusion'])}")
