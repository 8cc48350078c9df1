"""`chainrule info`: a model file, or this installation."""

from __future__ import annotations

import platform
from argparse import Namespace
from typing import Any

import numpy as np

from chainrule import __version__, _backend, optimizers, storage
from chainrule.cli import _network, _show


def run(options: Namespace) -> None:
    """Print what there is to know."""
    threads = _backend.threads(options.threads)
    if options.model is None:
        _installation(options, threads)
    else:
        _model(options)


def _installation(options: Namespace, threads: int) -> None:
    engine = _backend.choose(options.backend)
    explained = _backend.make(engine, (1, 1), ("identity",), "squared_error", "float32").explain()
    document: dict[str, Any] = {
        "version": __version__,
        "engine": engine,
        "isa": explained["isa"],
        "isas": _backend.isas(),
        "threads": threads,
        "exactness": storage.EXACTNESS,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    if options.json:
        _show.as_json(document)
        return
    document["isas"] = ", ".join(document["isas"]) or None
    for name, value in document.items():
        print(f"{name:<10} {'-' if value is None else value}")


def _model(options: Namespace) -> None:
    network = _network.load(options)
    document: dict[str, Any] = {
        "sizes": network.sizes,
        "activations": (*network.activation, network.output_activation),
        "loss": network.loss,
        "dtype": network.dtype.name,
        "parameters": network.n_parameters,
        "epochs_done": network.epochs_done,
        "steps_done": network.steps_done,
        "seed": network.seed,
        "optimizer": optimizers.to_json(network.optimizer),
        "exactness": storage.EXACTNESS,
        "fingerprint": network.fingerprint(),
    }
    if options.json:
        _show.as_json(document)
        return
    print(network.summary())
    print()
    document["optimizer"] = network.optimizer
    for name in ("epochs_done", "steps_done", "seed", "optimizer", "exactness", "fingerprint"):
        print(f"{name.replace('_', ' '):<12} {document[name]}")
