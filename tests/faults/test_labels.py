"""Rows 32 to 38 of the table of faults: labels and targets; and what else y may be."""

import numpy as np
import pytest
from faults.calls import every_call_with_y, make, outcomes, trained

from chainrule import Network

NAN, INF = float("nan"), float("inf")
DTYPES = ["float32", "float64"]
REAL = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4", "f2", "f4", "f8", ">f8", "g"]


@pytest.fixture
def x(rng):
    return rng.normal(size=(12, 4))


@pytest.fixture
def y_refused(backend, refused, x):
    """`y_refused(kind, parts, bad)`: by every call that takes y, and in the validation data."""

    def check(kind, parts, bad, n_out=10, **settings):
        good = np.arange(12) % 2
        network = trained(backend, x, good, [4, n_out], **settings)
        arrays = [x, bad] if isinstance(bad, np.ndarray) else [x]
        for _name, call in every_call_with_y(network, x, bad):
            with refused(kind, "y", "must", *parts, network=network, arrays=arrays):
                call()
        with refused(kind, "validation_data[1]", *parts, network=network, arrays=arrays):
            network.fit(x, good, validation_data=(x, bad))

    return check


# ---- 32, 33: labels out of range, and as floats


@pytest.mark.parametrize("label", [-1, 10, 11, 255, -(2**31), 2**32, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy", "binary_cross_entropy"])
def test_fault_032_label_out_of_range(y_refused, label, loss):
    labels = np.arange(12) % 10
    labels[[7, 9]] = label
    y_refused(ValueError, ["labels", "0 .. 9", f"row 7 is {label}"], labels, loss=loss)
    y_refused(ValueError, ["labels", "0 .. 9", f"row 7 is {label}"], labels.tolist(), loss=loss)


@pytest.mark.parametrize("code", ["i1", "u1", "u2", "u8", "f2", "f8"])
def test_fault_032_label_out_of_range_in_any_dtype(y_refused, code):
    labels = (np.arange(12) % 10).astype(code)
    labels[11] = np.iinfo(code).max if labels.dtype.kind in "iu" else 10
    y_refused(ValueError, ["labels", "0 .. 9", f"row 11 is {labels[11]}"], labels)
    if labels.dtype.kind != "u":
        labels[5] = -1
        y_refused(ValueError, ["labels", "0 .. 9", f"row 5 is {labels[5]}"], labels)


@pytest.mark.parametrize("code", ["f2", "f4", "f8", ">f4", "g"])
def test_fault_033_float_labels_that_are_whole(backend, x, code):
    labels = np.array([0, 1, 2, 2, 1, 0] * 2)
    given = labels.astype(code)
    given[0] = -0.0
    assert outcomes(backend, x, given) == outcomes(backend, x, labels)
    assert outcomes(backend, x, given.tolist()) == outcomes(backend, x, labels)


@pytest.mark.parametrize("label", [3.5, NAN, INF, -INF, -0.5, 9.5, 10.0, 1e300, 5e-324])
def test_fault_033_float_labels_that_are_none(y_refused, label):
    labels = np.arange(12) % 10.0
    labels[4] = label
    y_refused(ValueError, ["whole numbers", "0 .. 9", f"row 4 is {label}"], labels)
    y_refused(ValueError, ["whole numbers", "0 .. 9", f"row 4 is {label}"], labels.tolist())


# ---- 34 to 36: shapes and sums


@pytest.mark.parametrize("n", [0, 1, 11, 13, 120])
def test_fault_034_length_differs(y_refused, n):
    parts = ["(12,) or (12, 10)", "12 rows", f"has {n}"]
    y_refused(ValueError, [*parts, f"got ({n},)"], np.zeros(n, int))
    y_refused(ValueError, [*parts, f"got ({n}, 10)"], np.zeros((n, 10)))
    y_refused(ValueError, ["(12,) or (12, 1)", f"got ({n},)", f"has {n}"], np.zeros(n), n_out=1)


@pytest.mark.parametrize("shape", [(12, 9), (12, 11), (12, 10, 1), (12, 0), (10, 12), (1, 120)])
def test_fault_034_shape_differs(y_refused, shape):
    y_refused(ValueError, ["shape (12,) or (12, 10)", f"got {shape}"], np.zeros(shape))


def test_fault_034_scalar(y_refused):
    for scalar in (0, 0.5, np.array(1), True):
        y_refused(ValueError, ["shape (12,) or (12, 10)", "scalar"], scalar)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("share", [0.0, 0.0625, 0.125 - 2**-13, 0.125 + 2**-13, 0.25, 1.0])
def test_fault_035_rows_that_do_not_sum_to_one(y_refused, dtype, share):
    rows = np.full((12, 8), 0.125)
    rows[[5, 8]] = share
    parts = ["sum to 1", "loss 'cross_entropy'", f"row 5 sums to {share * 8}"]
    y_refused(ValueError, parts, rows, 8, loss="cross_entropy", dtype=dtype)


@pytest.mark.parametrize("row", [[0, 0, 0], [1, 1, 0], [2, 0, -1], [True] * 3])
def test_fault_035_whole_numbers_that_do_not_sum_to_one(y_refused, row):
    rows = np.array([[0, 1, 0]] * 12)
    rows[3] = row
    y_refused(ValueError, ["row 3", "loss 'cross_entropy'"], rows, 3, loss="cross_entropy")


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize("value", [-0.1, 1.1, -1e-30, 1.0001, 2.0])
def test_fault_035_targets_that_are_no_probabilities(y_refused, loss, value):
    rows = np.zeros((12, 3))
    rows[:, 1] = 1
    rows[2] = value, 1 - value, 0
    parts = ["in [0, 1]", f"loss {loss!r}", "row 2 is ["]
    y_refused(ValueError, parts, rows, 3, loss=loss)


def test_fault_035_one_output_that_is_no_probability(y_refused):
    for bad in (np.full(12, 1.5), np.full((12, 1), 2), [0, 1] * 5 + [2, 1]):
        parts = ["in [0, 1]", "loss 'binary_cross_entropy'", "row"]
        y_refused(ValueError, parts, bad, 1, loss="binary_cross_entropy")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("code", ["f2", "f4", "f8"])
def test_fault_035_soft_targets(backend, x, rng, dtype, code):
    """Rows that sum to 1 but for the rounding of the dtype they came in."""
    rows = rng.dirichlet(np.ones(10), 12).astype(code)
    network = Network([4, 10], loss="cross_entropy", dtype=dtype, backend=backend)
    before = network.evaluate(x, rows)
    history = network.fit(x, rows, epochs=30, batch_size=12, learning_rate=0.5)
    assert history.loss[-1] < before.loss
    assert history.accuracy == [None] * 30
    assert before.accuracy is None


def test_fault_035_other_losses_take_any_targets(backend, x, rng):
    rows = rng.normal(size=(12, 10))
    Network([4, 10], backend=backend).fit(x, rows)
    rows = rng.uniform(size=(12, 10))
    Network([4, 10], loss="binary_cross_entropy", backend=backend).fit(x, rows)


@pytest.mark.parametrize("code", REAL)
def test_fault_036_column_of_labels(y_refused, code):
    column = (np.arange(12) % 2).reshape(12, 1).astype(code)
    parts = ["(12,) for labels", "(12, 10) for targets", "got (12, 1)", "ravel() if these are"]
    y_refused(ValueError, parts, column)
    if code in {"?", "i8", "f8"}:
        y_refused(ValueError, parts, column.tolist())


def test_fault_036_column_of_labels_in_validation_data(backend, refused, x):
    network = make(backend)
    column = np.zeros((12, 1), int)
    with refused(ValueError, "validation_data[1].ravel()", network=network):
        network.fit(x, column.ravel(), validation_data=(x, column))


@pytest.mark.parametrize("code", REAL)
def test_fault_036_column_of_targets(backend, x, code):
    values = (np.arange(12) % 2).astype(code)
    settings = {"sizes": [4, 5, 1]}
    found = outcomes(backend, x, values.reshape(12, 1), **settings)
    assert found == outcomes(backend, x, values, **settings)
    assert found == outcomes(backend, x, values.astype(float), **settings)


@pytest.mark.parametrize("n_out", [1, 2, 10])
def test_fault_036_row_of_labels(y_refused, n_out):
    row = np.zeros((1, 12), int)
    parts = [f"(12,) or (12, {n_out})", "got (1, 12)", "12 rows", "has 1"]
    y_refused(ValueError, parts, row, n_out)


def test_fault_036_row_of_targets_is_for_one_row(backend, x):
    network = Network([4, 12], backend=backend)
    targets = np.linspace(0, 1, 12).reshape(1, 12)
    assert network.fit(x[:1], targets).steps == [1]


# ---- 37, 38: classes


@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
@pytest.mark.parametrize("label", [0, 2])
def test_fault_037_one_class_only(backend, x, loss, label):
    network = make(backend, loss=loss)
    history = network.fit(x, np.full(12, label), epochs=80, learning_rate=0.5)
    assert history.loss[-1] < history.loss[0]
    assert history.accuracy[-1] == 1
    assert network.classify(x).tolist() == [label] * 12
    assert np.isfinite(network.parameters).all()


@pytest.mark.parametrize("label", [0, 1])
def test_fault_037_one_class_only_of_one_output(backend, x, label):
    network = Network([4, 5, 1], loss="binary_cross_entropy", backend=backend)
    history = network.fit(x, np.full(12, label), epochs=40, learning_rate=0.5)
    assert history.accuracy[-1] == 1
    assert network.classify(x).tolist() == [label] * 12


@pytest.mark.parametrize(
    ("code", "n_out"),
    [("u1", 256), ("u1", 300), ("u1", 1000), ("i1", 300), ("u2", 70_000), ("f2", 300)],
)
def test_fault_038_narrow_labels_do_not_wrap_around(backend, code, n_out):
    largest = 255 if code == "f2" else int(np.iinfo(code).max)
    labels = np.array([0, 1, largest, largest - 1, 44], code)
    x = np.eye(5)
    wide = [int(label) for label in labels]
    settings = {"sizes": [5, n_out]}
    assert outcomes(backend, x, labels, **settings) == outcomes(backend, x, wide, **settings)
    # The label's own output is pushed up, and no other.
    trace = Network([5, n_out], backend=backend).trace(x, labels)
    assert trace[0].dE_da.argmin(axis=1).tolist() == wide


def test_fault_038_class_that_the_dtype_cannot_hold(backend, refused):
    """Classes above 255 have no uint8 label; a label of theirs modulo 256 is another class."""
    network = Network([2, 300], backend=backend)
    with refused(ValueError, "0 .. 299", "row 1 is 300", network=network):
        network.evaluate(np.zeros((2, 2)), np.array([299, 300], np.uint16))
    with refused(ValueError, "0 .. 199", "row 0 is 255"):
        Network([2, 200], backend=backend).evaluate(np.zeros((1, 2)), np.uint8([255]))


# ---- what else y may be


@pytest.mark.parametrize("code", REAL)
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy", "binary_cross_entropy"])
def test_labels_of_any_real_dtype(backend, x, code, loss):
    """Also bool, for two of the classes."""
    labels = np.arange(12) % 2
    settings = {"loss": loss}
    assert outcomes(backend, x, labels.astype(code), **settings) == outcomes(
        backend, x, labels, **settings
    )
    assert outcomes(backend, x, labels.tolist(), **settings) == outcomes(
        backend, x, tuple(labels), **settings
    )


@pytest.mark.parametrize("code", REAL)
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy", "binary_cross_entropy"])
def test_labels_are_one_hot_rows(backend, x, code, loss):
    """The same bits, accuracy included; integers in rows are targets, and never pixels."""
    labels = np.arange(12) % 3
    found = outcomes(backend, x, np.eye(3, dtype=code)[labels], loss=loss)
    assert found == outcomes(backend, x, labels, loss=loss)
    network = make(backend, loss=loss)
    assert network.evaluate(x, np.eye(3, dtype=code)[labels]).accuracy is not None


@pytest.mark.parametrize("code", ["u1", "i4", "f4"])
def test_rows_of_numbers_are_targets_as_they_are(backend, x, code):
    rows = np.arange(36).reshape(12, 3) % 7
    found = outcomes(backend, x, rows.astype(code))
    assert found == outcomes(backend, x, rows.astype(float))
    network = make(backend)
    outputs = network.predict(x).astype(float)
    evaluation = network.evaluate(x, rows.astype(code))
    loss = ((outputs - rows) ** 2).sum(axis=1).mean()
    assert evaluation.loss == pytest.approx(loss, rel=1e-5)
    assert evaluation.accuracy is None


def test_one_output_takes_targets(backend, x):
    """Never labels: 7 is 7.0 there, and 0 and 1 are compared with what `classify` says."""
    network = Network([4, 1], output_activation="identity", backend=backend)
    outputs = network.predict(x).astype(float)[:, 0]
    for y in (np.full(12, 7), np.full(12, 7, np.uint8), np.full((12, 1), 7.0), [7] * 12):
        evaluation = network.evaluate(x, y)
        assert evaluation.loss == pytest.approx(((outputs - 7) ** 2).mean(), rel=1e-5)
        assert evaluation.accuracy is None
    network = Network([4, 1], backend=backend)
    y = np.arange(12) % 2
    right = (network.classify(x) == y).mean()
    for given in (y, y.astype(bool), y.astype(float), y.reshape(12, 1), y.tolist()):
        assert network.evaluate(x, given).accuracy == right
    assert network.evaluate(x, np.full(12, 0.5)).accuracy is None


def test_accuracy_is_that_of_classify(backend, x):
    labels = np.arange(12) % 3
    for loss in ("squared_error", "cross_entropy"):
        network = make(backend, loss=loss)
        right = (network.classify(x) == labels).mean()
        assert network.evaluate(x, labels).accuracy == right
        assert network.evaluate(x, np.eye(3)[labels]).accuracy == right
    soft = np.full((12, 3), 1 / 3)
    assert network.evaluate(x, soft).accuracy is None


@pytest.mark.parametrize("value", [NAN, INF, 1e39])
def test_target_of_one_output_is_named_as_given(backend, refused, x, value):
    network = Network([4, 1], backend=backend)
    for y, place in ((np.zeros(12), "y[7]"), (np.zeros((12, 1)), "y[7, 0]")):
        y[7] = value
        with refused(ValueError, f"{place} = {value}", network=network, arrays=[x, y]):
            network.fit(x, y)


def test_fault_038_float16_labels_of_more_classes_than_float16_counts(backend):
    network = Network([2, 70_000], loss="cross_entropy", backend=backend)
    x, y = np.ones((3, 2)), np.array([0, 1, 2048], np.float16)
    assert network.evaluate(x, y) == network.evaluate(x, [0, 1, 2048])
