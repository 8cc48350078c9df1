"""What callers pass in, checked and converted: every message is written here, once.

Each function returns the value in the one form that the rest of the package uses, or raises
without having changed anything.
"""

from __future__ import annotations

import difflib
import math
import numbers
import operator
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, pairwise
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray

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

# The output that goes with a loss where the caller does not say.
_OUTPUT_FOR_LOSS = {
    "squared_error": "sigmoid",
    "cross_entropy": "softmax",
    "binary_cross_entropy": "sigmoid",
}


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """One of a few names; the message lists them and guesses which one was meant."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, one of {_listed(choices)}; got {_described(value)}")
    if value not in choices:
        near = difflib.get_close_matches(value, choices, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name} must be one of {_listed(choices)}; got {value!r}{hint}")
    return str(value)


def integer(name: str, value: Any, *, at_least: int) -> int:
    """An int or NumPy integer, not a bool and not a float, of at least `at_least`."""
    number = _index(name, value)
    if number < at_least:
        raise ValueError(f"{name} must be at least {at_least}; got {number}")
    return number


def number(name: str, value: Any, *, below: float = math.inf, positive: bool = False) -> float:
    """A finite real number, 0 <= value < below, as float; where positive, 0 < value."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number; got {_described(value)}")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not (math.isfinite(result) and 0 <= result < below) or (positive and result == 0):
        bound = "a finite number " + ("above 0" if positive else "of at least 0")
        bound = bound if below == math.inf else f"in [0, {below:g})"
        raise ValueError(f"{name} must be {bound}; got {value!r}")
    return result


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; got {_described(value)}")
    return bool(value)


def sizes(value: Any) -> tuple[int, ...]:
    """The units of each layer, the input's first."""
    if value is None:
        raise ValueError("sizes must name at least two sizes, such as [784, 16, 10]; got None")
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"sizes must be a sequence of ints; got {_described(value)}")
    result = tuple(_index(f"sizes[{i}]", size) for i, size in enumerate(value))
    if len(result) < 2:
        raise ValueError(
            f"sizes must name at least two sizes, such as [784, 16, 10]; got {list(result)}"
        )
    if len(result) - 1 > MOST_LAYERS:
        raise ValueError(f"sizes name {len(result) - 1} layers, limit {MOST_LAYERS}")
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
            f"activation must be a str or a sequence of str; got {_described(activation)}"
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
        name = "None" if value is None else np.dtype(value).name
    except (TypeError, ValueError, SyntaxError):  # NumPy parses "f4,," and the like
        name = repr(value)
    if name not in DTYPES:
        raise ValueError(f"dtype must be one of {_listed(DTYPES)}; got {value!r}")
    return name


def seed(value: Any) -> int:
    """An integer in 0 .. 2**64 - 1; None takes one from the operating system."""
    if value is None:
        return secrets.randbits(64)
    result = _index("seed", value)
    if not 0 <= result < 2**64:
        raise ValueError(f"seed must be in 0 .. 2**64 - 1; got {result}")
    return result


def callables(name: str, value: Any) -> tuple[Callable[..., Any], ...]:
    """One callable or an iterable of them."""
    several = (value,) if callable(value) else value
    if not isinstance(several, Iterable):
        raise TypeError(f"{name} must be callables; got {_described(value)}")
    result = tuple(several)
    for i, item in enumerate(result):
        if not callable(item):
            raise TypeError(f"{name}[{i}] must be callable; got {_described(item)}")
    return result


def pair(name: str, value: Any) -> tuple[Any, Any]:
    """(x, y)."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name} must be a pair (x, y); got {_described(value)}")
    return value[0], value[1]


def as_array(name: str, value: Any) -> NDArray[Any]:
    """A base-class NumPy array of bool, integers or floats; nothing is unpickled or dropped."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array: give its missing values a number with {name}.filled(0)"
        )
    if hasattr(value, "toarray") and not isinstance(value, np.ndarray):
        raise TypeError(f"{name} is a sparse matrix: pass {name}.toarray()")
    try:
        array = np.asarray(value)
    except ValueError as error:
        # What an `__array__` raises is the caller's own.
        if not isinstance(value, (list, tuple)) or "inhomogeneous" not in str(error):
            raise
        raise ValueError(f"{name} must have rows of one shape: {_ragged(value)}") from error
    if array.dtype.kind == "c":
        raise TypeError(f"{name} must be real; got {array.dtype}: pass {name}.real")
    if array.dtype.kind not in "biuf":
        found = value if isinstance(value, (list, tuple)) else array
        raise TypeError(
            f"{name} must be an array of numbers; got dtype {array.dtype}: {_other(name, found)}"
        )
    return array


