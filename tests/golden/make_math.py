"""Makes the constants of `rust/kernels/math.rs` and the golden values of its float64 tests.

    python tests/golden/make_math.py coefficients   # prints the constants, with their errors
    python tests/golden/make_math.py values         # writes math_<function>.txt beside this file
    python tests/golden/make_math.py emulated       # writes math_float32.txt beside this file

It needs mpmath and NumPy, which building the crate does not; its output is committed.

Coefficients. exp(r) = 1 + r + r^2 P(r) for |r| <= ln(2) / 2, with P such that the largest relative
error of r + r^2 P(r) against expm1(r) is least (tanh needs it relative to expm1). log(1 + f) =
2 s + s R with s = f / (2 + f) and R = z L(z), z = s^2, for 1 + f in [sqrt(1/2), sqrt(2)]; L is such
that the largest relative error against log(1 + f) is least. Both by the exchange algorithm of Remez
in 60 digits; then each coefficient is rounded to the type, and the error is measured again.

Values. A line is `argument result tail`: the bits of a float64 argument in hexadecimal, the bits of
the correctly rounded result, and (true result - rounded result) in units of the last place of the
rounded one, so that a test can count the error of its own result beyond half a unit.

Emulated. A line is the bits of a first float32 argument, the digests of exp, sigmoid, tanh, log
and log1p (of 0 where the argument is not in [0, 1]) over the 1024 arguments from there in steps of
4099 bit patterns, by `tests/exactness/emulator.py`: the crate's own tests, which know no Python,
then compare Rust with it. A digest is the sum of (i + 1) * bits of result i, modulo 2^64, with -0.0
as +0.0 and one NaN.
"""

from __future__ import annotations

import math
import random
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import mpmath as mp

if TYPE_CHECKING:
    from collections.abc import Callable

mp.mp.dps = 60
HERE = Path(__file__).parent
BITS = {"f32": 24, "f64": 53}
EXP_DEGREE = {"f32": 5, "f64": 10}
LOG_DEGREE = {"f32": 2, "f64": 6}
FLOOR = mp.mpf("0.02")  # Remez needs a weight that is nowhere 0


def rounded(x: mp.mpf, bits: int) -> mp.mpf:
    """`x` rounded to nearest with `bits` bits of significand, exponents unbounded."""
    if x == 0:
        return mp.mpf(0)
    with mp.workprec(bits):
        return +x


def remez(
    target: Callable[[mp.mpf], mp.mpf],
    weight: Callable[[mp.mpf], mp.mpf],
    low: mp.mpf,
    high: mp.mpf,
    degree: int,
) -> list[mp.mpf]:
    """Coefficients, lowest first, that make max |weight (polynomial - target)| least."""
    n = degree + 2
    nodes = [
        (low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * n))
        for i in range(n)
    ]
    grid = [low + (high - low) * i / 3000 for i in range(3001)]
    known = [(target(x), weight(x)) for x in grid]
    for _ in range(12):
        rows = [
            [x**j for j in range(degree + 1)] + [(-1) ** i / weight(x)] for i, x in enumerate(nodes)
        ]
        solution = mp.lu_solve(mp.matrix(rows), mp.matrix([target(x) for x in nodes]))
        coefficients = [solution[j] for j in range(degree + 1)]
        errors = [
            w * (mp.polyval(coefficients[::-1], x) - t)
            for x, (t, w) in zip(grid, known, strict=True)
        ]
        # The largest error of each run of equal sign is the next node; the ends may be too many.
        runs, best = [], 0
        for i in range(1, len(grid)):
            if (errors[i] > 0) != (errors[best] > 0):
                runs.append(best)
                best = i
            elif abs(errors[i]) > abs(errors[best]):
                best = i
        runs.append(best)
        while len(runs) > n:
            runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
        nodes = [grid[i] for i in runs]
        peaks = [abs(e) for e in errors]
        if max(peaks) < abs(solution[degree + 1]) * mp.mpf("1.0001"):
            break
    return coefficients


