"""The page as a whole: it stands by itself, its parts are there, and nothing points nowhere."""

import errno
import re
from collections import Counter
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from chainrule import _files, mnist, report
from chainrule.report import _page
from chainrule.report._section import (
    Formula,
    Panel,
    Plot,
    Section,
    Table,
    Text,
    math,
    number,
    reported,
)

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


def test_takes_less_than_a_minute(made):
    """Of a processor's time: the clock would tell of whatever else the machine does."""
    assert 1 < made.cpu_seconds < 60


def test_command_says_what_it_does(made):
    done, folder = made.done, made.folder
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
    assert anchors == {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 24}
    linked = re.findall(r"^\| \[(\d+)(?:-(\d+))?\]\(\S*report\.html#eq-(\d+)\)",
                        MATH.read_text(encoding="utf-8"), re.MULTILINE)  # fmt: skip
    assert all(first == target for first, _, target in linked)
    named = {n for first, last, _ in linked for n in range(int(first), int(last or first) + 1)}
    assert named == anchors
    # The steps between are told in a sentence.
    assert "Eq. 15 to 23" in re.sub(r"\s+", " ", "".join(elements.text))


def test_formulas_are_mathml(elements):
    assert len(elements.all("math")) > 40
    assert "\\" not in "".join(elements.text)


class Unmarked(HTMLParser):
    """The text that is neither marked as a number, nor a formula, nor a figure."""

    MARKED = frozenset({"n", "reported", "sizes", "number", "equation", "source"})

    def __init__(self, text):
        super().__init__()
        self.text, self.within = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        classes = set((dict(attributes).get("class") or "").split())
        if self.within or tag in {"math", "svg", "style"} or classes & self.MARKED:
            self.within += [tag] * (tag not in VOID)

    def handle_endtag(self, tag):
        if self.within:
            assert self.within.pop() == tag

    def handle_data(self, data):
        if not self.within:
            self.text.append(data)


def test_every_number_is_marked_as_the_report_s_or_this_run_s(html):
    """But for those of equations, and of figures and sections, which have their own classes."""
    text = re.sub(r"\s+", " ", " ".join(Unmarked(html[html.index("<body") :]).text))
    assert len(text) > 5000
    equations = r"\bEq\. \d+( to \d+)?"
    assert len(re.findall(equations, text)) > 10
    unmarked = re.sub(equations, "", text)
    assert re.findall(r".{0,30}\d.{0,30}", unmarked) == []
    # Nor has an f-string lost its f.
    assert not set("{}") & set(text)


def test_numbers_that_are_the_report_s_are_its_only_ones(html):
    ours = set(re.findall(r'<span class="n[^>]*>([^<]*)</span>', html))
    assert "784-16-16-10" not in re.findall(r'<span class="sizes">([^<]*)</span>', html)
    assert len(ours) > 200


# ---- it has room on a phone

LETTERS = 43  # in the 328 pixels that a phone of 360 leaves: tried in a browser


