"""Learning curves, and the V of the numerical gradient."""

import numpy as np
import pytest
from plots.drawn import history_of, texts

from chainrule import History, Network, plots


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