def inputs(x: Any, n_in: int, dtype: DTypeLike, name: str = "x") -> NDArray[Any]:
    """(n, ...) -> (n, n_in), C-contiguous, of the dtype or uint8 (pixels: value / 255)."""
    array = as_array(name, x)
    if array.dtype.kind in "iu" and array.dtype != np.uint8:
        raise TypeError(
            f"{name} must be float, bool or uint8 (pixels, taken as value / 255); got "
            f"{array.dtype}: pass {name}.astype(float) for the numbers as they are, or "
            f"{name} / 255 for pixels"
        )
    shape = array.shape
    if array.ndim == 0 or math.prod(shape[1:]) != n_in:
        bare = math.prod(shape) == n_in
        hint = f": for a single sample pass {name}[None]" if bare or array.ndim == 0 else ""
        got = f"(n, {math.prod(shape[1:])})" if array.ndim > 1 and not bare else f"{shape}"
        raise ValueError(f"{name} must have shape (n, {n_in}); got {got}{hint}")
    pixels = array.dtype == np.uint8
    result = _contiguous(name, array, np.uint8) if pixels else _rounded(name, array, dtype)
    return result.reshape(shape[0], n_in)


class Targets:
    """Labels or target rows, in the form the engines take.

    Attributes
    ----------
    labels : (n,) int64, or None
    values : (n, n_out) of the network's dtype, or None
    has_accuracy : bool
        Whether `classify` can be compared with them.
    """

    __slots__ = ("has_accuracy", "labels", "values")

    def __init__(
        self,
        labels: NDArray[np.int64] | None,
        values: NDArray[Any] | None,
        *,
        has_accuracy: bool,
    ) -> None:
        self.labels = labels
        self.values = values
        self.has_accuracy = has_accuracy


def targets(
    y: Any, n: int, n_out: int, output: str, loss: str, dtype: DTypeLike, name: str = "y"
) -> Targets:
    """Labels (n,) or targets (n, n_out) for n rows."""
    array = as_array(name, y)
    if array.ndim == 0:
        raise ValueError(f"{name} must have shape ({n},) or ({n}, {n_out}); got a scalar")
    one_row_each = array.shape in {(n,), (n, n_out)}
    if array.ndim == 2 and array.shape[1] == 1 and n_out > 1:
        raise ValueError(
            f"{name} must have shape ({n},) for labels or ({n}, {n_out}) for targets; got "
            f"{array.shape}: pass {name}.ravel() if these are labels"
        )
    if not one_row_each:
        found = array.shape[0]
        lengths = f"; the inputs have {n} rows, {name} has {found}" if found != n else ""
        raise ValueError(
            f"{name} must have shape ({n},) or ({n}, {n_out}); got {array.shape}{lengths}"
        )
    if n_out > 1 and array.ndim == 1:
        return Targets(_labels(name, array, n_out), None, has_accuracy=True)
    values = _rounded(name, array, dtype).reshape(n, n_out)
    if loss != "squared_error":
        _check_distribution(name, values, array.dtype, loss)
    is_binary = bool(((values == 0) | (values == 1)).all())
    if n_out == 1:
        return Targets(None, values, has_accuracy=is_binary and output == "sigmoid")
    if is_binary and bool((np.count_nonzero(values, axis=1) == 1).all()):
        return Targets(values.argmax(axis=1).astype(np.int64), None, has_accuracy=True)
    return Targets(None, values, has_accuracy=False)


def parameter_array(
    name: str, value: Any, shape: tuple[int, ...], dtype: DTypeLike
) -> NDArray[Any]:
    """Weights, biases or the flat vector: the exact shape, finite, in the network's dtype."""
    array = as_array(name, value)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}; got {array.shape}")
    return _rounded(name, array, dtype)


