"""The judge is judged: the emulator against exact fractions, mpmath and sums by hand."""

from __future__ import annotations

import ast
import math
import sys
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
from exactness import emulator

F = np.float32
LARGEST = float(np.finfo(F).max)
TINY = 2.0**-149  # the least subnormal


def rounded(x: Fraction) -> float:
    """x rounded to float32 once, ties to even, by whole numbers only."""
    if x == 0:
        return 0.0
    magnitude = abs(x)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    exponent -= Fraction(2) ** exponent > magnitude
    unit = Fraction(2) ** (max(exponent, -126) - 23)
    result = round(magnitude / unit) * unit  # of a Fraction: ties to even
    value = math.inf if result >= 2**128 else float(result)
    return math.copysign(value, x)


def check(triples):
    a, b, c = (np.array(column, F) for column in zip(*triples, strict=True))
    got = emulator.fma(a, b, c)
    assert got.dtype == F
    for a_, b_, c_, g in zip(a.tolist(), b.tolist(), c.tolist(), got.tolist(), strict=True):
        want = rounded(Fraction(a_) * Fraction(b_) + Fraction(c_))
        assert g == want, (a_.hex(), b_.hex(), c_.hex(), g.hex(), want.hex())


def test_rounded_is_itself_right():
    assert rounded(Fraction(1) + Fraction(1, 2**24)) == 1.0
    assert rounded(Fraction(1) + Fraction(3, 2**24)) == 1.0 + 2.0**-22
    assert rounded(Fraction(TINY) / 2) == 0.0
    assert rounded(-Fraction(TINY) * 3 / 2) == -2 * TINY
    assert rounded(Fraction(LARGEST) + 2**103) == math.inf
    assert rounded(Fraction(LARGEST) + 2**102) == LARGEST


def ties():
    """Sums that float64 rounds onto a float32 tie, from either side: rounding twice goes wrong."""
    for exponent in (-100, -3, 0, 60):
        scale = 2.0**exponent
        for odd in (0, 1):  # the tie would go to the even neighbour, which lies down or up
            # a b = (1 + odd 2^-23 + 2^-24) scale exactly: a factor of 2^25 + 2 odd 2 + 1.
            whole = 2**24 + 2 * odd + 1
            for factor in range(3, 4096, 2):
                if whole % factor == 0 and whole // factor < 2**24:
                    break
            else:
                continue
            a, b = factor * scale * 2.0**-12, whole // factor * 2.0**-12
            for error in (2.0**-40, 2.0**-60, 2.0**-100 / 3):
                for sign in (1, -1):
                    for of in (1, -1):
                        yield of * a, b, F(sign * error * scale)


def test_fma_on_ties_with_errors_of_both_signs():
    triples = list(ties())
    assert len(triples) >= 48
    check(triples)
    # What makes these telling: rounding twice is wrong for many of them, on both sides.
    twice = [float(F(float(F(a)) * float(F(b)) + float(c))) for a, b, c in triples]
    once = [
        rounded(Fraction(float(F(a))) * Fraction(b) + Fraction(float(c))) for a, b, c in triples
    ]
    assert any(t > o for t, o in zip(twice, once, strict=True))
    assert any(t < o for t, o in zip(twice, once, strict=True))


def test_fma_on_ties_of_the_addend():
    # c carries the leading bits, half a unit comes from a b, and the error is a b's own last bit.
    triples = [
        (sign * a * math.ulp(c) * 2.0**28, b, of * c)
        for c in (1.0, 1.0 + 2.0**-23, 2.0**100, 1.5 * 2.0**-120)
        for a in (1 + 2.0**-23, 1 - 2.0**-24)
        for b in (1.0, 1 + 2.0**-23, 1 - 2.0**-24)
        for sign in (1, -1)
        for of in (1, -1)
    ]
    check(triples)


