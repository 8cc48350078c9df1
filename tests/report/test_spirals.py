"""Section 5: the accuracies that the page claims, on both engines and for several seeds."""

import numpy as np
import pytest

from chainrule import Network
from chainrule.report import _page, _spirals, spirals

LONG = pytest.mark.long


@pytest.fixture(scope="module")
def numbers():
    return spirals()


def each(seeds, backends):
    """All pairs; NumPy's take seconds, so only its first is not long."""
    return [
        pytest.param(seed, name, marks=LONG if name == "numpy" and seed else ())
        for name in backends
        for seed in seeds
    ]


@pytest.mark.parametrize(("seed", "name"), each(range(5), ["rust", "numpy"]))
def test_each_hidden_layer_gets_further(monkeypatch, seed, name):
    monkeypatch.setenv("CHAINRULE_BACKEND", name)
    found = spirals(seed=seed)
    single, one, two = found.attempts
    assert [len(a.network.sizes) - 2 for a in found.attempts] == [0, 1, 2]
    assert {a.network.backend for a in found.attempts} == {name}
    for kind in ("accuracy", "train_accuracy"):
        low, middle, high = (getattr(attempt, kind) for attempt in (single, one, two))
        assert low <= 0.70
        assert high >= 0.98
        assert low + 0.05 <= middle <= high - 0.05


def test_hidden_layers_are_compared_fairly(numbers):
    single, one, two = (attempt.network for attempt in numbers.attempts)
    assert one.n_parameters == two.n_parameters
    assert {network.steps_done for network in (single, one, two)} == {_spirals.STEPS}
    assert len({(n.loss, n.optimizer, n.seed) for n in (single, one, two)}) == 1


@pytest.mark.parametrize("seed", range(5))
def test_points_are_two_spirals(seed):
    rng = np.random.default_rng(seed)
    x, labels = _spirals._points(rng, 4000)
    assert np.bincount(labels).tolist() == [2000, 2000]
    # Half a turn takes one onto the other, but for the noise.
    apart = x[labels == 0] + x[labels == 1]
    assert np.abs(apart.mean(axis=0)).max() < 0.02
    assert np.allclose(apart.std(axis=0), _spirals.NOISE * 2**0.5, rtol=0.1)
    # On its way out each crosses the ray to the right and the one to the left in turn.
    arm = x[labels == 0]
    turned = np.unwrap(np.arctan2(arm[:, 1], arm[:, 0]))
    assert (turned[-20:].mean() - turned[:20].mean()) / (2 * np.pi) == pytest.approx(1.5, abs=0.05)


def test_fresh_points_are_not_those_to_train_on(numbers):
    assert numbers.x.shape == (400, 2)
    assert numbers.fresh_x.shape == (2000, 2)
    together = np.concatenate([numbers.x, numbers.fresh_x])
    assert len(np.unique(together, axis=0)) == len(together)


def test_accuracy_is_counted_on_the_points(numbers):
    for attempt in numbers.attempts:
        classes = attempt.network.classify(numbers.fresh_x)
        assert attempt.accuracy == np.mean(classes == numbers.fresh_labels)
        classes = attempt.network.classify(numbers.x)
        assert attempt.train_accuracy == np.mean(classes == numbers.labels)


def test_no_line_is_better_than_the_best_line(numbers):
    rng = np.random.default_rng(1)
    normals = rng.normal(size=(2000, 2))
    sides = normals @ numbers.x.T > rng.uniform(-6, 6, (2000, 1)) * np.linalg.norm(
        normals, axis=1, keepdims=True
    )
    tried = (sides == numbers.labels).mean(axis=1).max()
    # A line between two of the directions tried parts a point or two otherwise.
    assert 0.6 < tried <= numbers.line_accuracy + 2 / len(numbers.x)
    assert numbers.attempts[0].train_accuracy <= numbers.line_accuracy + 2 / len(numbers.x)
    assert numbers.line_accuracy <= 0.70


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([0, 0, 1, 1], 1.0), ([1, 1, 0, 0], 1.0), ([1, 1, 1, 1], 1.0), ([0, 0, 0, 0], 1.0),
     ([0, 1, 0, 1], 0.75), ([0, 1, 1, 0], 0.75)],
)  # fmt: skip
def test_best_line_by_hand(labels, expected):
    x = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    assert _spirals._line_accuracy(x, np.array(labels)) == expected


def test_xor_is_beyond_any_line():
    corners = np.array([[0.1, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.1]])
    assert _spirals._line_accuracy(corners, np.array([0, 1, 1, 0])) == 0.75


def test_the_same_seed_gives_the_same_numbers(numbers):
    again = spirals()
    for first, second in zip(numbers.attempts, again.attempts, strict=True):
        assert np.array_equal(first.network.parameters, second.network.parameters)
    other = spirals(seed=1)
    assert not np.array_equal(numbers.x, other.x)
    assert other.attempts[0].network.seed == 1


def test_section_tells_the_numbers(numbers):
    section = _spirals.section(numbers)
    pictures = dict(_page.draw([section]))
    assert list(pictures) == [
        "05-spirals-single", "05-spirals-one-hidden", "05-spirals-two-hidden",
    ]  # fmt: skip
    text = _page.page([section], pictures, title="", subtitle="", introduction="", colophon="")
    for attempt in numbers.attempts:
        assert f"{attempt.accuracy:.3f}" in text
        assert attempt.name in text
    assert f"{Network([2, 84, 1]).n_parameters}" in text
    assert "Fig. 6 of the report" in text
