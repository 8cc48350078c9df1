"""Figures: what is drawn is what is there, where it was asked for, legible, and nothing else."""

import re
import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from chainrule import History, Network, plots

BLUE, VERMILION = (colour.lower() for colour in plots.PALETTE[:2])


@pytest.fixture(autouse=True)
def _no_window(monkeypatch):
    """Each test draws without a display, and finds and leaves pyplot without figures."""
    monkeypatch.delenv("DISPLAY", raising=False)
    plt.switch_backend("agg")
    assert plt.get_fignums() == []
    yield
    plt.close("all")


@pytest.fixture
def ax():
    """Axes of a figure that pyplot knows nothing of."""
    with plots.style():
        return Figure().subplots()


@pytest.fixture
def ours(rng):
    """A network small enough to be drawn with all its numbers."""
    network = Network([2, 3, 2], dtype="float64", seed=3)
    network.set_flat_parameters(rng.normal(size=network.n_parameters))
    return network


def history_of(loss, validation=None):
    history = History()
    for i, value in enumerate(loss):
        history.steps.append(100 * (i + 1))
        history.loss.append(value)
        history.accuracy.append(1 - value)
        history.validation_loss.append(None if validation is None else validation[i])
        history.validation_accuracy.append(None)
    return history


def texts(axes):
    return [text.get_text() for text in axes.texts]


# ---- all of them


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
        (lambda: plots.network_drawing(Network([7, 1]), parameters=True), "at most 6 units; got 7"),
        (lambda: plots.network_drawing(Network([4, 4]), parameters=True), "at most 3 units"),
        (lambda: plots.network_drawing(Network([2, 1]), sample=([1.0], 0)), r"sample\[0\] must"),
    ],
)
def test_refuses_what_it_cannot_draw_and_leaves_no_figure(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
    assert plt.get_fignums() == []


# ---- lines


def test_learning_curve(ax):
    plots.learning_curve(history_of([0.5, 0.25, 0.125]), ax=ax)
    (line,) = ax.lines
    assert line.get_xydata().tolist() == [[100, 0.5], [200, 0.25], [300, 0.125]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("steps", "loss")
    assert ax.get_legend() is None
    assert ax.get_ylim()[0] == ax.get_xlim()[0] == 0


def test_learning_curve_of_validation_data_is_dashed(ax):
    plots.learning_curve(history_of([0.5, 0.25], [None, 0.375]), ax=ax)
    training, validation = ax.lines
    assert training.get_ydata().tolist() == [0.5, 0.25]
    assert np.array_equal(validation.get_ydata(), [np.nan, 0.375], equal_nan=True)
    assert (training.get_linestyle(), validation.get_linestyle()) == ("-", "--")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "validation"]


def test_learning_curve_of_accuracy(ax):
    plots.learning_curve(history_of([0.5, 0.25]), "accuracy", ax=ax)
    assert ax.lines[0].get_ydata().tolist() == [0.5, 0.75]
    assert ax.get_ylabel() == "accuracy"


def test_learning_curve_of_a_fit(ax):
    network = Network([2, 1], loss="binary_cross_entropy")
    x, y = [[0.0, 1.0], [1.0, 0.0]], [0, 1]
    history = network.fit(x, y, epochs=3, learning_rate=0.5, validation_data=(x, y))
    plots.learning_curve(history, ax=ax)
    assert ax.lines[0].get_ydata().tolist() == history.loss
    assert ax.lines[1].get_ydata().tolist() == history.validation_loss


def test_learning_curve_of_nothing_and_of_much(ax):
    plots.learning_curve(History(), "accuracy", ax=ax)
    assert len(ax.lines[0].get_xdata()) == 0
    plots.learning_curve(history_of([0.5] * 100), ax=ax)
    assert ax.lines[0].get_marker() == "o"
    assert ax.lines[1].get_marker() in {"", "None"}


def test_learning_curve_without_accuracy(ax):
    history = history_of([0.5])
    history.accuracy = [None]
    with pytest.raises(ValueError, match=r"history has no accuracy.* draw the loss"):
        plots.learning_curve(history, "accuracy", ax=ax)


def test_gradient_check(ax):
    plots.gradient_check([1e-2, 1e-8, 1e-5, 1e-9], [1e-4, 1e-7, 2e-11, 0], ax=ax)
    line, least = ax.lines
    assert line.get_xdata().tolist() == [1e-9, 1e-8, 1e-5, 1e-2]
    assert np.array_equal(line.get_ydata(), [np.nan, 1e-7, 2e-11, 1e-4], equal_nan=True)
    assert least.get_xydata().tolist() == [[1e-5, 2e-11]]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert texts(ax) == ["2e-11 at ε = 1e-5", "← rounding", "truncation →"]


def test_gradient_check_without_any_error(ax):
    plots.gradient_check([1e-3, 1e-2], [0, 0], ax=ax)
    assert texts(ax) == []


# ---- classes


def test_confusion_matrix(ax):
    counts = np.array([[50, 3, 0], [0, 40, 1], [7, 0, 30]])
    plots.confusion_matrix(counts, ax=ax)
    right, wrong = (image.get_array() for image in ax.images)
    assert right.compressed().tolist() == [50, 40, 30]
    assert wrong.compressed().tolist() == [3, 1, 7]
    assert np.array_equal(right.filled(0) + wrong.filled(0), counts)
    assert [image.get_clim() for image in ax.images] == [(0, 50), (0, 7)]
    assert [to_hex(image.to_rgba(50)) for image in ax.images] == [BLUE, VERMILION]
    written = {text.get_position()[::-1]: int(text.get_text()) for text in ax.texts}
    assert written == {(i, j): n for (i, j), n in np.ndenumerate(counts) if n}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["0", "1", "2"]


def test_confusion_matrix_counts(ax):
    plots.confusion_matrix(labels=[0, 0, 2, 1, 2], predictions=[0, 1, 2, 1, 0], ax=ax)
    right, wrong = (image.get_array().filled(0) for image in ax.images)
    assert (right + wrong).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]


