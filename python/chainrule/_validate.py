"""What callers pass in, checked and converted: every message is written once, here or in `_arrays`.

Each function returns the value in the one form that the rest of the package uses, or raises
without having changed anything.
"""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Callable, Iterable, Sequence, Sized
from itertools import islice, pairwise
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import DTypeLike

Activation = Literal["identity", "sigmoid", "tanh", "relu", "softmax"]
Loss = Literal["squared_error", "cross_entropy", "binary_cross_entropy"]
Initialization = Literal["auto", "glorot_uniform", "he_uniform", "lecun_uniform"]
Backend = Literal["rust", "numpy"]

ACTIVATIONS: tuple[str, ...] = get_args(Activation)
LOSSES: tuple[str, ...] = get_args(Loss)
INITIALIZATIONS: tuple[str, ...] = get_args(Initialization)
DTYPES = ("float32", "float64")

# Flat indices fit in 31 bits, and a vector of this many float32 is 8 GiB.
MOST_PARAMETERS = 2**31 - 1

# A model file's header, of at most 1 MB, names each layer.
MOST_LAYERS = 4096

MOST_STEPS = 2**63 - 1  # what a model file can count

# The output that goes with a loss where the caller does not say.
_OUTPUT_FOR_LOSS = {
    "squared_error": "sigmoid",
    "cross_entropy": "softmax",
    "binary_cross_entropy": "sigmoid",
}


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """One of a few names; the message lists them and guesses which one was meant."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, one of {listed(choices)}; got {described(value)}")
    if value not in choices:
        import difflib  # rarely needed, and slow to import

        near = difflib.get_close_matches(value, choices, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name} must be one of {listed(choices)}; got {value!r}{hint}")
    return str(value)


def integer(name: str, value: Any, *, at_least: int, at_most: int | None = None) -> int:
    """An int or NumPy integer within bounds, not a bool and not a float."""
    number = _index(name, value)
    if number < at_least:
        raise ValueError(f"{name} must be at least {at_least}; got {number}")
    if at_most is not None and number > at_most:
        raise ValueError(f"{name} must be at most {at_most}; got more")
    return number


def number(name: str, value: Any, *, below: float = math.inf, positive: bool = False) -> float:
    """A finite real number, 0 <= value < below, as float; where positive, 0 < value."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number; got {described(value)}")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not (math.isfinite(result) and 0 <= result < below) or (positive and result == 0):
        bound = "a finite number " + ("above 0" if positive else "of at least 0")
        bound = bound if below == math.inf else f"in [0, {below:g})"
        raise ValueError(f"{name} must be {bound}; got {value!r}")
    return result


def rounded(name: str, value: float, dtype: DTypeLike, *, below: float = math.inf) -> float:
    """A number as a network of this dtype has it: it must not leave its range by rounding."""
    with np.errstate(over="ignore"):
        result = float(np.array(value, dtype))
    if result >= below:
        raise ValueError(
            f"{name} = {value!r} becomes {result:g} in {np.dtype(dtype).name}: take a smaller one, "
            "or a network of dtype='float64'"
        )
    return result


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; got {described(value)}")
    return bool(value)


def sizes(value: Any) -> tuple[int, ...]:
    """The units of each layer, the input's first."""
    if value is None:
        raise ValueError("sizes must name at least two sizes, such as [784, 16, 10]; got None")
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"sizes must be a sequence of ints; got {described(value)}")
    some = islice(value, MOST_LAYERS + 2)  # of an endless iterator, too
    result = tuple(_index(f"sizes[{i}]", size) for i, size in enumerate(some))
    if len(result) < 2:
        raise ValueError(
            f"sizes must name at least two sizes, such as [784, 16, 10]; got {list(result)}"
        )
    if len(result) - 1 > MOST_LAYERS:
        found = len(value) - 1 if isinstance(value, Sized) else "more"
        raise ValueError(f"sizes must name at most {MOST_LAYERS} layers; got {found}")
    for i, size in enumerate(result):
        if size < 1:
            raise ValueError(f"sizes[{i}] must be at least 1; got {size}")
    count = n_parameters(result)
    if count > MOST_PARAMETERS:
        raise ValueError(f"sizes {list(result)} make {count} parameters, limit {MOST_PARAMETERS}")
    return result


