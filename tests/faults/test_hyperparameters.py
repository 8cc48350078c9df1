"""Rows 39 to 49 of the table of faults: rates, batches, lengths, threads and callbacks."""

import numpy as np
import pytest

from chainrule import SGD, Linear, Network

SIZES = [4, 5, 3]


@pytest.fixture
def x(rng):
    return rng.normal(size=(20, 4))


@pytest.fixture
def y(rng):
    return rng.integers(0, 3, 20)


def make(backend, **settings):
    return Network(SIZES, backend=backend, **settings)


def trained(backend, x, y):
    """A network with counters, velocity and an optimiser that a refused call could spoil."""
    network = make(backend)
    network.fit(x, y, steps=3, optimizer=SGD(0.2, momentum=0.5))
    return network


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -0.1, -(10**400), np.float32("inf")])
def test_fault_039_learning_rate_not_finite_or_negative(backend, refused, x, y, rate):
    network = trained(backend, x, y)
    with refused(ValueError, "learning_rate", "at least 0", rate, network=network, arrays=[x, y]):
        network.fit(x, y, learning_rate=rate)
    with refused(ValueError, "learning_rate", "at least 0", rate):
        SGD(rate)
    with refused(ValueError, "start", "at least 0", rate):
        Linear(rate)


@pytest.mark.parametrize("rate", ["0.1", True, 1j, [0.1], np.array([0.1])])
def test_fault_039_learning_rate_of_another_kind(backend, refused, x, y, rate):
    network = trained(backend, x, y)
    with refused(TypeError, "learning_rate", "real number", network=network, arrays=[x, y]):
        network.fit(x, y, learning_rate=rate)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
def test_fault_039_rate_of_a_callable(backend, refused, x, y, bad):
    """Stops the fit as a callback's exception does: the steps before it are kept."""

    def rate(step, steps):
        return bad if step == 7 else 0.1

    network, alike = make(backend), make(backend)
    with refused(ValueError, "learning_rate(7, ...)", bad, arrays=[x, y]):
        network.fit(x, y, learning_rate=rate)
    alike.fit(x, y, steps=7, learning_rate=0.1)
    assert network.steps_done == 7
    assert network.fingerprint() == alike.fingerprint()


def test_fault_039_rate_and_optimizer_together(backend, refused, x, y):
    network = trained(backend, x, y)
    with refused(ValueError, "learning_rate or optimizer, not both", network=network):
        network.fit(x, y, learning_rate=0.1, optimizer=SGD(0.1))
    with refused(TypeError, "optimizer must be a chainrule.SGD", "str", network=network):
        network.fit(x, y, optimizer="sgd")


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_fault_040_learning_rate_zero_keeps_every_bit(backend, x, y, momentum):
    network = make(backend)
    before = network.parameters
    history = network.fit(x, y, epochs=2, optimizer=SGD(0, momentum=momentum))
    assert network.parameters.tobytes() == before.tobytes()
    assert network.steps_done == 40
    assert history.loss[0] == pytest.approx(network.evaluate(x, y).loss, rel=1e-6)


@pytest.mark.parametrize("size", [0, -1])
def test_fault_041_batch_size_below_one(backend, refused, x, y, size):
    network = trained(backend, x, y)
    with refused(ValueError, "batch_size", "at least 1", size, network=network, arrays=[x, y]):
        network.fit(x, y, batch_size=size)


@pytest.mark.parametrize("size", [2.5, 2.0, "2", True, None, np.float64(2)])
def test_fault_041_batch_size_of_another_kind(backend, refused, x, y, size):
    network = trained(backend, x, y)
    with refused(TypeError, "batch_size", "int", size, network=network, arrays=[x, y]):
        network.fit(x, y, batch_size=size)


@pytest.mark.parametrize("size", [21, 1000, 2**62, 10**30])
def test_fault_042_batch_above_n_counts_as_n(backend, x, y, size):
    network, alike = make(backend), make(backend)
    history = network.fit(x, y, epochs=2, batch_size=size, learning_rate=0.1)
    assert history == alike.fit(x, y, epochs=2, batch_size=20, learning_rate=0.1)
    assert history.steps == [1, 2]
    assert network.fingerprint() == alike.fingerprint()
    assert "More than n counts as n" in Network.fit.__doc__


def test_fault_043_shorter_last_batch_by_hand(backend):
    """y = w x, E = (w x - t)^2, dE/dw = 2 (w x - t) x, all numbers dyadic, from w = 0, b = 0.

    Rows (x, t): (1, 1), (2, 1), (4, 1) in their order, batches of 2, rate 1/4.
    Step 1, the mean over 2 rows: dE/dw = (2 (0 - 1) 1 + 2 (0 - 1) 2) / 2 = -3, dE/db = -2:
        w = 3/4, b = 1/2.
    Step 2, the mean over 1 row: a = 3 + 1/2, dE/da = 2 (7/2 - 1) = 5, dE/dw = 20, dE/db = 5:
        w = 3/4 - 5 = -17/4, b = 1/2 - 5/4 = -3/4.
    Losses as seen: 1, 1, (5/2)^2 = 25/4; their mean is 33/12.
    """
    network = Network([1, 1], output_activation="identity", backend=backend)
    network.set_parameters([[[0.0]]], [[0.0]])
    x, t = np.array([[1.0], [2.0], [4.0]]), np.ones(3)
    history = network.fit(x, t, batch_size=2, learning_rate=0.25, shuffle=False)
    assert network.weights[0].tolist() == [[-4.25]]
    assert network.biases[0].tolist() == [-0.75]
    assert history.loss == [8.25 / 3]
    assert history.steps == [2]


