"""What the tables of all reports are made with."""

from __future__ import annotations

NAMES = {
    "chainrule": "chainrule", "jax": "JAX", "torch": "PyTorch eager",
    "torch_compile": "PyTorch compiled", "sklearn": "scikit-learn", "numpy": "NumPy",
    "candle": "candle", "burn": "burn", "onnx": "ONNX Runtime",
}  # fmt: skip


def duration(seconds: float) -> str:
    """Three figures, in a unit that suits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            value = seconds / size
            return f"{value:,.{max(0, 2 - len(str(int(value))) + 1)}f} {unit}"
    raise AssertionError


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, its columns of one width, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * widths[0]] + ["-" * (w - 1) + ":" for w in widths[1:]]
    lines = [header, rule, *rows]
    return "\n".join(
        "| " + " | ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ) + " |"
        for line in lines
    )  # fmt: skip
