"""What a section of the report is made of: text, formulas, tables and figures.

Each section has a module of its own beside this one (`_classifier.py`, `_spirals.py`, ...) with two
functions: one that computes, public as `chainrule.report.<name>`, returns its numbers in a frozen
dataclass; the other, `section(numbers)`, tells them. So a test or a script has the numbers without
the page. No number is typed into a text: it comes from the dataclass or from a constant and goes
through `number`, `scientific` or `sizes`, or it is the report's own and goes through `reported`.
What is part of a formula goes through `math`.

Figures are made of panels of a few inches, which stand side by side on a wide page and one below
the other on a phone, where a wide figure would shrink until nobody can read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, TypeAlias

from chainrule import _report_run
from chainrule._extras import need

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Text:
    """A paragraph of HTML, made with f-strings and the functions below."""

    html: str


@dataclass(frozen=True)
class Formula:
    """A displayed formula."""

    latex: str | tuple[str, ...]
    """Of a long one its parts, which stand one below the other where they have no room in a row."""
    equation: int | None = None
    """Its number in the report."""


@dataclass(frozen=True)
class Table:
    """Rows of HTML cells under a head; numbers are set flush right.

    A phone has room for 43 letters in a row, of which each column takes its longest word and
    one more. Soft hyphens let words break.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str


@dataclass(frozen=True)
class Panel:
    """One picture, at most 4.2 inches wide, in letters of at least 9 points."""

    draw: Callable[[Figure], None]
    """Draws on an empty figure of the size, in the style of `plots.style`."""
    size: tuple[float, float] = (3.4, 2.7)
    """Width and height in inches."""
    name: str = ""
    """Of its file, behind the plot's; may be empty where the plot has one panel only."""


@dataclass(frozen=True)
class Plot:
    """One or more panels and what one sees on them."""

    name: str
    """Of its files: letters, digits and hyphens."""
    caption: str
    """HTML: what one sees."""
    panels: Sequence[Panel]
    figure: int | None = None
    """The number of the report's figure that this one reproduces."""


Block: TypeAlias = Text | Formula | Table | Plot


@dataclass(frozen=True)
class Section:
    """A section of the page."""

    number: int
    anchor: str
    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)


def number(value: Any, form: str = "", *, varies: bool = False) -> str:
    """A number computed in this run, or chosen for it, as HTML: `number(0.92345, ".4f")`.

    One that varies, such as a time, differs from run to run or from machine to machine.
    """
    text = escape(format(value, form)).replace("-", "\u2212")
    return f'<span class="n{" varies" if varies else ""}">{text}</span>'


def scientific(value: float) -> str:
    """A number computed in this run, of two digits and a power of ten: for the very small.

    Most are what rounding leaves, and so differ from machine to machine.
    """
    mantissa, exponent = f"{value:.1e}".split("e")
    power = str(int(exponent)).replace("-", "\u2212")
    mantissa = mantissa.replace("-", "\u2212")
    return f'<span class="n varies">{mantissa} \u00d7 10<sup>{power}</sup></span>'


def reported(text: str) -> str:
    """A number of the report's own, marked so."""
    return f'<span class="reported" title="the report\u2019s own number">{escape(text)}</span>'


def sizes(of: Iterable[int]) -> str:
    """The sizes of a network, as in 784-16-16-10: the report's own are marked so."""
    own = tuple(of)
    text = "-".join(map(str, own))
    return reported(text) if own == _report_run.SIZES else f'<span class="sizes">{text}</span>'


def math(latex: str, *, display: bool = False) -> str:
    """A formula as MathML.

    Raises
    ------
    ModuleNotFoundError
        Where latex2mathml, of the extra `report`, is missing.
    """
    converter = need("latex2mathml.converter", "report")
    mathml: str = converter.convert(latex, display="block" if display else "inline")
    return mathml
