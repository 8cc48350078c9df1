"""The command line: `chainrule` and `python -m chainrule`.

Exit codes: 0 done, 1 failed, 2 wrong usage or a file that cannot be used, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from chainrule import __version__
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

    Examples
    --------
    >>> from chainrule.cli import main
    >>> main(["info", "no-such-file"])
    2
    """
    options = _parser().parse_args(arguments)
    try:
        import_module(f"chainrule.cli.{options.command}").run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone: nothing is left to say, and nothing may be said at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (ValueError, TypeError, OSError) as error:
        return _fail(str(error), 2)
    except (DivergenceError, MemoryError, RuntimeError) as error:
        return _fail(str(error) or type(error).__name__, 1)
    return 0


def _fail(message: str, code: int) -> int:
    print(f"chainrule: {' '.join(message.split())}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chainrule",
        description="Train and run fully connected neural networks on the CPU.",
    )
    parser.add_argument("--version", action="version", version=f"chainrule {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _options.add_train(commands)
    _options.add_evaluate(commands)
    _options.add_predict(commands)
    _options.add_info(commands)
    return parser
