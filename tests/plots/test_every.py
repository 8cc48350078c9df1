"""All functions: they draw where they are told to, legibly, and touch nothing else."""

import re
import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from plots.drawn import history_of

from chainrule import Network, plots

EVERY = {
    "learning_curve": lambda **to: plots.learning_curve(
        history_of([0.5, 0.25], [0.6, 0.3]), **to
    ),
    "learning_curve of accuracy": lambda **to: plots.learning_curve(
        history_of([0.5, 0.25]), "accuracy", **to
    ),
    "confusion_matrix": lambda **to: plots.confusion_matrix(
        np.diag(np.arange(1126, 1136)) + np.triu(np.arange(100).reshape(10, 10), 1), **to
    ),
    "weights_as_images": lambda **to: plots.weights_as_images(
        Network([784, 16, 10]).weights[0], **to
    ),
    "weights_as_images in one row": lambda **to: plots.weights_as_images(
        np.eye(3, 6), (2, 3), **to
    ),
    "digits": lambda **to: plots.digits(
        np.zeros((30, 28, 28), np.uint8), np.arange(30) % 10, **to
    ),
    "misclassified": lambda **to: plots.misclassified(
        np.zeros((12, 28, 28)), np.arange(12) % 2, np.tile([0.25, 0.5], (12, 1)), **to
    ),
    "misclassified, none": lambda **to: plots.misclassified(
        np.zeros((1, 28, 28)), [0], [[1, 0]], **to
    ),
    "decision_regions": lambda **to: plots.decision_regions(
        Network([2, 4, 3], seed=1), [[-1.0, 0], [3, 2]], [0, 2], **to
    ),
    "gradient_check": lambda **to: plots.gradient_check(
        np.logspace(-10, -1, 10), [1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 2e-11, 1e-10, 1e-8, 1e-6, 1e-4],
        **to,
    ),
    "network_drawing": lambda **to: plots.network_drawing(Network([784, 16, 16, 10]), **to),
    "network_drawing, all units": lambda **to: plots.network_drawing(
        Network([784, 16, 16, 10]), most=16, **to
    ),
    "network_drawing of sizes": lambda **to: plots.network_drawing([784, 16, 16, 10], **to),
    "network_drawing of one neuron a layer": lambda **to: plots.network_drawing(
        Network([1, 1, 1, 1]), sample=([0.5], 1.0), parameters=True, **to
    ),
    "network_drawing with a sample": lambda **to: plots.network_drawing(
        Network([2, 4, 6, 2], seed=3), sample=([0.5, -1.0], 1), **to
    ),
    "network_drawing with all numbers": lambda **to: plots.network_drawing(
        Network([2, 5, 3, 1], seed=3), sample=([0.5, -1.0], 1.0), parameters=True, **to
    ),
}  # fmt: skip


@pytest.fixture(params=EVERY)
def draw(request):
    return EVERY[request.param]


def test_every_function_is_drawn_here():
    functions = set(plots.__all__) - {"FORMATS", "PALETTE", "WIDTH", "render", "style"}
    assert {re.match(r"\w+", name)[0] for name in EVERY} == functions


def test_draws_into_the_axes_it_is_given_and_returns_them(draw, ax):
    other = ax.figure.add_subplot()
    before = dict(mpl.rcParams)
    assert draw(ax=ax) is ax
    assert ax.has_data() or ax.texts
    assert not other.has_data()
    assert ax.figure.axes[:2] == [ax, other]
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


def test_draws_a_new_figure_in_its_own_style(draw):
    """Whatever the user's settings are; and those are as before."""
    with mpl.rc_context({"font.size": 5, "text.color": "red", "xtick.labelsize": 4}):
        before = dict(mpl.rcParams)
        ax = draw()
        ax.figure.canvas.draw()
        assert dict(mpl.rcParams) == before
        assert len(plt.get_fignums()) == 1
        assert plt.gcf() is ax.figure
        for text in shown_texts(ax.figure):
            assert text.get_color() != "red"
            assert text.get_fontsize() > 6.5
            assert text.get_fontfamily() == ["DejaVu Sans"]


