"""Arrays that callers pass in, checked and converted: the other half of `_validate`.

Each function returns the value in the one form that the rest of the package uses, or raises
without having changed anything.
"""

from __future__ import annotations

import math
import numbers
import os
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from chainrule import _validate


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
        if not isinstance(value, (list, tuple)) or "sequence" not in str(error):
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


def inputs(
    x: Any,
    n_in: int,
    dtype: DTypeLike,
    name: str = "x",
    *,
    private: bool = False,
    checked: bool = True,
) -> NDArray[Any]:
    """(n, ...) -> (n, n_in), C-contiguous, of the dtype or uint8 (pixels: value / 255).

    Numbers of a `private` array are checked in a copy, which no other thread can change between
    the check and the use. Pixels need no check. Unless all is to be `checked`, an array that is
    taken as it is may have numbers that are not finite.
    """
    array = as_array(name, x)
    if array.dtype.kind in "iu" and array.dtype != np.uint8:
        itself = _as_typed(name, x)
        raise TypeError(
            f"{name} must be float, bool or uint8 (pixels, taken as value / 255); got "
            f"{array.dtype}: pass {itself}.astype(float) for the numbers as they are, or "
            f"{itself} / 255 for pixels"
        )
    shape = array.shape
    if array.ndim == 0 or math.prod(shape[1:]) != n_in:
        bare = math.prod(shape) == n_in
        one = f"[{name}]" if isinstance(x, (list, tuple)) else f"{name}[None]"
        hint = f": for a single sample pass {one}" if bare or array.ndim == 0 else ""
        got = f"(n, {math.prod(shape[1:])})" if array.ndim > 1 and not bare else f"{shape}"
        raise ValueError(f"{name} must have shape (n, {n_in}); got {got}{hint}")
    pixels = array.dtype == np.uint8
    if pixels:
        return _contiguous(name, array, np.uint8).reshape(shape[0], n_in)
    if checked or not _fits(array, dtype):
        array = _rounded(name, array, dtype, private=private)
    return array.reshape(shape[0], n_in)


@contextmanager
def pinned(array: NDArray[Any]) -> Iterator[None]:
    """Keep NumPy from resizing what is read while the interpreter is let go.

    It refuses where there is a weak reference, even with `refcheck=False`.
    """
    owner: Any = array if array.base is None else array.base
    reference = weakref.ref(owner) if isinstance(owner, np.ndarray) else None
    yield
    del reference


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
    """Labels (n,) or targets (n, n_out) for n rows, checked in a copy of their own."""
    array = as_array(name, y)
    if array.ndim == 0:
        raise ValueError(f"{name} must have shape ({n},) or ({n}, {n_out}); got a scalar")
    one_row_each = array.shape in {(n,), (n, n_out)}
    if array.ndim == 2 and array.shape[1] == 1 and n_out > 1:
        raise ValueError(
            f"{name} must have shape ({n},) for labels or ({n}, {n_out}) for targets; got "
            f"{array.shape}: pass {_as_typed(name, y)}.ravel() if these are labels"
        )
    if not one_row_each:
        found = array.shape[0]
        lengths = f"; the inputs have {n} rows, {name} has {found}" if found != n else ""
        raise ValueError(
            f"{name} must have shape ({n},) or ({n}, {n_out}); got {array.shape}{lengths}"
        )
    if n_out > 1 and array.ndim == 1:
        return Targets(_labels(name, array, n_out), None, has_accuracy=True)
    values = _rounded(name, array, dtype, private=True).reshape(n, n_out)
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
        listed = isinstance(given, (Sequence, np.ndarray))
        if not listed or len(given) != layers:
            found = len(given) if listed else _validate.described(given)
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
    given = array.dtype
    if given.kind == "f":
        array = array.astype(np.float64)  # float16 has not the number of many a class
        wrong = ~((array >= 0) & (array <= n_out - 1) & (np.trunc(array) == array))  # NaN, too
    else:
        array = array.copy()
        wrong = ~((array >= 0) & (array <= n_out - 1))
    if wrong.any():
        row = int(wrong.argmax())
        found = given.type(array[row])
        raise ValueError(
            f"{name} must hold labels, whole numbers in 0 .. {n_out - 1}; row {row} is {found}"
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


def _rounded(
    name: str, array: NDArray[Any], dtype: DTypeLike, *, private: bool = False
) -> NDArray[Any]:
    """Round to the dtype once; every value must be finite before and after."""
    with np.errstate(over="ignore", invalid="ignore"):
        result = _contiguous(name, array, dtype, private=private)
    if np.isfinite(result).all():
        return result
    if private:
        array = result if array.dtype == result.dtype else array
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


def _fits(array: NDArray[Any], dtype: DTypeLike) -> bool:
    """Whether the engines take the array as it is."""
    return bool(array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned)


def _contiguous(
    name: str, array: NDArray[Any], dtype: DTypeLike, *, private: bool = False
) -> NDArray[Any]:
    """The array itself, where it need not be `private`, or a copy: C-contiguous, of the dtype."""
    if _fits(array, dtype) and not private:
        return array
    dtype = np.dtype(dtype)
    # A view of stride 0 can be larger than any memory.
    with enough_memory(f"{name} of shape {array.shape}", array.size, dtype, "fewer rows at a time"):
        return np.array(array, dtype, order="C")


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


def _as_typed(name: str, value: Any) -> str:
    """How an array of this is called: a list has not the methods of one."""
    return f"numpy.asarray({name})" if isinstance(value, (list, tuple)) else name


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
    return f"got {_validate.described(value)}"


def _other(name: str, value: Any) -> str:
    """What is no number in what should be an array of numbers, looked for in a million items."""
    objects = value if isinstance(value, np.ndarray) else np.asarray(value, dtype=object)
    for index, item in islice(np.ndenumerate(objects), 10**6):
        if not isinstance(item, numbers.Real):
            item = item.item() if isinstance(item, np.generic) else item
            return f"{_place(name, index)} is {_validate.described(item)}"
    return f"pass {name}.astype(float)"
