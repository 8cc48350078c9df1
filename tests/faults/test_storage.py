"""Rows 71 to 83: model files that are cut, damaged, hostile or of another kind."""

import contextlib
import hashlib
import io
import json
import os
import pickle
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import chainrule
from chainrule import FormatError, _validate, storage

NAME = "model.safetensors"


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def document():
    """Metadata of a 3-4-2 network, without its checksum."""
    return {
        "counters": {"epochs": 1, "steps": 20},
        "description": {
            "activations": ["sigmoid", "sigmoid"],
            "dtype": "float32",
            "loss": "squared_error",
            "sizes": [3, 4, 2],
        },
        "exactness": 1,
        "format": 1,
        "initializations": ["glorot_uniform", "glorot_uniform"],
        "optimizer": {"learning_rate": 0.1, "momentum": 0.9, "name": "sgd"},
        "optimizer_state": ["velocity"],
        "seed": 7,
    }


def tensors():
    """Name -> [dtype, shape, bytes] of that network."""
    rng = np.random.default_rng(1)
    shapes = {
        "layers.0.weight": [4, 3],
        "layers.0.bias": [4],
        "layers.1.weight": [2, 4],
        "layers.1.bias": [2],
        "optimizer.velocity": [26],
    }
    return {
        name: ["F32", shape, rng.standard_normal(shape).astype("<f4").tobytes()]
        for name, shape in shapes.items()
    }


def build(about=None, parts=None, *, change=None, header=None, tail=b""):
    """A file by docs/format.md and not by storage.py, its checksum right whatever is in it.

    `change` edits the header's entries, `header` its text: so a fault is not found by the
    checksum alone.
    """
    about = document() if about is None else about
    parts = tensors() if parts is None else parts
    entries, body = {}, b""
    for name, (dtype, shape, content) in parts.items():
        offsets = [len(body), len(body) + len(content)]
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        body += content
    body += tail
    if change is not None:
        change(entries)
    digest = hashlib.sha256(canonical(about).encode())
    for name, entry in sorted(entries.items()):
        begin, end = entry["data_offsets"]
        digest.update(f"\n{canonical([name, entry['dtype'], entry['shape']])}\n".encode())
        digest.update(body[int(begin) : int(end)])
    text = canonical({**about, "sha256": digest.hexdigest()})
    made = json.dumps({"__metadata__": {"chainrule": text}, **entries}).encode()
    if header is not None:
        made = header(made)
    return struct.pack("<Q", len(made)) + made + body


def with_text(edit):
    """The good file with the text of its metadata edited, checksum and all."""

    def header(made):
        parsed = json.loads(made)
        parsed["__metadata__"]["chainrule"] = edit(parsed["__metadata__"]["chainrule"])
        return json.dumps(parsed).encode()

    return build(header=header)


def small():
    """A file of ours, as small as they come with momentum and padding."""
    data = storage.dumps(storage.loads(build(), None))
    (length,) = struct.unpack("<Q", data[:8])
    return data, 8 + length


def load(path):
    return storage.loads(storage.read(path), path)


@pytest.fixture
def refuses(tmp_path, refused):
    """A file of these bytes is refused by path and as bytes; the message names the path."""
    path = tmp_path / NAME

    def check(data, *parts):
        path.write_bytes(data)
        with refused(FormatError, path, "expected", "found", *parts, folder=tmp_path) as caught:
            load(path)
        assert len(str(caught[0])) < 3000
        with refused(FormatError, *parts):
            storage.loads(data, None)

    return check


@contextlib.contextmanager
def no_more_than(n_bytes):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < n_bytes
    finally:
        tracemalloc.stop()


def test_the_file_that_all_of_these_spoil_is_good():
    model = storage.loads(build(), None)
    assert model.sizes == (3, 4, 2)
    assert model.optimizer_state["velocity"].shape == (26,)
    again = storage.loads(storage.dumps(model), None)
    assert again.parameters.tobytes() == model.parameters.tobytes()


