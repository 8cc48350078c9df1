"""`chainrule train`: the report's run, or any other on MNIST."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from chainrule import _backend, _report_run, _validate, mnist
from chainrule.callbacks import Progress
from chainrule.cli import _outputs, _plot, _show
from chainrule.history import History
from chainrule.mnist import Split
from chainrule.network import Network
from chainrule.optimizers import SGD
from chainrule.schedules import Constant, Linear

RECORDS = 10  # lines, of a fit that nobody watches


def run(options: Namespace) -> None:
    """Train, save, test, draw, and say so."""
    output = Path(options.output)
    _outputs.check(output, "model", force=options.force)
    plot = None if options.plot is None else Path(options.plot)
    if plot is not None:
        _plot.check(plot, output, force=options.force)
    optimizer = _check_training(options)
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
    history, seconds = _fit(network, options, optimizer, data.train)
    explained = network.explain()  # of the fit: a prediction comes next
    network.save(output)
    try:
        result = _result(network, history, data.test, options)
        result |= {"seconds": seconds, "output": str(output), "plot": None, **explained}
        _tell(network, history, result, plot, as_json=options.json)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; the model is saved to {output}") from None


def _result(network: Network, history: History, test: Split, options: Namespace) -> dict[str, Any]:
    """What there is to tell of the run."""
    return {
        "train": {
            "loss": history.loss[-1] if len(history) else None,
            "accuracy": history.accuracy[-1] if len(history) else None,
        },
        "test": _show.test(network, test, options.threads),
        "steps": network.steps_done,
        "fingerprint": network.fingerprint(),
        "report": {
            "accuracy": _report_run.ACCURACY,
            "seconds": _report_run.SECONDS,
            "steps": _report_run.STEPS,
        },
    }


def _tell(
    network: Network, history: History, result: dict[str, Any], plot: Path | None, *, as_json: bool
) -> None:
    """Draw where that is wanted, and print."""
    try:
        if plot is not None:
            test = result["test"]
            _plot.write(plot, _title(network), history, test["accuracy"], test["confusion"])
            result["plot"] = str(plot)
    finally:  # a full disk must not cost the result, nor a closed pipe the plot
        if as_json:
            _show.as_json(result)
        else:
            _print_result(network, result)


def _check_training(options: Namespace) -> SGD:
    """Refuse before anything is read what `fit` would refuse; what is left is the optimiser."""
    rate = _validate.number("--learning-rate", options.learning_rate)
    _validate.integer("batch_size", options.batch_size, at_least=1)
    _validate.number("l2", options.l2)
    for name in ("epochs", "steps"):
        _validate.integer(name, getattr(options, name) or 0, at_least=0)
    _backend.threads(options.threads)
    schedule = Linear(rate) if options.schedule == "linear" else Constant(rate)
    return SGD(schedule, momentum=options.momentum)


def _fit(
    network: Network, options: Namespace, optimizer: SGD, split: Split
) -> tuple[History, float]:
    """Train, and show how it goes. Returns the seconds, too."""
    steps = _report_run.STEPS if options.steps is None and options.epochs is None else options.steps
    watched = sys.stderr is not None and sys.stderr.isatty()
    sizes = _sizes(network)
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
            optimizer=optimizer,
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
        steps = _report_run.STEPS if options.steps is None else options.steps
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
        ("test accuracy", f"{result['test']['accuracy']:.4f}", f"{_report_run.ACCURACY:.4f}"),
        ("training time", _duration(result["seconds"]), _duration(_report_run.SECONDS)),
        ("steps", f"{result['steps']:,}", f"{_report_run.STEPS:,}"),
        ("engine", " ".join(filter(None, [result["engine"], result["isa"]])), ""),
    )
    print()
    for name, ours, theirs in rows:
        print(f"{name:<16}{ours:>14}{theirs:>12}".rstrip())
    print(f"\n{_show.confusion(result['test']['confusion'])}")
    print(f"\nsaved to {result['output']}")
    if result["plot"] is not None:
        print(f"plotted in {result['plot']}")


def _sizes(network: Network) -> str:
    return "-".join(map(str, network.sizes))


def _title(network: Network) -> str:
    return f"{_sizes(network)}, {network.steps_done:,} steps, seed {network.seed}"


def _duration(seconds: float) -> str:
    """As the report writes it: 1m50s; below a minute 4.20s."""
    if seconds < 59.995:
        return f"{seconds:.2f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02}s"