def test_confusion_matrix_of_many_classes_has_no_numbers(ax):
    plots.confusion_matrix(np.eye(21, dtype=int), ax=ax)
    assert texts(ax) == []
    assert len(ax.get_xticks()) == 0


def test_numbers_stand_out_from_their_cells(ax):
    plots.confusion_matrix(np.arange(1, 101).reshape(10, 10), ax=ax)
    for text in ax.texts:
        column, row = text.get_position()
        cell = ax.images[0 if row == column else 1].to_rgba(int(text.get_text()))
        light, dark = sorted(map(luminance, (cell, mpl.colors.to_rgb(text.get_color()))))[::-1]
        assert (light + 0.05) / (dark + 0.05) > 3.8


def luminance(colour):
    """WCAG 2's relative luminance."""
    c = np.array(colour[:3])
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]


@pytest.mark.parametrize(
    ("sizes", "settings"),
    [([2, 4, 1], {}), ([2, 4, 2], {"loss": "cross_entropy"}), ([2, 5, 4], {"dtype": "float64"})],
)
def test_decision_regions(ax, rng, sizes, settings):
    network = Network(sizes, seed=2, **settings)
    network.set_flat_parameters(rng.normal(0, 3, network.n_parameters))
    x = rng.normal(size=(40, 2))
    y = np.arange(40) % max(2, sizes[-1])
    plots.decision_regions(network, x, y, resolution=30, ax=ax)
    (image,) = ax.images
    left, right, low, high = image.get_extent()
    assert left < x[:, 0].min() < x[:, 0].max() < right
    assert low < x[:, 1].min() < x[:, 1].max() < high
    across, up = np.linspace(left, right, 30), np.linspace(low, high, 30)
    for row, height in enumerate(up):
        points = np.stack([across, np.full(30, height)], axis=1)
        assert image.get_array()[row].tolist() == network.classify(points).tolist()
    assert image.origin == "lower"
    assert [line.get_label() for line in ax.lines] == [str(label) for label in np.unique(y)]
    for label, line in enumerate(ax.lines):
        assert np.array_equal(line.get_xydata(), x[y == label])
        assert to_hex(line.get_color()) == plots.PALETTE[label].lower()
    assert len({line.get_marker() for line in ax.lines}) == len(ax.lines)


def test_border_of_decision_regions_lies_where_the_output_is_one_half(ax):
    network = Network([2, 1], dtype="float64")
    network.set_parameters([[[1.0, 2.0]]], [[-0.5]])
    plots.decision_regions(network, [[-1.0, -1], [1, 1]], [[0], [1]], ax=ax)
    (border,) = ax.collections
    points = np.concatenate([path.vertices for path in border.get_paths()])
    assert len(points) > 10
    assert np.abs(points @ [1, 2] - 0.5).max() < 0.01


def test_decision_regions_of_one_class_have_no_border(ax):
    network = Network([2, 1])
    network.set_parameters([[[0.0, 0.0]]], [[1.0]])
    plots.decision_regions(network, [[0.0, 0.0]], [1], ax=ax)
    assert list(ax.collections) == []
    assert set(ax.images[0].get_array().ravel()) == {1}


# ---- pictures