@pytest.mark.parametrize("length", ["epochs", "steps"])
def test_fault_044_no_epochs_no_change(backend, x, y, length):
    network = trained(backend, x, y)
    before = network.parameters.tobytes(), network._engine.state()[1]["velocity"].tobytes()
    called, optimizer = [], network.optimizer
    history = network.fit(x, y, callbacks=called.append, learning_rate=0.7, **{length: 0})
    assert network.optimizer is optimizer
    after = network.parameters.tobytes(), network._engine.state()[1]["velocity"].tobytes()
    assert after == before
    assert (network.epochs_done, network.steps_done) == (1, 3)
    assert len(history) == 0
    assert history.stopped_by == length
    assert called == []


@pytest.mark.parametrize("length", ["epochs", "steps"])
def test_fault_044_length_negative_or_of_another_kind(backend, refused, x, y, length):
    network = trained(backend, x, y)
    with refused(ValueError, length, "at least 0", "-1", network=network, arrays=[x, y]):
        network.fit(x, y, **{length: -1})
    for value in (1.0, "1", True):
        with refused(TypeError, length, "int", repr(value), network=network, arrays=[x, y]):
            network.fit(x, y, **{length: value})


@pytest.mark.parametrize("length", ["epochs", "steps"])
def test_fault_044_length_beyond_what_can_be_counted(backend, refused, x, y, length):
    network = trained(backend, x, y)
    for schedule in (0.1, Linear(0.1)):
        with refused(ValueError, length, "at most", network=network, arrays=[x, y]):
            network.fit(x, y, learning_rate=schedule, **{length: 10**400})


def test_fault_044_epochs_and_steps_together(backend, refused, x, y):
    network = trained(backend, x, y)
    with refused(ValueError, "epochs or steps, not both", network=network, arrays=[x, y]):
        network.fit(x, y, epochs=1, steps=1)


@pytest.mark.parametrize("momentum", [-0.1, 1, 1.5, float("nan"), float("inf"), 10**400])
def test_fault_045_momentum_outside_its_range(refused, momentum):
    with refused(ValueError, "momentum", "[0, 1)", momentum):
        SGD(0.1, momentum=momentum)


@pytest.mark.parametrize("momentum", ["0.9", None, True])
def test_fault_045_momentum_of_another_kind(refused, momentum):
    with refused(TypeError, "momentum", "real number"):
        SGD(0.1, momentum=momentum)


@pytest.mark.parametrize("l2", [-1.0, float("nan"), float("inf")])
def test_fault_045_l2_not_finite_or_negative(backend, refused, x, y, l2):
    network = trained(backend, x, y)
    with refused(ValueError, "l2", "at least 0", l2, network=network, arrays=[x, y]):
        network.fit(x, y, l2=l2)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("learning_rate", {"learning_rate": 1e300}),
        ("start", {"learning_rate": Linear(1e39)}),
        ("end", {"learning_rate": Linear(0.1, 1e39)}),
        ("learning_rate(0, ...)", {"learning_rate": lambda *_: 1e39}),
        ("l2", {"l2": 1e300}),
        ("momentum", {"optimizer": SGD(0.1, momentum=1 - 1e-9)}),
    ],
)
def test_fault_045_number_that_the_dtype_has_not(backend, refused, x, y, name, settings):
    network = trained(backend, x, y)
    with refused(ValueError, name, "float32", "float64", arrays=[x, y]):
        network.fit(x, y, **settings)
    assert network.steps_done == 3
    make(backend, dtype="float64").fit(x, y, steps=0, **settings)


def test_fault_045_momentum_that_rounds_to_nothing_is_none(backend, x, y):
    network, alike = make(backend), make(backend)
    network.fit(x, y, optimizer=SGD(0.1, momentum=1e-60))
    alike.fit(x, y, learning_rate=0.1)
    assert network._engine.state()[1] == {}
    assert network.fingerprint() == alike.fingerprint()


@pytest.mark.parametrize("threads", [0, -1])
def test_fault_046_threads_below_one(backend, refused, x, y, threads):
    network = trained(backend, x, y)
    for call in (network.predict, network.classify):
        with refused(ValueError, "threads", "at least 1", threads, network=network, arrays=[x]):
            call(x, threads=threads)
    for call in (network.fit, network.evaluate):
        with refused(ValueError, "threads", "at least 1", threads, network=network, arrays=[x, y]):
            call(x, y, threads=threads)


