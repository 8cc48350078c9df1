"""What stands in a model file, and the checks that it must pass before it is believed.

docs/format.md is the prose of this. Each check comes where all that it needs has been checked, and
every length is compared with the size of the file before memory is taken for it.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, NoReturn

import numpy as np

from chainrule import _validate, optimizers
from chainrule.errors import FormatError

FORMAT_VERSION = 1
EXACTNESS = 1  # the number of the rules in docs/exactness.md; `_core.EXACTNESS` is the same
MOST_HEADER_BYTES = 1_000_000  # what `_validate.MOST_LAYERS` layers need is less

CODES = {"float32": "F32", "float64": "F64"}  # dtypes as safetensors names them
_STATE = ("velocity",)  # what an optimiser may keep
_KEYS = {
    "counters",
    "description",
    "exactness",
    "format",
    "initializations",
    "optimizer",
    "optimizer_state",
    "seed",
    "sha256",
}
_MOST_COUNT = 2**63 - 1

_MAGIC = (
    (b"PK\x03\x04", "a zip archive, such as .pt and .npz files are"),
    (b"PK\x05\x06", "a zip archive"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x93NUMPY", "a .npy file"),
    (b"\x1f\x8b", "a gzip stream"),
    *((bytes([0x80, protocol]), "a pickle") for protocol in range(2, 6)),
)
_AGAIN = "save the network again, or take another copy of the file"
_UPGRADE = "upgrade chainrule (pip install --upgrade chainrule)"


class Tensor(NamedTuple):
    """A tensor's entry in the header: begin and end count from the first byte of data."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Header(NamedTuple):
    """All of a file but its numbers, checked."""

    document: dict[str, Any]
    tensors: dict[str, Tensor]
    data: int  # where the data begins
    names: tuple[str, ...]  # of the tensors, in public order


