"""Row 130 of the table of faults, and rows 125 to 129 where `predict` reads pictures."""

import os
import re
import signal
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from cli.process import MODULE, call, idx, run, started
from images.pictures import draw, encoded
from PIL import Image

from chainrule import FormatError, Network
from chainrule.images import MOST_PIXELS, find_digits, prepare


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    Network([784, 4, 10], backend="numpy").save(path)
    return path


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(draw([4, 2])))
    return path


def chunk(kind, data):
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def png(width, height, *, bits=8, colour=0, data=b""):
    """A PNG that says what it is told to say."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# ---- 130: pictures


@pytest.mark.parametrize(("width", "height"), [(0, 0), (0, 28), (28, 0)])
def test_fault_130_no_pixels(refused, tmp_path, width, height):
    path = tmp_path / "empty.png"
    path.write_bytes(png(width, height))
    with refused(FormatError, path, "expected", "found", folder=tmp_path):
        prepare(path)
    with refused(FormatError, "expected at least one pixel", f"found {width} x {height}"):
        prepare(Image.new("L", (width, height)))


@pytest.mark.parametrize(
    ("width", "height"),
    [(MOST_PIXELS + 1, 1), (8001, 8000), (9400, 9400), (30_000, 30_000), (2**31 - 1, 2**31 - 1)],
)
def test_fault_130_huge(refused, tmp_path, monkeypatch, width, height):
    """Whatever Pillow's own limit is, nothing is decoded."""
    path = tmp_path / "huge.png"
    path.write_bytes(png(width, height))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", pytest.fail)
    for limit in (Image.MAX_IMAGE_PIXELS, None, 1000):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        for read in (prepare, find_digits):
            with refused(FormatError, path, f"{MOST_PIXELS:,} pixels", "found", folder=tmp_path):
                read(path)


def test_fault_130_as_many_pixels_as_may_be(monkeypatch):
    """Decoded where the limit allows, here one that a test can afford. Pillow's warns before."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)
    monkeypatch.setattr("chainrule._picture.MOST_PIXELS", 320 * 220)
    assert len(find_digits(encoded(draw([4, 2]))).boxes) == 2
    monkeypatch.setattr("chainrule._picture.MOST_PIXELS", 320 * 220 - 1)
    for picture in (encoded(draw([4, 2])), draw([4, 2])):
        with pytest.raises(FormatError, match="at most 70,399 pixels; found 320 x 220"):
            find_digits(picture)


def kinds():
    image = draw([5])
    grey = image.convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    see_through = image.convert("RGBA")
    see_through.putalpha(grey.point(lambda value: 255 - value))
    yield "16-bit", deep, "PNG"
    yield "16-bit TIFF", deep, "TIFF"
    yield "palette", image.quantize(16), "PNG"
    yield "1 bit", grey.point(lambda value: 255 * (value > 128), "1"), "PNG"
    yield "CMYK", image.convert("CMYK"), "JPEG"
    yield "CMYK TIFF", image.convert("CMYK"), "TIFF"
    yield "alpha", see_through, "PNG"
    yield "grey and alpha", see_through.convert("LA"), "PNG"


@pytest.mark.parametrize(
    ("image", "kind"), [pytest.param(*rest, id=name) for name, *rest in kinds()]
)
def test_fault_130_kinds_are_read(image, kind):
    difference = prepare(encoded(image, kind)).astype(int) - prepare(draw([5]))
    assert np.abs(difference).mean() < 4


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_fault_130_cut(tmp_path, kind):
    """Where what is missing is not needed, it is right; else it is told."""
    content = encoded(draw([5, 2]), kind)
    whole = find_digits(content)
    path = tmp_path / "cut"
    told = refused = 0
    lengths = [0, 1, 2, 8, 20, 60, *range(100, len(content), 1 + len(content) // 40)]
    for length in [n for n in lengths if n < len(content)]:
        path.write_bytes(content[:length])
        try:
            found = find_digits(path)
        except FormatError as error:
            told += str(path) in str(error) and "expected" in str(error)
            refused += 1
        else:
            np.testing.assert_array_equal(found.images, whole.images)
            assert length > 0.9 * len(content)
    assert told == refused > 10


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"])
def test_fault_130_damaged(kind):
    """Any byte may be any other: there is a picture in it, or FormatError, or no row of digits."""
    content = encoded(draw([5]).resize((40, 55)), kind)
    rng = np.random.default_rng(6)
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        try:
            digits = find_digits(damaged)
        except FormatError:
            pass
        except ValueError as error:
            assert re.search("blank|pieces|one row|touches", str(error))  # noqa: PT017
        else:
            assert digits.images.shape[1:] == (28, 28)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89PNG\r\n\x1a\n", b"not a picture at all", bytes(5000), b"\xff\xd8\xff",
     b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(a) print\n%%EOF\n",
     b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a"],
)  # fmt: skip
def test_fault_130_no_picture(refused, tmp_path, content):
    path = tmp_path / "file.png"
    path.write_bytes(content)
    with refused(FormatError, path, "expected a ", "found", folder=tmp_path):
        prepare(path)


def test_fault_130_no_program_is_run(monkeypatch):
    """PostScript is one; Pillow would have it drawn by another."""
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", pytest.fail)
    with pytest.raises(FormatError, match="expected a picture"):
        prepare(encoded(draw([5]), "EPS"))


def test_fault_130_damaged_notes_of_the_camera():
    """They are not needed, and Pillow's warning would say no more."""
    notes = b"Exif\0\0MM\0*\0\0\0\x08\0\x05"
    found = prepare(encoded(draw([5]), "JPEG", exif=notes))
    np.testing.assert_array_equal(found, prepare(encoded(draw([5]), "JPEG")))


