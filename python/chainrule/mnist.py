"""MNIST, and the IDX files that it comes in.

An IDX file is a header and raw numbers, all big-endian: two zero bytes, one byte for the type of
the numbers, one for the number of dimensions, each dimension as an unsigned 32-bit integer, and
then the numbers, the last dimension running fastest. Nothing in such a file is believed: what the
header promises is compared with the size of the file before memory is taken for it.
"""

from __future__ import annotations

import errno
import gzip
import importlib
import io
import math
import os
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from chainrule._files import AnyPath, open_regular, shown
from chainrule.errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Mnist", "Split", "load", "read_idx"]

_TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_MOST_DIMENSIONS = 32  # NumPy 1.26 can hold no more, and a limit should not depend on the version
_GZIP_MAGIC = b"\x1f\x8b"
# Deflate's shortest code for its longest repeat: 258 bytes in 2 bits. No stream expands further.
_MOST_EXPANSION = 1032
_CHUNK = 1 << 20  # bytes decoded at a time, so that gzip's own buffers stay small

_PACKAGE = "chainrule_mnist"
_TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
_TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_TWO_WAYS = (
    "either run `pip install ./data` in a checkout of chainrule, or name a folder (`--data FOLDER` "
    f"on the command line) that holds {', '.join(_TRAIN + _TEST)}, each with or without .gz"
)


class Split(NamedTuple):
    """Images and their labels, row by row."""

    images: NDArray[np.uint8]
    """(n, 28, 28): 0 is paper, 255 is ink."""
    labels: NDArray[np.uint8]
    """(n,): the digits, 0 to 9."""


class Mnist(NamedTuple):
    """The two parts of the database."""

    train: Split
    """60,000 images."""
    test: Split
    """10,000 images, by other writers."""


def load(folder: AnyPath | None = None) -> Mnist:
    """Read MNIST, or a database of the same form such as Fashion-MNIST.

    Parameters
    ----------
    folder : path, optional
        Holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
        `t10k-labels-idx1-ubyte`, gzipped or not, with or without `.gz` at the end of the name
        (where both names are there, the one with `.gz` is read). None: the folder of the package
        `chainrule_mnist`, which `pip install ./data` in a checkout installs.

    Returns
    -------
    Mnist
        `train` and `test`, each with images (n, 28, 28) uint8 and labels (n,) uint8.

    Raises
    ------
    FileNotFoundError
        No folder was given and the package is not installed, or a file is missing.
    OSError
        A file cannot be read.
    FormatError
        A file is not IDX or is damaged (see `read_idx`); images or labels have another shape or
        dtype than they should; the numbers of images and labels differ; a label is above 9.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from chainrule import mnist
    >>> images = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(28 * 28)
    >>> labels = bytes([0, 0, 8, 1, 0, 0, 0, 1, 7])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part in "train", "t10k":
    ...         _ = pathlib.Path(folder, f"{part}-images-idx3-ubyte").write_bytes(images)
    ...         _ = pathlib.Path(folder, f"{part}-labels-idx1-ubyte").write_bytes(labels)
    ...     train, test = mnist.load(folder)
    >>> train.images.shape, train.labels
    ((1, 28, 28), array([7], dtype=uint8))
    """
    where = _package_folder() if folder is None else Path(os.fsdecode(folder))
    train_path, train = _read_split(where, *_TRAIN)
    test_path, test = _read_split(where, *_TEST)
    if train.images.shape[1:] != test.images.shape[1:]:
        raise FormatError(
            f"{shown(test_path)}: expected images of the size of those in {shown(train_path)}, "
            f"(n, {train.images.shape[1]}, {train.images.shape[2]}); found {test.images.shape}"
        )
    return Mnist(train, test)


