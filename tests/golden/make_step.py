"""Makes the golden values of the sigmoid step in `tests/test_by_hand.py`.

    python tests/golden/make_step.py   # writes step.txt beside this file

It needs mpmath; its output is committed, and the test compares the two. One step of gradient
descent is taken by a 2-2-1 network of sigmoids with squared error, number by number and in 60
digits; float32 and float64 hold all that goes in exactly.

Values. A line is the name of an array and its entries, row by row, in 30 digits: E, then z, a, r,
dE_da, dE_dW and dE_db of each layer, and W and b after the step. Layers count from 0.
"""

from __future__ import annotations

import sys
from pathlib import Path

import mpmath as mp

FILE = Path(__file__).with_name("step.txt")
DIGITS = 30

X = [0.5, 0.25]
Y = 0.0
W0, B0 = [[1.0, -2.0], [0.5, 3.0]], [0.5, -0.25]
W1, B1 = [1.0, -0.5], 0.625
RATE = 0.5


def sigmoid(z: mp.mpf) -> mp.mpf:
    """1 / (1 + exp(-z)) (Eq. 7)."""
    return 1 / (1 + mp.exp(-z))


def step() -> dict[str, list[mp.mpf]]:
    """All arrays of the step, flat, by name."""
    with mp.workdps(60):
        x = [mp.mpf(value) for value in X]
        # Forward (Eq. 6, 7, 11).
        z0 = [w[0] * x[0] + w[1] * x[1] + b for w, b in zip(W0, B0, strict=True)]
        a0 = [sigmoid(z) for z in z0]
        z1 = W1[0] * a0[0] + W1[1] * a0[1] + B1
        a1 = sigmoid(z1)
        loss = (a1 - Y) ** 2
        # Backward (Eq. 24); sigma' from the exponential, not from a.
        dE_da1 = 2 * (a1 - Y)
        r1 = mp.exp(-z1) / (1 + mp.exp(-z1)) ** 2 * dE_da1
        dE_dW1 = [r1 * a for a in a0]
        dE_da0 = [w * r1 for w in W1]
        r0 = [mp.exp(-z) / (1 + mp.exp(-z)) ** 2 * d for z, d in zip(z0, dE_da0, strict=True)]
        dE_dW0 = [r * value for r in r0 for value in x]
        # Descent (Eq. 5).
        w0 = [w for row in W0 for w in row]
        return {
            "E": [loss],
            "z0": z0,
            "a0": a0,
            "r0": r0,
            "dE_da0": dE_da0,
            "dE_dW0": dE_dW0,
            "dE_db0": r0,
            "z1": [z1],
            "a1": [a1],
            "r1": [r1],
            "dE_da1": [dE_da1],
            "dE_dW1": dE_dW1,
            "dE_db1": [r1],
            "W0": [w - RATE * g for w, g in zip(w0, dE_dW0, strict=True)],
            "b0": [b - RATE * g for b, g in zip(B0, r0, strict=True)],
            "W1": [w - RATE * g for w, g in zip(W1, dE_dW1, strict=True)],
            "b1": [B1 - RATE * r1],
        }


def text() -> str:
    """What the file must hold."""
    lines = [
        " ".join([name, *(mp.nstr(value, DIGITS, strip_zeros=False) for value in values)])
        for name, values in step().items()
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the file."""
    if len(sys.argv) != 1:
        sys.exit(f"usage: python {sys.argv[0]}")
    FILE.write_text(text(), encoding="ascii")


if __name__ == "__main__":
    main()
