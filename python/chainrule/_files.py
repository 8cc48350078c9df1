"""Regular files: read without waiting, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat

__all__ = ["AnyPath", "open_regular", "shown", "write"]

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]


def shown(path: AnyPath) -> str:
    """Write a path as messages have it: bytes that are no text become escapes."""
    return os.fsdecode(path).encode("utf-8", "backslashreplace").decode("utf-8")


def open_regular(path: AnyPath) -> io.BufferedReader:
    """Open a regular file to be read; never wait for a FIFO's writer."""
    _refuse_nul(path)

    def without_waiting(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))

    file = open(path, "rb", opener=without_waiting)  # noqa: SIM115 - the caller closes it
    try:
        _refuse_irregular(os.fstat(file.fileno()), path)
    except OSError:
        file.close()
        raise
    return file


def write(path: AnyPath, data: bytes) -> None:
    """Write a file whole or not at all: readers see the old one or the new one.

    The bytes go to a temporary name in the same folder, then to the disk, then take the place of
    the file. Mode and owner are what `open` gives: an existing file keeps its own (the owner where
    the system allows it), a new one gets what the umask leaves, and a symbolic link stays and its
    target is replaced. A file that may not be written to is not replaced either. After any
    exception, KeyboardInterrupt included, no temporary file is left.

    Raises
    ------
    OSError
        Where the file could not be written, with `path` in it; an existing one is as it was. Only
        when it is the folder's entry that cannot be brought to the disk is the new one there
        already.
    ValueError
        Where the path has a NUL character.
    """
    _refuse_nul(path)
    try:
        old = _existing(path)
        target = os.path.realpath(os.fsdecode(path))
        _replace(target, data, old)
        _flush_folder(target)
    except OSError as error:
        # The caller knows the name he gave, neither the temporary one nor the link's target.
        error.filename, error.filename2 = shown(path), None
        raise


def _existing(path: AnyPath) -> os.stat_result | None:
    """The file that is to be replaced, if there is one and `open` would let us write to it."""
    name = os.fsdecode(path)
    if not os.path.basename(name):  # noqa: PTH119 - "a/" is not "a", as Path would have it
        code = errno.EISDIR if name else errno.ENOENT
        raise OSError(code, os.strerror(code), name)
    flags = os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    _refuse_irregular(status, path)
    return status


def _replace(target: str, data: bytes, old: os.stat_result | None) -> None:
    """Write a temporary file, bring it to the disk and rename it to `target`."""
    folder = os.path.dirname(target)  # noqa: PTH120 - beside what realpath returned
    temporary = os.path.join(folder, f".chainrule-{os.urandom(8).hex()}.tmp")  # noqa: PTH118
    # A new file has the mode that the umask leaves; a private one is never open to others.
    mode = 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o777

    def create(name: str, flags: int) -> int:
        return os.open(name, flags, mode)

    try:
        with open(temporary, "xb", opener=create) as file:
            if old is not None:
                _take_owner_and_mode(file.fileno(), old, mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)  # noqa: PTH105 - beside what realpath returned
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def _take_owner_and_mode(descriptor: int, old: os.stat_result, mode: int) -> None:
    """Give the new file what the old one has. The owner first: a change of it may clear bits."""
    if hasattr(os, "fchown"):
        new = os.fstat(descriptor)
        if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
            with contextlib.suppress(PermissionError):  # only root may, and data comes first
                os.fchown(descriptor, old.st_uid, old.st_gid)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, mode)


def _flush_folder(target: str) -> None:
    """Bring the renaming to the disk, where folders can be opened for that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    folder = os.path.dirname(target)  # noqa: PTH120
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # a folder may be written to and not read: then it cannot be flushed
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # a file system that flushes no folder
            raise
    finally:
        os.close(descriptor)


def _refuse_irregular(status: os.stat_result, path: AnyPath) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), shown(path))
    if not stat.S_ISREG(status.st_mode):
        kind = "a FIFO" if stat.S_ISFIFO(status.st_mode) else "a device or the like"
        raise OSError(errno.EINVAL, f"expected a regular file, found {kind}", shown(path))


def _refuse_nul(path: AnyPath) -> None:
    if "\0" in shown(path):
        raise ValueError(f"path must not have a NUL character; got {shown(path)!r}")
