"""Who may use a network when: other threads, and Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Guard:
    """Many readers or one writer. Who comes at the wrong time is told so, and never waits.

    The writer's own thread may read: callbacks predict and save while a fit goes on.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may come while it is held
        self._readers: set[object] = set()
        self.writer: tuple[int, str] | None = None  # thread, and what it does
        self._changing = False  # an engine is at work on the parameters: not even its thread reads

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Keep writers of other threads out."""
        token = object()
        # Ctrl-C may come anywhere. So each name is put down within the `try`, and taken away by
        # one operation that no signal can part.
        try:
            with self._lock:
                if self.writer is not None and self.writer[0] != threading.get_ident():
                    raise RuntimeError(
                        f"{what}: the network is busy, {self.writer[1]} runs in another thread; "
                        "wait for it, or take a copy() before it begins"
                    )
                if self._changing:  # the handler of a signal, in the midst of a step
                    raise RuntimeError(
                        f"{what}: the network is busy, fit is in the midst of a step; a callback "
                        "comes between steps"
                    )
                self._readers.add(token)
            yield
        finally:
            self._readers.discard(token)

    @contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Keep everybody else out."""
        token = threading.get_ident(), what
        try:
            with self._lock:
                if self.writer is not None:
                    doing = "already training" if self.writer[1] == "fit" else "busy"
                    raise RuntimeError(
                        f"{what}: the network is {doing} ({self.writer[1]} is running); wait for "
                        "it to end"
                    )
                if self._readers:
                    raise RuntimeError(
                        f"{what}: the network is busy, another call reads it; wait for it to end"
                    )
                self.writer = token
            yield
        finally:
            if self.writer is token:
                self.writer = None

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep the writer's own thread out, too, while a step is half done."""
        self._changing = True
        try:
            yield
        finally:
            self._changing = False


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Let Ctrl-C wait until the block has ended, so that it never leaves half a change.

    Signals reach the main thread only; in any other this does nothing. A process that has set
    SIGINT to be ignored or to kill keeps that.
    """
    handler = (
        signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread()
        else None
    )
    if not callable(handler):
        yield
        return
    pending: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: pending.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if pending:
            handler(*pending[-1])
