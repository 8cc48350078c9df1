"""Model files: a network as bytes, and bytes on the disk.

The format is safetensors with one metadata entry, as docs/format.md has it. Nothing in a file is
believed, and nothing in a file is ever run.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._files import AnyPath, open_regular, shown, write
from chainrule._format import (
    CODES,
    EXACTNESS,
    FORMAT_VERSION,
    MOST_HEADER_BYTES,
    Tensor,
    canonical,
    check_header,
    checksum,
    refuse,
    shapes_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "EXACTNESS",
    "FORMAT_VERSION",
    "MOST_HEADER_BYTES",
    "Model",
    "dumps",
    "fingerprint",
    "loads",
    "read",
    "write",
]


@dataclass(frozen=True, eq=False)
class Model:
    """What a model file holds: a network between two steps, and all it needs to go on.

    Vectors are flat and in public order: weights[0] row by row (n_out, n_in), biases[0],
    weights[1], ...
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    """One a layer, the output's last."""
    loss: str
    initializations: tuple[str, ...]
    """The scheme of each layer: "auto" has been decided."""
    dtype: str
    seed: int
    epochs_done: int
    steps_done: int
    optimizer: dict[str, Any]
    """As `optimizers.to_json` gives it."""
    parameters: NDArray[Any]
    """(n_parameters,) of the dtype."""
    optimizer_state: dict[str, NDArray[Any]]
    """Vectors (n_parameters,) of the dtype; momentum keeps "velocity"."""


def dumps(model: Model) -> bytes:
    """Return a model as the bytes of its file: the same bytes for the same model.

    Examples
    --------
    >>> import numpy as np
    >>> model = Model(
    ...     sizes=(2, 1), activations=("sigmoid",), loss="squared_error",
    ...     initializations=("glorot_uniform",), dtype="float32", seed=0,
    ...     epochs_done=0, steps_done=0,
    ...     optimizer={"name": "sgd", "learning_rate": 0.1, "momentum": 0.0},
    ...     parameters=np.array([0.5, -0.25, 0.0], np.float32), optimizer_state={},
    ... )
    >>> loads(dumps(model), None).parameters
    array([ 0.5 , -0.25,  0.  ], dtype=float32)
    """
    kept = sorted(model.optimizer_state)
    vectors = [model.parameters, *(model.optimizer_state[name] for name in kept)]
    body = b"".join(_little_endian(vector) for vector in vectors)
    tensors = _layout(model.sizes, model.dtype, kept)
    document = {
        "counters": {"epochs": model.epochs_done, "steps": model.steps_done},
        "description": _description(model),
        "exactness": EXACTNESS,
        "format": FORMAT_VERSION,
        "initializations": list(model.initializations),
        "optimizer": model.optimizer,
        "optimizer_state": kept,
        "seed": model.seed,
    }
    document["sha256"] = checksum(document, tensors, memoryview(body))
    return _header(document, tensors) + body


def _layout(sizes: Sequence[int], dtype: str, state: Sequence[str]) -> dict[str, Tensor]:
    """The tensors in public order, one after the other."""
    tensors: dict[str, Tensor] = {}
    begin = 0
    for name, shape in shapes_of(sizes, state).items():
        end = begin + math.prod(shape) * np.dtype(dtype).itemsize
        tensors[name] = Tensor(CODES[dtype], shape, begin, end)
        begin = end
    return tensors


def _header(document: dict[str, Any], tensors: dict[str, Tensor]) -> bytes:
    """The header's length and the header. No network is too large for it: see `MOST_LAYERS`."""
    entries: dict[str, Any] = {"__metadata__": {"chainrule": canonical(document)}}
    for name, tensor in tensors.items():
        entries[name] = {
            "dtype": tensor.dtype,
            "shape": tensor.shape,
            "data_offsets": (tensor.begin, tensor.end),
        }
    header = json.dumps(entries, separators=(",", ":")).encode("ascii")
    header += b" " * (-len(header) % 8)  # so that the data is aligned
    return struct.pack("<Q", len(header)) + header