def test_fault_071_cut_at_every_byte(tmp_path):
    data, _ = small()
    path = tmp_path / NAME
    path.write_bytes(data)
    load(path)
    for size in reversed(range(len(data))):
        os.truncate(path, size)
        with pytest.raises(FormatError) as info:
            load(path)
        assert str(path) in str(info.value)
        with pytest.raises(FormatError):
            storage.loads(data[:size], path)


@pytest.mark.parametrize("seed", [1, 10_000_000])  # two paddings of the header
def test_fault_072_each_bit_flipped(seed):
    about = document()
    about["seed"] = seed
    data = storage.dumps(storage.loads(build(about), None))
    (length,) = struct.unpack("<Q", data[:8])
    assert data[7 + length : 8 + length] in b" }"
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError) as info:
            storage.loads(bytes(flipped), NAME)
        if bit // 8 >= 8 + length:
            assert "SHA-256" in str(info.value)


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**40 + 1, 1_000_001])
def test_fault_073_header_length(length, tmp_path, refused):
    """In a file of a terabyte, which takes no room on the disk and must take none in memory."""
    path = tmp_path / NAME
    with path.open("wb") as file:
        file.write(struct.pack("<Q", length) + b"{")
        file.truncate(2**40)
    with refused(FormatError, path, length), no_more_than(3_000_000):
        load(path)


def test_fault_073_header_too_long_by_one_byte(refuses):
    data, _ = small()
    refuses(struct.pack("<Q", len(data) - 7) + data[8:], "header length")
    refuses(build(header=lambda made: made + b" " * (1_000_001 - len(made))), "1000001")
    storage.loads(build(header=lambda made: made + b" " * (1_000_000 - len(made))), None)


def test_fault_073_no_network_needs_such_a_header(backend):
    """The widest numbers and names of as many layers as a network may have."""
    width = 723  # nearly as many parameters as there may be
    sizes = [width] * (_validate.MOST_LAYERS + 1)
    assert _validate.sizes(sizes)
    with pytest.raises(ValueError, match="limit"):
        _validate.sizes([width + 1] * len(sizes))
    with pytest.raises(ValueError, match="at most 4096 layers"):
        _validate.sizes([1] * (len(sizes) + 1))
    small = chainrule.Network([1] * len(sizes), loss="binary_cross_entropy", backend=backend)
    data = storage.dumps(small._model("save"))
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    wide = json.loads(header["__metadata__"]["chainrule"])
    wide["description"]["sizes"] = sizes
    wide["optimizer_state"] = ["velocity"]
    wide["seed"] = wide["counters"]["steps"] = wide["counters"]["epochs"] = 2**63 - 1
    header = storage._header(wide, storage._layout(sizes, "float64", ["velocity"]))
    assert 800_000 < len(header) < storage.MOST_HEADER_BYTES


def doubled(key):
    return lambda made: made.replace(key, key + b': "F32", ' + key, 1)


def twice(key, value):
    return lambda made: made.replace(b"{", f'{{"{key}": {json.dumps(value)}, '.encode(), 1)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (build(header=lambda made: made.replace(b"bias", b"bi\xffs", 1)), "utf-8"),
        (build(header=lambda made: made.replace(b"bias", b"bi\x00s", 1)), "control character"),
        (build(header=lambda _: b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "too deep"),
        (build(header=lambda _: b'{"a":' * 100_000 + b"1" + b"}" * 100_000), "too deep"),
        (build(header=twice("layers.0.bias", {})), "'layers.0.bias' 2 times"),
        (build(header=twice("__metadata__", {})), "'__metadata__' 2 times"),
        (build(header=doubled(b'"dtype"')), "'dtype' 2 times"),
        (build(header=doubled(b'"chainrule"')), "'chainrule' 2 times"),
        (with_text(lambda text: text.replace('"seed":7', '"seed":7,"seed":7')), "'seed' 2 times"),
        (with_text(lambda text: text.replace('"seed":7', '"seed":' + "[" * 10**5)), "too deep"),
        (with_text(lambda text: text.replace('"seed":7', '"seed":' + "7" * 5000)), "digits"),
        (with_text(lambda text: text.replace("0.9", "NaN")), "NaN"),
        (with_text(lambda text: text.replace("0.9", "-Infinity")), "Infinity"),
        (with_text(lambda text: text.replace("0.9", "1e999")), "finite"),
        (with_text(lambda text: text.replace("0.9", "0.90")), "shortest"),
        (with_text(lambda text: text.replace(",", ", ")), "no spaces"),
        (with_text(lambda _: "[]"), "object"),
        (with_text(lambda _: ""), "JSON"),
        (build(header=lambda made: made + b"x"), "Extra data"),
        (build(header=lambda _: b"{}"), "without"),
    ],
)
def test_fault_074_bad_json(data, part, refuses):
    refuses(data, part)