def shapes_of(sizes: Sequence[int], state: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Every tensor's name and shape, in public order."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        shapes[f"layers.{layer}.weight"] = (n_out, n_in)
        shapes[f"layers.{layer}.bias"] = (n_out,)
    for name in state:
        shapes[f"optimizer.{name}"] = (_validate.n_parameters(sizes),)
    return shapes


def canonical(document: Any) -> str:
    """JSON in the one form that is hashed: keys sorted, no spaces, ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def checksum(document: dict[str, Any], tensors: Mapping[str, Tensor], data: memoryview) -> str:
    """SHA-256 over the document without its own sum, then each tensor in the order of names."""
    digest = hashlib.sha256(canonical(document).encode("ascii"))
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{canonical([name, tensor.dtype, tensor.shape])}\n".encode("ascii"))
        digest.update(data[tensor.begin : tensor.end])
    return digest.hexdigest()


# ---- reading: each check in the order in which it can be made


def check_header(data: bytes, size: int, where: str) -> Header:
    """Check a file of `size` bytes as far as its header, with which `data` begins, allows."""
    if size < 8 or len(data) < 8:
        refuse(where, "a safetensors file of more than 8 bytes", f"{min(size, len(data))} bytes")
    (length,) = struct.unpack("<Q", data[:8])
    if length > size - 8 or length > MOST_HEADER_BYTES or data[8:9] != b"{":
        _refuse_alien(where, data, length, size)
    try:
        return _check_parts(where, data, size, length)
    except RecursionError:  # in whatever walks it: json, repr
        refuse(where, "JSON of at most five levels as its header", "brackets nested too deep")


def _check_parts(where: str, data: bytes, size: int, length: int) -> Header:
    header = _parse(where, "header", data[8 : 8 + length])
    document = _check_document(where, header.pop("__metadata__", None))
    tensors = {name: _check_entry(where, name, entry) for name, entry in header.items()}
    _check_description(where, document)
    shapes = shapes_of(document["description"]["sizes"], document["optimizer_state"])
    _check_tensors(where, tensors, shapes, document["description"]["dtype"])
    _check_offsets(where, tensors, size - 8 - length)
    return Header(document, tensors, 8 + length, tuple(shapes))


def refuse(where: str, expected: str, found: str, do: str = _AGAIN) -> NoReturn:
    raise FormatError(f"{where}: expected {expected}; found {found}: {do}")


def _refuse_alien(where: str, data: bytes, length: int, size: int) -> NoReturn:
    """Say what a file is that is not safetensors. Few are recognised, and none is opened."""
    kind = next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)
    if kind is None and length <= min(size - 8, MOST_HEADER_BYTES):
        kind = f"{data[8:9]!r} where its header should begin with '{{'"
    if kind is None:
        kind = f"a header length of {length} in a file of {size} bytes"
    refuse(
        where,
        f"a safetensors file, with a header of at most {MOST_HEADER_BYTES} bytes",
        kind,
        "chainrule reads what Network.save wrote, and we never unpickle",
    )


def _parse(where: str, what: str, text: bytes | str) -> dict[str, Any]:
    """Parse JSON: an object, without duplicate keys, NaN or Infinity."""
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8")
        result = json.loads(decoded, object_pairs_hook=_object, parse_constant=_no_constant)
    except ValueError as error:  # not UTF-8, not JSON, a key twice, a number of 5,000 digits
        refuse(where, f"JSON as its {what}", str(error))
    if not isinstance(result, dict):
        refuse(where, f"a JSON object as its {what}", type(result).__name__)
    return result


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        [(key, times)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {_short(key)} {times} times in one object")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is not JSON")


def _check_document(where: str, metadata: Any) -> dict[str, Any]:
    """The metadata: ours, in the one form that is hashed, and of a version that we know."""
    if not isinstance(metadata, dict) or "chainrule" not in metadata:
        refuse(
            where,
            "a model of chainrule, with the metadata 'chainrule'",
            "a safetensors file without",
            "a file of another program cannot say what its tensors mean; build a Network of these "
            "sizes and give it the arrays with set_parameters",
        )
    text = metadata["chainrule"]
    # An entry of another program's would be lost in silence by the next save.
    if len(metadata) != 1 or not isinstance(text, str):
        refuse(where, "one metadata entry, the string 'chainrule'", _some(metadata))
    document = _parse(where, "metadata 'chainrule'", text)
    for key, known in ("format", FORMAT_VERSION), ("exactness", EXACTNESS):
        number = document.get(key)
        if type(number) is not int or number < 1:
            refuse(where, f"a whole number of at least 1 as {key!r}", _short(number))
        if number > known:
            refuse(
                where,
                f"{key} number {known} or less",
                _short(number),
                f"it comes from a newer version; {_UPGRADE} to >= the first that has {key} "
                f"number {_short(number)}",
            )
    if set(document) != _KEYS:
        refuse(where, f"the metadata keys {_some(_KEYS)}", _some(document))
    try:
        form = canonical(document)
    except ValueError as error:  # 1e999
        refuse(where, "finite numbers in its metadata", str(error))
    if form != text:
        refuse(where, "metadata with sorted keys, no spaces and shortest numbers", "another form")
    return document


def _check_entry(where: str, name: str, entry: Any) -> Tensor:
    """One tensor by itself."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        found = _some(entry) if isinstance(entry, dict) else type(entry).__name__
        refuse(where, f"dtype, shape and data_offsets for {_short(name)}", found)
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in CODES.values():
        refuse(where, f"dtype F32 or F64 for {_short(name)}", _short(dtype))
    if not _whole_numbers(shape, at_least=1):
        refuse(where, f"sizes above 0 as shape of {_short(name)}", _short(shape))
    if not _whole_numbers(offsets, at_least=0) or len(offsets) != 2:
        refuse(where, f"begin and end as data_offsets of {_short(name)}", _short(offsets))
    return Tensor(dtype, tuple(shape), *offsets)


def _check_description(where: str, document: dict[str, Any]) -> None:
    """What the metadata says of the network, by the same checks as for a new one."""
    description, counters = document["description"], document["counters"]
    keys = {"activations", "dtype", "loss", "sizes"}
    if not isinstance(description, dict) or set(description) != keys:
        refuse(where, f"a description with {_some(keys)}", _short(description))
    if not isinstance(counters, dict) or set(counters) != {"epochs", "steps"}:
        refuse(where, "counters with epochs and steps", _short(counters))
    for name, value, most in (
        ("epochs", counters["epochs"], _MOST_COUNT),
        ("steps", counters["steps"], _MOST_COUNT),
        ("seed", document["seed"], 2**64 - 1),
    ):
        if type(value) is not int or not 0 <= value <= most:
            refuse(where, f"a whole number in 0 .. {most} as {name}", _short(value))
    sizes, activations = description["sizes"], description["activations"]
    schemes, state = document["initializations"], document["optimizer_state"]
    for name, names in (
        ("activations", activations),
        ("initializations", schemes),
        ("optimizer_state", state),
    ):
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            refuse(where, f"a list of names as {name}", _short(names))
    try:
        layers = len(_validate.sizes(sizes)) - 1
        if len(activations) != layers or len(schemes) != layers:
            raise ValueError(
                f"{layers} layers need as many activations and initializations; got "
                f"{len(activations)} and {len(schemes)}"
            )
        loss = _validate.choice("loss", description["loss"], _validate.LOSSES)
        _validate.choice("dtype", description["dtype"], tuple(CODES))
        _validate.activations(activations[:-1], activations[-1], loss, sizes)
        known = [scheme for scheme in _validate.INITIALIZATIONS if scheme != "auto"]
        for scheme in schemes:
            _validate.choice("initialization", scheme, known)
        for name in state:
            _validate.choice("optimizer_state", name, _STATE)
        if len(set(state)) != len(state):
            raise ValueError(f"optimizer_state names one vector twice; got {state}")
    except (TypeError, ValueError) as error:
        raise FormatError(
            f"{where}: expected a network that this version can make; found that "
            f"{_clipped(str(error))}. If a newer version wrote it, {_UPGRADE}; else {_AGAIN}"
        ) from error
    try:
        optimizers.from_json(document["optimizer"])
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"{where}: expected an optimiser that this version knows; found "
            f"{_short(document['optimizer'])} ({_clipped(str(error))}). "
            f"If a newer version wrote it, {_UPGRADE}; else {_AGAIN}"
        ) from error


