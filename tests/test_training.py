"""The epoch loop: records, callbacks, histories, schedules, and what goes on from fit to fit."""

import pickle

import numpy as np
import pytest

from chainrule import (
    SGD,
    Constant,
    DivergenceError,
    Linear,
    Network,
    Progress,
    Schedule,
    training,
)

N = 20


@pytest.fixture
def x(rng):
    return rng.normal(size=(N, 4))


@pytest.fixture
def y(rng):
    return rng.integers(0, 3, N)


def make(backend, **settings):
    return Network([4, 5, 3], backend=backend, **settings)


def velocity(network):
    return network._engine.state()[1].get("velocity")


def same(one, other):
    """All bits that training changes."""
    assert one.parameters.tobytes() == other.parameters.tobytes()
    assert (one.epochs_done, one.steps_done) == (other.epochs_done, other.steps_done)
    if velocity(one) is None or velocity(other) is None:
        assert velocity(one) is velocity(other)
    else:
        assert velocity(one).tobytes() == velocity(other).tobytes()


# ---- how long


def test_neither_epochs_nor_steps_is_one_epoch(backend, x, y):
    network = make(backend)
    history = network.fit(x, y, batch_size=6)
    assert history.steps == [4]
    assert history.epochs == [1]
    assert history.stopped_by == "epochs"


def test_steps_go_on_into_the_next_epochs(backend, x, y):
    network, alike = make(backend), make(backend)
    history = network.fit(x, y, steps=10, batch_size=5)
    assert history.steps == [4, 8, 10]
    assert history.epochs == [1, 2, 3]
    assert history.stopped_by == "steps"
    alike.fit(x, y, epochs=2, batch_size=5)
    alike.fit(x, y, steps=2, batch_size=5)
    same(network, alike)


def test_fit_by_steps_uses_its_last_epoch_up(backend, x, y):
    """The next fit has a shuffle of its own, not the rest of this one."""
    network, straight = make(backend), make(backend)
    network.fit(x, y, steps=3)
    assert network.epochs_done == 1
    network.fit(x, y, steps=N - 3)
    assert network.epochs_done == 2
    straight.fit(x, y, steps=N)
    assert straight.epochs_done == 1
    assert network.steps_done == straight.steps_done == N
    assert network.fingerprint() != straight.fingerprint()


def test_steps_that_end_with_an_epoch_use_it_up_once(backend, x, y):
    network, alike = make(backend), make(backend)
    network.fit(x, y, steps=2 * N)
    alike.fit(x, y, epochs=2)
    same(network, alike)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("batch_size", [1, 7, N])
def test_two_fits_of_two_epochs_are_one_of_four(backend, x, y, momentum, batch_size):
    twice, once = make(backend), make(backend)
    settings = {"batch_size": batch_size, "optimizer": SGD(0.1, momentum=momentum)}
    first = twice.fit(x, y, epochs=2, **settings)
    second = twice.fit(x, y, epochs=2, **settings)
    whole = once.fit(x, y, epochs=4, **settings)
    same(twice, once)
    assert first.loss + second.loss == whole.loss
    assert first.steps + second.steps == whole.steps


def test_each_epoch_has_its_own_order(backend, x, y):
    """And without shuffle all have the same."""
    orders = {}
    for shuffle in (True, False):
        network = make(backend)
        history = network.fit(x, y, epochs=2, learning_rate=0, record_every=1, shuffle=shuffle)
        orders[shuffle] = history.loss[:N], history.loss[N:]
    assert orders[True][0] != orders[True][1]
    assert sorted(orders[True][0]) == sorted(orders[True][1]) == sorted(orders[False][0])
    assert orders[False][0] == orders[False][1]
    rows = [make(backend).evaluate(x[i : i + 1], y[i : i + 1]).loss for i in range(N)]
    np.testing.assert_allclose(orders[False][0], rows, rtol=1e-5)


# ---- records


