"""`chainrule train`: the report's run, or any other on MNIST."""

from __future__ import annotations

import errno
import os
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from chainrule import mnist
from chainrule.callbacks import Progress
from chainrule.cli import _show
from chainrule.cli._options import REPORT_STEPS
from chainrule.network import Network
from chainrule.optimizers import SGD
from chainrule.schedules import Constant, Linear

REPORT_ACCURACY = 0.9208
REPORT_SECONDS = 110


def run(options: Namespace) -> None:
    """Train, test, save, and say so."""
    output = Path(options.output)
    _check_output(output, force=options.force)
    network = Network(
        options.sizes,
        activation=options.activation[0] if len(options.activation) == 1 else options.activation,
        output_activation=options.output_activation,
        loss=options.loss,
        initialization=options.initialization,
        dtype=options.dtype,
        seed=options.seed,
        backend=options.backend,
    )
    schedule = Linear if options.schedule == "linear" else Constant
    optimizer = SGD(schedule(options.learning_rate), momentum=options.momentum)
    steps = REPORT_STEPS if options.steps is None and options.epochs is None else options.steps
    data = mnist.load(options.data)
    live = not options.json and not sys.stderr.isatty()
    began = time.perf_counter()
    history = network.fit(
        data.train.images,
        data.train.labels,
        epochs=options.epochs,
        steps=steps,
        batch_size=options.batch_size,
        optimizer=optimizer,
        l2=options.l2,
        record_every=max(1, (steps or REPORT_STEPS) // 10) if options.epochs is None else None,
        callbacks=[_print_record] if live else [],
        progress=False if options.json or live else None,
        threads=options.threads,
    )
    seconds = time.perf_counter() - began
    network.save(output)
    result = {
        "train": {
            "loss": history.loss[-1] if len(history) else None,
            "accuracy": history.accuracy[-1] if len(history) else None,
        },
        "test": _show.test(network, data.test, options.threads),
        "seconds": seconds,
        "steps": network.steps_done,
        "output": str(output),
        "fingerprint": network.fingerprint(),
        **network.explain(),
        "report": {"accuracy": REPORT_ACCURACY, "seconds": REPORT_SECONDS, "steps": REPORT_STEPS},
    }
    if options.json:
        _show.as_json(result)
    else:
        _print_result(network, result)


def _check_output(output: Path, *, force: bool) -> None:
    """Refuse before the training what could not be saved after it."""
    if output.exists() and not force:
        raise FileExistsError(
            errno.EEXIST, "the output file exists; pass --force to replace it", str(output)
        )
    if output.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(output))
    if not output.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder for the output", str(output.parent))
    if not os.access(output.parent, os.W_OK):
        raise PermissionError(errno.EACCES, "cannot write to the folder", str(output.parent))


def _print_record(progress: Progress) -> None:
    history = progress.history
    accuracy = history.accuracy[-1]
    print(
        f"step {progress.step:>7,}   loss {history.loss[-1]:.4f}"
        + ("" if accuracy is None else f"   accuracy {accuracy:.4f}"),
        file=sys.stderr,
        flush=True,
    )


def _print_result(network: Network, result: dict[str, Any]) -> None:
    print(network.summary())
    print(f"\n{network.steps_done:,} steps on {result['engine']}, {result['isa'] or 'any'} instructions")
    print(f"{'':16}{'chainrule':>10}{'report':>10}")
    print(f"{'test accuracy':16}{result['test']['accuracy']:>10.4f}{REPORT_ACCURACY:>10.4f}")
    print(f"{'training time':16}{result['seconds']:>9.2f}s{'1m50s':>10}")
    print(f"\n{_show.confusion(result['test']['confusion'])}")
    print(f"\nsaved to {result['output']}")
