"""Sections 2 to 4 as they are told: their equations and figures, and panels that can be drawn."""

import pytest
from matplotlib.figure import Figure

from chainrule import plots, report
from chainrule.report import _classifier, _descending, _limits
from chainrule.report._section import Formula, Plot, Text

SECTIONS = {
    "classifier": lambda: _classifier.section(report.classifier()),
    "descent": lambda: _descending.section(report.descending()),
    "limits": lambda: _limits.section(report.limits()),
}


@pytest.fixture(scope="module")
def sections():
    return {anchor: make() for anchor, make in SECTIONS.items()}


@pytest.mark.parametrize(
    ("anchor", "number", "equations", "figures"),
    [
        ("classifier", 2, {1, 2, 3}, {2, 5}),
        ("descent", 3, {3, 4, 5}, {3}),
        ("limits", 4, set(), {4}),
    ],
)
def test_equations_and_figures(sections, anchor, number, equations, figures):
    section = sections[anchor]
    assert (section.number, section.anchor) == (number, anchor)
    formulas = [block for block in section.blocks if isinstance(block, Formula)]
    assert {block.equation for block in formulas} - {None} == equations
    drawn = [block for block in section.blocks if isinstance(block, Plot)]
    assert {block.figure for block in drawn} - {None} == figures
    assert len({block.name for block in drawn}) == len(drawn)


@pytest.mark.parametrize("anchor", SECTIONS)
def test_panels_are_drawn(sections, anchor):
    for block in sections[anchor].blocks:
        for panel in block.panels if isinstance(block, Plot) else ():
            assert panel.size[0] <= plots.WIDTH
            with plots.style():
                figure = Figure(figsize=panel.size, layout="constrained")
                panel.draw(figure)
                figure.draw_without_rendering()
            (ax,) = figure.axes
            assert ax.get_xlabel()
            assert ax.get_ylabel()
            sizes = {label.get_fontsize() for label in ax.get_xticklabels()}
            assert min(sizes) >= 9


def test_the_text_follows_the_numbers():
    one, other = (
        " ".join(
            block.html
            for block in _classifier.section(report.classifier(seed=seed)).blocks
            if isinstance(block, Text)
        )
        for seed in (0, 1)
    )
    assert one != other
    numbers = report.classifier(seed=1)
    assert f"{numbers.closed_rmse:.4f}" in other
    assert f"{100 * numbers.accuracy:.1f}" in other
