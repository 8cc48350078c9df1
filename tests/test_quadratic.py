"""The quadratic classifier: its gradient is measured, its descent arrives at the closed answer."""

import pickle

import numpy as np
import pytest

import chainrule
from chainrule import QuadraticClassifier, quadratic
from chainrule.gradcheck import central_differences

SEEDS = range(5)


@pytest.fixture
def students():
    return quadratic.students(400, seed=0)


# ---- Eq. 1, 2 and 3


def test_features_and_rmse_by_hand():
    phi = quadratic.features(np.array([[2.0, 3.0], [-1.0, 0.5]]))
    assert phi.tolist() == [[4.0, 9.0, 6.0, 2.0, 3.0, 1.0], [1.0, 0.25, -0.5, -1.0, 0.5, 1.0]]
    w = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    # f = 4 + 18 + 18 + 8 + 15 + 6 = 69 and 1 + 0.5 - 1.5 - 4 + 2.5 + 6 = 4.5
    assert (phi @ w).tolist() == [69.0, 4.5]
    assert quadratic.rmse(w, phi, np.array([66.0, 0.5])) == np.sqrt((9 + 16) / 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_gradient_is_the_measured_one(seed):
    rng = np.random.default_rng(seed)
    phi = quadratic.features(rng.uniform(-1, 1, (30, 2)))
    y, w = rng.integers(0, 2, 30).astype(float), rng.normal(size=6)
    measured = central_differences(lambda w: quadratic.rmse(w, phi, y), w)
    np.testing.assert_allclose(quadratic.rmse_gradient(w, phi, y), measured, rtol=1e-8, atol=1e-9)


def test_perfect_weights_stay():
    phi = quadratic.features(np.array([[0.5, -1.0], [1.0, 1.0], [0.0, 0.25]]))
    w = np.array([1.0, 0.5, 0.25, -1.0, 2.0, 4.0])  # nothing here is rounded
    assert quadratic.rmse_gradient(w, phi, phi @ w).tolist() == [0.0] * 6


def test_curvature_is_that_of_the_rmse(students):
    x, passed = students
    classifier = QuadraticClassifier()
    classifier.fit(x, passed, steps=0)
    phi = quadratic.features(classifier.scaled(x))
    lowest = quadratic.least_squares(phi, passed)
    second = np.array(
        [
            central_differences(lambda w, i=i: quadratic.rmse_gradient(w, phi, passed)[i], lowest)
            for i in range(6)
        ]
    )
    expected = np.linalg.eigvalsh((second + second.T) / 2)
    np.testing.assert_allclose(quadratic.curvature(phi, passed), expected, rtol=1e-6)


def test_curvature_of_fewer_rows_than_weights_is_partly_flat():
    phi = quadratic.features(np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]))
    found = quadratic.curvature(phi, np.array([0.0, 1.0, 1.0]))
    assert found.shape == (6,)
    assert (found[:3] == 0).all()
    assert (np.diff(found) >= 0).all()
    assert found[-1] > 1


def test_curvature_at_a_tip_is_refused():
    phi = quadratic.features(np.zeros((1, 2)))
    with pytest.raises(ZeroDivisionError, match="expected a least RMSE above 0, found 0"):
        quadratic.curvature(phi, np.zeros(1))


# ---- the students