def test_fault_074_any_depth():
    """Also where parsing just succeeds and whatever comes next walks deeper."""
    for depth in [*range(1, 1100, 7), 5000]:
        text = "[" * depth + "]" * depth
        for data in (
            build(header=lambda made, text=text: twice("x", 1)(made).replace(b"1", text.encode())),
            with_text(lambda made, text=text: made.replace('"seed":7', f'"seed":{text}')),
        ):
            with pytest.raises(FormatError):
                storage.loads(data, None)


def entry(name, **changes):
    return lambda entries: entries[name].update(changes)


# fmt: off
SHAPES = [
    [2**32, 2**32],  # 2**64 numbers: 0 in 64 bits
    [2**62], [2**31, 2**31, 4], [9] * 50_000, [10**4000, 10**4000], [-4], [-2, -2], [4.0], [True],
    ["4"], [None], "4", 4, None, {}, [], [[4]],
]
# fmt: on


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: repr(shape)[:30])
def test_fault_075_shapes(shape, refuses):
    with no_more_than(20_000_000):
        refuses(build(change=entry("layers.0.bias", shape=shape)), "layers.0.bias")


@pytest.mark.parametrize("sizes", [[2**32, 2**32], [3, 10**9, 2], [2**63, 1], [3, 4 * 10**4000, 2]])
def test_fault_075_sizes(sizes, refuses):
    """The description and the shapes agree with each other, and with no file."""
    about = document()
    about["description"]["sizes"] = sizes
    layers = len(sizes) - 1
    about["description"]["activations"] = ["sigmoid"] * layers
    about["initializations"] = ["glorot_uniform"] * layers
    with no_more_than(20_000_000):
        refuses(build(about), "this version can make", "sizes [")


def test_fault_075_the_numbers_are_not_in_the_file(refuses):
    """Shapes of 100 MB that the description asks for, in a file of a kilobyte."""
    about = document()
    about["description"]["sizes"] = [3000, 4000, 2000]
    parts = tensors()
    shapes = [4000, 3000], [4000], [2000, 4000], [2000], [20_006_000]
    for part, shape in zip(parts.values(), shapes, strict=True):
        part[1] = shape
    with no_more_than(1_000_000):
        refuses(build(about, parts), "48000000 bytes for layers.0.weight", "found 48")


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (build(change=entry("layers.0.bias", data_offsets=[0, 16])), "overlaps"),
        (build(change=entry("layers.0.bias", data_offsets=[44, 60])), "overlaps"),
        (build(change=entry("layers.0.bias", data_offsets=[2**63, 2**63 + 16])), "hole"),
        (build(change=entry("layers.0.weight", data_offsets=[8, 56])), "hole"),
        (build(change=entry("optimizer.velocity", data_offsets=[108, 212])), "hole"),
        (build(tail=b"\0"), "too long"),
        (build(tail=bytes(8)), "too long"),
        (build()[:-4], "cut"),
        (build(change=entry("layers.0.bias", data_offsets=[64, 48])), "bytes for layers.0.bias"),
        (build(change=entry("layers.0.bias", data_offsets=[48, 48])), "bytes for layers.0.bias"),
        (build(change=entry("layers.0.bias", data_offsets=[48, 64.0])), "data_offsets"),
        (build(change=entry("layers.0.bias", data_offsets=[-16, 0])), "data_offsets"),
        (build(change=entry("layers.0.bias", data_offsets=[False, 16])), "data_offsets"),
        (build(change=entry("layers.0.bias", data_offsets=[48, 64], more=1)), "'more'"),
        (build(parts={**tensors(), "empty": ["F32", [0], b""]}), "above 0"),
        (build(parts={**tensors(), "empty": ["F32", [0, 4], b""]}), "above 0"),
    ],
)
def test_fault_076_offsets(data, part, refuses):
    refuses(data, part)


