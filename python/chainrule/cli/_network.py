"""The model file of a command."""

from __future__ import annotations

from argparse import Namespace

from chainrule.network import Network


def load(options: Namespace) -> Network:
    """Read the network that the options name; where there is none, say what makes one."""
    try:
        return Network.load(options.model, backend=options.backend)
    except FileNotFoundError as error:
        reason = f"{error.strerror}; 'chainrule train' makes a model file"
        raise FileNotFoundError(error.errno, reason, error.filename) from None