@pytest.mark.parametrize("seed", range(20))
def test_students_pass_most_often_at_four_hours_and_the_longest_listening(seed):
    x, passed = quadratic.students(400, seed)
    classifier = QuadraticClassifier()
    classifier.fit(x, passed)
    axes = [np.linspace(low, high, 81) for low, high in zip(x.min(0), x.max(0), strict=True)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    hours, minutes = grid[classifier.value(grid).argmax()]
    assert hours == pytest.approx(4, abs=1)
    assert minutes == x[:, 1].max()


def test_students_are_what_is_said_of_them():
    x, passed = quadratic.students(100_000, seed=3)
    assert x.shape == (100_000, 2)
    assert passed.shape == (100_000,)
    assert set(passed.tolist()) == {0, 1}
    assert (x >= 0).all()
    assert (x.max(axis=0) <= [8, 90]).all()
    hours, minutes = x.T
    rates = [passed[np.abs(hours - at) < 0.5].mean() for at in range(9)]
    assert np.argmax(rates) == 4
    assert passed[(np.abs(hours - 4) < 0.5) & (minutes > 80)].mean() == pytest.approx(
        1 / (1 + np.exp(-2.2)), abs=0.03
    )


def test_students_are_seeded():
    one, again, other = (quadratic.students(50, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.x, again.x)
    assert np.array_equal(one.passed, again.passed)
    assert not np.array_equal(one.x, other.x)


@pytest.mark.parametrize(
    ("n", "seed", "kind", "message"),
    [
        (0, 0, ValueError, "n must be at least 1; got 0"),
        (1.5, 0, TypeError, "n must be an int"),
        (1, -1, ValueError, "seed must be in 0"),
    ],
)
def test_wrong_classes_of_students_are_refused(n, seed, kind, message):
    with pytest.raises(kind, match=message):
        quadratic.students(n, seed)


# ---- fit


@pytest.mark.parametrize("seed", SEEDS)
def test_descent_arrives_at_the_closed_answer(seed):
    x, passed = quadratic.students(400, seed)
    classifier = QuadraticClassifier()
    path = classifier.fit(x, passed)
    phi = quadratic.features(classifier.scaled(x))
    closed = quadratic.rmse(quadratic.least_squares(phi, passed), phi, passed)
    assert closed <= path.values[-1] * (1 + 1e-12)
    assert path.values[-1] < 1.01 * closed
    assert path.values[-1] == quadratic.rmse(classifier.weights, phi, passed)
    assert (np.diff(path.values) <= 1e-15).all()


def test_path_is_of_every_step(students):
    classifier = QuadraticClassifier()
    path = classifier.fit(*students, learning_rate=0.05, steps=7, start=np.arange(6))
    assert classifier.path is path
    assert path.points.shape == (8, 6)
    assert path.points[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert classifier.weights.tolist() == path.points[-1].tolist()
    phi = quadratic.features(classifier.scaled(students.x))
    for here, after in zip(path.points, path.points[1:], strict=False):
        step = 0.05 * quadratic.rmse_gradient(here, phi, students.passed)
        np.testing.assert_array_equal(after, here - step)
    assert not path.points.flags.writeable
    assert not path.values.flags.writeable


def test_a_fit_starts_from_its_start_and_not_from_the_last(students):
    classifier = QuadraticClassifier()
    first = classifier.fit(*students)
    assert first.points[0].tolist() == [0.0] * 6
    assert np.array_equal(classifier.fit(*students).points, first.points)


def test_scaling_makes_units_no_matter(students):
    x, passed = students
    one, other = QuadraticClassifier(), QuadraticClassifier()
    one.fit(x, passed)
    other.fit(x * [60, 1 / 60] + [5, -3], passed)
    np.testing.assert_allclose(other.weights, one.weights, rtol=1e-9)
    scaled = one.scaled(x)
    np.testing.assert_allclose(scaled.min(axis=0), -1)
    np.testing.assert_allclose(scaled.max(axis=0), 1)


def test_without_scaling_no_rate_will_do(students):
    x, passed = students
    scaled, raw = QuadraticClassifier(), QuadraticClassifier(scale=False)
    scaled.fit(x, passed, steps=0)
    raw.fit(x, passed, steps=0)
    assert raw.scaled(x).tolist() == x.tolist()
    spreads = []
    for classifier in (scaled, raw):
        bends = quadratic.curvature(quadratic.features(classifier.scaled(x)), passed)
        spreads.append(bends[-1] / bends[0])
    assert spreads[0] < 25
    assert spreads[1] > 1e8
    lowest = scaled.fit(x, passed).values[-1]
    for share in (0.03, 0.1, 0.3, 1, 3):
        path = raw.fit(x, passed, learning_rate=share * 2 / bends[-1])
        assert path.values.min() > 1.05 * lowest  # scaled, it is within 1.01


def test_two_classes_of_an_ellipse_are_told_apart(rng):
    x = rng.uniform(-3, 3, (500, 2))
    y = (x[:, 0] ** 2 + 2 * x[:, 1] ** 2 < 4).astype(int)
    classifier = QuadraticClassifier()
    classifier.fit(x, y)
    assert np.mean(classifier.predict(x) == y) > 0.9
    assert classifier.predict(x).dtype == np.int64
    np.testing.assert_array_equal(classifier.predict(x), classifier.value(x) > 0.5)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int16, np.float32, list])
def test_inputs_and_labels_of_any_kind(kind):
    x = [[0, 1], [1, 0], [2, 3], [4, 1]]
    y = [0, 1, 1, 0]
    expected, found = QuadraticClassifier(), QuadraticClassifier()
    expected.fit(np.array(x, float), y)
    found.fit(np.array(x, np.uint8), y if kind is list else np.array(y, kind))
    assert np.array_equal(expected.weights, found.weights)


def test_an_input_that_is_always_the_same(rng):
    x = rng.uniform(-1, 1, (50, 2))
    x[:, 1] = 7
    classifier = QuadraticClassifier()
    path = classifier.fit(x, x[:, 0] > 0)
    assert (classifier.scaled(x)[:, 1] == 0).all()
    assert path.values[-1] < 0.3


def test_numbers_as_large_as_float64_has_are_scaled():
    x = np.array([[-1.7e308, 0.0], [1.7e308, 1.0], [0.0, 0.5]])
    classifier = QuadraticClassifier()
    classifier.fit(x, [0, 1, 0])
    assert classifier.scaled(x).tolist() == [[-1, -1], [1, 1], [0, 0]]


def fitted():
    classifier = QuadraticClassifier()
    classifier.fit([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]], [0, 1, 1], steps=5)
    return classifier