def parameters(weights: Any, biases: Any, sizes: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """Weights (n_out, n_in) and biases (n_out,) of each layer, as one flat vector."""
    layers = len(sizes) - 1
    for name, given in (("weights", weights), ("biases", biases)):
        if not hasattr(given, "__len__") or len(given) != layers:
            found = len(given) if hasattr(given, "__len__") else _described(given)
            raise ValueError(f"{name} must have one array for each of {layers} layers; got {found}")
    parts = []
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        weight = parameter_array(f"weights[{i}]", weights[i], (n_out, n_in), dtype)
        bias = parameter_array(f"biases[{i}]", biases[i], (n_out,), dtype)
        parts += [weight.ravel(), bias]
    return np.concatenate(parts)


def split(
    flat: NDArray[Any], sizes: Sequence[int]
) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Copies of the weights (n_out, n_in) and biases (n_out,) that a flat vector holds."""
    weights, biases, at = [], [], 0
    for n_in, n_out in pairwise(sizes):
        weights.append(flat[at : at + n_out * n_in].reshape(n_out, n_in).copy())
        at += n_out * n_in
        biases.append(flat[at : at + n_out].copy())
        at += n_out
    return weights, biases


def _labels(name: str, array: NDArray[Any], n_out: int) -> NDArray[np.int64]:
    wrong = ~((array >= 0) & (array <= n_out - 1))  # NaN compares false, and so is wrong
    if array.dtype.kind == "f":
        wrong |= np.trunc(array) != array
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"{name} must hold labels, whole numbers in 0 .. {n_out - 1}; row {row} is {array[row]}"
        )
    return np.require(array, np.int64, ["C", "A"])


def _check_distribution(name: str, values: NDArray[Any], given: np.dtype[Any], loss: str) -> None:
    """Targets of the two cross-entropies are probabilities; softmax needs rows that sum to 1.

    Their delta is a - y only then. A sum may be off by what rounding to the given dtype costs.
    """
    outside = ((values < 0) | (values > 1)).any(axis=1)
    if outside.any():
        row = int(outside.argmax())
        raise ValueError(
            f"{name} must be in [0, 1] for loss {loss!r}; row {row} is {values[row].tolist()}"
        )
    if loss != "cross_entropy":
        return
    rounding = np.finfo(given if given.kind == "f" else np.float64).eps
    sums = values.sum(axis=1, dtype=np.float64)
    off = np.abs(sums - 1) > values.shape[1] * max(rounding, np.finfo(values.dtype).eps)
    if off.any():
        row = int(off.argmax())
        raise ValueError(
            f"rows of {name} must sum to 1 for loss 'cross_entropy'; row {row} sums to {sums[row]}"
        )


def _rounded(name: str, array: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Round to the dtype once; every value must be finite before and after."""
    with np.errstate(over="ignore", invalid="ignore"):
        result = _contiguous(name, array, dtype)
    if np.isfinite(result).all():
        return result
    wrong = ~np.isfinite(array)
    if wrong.any():
        index, count = _first(wrong)
        raise ValueError(
            f"{name} must be finite: {count} of {wrong.size} values are NaN or infinite, "
            f"the first is {_place(name, index)} = {array[index]}"
        )
    index, count = _first(~np.isfinite(result))
    raise ValueError(
        f"{_place(name, index)} = {array[index]} is too large for {np.dtype(dtype).name} "
        f"({count} such values): scale {name}, or use dtype='float64'"
    )


def _contiguous(name: str, array: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """The array itself or a copy: C-contiguous, aligned, of the dtype."""
    dtype = np.dtype(dtype)
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned:
        return array
    # A view of stride 0 can be larger than any memory.
    with enough_memory(f"{name} of shape {array.shape}", array.size, dtype, "fewer rows at a time"):
        return np.require(array, dtype, ["C", "A"])


@contextmanager
def enough_memory(what: str, count: int, dtype: DTypeLike, remedy: str) -> Iterator[None]:
    """Say what did not fit where the block runs out of memory.

    More than the machine has is not even asked for: a system that promises memory freely would
    end the process when the memory is used.
    """
    dtype = np.dtype(dtype)
    needs = f"{what} needs {count * dtype.itemsize} bytes as {dtype.name}"
    if count * dtype.itemsize > _memory():
        raise MemoryError(f"{needs}, more than this machine has: pass {remedy}")
    try:
        yield
    except MemoryError as error:
        raise MemoryError(f"{needs}, more than is free: pass {remedy}") from error


def _memory() -> float:
    """Bytes of memory in this machine; infinite where it does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return math.inf


def _first(wrong: NDArray[np.bool_]) -> tuple[tuple[Any, ...], int]:
    """The index of the first True, and how many there are."""
    return np.unravel_index(int(wrong.argmax()), wrong.shape), int(np.count_nonzero(wrong))


def _place(name: str, index: Sequence[Any]) -> str:
    return f"{name}[{', '.join(str(int(i)) for i in index)}]" if index else name


def _index(name: str, value: Any) -> int:
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an int; got {_described(value)}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int; got {_described(value)}") from None


def _ragged(value: Any) -> str:
    """Which row is not as the first one, for rows that do not make an array."""
    first: tuple[int, ...] | None = None
    for i, row in enumerate(value):
        try:
            shape = np.shape(row)
        except ValueError:
            return f"row {i} itself has not"
        first = shape if first is None else first
        if shape != first:
            return f"row {i} has {shape}, row 0 has {first}"
    return f"got {_described(value)}"


def _other(name: str, value: Any) -> str:
    """What is no number in what should be an array of numbers, looked for in a million items."""
    objects = value if isinstance(value, np.ndarray) else np.asarray(value, dtype=object)
    for index, item in islice(np.ndenumerate(objects), 10**6):
        if not isinstance(item, numbers.Real):
            item = item.item() if isinstance(item, np.generic) else item
            return f"{_place(name, index)} is {_described(item)}"
    return f"pass {name}.astype(float)"


def _listed(choices: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in choices)


def _described(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:37] + '...'}"
