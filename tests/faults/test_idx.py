"""IDX files that are not what they should be: rows 50 to 62 of the table of faults."""

import errno
import gzip
import math
import os
import resource
import signal
import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule import mnist
from chainrule.errors import FormatError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
NAMES = ("uint8", "int8", "int16", "int32", "float32", "float64")
MIB = 1 << 20


@pytest.fixture(autouse=True)
def _leaves_nothing_and_never_hangs(tmp_path, monkeypatch, request):
    spare = tmp_path / "temporary files"
    spare.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spare))

    seconds = 10 if request.node.name.startswith("test_fault") else 120  # hundreds of files

    def too_long(*_):
        raise AssertionError(f"hangs for {seconds} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    assert list(spare.iterdir()) == []


def header(code, *dims):
    return bytes([0, 0, code, len(dims)]) + b"".join(n.to_bytes(4, "big") for n in dims)


def idx(array):
    code = CODES[array.dtype.str[1:]]
    return header(code, *array.shape) + array.astype(array.dtype.newbyteorder(">")).tobytes()


def refused(path):
    """What the FormatError says of the path."""
    with pytest.raises(FormatError) as caught:
        mnist.read_idx(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: expected ")
    assert "found" in message
    return message


def refuses(tmp_path, content):
    """The same message for plain content, and for the content gzipped."""
    path = tmp_path / "faulty"
    path.write_bytes(gzip.compress(content))
    zipped = refused(path)
    path.write_bytes(content)
    return refused(path), zipped


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_fault_050_empty_or_shorter_than_any_header(tmp_path, n):
    for message in refuses(tmp_path, bytes(n)):
        assert f"at least 8 bytes, found {n} byte{'s' * (n != 1)} in all" in message


@pytest.mark.parametrize("start", [b"\x89P", b"\x00\x01", b"\x01\x00", b"PK"])
def test_fault_051_does_not_start_with_two_zero_bytes(tmp_path, start):
    for message in refuses(tmp_path, start + header(8, 1)[2:] + b"\x07"):
        assert f"00 00; found {start.hex(' ')} at offset 0" in message


@pytest.mark.parametrize("code", [0x00, 0x0A, 0x07, 0x0F, 0xFF])
def test_fault_052_unknown_type(tmp_path, code):
    for message in refuses(tmp_path, header(code, 1) + b"\x07"):
        assert f"found 0x{code:02X} at offset 2" in message
        for known, name in zip(CODES.values(), NAMES, strict=True):
            assert f"0x{known:02X} ({name})" in message


@pytest.mark.parametrize("n", [0, 33, 255])
def test_fault_053_no_or_too_many_dimensions(tmp_path, n):
    for message in refuses(tmp_path, header(8, *[1] * n) + b"\x07"):
        assert f"expected 1 to 32 dimensions; found {n} at offset 3" in message


def test_fault_053_the_most_dimensions_are_read(tmp_path):
    path = tmp_path / "many"
    path.write_bytes(header(8, *[1] * 31, 2) + b"\x07\x08")
    assert mnist.read_idx(path).shape == (1,) * 31 + (2,)


@pytest.mark.parametrize("length", range(4, 16))
def test_fault_054_header_cut(tmp_path, length):
    for message in refuses(tmp_path, header(8, 2, 2, 2)[:length]):
        assert "3 dimensions from offset 4 to 16" in message
        assert f"the end of the file at offset {length}" in message


@pytest.mark.parametrize("code", CODES.values())
@pytest.mark.parametrize(
    "dims",
    [
        (0xFFFFFFFF,) * 3,
        (0xFFFFFFFF,) * 32,
        (2**31, 2**31, 4),  # 2**64 bytes or a multiple: 0 in a product that wraps around
        (2**30,),
    ],
)
def test_fault_055_promises_more_than_there_is(tmp_path, code, dims):
    itemsize = np.dtype(dict(zip(CODES.values(), CODES, strict=True))[code]).itemsize
    content = header(code, *dims)
    tracemalloc.start()
    try:
        plain, zipped = refuses(tmp_path, content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * MIB  # gzip's own buffers; nothing of what was promised
    wanted = len(content) + itemsize * math.prod(dims)
    assert f"expected {wanted} bytes" in plain
    assert f"found {len(content)} bytes" in plain
    assert f"expected {wanted} bytes" in zipped
    assert f"found a gzip file of {len(gzip.compress(content))} bytes" in zipped


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to set the limit")
def test_fault_055_a_file_that_keeps_its_promise_but_does_not_fit(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(header(8, 2**32 - 8))
    os.truncate(path, 2**32)  # the rest is a hole: zeros that take no room
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limits = resource.getrlimit(resource.RLIMIT_AS)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**31, limits[1]))
        with pytest.raises(MemoryError, match="large: no memory for its 4294967296 bytes"):
            mnist.read_idx(path)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("off", [-1, 1])
def test_fault_056_one_byte_short_or_long(tmp_path, code, off):
    content = idx(np.ones((3, 2), code))
    wrong = content[:-1] if off < 0 else content + b"\0"
    plain, zipped = refuses(tmp_path, wrong)
    assert f"expected {len(content)} bytes" in plain
    assert f"found {len(wrong)} bytes" in plain
    assert f"expected {len(content)} bytes" in zipped
    assert (f"found {len(wrong)} bytes" if off < 0 else "found more") in zipped


@pytest.mark.parametrize("dims", [(0,), (0, 28, 28), (3, 0), (2**32 - 1, 0), (0, 2**16, 2**16)])
@pytest.mark.parametrize("code", CODES)
def test_fault_057_a_dimension_of_zero(tmp_path, dims, code):
    path = tmp_path / "empty"
    for pack in bytes, gzip.compress:
        path.write_bytes(pack(header(CODES[code], *dims)))
        array = mnist.read_idx(path)
        assert array.shape == dims
        assert array.dtype == np.dtype(code)
    for message in refuses(tmp_path, header(CODES[code], *dims) + b"\0"):
        assert f"expected {4 + 4 * len(dims)} bytes" in message


def test_fault_057_an_empty_array_that_numpy_cannot_have(tmp_path):
    for message in refuses(tmp_path, header(8, 2**32 - 1, 0, 2**32 - 1)):
        assert "found (4294967295, 0, 4294967295) at offset 4" in message


@pytest.mark.parametrize(
    ("code", "data", "values"),
    [
        ("u1", "00 7f 80 ff", [0, 127, 128, 255]),
        ("i1", "00 7f 80 ff", [0, 127, -128, -1]),
        ("i2", "0102 8000 ffff 7fff", [258, -32768, -1, 32767]),
        ("i4", "01020304 80000000", [16909060, -(2**31)]),
        ("f4", "3f800000 c0200000 7f800000 00000001", [1.0, -2.5, math.inf, 2.0**-149]),
        ("f8", "3ff0000000000000 c004000000000000", [1.0, -2.5]),
    ],
)
def test_fault_058_big_endian_is_decoded(tmp_path, code, data, values):
    path = tmp_path / "typed"
    content = header(CODES[code], len(values)) + bytes.fromhex(data)
    for pack in bytes, gzip.compress:
        path.write_bytes(pack(content))
        array = mnist.read_idx(path)
        assert array.tolist() == values
        assert array.dtype == np.dtype(code)
        assert array.dtype.isnative
        assert array.flags.c_contiguous
        assert array.flags.aligned
        array[0] = 1  # the caller's own: no other reader sees it
        assert mnist.read_idx(path).tolist() == values


def folder_of(folder, **replaced):
    """Four small files as MNIST has them, some of them replaced."""
    arrays = {
        "train-images-idx3-ubyte": np.arange(3 * 28 * 28).reshape(3, 28, 28).astype(np.uint8),
        "train-labels-idx1-ubyte": np.array([5, 0, 9], np.uint8),
        "t10k-images-idx3-ubyte": np.full((2, 28, 28), 7, np.uint8),
        "t10k-labels-idx1-ubyte": np.array([1, 2], np.uint8),
    }
    for key, array in replaced.items():
        name = key.replace("_", "-") + ("-idx3-ubyte" if "images" in key else "-idx1-ubyte")
        assert name in arrays
        arrays[name] = array
    folder.mkdir()
    for name, array in arrays.items():
        (folder / name).write_bytes(idx(array))
    return folder


@pytest.mark.parametrize("part", ["train", "t10k"])
@pytest.mark.parametrize(
    ("kind", "array", "found"),
    [
        ("labels", np.zeros((3, 28, 28), np.uint8), "(3, 28, 28) uint8"),
        ("labels", np.zeros(3, np.int32), "(3,) int32"),
        ("labels", np.zeros(4, np.uint8), "(4,) uint8"),
        ("labels", np.zeros(0, np.uint8), "(0,) uint8"),
        ("images", np.zeros(3, np.uint8), "(3,) uint8"),
        ("images", np.zeros((3, 784), np.uint8), "(3, 784) uint8"),
        ("images", np.zeros((3, 28, 28), np.int8), "(3, 28, 28) int8"),
        ("images", np.zeros((4, 28, 28), np.uint8), "(4, 28, 28) uint8"),
    ],
)
def test_fault_059_images_as_labels_or_counts_that_differ(tmp_path, part, kind, array, found):
    folder = folder_of(tmp_path / "mnist", **{f"{part}_{kind}": array})
    with pytest.raises(FormatError) as caught:
        mnist.load(folder)
    message = str(caught.value)
    assert str(folder / f"{part}-images-idx3-ubyte") in message
    assert str(folder / f"{part}-labels-idx1-ubyte") in message
    assert "expected" in message
    assert found in message


def test_fault_059_train_and_test_images_of_different_size(tmp_path):
    folder = folder_of(tmp_path / "mnist", t10k_images=np.zeros((2, 28, 20), np.uint8))
    with pytest.raises(FormatError) as caught:
        mnist.load(folder)
    assert str(folder / "train-images-idx3-ubyte") in str(caught.value)
    assert str(folder / "t10k-images-idx3-ubyte") in str(caught.value)
    assert "(n, 28, 28); found (2, 28, 20)" in str(caught.value)


@pytest.mark.parametrize(("labels", "n", "row"), [([9, 10, 0], 1, 1), ([9, 9, 255], 1, 2)])
def test_fault_060_labels_above_9(tmp_path, labels, n, row):
    folder = folder_of(tmp_path / "mnist", train_labels=np.array(labels, np.uint8))
    with pytest.raises(ValueError, match="expected labels from 0 to 9") as caught:
        mnist.load(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'train-labels-idx1-ubyte'}: ")
    assert f"found {n} above, the first in row {row}: {labels[row]}" in message


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("directory", IsADirectoryError),
        ("FIFO", OSError),
        ("/dev/zero", OSError),
        ("missing", FileNotFoundError),
        ("below a file", NotADirectoryError),
        ("link to itself", OSError),
        ("no permission", PermissionError),
    ],
)
def test_fault_061_not_a_file_that_can_be_read(tmp_path, kind, error):
    path = tmp_path / "path"
    user = os.geteuid()
    if kind == "directory":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)  # nobody writes: opening it as usual would wait for ever
    elif kind == "/dev/zero":
        path = Path(kind)
    elif kind == "below a file":
        path.touch()
        path /= "file"
    elif kind == "link to itself":
        path.symlink_to(path)
    elif kind == "no permission":
        path.write_bytes(header(8, 0))
        path.chmod(0)
        if user == 0:  # whom no mode keeps out
            os.seteuid(65534)
    try:
        with pytest.raises(error) as caught:
            mnist.read_idx(path)
    finally:
        os.seteuid(user)
    assert not isinstance(caught.value, ValueError)
    assert os.fspath(caught.value.filename) == str(path)
    assert str(path) in str(caught.value)
    if kind in {"FIFO", "/dev/zero"}:
        assert caught.value.errno == errno.EINVAL
        assert "expected a regular file, found a" in str(caught.value)