def largest(error: Callable[[mp.mpf], mp.mpf], low: mp.mpf, high: mp.mpf) -> str:
    """The largest |error| on a grid, as a power of two."""
    points = (low + (high - low) * (i + mp.mpf("0.5")) / 2000 for i in range(2000))
    return f"2^{float(mp.log(max(abs(error(x)) for x in points), 2)):.1f}"


def literal(x: mp.mpf, kind: str) -> str:
    """The shortest decimal that reads back as `x`, digits after the point in threes."""
    if kind == "f64":
        text = repr(float(x))
    else:
        text = next(
            t
            for d in range(1, 12)
            if struct.unpack("f", struct.pack("f", float(t := f"{float(x):.{d}g}")))[0] == float(x)
        )
    mantissa, _, exponent = text.partition("e")
    whole, _, digits = mantissa.partition(".")
    grouped = "_".join(digits[i : i + 3] for i in range(0, len(digits), 3)) or "0"
    return f"{whole}.{grouped}" + (f"e{int(exponent)}" if exponent else "")


def coefficients() -> None:
    """Print every constant of math.rs for both types."""
    half = mp.log(2) / 2 * mp.mpf("1.0001")  # the argument reduction may miss by a little
    z_end = (mp.sqrt(2) - 1) ** 2 / (mp.sqrt(2) + 1) ** 2

    def expm1_tail(r: mp.mpf) -> mp.mpf:
        return mp.hyp1f1(1, 3, r) / 2  # (expm1(r) - r) / r^2, without its cancellation

    def log_tail(z: mp.mpf) -> mp.mpf:
        s = mp.sqrt(z)
        return (2 * mp.atanh(s) - 2 * s) / (s * z) if z > 1e-30 else mp.mpf(2) / 3

    for kind, bits in BITS.items():
        print(f"{kind}:")
        log2 = mp.log(2)
        for name, high in (
            ("exp", rounded(log2, bits)),
            ("log", rounded(log2, 16 if kind == "f32" else 42)),
        ):
            print(
                f"  {name}: LN2_HI {literal(high, kind)}"
                f"  LN2_LO {literal(rounded(log2 - high, bits), kind)}"
            )
        print(
            f"  LOG2_E {literal(rounded(1 / log2, bits), kind)}"
            f"  SQRT_HALF {literal(rounded(mp.sqrt(mp.mpf(1) / 2), bits), kind)}"
        )
        exp = remez(expm1_tail, lambda r: mp.sqrt(r**2 + FLOOR**2), -half, half, EXP_DEGREE[kind])
        exp = [rounded(c, bits) for c in exp]
        print("  EXP " + " ".join(literal(c, kind) for c in exp))

        def exp_error(r: mp.mpf, c: list[mp.mpf] = exp) -> mp.mpf:
            return (r + r**2 * mp.polyval(c[::-1], r)) / mp.expm1(r) - 1

        print("    error relative to expm1(r) " + largest(exp_error, -half, half))
        log = remez(
            log_tail,
            lambda z: FLOOR * z_end + z / 2,
            mp.mpf(0),
            z_end * mp.mpf("1.0001"),
            LOG_DEGREE[kind],
        )
        log = [rounded(c, bits) for c in log]
        print("  LOG " + " ".join(literal(c, kind) for c in log))

        def log_error(z: mp.mpf, c: list[mp.mpf] = log) -> mp.mpf:
            s = mp.sqrt(z)
            return s * z * (mp.polyval(c[::-1], z) - log_tail(z)) / (2 * mp.atanh(s))

        print("    error relative to log(1 + f) " + largest(log_error, mp.mpf(0), z_end))


def sigmoid(z: mp.mpf) -> mp.mpf:
    """1 / (1 + exp(-z)), good to all 60 digits on both sides of 0."""
    e = mp.exp(-abs(z))
    return e / (1 + e) if z < 0 else 1 / (1 + e)


