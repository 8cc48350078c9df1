"""Each test draws without a display."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from chainrule import Network, plots


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