class PathLike:
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


@pytest.mark.parametrize("name", ["plain", "π 🔢\n", b"not text \xff"])
def test_fault_062_every_kind_of_path(tmp_path, name):
    path = os.path.join(os.fsencode(tmp_path), os.fsencode(name))  # noqa: PTH118 - bytes
    Path(os.fsdecode(path)).write_bytes(header(8, 2) + b"\x03\x04")
    forms = [path, os.fsdecode(path), Path(os.fsdecode(path))]
    for form in [*forms, *map(PathLike, forms[:2])]:
        assert mnist.read_idx(form).tolist() == [3, 4]
    Path(os.fsdecode(path)).write_bytes(b"")
    with pytest.raises(FormatError) as caught:
        mnist.read_idx(path)
    shown = name if isinstance(name, str) else r"not text \udcff"
    assert f"{tmp_path}{os.sep}{shown}: expected" in str(caught.value)
    str(caught.value).encode()  # it can be printed


@pytest.mark.parametrize("path", ["a\0b", b"a\0b", PathLike("a\0b")])
def test_fault_062_nul(path):
    with pytest.raises(ValueError, match=r"^path must not have a NUL character; got 'a\\x00b'$"):
        mnist.read_idx(path)
    with pytest.raises(ValueError, match="NUL"):
        mnist.load(path)