def tiles(ax, n, shape, columns):
    """The pictures of a mosaic, found by the NaN around them, not by the arithmetic of the code."""
    array = ax.images[0].get_array().filled(np.nan)
    full = ~np.isnan(array)
    tops = starts(full.any(axis=1))
    lefts = starts(full.any(axis=0))
    assert len(lefts) == columns
    assert len(tops) == -(-n // columns)
    corners = [(top, left) for top in tops for left in lefts][:n]
    assert full.sum() == n * shape[0] * shape[1]
    return np.array([array[t : t + shape[0], a : a + shape[1]] for t, a in corners])


def starts(line):
    return np.flatnonzero(np.diff(np.r_[0, line.astype(int)]) == 1)


@pytest.mark.parametrize(
    ("n", "columns", "expected"), [(16, None, 4), (3, None, 3), (17, None, 5), (5, 2, 2)]
)
def test_weights_as_images(ax, rng, n, columns, expected):
    weights = rng.normal(size=(n, 20))
    plots.weights_as_images(weights, (5, 4), columns=columns, ax=ax)
    assert np.array_equal(tiles(ax, n, (5, 4), expected), weights.reshape(n, 5, 4))
    (image,) = ax.images
    most = np.abs(weights).max()
    assert image.get_clim() == (-most, most)
    assert [to_hex(image.to_rgba(v)) for v in (-most, most)] == [VERMILION, BLUE]
    assert min(image.to_rgba(0)) > 0.99
    assert texts(ax) == [str(i) for i in range(n)]
    (bar,) = ax.child_axes
    assert [text.get_text() for text in bar.get_xticklabels()] == [
        f"−{most:.2g}", "0", f"{most:.2g}",
    ]  # fmt: skip


def test_weights_that_are_all_zero(ax):
    plots.weights_as_images(np.zeros((2, 4)), (2, 2), ax=ax)
    assert ax.images[0].get_clim() == (-1, 1)


def test_digits(ax, rng):
    images = rng.integers(0, 256, (23, 6, 5), dtype=np.uint8)
    labels = np.arange(23) % 10
    plots.digits(images, labels, ax=ax)
    assert np.allclose(tiles(ax, 23, (6, 5), 10), images / 255, atol=0)
    (image,) = ax.images
    assert [to_hex(image.to_rgba(value)) for value in (0.0, 1.0)] == ["#ffffff", "#000000"]
    assert texts(ax) == [str(label) for label in labels]
    # Above its picture, and nearer to it than to any other.
    xs, ys = np.array([text.get_position() for text in ax.texts]).T
    assert len(set(xs)) == 10
    assert len(set(ys)) == 3
    assert xs[0] == 2


def test_digits_without_captions_and_of_floats(ax):
    images = np.linspace(0, 1, 2 * 9).reshape(2, 3, 3)
    plots.digits(images, ax=ax)
    assert np.array_equal(tiles(ax, 2, (3, 3), 2), images)
    assert texts(ax) == []


def test_digits_that_are_taken_for_others(ax):
    plots.digits(np.zeros((3, 4, 4)), [4, 7, 1], [9, 7, 2], [0.25, 0.875, 1.0], ax=ax)
    assert texts(ax) == ["4 as 9\n0.25", "7\n0.88", "1 as 2\n1.00"]
    wrong = [to_hex(text.get_color()) == VERMILION for text in ax.texts]
    assert wrong == [True, False, True]


def test_digits_with_predictions_alone(ax):
    plots.digits(np.zeros((2, 4, 4)), predictions=[9, 7], ax=ax)
    assert texts(ax) == ["9", "7"]
    assert VERMILION not in {to_hex(text.get_color()) for text in ax.texts}


def test_misclassified_are_the_surest_first(ax):
    images = np.arange(5)[:, None, None] / 4 * np.ones((3, 3))
    outputs = [[0.9, 0.1], [0.2, 0.7], [0.3, 0.8], [0.4, 0.3], [0.6, 0.7]]
    plots.misclassified(images, [1, 0, 1, 1, 0], outputs, count=3, ax=ax)
    assert texts(ax) == ["1 as 0\n0.90", "0 as 1\n0.70", "0 as 1\n0.70"]
    assert tiles(ax, 3, (3, 3), 3)[:, 0, 0].tolist() == [0, 0.25, 1]


def test_misclassified_of_a_network_that_is_right(ax):
    plots.misclassified(np.zeros((1, 3, 3)), [0], [[0.9, 0.1]], ax=ax)
    assert texts(ax) == ["none is taken for another"]
    assert list(ax.images) == []


# ---- the graph


def edges(ax):
    """For each layer of weights: segments (n, 2, 2), colours, widths."""
    return [
        (
            np.array(each.get_segments()),
            [to_hex(c) for c in each.get_colors()],
            each.get_linewidths(),
        )
        for each in ax.collections
        if isinstance(each, LineCollection)
    ]


def test_network_drawing(ax, ours):
    plots.network_drawing(ours, ax=ax)
    places = np.array([unit.center for unit in ax.patches])
    columns = np.unique(places[:, 0])
    assert [int(np.sum(places[:, 0] == x)) for x in columns] == [2, 3, 2]
    for (segments, colours, widths), weights, x in zip(
        edges(ax), ours.weights, columns, strict=False
    ):
        n_out, n_in = weights.shape
        source = np.sort(places[places[:, 0] == x, 1])[::-1]
        for k, (segment, colour, width) in enumerate(zip(segments, colours, widths, strict=True)):
            target, origin = divmod(k, n_in)
            assert segment[0].tolist() == [x, source[origin]]
            weight = weights[target, origin]
            assert colour == (BLUE if weight >= 0 else VERMILION)
            assert width == pytest.approx(2.2 * abs(weight) / np.abs(weights).max())
        assert len(segments) == n_in * n_out
        assert len(np.unique(segments[:, 1], axis=0)) == n_out
    assert [text.get_text() for text in ax.get_xticklabels()] == [
        "2\ninput", "3\nsigmoid", "2\nsigmoid",
    ]  # fmt: skip
    assert len(ax.get_legend().get_texts()) == 2


def test_network_drawing_leaves_units_out(ax, rng):
    network = Network([100, 12, 13])
    network.set_flat_parameters(rng.normal(size=network.n_parameters))
    plots.network_drawing(network, most=12, ax=ax)
    assert len(ax.patches) == 10 + 12 + 10
    dots = [each for each in ax.collections if not isinstance(each, LineCollection)]
    assert [len(each.get_offsets()) for each in dots] == [3, 3]
    first, second = edges(ax)
    weights = network.weights[0]
    shown = weights[:, [0, 1, 2, 3, 4, 95, 96, 97, 98, 99]]
    expected = 2.2 * np.abs(shown) / np.abs(weights).max()
    assert np.allclose(first[2], expected.ravel())
    assert len(second[0]) == 12 * 10


def test_network_drawing_of_sizes(ax):
    plots.network_drawing(iter([3, 2]), ax=ax)
    assert len(ax.patches) == 5
    (segments, colours, _) = edges(ax)[0]
    assert len(segments) == 6
    assert len(set(colours)) == 1
    assert ax.get_legend() is None
    assert [text.get_text() for text in ax.get_xticklabels()] == ["3", "2"]


def test_network_drawing_of_zero_weights(ax):
    network = Network([2, 1])
    network.set_flat_parameters([0, 0, 0])
    plots.network_drawing(network, ax=ax)
    assert set(edges(ax)[0][2]) == {0}


def numbers(ax):
    """The numbers in each text by their symbols, as written."""
    return [
        {name: float(value.replace("−", "-")) for name, value in re.findall(r"(\w) = (\S+)", text)}
        for text in texts(ax)
    ]


@pytest.mark.parametrize("label", [1, [0.25, 0.75]])
def test_network_drawing_shows_the_trace(ax, ours, label):
    x = [0.5, -1.0]
    plots.network_drawing(ours, sample=(x, label), ax=ax)
    found = numbers(ax)
    assert found[:2] == [{"x": 0.5}, {"x": -1.0}]
    expected = [
        {"z": layer.z[0, i], "a": layer.a[0, i], "r": layer.r[0, i]}
        for layer in ours.trace([x], [label])
        for i in range(layer.z.shape[1])
    ]
    assert len(found[2:]) == len(expected) == 5
    for ours_, theirs in zip(found[2:], expected, strict=True):
        assert ours_ == pytest.approx(theirs, rel=5e-3)


def test_network_drawing_of_pixels(ax):
    plots.network_drawing(Network([2, 1]), sample=(np.array([0, 255], np.uint8), 1.0), ax=ax)
    assert numbers(ax)[:2] == [{"x": 0.0}, {"x": 1.0}]


def test_network_drawing_shows_weights_and_biases(ax, ours):
    plots.network_drawing(ours, parameters=True, ax=ax)
    assert texts(ax)[:2] == ["x0", "x1"]
    biases = [each["b"] for each in numbers(ax)[2:7]]
    assert biases == pytest.approx(np.concatenate(ours.biases), rel=5e-3)
    written = [float(text.replace("−", "-")) for text in texts(ax)[7:]]
    weights = np.concatenate([each.ravel() for each in ours.weights])
    assert written == pytest.approx(weights, rel=5e-3)
    # Each on its line, all of a layer equally far apart.
    segments = np.concatenate([each[0] for each in edges(ax)])
    places = np.array([text.get_position() for text in ax.texts[7:]])
    for (start, end), place in zip(segments, places, strict=True):
        part = (place[0] - start[0]) / (end[0] - start[0])
        assert np.allclose(start + part * (end - start), place)
    for layer in (places[:6], places[6:]):
        assert np.allclose(np.diff(np.sort(layer[:, 1])), np.diff(np.sort(layer[:, 1]))[0])
