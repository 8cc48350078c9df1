"""Section 8: the V of the numerical gradient, and what it costs."""

import numpy as np
import pytest

from chainrule import Network, gradcheck, report
from chainrule.gradcheck import EPSILON
from chainrule.report import _numerical, _page, _section

SMALL = [(4, 3, 2), (9, 5, 4), (784, 1)]


@pytest.fixture(params=["rust", "numpy"])
def engine(request, monkeypatch):
    monkeypatch.setenv("CHAINRULE_BACKEND", request.param)
    return request.param


@pytest.mark.parametrize("seed", range(4))
def test_errors_make_a_v(engine, seed):
    numbers = report.numerical(seed=seed, networks=[])
    assert numbers.engine == engine
    assert numbers.epsilons.shape == numbers.errors.shape == (25,)
    least = numbers.errors.argmin()
    assert numbers.errors[least] < 5e-10
    assert numbers.errors[0] >= 100 * numbers.errors[least]
    assert numbers.errors[-1] >= 100 * numbers.errors[least]
    assert EPSILON / 10 <= numbers.epsilons[least] <= 10 * EPSILON


def test_branches_are_straight(engine):
    """Truncation costs epsilon**2, rounding 1 / epsilon."""
    numbers = report.numerical(networks=[])
    x, y = np.log10(numbers.epsilons), np.log10(numbers.errors)
    right = (x >= -3) & (x <= -1)
    assert np.polyfit(x[right], y[right], 1)[0] == pytest.approx(2, abs=0.05)
    left = x <= -7
    assert np.polyfit(x[left], y[left], 1)[0] == pytest.approx(-1, abs=0.15)


def test_prices_count_two_evaluations_a_parameter(engine):
    prices = report.numerical(networks=SMALL).prices
    assert [price.sizes for price in prices] == SMALL
    assert [price.n_parameters for price in prices] == [23, 74, 785]
    assert [price.evaluations for price in prices] == [46, 148, 1570]
    for price in prices:
        assert price.numerical_seconds > 0
        assert price.backpropagation_seconds > 0
        assert price.ratio == price.numerical_seconds / price.backpropagation_seconds
        assert price.ratio == pytest.approx(price.evaluations / price.measured_work)
        assert price.counted_ratio == price.evaluations / price.work


def test_network_evaluates_as_often_as_was_counted(engine, monkeypatch):
    calls = 0
    differences = gradcheck.central_differences

    def counting(loss, *others):
        def counted(point):
            nonlocal calls
            calls += 1
            return loss(point)

        return differences(counted, *others)

    counted_in_report = report.numerical(networks=[(9, 5, 4)]).prices[0].evaluations
    monkeypatch.setattr(gradcheck, "central_differences", counting)
    Network((9, 5, 4)).numerical_gradients(np.ones((1, 9)), [3])
    assert calls == counted_in_report


def test_the_report_s_network_is_priced_last():
    assert _numerical.NETWORKS[-1] == (784, 16, 16, 10)
    parameters = [Network(sizes).n_parameters for sizes in _numerical.NETWORKS]
    assert parameters == sorted(parameters)
    assert parameters[-1] == 13002


@pytest.mark.parametrize(
    ("sizes", "multiplications"),
    [
        # forward, dE/dW and dE/da, each layer's weights in turn
        ((2, 3, 2), (6 + 6, 6 + 6, 6)),
        ((5, 1), (5, 5, 0)),
        ((1, 1, 1, 1), (3, 3, 2)),
        ((784, 16, 16, 10), (12960, 12960, 16 * 16 + 16 * 10)),
    ],
)
def test_work_of_backpropagation_by_hand(sizes, multiplications):
    assert _numerical.work(sizes) == sum(multiplications) / multiplications[0]


def test_backpropagation_is_about_two_evaluations():
    assert _numerical.work((784, 16, 16, 10)) == pytest.approx(2.03, abs=0.01)


def test_counted_ratio_grows_with_the_network():
    counted = [
        2 * Network(sizes).n_parameters / _numerical.work(sizes) for sizes in _numerical.NETWORKS
    ]
    assert counted == sorted(counted)
    assert counted[-1] == pytest.approx(12_797, abs=1)
    assert counted[-1] > 50 * counted[0]


def test_all_but_the_times_comes_from_the_seed():
    first, again, other = (report.numerical(seed=seed, networks=[]) for seed in (1, 1, 2))
    assert first.errors.tolist() == again.errors.tolist()
    assert first.errors.tolist() != other.errors.tolist()


def test_section_is_drawn():
    numbers = report.numerical(networks=SMALL)
    section = _numerical.section(numbers)
    assert (section.number, section.anchor) == (8, "numerical")
    pictures = dict(_page.draw([section]))
    assert list(pictures) == ["08-agreement", "08-price"]
    equations = [b.equation for b in section.blocks if isinstance(b, _section.Formula)]
    assert equations == [9]
    text = _page.page([section], pictures, title="t", subtitle="s", introduction="", colophon="")
    counted, measured = (block for block in section.blocks if isinstance(block, _section.Table))
    assert len(counted.head) == 5
    assert len(measured.head) == 6
    assert [row[-1] for row in counted.rows] == [
        _section.number(price.counted_ratio, ",.0f") for price in numbers.prices
    ]
    assert "1,570" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.5, "2.5 s"), (0.0125, "12.5 ms"), (3.456e-5, "34.6 µs")]
)
def test_durations(seconds, text):
    found = _numerical._duration(seconds)
    assert found == f'<span class="n varies">{text}</span>'
