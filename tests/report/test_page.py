"""The page as a whole: it stands by itself, its parts are there, and nothing points nowhere."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from chainrule import mnist, report
from chainrule.report import _page
from chainrule.report._section import Formula, Panel, Plot, Section, Table, Text, number, reported

MATH = Path(__file__).parents[2] / "docs" / "math.md"
VOID = {"meta", "br", "img", "hr", "link", "input"}


class Elements(HTMLParser):
    """Every element with its attributes; fails where tags are not nested."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.text = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attributes for found, attributes in self.found if found == tag]


@pytest.fixture(scope="module")
def elements(html):
    return Elements(html)


def test_command_says_what_it_does(made):
    done, folder = made
    assert done.code == 0, done
    lines = done.errors.splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(1, 11))
    assert re.fullmatch(rf"written in \d+ s: {folder}/report.html\n", done.output)


def test_page_stands_by_itself(html, elements):
    """No script, nothing fetched: all that it points to is in it."""
    assert not elements.all("script")
    assert not elements.all("link")
    assert not elements.all("iframe")
    for _, attributes in elements.found:
        for name, value in attributes.items():
            if name in {"href", "xlink:href", "src"}:
                assert value.startswith(("#", "data:image/png;base64,"))
            assert not name.startswith("on")
    style = html[html.index("<style>") : html.index("</style>")]
    assert "@import" not in html
    assert "url(" not in style


def test_ids_are_unique_and_what_is_pointed_to_is_there(html, elements):
    ids = Counter(attributes["id"] for _, attributes in elements.found if "id" in attributes)
    assert ids.most_common(1)[0][1] == 1
    targets = set(re.findall(r'href="#([^"]+)"', html)) | set(re.findall(r"url\(#([^)]+)\)", html))
    assert len(targets) > 100
    assert targets <= set(ids)


def test_ten_sections_with_their_contents(elements):
    sections = [attributes["id"] for attributes in elements.all("section")]
    assert len(sections) == 10
    links = [attributes["href"] for attributes in elements.all("a")]
    assert links == [f"#{anchor}" for anchor in sections]


def test_every_figure_of_the_report_is_there(elements):
    text = "".join(elements.text)
    shown = {int(n) for n in re.findall(r"Fig\. (\d+) of the report", text)}
    assert shown == set(range(1, 11))


def test_equations_have_anchors_and_the_page_on_mathematics_names_them(elements):
    anchors = {
        int(attributes["id"].removeprefix("eq-"))
        for attributes in elements.all("div")
        if attributes.get("id", "").startswith("eq-")
    }
    assert {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 24} <= anchors
    linked = re.findall(r"report\.html#eq-(\d+)\)", MATH.read_text(encoding="utf-8"))
    assert linked
    assert set(map(int, linked)) <= anchors


def test_formulas_are_mathml(elements):
    assert len(elements.all("math")) > 40
    assert "\\" not in "".join(elements.text)


def test_figures_are_svg_on_the_page_and_files_beside_it(made, elements):
    folder = made[1]
    drawn = elements.all("svg")
    assert len(drawn) > 20
    assert all(attributes["role"] == "img" for attributes in drawn)
    assert all(len(attributes["aria-label"]) > 20 for attributes in drawn)
    names = sorted(path.stem for path in folder.glob("*.svg"))
    assert names == sorted(path.stem for path in folder.glob("*.png"))
    assert len(names) == len(drawn)
    assert {path.name for path in folder.iterdir()} == {
        "report.html",
        *(f"{name}.{kind}" for name in names for kind in ("svg", "png")),
    }
    for name in names:
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.width >= 400
            assert len(picture.convert("L").getcolors()) > 10


def test_figures_have_captions(elements):
    assert len(elements.all("figcaption")) == len(elements.all("figure"))


def test_numbers_of_the_report_are_marked(html):
    for theirs in ("0.9208", "1m50s", "51,419"):
        assert reported(theirs) in html
        assert theirs in re.findall(r'<span class="reported"[^>]*>([^<]*)</span>', html)


def test_same_seed_draws_the_same(mnist):
    first = dict(_page.draw([report._digits.section(report.digits(mnist, seed=3))]))
    again = dict(_page.draw([report._digits.section(report.digits(mnist, seed=3))]))
    other = dict(_page.draw([report._digits.section(report.digits(mnist, seed=4))]))
    assert first == again
    assert first != other


# ---- the parts of a page


def small(*blocks):
    sections = [Section(1, "one", "One < two", blocks)]
    pictures = dict(_page.draw(sections))
    return _page.page(sections, pictures, title="A & B", subtitle="s", introduction="", colophon="")


def test_text_formula_and_table():
    page = small(
        Text("<em>so</em>"),
        Formula("a^2", 7),
        Formula("a^3", 7),
        Table(["x", "y"], [["p", number(-1.5)], ["q", number(2)]], "c"),
    )
    elements = Elements(page)
    assert "<title>A &amp; B</title>" in page
    assert "One &lt; two" in page
    assert "<p><em>so</em></p>" in page
    assert page.count('id="eq-7"') == 1
    assert page.count("Eq. 7") == 2
    assert elements.all("th") == [{}, {"class": "numeric"}]
    assert page.count('<td class="numeric">') == 2
    assert '<span class="n">\u22121.5</span>' in page


def test_panels_of_one_plot_do_not_share_ids():
    def draw(figure):
        figure.add_subplot().plot([0, 1], [0, 1])

    plot = Plot("twice", "a caption", [Panel(draw, name="a"), Panel(draw, name="b")], figure=2)
    elements = Elements(small(plot))
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert {"twice", "twice-a-figure_1", "twice-b-figure_1"} <= set(ids)


# ---- write


def test_existing_page_is_refused_before_anything_is_computed(tmp_path):
    page = tmp_path / report.PAGE
    page.write_text("old")
    with pytest.raises(FileExistsError, match="force=True"):
        report.write(tmp_path, data=mnist.Mnist(None, None))
    assert page.read_text() == "old"
    assert list(tmp_path.iterdir()) == [page]


def test_failure_leaves_no_page(tmp_path, monkeypatch):
    def broken(*arguments, **settings):
        raise RuntimeError("broken")

    monkeypatch.setattr(report, "spirals", broken)
    with pytest.raises(RuntimeError, match="broken"):
        report.write(tmp_path / "deep" / "out")
    assert list((tmp_path / "deep" / "out").iterdir()) == []


@pytest.mark.parametrize("missing", ["matplotlib", "latex2mathml"])
def test_missing_extra_is_told_first(tmp_path, monkeypatch, missing):
    for name in (missing, f"{missing}.figure", f"{missing}.converter"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'chainrule\[report\]'"):
        report.write(tmp_path / "out")
    assert not (tmp_path / "out").exists()