X = [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("x", "y", "settings", "kind", "message"),
    [
        ([0.0, 1.0], [0], {}, ValueError, r"x must have shape \(n, 2\); got \(2,\).*x\[None\]"),
        ([[1.0]], [0], {}, ValueError, r"x must have shape \(n, 2\); got \(1, 1\)"),
        ([[1.0, np.nan]], [0], {}, ValueError, r"x must be finite.*x\[0, 1\] = nan"),
        (np.empty((0, 2)), [], {}, ValueError, "x must have at least one row; got none"),
        ("ab", [0], {}, TypeError, "x must be an array of numbers"),
        (X, [0], {}, ValueError, r"y must have shape \(2,\), a label for each row.*got \(1,\)"),
        (X, [[0, 1], [1, 0]], {}, ValueError, r"y must have shape \(2,\)"),
        (X, [0, 2], {}, ValueError, r"y must hold labels, whole numbers in 0 .. 1; row 1 is 2"),
        (X, [0.5, 1], {}, ValueError, r"row 0 is 0.5"),
        (X, [0, 1], {"start": [0.0]}, ValueError, r"start must have shape \(6,\); got \(1,\)"),
        (X, [0, 1], {"learning_rate": -1}, ValueError, "learning_rate must be"),
        (X, [0, 1], {"steps": 2.5}, TypeError, "steps must be an int"),
        (X, [0, 1], {"learning_rate": 1e308}, ArithmeticError, "after step 1 of 1000.*lower the"),
    ],
)
def test_a_refused_fit_changes_nothing(x, y, settings, kind, message):
    classifier = fitted()
    before = pickle.dumps(classifier)
    with pytest.raises(kind, match=message):
        classifier.fit(x, y, **settings)
    assert pickle.dumps(classifier) == before


def test_inputs_too_large_to_square_are_refused():
    classifier = fitted()
    for call in (classifier.value, classifier.predict):
        with pytest.raises(ValueError, match="x must be small enough to be squared; found 1e"):
            call([[1e200, 0.0]])
    with pytest.raises(ValueError, match="found 1e\\+200: scale it first"):
        QuadraticClassifier(scale=False).fit([[1e200, 0.0]], [0])


def test_before_a_fit_there_is_nothing_to_ask():
    classifier = QuadraticClassifier()
    asked = [
        lambda: classifier.path,
        lambda: classifier.weights,
        lambda: classifier.value(X),
        lambda: classifier.predict(X),
        lambda: classifier.scaled(X),
    ]
    for ask in asked:
        with pytest.raises(RuntimeError, match="found no weights: call fit first"):
            ask()


def test_scale_must_be_a_bool():
    with pytest.raises(TypeError, match="scale must be True or False; got int 1"):
        QuadraticClassifier(scale=1)


def test_pickled_it_predicts_the_same(students):
    classifier = QuadraticClassifier()
    classifier.fit(*students)
    other = pickle.loads(pickle.dumps(classifier))
    assert np.array_equal(other.value(students.x), classifier.value(students.x))


def test_public_names():
    assert {"QuadraticClassifier", "descent", "quadratic"} <= set(chainrule.__all__)