def loads(data: bytes, path: AnyPath | None) -> Model:
    """Build the model that the bytes of a file hold.

    Parameters
    ----------
    data : bytes
        The whole file.
    path : path or None
        Where they came from: for messages only.

    Raises
    ------
    FormatError
        Where these are not exactly the bytes of a model: the message has the path, what was
        expected, what was found and what to do.
    """
    where = _where(path)
    header = check_header(data, len(data), where)
    document, view = header.document, memoryview(data)[header.data :]
    found = checksum(
        {key: value for key, value in document.items() if key != "sha256"}, header.tensors, view
    )
    if found != document["sha256"]:
        refuse(where, f"the SHA-256 {document['sha256']} that it names", found)
    numbers = {name: _vector(where, name, header.tensors[name], view) for name in header.names}
    state = document["optimizer_state"]
    description = document["description"]
    return Model(
        sizes=tuple(description["sizes"]),
        activations=tuple(description["activations"]),
        loss=description["loss"],
        initializations=tuple(document["initializations"]),
        dtype=description["dtype"],
        seed=document["seed"],
        epochs_done=document["counters"]["epochs"],
        steps_done=document["counters"]["steps"],
        optimizer=document["optimizer"],
        parameters=np.concatenate(
            [numbers[name] for name in header.names if name.startswith("layers.")]
        ),
        optimizer_state={name: numbers[f"optimizer.{name}"] for name in state},
    )


def fingerprint(model: Model) -> str:
    """SHA-256 of what the network computes, as 64 hexadecimal digits; docs/format.md defines it.

    -0.0 counts as +0.0; seed, counters and optimiser do not count.
    """
    digest = hashlib.sha256(canonical(_description(model)).encode("ascii") + b"\n")
    digest.update(_little_endian(model.parameters))
    return digest.hexdigest()


def read(path: AnyPath) -> bytes:
    """Read a model file whole, after its header has passed every check.

    The file is read and not mapped: another program may cut it at any time.

    Raises
    ------
    FormatError
        Where the header is not that of a model file of this size.
    OSError
        Where the file is missing, not readable or not a regular file.
    ValueError
        Where the path has a NUL character.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        if len(start) == 8:
            start += file.read(min(struct.unpack("<Q", start)[0], MOST_HEADER_BYTES))
        check_header(start, size, shown(path))
        file.seek(0)
        return file.read(size)


def _where(path: AnyPath | None) -> str:
    return "bytes of a model" if path is None else shown(path)


def _description(model: Model) -> dict[str, Any]:
    """What decides, with the parameters, which function the network computes."""
    return {
        "activations": list(model.activations),
        "dtype": model.dtype,
        "loss": model.loss,
        "sizes": list(model.sizes),
    }


def _little_endian(vector: NDArray[Any]) -> bytes:
    """The numbers' bytes, -0.0 as +0.0."""
    values = np.ascontiguousarray(vector, vector.dtype.newbyteorder("<"))
    # On the bits: an addition of 0.0 would flush subnormals where another library says so.
    bits = values.view(f"<u{values.itemsize}")
    minus_zero = 1 << (8 * values.itemsize - 1)
    return np.where(bits == minus_zero, bits.dtype.type(0), bits).tobytes()


def _vector(where: str, name: str, tensor: Tensor, data: memoryview) -> NDArray[Any]:
    """The numbers of a tensor, flat, in the byte order of the machine; each is finite."""
    little = np.dtype("<f4" if tensor.dtype == "F32" else "<f8")
    values = np.frombuffer(data[tensor.begin : tensor.end], little).astype(little.newbyteorder("="))
    finite = np.isfinite(values)
    if not finite.all():
        first = int(finite.argmin())
        index = [int(i) for i in np.unravel_index(first, tensor.shape)]
        refuse(where, f"finite numbers in {name}", f"{values[first]} at {index}")
    return values
