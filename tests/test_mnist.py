"""The real data: that of the installed package chainrule-mnist."""

import gzip
import hashlib
import re
import sys

import chainrule_mnist
import numpy as np
import pytest

from chainrule import mnist

# As published with the database: MD5 and bytes of the uncompressed file.
PUBLISHED = {
    "train-images-idx3-ubyte": ("6bbc9ace898e44ae57da46a324031adb", 47040016),
    "train-labels-idx1-ubyte": ("a25bea736e30d166cdddb491f175f624", 60008),
    "t10k-images-idx3-ubyte": ("2646ac647ad5339dbf082846283269ea", 7840016),
    "t10k-labels-idx1-ubyte": ("27ae3e4e09519cfbb04c329615203637", 10008),
}


@pytest.fixture(scope="module")
def data():
    return mnist.load()


def test_shapes_and_types(data):
    assert [array.shape for split in data for array in split] == [
        (60000, 28, 28),
        (60000,),
        (10000, 28, 28),
        (10000,),
    ]
    assert all(array.dtype == np.uint8 for split in data for array in split)
    assert data.train.images is data[0][0]
    assert data.test.labels is data[1][1]


def test_how_often_each_digit_occurs(data):
    assert np.bincount(data.train.labels).tolist() == [
        *[5923, 6742, 5958, 6131, 5842],
        *[5421, 5918, 6265, 5851, 5949],
    ]
    assert np.bincount(data.test.labels).tolist() == [
        *[980, 1135, 1032, 1010, 982],
        *[892, 958, 1028, 974, 1009],
    ]


@pytest.mark.parametrize("name", PUBLISHED)
def test_files_are_the_published_ones(name):
    content = gzip.decompress((chainrule_mnist.folder() / f"{name}.gz").read_bytes())
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert (md5, len(content)) == PUBLISHED[name]


def test_arrays_are_the_bytes_of_the_files(data):
    arrays = [array for split in data for array in split]
    for array, (name, (_, size)) in zip(arrays, PUBLISHED.items(), strict=True):
        with gzip.open(chainrule_mnist.folder() / f"{name}.gz") as file:
            assert file.read()[size - array.size :] == array.tobytes()


def test_checksums_and_licence_of_the_package():
    folder = chainrule_mnist.folder()
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert set(sums) == {f"{name}.gz" for name in PUBLISHED}
    readme = (folder / "README.md").read_text()
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        assert f"| {name} | {digest} |" in readme
    for name, (md5, size) in PUBLISHED.items():
        assert f"| {name} | {md5} | {size} |" in readme
    assert "CC BY-SA 3.0" in (folder / "LICENSE").read_text()
    assert "CC BY-SA 3.0" in readme


def write_tiny(folder, ends):
    """Four files of two images each: all pixels 1 in train, 2 in test."""
    for pixel, part in enumerate(("train", "t10k"), start=1):
        images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes([pixel]) * 1568
        labels = bytes([0, 0, 8, 1, 0, 0, 0, 2, pixel, 9])
        (folder / f"{part}-images-idx3-ubyte{ends[0]}").write_bytes(images)
        (folder / f"{part}-labels-idx1-ubyte{ends[1]}").write_bytes(gzip.compress(labels))


@pytest.mark.parametrize("ends", [("", ""), (".gz", ""), ("", ".gz"), (".gz", ".gz")])
@pytest.mark.parametrize("kind", [lambda path: path, str, lambda path: str(path).encode()])
def test_a_folder_with_either_name(tmp_path, ends, kind):
    write_tiny(tmp_path, ends)
    train, test = mnist.load(kind(tmp_path))
    assert np.array_equal(train.images, np.full((2, 28, 28), 1))
    assert np.array_equal(test.images, np.full((2, 28, 28), 2))
    assert train.labels.tolist() == [1, 9]
    assert test.labels.tolist() == [2, 9]


def test_where_both_names_are_there_gz_is_read(tmp_path):
    write_tiny(tmp_path, ("", ""))
    other = bytes([0, 0, 8, 1, 0, 0, 0, 2, 4, 4])
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(other)
    assert mnist.load(tmp_path).train.labels.tolist() == [4, 4]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_file_is_missing(tmp_path, name):
    write_tiny(tmp_path, ("", ".gz"))
    for end in "", ".gz":
        (tmp_path / f"{name}{end}").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError) as caught:
        mnist.load(tmp_path)
    assert caught.value.filename == str(tmp_path)
    assert f"neither {name}.gz nor {name} in this folder" in str(caught.value)
    assert_two_ways(str(caught.value))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "no"))):
        mnist.load(tmp_path / "no")


def test_neither_folder_nor_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "chainrule_mnist", None)  # as if it were not installed
    with pytest.raises(FileNotFoundError, match="chainrule_mnist is not installed") as caught:
        mnist.load()
    assert_two_ways(str(caught.value))


def assert_two_ways(message):
    assert "`pip install ./data`" in message
    assert "`--data FOLDER`" in message
    for name in PUBLISHED:
        assert name in message