@pytest.mark.parametrize("text", ["0", "-1", "two", "", "1.5"])
def test_fault_046_threads_of_the_environment(backend, refused, monkeypatch, x, y, text):
    network = trained(backend, x, y)
    monkeypatch.setenv("CHAINRULE_THREADS", text)
    with refused(ValueError, "CHAINRULE_THREADS", "at least 1", text, network=network):
        network.predict(x)
    network.predict(x, threads=1)  # the argument goes first


@pytest.mark.parametrize("threads", [2, 10**6, 10**30])
def test_fault_046_more_threads_than_the_machine_has(backend, x, y, threads):
    network, alike = make(backend), make(backend)
    history = network.fit(x, y, batch_size=7, threads=threads)
    assert history == alike.fit(x, y, batch_size=7, threads=1)
    assert network.fingerprint() == alike.fingerprint()
    outputs = network.predict(x, threads=threads)
    assert outputs.tobytes() == alike.predict(x, threads=1).tobytes()
    assert network.evaluate(x, y, threads=threads) == alike.evaluate(x, y, threads=1)


def test_fault_047_misspelt_keyword(backend, refused, x, y):
    network = trained(backend, x, y)
    with refused(TypeError, "learningrate", network=network, arrays=[x, y]):
        network.fit(x, y, learningrate=0.1)
    with refused(TypeError, "activations"):
        Network(SIZES, activations="tanh", backend=backend)
    with refused(TypeError, "nesterov"):
        SGD(0.1, nesterov=True)


@pytest.mark.parametrize("every", [0, -1])
def test_fault_047_record_every_below_one(backend, refused, x, y, every):
    network = trained(backend, x, y)
    with refused(ValueError, "record_every", "at least 1", every, network=network):
        network.fit(x, y, record_every=every)


class Stop(BaseException):
    """Of nobody's making but the callback's."""


@pytest.mark.parametrize("kind", [Stop, KeyError, StopIteration, RuntimeError, KeyboardInterrupt])
def test_fault_048_callback_raises(backend, x, y, kind):
    raised = kind("from the callback")
    seen = []

    def callback(progress):
        seen.append(progress.step)
        if progress.step == 10:
            raise raised

    network, alike = make(backend), make(backend)
    with pytest.raises(kind) as caught:
        network.fit(x, y, epochs=3, learning_rate=0.1, record_every=5, callbacks=callback)
    assert caught.value is raised
    assert caught.value.args == ("from the callback",)
    assert seen == [5, 10]
    alike.fit(x, y, steps=10, learning_rate=0.1)
    assert network.fingerprint() == alike.fingerprint()
    assert (network.steps_done, network.epochs_done) == (10, 1)
    # Usable, and it goes on as the other does.
    assert network.fit(x, y) == alike.fit(x, y)
    assert network.fingerprint() == alike.fingerprint()


def test_fault_049_callback_uses_the_same_network(backend, x, y, tmp_path):
    network = make(backend)
    rows = []

    def callback(progress):
        assert progress.network is network
        path = tmp_path / f"{progress.step}.safetensors"
        network.save(path)
        saved = Network.load(path, backend=backend)
        assert saved.fingerprint() == network.fingerprint() == network.copy().fingerprint()
        assert saved.predict(x).tobytes() == network.predict(x).tobytes()
        assert saved.evaluate(x, y) == network.evaluate(x, y)
        assert saved.steps_done == network.steps_done == progress.step
        rows.append(progress.step)

    alike = make(backend)
    history = network.fit(x, y, epochs=2, record_every=8, callbacks=callback)
    assert rows == [8, 16, 20, 24, 32, 40]
    assert history == alike.fit(x, y, epochs=2, record_every=8)
    assert network.fingerprint() == alike.fingerprint()


def test_fault_049_callback_changes_the_same_network(backend, refused, x, y):
    network = make(backend)

    def callback(progress):
        busy = "already training"
        with refused(RuntimeError, "fit", busy, network=network, arrays=[x, y]):
            network.fit(x, y)
        with refused(RuntimeError, "reset", busy, network=network):
            network.reset()
        with refused(RuntimeError, "set_parameters", busy, network=network):
            network.set_parameters(network.weights, network.biases)
        with refused(RuntimeError, "set_flat_parameters", busy, network=network):
            network.set_flat_parameters(network.parameters)
        called.append(progress.step)

    called = []
    alike = make(backend)
    history = network.fit(x, y, callbacks=callback)
    assert called == [20]
    assert history == alike.fit(x, y)
    assert network.fingerprint() == alike.fingerprint()


def test_fault_049_callback_trains_a_copy(backend, x, y):
    network = make(backend)
    network.fit(x, y, callbacks=lambda progress: progress.network.copy().fit(x, y))
    alike = make(backend)
    alike.fit(x, y)
    assert network.fingerprint() == alike.fingerprint()


@pytest.mark.parametrize("callbacks", [3, "stop", [print, None]])
def test_fault_049_callbacks_that_cannot_be_called(backend, refused, x, y, callbacks):
    network = trained(backend, x, y)
    with refused(TypeError, "callbacks", "callable", network=network):
        network.fit(x, y, callbacks=callbacks)