@pytest.mark.parametrize(
    ("every", "steps", "expected"),
    [
        (None, 45, [20, 40, 45]),
        (1, 3, [1, 2, 3]),
        (7, 45, [7, 14, 20, 21, 28, 35, 40, 42, 45]),
        (10, 40, [10, 20, 30, 40]),
        (20, 41, [20, 40, 41]),
        (30, 65, [20, 30, 40, 60, 65]),
        (1000, 45, [20, 40, 45]),
    ],
)
def test_records_fall_on_steps_of_the_fit_and_ends_of_epochs(backend, x, y, every, steps, expected):
    network = make(backend)
    history = network.fit(x, y, steps=steps, record_every=every)
    assert history.steps == expected
    assert history.epochs == [-(-step // N) for step in expected]
    # Steps are counted from the fit's first, records tell those of the network's life.
    again = network.fit(x, y, steps=steps, record_every=every)
    assert again.steps == [steps + step for step in expected]


def test_recording_changes_no_bit(backend, x, y):
    network, alike = make(backend), make(backend)
    network.fit(x, y, epochs=2, record_every=3, validation_data=(x, y), callbacks=print_nothing)
    alike.fit(x, y, epochs=2)
    same(network, alike)


def print_nothing(progress):
    return None


def test_loss_and_accuracy_are_of_the_samples_since_the_last_record(backend, x, y):
    """At rate 0 each record is the mean over its own rows."""
    network = make(backend)
    settings = {"learning_rate": 0, "shuffle": False, "batch_size": 3}
    history = network.fit(x, y, record_every=2, **settings)
    assert history.steps == [2, 4, 6, 7]
    for record, rows in enumerate([range(6), range(6, 12), range(12, 18), range(18, 20)]):
        expected = network.evaluate(x[rows], y[rows])
        assert history.loss[record] == pytest.approx(expected.loss, rel=1e-6)
        assert history.accuracy[record] == expected.accuracy


def test_loss_is_as_each_sample_was_seen(backend, x, y):
    """Before the step it takes part in: the first record of one batch is the untrained loss."""
    network = make(backend)
    before = network.evaluate(x, y)
    history = network.fit(x, y, batch_size=N, learning_rate=1.0, l2=0.5)
    assert history.loss == [pytest.approx(before.loss, rel=1e-6)]
    assert history.accuracy == [before.accuracy]
    assert network.evaluate(x, y).loss != before.loss


def test_accuracy_is_none_where_nothing_can_be_compared(backend, x, rng):
    assert make(backend).fit(x, rng.random((N, 3))).accuracy == [None]
    assert make(backend).fit(x, np.eye(3)[rng.integers(0, 3, N)]).accuracy[0] is not None


def test_validation_at_each_record(backend, x, y, rng):
    held_out = rng.normal(size=(9, 4)), rng.integers(0, 3, 9)
    network = make(backend)
    seen = []

    def look(progress):
        seen.append(progress.network.evaluate(*held_out))

    history = network.fit(
        x, y, epochs=2, record_every=8, validation_data=held_out, callbacks=[look]
    )
    assert len(seen) == 6
    assert list(zip(history.validation_loss, history.validation_accuracy, strict=True)) == seen


@pytest.mark.parametrize("bad", [3, (1, 2, 3), [np.ones((2, 4))]])
def test_validation_data_must_be_a_pair(backend, x, y, bad):
    network = make(backend)
    with pytest.raises(TypeError, match=r"validation_data must be a pair \(x, y\)"):
        network.fit(x, y, validation_data=bad)
    with pytest.raises(ValueError, match=r"validation_data\[0\] must have shape \(n, 4\)"):
        network.fit(x, y, validation_data=(x[:, :3], y))
    with pytest.raises(ValueError, match=r"validation_data\[1\] must hold labels"):
        network.fit(x, y, validation_data=(x, y + 7))
    assert network.steps_done == 0


# ---- slices


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_where_the_clock_cuts_changes_no_bit(backend, x, y, monkeypatch, momentum):
    """Slices of one step, of as many as may be, and cut at random."""
    results = []
    for seconds in (1e-12, 1e12, "random"):
        if seconds == "random":
            lengths = np.random.default_rng(1)

            def at_random(fit, steps, seconds, lengths=lengths):
                fit.per_slice = int(lengths.integers(1, 9))

            monkeypatch.setattr(training.Fit, "_adapt", at_random)
        else:
            monkeypatch.setattr(training, "SLICE_SECONDS", seconds)
        network = make(backend)
        calls = watch_slices(network)
        history = network.fit(
            x, y, epochs=5, batch_size=3, record_every=11, validation_data=(x, y),
            optimizer=SGD(Linear(0.5), momentum=momentum), l2=0.01,
        )  # fmt: skip
        results.append((network, history, calls))
    assert {len(calls) for _, _, calls in results[:1]} == {35}
    assert len(results[1][2]) < len(results[2][2]) < 35
    for network, history, calls in results:
        assert sum(calls) == 35
        assert history == results[0][1]
        same(network, results[0][0])


def watch_slices(network):
    """The number of steps of each call of `engine.train`, as it comes."""
    engine, calls = network._engine, []

    class Watched:
        def __getattr__(self, name):
            return getattr(engine, name)

        def train(self, dataset, epoch, first, rates, *rest):
            calls.append(len(rates))
            return engine.train(dataset, epoch, first, rates, *rest)

    network._engine = Watched()
    return calls


# ---- callbacks


def test_callbacks_get_progress_in_their_order(backend, x, y):
    network = make(backend)
    network.fit(x, y)
    seen = []

    def first(progress):
        seen.append(("first", progress.epoch, progress.step, len(progress.history)))

    def second(progress):
        assert isinstance(progress, Progress)
        assert progress.network is network
        assert progress.history.steps[-1] == network.steps_done == N + progress.step
        seen.append(("second", *progress[2:], len(progress.history)))

    network.fit(x, y, steps=25, record_every=10, callbacks=iter([first, second]))
    expected = [(2, 10, 1), (2, 20, 2), (3, 25, 3)]
    assert seen == [(name, *rest) for rest in expected for name in ("first", "second")]


@pytest.mark.parametrize("answer", [True, np.True_])
def test_callback_that_returns_true_stops(backend, x, y, answer):
    """All callbacks of that record are still called; the epoch is used up."""
    network, alike = make(backend), make(backend)
    seen = []

    def stop(progress):
        return answer if progress.step == 24 else None

    history = network.fit(x, y, epochs=9, record_every=8, callbacks=[stop, seen_by(seen)])
    assert history.steps == seen == [8, 16, 20, 24]
    assert history.stopped_by == "callback"
    alike.fit(x, y, steps=24)
    same(network, alike)
    network.fit(x, y)
    alike.fit(x, y)
    same(network, alike)


def seen_by(seen):
    def look(progress):
        seen.append(progress.step)
        return False

    return look


@pytest.mark.parametrize("answer", [None, False, np.False_, 1, "stop", [True]])
def test_callback_that_returns_anything_else_goes_on(backend, x, y, answer):
    history = make(backend).fit(x, y, epochs=2, callbacks=lambda _: answer)
    assert history.steps == [20, 40]
    assert history.stopped_by == "epochs"


def test_callback_that_stops_at_the_end(backend, x, y):
    """It has been asked, and it has said so."""
    history = make(backend).fit(x, y, steps=5, callbacks=lambda _: True)
    assert (history.steps, history.stopped_by) == ([5], "callback")


def test_history_of_a_callback_is_the_one_that_fit_returns(backend, x, y):
    seen = []
    history = make(backend).fit(x, y, callbacks=lambda progress: seen.append(progress.history))
    assert seen[0] is history


# ---- rates, and the optimiser


def rates_of(network):
    """The rates that the engine is given."""
    engine, rates = network._engine, []

    class Watched:
        def __getattr__(self, name):
            return getattr(engine, name)

        def train(self, dataset, epoch, first, given, *rest):
            rates.extend(given.tolist())
            return engine.train(dataset, epoch, first, given, *rest)

    network._engine = Watched()
    return rates


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (0.5, [0.5] * 24),
        (1, [1.0] * 24),
        (np.float32(0.1), [float(np.float32(0.1))] * 24),
        (Constant(0.25), [0.25] * 24),
        (Linear(0.5), [0.5 * (24 - step) / 24 for step in range(24)]),
        (Linear(0.5, 0.125), [0.5 - 0.375 * step / 24 for step in range(24)]),
        (lambda step, steps: step / steps, [step / 24 for step in range(24)]),
    ],
)
def test_rate_of_each_step(backend, x, y, rate, expected):
    """By the step of this fit, over the steps of this fit, whatever has been trained before."""
    network = make(backend)
    network.fit(x, y)
    rates = rates_of(network)
    network.fit(x, y, steps=24, learning_rate=rate)
    np.testing.assert_allclose(rates, expected, rtol=1e-15)
    del rates[:]
    network.fit(x, y, epochs=8, batch_size=7)  # 24 steps, too, and the rate is kept
    np.testing.assert_allclose(rates, expected, rtol=1e-15)