def read_idx(path: AnyPath) -> NDArray[Any]:
    """Read an IDX file of any type and of 1 to 32 dimensions.

    Whether the file is gzipped is seen from its first two bytes and not from its name. Several
    gzip members are one stream, and zero bytes after the last are padding.

    Parameters
    ----------
    path : str, bytes or os.PathLike
        A regular file (or a link to one).

    Returns
    -------
    numpy.ndarray
        The shape that the header gives; uint8, int8, int16, int32, float32 or float64 in the byte
        order of the machine. The file is read straight into the array's memory, which nothing
        else uses: the array can be written to.

    Raises
    ------
    FormatError
        The file is not IDX, or is cut, over-long or damaged. The message has the path, what was
        expected and what was found.
    OSError
        The file is missing, not readable, or not a regular file.
    ValueError
        The path has a NUL character.
    MemoryError
        The file is whole, but does not fit in memory.

    Examples
    --------
    Type 8 (uint8), 2 dimensions, 2 rows, 3 columns:

    >>> import pathlib, tempfile
    >>> from chainrule import mnist
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "tiny")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6]))
    ...     mnist.read_idx(path)
    array([[1, 2, 3],
           [4, 5, 6]], dtype=uint8)
    """
    where = shown(path)
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if file.peek(2)[:2] != _GZIP_MAGIC:
            return _read_plain(file, where, size)
        try:
            with gzip.GzipFile(fileobj=file, mode="rb") as stream:
                return _read_gzipped(stream, where, size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FormatError(
                f"{where}: expected a whole gzip stream and nothing after it but zero bytes; "
                f"found it cut or damaged at or before byte {file.tell()} of {size}: {error}"
            ) from error


class _Header(NamedTuple):
    """What an IDX file says of itself."""

    dtype: np.dtype[Any]  # big-endian
    shape: tuple[int, ...]
    data_bytes: int  # exact, however large

    @property
    def size(self) -> int:
        """The bytes of the whole file, uncompressed."""
        return 4 + 4 * len(self.shape) + self.data_bytes

    def __str__(self) -> str:
        """Say what makes up the size, for messages."""
        return f"{self.size} bytes (header, then {self.shape} of {self.dtype.name})"


def _read_plain(stream: io.BufferedIOBase, where: str, size: int) -> NDArray[Any]:
    header = _read_header(stream, where)
    if header.size != size:
        raise FormatError(f"{where}: expected {header}, found {size} bytes")
    return _read_data(stream, header, where)


def _read_gzipped(stream: io.BufferedIOBase, where: str, size: int) -> NDArray[Any]:
    header = _read_header(stream, where)
    most = size * _MOST_EXPANSION
    if header.size > most:
        raise FormatError(
            f"{where}: expected {header}, found a gzip file of {size} bytes, which holds at most "
            f"{most}"
        )
    return _read_data(stream, header, where)


def _read_header(stream: io.BufferedIOBase, where: str) -> _Header:
    start = stream.read(4)
    if len(start) < 4:
        raise FormatError(
            f"{where}: expected an IDX header of at least 8 bytes, found {len(start)} "
            f"byte{'' if len(start) == 1 else 's'} in all"
        )
    if start[:2] != b"\0\0":
        raise FormatError(
            f"{where}: expected an IDX file, which starts with the bytes 00 00; found "
            f"{start[:2].hex(' ')} at offset 0"
        )
    dtype = _TYPES.get(start[2])
    if dtype is None:
        known = ", ".join(f"0x{code:02X} ({dtype.name})" for code, dtype in _TYPES.items())
        raise FormatError(
            f"{where}: expected one of the types {known}; found 0x{start[2]:02X} at offset 2"
        )
    n_dimensions = start[3]
    if not 1 <= n_dimensions <= _MOST_DIMENSIONS:
        raise FormatError(
            f"{where}: expected 1 to {_MOST_DIMENSIONS} dimensions; "
            f"found {n_dimensions} at offset 3"
        )
    sizes = stream.read(4 * n_dimensions)
    if len(sizes) < 4 * n_dimensions:
        raise FormatError(
            f"{where}: expected {n_dimensions} dimensions from offset 4 to {4 + 4 * n_dimensions}; "
            f"found the end of the file at offset {4 + len(sizes)}"
        )
    shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes), 4))
    # NumPy refuses an empty array, too, whose other dimensions multiply to more than it can count.
    if dtype.itemsize * math.prod(n for n in shape if n) > sys.maxsize and 0 in shape:
        raise FormatError(
            f"{where}: expected dimensions that an array can have; found {shape} at offset 4"
        )
    return _Header(dtype, shape, dtype.itemsize * math.prod(shape))


def _read_data(stream: io.BufferedIOBase, header: _Header, where: str) -> NDArray[Any]:
    """Fill an array from the stream, and see that the stream ends there."""
    try:
        data = np.empty(header.data_bytes, dtype=np.uint8)
    except MemoryError as error:
        raise MemoryError(f"{where}: no memory for its {header}") from error
    view, done = data.data, 0
    while done < len(view):
        got = stream.readinto(view[done : done + _CHUNK])
        if not got:
            break
        done += got
    # One byte more is asked for in any case. In gzip it is only this that compares the checksum.
    longer = bool(stream.read(1))
    if longer or done < len(view):
        found = "more" if longer else f"{header.size - len(view) + done} bytes"
        raise FormatError(f"{where}: expected {header}, found {found}")
    array = data.view(header.dtype)
    if not header.dtype.isnative:
        array = array.byteswap(inplace=True).view(header.dtype.newbyteorder("="))
    return array.reshape(header.shape)


def _package_folder() -> Path:
    try:
        package = importlib.import_module(_PACKAGE)
    except ModuleNotFoundError as error:
        if error.name != _PACKAGE:
            raise
        message = f"MNIST: no folder was given and the package {_PACKAGE} is not installed"
        raise FileNotFoundError(f"{message}; {_TWO_WAYS}") from None
    return Path(package.folder())


def _read_either(folder: Path, name: str) -> tuple[Path, NDArray[Any]]:
    for path in (folder / f"{name}.gz", folder / name):
        try:
            return path, read_idx(path)
        except FileNotFoundError:
            continue
    message = f"MNIST: found neither {name}.gz nor {name} in this folder; {_TWO_WAYS}"
    raise FileNotFoundError(errno.ENOENT, message, shown(folder))


def _read_split(folder: Path, images_name: str, labels_name: str) -> tuple[Path, Split]:
    """One of the two parts, checked, and the path of its images."""
    images_path, images = _read_either(folder, images_name)
    labels_path, labels = _read_either(folder, labels_name)
    both = f"{shown(images_path)} and {shown(labels_path)}"
    found = f"{images.shape} {images.dtype.name} and {labels.shape} {labels.dtype.name}"
    if images.ndim != 3 or labels.ndim != 1 or images.dtype != np.uint8 or labels.dtype != np.uint8:
        raise FormatError(
            f"{both}: expected images (n, 28, 28) uint8 and labels (n,) uint8; found {found}"
        )
    if len(images) != len(labels):
        raise FormatError(f"{both}: expected as many images as labels; found {found}")
    wrong = np.flatnonzero(labels > 9)
    if len(wrong):
        row = int(wrong[0])
        raise FormatError(
            f"{shown(labels_path)}: expected labels from 0 to 9; found {len(wrong)} above, the "
            f"first in row {row}: {labels[row]}"
        )
    return images_path, Split(images, labels)