def _check_tensors(
    where: str, tensors: dict[str, Tensor], shapes: dict[str, tuple[int, ...]], dtype: str
) -> None:
    """The tensors that the description asks for and no other, of its shapes and its dtype."""
    if set(tensors) != set(shapes):
        missing, extra = set(shapes) - set(tensors), set(tensors) - set(shapes)
        refuse(
            where,
            f"the tensors {_some(shapes)}",
            f"{_some(tensors)} (missing: {_some(missing)}; extra: {_some(extra)})",
        )
    for name, shape in shapes.items():
        tensor = tensors[name]
        if tensor.dtype != CODES[dtype]:
            refuse(where, f"dtype {CODES[dtype]} for {name}", tensor.dtype)
        if tensor.shape != shape:
            kind, *rest = name.split(".")
            chain = ""
            if kind == "layers" and rest[0] != "0":
                layer = int(rest[0])
                chain = f" (layer {layer} takes what layer {layer - 1} gives)"
            refuse(where, f"shape {shape} for {name}{chain}", _short(tensor.shape))
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        if tensor.end - tensor.begin != n_bytes:
            refuse(where, f"{n_bytes} bytes for {name}", f"{tensor.end - tensor.begin}")


def _check_offsets(where: str, tensors: dict[str, Tensor], data_bytes: int) -> None:
    """One tensor after the other, in any order: no overlap, no hole, nothing after the last."""
    at = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].begin):
        if tensor.begin != at:
            kind = "overlaps another" if tensor.begin < at else "leaves a hole"
            refuse(where, f"{name} to begin at byte {at}", f"{tensor.begin}, which {kind}")
        at = tensor.end
    if at != data_bytes:
        kind = "cut" if data_bytes < at else "too long"
        refuse(where, f"{at} bytes of data", f"{data_bytes}: the file is {kind}")


def _whole_numbers(values: Any, *, at_least: int) -> bool:
    return isinstance(values, list) and all(
        type(value) is int and value >= at_least for value in values
    )


def _clipped(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."


def _short(value: Any) -> str:
    """A value out of a file, in a message: never long."""
    return _clipped(repr(value))


def _some(names: Iterable[str]) -> str:
    """Names out of a file, in a message: sorted, and not too many."""
    ordered = sorted(names)
    more = f", and {len(ordered) - 12} more" if len(ordered) > 12 else ""
    return ", ".join(_short(name) for name in ordered[:12]) + more if ordered else "none"
