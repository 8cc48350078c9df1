"""The one epoch loop, for both engines.

A fit is cut into epochs, epochs into slices of steps that take the engine some 20 ms each.
Between slices Python sees signals and progress, and nothing else: where the clock cuts changes no
bit. Records, and with them callbacks, fall on steps that the caller chose.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from chainrule import _arrays, _validate
from chainrule._backend import Totals
from chainrule._guard import Guard, deferred_interrupts
from chainrule.callbacks import Callback, Display, Progress
from chainrule.errors import DivergenceError
from chainrule.history import History
from chainrule.schedules import SCHEDULES, Schedule

if TYPE_CHECKING:
    from chainrule._backend import Engine
    from chainrule.network import Network
    from chainrule.optimizers import Rate

SLICE_SECONDS = 0.02
SLICE_MULTIPLICATIONS = 2**25  # of a prediction or evaluation: some 20 ms, too


@dataclass
class Counters:
    """What a network has been through."""

    epochs: int = 0
    """Epochs begun: each has used up its shuffle."""
    steps: int = 0


# A tuple, as is `Request`: to make a frozen dataclass takes a millisecond of the import.
class Data(NamedTuple):
    """A dataset in the engine's form, and what the loop must know of it."""

    dataset: Any
    rows: int
    batch_size: int
    has_accuracy: bool

    @property
    def steps(self) -> int:
        """Steps of an epoch; the last batch may be shorter."""
        return -(-self.rows // self.batch_size)


class Request(NamedTuple):
    """What the caller of `fit` asked for, checked."""

    data: Data
    validation: Data | None
    steps: int
    stops_by: str  # "epochs" or "steps"
    learning_rate: Rate
    momentum: float
    l2: float
    threads: int
    record_every: int | None
    callbacks: tuple[Callback, ...]
    hidden_units: int


@dataclass
class Fit:
    """One fit of one network: its loop and what the loop keeps track of."""

    network: Network
    engine: Engine
    guard: Guard
    counters: Counters
    request: Request
    display: Display
    history: History = field(default_factory=History)
    step: int = 0  # of this fit
    totals: Totals = field(default_factory=Totals)
    recorded: tuple[int, int] = (0, 0)  # step and row up to which records have been made
    row: int = 0  # rows trained in this fit
    per_slice: int = 1

    def run(self) -> History:
        """Train until the steps are done or a callback says stop."""
        self.began = time.perf_counter()
        self.history.stopped_by = "steps" if self.request.stops_by == "steps" else "epochs"
        try:
            while self.step < self.request.steps:
                if self._epoch():
                    self.history.stopped_by = "callback"
                    break
        finally:
            try:
                self.engine.forget()
            finally:
                self.display.close()
        return self.history

    def _epoch(self) -> bool:
        """One epoch, or what is left of the fit. Returns whether a callback stopped it."""
        epoch = self.counters.epochs
        before = Counters(self.counters.epochs, self.counters.steps)
        self.engine.remember()
        start = self.step
        end = min(start + self.request.data.steps, self.request.steps)
        for stop in self._stops(end):
            while self.step < stop:
                self._slice(epoch, start, stop, before)
            if self._record():
                return True
        return False

    def _stops(self, end: int) -> Iterator[int]:
        """Steps of this fit at which a record is due, up to the end of this epoch."""
        every = self.request.record_every
        if every is not None:
            yield from range(self.step - self.step % every + every, end, every)
        yield end

    def _slice(self, epoch: int, start: int, stop: int, before: Counters) -> None:
        """Some steps of one epoch; the epoch is undone where they diverge."""
        rates, failure = self._rates(min(stop, self.step + self.per_slice))
        began = time.perf_counter()
        if len(rates):
            with deferred_interrupts():  # Ctrl-C finds whole steps, and no diverged network
                with self.guard.changing(), self._whole(before):
                    totals, done, diverged = self.engine.train(
                        self.request.data.dataset,
                        epoch,
                        self.step - start,
                        rates,
                        self.request.momentum,
                        self.request.l2,
                        self.request.threads,
                        self.totals,
                    )
                self.totals = Totals(*totals)
                self.step += done
                self.row += self._rows(self.step - start) - self._rows(self.step - start - done)
                self.counters.epochs = epoch + 1
                self.counters.steps += done
                if diverged is not None:
                    self._undo(before, epoch, diverged)
        if failure is not None:
            raise failure
        self._adapt(len(rates), time.perf_counter() - began)
        self._show()

    def _rows(self, steps: int) -> int:
        """Rows that the first `steps` steps of an epoch take."""
        return min(steps * self.request.data.batch_size, self.request.data.rows)

    def _rates(self, stop: int) -> tuple[NDArray[np.float64], Exception | None]:
        """Rates of the steps up to `stop`, and why they end sooner, if they do.

        The steps before a bad rate are still taken: what is kept must not depend on where the
        slice was cut.
        """
        rate = self.request.learning_rate
        if isinstance(rate, float):
            return np.full(stop - self.step, rate), None
        # Ours are known to be good, and take many steps at once.
        if isinstance(rate, Schedule) and type(rate) in SCHEDULES.values():
            steps = np.arange(self.step, stop, dtype=np.float64)
            return np.array(np.broadcast_to(rate(steps, self.request.steps), steps.shape)), None
        rates: list[float] = []
        try:
            for step in range(self.step, stop):
                value = rate(step, self.request.steps)
                name = f"learning_rate({step}, ...)"
                number = _validate.number(name, value)
                _validate.rounded(name, number, self.network.dtype)
                rates.append(number)
        except Exception as error:  # noqa: BLE001 - raised again, once those steps are taken
            return np.array(rates, np.float64), error
        return np.array(rates, np.float64), None

    def _adapt(self, steps: int, seconds: float) -> None:
        """Choose how many steps make a slice."""
        fitting = steps * SLICE_SECONDS / max(seconds, 1e-9)
        self.per_slice = max(1, int(min(fitting, self.per_slice * 8)))

    def _means(self) -> tuple[float, float | None]:
        """Loss and accuracy of the samples since the last record."""
        rows = max(1, self.row - self.recorded[1])
        accuracy = self.totals.correct / rows if self.request.data.has_accuracy else None
        return self.totals.loss / rows, accuracy

    def _show(self) -> None:
        loss, accuracy = self._means()
        self.display.update(self.step, loss, accuracy)

    def _record(self) -> bool:
        """Add an entry to the history and call the callbacks; whether one of them says stop."""
        history, rows = self.history, self.row - self.recorded[1]
        loss, accuracy = self._means()
        validation_loss, validation_accuracy = self._validate()
        hidden = self.request.hidden_units * rows
        history.steps.append(self.counters.steps)
        history.epochs.append(self.counters.epochs)
        history.loss.append(loss)
        history.accuracy.append(accuracy)
        history.validation_loss.append(validation_loss)
        history.validation_accuracy.append(validation_accuracy)
        history.saturated.append(self.totals.saturated / hidden if hidden else None)
        history.seconds.append(time.perf_counter() - self.began)
        self.totals, self.recorded = Totals(), (self.step, self.row)
        progress = Progress(self.network, history, self.counters.epochs, self.step)
        answers = [callback(progress) for callback in self.request.callbacks]
        return any(isinstance(answer, (bool, np.bool_)) and answer for answer in answers)

    def _validate(self) -> tuple[float | None, float | None]:
        data = self.request.validation
        if data is None:
            return None, None
        return evaluate(self.engine, data, self.network.n_parameters, self.request.threads)

    def _go_back(self, before: Counters) -> None:
        """Put the network back to the start of the epoch."""
        self.engine.restore()
        self.counters.epochs, self.counters.steps = before.epochs, before.steps

    @contextmanager
    def _whole(self, before: Counters) -> Iterator[None]:
        """Go back where the engine breaks in the middle of a step: parts of it may be done."""
        try:
            yield
        except RuntimeError:
            self._go_back(before)
            raise

    def _undo(self, before: Counters, epoch: int, layer: int) -> NoReturn:
        """Put the network back to the start of the epoch, and say what happened."""
        self._go_back(before)
        raise DivergenceError(
            f"training diverged in epoch {epoch}: layer {layer} is no longer finite after step "
            f"{self.step} of this fit. The network is as it was when that epoch began. A smaller "
            "learning_rate usually helps, and so do inputs and targets scaled to about 1",
            epoch=epoch,
            layer=layer,
            history=self.history,
        )


def predict(
    engine: Engine, x: NDArray[Any], multiplications: int, threads: int
) -> NDArray[Any] | None:
    """Activations of the last layer (n, n_out), a slice of rows at a time, for Ctrl-C between.

    A slice is cut by the work in it, not by the clock: NumPy's sums depend on the shape. None
    where x is not finite.
    """
    # The Rust engine takes a slice that is four times as large in less time.
    work = SLICE_MULTIPLICATIONS * (4 if engine.name == "rust" else 1)
    slices = min(len(x), -(-len(x) * multiplications // work))
    if slices <= 1:
        return engine.predict(x, threads)
    cuts = [len(x) * i // slices for i in range(slices + 1)]
    part = engine.predict(x[: cuts[1]], threads)
    if part is None:
        return None
    shape = len(x), part.shape[1]
    what = f"the output of shape {shape}"
    with _arrays.enough_memory(what, math.prod(shape), part.dtype, "fewer rows at a time"):
        outputs = np.empty(shape, part.dtype)
    outputs[: cuts[1]] = part
    for start, stop in pairwise(cuts[1:]):
        part = engine.predict(x[start:stop], threads)
        if part is None:
            return None
        outputs[start:stop] = part
    return outputs


def evaluate(
    engine: Engine, data: Data, multiplications: int, threads: int
) -> tuple[float, float | None]:
    """Mean loss, and accuracy where there is one; a slice of rows at a time, too.

    A slice is whole tiles of 256 rows, which an engine works on at a time.
    """
    per_slice = max(1, SLICE_MULTIPLICATIONS // (256 * multiplications)) * 256
    loss, correct = 0.0, 0
    for first in range(0, data.rows, per_slice):
        rows = min(per_slice, data.rows - first)
        loss, right = engine.evaluate(data.dataset, first, rows, loss, threads)
        correct += right
    return loss / data.rows, correct / data.rows if data.has_accuracy else None


def steps_of_fit(epochs: int | None, steps: int | None, per_epoch: int) -> int:
    """Steps of a fit; neither argument means one epoch."""
    if epochs is not None and steps is not None:
        raise ValueError(f"fit takes epochs or steps, not both; got epochs={epochs}, steps={steps}")
    if steps is not None:
        return _validate.integer("steps", steps, at_least=0, at_most=_validate.MOST_STEPS)
    most = _validate.MOST_STEPS // per_epoch
    wanted = 1 if epochs is None else epochs
    return per_epoch * _validate.integer("epochs", wanted, at_least=0, at_most=most)
