"""The same bad call gives the same kind of error, with the same message, on both engines."""

import numpy as np
import pytest
from parity.twins import twins

import chainrule
from chainrule import SGD, DivergenceError, Network, _backend


def too_late(step, steps):
    return 2 - step


def fails(progress):
    return 1 // 0


X, Y = np.linspace(-1, 1, 24).reshape(6, 4), np.arange(6) % 3
NAN = np.where(np.arange(24).reshape(6, 4) == 9, np.nan, X)

CONSTRUCTORS = {
    "no sizes": {"sizes": []},
    "size 0": {"sizes": [3, 0, 2]},
    "size of another kind": {"sizes": [3, 2.0]},
    "too many parameters": {"sizes": [2**31, 2]},
    "activation": {"sizes": [3, 2], "activation": "sigmod"},
    "hidden softmax": {"sizes": [3, 2, 2], "activation": "softmax"},
    "loss": {"sizes": [3, 2], "loss": "mse"},
    "pair": {"sizes": [3, 2], "loss": "cross_entropy", "output_activation": "relu"},
    "one output": {"sizes": [3, 1], "loss": "cross_entropy"},
    "initialization": {"sizes": [3, 2], "initialization": "zeros"},
    "dtype": {"sizes": [3, 2], "dtype": "float16"},
    "seed": {"sizes": [3, 2], "seed": 2**64},
}

CALLS = {
    "wrong width": lambda n: n.predict(X[:, :3]),
    "one sample": lambda n: n.predict(X[0]),
    "integers": lambda n: n.predict(X.astype(int)),
    "complex": lambda n: n.predict(X + 0j),
    "strings": lambda n: n.predict([["a"] * 4]),
    "ragged": lambda n: n.predict([[1.0] * 4, [1.0] * 3]),
    "NaN": lambda n: n.predict(NAN),
    "too large": lambda n: n.predict(X * 1e300),
    "no rows to evaluate": lambda n: n.evaluate(X[:0], Y[:0]),
    "no rows to train": lambda n: n.fit(X[:0], Y[:0]),
    "label out of range": lambda n: n.fit(X, Y + 1),
    "negative label": lambda n: n.gradients(X, Y - 1),
    "label 0.5": lambda n: n.trace(X, Y + 0.5),
    "lengths": lambda n: n.evaluate(X, Y[:5]),
    "column of labels": lambda n: n.fit(X, Y[:, None]),
    "targets NaN": lambda n: n.fit(X, np.full((6, 3), np.nan)),
    "validation": lambda n: n.fit(X, Y, validation_data=(X[:, :2], Y)),
    "rate": lambda n: n.fit(X, Y, learning_rate=-1),
    "rate of a step": lambda n: n.fit(X, Y, learning_rate=too_late),
    "momentum": lambda n: n.fit(X, Y, optimizer=SGD(0.1, momentum=1)),
    "batch_size": lambda n: n.fit(X, Y, batch_size=0),
    "epochs": lambda n: n.fit(X, Y, epochs=-1),
    "both lengths": lambda n: n.fit(X, Y, epochs=1, steps=1),
    "l2": lambda n: n.fit(X, Y, l2=-0.1),
    "shuffle": lambda n: n.fit(X, Y, shuffle=1),
    "record_every": lambda n: n.fit(X, Y, record_every=0),
    "threads": lambda n: n.predict(X, threads=0),
    "callbacks": lambda n: n.fit(X, Y, callbacks=[3]),
    "keyword": lambda n: n.fit(X, Y, batchsize=3),
    "epsilon": lambda n: n.numerical_gradients(X, Y, epsilon=0),
    "layers": lambda n: n.set_parameters(n.weights[:1], n.biases),
    "shape of weights": lambda n: n.set_parameters([W.T for W in n.weights], n.biases),
    "weights NaN": lambda n: n.set_flat_parameters(np.full(n.n_parameters, np.nan)),
    "seed": lambda n: n.reset(-1),
    "file": lambda n: n.save("/no/such/folder/model.safetensors"),
    "train within": lambda n: n.fit(X, Y, callbacks=lambda p: p.network.fit(X, Y)),
    "callback": lambda n: n.fit(X, Y, callbacks=fails),
    "diverges": lambda n: n.fit(X, Y, epochs=3, learning_rate=1e38),
}


def error_of(call):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any kind: the two are compared
        call()
    return caught.value


def assert_same(one, other):
    assert type(one) is type(other)
    assert str(one) == str(other)
    assert str(one).strip()


@pytest.mark.parametrize("case", CONSTRUCTORS)
def test_constructor(case):
    settings = CONSTRUCTORS[case]
    errors = [error_of(lambda name=name: Network(**settings, backend=name)) for name in
              ("rust", "numpy")]  # fmt: skip
    assert_same(*errors)
    assert isinstance(errors[0], (TypeError, ValueError))


@pytest.mark.parametrize("case", CALLS)
def test_call(case):
    errors, left = [], []
    for network in twins([4, 5, 3], output_activation="identity"):
        network.fit(X, Y, optimizer=SGD(0.1, momentum=0.5))
        errors.append(error_of(lambda network=network: CALLS[case](network)))
        left.append((network.epochs_done, network.steps_done))
    assert_same(*errors)
    assert left[0] == left[1]


def test_divergence_of_both_tells_the_same(rng):
    one, other = (
        error_of(lambda n=network: n.fit(X, Y, epochs=3, learning_rate=1e200))
        for network in twins([4, 5, 3], output_activation="identity", dtype="float64")
    )
    assert type(one) is DivergenceError
    assert_same(one, other)
    assert (one.epoch, one.layer, one.history.steps) == (
        other.epoch,
        other.layer,
        other.history.steps,
    )


def test_classify_of_one_output():
    assert_same(
        *(error_of(lambda n=n: n.classify(X)) for n in twins([4, 1], output_activation="tanh"))
    )


def test_a_missing_extension_is_an_error_here(monkeypatch):
    """So that the comparisons of this folder fail where there is no Rust engine to compare."""
    monkeypatch.setattr(_backend, "_core", None)
    with pytest.raises(ValueError, match="the extension cannot be imported"):
        twins([2, 1])
    monkeypatch.setattr(_backend, "choose", lambda _: "numpy")
    with pytest.raises(AssertionError, match="nothing would be compared"):
        twins([2, 1])


def test_no_network_takes_another_engine_than_the_one_asked_for(monkeypatch):
    monkeypatch.setenv("CHAINRULE_BACKEND", "numpy")
    assert [network.backend for network in twins([2, 1])] == ["rust", "numpy"]
    assert chainrule.Network([2, 1]).backend == "numpy"
