"""docs/report/ is what the command writes today: `make docs` makes it anew."""

import importlib.util
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs" / "report"


def told(html):
    """The text of a page with blanks for its numbers, and those but for what varies."""
    html = re.sub(r"<style>.*?</style>|<svg.*?</svg>|aria-label=\"[^\"]*\"", "", html,
                  flags=re.DOTALL)  # fmt: skip
    html = re.sub(r'<span class="n varies">.*?</span>', "(varies)", html)
    number = r'<span class="n">(.*?)</span>'
    text = unescape(re.sub("<[^>]*>", " ", re.sub(number, "(number)", html)))
    return re.sub(r"engine \w+", "engine", text).split(), re.findall(number, html)


def test_page_is_what_the_command_writes(html):
    committed = (DOCS / "report.html").read_text(encoding="utf-8")
    (text, numbers), (old_text, old_numbers) = told(html), told(committed)
    assert len(text) > 2000
    assert text == old_text, "make docs"
    assert len(numbers) > 150
    for new, old in zip(numbers, old_numbers, strict=True):
        if "." in new:  # NumPy's sums, and what follows from them, depend on the processor
            values = [float(each.replace("−", "-").rstrip("%")) for each in (new, old)]
            assert values[0] == pytest.approx(values[1], rel=0.02, abs=0.005), "make docs"
        else:
            assert new == old, "make docs"


def test_picture_is_made_of_the_command_s(made):
    spec = importlib.util.spec_from_file_location("make", DOCS / "make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    fresh = np.asarray(make.spirals(made.folder).convert("RGB"), float)
    with Image.open(DOCS / "spirals.png") as picture:
        committed = np.asarray(picture.convert("RGB"), float)
    assert fresh.shape == committed.shape
    assert np.abs(fresh - committed).mean() < 1, "make docs"
