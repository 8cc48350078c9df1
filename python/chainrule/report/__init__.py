"""The report that the package grew from, reproduced by today's code.

"Using Neural Networks and Backpropagation Algorithms to Recognize Hand-written Digits" argues from
a quadratic form and gradient descent to a network trained by backpropagation. `write` makes one
self-contained HTML page of it. Each section's numbers come from a function of its own, which needs
neither matplotlib nor the page.

>>> from chainrule import report
>>> report.counting((784, 16, 16, 10)).total
13002
"""

from __future__ import annotations

import errno
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chainrule import _backend, _files, mnist
from chainrule.report import (
    _backpropagation,
    _classifier,
    _counting,
    _descending,
    _digits,
    _limits,
    _neuron,
    _numerical,
    _page,
    _result,
    _spirals,
)
from chainrule.report._backpropagation import backpropagation
from chainrule.report._classifier import classifier
from chainrule.report._counting import counting
from chainrule.report._descending import descending
from chainrule.report._digits import digits
from chainrule.report._limits import limits
from chainrule.report._neuron import neuron
from chainrule.report._numerical import numerical
from chainrule.report._result import result
from chainrule.report._section import Section, number, reported
from chainrule.report._spirals import spirals

if TYPE_CHECKING:
    from chainrule.mnist import Mnist

__all__ = [
    "PAGE",
    "Section",
    "backpropagation",
    "classifier",
    "counting",
    "descending",
    "digits",
    "existing",
    "limits",
    "neuron",
    "numerical",
    "result",
    "sections",
    "spirals",
    "write",
]

PAGE = "report.html"
"""The name of the page in its folder."""
TITLE = "Recognizing hand-written digits by backpropagation"


def sections(data: Mnist, *, seed: int = 0) -> Iterator[Section]:
    """Compute the sections, one after the other.

    Parameters
    ----------
    data : Mnist
        What `mnist.load` returns.
    seed : int
        All that is drawn comes from it.

    Yields
    ------
    Section
    """
    yield _digits.section(digits(data, seed=seed))
    yield _classifier.section(classifier(seed=seed))
    yield _descending.section(descending())
    yield _limits.section(limits())
    yield _spirals.section(spirals(seed=seed))
    yield _neuron.section(neuron(seed=seed))
    yield _counting.section(counting())
    yield _numerical.section(numerical(seed=seed))
    yield _backpropagation.section(backpropagation(seed=seed))
    yield _result.section(result(data, seed=seed))


def write(
    folder: str | os.PathLike[str],
    *,
    data: Mnist | None = None,
    seed: int = 0,
    force: bool = False,
    progress: Callable[[Section], None] | None = None,
) -> Path:
    """Compute all sections and write the page, and its figures as SVG and PNG beside it.

    Parameters
    ----------
    folder : path
        Made where it is not there yet.
    data : Mnist, optional
        None: what `mnist.load` finds.
    seed : int
        All that is drawn comes from it. Only the measured times differ from run to run.
    force : bool
        Replace the files of an earlier report.
    progress : callable, optional
        Called with each section when it has been computed.

    Returns
    -------
    pathlib.Path
        The page, `report.html` in the folder.

    Raises
    ------
    ModuleNotFoundError
        Where matplotlib or latex2mathml, of the extra `report`, is missing.
    FileExistsError
        Where the folder holds files of a report already and `force` is not set; nothing is computed
        then.
    OSError
        Where a file cannot be written. An earlier page stays then, and no part of one is left.
    ValueError
        Where the folder's name is empty.
    FileNotFoundError, FormatError
        As `mnist.load` raises them.
    """
    _page.check_extras()
    if not os.fspath(folder):
        raise ValueError("folder must have a name; got ''")
    target = Path(folder)
    _refuse(existing(target), force=force)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=target):  # now, not after all the work
        pass
    began = time.perf_counter()
    loaded = mnist.load() if data is None else data
    done = []
    pictures: dict[str, _page.Picture] = {}
    for section in sections(loaded, seed=seed):
        done.append(section)
        pictures.update(_page.draw([section]))
        if progress is not None:
            progress(section)
    text = _page.page(
        done,
        pictures,
        title=TITLE,
        subtitle="The report, reproduced by chainrule",
        introduction=_introduction(seed),
        colophon=_colophon(time.perf_counter() - began),
    )
    made = {target / f"{name}.svg": picture.svg for name, picture in pictures.items()}
    made |= {target / f"{name}.png": picture.png for name, picture in pictures.items()}
    page = target / PAGE
    made[page] = text.encode("utf-8")  # last: where it is, all is
    _refuse([path for path in made if path.exists()], force=force)  # it took a while
    for path, content in made.items():
        _files.write(path, content)
    return page


def existing(folder: Path) -> list[Path]:
    """Return what a folder has of a report already, or what is named as if it were.

    Parameters
    ----------
    folder : pathlib.Path
        May be missing.

    Returns
    -------
    list of pathlib.Path
        The page, and all `NN-*.svg` and `NN-*.png`, NN being two digits.
    """
    found = [path for ending in ("svg", "png") for path in folder.glob(f"[0-9][0-9]-*.{ending}")]
    page = folder / PAGE
    return [page] * page.exists() + sorted(found)


def _refuse(there: Sequence[Path], *, force: bool) -> None:
    if there and not force:
        message = "a file of a report is there already; force=True replaces it"
        raise FileExistsError(errno.EEXIST, message, str(there[0]))


def _introduction(seed: int) -> str:
    return (
        "<p>A student report, \u201cUsing Neural Networks and Backpropagation Algorithms to "
        "Recognize Hand-written Digits\u201d, goes from a quadratic form to a network that reads "
        "digits. This page goes the same way with the code of today. Numbers set like "
        f"{reported('this')} and the numbers of equations and figures are the report\u2019s own; "
        f"every other number was chosen here or computed in this run, from the seed {number(seed)}."
        "</p>"
    )


def _colophon(seconds: float) -> str:
    engine = _backend.choose()
    return (
        "<p>Made by <code>chainrule report</code> in "
        f"{number(seconds, '.0f', varies=True)} s: chainrule "
        f"{number(_backend.version(), varies=True)}, engine {engine}, Python "
        f"{number(platform.python_version(), varies=True)}, NumPy "
        f"{number(np.__version__, varies=True)}.</p>"
    )