def test_fault_130_a_small_file_that_unpacks_to_much(tmp_path, refused):
    """The header's size is all that is unpacked."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png(28, 28, data=bytes(50_000_000)))
    with refused(ValueError, path):
        prepare(path)


def test_fault_130_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="expected a regular file, found a FIFO"):
        prepare(tmp_path / "fifo")


def test_fault_130_predict(tmp_path, model, photo):
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:-200])
    (tmp_path / "huge.png").write_bytes(png(30_000, 30_000))
    (tmp_path / "blank.png").write_bytes(encoded(draw([])))
    (tmp_path / "phone.png").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    for name, part in (
        ("cut", "whole picture"), ("huge", "at most"), ("blank", "is blank"),
        ("phone", "expected a picture (PNG"),
    ):  # fmt: skip
        message = call("predict", model, photo, f"{name}.png", cwd=tmp_path).only_error(2)
        assert message.startswith(f"chainrule: {name}.png")
        assert part in message


# ---- 125 to 129: the command


def test_fault_125_missing_picture(tmp_path, model, photo):
    message = call("predict", model, photo, "none.png", cwd=tmp_path).only_error(2)
    assert message == "chainrule: none.png: No such file or directory"
    assert "FILE" in call("predict", model, cwd=tmp_path).only_error(2)
    message = call("predict", model, photo, "--shwo", "a.png", cwd=tmp_path).only_error(2)
    assert "--shwo" in message


# The command, of which Ctrl-C comes while it looks for digits: it says so, and waits.
WAITS = """
import sys, time
from chainrule import cli, images
def find_digits(*_):
    print("looking", file=sys.stderr, flush=True)
    time.sleep(60)
images.find_digits = find_digits
sys.exit(cli.main(sys.argv[1:]))
"""


def test_fault_126_ctrl_c(tmp_path, model, photo):
    command = [sys.executable, "-c", WAITS, "predict", model, photo]
    with started(command, cwd=tmp_path) as process:
        assert process.stderr.readline() == "looking\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (130, "", "chainrule: interrupted\n")


def test_fault_127_show_exists(tmp_path, model, photo):
    show = tmp_path / "seen.png"
    show.write_bytes(b"precious")
    arguments = ["predict", model, photo, "--show", "seen.png"]
    message = call(*arguments, cwd=tmp_path).only_error(2)
    assert message == "chainrule: seen.png: the output file exists; pass --force to replace it"
    assert show.read_bytes() == b"precious"
    assert call(*arguments, "--force", cwd=tmp_path).code == 0
    assert show.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("which", ["model", "photo"])
def test_fault_127_show_is_what_is_read(tmp_path, model, photo, which):
    """The model and every picture, whatever name they go by."""
    read = {"model": model.rename(tmp_path / "model.png"), "photo": photo}
    before = {path: path.read_bytes() for path in read.values()}
    (tmp_path / "hard.png").hardlink_to(read[which])
    (tmp_path / "soft.png").symlink_to(read[which])
    (tmp_path / "folder").symlink_to(tmp_path)
    for show in (read[which], read[which].name, f"folder/{which}.png", "hard.png", "soft.png"):
        arguments = ["predict", read["model"], photo, photo, "--show", show, "--force"]
        message = call(*arguments, cwd=tmp_path).only_error(2)
        assert message == f"chainrule: {show}: --show would replace a file that is to be read"
    assert {path: path.read_bytes() for path in before} == before


def test_fault_127_show_beside_what_is_missing(tmp_path, model, photo):
    """What is not there cannot be replaced; that it is missing is told."""
    arguments = ["predict", model, photo, "none.png", "--show", "none.png"]
    message = call(*arguments, cwd=tmp_path).only_error(2)
    assert message == "chainrule: none.png: No such file or directory"


def test_fault_127_nothing_is_written_where_a_picture_is_wrong(tmp_path, model, photo):
    (tmp_path / "blank.png").write_bytes(encoded(draw([])))
    before = sorted(tmp_path.iterdir())
    call("predict", model, photo, "blank.png", "--show", "seen.png", cwd=tmp_path).only_error(2)
    assert sorted(tmp_path.iterdir()) == before


def test_fault_128_head(tmp_path, model, photo):
    read, write = os.pipe()
    os.close(read)
    command = [*MODULE, "predict", model, photo, "--show", "seen.png"]
    with subprocess.Popen(command, stdout=write, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        os.close(write)
        assert process.stderr.read() == b""
        assert process.wait(9) == 141
    assert (tmp_path / "seen.png").is_file()


def test_fault_129_language_c_and_no_terminal(tmp_path, model, photo):
    """Output is ASCII, as `run` sees; so is a name that ASCII cannot write."""
    named = photo.rename(tmp_path / "schrift-äöü-数.png")
    env = {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "HOME": "/"}
    done = run("predict", model, named, "--show", "seen.png", cwd=tmp_path, env=env)
    assert (done.code, done.errors) == (0, "")
    assert (tmp_path / "seen.png").is_file()


def test_fault_129_folder_that_cannot_be_written(tmp_path, model, photo):
    done = run("predict", model, photo, cwd="/proc")
    assert (done.code, done.errors) == (0, "")
    message = run("predict", model, photo, "--show", "seen.png", cwd="/proc").only_error(2)
    assert message.startswith("chainrule: /proc: no picture can be saved in this folder (")


def test_fault_125_idx_among_pictures(tmp_path, model, photo):
    (tmp_path / "images").write_bytes(idx(np.zeros((2, 28, 28), np.uint8)))
    message = call("predict", model, photo, "images", cwd=tmp_path).only_error(2)
    assert message == "chainrule: images: an IDX file must be the only file; got 2"
    message = call("predict", model, "images", "--show", "a.png", cwd=tmp_path).only_error(2)
    assert "images: --show is for pictures" in message
