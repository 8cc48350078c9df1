"""Sections 5 to 7 as they are told: their equations and figures, and letters that can be read."""

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text as Letters

from chainrule import plots, report
from chainrule.report import _counting, _neuron, _spirals
from chainrule.report._section import Formula, Plot

SECTIONS = {
    "spirals": lambda: _spirals.section(report.spirals()),
    "neuron": lambda: _neuron.section(report.neuron()),
    "counting": lambda: _counting.section(report.counting()),
}


@pytest.fixture(scope="module")
def sections():
    return {anchor: make() for anchor, make in SECTIONS.items()}


@pytest.mark.parametrize(
    ("anchor", "number", "equations", "figures"),
    [("spirals", 5, set(), {6}), ("neuron", 6, {6, 7}, {7}), ("counting", 7, {8}, set())],
)
def test_equations_and_figures(sections, anchor, number, equations, figures):
    section = sections[anchor]
    assert (section.number, section.anchor) == (number, anchor)
    formulas = [block for block in section.blocks if isinstance(block, Formula)]
    assert {block.equation for block in formulas} - {None} == equations
    drawn = [block for block in section.blocks if isinstance(block, Plot)]
    assert {block.figure for block in drawn} - {None} == figures


@pytest.mark.parametrize("anchor", SECTIONS)
def test_panels_can_be_read(sections, anchor):
    for block in sections[anchor].blocks:
        for panel in block.panels if isinstance(block, Plot) else ():
            assert panel.size[0] <= plots.WIDTH
            with plots.style():
                figure = Figure(figsize=panel.size, layout="constrained")
                panel.draw(figure)
                figure.draw_without_rendering()
            letters = [
                text for text in figure.findobj(Letters) if text.get_text() and text.get_visible()
            ]
            assert letters
            assert min(text.get_fontsize() for text in letters) >= 9
            for text in letters:
                box = text.get_window_extent()
                # Ticks beyond the axes' limits are made but not drawn.
                if text.axes is None or text not in [
                    *text.axes.get_xticklabels(),
                    *text.axes.get_yticklabels(),
                ]:
                    assert box.x0 >= 0
                    assert box.x1 <= figure.bbox.width
                    assert box.y0 >= 0
                    assert box.y1 <= figure.bbox.height