def test_schedules_say_what_is_wrong():
    assert isinstance(Linear(0.1), Schedule)
    assert Linear(1) == Linear(1.0, 0)
    for make_one in (Constant, Linear, lambda end: Linear(1.0, end)):
        with pytest.raises(ValueError, match="a finite number of at least 0; got -1"):
            make_one(-1)
        with pytest.raises(TypeError, match="a real number; got str"):
            make_one("fast")

    class Mine(Schedule):
        pass

    with pytest.raises(TypeError, match="Mine must define __call__"):
        Mine()(0, 1)


def test_callable_rate_is_asked_once_a_step(backend, x, y):
    asked = []

    def rate(step, steps):
        asked.append((step, steps))
        return 0.1

    make(backend).fit(x, y, epochs=2, batch_size=3, learning_rate=rate)
    assert asked == [(step, 14) for step in range(14)]


def test_callable_rate_that_raises_keeps_the_steps_before(backend, x, y):
    def rate(step, steps):
        if step == 13:
            raise LookupError("no rate")
        return 0.1

    network, alike = make(backend), make(backend)
    with pytest.raises(LookupError, match="no rate"):
        network.fit(x, y, learning_rate=rate)
    alike.fit(x, y, steps=13, learning_rate=0.1)
    same(network, alike)
    network = make(backend)
    with pytest.raises(KeyError):  # at the first step: nothing has begun
        network.fit(x, y, learning_rate=lambda step, _: {}[step])
    same(network, make(backend))


