"""Rows 71, 72 and 83 to 86: files that `Network` reads and writes, and the disk below them."""

import contextlib
import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import chainrule
from chainrule import FormatError, storage

NAME = "model.safetensors"


def load(path):
    return storage.loads(storage.read(path), path)


@pytest.fixture
def data(tmp_path):
    """The bytes of a file larger than what a read takes in advance."""
    path = tmp_path / "first"
    chainrule.Network([100, 200, 2], backend="numpy").save(path)
    content = path.read_bytes()
    path.unlink()
    return content


def test_fault_071_network(backend, tmp_path, refused):
    path = tmp_path / NAME
    chainrule.Network([3, 4, 2], backend=backend).save(path)
    os.truncate(path, path.stat().st_size - 1)
    with refused(FormatError, path, "cut", folder=tmp_path):
        chainrule.Network.load(path, backend=backend)


def test_fault_072_network(backend, tmp_path, refused):
    path = tmp_path / NAME
    chainrule.Network([3, 4, 2], backend=backend).save(path)
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    with refused(FormatError, path, "SHA-256", folder=tmp_path):
        chainrule.Network.load(path, backend=backend)


def test_fault_083_the_package_reads_ours(backend, tmp_path):
    network = chainrule.Network([3, 12, 2], seed=2**64 - 1, backend=backend)
    network.fit(np.eye(3), [0, 1, 1], epochs=3, optimizer=chainrule.SGD(0.1, momentum=0.9))
    path = tmp_path / NAME
    network.save(path)
    theirs = safetensors.numpy.load_file(path)
    assert len(theirs) == 5
    for layer, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        assert theirs[f"layers.{layer}.weight"].tobytes() == weight.tobytes()
        assert theirs[f"layers.{layer}.weight"].shape == weight.shape
        assert theirs[f"layers.{layer}.bias"].tobytes() == bias.tobytes()
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata()

    again = tmp_path / "again"
    safetensors.numpy.save_file(theirs, again, metadata=metadata)
    assert again.read_bytes() != path.read_bytes()  # another order: what is to be read
    loaded = chainrule.Network.load(again, backend=backend)
    assert loaded.parameters.tobytes() == network.parameters.tobytes()
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


def test_fault_083_twelve_layers_in_the_order_of_names(tmp_path):
    """layers.10 before layers.2: in their file, not in ours."""
    network = chainrule.Network([2] * 13, seed=3, backend="numpy")
    network.save(tmp_path / "ours")
    with safetensors.safe_open(tmp_path / "ours", "numpy") as file:
        metadata = file.metadata()
    safetensors.numpy.save_file(
        safetensors.numpy.load_file(tmp_path / "ours"), tmp_path / "theirs", metadata=metadata
    )
    loaded = load(tmp_path / "theirs")
    assert loaded.parameters.tobytes() == network.parameters.tobytes()


def test_fault_083_without_our_metadata(backend, tmp_path, refused):
    path = tmp_path / NAME
    arrays = {"layers.0.weight": np.ones((2, 3)), "layers.0.bias": np.ones(2)}
    for metadata in (None, {}, {"format": "np"}):
        safetensors.numpy.save_file(arrays, path, metadata=metadata)
        with refused(FormatError, path, "'chainrule'", "set_parameters", folder=tmp_path):
            chainrule.Network.load(path, backend=backend)


def test_fault_084_save_over_the_file_that_was_loaded(backend, tmp_path):
    path = tmp_path / NAME
    network = chainrule.Network([3, 4, 2], backend=backend)
    network.fit(np.eye(3), [0, 1, 1], epochs=2, optimizer=chainrule.SGD(0.1, momentum=0.5))
    network.save(path)
    first = path.read_bytes()
    loaded = chainrule.Network.load(path, backend=backend)
    loaded.save(path)
    assert path.read_bytes() == first
    assert loaded.parameters.tobytes() == network.parameters.tobytes()  # no view of the old file
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("left", [0, 5, 700, -1])
def test_fault_085_shortened_while_open(left, data, tmp_path, monkeypatch):
    path = tmp_path / NAME
    path.write_bytes(data)
    check = storage.check_header
    calls = []

    def shorten(*arguments):
        calls.append(arguments)
        if len(calls) == 1:  # the header has been read, the numbers have not
            os.truncate(path, left % len(data))
        return check(*arguments)

    monkeypatch.setattr(storage, "check_header", shorten)
    with pytest.raises(FormatError) as info:
        load(path)
    assert str(path) in str(info.value)


def test_fault_085_what_was_read_does_not_depend_on_the_file(data, tmp_path):
    """Mapped memory would raise SIGBUS here."""
    path = tmp_path / NAME
    path.write_bytes(data)
    content = storage.read(path)
    os.truncate(path, 0)
    assert type(content) is bytes
    assert content == data


@contextlib.contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002, 0o027, 0])
def test_fault_086_mode_of_a_new_file(mask, backend, tmp_path):
    with umask(mask):
        (tmp_path / "theirs").write_bytes(b"")
        chainrule.Network([2, 1], backend=backend).save(tmp_path / "ours")
    assert mode(tmp_path / "ours") == mode(tmp_path / "theirs") == 0o666 & ~mask