def test_ticks_that_come_later_are_in_its_style_too():
    with mpl.rc_context({"xtick.labelsize": 30, "xtick.color": "red", "grid.color": "red"}):
        ax = EVERY["learning_curve"]()
        tick = ax.xaxis.get_major_ticks(50)[-1]
    assert tick.label1.get_fontsize() == 9
    assert "red" not in {tick.label1.get_color(), tick.tick1line.get_color()}
    assert tick.gridline.get_color() != "red"


def test_leaves_no_figure_where_drawing_fails(monkeypatch):
    def fail(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(mpl.axes.Axes, "set_xlabel", fail)
    with pytest.raises(KeyboardInterrupt):
        EVERY["learning_curve"]()
    assert plt.get_fignums() == []


def shown_texts(figure):
    """All that is written; of the ticks only those that are in view."""
    texts, ticks = [], set()
    for axes in figure.findobj(mpl.axes.Axes):
        for axis in (axes.xaxis, axes.yaxis):
            ticks |= set(axis.findobj(mpl.axis.Tick))
            texts += [tick.label1 for tick in axis._update_ticks() if axes.axison]
    of_ticks = {text for tick in ticks for text in tick.findobj(mpl.text.Text)}
    texts += [text for text in figure.findobj(mpl.text.Text) if text not in of_ticks]
    return [text for text in texts if text.get_visible() and text.get_text()]


def extent(text):
    box = text.get_bbox_patch()
    return (text if box is None or box.get_edgecolor()[3] == 0 else box).get_window_extent()


def test_no_text_is_cut_or_lies_on_another(draw):
    ax = draw()
    with plots.style():
        ax.figure.canvas.draw()
        boxes = [(text.get_text(), extent(text).padded(-0.5)) for text in shown_texts(ax.figure)]
    whole = ax.figure.bbox
    for i, (name, box) in enumerate(boxes):
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1, name
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1, name
        for other, another in boxes[:i]:
            assert not box.overlaps(another), (name, other)


@pytest.mark.parametrize("kind", plots.FORMATS)
def test_renders_the_same_bytes_each_time(kind):
    pictures = {plots.render(EVERY["learning_curve"]().figure, kind) for _ in range(2)}
    assert len(pictures) == 1
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind]
    assert pictures.pop().startswith(start)


def test_svg_needs_no_font_and_has_no_date():
    svg = plots.render(EVERY["learning_curve"]().figure, "svg")
    assert b"<text" not in svg
    assert b"<dc:date>" not in svg


def test_unknown_kind_of_file(ax):
    with pytest.raises(ValueError, match="kind must be one of 'png', 'svg', 'pdf'; got 'jpg'"):
        plots.render(ax.figure, "jpg")


def test_style_knows_nothing_of_other_settings():
    with mpl.rc_context({"axes.grid": True, "lines.linewidth": 9}):
        before = dict(mpl.rcParams)
        with plots.style():
            assert mpl.rcParams["axes.grid"] is False
            assert mpl.rcParams["lines.linewidth"] < 2
        assert dict(mpl.rcParams) == before


def test_pyplot_is_imported_for_a_figure_of_its_own_only():
    """And nothing of matplotlib before the first call."""
    code = (
        "import sys, chainrule\n"
        "chainrule.plots.style\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from matplotlib.figure import Figure\n"
        "with chainrule.plots.style(): ax = Figure().subplots()\n"
        "network = chainrule.Network([2, 3, 1])\n"
        "chainrule.plots.network_drawing(network, ax=ax)\n"
        "chainrule.plots.decision_regions(network, [[0.0, 1.0]], [1], ax=ax)\n"
        "chainrule.plots.confusion_matrix([[1]], ax=ax)\n"
        "assert chainrule.plots.render(ax.figure)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "chainrule.plots.confusion_matrix([[1]])\n"
        "assert 'matplotlib.pyplot' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_says_what_to_install_where_matplotlib_is_missing(draw, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'chainrule\[plots\]'") as error:
        draw()
    assert error.value.name == "matplotlib"