def test_fma_beside_a_tie():
    # The float64 sum is odd and next to a tie, and its error points at the tie, which it must not
    # reach: exactly 1 + 2^-24 -/+ (2^-52 - 2^-(24 + k)).
    triples = []
    for k in range(30, 41):
        for side in (1, -1):
            whole = 2**k - side * (2 ** (k - 28) - 1)
            b = next((d for d in range(math.isqrt(whole), 2, -1) if whole % d == 0), whole)
            if whole // b < 2**24 and b < 2**24:
                a = math.ldexp(whole // b, -k - 24)
                triples += [(of * sign * a, float(b), of) for sign in (1, -1) for of in (1.0, -1.0)]
                triples += [
                    (of * sign * a, float(b), of * (1 + 2.0**-23))
                    for sign in (1, -1)
                    for of in (1, -1)
                ]
    assert len(triples) >= 24
    check(triples)


def test_fma_at_the_subnormals():
    a = [TINY, 3 * TINY, 5 * TINY, -7 * TINY, 2.0**-126, -(2.0**-126 - TINY)]
    b = [0.5, 1.5, 0.25, 0.75, 1 - 2.0**-24, 1 + 2.0**-23, 2.0**-30]
    c = [0.0, TINY, -TINY, 2.0**-126, -(2.0**-126), 2.0**-126 - TINY]
    check([(p, q, s) for p in a for q in b for s in c])
    # Ties of the subnormals with an error below float64's last bit of the sum, on either side.
    check(
        [
            (sign * e, 2.0**-50, of * 2.0**-126 * 0.5)
            for e in (2.0**-100, 2.0**-99 * (1 + 2.0**-23))
            for sign in (1, -1)
            for of in (1, -1)
        ],
    )


def test_fma_at_overflow():
    half = 2.0**103  # half a unit of the largest
    below = half * (1 - 2.0**-24)
    triples = [
        (sign * x, 1.0, sign * LARGEST)
        for x in (half, below, half * (1 + 2.0**-23), half / 2)
        for sign in (1, -1)
    ]
    # The tie at the threshold, with an error that float64 cannot hold beside it.
    triples += [(sign * LARGEST, 1 + 2.0**-23, sign * -LARGEST * 2.0**-24) for sign in (1, -1)]
    triples += [(LARGEST, LARGEST, -1.0), (LARGEST, -2.0, LARGEST), (LARGEST, 2.0, -LARGEST)]
    check(triples)
    assert np.isnan(emulator.fma(F(np.inf), F(0), F(1)))
    assert np.isnan(emulator.fma(F(np.inf), F(1), F(-np.inf)))
    assert emulator.fma(F(2), F(3), F(-np.inf)) == -np.inf


def test_fma_on_random_bits():
    draw = np.random.Generator(np.random.Philox(5))
    a, b = (draw.standard_normal(4000).astype(F) for _ in range(2))
    c = (-a * b * draw.choice([1, 1 + 2**-20, 0.5, 3, 2**-24], 4000)).astype(F)  # cancellation
    check(list(zip(a, b, c, strict=True)))


def test_fma_keeps_signs_of_zero():
    got = emulator.fma(F([0, -0.0, 1, 0]), F([1, 1, -1, -1]), F([-0.0, -0.0, 1, -0.0]))
    assert np.signbit(got).tolist() == [False, True, False, True]


def test_sum_of_products_by_hand():
    # fma(2^-12, 2^-12, fma(1, 1, 0)) = 1 + 2^-24 rounds to 1; minus 1 leaves 0. Fused: in
    # fma(1 + 2^-12, 1 + 2^-12, -1) = 2^-11 + 2^-24 the last bit survives.
    p, q = F([1, 2.0**-12, -1]), F([1, 2.0**-12, 1])
    assert emulator.sum_of_products(p[:, None], q[:, None]).tolist() == [0.0]
    p, q = F([-1, 1 + 2.0**-12]), F([1, 1 + 2.0**-12])
    assert emulator.sum_of_products(p[:, None], q[:, None]).tolist() == [2.0**-11 + 2.0**-24]


@pytest.mark.parametrize("count", [256, 257, 300, 513])
def test_sum_of_products_cuts_blocks_of_256(count):
    # Each block begins with 2^24, which swallows the ones that follow, tie after tie.
    p = np.ones((count, 1), F)
    p[::256] = 2.0**24
    blocks = -(-count // 256)
    assert emulator.sum_of_products(p, np.ones_like(p)).tolist() == [blocks * 2.0**24]
    # A block of plain ones is exact by itself, and is then lost or kept as a whole.
    p = np.ones((count, 1), F)
    p[0] = 2.0**24
    total = F(2.0**24)
    for start in range(256, count, 256):
        total = total + F(min(256, count - start))
    assert emulator.sum_of_products(p, np.ones_like(p)).tolist() == [float(total)]


def test_sum_of_products_wipes_the_sign_of_zero():
    p = F([[-TINY]])
    assert not np.signbit(emulator.sum_of_products(p, F([[0.25]]))).any()


def test_plain_sum_ascends_and_rounds_each_addition():
    assert emulator.plain_sum(F([[2.0**24, 1, 1], [1, 1, 2.0**24]])).tolist() == [
        2.0**24,
        2.0**24 + 2,
    ]


def test_products_are_of_the_right_index():
    draw = np.random.Generator(np.random.Philox(6))
    x, W, r = (draw.integers(-9, 9, s).astype(F) for s in ((7, 300), (5, 300), (7, 5)))
    b = draw.integers(-9, 9, 5).astype(F)
    assert np.array_equal(emulator.weighted_sums(x, W, b), x @ W.T + b)
    assert np.array_equal(emulator.back_products(r, W), r @ W)
    assert np.array_equal(emulator.weight_gradient(r, x), r.T @ x)
    assert np.array_equal(emulator.bias_gradient(r), r.sum(axis=0))


def ulps(got: float, want: mpmath.mpf) -> float:
    """|got - want| in units of the last place of a float32 at `want`."""
    if abs(want) >= mpmath.mpf(2) ** 128:
        want = mpmath.sign(want) * mpmath.mpf(2) ** 128
    if math.isinf(got):
        got = math.copysign(2.0**128, got)
    exponent = mpmath.frexp(want)[1] - 1 if want else -126
    return float(abs(got - want) / mpmath.mpf(2) ** (min(max(exponent, -126), 127) - 23))


def true_sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


@pytest.mark.parametrize(
    ("name", "true", "low", "high"),
    [
        ("exp", mpmath.exp, -105, 89),
        ("sigmoid", true_sigmoid, -105, 30),
        ("tanh", mpmath.tanh, -12, 12),
        ("log", mpmath.log, 0, 4),
        ("log1p", mpmath.log1p, 0, 1),
    ],
)
def test_functions_against_mpmath(name, true, low, high):
    draw = np.random.Generator(np.random.Philox(7))
    signs = [-1, 1] if low < 0 else [1]
    magnitudes = 2.0 ** draw.uniform(-30, 0, 300) * draw.choice(signs, 300)
    x = np.concatenate([draw.uniform(low, high, 1200), magnitudes]).astype(F)
    if name == "log":
        x = np.concatenate([x[x > 0], (2.0 ** draw.uniform(-149, 128, 300)).astype(F)])
    with mpmath.workdps(70):  # 1 + exp(105) keeps its 1
        errors = [
            ulps(g, true(mpmath.mpf(v)))
            for g, v in zip(getattr(emulator, name)(x).tolist(), x.tolist(), strict=True)
        ]
    assert max(errors) <= 1.0, x[np.argmax(errors)]  # the rule allows 1.5


def test_functions_at_the_ends():
    inf = np.inf
    assert emulator.exp(F([88.73, inf, -inf, 0, -0.0])).tolist() == [inf, inf, 0, 1, 1]
    assert emulator.sigmoid(F([-1e4, 0, 1e4, -100, -inf])).tolist() == [0, 0.5, 1, 27 * TINY, 0]
    assert emulator.tanh(F([-1e4, 1e4])).tolist() == [-1, 1]
    assert emulator.log(F([0, 1, inf])).tolist() == [-inf, 0, inf]
    assert np.isnan(emulator.log(F([-1, np.nan]))).all()
    for name in ("exp", "sigmoid", "tanh", "log", "log1p"):
        assert np.isnan(getattr(emulator, name)(F([np.nan]))).all(), name


def test_softmax_and_its_loss_stay_finite():
    z = F([[1e38, -1e38, 0], [5, 5, 5], [1, -1000, 0]])
    a = emulator.softmax(z)
    assert np.allclose(a.sum(axis=1), 1)
    loss = emulator.losses("cross_entropy", z, a, np.array([0, 2, 1]))
    assert loss.tolist() == pytest.approx([0, math.log(3), 1000 + math.log(1 + math.e)], rel=1e-6)
    soft = emulator.losses("cross_entropy", z[1:2], a[1:2], F([[0.25, 0.25, 0.5]]))
    assert soft.tolist() == pytest.approx([math.log(3)])


def test_binary_cross_entropy_by_hand():
    z, y = F([[2, -3]]), F([[1, 0.25]])
    want = math.log(1 + math.exp(-2)) + 0.75 + math.log(1 + math.exp(-3))
    assert emulator.losses("binary_cross_entropy", z, z, y).tolist() == pytest.approx([want])


@pytest.mark.parametrize(
    ("activation", "output", "loss"),
    [
        ("sigmoid", "sigmoid", "squared_error"),
        ("tanh", "identity", "squared_error"),
        ("relu", "softmax", "squared_error"),
        ("tanh", "softmax", "cross_entropy"),
        ("relu", "sigmoid", "binary_cross_entropy"),
    ],
)
def test_gradients_by_central_differences(activation, output, loss):
    draw = np.random.Generator(np.random.Philox(8))
    sizes, names = [3, 4, 2], [activation, output]
    W = [draw.uniform(-1, 1, s).astype(F) for s in ((4, 3), (2, 4))]
    b = [draw.uniform(-1, 1, s).astype(F) for s in sizes[1:]]
    x = draw.uniform(-1, 1, (5, 3)).astype(F)
    y = draw.uniform(0, 1, (5, 2)).astype(F)
    y /= y.sum(axis=1, keepdims=True)

    def mean_loss() -> float:
        z, a = emulator.forward(W, b, names, x)
        return float(emulator.losses(loss, z[-1], a[-1], y).astype(float).mean())

    z, a = emulator.forward(W, b, names, x)
    for gradients, parameters in zip(
        emulator.backward(W, names, loss, z, a, y), (W, b), strict=True
    ):
        for g, p in zip(gradients, parameters, strict=True):
            for i in np.ndindex(p.shape):
                kept, step = p[i], F(2.0**-7)
                p[i] = kept + step
                above, high = mean_loss(), p[i]
                p[i] = kept - step
                slope = (above - mean_loss()) / float(high - p[i])
                p[i] = kept
                assert g[i] == pytest.approx(slope, abs=2e-4)


def test_sgd_by_hand():
    w, g, v = F([2.0]), F([0.5]), F([4.0])
    new, velocity = emulator.sgd(w, g, v, rate=0.25, momentum=0.5, l2=0.125)
    assert (new.tolist(), velocity.tolist()) == ([2 - 0.25 * 2.75], [0.5 * 4 + (0.5 + 0.125 * 2)])
    new, velocity = emulator.sgd(w, g, v, rate=0.25, momentum=0.0, l2=0.0)
    assert (new.tolist(), velocity.tolist()) == ([1.875], [0.5])


def test_draws():
    # The first words of the generator, as NumPy's documentation of Philox defines them.
    raw = np.random.Philox(key=[9, 1], counter=[0, 2, 0, 0]).random_raw(6)
    u = (int(raw[4]) >> 11) / 2**53
    W = emulator.initial_weights(9, 2, 3, 2, "glorot_uniform")
    assert W.shape == (2, 3)
    assert W[1, 1] == F(math.sqrt(6 / 5) * (2 * u - 1))
    assert (np.abs(emulator.initial_weights(9, 0, 12, 50, "lecun_uniform")) <= 0.5).all()
    assert np.abs(emulator.initial_weights(9, 0, 24, 50, "he_uniform")).max() > 0.49
    order = emulator.order(9, 3, 50)
    assert sorted(order) == list(range(50))
    assert (order != emulator.order(9, 4, 50)).any()


@pytest.mark.parametrize("sizes", [(3, 4, 2), (20, 7, 5), (300, 5, 3)])
@pytest.mark.parametrize("batch_size", [7, 300])
def test_training_lowers_the_loss(sizes, batch_size):
    draw = np.random.Generator(np.random.Philox(10))
    x = draw.uniform(-1, 1, (300, sizes[0])).astype(F)
    y = np.argmax(x[:, : sizes[-1]], axis=1)
    weights, biases, losses = emulator.train(
        x, y, sizes, seed=1, epochs=3, batch_size=batch_size, learning_rate=0.5, momentum=0.5
    )
    assert [w.shape for w in weights] == [(sizes[1], sizes[0]), (sizes[2], sizes[1])]
    assert [v.shape for v in biases] == [(sizes[1],), (sizes[2],)]
    assert {v.dtype for v in weights + biases} == {np.dtype(F)}
    assert losses[2] < losses[0]


def test_the_emulator_knows_nothing_of_the_package():
    source = Path(__file__).with_name("emulator.py").read_text(encoding="utf-8")
    imported = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"numpy"}
