"""`chainrule train`: the report's run, or any other on MNIST."""

from __future__ import annotations

import errno
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from chainrule import _validate, mnist
from chainrule.callbacks import Progress
from chainrule.cli import _show
from chainrule.cli._options import REPORT_STEPS
from chainrule.history import History
from chainrule.mnist import Split
from chainrule.network import Network
from chainrule.optimizers import SGD
from chainrule.schedules import Constant, Linear

REPORT_ACCURACY = 0.9208
REPORT_SECONDS = 110
RECORDS = 10  # lines, of a fit that nobody watches


def run(options: Namespace) -> None:
    """Train, save, test, and say so."""
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
    data = mnist.load(options.data)
    _show.check_fit("--sizes", options.sizes, data.train)
    history, seconds = _fit(network, options, data.train)
    explained = network.explain()  # of the fit: a prediction comes next
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
        **explained,
        "report": {"accuracy": REPORT_ACCURACY, "seconds": REPORT_SECONDS, "steps": REPORT_STEPS},
    }
    if options.json:
        _show.as_json(result)
    else:
        _print_result(network, result)


def _check_output(output: Path, *, force: bool) -> None:
    """Refuse before the training what could not be saved after it."""
    if output.is_dir():
        raise IsADirectoryError(errno.EISDIR, "the output is a folder; name a file", str(output))
    if output.exists() and not output.is_file():
        raise OSError(errno.EINVAL, "the output is a device or the like", str(output))
    if output.exists() and not force:
        raise FileExistsError(
            errno.EEXIST, "the output file exists; pass --force to replace it", str(output)
        )
    if output.exists():
        with output.open("r+b"):  # only trying tells: permissions are not all
            pass
    folder = output.resolve().parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = f"no model can be saved in this folder ({error.strerror})"
        raise OSError(error.errno, reason, str(folder)) from None


def _fit(network: Network, options: Namespace, split: Split) -> tuple[History, float]:
    """Train, and show how it goes. Returns the seconds, too."""
    rate = _validate.number("--learning-rate", options.learning_rate)
    schedule = Linear(rate) if options.schedule == "linear" else Constant(rate)
    steps = REPORT_STEPS if options.steps is None and options.epochs is None else options.steps
    watched = sys.stderr is not None and sys.stderr.isatty()
    sizes = "-".join(map(str, network.sizes))
    began = time.perf_counter()
    try:
        if not options.json:
            _show.say(f"training {sizes} on {len(split.images):,} images, engine {network.backend}")
        history = network.fit(
            split.images,
            split.labels,
            epochs=options.epochs,
            steps=steps,
            batch_size=options.batch_size,
            optimizer=SGD(schedule, momentum=options.momentum),
            l2=options.l2,
            record_every=_record_every(options, len(split.images)),
            callbacks=[] if options.json or watched else [_say_record],
            progress=watched and not options.json,
            threads=options.threads,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted after {network.steps_done:,} steps; nothing was saved"
        ) from None
    return history, time.perf_counter() - began


def _record_every(options: Namespace, images: int) -> int | None:
    """Ten records of a fit by steps and of a single epoch; several epochs have one each."""
    if options.epochs is None:
        steps = REPORT_STEPS if options.steps is None else options.steps
    elif options.epochs == 1 and options.batch_size > 0:
        steps = -(-images // options.batch_size)
    else:
        return None
    return int(max(1, -(-steps // RECORDS)))  # rounded up: the last is not of a few rows only


def _say_record(progress: Progress) -> None:
    history = progress.history
    _show.say(
        f"step {progress.step:>9,}   loss {history.loss[-1]:.4f}   "
        f"accuracy {history.accuracy[-1]:.4f}"
    )


def _print_result(network: Network, result: dict[str, Any]) -> None:
    print(network.summary())
    rows = (
        ("", "chainrule", "report"),
        ("test accuracy", f"{result['test']['accuracy']:.4f}", f"{REPORT_ACCURACY:.4f}"),
        ("training time", _duration(result["seconds"]), _duration(REPORT_SECONDS)),
        ("steps", f"{result['steps']:,}", f"{REPORT_STEPS:,}"),
        ("engine", " ".join(filter(None, [result["engine"], result["isa"]])), ""),
    )
    print()
    for name, ours, theirs in rows:
        print(f"{name:<16}{ours:>14}{theirs:>12}".rstrip())
    print(f"\n{_show.confusion(result['test']['confusion'])}")
    print(f"\nsaved to {result['output']}")


def _duration(seconds: float) -> str:
    """As the report writes it: 1m50s; below a minute 4.20s."""
    if seconds < 59.995:
        return f"{seconds:.2f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02}s"