def test_missing_style_says_it_too(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'chainrule\[plots\]'"):
        plots.style()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.learning_curve(history_of([1.0]), "los"), "did you mean 'loss'"),
        (plots.confusion_matrix, "a matrix, or both labels and predictions"),
        (lambda: plots.confusion_matrix([[1]], labels=[0]), "a matrix, or both"),
        (lambda: plots.confusion_matrix(labels=[0]), "a matrix, or both"),
        (lambda: plots.confusion_matrix([[1, 2]]), r"matrix must have shape \(n, n\)"),
        (lambda: plots.confusion_matrix([[-1]]), "matrix must hold whole numbers"),
        (lambda: plots.confusion_matrix([[0.5]]), "matrix must hold whole numbers"),
        (lambda: plots.confusion_matrix(labels=[0, 1], predictions=[0]), "one length"),
        (lambda: plots.confusion_matrix(labels=[], predictions=[]), "at least 1; got 0 and 0"),
        (lambda: plots.confusion_matrix(labels=[[0]], predictions=[0]), "labels must have shape"),
        (lambda: plots.weights_as_images(np.ones((2, 5))), r"\(n, 784\).*got \(2, 5\)"),
        (lambda: plots.weights_as_images([[np.nan]], (1, 1)), "weights must be finite"),
        (lambda: plots.weights_as_images([[1.0]], (1, 1), columns=0), "columns must be at least 1"),
        (lambda: plots.digits(np.zeros((28, 28))), r"\(n, height, width\).*got \(28, 28\)"),
        (lambda: plots.digits(np.zeros((0, 28, 28))), r"none 0; got \(0, 28, 28\)"),
        (lambda: plots.digits(np.zeros((2, 3, 3)), [1]), r"labels must have shape \(2,\)"),
        (lambda: plots.digits(np.zeros((1, 3, 3)), [1], [1, 2]), "predictions must have shape"),
        (lambda: plots.digits(np.full((1, 3, 3), np.inf)), "images must be finite"),
        (lambda: plots.misclassified(np.zeros((2, 3, 3)), [0, 1], [[1, 0]]), "outputs must have"),
        (lambda: plots.misclassified(np.zeros((1, 3, 3)), [0], [[1]]), "n_out of at least 2"),
        (lambda: plots.misclassified(np.zeros((1, 3, 3)), [0], [[1, 0]], count=0), "count must"),
        (lambda: plots.decision_regions(Network([3, 1]), [[0.0] * 3], [0]), "2 inputs.*got 3"),
        (lambda: plots.decision_regions(Network([2, 1]), [[0.0, 1]], [0, 1]), r"shape \(1,\)"),
        (lambda: plots.decision_regions(Network([2, 1]), [[0.0, 1]], [2]), r"labels in 0 \.\. 1"),
        (lambda: plots.decision_regions(Network([2, 8]), [[0.0, 1]], [2]), "at most 7 outputs"),
        (lambda: plots.gradient_check([1, 2], [1]), "one length of at least 1; got 2 and 1"),
        (lambda: plots.gradient_check([], []), "at least 1; got 0 and 0"),
        (lambda: plots.gradient_check([0], [1]), "epsilons must be above 0"),
        (lambda: plots.gradient_check([1], [-1]), "errors at least 0"),
        (lambda: plots.network_drawing([3]), "at least two sizes"),
        (lambda: plots.network_drawing([2, 1], most=2), "most must be at least 3"),
        (lambda: plots.network_drawing([2, 1], parameters=True), "need a network"),
        (lambda: plots.network_drawing([2, 1], direction="backward"), "needs a sample"),
        (lambda: plots.network_drawing([2, 1], direction="up"), "direction must be one of"),
        (lambda: plots.network_drawing([2, 1], digits=0), "digits must be at least 1"),
        (lambda: plots.network_drawing(Network([7, 1]), parameters=True), "at most 6 units; got 7"),
        (lambda: plots.network_drawing(Network([4, 4]), parameters=True), "at most 3 units"),
        (lambda: plots.network_drawing(Network([2, 1]), sample=([1.0], 0)), r"sample\[0\] must"),
    ],
)
def test_refuses_what_it_cannot_draw_and_leaves_no_figure(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
    assert plt.get_fignums() == []