def n_parameters(sizes: Sequence[int]) -> int:
    """Weights and biases of a fully connected network (Eq. 8 of the report)."""
    return sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))


def activations(
    activation: Any, output_activation: Any, loss: str, sizes: Sequence[int]
) -> tuple[str, ...]:
    """One activation a layer, the output's last; the pair with the loss is checked."""
    n_hidden = len(sizes) - 2
    if isinstance(activation, str):
        hidden = (choice("activation", activation, ACTIVATIONS),) * n_hidden
    elif isinstance(activation, Sequence):
        if len(activation) != n_hidden:
            raise ValueError(
                f"activation must be one name, or one for each of {n_hidden} hidden layers; "
                f"got {len(activation)}"
            )
        hidden = tuple(
            choice(f"activation[{i}]", name, ACTIVATIONS) for i, name in enumerate(activation)
        )
    else:
        raise TypeError(
            f"activation must be a str or a sequence of str; got {described(activation)}"
        )
    if "softmax" in hidden or activation == "softmax":
        raise ValueError(
            "softmax normalises a whole layer to a distribution and is for the output only; "
            "pass it as output_activation, and another activation for the hidden layers"
        )
    output = (
        _OUTPUT_FOR_LOSS[loss]
        if output_activation is None
        else choice("output_activation", output_activation, ACTIVATIONS)
    )
    pair_with_loss(output, loss, sizes[-1])
    return (*hidden, output)


def pair_with_loss(output: str, loss: str, n_out: int) -> None:
    """The two cross-entropies are computed from z and each goes with one output only."""
    needed = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}.get(loss, output)
    if output != needed:
        raise ValueError(
            f"loss {loss!r} goes with output_activation {needed!r} only; got {output!r}"
        )
    if loss == "cross_entropy" and n_out < 2:
        raise ValueError(
            f"loss 'cross_entropy' needs at least two outputs; got {n_out}. "
            "For one output use 'binary_cross_entropy'"
        )


def initializations(initialization: Any, activations: Sequence[str]) -> tuple[str, ...]:
    """One scheme a layer; "auto" is He's for relu and Glorot's for all else."""
    scheme = choice("initialization", initialization, INITIALIZATIONS)
    if scheme != "auto":
        return (scheme,) * len(activations)
    return tuple("he_uniform" if name == "relu" else "glorot_uniform" for name in activations)


def dtype(value: Any) -> str:
    """float32 or float64, by name or as a NumPy dtype."""
    try:
        found = None if value is None else np.dtype(value)
        name = found.name if found is not None and found.isnative else repr(value)
    except (TypeError, ValueError, SyntaxError):  # NumPy parses "f4,," and the like
        name = repr(value)
    if name not in DTYPES:
        raise ValueError(f"dtype must be one of {listed(DTYPES)}; got {value!r}")
    return name


def seed(value: Any) -> int:
    """An integer in 0 .. 2**64 - 1; None takes one from the operating system."""
    if value is None:
        return int.from_bytes(os.urandom(8), "little")
    result = _index("seed", value)
    if not 0 <= result < 2**64:
        raise ValueError(f"seed must be in 0 .. 2**64 - 1; got {result}")
    return result


def callables(name: str, value: Any) -> tuple[Callable[..., Any], ...]:
    """One callable or an iterable of them."""
    several = (value,) if callable(value) else value
    if not isinstance(several, Iterable):
        raise TypeError(f"{name} must be callables; got {described(value)}")
    result = tuple(several)
    for i, item in enumerate(result):
        if not callable(item):
            raise TypeError(f"{name}[{i}] must be callable; got {described(item)}")
    return result


def pair(name: str, value: Any) -> tuple[Any, Any]:
    """(x, y)."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name} must be a pair (x, y); got {described(value)}")
    return value[0], value[1]


def _index(name: str, value: Any) -> int:
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an int; got {described(value)}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int; got {described(value)}") from None


def listed(choices: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in choices)


def described(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:37] + '...'}"
