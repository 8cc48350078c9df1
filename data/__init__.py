"""The MNIST database of handwritten digits, as four gzipped IDX files.

`chainrule.mnist.load()` finds the files through this package. README.md, beside them, has their
source, licence and checksums.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["folder"]


def folder() -> Path:
    """Return the folder that holds the four files and SHA256SUMS.

    Returns
    -------
    pathlib.Path

    Examples
    --------
    >>> import chainrule_mnist
    >>> sorted(path.name for path in chainrule_mnist.folder().glob("*-images-*.gz"))
    ['t10k-images-idx3-ubyte.gz', 'train-images-idx3-ubyte.gz']
    """
    return Path(__file__).resolve().parent
