"""What sees a fit while it goes on: callbacks at each record, and the progress shown to people."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from chainrule.history import History
    from chainrule.network import Network

__all__ = ["Callback", "Progress"]


class Progress(NamedTuple):
    """What a callback is given, at each record.

    Attributes
    ----------
    network : Network
        The network as it is now. A callback may predict with it, evaluate and save it; training
        it or setting its parameters is a RuntimeError.
    history : History
        The records so far, this one included.
    epoch : int
        Epochs that the network has begun over its life.
    step : int
        Steps of this fit so far.
    """

    network: Network
    history: History
    epoch: int
    step: int


Callback: TypeAlias = Callable[[Progress], Any]
"""Called with a `Progress` at each record; returning True ends the fit."""


class Display:
    """Shows nothing: the form for programs. The others show a bar, or a line now and then."""

    def update(self, step: int, loss: float, accuracy: float | None) -> None:
        """Tell steps so far, and the means since the last record."""

    def close(self) -> None:
        """End the display."""


class Bar(Display):
    """A tqdm bar, in a terminal or a notebook."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def update(self, step: int, loss: float, accuracy: float | None) -> None:
        """Move the bar."""
        self._bar.set_postfix_str(_figures(loss, accuracy), refresh=False)
        self._bar.update(step - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


class Lines(Display):
    """A plain line every few seconds on standard error."""

    SECONDS = 2.0

    def __init__(self, steps: int, *, always: bool) -> None:
        self._steps = steps
        self._next = time.monotonic() + self.SECONDS
        self._line = ""
        self._to_the_end = always  # else only where a line has been shown before

    def update(self, step: int, loss: float, accuracy: float | None) -> None:
        """Print a line where one is due."""
        self._line = f"step {step} of {self._steps}: {_figures(loss, accuracy)}"
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self.SECONDS
            self._to_the_end = True
            self._print()

    def close(self) -> None:
        """Print where the fit ended, unless that has been said."""
        if self._to_the_end:
            self._print()

    def _print(self) -> None:
        if self._line and sys.stderr is not None:
            print(self._line, file=sys.stderr, flush=True)
        self._line = ""


def display(steps: int, *, progress: bool | None) -> Display:
    """Choose what to show: True always shows, False never, None only to people."""
    if progress is False or (progress is None and not _is_watched()):
        return Display()
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return Lines(steps, always=bool(progress))
    # A bar that would flash by is not drawn.
    return Bar(tqdm(total=steps, unit="step", delay=0 if progress else 0.5, dynamic_ncols=True))


def _is_watched() -> bool:
    """A terminal on standard error, or a notebook."""
    shell = sys.modules.get("IPython")
    if shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell":
        return True
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


def _figures(loss: float, accuracy: float | None) -> str:
    return f"loss {loss:.4f}" + ("" if accuracy is None else f", accuracy {accuracy:.4f}")