def without(name):
    return {key: value for key, value in tensors().items() if key != name}


@pytest.mark.parametrize(
    ("parts", "missing", "extra"),
    [
        (without("layers.1.bias"), "'layers.1.bias'", "none"),
        (without("optimizer.velocity"), "'optimizer.velocity'", "none"),
        ({**tensors(), "layers.2.bias": ["F32", [1], bytes(4)]}, "none", "'layers.2.bias'"),
        ({**tensors(), "\ud800": ["F32", [1], bytes(4)]}, "none", "'\\ud800'"),
        (
            {**without("layers.0.bias"), "layers.00.bias": tensors()["layers.0.bias"]},
            "'layers.0.bias'",
            "'layers.00.bias'",
        ),
        ({}, "'layers.0.bias', 'layers.0.weight', 'layers.1.bias'", "none"),
    ],
)
def test_fault_077_tensors(parts, missing, extra, refuses):
    both = "expected the tensors 'layers.0.bias', 'layers.0.weight'", "found"
    refuses(build(parts=parts), f"missing: {missing}", f"extra: {extra}", *both)


def test_fault_077_entry_is_no_entry(refuses):
    refuses(build(header=lambda made: made.replace(b'{"dtype"', b'5, "x": {"dtype"', 1)), "int")


def test_fault_078_shapes_do_not_chain(refuses):
    parts = tensors()
    parts["layers.1.weight"] = ["F32", [2, 5], bytes(40)]
    refuses(
        build(parts=parts), "layers.1.weight", "layer 1", "layer 0", "shape (2, 4)", "found (2, 5)"
    )
    parts = tensors()
    parts["layers.0.weight"][1] = [3, 4]  # the other way round: as many numbers
    refuses(build(parts=parts), "shape (4, 3) for layers.0.weight", "found (3, 4)")


@pytest.mark.parametrize("dtype", ["BF16", "I64", "F16", "U8", "F8_E4M3", "f32", "", 32, None, []])
def test_fault_079_dtype(dtype, refuses):
    refuses(build(change=entry("layers.0.bias", dtype=dtype)), "F32 or F64", repr(dtype))


def test_fault_079_dtypes_differ(refuses):
    parts = tensors()
    parts["layers.0.bias"] = ["F64", [4], bytes(32)]
    refuses(build(parts=parts), "dtype F32 for layers.0.bias", "found F64")
    about = document()
    about["description"]["dtype"] = "float64"
    refuses(build(about), "dtype F64 for layers.0.weight", "found F32")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", list(tensors()))
def test_fault_080_not_finite(value, name, refuses):
    parts = tensors()
    numbers = np.frombuffer(parts[name][2], "<f4").copy()
    numbers[-1] = value
    parts[name][2] = numbers.tobytes()
    index = [n - 1 for n in parts[name][1]]
    refuses(build(parts=parts), f"finite numbers in {name}", f"found {value} at {index}")


class Trap:
    """Tells on whoever unpickles it."""

    def __reduce__(self):
        return open, ("trapped", "w")