FUNCTIONS: dict[str, tuple[Callable[[mp.mpf], mp.mpf], list[tuple[float, float]]]] = {
    # name: (the true function, ranges of arguments)
    "exp": (mp.exp, [(-1.0, 1.0), (-40.0, 40.0), (-745.2, 709.9), (-745.2, -707.0)]),
    "sigmoid": (sigmoid, [(-1.0, 1.0), (-40.0, 40.0), (-745.2, -30.0), (-745.2, -707.0)]),
    "tanh": (mp.tanh, [(-0.2, 0.2), (-1.0, 1.0), (-20.0, 20.0)]),
    "log": (mp.log, [(0.6, 1.6), (0.99, 1.01), (0.0, 1e3)]),
    "log1p": (mp.log1p, [(0.0, 1.0), (0.3, 0.5), (0.0, 1e-3)]),
}
A_RANGE = 300  # arguments in each range
MAGNITUDES = 300  # arguments whose logarithm is uniform


def result(value: mp.mpf) -> tuple[float, mp.mpf]:
    """`value` as a float64, and (value - that) in units of the last place of that."""
    if value >= mp.mpf(2) ** 1024 * (1 - mp.mpf(2) ** -54):
        return float("inf"), mp.mpf(0)
    exponent = max(int(mp.floor(mp.log(abs(value), 2))), -1022) if value else -1022
    unit = mp.mpf(2) ** (exponent - 52)
    nearest = mp.nint(value / unit) * unit  # nint rounds ties to even
    return float(nearest), (value - nearest) / mp.mpf(math.ulp(float(nearest)))


def values() -> None:
    """Write `math_<function>.txt` for each function."""
    draw = random.Random(20240229)
    for name, (function, ranges) in FUNCTIONS.items():
        arguments = {0.0, 5e-324, 1e-310, 2.2250738585072014e-308, 1e-17, 1.0}
        arguments |= {draw.uniform(*ends) for ends in ranges for _ in range(A_RANGE)}
        arguments |= {2.0 ** draw.uniform(-60, 0) for _ in range(MAGNITUDES)}
        if name == "log":
            arguments = {x for x in arguments if x > 0}
            arguments |= {2.0 ** draw.uniform(-1074, 1024) for _ in range(MAGNITUDES)}
        elif name != "log1p":
            arguments |= {-(2.0 ** draw.uniform(-60, 0)) for _ in range(MAGNITUDES)} | {-1.0}
        lines = []
        for x in sorted(arguments):
            nearest, tail = result(function(mp.mpf(x)))
            bits = [struct.unpack("<Q", struct.pack("<d", v))[0] for v in (x, nearest)]
            lines.append(f"{bits[0]:016x} {bits[1]:016x} {float(tail):.6f}\n")
        (HERE / f"math_{name}.txt").write_text("".join(lines), encoding="ascii")


def emulated() -> None:
    """Write `math_float32.txt` by the emulator of tests/exactness."""
    import numpy as np

    sys.path.insert(0, str(HERE.parent / "exactness"))
    import emulator

    functions = (emulator.exp, emulator.sigmoid, emulator.tanh, emulator.log)
    index = np.arange(1024, dtype=np.uint64)
    lines = []
    for first in range(0, 2**32 - 1024 * 4099, 1024 * 4099):
        x = (first + index * 4099).astype(np.uint32).view(np.float32)
        results = [function(x) for function in functions]
        results.append(emulator.log1p(np.where((x >= 0) & (x <= 1), x, np.float32(0))))
        digests = [int(((index + 1) * emulator.bits(result)).sum()) for result in results]
        lines.append(f"{first:08x} " + " ".join(f"{d:016x}" for d in digests) + "\n")
    (HERE / "math_float32.txt").write_text("".join(lines), encoding="ascii")


def main() -> None:
    """Run the command that the command line names."""
    commands = {"coefficients": coefficients, "values": values, "emulated": emulated}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(f"usage: python {sys.argv[0]} {'|'.join(commands)}")
    commands[sys.argv[1]]()


if __name__ == "__main__":
    main()
