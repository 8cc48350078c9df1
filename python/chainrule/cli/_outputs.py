"""Files that a command will write, tried before the work that goes into them."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path


def check(output: Path, what: str, *, force: bool) -> None:
    """Refuse now what could not be written later: `what` is "model", "plot" and the like."""
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
        reason = f"no {what} can be saved in this folder ({error.strerror})"
        raise OSError(error.errno, reason, str(folder)) from None
