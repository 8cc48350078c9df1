"""The command line: `chainrule` and `python -m chainrule`.

Exit codes: 0 done, 1 failed, 2 wrong usage or a file that cannot be used, 130 stopped by Ctrl-C.
Results go to standard output; progress, and errors in one line, to standard error.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any, TextIO

from chainrule._extras import MissingExtraError
from chainrule.cli import _options
from chainrule.errors import DivergenceError

__all__ = ["main"]

INTERRUPTED = 130
BROKEN_PIPE = 141  # what a shell shows for a program that SIGPIPE ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        None: those of the process.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    SystemExit
        After ``--help`` and ``--version``, and where the arguments are wrong (code 2).

    Examples
    --------
    >>> from chainrule.cli import main
    >>> main(["info", "no-such-file"])
    2
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a path may have what the encoding lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            options = _options.parser().parse_args(arguments)
            with warnings.catch_warnings():
                warnings.showwarning = _warn
                import_module(f"chainrule.cli.{options.command}").run(options)
        finally:
            _flush()
    except KeyboardInterrupt as error:
        return _fail(str(error) or "interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader has gone: nothing is left to say
        _discard(sys.stdout)
        _discard(sys.stderr)
        return BROKEN_PIPE
    except OSError as error:
        return _fail(_with_path(error), 2)
    except (ValueError, TypeError, MissingExtraError) as error:
        return _fail(str(error), 2)
    except (DivergenceError, RuntimeError) as error:
        return _fail(str(error), 1)
    except MemoryError as error:
        return _fail(str(error) or "not enough memory", 1)
    return 0


def _warn(message: Warning | str, *_where: Any, **_file: Any) -> None:
    """One line, without the place in our code."""
    _say(f"warning: {message}")


def _flush() -> None:
    """See now, while it can be told, whether the output has arrived."""
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except OSError:
            _discard(sys.stdout)
            raise


def _discard(stream: TextIO | None) -> None:
    """Send what a stream still holds to nowhere: at exit it would fail once more."""
    if stream is not None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _fail(message: str, code: int) -> int:
    _say(message)
    return code


def _say(message: str) -> None:
    """One line on standard error, where there is one."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(f"chainrule: {' '.join(message.split())}", file=sys.stderr, flush=True)


def _with_path(error: OSError) -> str:
    """Path and reason, without the number that Python puts before them."""
    if error.filename is None or error.strerror is None:
        return error.strerror or str(error)
    path = error.filename
    return f"{os.fsdecode(path) if isinstance(path, bytes) else path}: {error.strerror}"
