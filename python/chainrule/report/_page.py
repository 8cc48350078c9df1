"""Sections become one HTML page, and their figures files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import NamedTuple

from chainrule import plots
from chainrule._extras import need
from chainrule.report._section import Block, Formula, Panel, Plot, Section, Table, Text, math


class Picture(NamedTuple):
    """A panel, drawn."""

    svg: bytes
    png: bytes


def check_extras() -> None:
    """Import what drawing and formulas need.

    Raises
    ------
    ModuleNotFoundError
        Where one is missing.
    """
    need("matplotlib.figure", "report")
    need("latex2mathml.converter", "report")


def file_name(plot: Plot, panel: Panel) -> str:
    """The name of a panel's files, without their endings."""
    return f"{plot.name}-{panel.name}" if panel.name else plot.name


def draw(sections: Iterable[Section]) -> Iterator[tuple[str, Picture]]:
    """Draw every panel of some sections; gives the name and the picture of each."""
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Plot):
                for panel in block.panels:
                    yield file_name(block, panel), _picture(panel)


def page(
    sections: Sequence[Section],
    pictures: Mapping[str, Picture],
    *,
    title: str,
    subtitle: str,
    introduction: str,
    colophon: str,
) -> str:
    """The whole page: styles, formulas and figures are in it, and nothing is fetched.

    Parameters
    ----------
    sections : sequence of Section
    pictures : mapping of str to Picture
        What `draw` gives.
    title, subtitle : str
        Plain text.
    introduction, colophon : str
        HTML: what stands before the first section and behind the last.
    """
    style = files("chainrule.report").joinpath("page.css").read_text(encoding="utf-8")
    contents = "".join(
        f'<li><a href="#{section.anchor}">{escape(section.title)}</a></li>' for section in sections
    )
    seen: set[int] = set()
    body = "".join(_section(section, pictures, seen) for section in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<header>\n"
        f'<h1>{escape(title)}</h1>\n<p class="subtitle">{escape(subtitle)}</p>\n</header>\n<main>\n'
        f"{introduction}\n<nav><ol>{contents}</ol></nav>\n{body}</main>\n"
        f"<footer>{colophon}</footer>\n</body>\n</html>\n"
    )


def _section(section: Section, pictures: Mapping[str, Picture], seen: set[int]) -> str:
    blocks = "\n".join(_block(block, pictures, seen) for block in section.blocks)
    return (
        f'<section id="{section.anchor}">\n'
        f'<h2><span class="number">{section.number}</span>{escape(section.title)}</h2>\n'
        f"{blocks}\n</section>\n"
    )


def _block(block: Block, pictures: Mapping[str, Picture], seen: set[int]) -> str:
    """One block as HTML; `seen` holds the equations that have their anchor already."""
    match block:
        case Text(html):
            return f"<p>{_glued(html)}</p>"
        case Formula(latex, equation):
            return _formula(latex, equation, seen)
        case Table():
            return _table(block)
        case Plot():
            return _plot(block, pictures)


def _glued(html: str) -> str:
    """Text of which no line begins with what follows a formula, such as a comma."""
    return re.sub(r"(<math(?:(?!<math).)*</math>[,.;:)]+)", r'<span class="glued">\1</span>', html)


def _formula(latex: str | tuple[str, ...], equation: int | None, seen: set[int]) -> str:
    parts = (latex,) if isinstance(latex, str) else latex
    mathml = f'<div class="parts">{"".join(math(part, display=True) for part in parts)}</div>'
    if equation is None:
        return f'<div class="formula">{mathml}</div>'
    anchor = "" if equation in seen else f' id="eq-{equation}"'
    seen.add(equation)
    label = f'<span class="equation" title="its number in the report">Eq. {equation}</span>'
    return f'<div class="formula"{anchor}>{mathml}{label}</div>'


def _table(table: Table) -> str:
    flush_right = [all(map(_is_number, column)) for column in zip(*table.rows, strict=True)]
    head = _row("th", table.head, flush_right)
    rows = "".join(_row("td", row, flush_right) for row in table.rows)
    return (
        f'<figure><div class="table"><table><thead>{head}</thead><tbody>{rows}</tbody></table>'
        f"</div><figcaption>{_glued(table.caption)}</figcaption></figure>"
    )


def _row(tag: str, cells: Sequence[str], flush_right: Sequence[bool]) -> str:
    """One row; a column of numbers is set flush right, with its head."""
    kinds = (' class="numeric"' if right else "" for right in flush_right)
    made = (f"<{tag}{kind}>{cell}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))
    return f"<tr>{''.join(made)}</tr>"


def _is_number(cell: str) -> bool:
    return cell.startswith(('<span class="n"', '<span class="reported"'))


def _plot(plot: Plot, pictures: Mapping[str, Picture]) -> str:
    plain = escape(re.sub(r"<[^>]*>", "", plot.caption), quote=True)
    drawn = "".join(
        _inline(file_name(plot, panel), pictures[file_name(plot, panel)].svg, panel, plain)
        for panel in plot.panels
    )
    source = f'<span class="source">Fig. {plot.figure} of the report</span>' if plot.figure else ""
    return (
        f'<figure id="{plot.name}"><div class="panels">{drawn}</div>'
        f"<figcaption>{_glued(plot.caption)} {source}</figcaption></figure>"
    )


def _inline(name: str, svg: bytes, panel: Panel, label: str) -> str:
    """An SVG as part of the page: without its prologue, its ids made unique by its name."""
    text = svg.decode("utf-8")
    text = text[text.index("<svg") :].strip()
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
    width = panel.size[0] * 96  # CSS pixels
    # Not the width itself, which the style would then not make smaller in print.
    opening = f'<svg role="img" aria-label="{label}" style="--width:{width:.0f}px" '
    return text.replace("<svg ", opening, 1)


def _picture(panel: Panel) -> Picture:
    figure_module = need("matplotlib.figure", "report")
    with plots.style():
        figure = figure_module.Figure(figsize=panel.size, layout="constrained")
        panel.draw(figure)
    return Picture(svg=plots.render(figure, "svg"), png=plots.render(figure, "png"))