def widest_word(cell):
    """In letters: of a formula, of which a fraction is as wide as its longer half, about."""
    cell = re.sub(r"<mfrac>.*?</mfrac>", lambda m: letters(m[0])[: len(letters(m[0])) // 2], cell)
    cell = re.sub(r'<span class="(?:n|reported|sizes).*?</span>',
                  lambda m: letters(m[0]).replace(" ", "_"), cell)  # fmt: skip
    cell = re.sub(r"<math.*?</math>", lambda m: letters(m[0]), cell)
    return max(map(len, re.split(r"[ \n]|(?<=\u00ad)", letters(cell))))


def letters(html):
    return unescape(re.sub("<[^>]*>", "", html))


def test_tables_fit_a_phone(html):
    tables = re.findall(r"<table>(.*?)</table>", html, re.DOTALL)
    assert len(tables) > 10
    for table in tables:
        rows = [
            re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", row) for row in table.split("</tr>")[:-1]
        ]
        columns = list(zip(*rows, strict=True))
        assert len(columns) > 1
        needed = sum(max(map(widest_word, column)) + 1 for column in columns)
        assert needed <= LETTERS, rows[0]


def test_formulas_fit_a_phone(html):
    """The parts of one that is displayed; one within the text is not broken."""
    found = re.findall(r"<math[^>]*>.*?</math>", html, re.DOTALL)
    assert len(found) > 40
    for formula in found:
        height = formula.count("<mfrac>") or 1  # halves a width, about
        assert len(letters(formula)) / min(height, 2) <= 34, letters(formula)


def test_width_of_a_cell_in_letters():
    assert widest_word("param\u00adeters") == 6
    assert widest_word("of <b>several</b> words") == 7
    assert widest_word(number("1.5 ms")) == 6
    assert widest_word(math(r"\frac{ab}{cd}")) == 2


def test_long_formula_is_made_of_parts():
    page = small(Formula(("a", "{} + b"), 7))
    assert re.search(r'<div class="parts"><math.*</math><math.*</math></div><span', page)


def test_what_follows_a_formula_stays_with_it():
    page = small(Text("<math>a</math> and <math>b</math>, so <math>c</math>."))
    assert re.findall(r'<span class="glued">(.*?)</span>', page) == [
        "<math>b</math>,", "<math>c</math>.",
    ]  # fmt: skip


def test_print_does_not_scroll_and_has_smaller_figures(html):
    style = html[html.index("@media print") : html.index("</style>")]
    assert re.search(r"\.table, \.parts math \{ overflow: visible; \}", style)
    assert "calc(0.7 * var(--width))" in style
    assert re.search(r"html \{ font-size: \d+pt; \}", style)


def test_figures_are_svg_on_the_page_and_files_beside_it(made, elements):
    folder = made.folder
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


@pytest.mark.parametrize("name", [report.PAGE, "01-digits.png", "03-mine.svg"])
def test_fault_127_what_is_there_is_refused_before_anything_is_computed(tmp_path, name):
    path = tmp_path / name
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="force=True") as error:
        report.write(tmp_path, data=mnist.Mnist(None, None))
    assert error.value.filename == str(path)
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def quick(monkeypatch):
    """One section with one figure."""

    def draw(figure):
        figure.add_subplot().plot([0, 1])

    section = Section(1, "a", "A", [Plot("01-a", "a caption", [Panel(draw)])])
    monkeypatch.setattr(report, "sections", lambda *_, **__: iter([section]))


def test_fault_127_what_came_meanwhile_is_refused_too(tmp_path, quick):
    other = tmp_path / "01-a.png"

    def meanwhile(section):
        other.write_text("mine")

    with pytest.raises(FileExistsError, match="force=True"):
        report.write(tmp_path, data=mnist.Mnist(None, None), progress=meanwhile)
    assert other.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [other]


def test_other_files_may_be_there(tmp_path, quick):
    for name in ("notes.txt", "1-a.png", "photo.png", "01-a.pdf"):
        (tmp_path / name).write_text("mine")
    assert report.existing(tmp_path) == []
    page = report.write(tmp_path, data=mnist.Mnist(None, None))
    assert report.existing(tmp_path) == [page, tmp_path / "01-a.png", tmp_path / "01-a.svg"]
    assert len(list(tmp_path.iterdir())) == 4 + 3
    assert report.existing(tmp_path / "nowhere") == []


@pytest.mark.parametrize("calls", [0, 1, 2])
def test_write_that_fails_half_way_loses_nothing_but_the_page(tmp_path, quick, monkeypatch, calls):
    """There is none, or the one before; and no file is cut."""
    write, done = _files.write, []

    def full(path, data):
        if len(done) == calls:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        done.append(path)
        write(path, data)

    nothing = mnist.Mnist(None, None)
    (tmp_path / "old").mkdir()
    before = report.write(tmp_path / "old", data=nothing).read_bytes()
    monkeypatch.setattr(report, "_files", SimpleNamespace(write=full))
    for folder, force in (("new", False), ("old", True)):
        done.clear()
        with pytest.raises(OSError, match="No space left"):
            report.write(tmp_path / folder, data=nothing, force=force)
        assert len(done) == calls
    assert len(list((tmp_path / "new").iterdir())) == calls
    assert (tmp_path / "old" / report.PAGE).read_bytes() == before
    assert len(list((tmp_path / "old").iterdir())) == 3


def test_folder_without_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="must have a name"):
        report.write("")
    assert list(tmp_path.iterdir()) == []


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