def test_optimizer_is_kept_from_fit_to_fit(backend, x, y):
    network = make(backend)
    assert network.optimizer == SGD()
    network.fit(x, y, optimizer=SGD(0.2, momentum=0.5))
    assert network.optimizer == SGD(0.2, momentum=0.5)
    network.fit(x, y, learning_rate=0.1)  # a new rate for the optimiser that it has
    assert network.optimizer == SGD(0.1, momentum=0.5)
    network.fit(x, y)
    assert network.optimizer == SGD(0.1, momentum=0.5)


def test_velocity_is_kept_while_there_is_momentum(backend, x, y):
    network, fresh = make(backend), make(backend)
    network.fit(x, y, optimizer=SGD(0.1, momentum=0.5))
    assert velocity(network).any()
    fresh.set_flat_parameters(network.parameters)
    with_it, without = network.copy(), network.copy()
    without.set_flat_parameters(network.parameters)
    assert velocity(without) is None
    history = with_it.fit(x, y, learning_rate=0)
    assert history == network.copy().fit(x, y, learning_rate=0)
    assert velocity(with_it).any()
    with_it.fit(x, y, optimizer=SGD(0.1))
    assert velocity(with_it) is None
    one, other = network.copy(), without
    one.fit(x, y)
    other.fit(x, y)
    assert one.fingerprint() != other.fingerprint()


def test_momentum_goes_through_a_file(backend, x, y, tmp_path):
    network = make(backend)
    network.fit(x, y, optimizer=SGD(Linear(0.1), momentum=0.5))
    network.save(tmp_path / "model")
    again = Network.load(tmp_path / "model", backend=backend)
    assert again.optimizer == SGD(Linear(0.1), momentum=0.5)
    assert again.fit(x, y) == network.fit(x, y)
    same(again, network)


def test_callable_rate_is_lost_in_a_file_and_that_is_said(backend, x, y, tmp_path):
    network = make(backend)
    network.fit(x, y, learning_rate=lambda _step, _steps: 0.1)
    network.copy().fit(x, y)
    network.save(tmp_path / "model")
    again = Network.load(tmp_path / "model", backend=backend)
    before = again.fingerprint()
    with pytest.raises(ValueError, match="trained with a callable, which a file cannot keep; pass"):
        again.fit(x, y)
    assert (again.fingerprint(), again.steps_done) == (before, network.steps_done)
    again.fit(x, y, learning_rate=0.1)


def test_l2_is_on_weights_and_not_on_biases(backend, x, y):
    network, with_l2 = make(backend), make(backend)
    gradients = network.gradients(x, y)
    before = network.weights, network.biases
    with_l2.fit(x, y, batch_size=N, shuffle=False, learning_rate=0.5, l2=0.25)
    for i in range(2):
        expected = before[0][i] - 0.5 * (gradients.weights[i] + 0.25 * before[0][i])
        np.testing.assert_allclose(with_l2.weights[i], expected, rtol=1e-5, atol=1e-6)
        expected = before[1][i] - 0.5 * gradients.biases[i]
        np.testing.assert_allclose(with_l2.biases[i], expected, rtol=1e-5, atol=1e-6)


# ---- divergence


def test_divergence_error_goes_to_another_process(backend, x, y):
    """As a pool of processes sends it: by pickle, with all it knows."""
    network = Network([4, 5, 3], activation="relu", output_activation="identity", backend=backend)
    with pytest.raises(DivergenceError) as caught:
        network.fit(x, y, epochs=9, learning_rate=1e6, record_every=1)
    error = caught.value
    assert (error.epoch, error.layer) == (0, 0) or error.layer == 1
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is DivergenceError
    assert str(again) == str(error)
    assert (again.epoch, again.layer, again.history) == (error.epoch, error.layer, error.history)