@pytest.mark.parametrize("path", [0, None, 1.5])
def test_fault_062_no_path_at_all(path):
    with pytest.raises(TypeError, match="str, bytes or os"):
        mnist.read_idx(path)  # 0 is not taken for the standard input


def judge(content):
    """The plainest reader: shape, type and values, or None where the content is not IDX."""
    types = {number: np.dtype(f">{code}") for code, number in CODES.items()}
    if len(content) < 8 or content[:2] != b"\0\0" or content[2] not in types:
        return None
    n = content[3]
    if not 1 <= n <= 32 or len(content) < 4 + 4 * n:
        return None
    shape = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(n)]
    data = content[4 + 4 * n :]
    dtype = types[content[2]]
    if len(data) != math.prod(shape) * dtype.itemsize:
        return None
    if math.prod(m for m in shape if m) * dtype.itemsize >= 2**63:
        return None
    array = np.frombuffer(data, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


ARRAYS = st.sampled_from(sorted(CODES)).flatmap(
    lambda code: hnp.arrays(code, hnp.array_shapes(max_dims=5, min_side=0, max_side=6))
)
# At a place (modulo the length): put bytes in the place of some others.
EDITS = st.lists(
    st.tuples(st.integers(0, 40), st.binary(max_size=4), st.integers(0, 4)), min_size=1, max_size=3
)


@settings(deadline=None)
@given(ARRAYS, st.booleans())
def test_whatever_is_written_is_read_back(array, zipped):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
        got = mnist.read_idx(path)
    assert same(got, array)
    assert got.flags.writeable


@settings(deadline=None, max_examples=300)
@given(ARRAYS, EDITS, st.booleans())
def test_an_edited_file_is_refused_or_read_as_it_stands(array, edits, zipped):
    content = idx(array)
    for place, new, old in edits:
        place %= len(content) + 1
        content = content[:place] + new + content[place + old :]
    expected = None if content[:2] == b"\x1f\x8b" else judge(content)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(gzip.compress(content) if zipped else content)
        if expected is None:
            with pytest.raises(FormatError):
                mnist.read_idx(path)
        else:
            assert same(mnist.read_idx(path), expected)