def archive(kind):
    stream = io.BytesIO()
    np.savez(stream, **{kind: np.ones(3)})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        *((pickle.dumps(Trap(), protocol), "pickle") for protocol in range(2, 6)),
        *((pickle.dumps(Trap(), protocol), "") for protocol in range(2)),
        (archive("weights"), "zip"),
        (archive("data.pkl"), "zip"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (b"\x93NUMPY\x01\x00" + bytes(100), ".npy"),
        (b"\x1f\x8b\x08\x00" + bytes(100), "gzip"),
        (bytes(100), "{"),
        (b"\x02" + bytes(7) + b"[]", "["),
    ],
)
def test_fault_081_other_kinds_of_file(data, kind, refuses, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refuses(data, "we never unpickle", kind)
    assert not Path("trapped").exists()


def test_fault_081_a_header_length_that_looks_like_a_pickle():
    """0x0280 bytes of header: the first two bytes are those of a pickle of protocol 2."""
    about = document()
    parts = {name: part for name, part in tensors().items() if not name.startswith("optimizer")}
    about["optimizer_state"] = []
    data = build(about, parts, header=lambda made: made + b" " * (0x0580 - len(made)))
    assert data[:2] == b"\x80\x05"
    assert storage.loads(data, None).sizes == (3, 4, 2)


@pytest.mark.parametrize("key", ["format", "exactness"])
def test_fault_082_newer(key, refuses):
    for number in (2, 10**30):
        about = {**document(), key: number, "whatever": "comes"}
        refuses(build(about), f"{key} number 1", "upgrade", f">= the first that has {key}", number)
    for number in (0, -1, 1.0, True, "1", None):
        refuses(build({**document(), key: number}), f"{key!r}", repr(number))


@pytest.mark.parametrize(
    ("path", "value", "part"),
    [
        ("seed", -1, "seed"),
        ("seed", 2**64, "seed"),
        ("seed", 7.0, "seed"),
        ("counters", {"epochs": 1}, "counters"),
        ("counters", {"epochs": 1, "steps": -1}, "steps"),
        ("counters", {"epochs": True, "steps": 1}, "epochs"),
        ("counters", {"epochs": 1, "steps": 2**63}, "steps"),
        ("description", [], "description"),
        ("sizes", [3, 4.0, 2], "sizes[1]"),
        ("sizes", [3, 0, 2], "sizes[1]"),
        ("sizes", [3], "two sizes"),
        ("sizes", None, "two sizes"),
        ("activations", ["sigmoid"], "2 layers"),
        ("activations", "sigmoid", "activations"),
        ("activations", ["gelu", "sigmoid"], "upgrade"),
        ("activations", ["softmax", "sigmoid"], "softmax"),
        ("loss", "hinge", "'hinge'"),
        ("loss", "cross_entropy", "softmax"),
        ("loss", 1, "loss"),
        ("dtype", "float16", "'float16'"),
        ("dtype", None, "dtype"),
        ("initializations", ["auto", "auto"], "'auto'"),
        ("initializations", ["glorot_uniform"], "2 layers"),
        ("optimizer", {"name": "adam"}, "upgrade"),
        ("optimizer", None, "optimiser"),
        ("optimizer", {"name": "sgd", "learning_rate": -1.0, "momentum": 0.0}, "learning_rate"),
        ("optimizer", {"name": "sgd", "learning_rate": 1.0, "momentum": 1.0}, "momentum"),
        (
            "optimizer",
            {"name": "sgd", "learning_rate": {"schedule": "cosine"}, "momentum": 0.0},
            "cosine",
        ),
        ("optimizer_state", ["velocity", "velocity"], "twice"),
        ("optimizer_state", ["hessian"], "'hessian'"),
        ("optimizer_state", {}, "optimizer_state"),
        ("surplus", 1, "'surplus'"),
    ],
)
def test_fault_082_what_this_version_cannot_make(path, value, part, tmp_path, refused):
    about = document()
    (about["description"] if path in about["description"] else about)[path] = value
    file = tmp_path / NAME
    file.write_bytes(build(about))
    with refused(FormatError, file, part, folder=tmp_path):
        load(file)


def test_fault_083_metadata_beside_ours(refuses):
    beside = b'{"format": "pt", "chainrule":'
    refuses(build(header=lambda made: made.replace(b'{"chainrule":', beside)), "'format'")
    refuses(build(header=lambda _: b'{"__metadata__": {"chainrule": 5}}'), "the string")
    refuses(build(header=lambda _: b'{"__metadata__": 5}'), "'chainrule'")