@pytest.mark.parametrize("given", [0o600, 0o640, 0o666, 0o755])
def test_fault_086_an_existing_file_keeps_its_mode(given, tmp_path):
    path = tmp_path / NAME
    path.write_bytes(b"old")
    path.chmod(given)
    with umask(0o027):
        storage.write(path, b"new")
    assert path.read_bytes() == b"new"
    assert mode(path) == given


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_fault_086_an_existing_file_keeps_its_owner(tmp_path):
    path = tmp_path / NAME
    path.write_bytes(b"old")
    os.chown(path, 1234, 2345)
    storage.write(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_fault_086_a_read_only_file_is_not_replaced(tmp_path, refused):
    path = tmp_path / NAME
    path.write_bytes(b"old")
    path.chmod(0o444)
    with refused(PermissionError, path, folder=tmp_path):
        storage.write(path, b"new")


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("absolute", [True, False])
def test_fault_086_the_target_of_a_link_is_replaced(exists, absolute, tmp_path):
    for folder in ("links", "files"):
        (tmp_path / folder).mkdir()
    target = tmp_path / "files" / NAME
    if exists:
        target.write_bytes(b"old")
        target.chmod(0o600)
    link = tmp_path / "links" / "latest"
    link.symlink_to(target if absolute else Path("..", "files", NAME))
    with umask(0o022):
        storage.write(link, b"new")
    assert link.is_symlink()
    assert not target.is_symlink()
    assert target.read_bytes() == b"new"
    assert mode(target) == (0o600 if exists else 0o644)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()].count(NAME) == 1


def test_fault_086_what_open_refuses(tmp_path, refused):
    """Pipes stand for devices: as root, a fault in `write` would replace /dev/null for all."""
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "pipe").symlink_to("fifo")
    for path, kind in (
        (tmp_path, IsADirectoryError),
        (f"{tmp_path}/new/", IsADirectoryError),
        ("", FileNotFoundError),
        (tmp_path / "missing" / "m", FileNotFoundError),
        (tmp_path / "loop", OSError),
        (tmp_path / "fifo", OSError),
        (tmp_path / "pipe", OSError),
        (tmp_path / ("n" * 300), OSError),
        ("nul\0", ValueError),
        (7, TypeError),
    ):
        with refused(kind, folder=tmp_path) as caught:
            storage.write(path, b"new")
        if issubclass(kind, OSError):
            assert caught[0].filename == str(path)
            assert caught[0].filename2 is None
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


def test_fault_086_what_cannot_be_read(backend, tmp_path, refused):
    os.mkfifo(tmp_path / "fifo")
    for path, kind in (
        (tmp_path, IsADirectoryError),
        (tmp_path / "missing", FileNotFoundError),
        (tmp_path / "fifo", OSError),
        ("/dev/zero", OSError),
        ("nul\0", ValueError),
    ):
        with refused(kind, str(path).strip("\0"), folder=tmp_path):
            chainrule.Network.load(path, backend=backend)


def written(path, kind):
    """What `write` raised, of that kind, or None."""
    try:
        storage.write(path, b"new")
    except kind as error:
        return error
    return None


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError, OSError])
@pytest.mark.parametrize("call", ["open", "fsync", "replace", "fchmod", "fstat"])
def test_fault_086_nothing_is_left_after_a_failure(call, kind, exists, tmp_path, monkeypatch):
    """The call fails the first time, the second, ... until the write succeeds."""
    path = tmp_path / NAME
    function = getattr(os, call)
    failures = 0
    for failing in range(10):
        if exists:
            path.write_bytes(b"old")
        else:
            path.unlink(missing_ok=True)
        counter = iter(range(100))

        def broken(*arguments, failing=failing, counter=counter, **named):
            result = function(*arguments, **named)
            if next(counter) != failing:
                return result
            if call == "open":
                os.close(result)
            raise kind(errno.EIO, "injected")  # after the deed: what was made must go

        with monkeypatch.context() as patch:
            patch.setattr(os, call, broken)
            caught = written(path, kind)
        if caught is None:
            assert path.read_bytes() == b"new"
            break
        failures += 1
        if kind is OSError:
            assert caught.filename == str(path)
        assert {each.name for each in tmp_path.iterdir()} <= {NAME, "system-temporary"}
        if path.exists():
            assert path.read_bytes() in {b"old", b"new"}
        else:
            assert not exists
    else:
        raise AssertionError("never succeeded")
    assert failures > 0 or (call in {"fchmod", "fstat"} and not exists)


@pytest.mark.parametrize("name", ["großes Modell 🐍", "n" * 255, b"bytes", b"\xff"])
def test_fault_086_names(name, data, tmp_path):
    path = tmp_path / name if isinstance(name, str) else os.fsencode(tmp_path) + b"/" + name
    storage.write(path, data)
    assert load(path).sizes == (100, 200, 2)
    with open(path, "r+b") as file:
        file.truncate(10)
    with pytest.raises(FormatError) as info:
        load(path)
    str(info.value).encode("utf-8")
