"""Gzipped IDX files that are not what they should be: rows 63 to 70 of the table of faults."""

import gzip
import signal
import tempfile
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import mnist
from chainrule.errors import FormatError

MIB = 1 << 20
# (6, 7) uint8, values that compress to Huffman codes and repeats both.
VALUES = (np.arange(42, dtype=np.uint8) % 16 * 13).reshape(6, 7)
CONTENT = bytes([0, 0, 8, 2, 0, 0, 0, 6, 0, 0, 0, 7]) + VALUES.tobytes()
ZIPPED = gzip.compress(CONTENT, mtime=0)


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


def refused(path, content):
    """The FormatError for this content, and what it says of the path."""
    path.write_bytes(content)
    with pytest.raises(FormatError) as caught:
        mnist.read_idx(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: expected ")
    assert "found" in message
    return caught.value, message


def read(path, content):
    path.write_bytes(content)
    return mnist.read_idx(path)


def test_fault_063_cut_anywhere(tmp_path):
    path = tmp_path / "cut.gz"
    for length in range(2, len(ZIPPED)):
        error, message = refused(path, ZIPPED[:length])
        assert isinstance(error.__cause__, EOFError)
        assert "a whole gzip stream" in message
        assert f"cut or damaged at or before byte {length} of {length}" in message


@pytest.mark.parametrize("length", [0, 1])
def test_fault_063_cut_within_the_magic_bytes(tmp_path, length):
    _, message = refused(tmp_path / "cut.gz", ZIPPED[:length])
    assert f"found {length} byte" in message


@pytest.mark.parametrize("place", range(1, 9))
def test_fault_064_checksum_or_length_wrong(tmp_path, place):
    content = bytearray(ZIPPED)
    content[-place] ^= 0x10
    error, message = refused(tmp_path / "wrong.gz", content)
    assert isinstance(error.__cause__, gzip.BadGzipFile)
    assert f"of {len(ZIPPED)}: " in message
    assert ("length" if place <= 4 else "CRC") in message


def test_fault_065_each_bit_of_the_data_flipped(tmp_path):
    path = tmp_path / "flipped.gz"
    causes = set()
    for bit in range(8 * 10, 8 * (len(ZIPPED) - 8)):
        content = bytearray(ZIPPED)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        try:
            array = mnist.read_idx(path)
        except FormatError as error:
            causes.add(type(error.__cause__))
        else:  # only the bits that fill up the last byte are nobody's
            assert bit // 8 == len(ZIPPED) - 9
            assert np.array_equal(array, VALUES)
    # None: the flipped bit was in the header of the IDX file, which is read first.
    assert {zlib.error, gzip.BadGzipFile, type(None)} <= causes


def zipped_zeros(path, start, n):
    """A gzip file of `start` and then n MiB of zeros."""
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        file.write(start)
        for _ in range(n):
            file.write(bytes(MIB))


@pytest.mark.parametrize("promised", [0, 1000, 3 * MIB])
def test_fault_066_bomb(tmp_path, promised):
    path = tmp_path / "bomb.gz"
    start = bytes([0, 0, 8, 1]) + promised.to_bytes(4, "big")
    zipped_zeros(path, start, 128)
    assert path.stat().st_size < MIB / 4
    tracemalloc.start()
    try:
        with pytest.raises(FormatError) as caught:
            mnist.read_idx(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: expected {8 + promised} bytes")
    assert str(caught.value).endswith("found more")
    assert peak < promised + 4 * MIB


def test_fault_066_no_more_is_decoded_than_promised_and_one_byte(tmp_path, monkeypatch):
    path = tmp_path / "bomb.gz"
    zipped_zeros(path, bytes([0, 0, 8, 1, 0, 0, 3, 0xE8]), 1)
    decoded = []

    class Watched(gzip.GzipFile):
        def close(self):
            if not self.closed:
                decoded.append(self.tell())
            super().close()

    monkeypatch.setattr(mnist.gzip, "GzipFile", Watched)
    with pytest.raises(FormatError):
        mnist.read_idx(path)
    assert decoded == [8 + 1000 + 1]


def test_fault_066_the_best_compression_there_is_is_read(tmp_path):
    path = tmp_path / "zeros.gz"
    zipped_zeros(path, bytes([0, 0, 8, 1]) + (16 * MIB).to_bytes(4, "big"), 16)
    assert 16 * MIB / path.stat().st_size > 1000
    array = mnist.read_idx(path)
    assert array.shape == (16 * MIB,)
    assert not array.any()


@pytest.mark.parametrize("cut", [0, 1, 5, 12, 30, len(CONTENT)])
def test_fault_067_two_members_are_one_stream(tmp_path, cut):
    two = gzip.compress(CONTENT[:cut]) + gzip.compress(CONTENT[cut:])
    assert np.array_equal(read(tmp_path / "two.gz", two), VALUES)


def test_fault_067_a_damaged_or_superfluous_second_member(tmp_path):
    path = tmp_path / "two.gz"
    second = bytearray(gzip.compress(CONTENT[20:]))
    second[-5] ^= 1
    error, _ = refused(path, gzip.compress(CONTENT[:20]) + second)
    assert isinstance(error.__cause__, gzip.BadGzipFile)
    _, message = refused(path, ZIPPED + gzip.compress(b"x"))
    assert f"expected {len(CONTENT)} bytes" in message
    assert message.endswith("found more")


@pytest.mark.parametrize("n", [1, 2, 511, 100_000])
def test_fault_068_zero_padding_is_accepted(tmp_path, n):
    assert np.array_equal(read(tmp_path / "padded.gz", ZIPPED + bytes(n)), VALUES)


@pytest.mark.parametrize("junk", [b"j", b"junk", bytes(8) + b"junk", b"\x1f", b"\x1f\x8b"])
def test_fault_068_junk_after_the_end_is_not(tmp_path, junk):
    error, message = refused(tmp_path / "junk.gz", ZIPPED + junk)
    assert isinstance(error.__cause__, gzip.BadGzipFile | EOFError)
    assert "nothing after it but zero bytes" in message
    assert f"of {len(ZIPPED + junk)}: " in message


@pytest.mark.parametrize("name", ["images", "images.gz", "images.txt"])
@pytest.mark.parametrize("content", [CONTENT, ZIPPED], ids=["plain", "gzipped"])
def test_fault_069_the_name_decides_nothing(tmp_path, name, content):
    assert np.array_equal(read(tmp_path / name, content), VALUES)


def test_fault_070_gz_of_no_bytes(tmp_path):
    assert gzip.decompress(b"") == b""  # the gzip module sees no fault
    _, message = refused(tmp_path / "empty.gz", b"")
    assert "found 0 bytes in all" in message
    _, message = refused(tmp_path / "of nothing.gz", gzip.compress(b""))
    assert "found 0 bytes in all" in message


EDITS = st.lists(
    st.tuples(st.integers(0, len(ZIPPED)), st.binary(max_size=4), st.integers(0, 4)),
    min_size=1,
    max_size=3,
)


@settings(deadline=None, max_examples=300)
@given(EDITS)
def test_an_edited_gzip_file_is_refused_or_read_rightly(edits):
    content = ZIPPED
    for place, new, old in edits:
        content = content[:place] + new + content[place + old :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(content)
        try:
            array = mnist.read_idx(path)
        except FormatError:
            pass
        else:  # the edit was in the time, the name or the like
            assert np.array_equal(array, VALUES)
