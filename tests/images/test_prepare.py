"""`chainrule.images.prepare`: one digit of any picture."""

import sys
from io import BytesIO, StringIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images.pictures import draw, encoded, scaled
from PIL import Image

import chainrule
from chainrule import images
from chainrule.images import prepare


@pytest.fixture
def image(mnist):
    """A digit (28, 28) whose strongest ink is 255."""
    return next(image for image in mnist.train.images if image.max() == 255)


@pytest.fixture
def large(image):
    """The same, dark on light, 140 pixels wide: what a file may hold."""
    return 255 - scaled(image, 5)


def centre(image):
    rows, columns = np.indices(image.shape)
    return np.array([(image * rows).sum(), (image * columns).sum()]) / image.sum(dtype=float)


def extent(image):
    rows, columns = np.nonzero(image >= 51)
    return max(np.ptp(rows), np.ptp(columns)) + 1


# ---- what it does


def test_an_image_of_mnist_stays_as_it_is(image):
    prepared = prepare(image)
    assert (prepared.dtype, prepared.shape) == (np.uint8, (28, 28))
    np.testing.assert_array_equal(prepared, image)


@pytest.mark.parametrize("times", [1, 2, 7])
def test_inverted_and_turned_round_it_is_the_same(image, times):
    larger = scaled(image, times)
    prepared = prepare(larger)
    np.testing.assert_array_equal(prepare(255 - larger), prepared)
    assert np.corrcoef(prepared.ravel(), image.ravel())[0, 1] > 0.9  # half a pixel is as much


@pytest.mark.parametrize("scale", [0.6, 0.9, 1.7, 5.0, 20.0])
def test_longest_side_and_centre_of_mass(mnist, scale):
    for image in mnist.train.images[:20]:
        prepared = prepare(scaled(image, scale))
        assert prepared.max() == 255
        assert 19 <= extent(prepared) <= (21 if scale > 1 else 22)
        assert np.abs(centre(prepared) - 14).max() <= (0.5 if scale > 1 else 0.6)


def test_place_and_margins_do_not_matter(large):
    expected = prepare(large)
    paper = np.full((400, 600), 255, np.uint8)
    for top, left in ((0, 0), (30, 200), (260, 460)):
        picture = paper.copy()
        picture[top : top + 140, left : left + 140] = large
        assert np.abs(prepare(picture).astype(int) - expected).max() <= 1


@settings(max_examples=60)
@given(
    h=st.integers(8, 40), w=st.integers(8, 40), top=st.integers(1, 9), left=st.integers(1, 9),
    corner=st.integers(1, 12),
)  # fmt: skip
def test_no_ink_is_lost(h, w, top, left, corner):
    """Heavy corners would push thin ends over the edge; then they are not in the middle."""
    picture = np.zeros((h + 30, w + 30), np.uint8)
    picture[top : top + h, left] = 255
    picture[top, left : left + w] = 255
    picture[top : top + corner, left : left + corner] = 255
    size = max(h, w, corner)
    prepared = prepare(picture)
    assert 19 <= extent(prepared) <= 22
    if size == 20:  # moved, not scaled
        assert prepared.sum() == picture.sum()


def test_light_that_falls_off_is_not_ink(large):
    h, w = large.shape
    light = 200 - 60 * np.mgrid[0 : 1 : h * 1j, 0 : 1 : w * 1j].sum(axis=0) / 2
    picture = (light - (255 - large) * 0.4).astype(np.uint8)
    assert np.abs(prepare(picture).astype(int) - prepare(large)).mean() < 4


def test_noise_is_not_ink(large, rng):
    picture = 40 + 0.7 * large + rng.normal(0, 9, large.shape)
    prepared, expected = prepare(picture.clip(0, 255).astype(np.uint8)), prepare(large)
    assert np.abs(prepared.astype(int) - expected).mean() < 6
    assert prepared[expected == 0].mean() < 1


def test_dust_is_not_ink(large):
    picture = large.copy()
    picture[[3, 70, 133], [5, 2, 130]] = 0
    picture[1:4, 100:104] = 0
    assert np.abs(prepare(picture).astype(int) - prepare(large)).max() <= 1


def test_faint_pencil_becomes_strong(large):
    faint = (230 - (255 - large.astype(int)) // 8).astype(np.uint8)
    assert np.abs(prepare(faint).astype(int) - prepare(large)).mean() < 4


# ---- any kind of picture


def test_ways_to_give_a_file(tmp_path, large):
    expected = prepare(large)
    content = encoded(Image.fromarray(large))
    path = tmp_path / "a digit.png"
    path.write_bytes(content)
    pipe = BytesIO(content)
    pipe.seek(9)  # Pillow rewinds it
    with path.open("rb") as file:
        given = [path, str(path), content, bytearray(content), memoryview(content), file, pipe,
                 Image.open(path), Image.fromarray(large), large.tolist(), large]  # fmt: skip
        for picture in given:
            np.testing.assert_array_equal(prepare(picture), expected)
    given[7].close()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_formats(large, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    prepared = prepare(encoded(Image.fromarray(large), kind, **options))
    assert np.abs(prepared.astype(int) - prepare(large)).mean() < 1


MODES = ["1", "L", "P", "RGB", "RGBA", "LA", "PA", "La", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV",
         "LAB", "I", "F", "I;16", "I;16B"]  # fmt: skip


def converted(large, mode):
    """A Pillow image of the mode."""
    image = Image.fromarray(large)
    if mode == "LAB":
        plain = Image.new("L", image.size, 128)
        return Image.merge("LAB", [image, plain, plain])
    if mode.startswith("I;16"):
        dtype = ">u2" if mode.endswith("B") else "<u2"
        data = (large.astype(np.uint16) * 257).astype(dtype).tobytes()
        return Image.frombytes(mode, image.size, data)
    if mode in {"La", "PA"}:
        return image.convert("LA").convert(mode)
    if mode == "RGBa":
        return image.convert("RGBA").convert(mode)
    return image.convert("RGB").convert(mode) if mode in {"HSV", "YCbCr"} else image.convert(mode)


@pytest.mark.parametrize("mode", MODES)
def test_modes(large, mode):
    picture = converted(large, mode)
    before = picture.mode, picture.tobytes()
    difference = np.abs(prepare(picture).astype(int) - prepare(large))
    assert difference.mean() < (6 if mode == "1" else 1)
    assert (picture.mode, picture.tobytes()) == before


def test_more_bits_than_eight(large):
    """Some cameras' 12 bits lie in the lower ones of 16."""
    for values in (large.astype(np.uint16) * 257, large.astype(np.uint16) * 16):
        for picture in (values, encoded(Image.fromarray(values)), Image.fromarray(values)):
            assert np.abs(prepare(picture).astype(int) - prepare(large)).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_held_in_any_way(large, orientation):
    stored = Image.fromarray(large)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # FLIP_LEFT_RIGHT, ROTATE_180, ...
    if orientation in undo:
        stored = stored.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(prepare(encoded(stored, kind, exif=exif)), prepare(large))


@pytest.mark.parametrize("tone", [0, 255, (20, 30, 160), (250, 240, 120)])
def test_ink_on_nothing(large, tone):
    """Transparent paper is of the other end, whatever colour it has where nobody sees it."""
    for hidden in (0, 255, 128):
        tones = np.broadcast_to(np.array(tone, np.uint8), (3,))
        opacity = (255 - large)[:, :, None]
        colours = np.where(opacity > 0, tones, np.uint8(hidden))
        picture = np.concatenate([colours, opacity], axis=2)
        for form in (picture, encoded(Image.fromarray(picture))):
            assert np.abs(prepare(form).astype(int) - prepare(large)).mean() < 1


@pytest.mark.parametrize("dark", [True, False])
def test_paper_on_nothing(large, dark):
    """A card with ink on it, cut out."""
    card = np.pad(large if dark else 255 - large, 10, constant_values=255 if dark else 0)
    opacity = np.pad(np.full_like(card, 255), 30)
    picture = np.stack([np.pad(card, 30), opacity], axis=2)
    assert np.abs(prepare(picture).astype(int) - prepare(large)).max() <= 1


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_colour(large, mode):
    ink = Image.fromarray(np.where(large < 128, np.uint8(0), np.uint8(77))).convert(mode)
    key = {"P": ink.getpixel((0, 0)), "L": 77, "RGB": (77, 77, 77)}[mode]
    expected = prepare(np.where(large < 128, np.uint8(0), np.uint8(255)))
    np.testing.assert_array_equal(prepare(encoded(ink, transparency=key)), expected)


def test_arrays(large):
    expected = prepare(large)
    ink = (255 - large) / 255
    rgb = np.repeat(large[:, :, None], 3, axis=2)
    opaque = np.concatenate([rgb, np.full_like(rgb[:, :, :1], 255)], axis=2)
    for picture in (
        large[:, :, None], rgb, opaque, opaque[:, :, 2:], ink, ink.astype(np.float16), ink * 1e30,
        ink - 0.5, large.astype(np.int64), large[:, ::-1][:, ::-1], large.astype(">i4"),
        ink.astype(np.longdouble), -1e300 * ink,
    ):  # fmt: skip
        copy = picture.copy()
        assert np.abs(prepare(picture).astype(int) - expected).max() <= 1
        np.testing.assert_array_equal(picture, copy)
    mask = large < 128
    for picture in (mask.astype(np.uint8), mask.astype(int), mask * 1.0):
        np.testing.assert_array_equal(prepare(picture), prepare(mask))


@pytest.mark.parametrize(
    ("ink", "paper"),
    [((150, 20, 20), (200, 240, 220)), ((255, 0, 0), (0, 130, 0)), ((0, 130, 0), (255, 0, 0)),
     ((0, 0, 255), (98, 0, 0)), ((60, 130, 60), (130, 90, 90)), ((255, 255, 0), (255, 255, 255))],
)  # fmt: skip
def test_colours_count_and_not_only_brightness(ink, paper):
    """Red on green of the same luminance, for one."""
    expected = prepare(draw([3]).convert("L"))
    picture = draw([3], ink=ink, paper=paper)
    for form in (picture, np.asarray(picture), np.asarray(picture) / 255, picture.quantize(4)):
        assert np.abs(prepare(form).astype(int) - expected).max() <= 3
    compressed = prepare(encoded(picture, "JPEG", quality=80)).astype(int)
    assert np.abs(compressed - expected).mean() < 12


def test_colours_in_uneven_light_and_noise(rng):
    """Red on green again; the light falls off by more than the colours differ."""
    picture = np.asarray(draw([3], ink=(200, 40, 30), paper=(50, 119, 30))).astype(float)
    h, w = picture.shape[:2]
    light = 1.1 - 0.6 * np.mgrid[0 : 1 : h * 1j, 0 : 1 : w * 1j].sum(axis=0) / 2
    picture = picture * light[:, :, None] + rng.normal(0, 6, picture.shape)
    prepared = prepare(picture.clip(0, 255).astype(np.uint8)).astype(int)
    assert np.abs(prepared - prepare(draw([3]))).mean() < 12


def test_a_large_picture_is_averaged(image):
    """To at most four million pixels, so that a photograph takes a moment."""
    larger = np.repeat(np.repeat(image, 100, axis=0), 110, axis=1)  # 2800 x 3080
    expected = prepare(larger[::4, ::4])
    assert np.abs(prepare(larger).astype(int) - expected).mean() < 2


# ---- what is refused


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((28, 28), np.uint8), np.full((5, 7), 255, np.uint8), np.full((9, 9), 0.1),
        np.zeros((1, 1)), np.zeros((8, 8, 4), np.uint8), np.full((8, 8, 3), 7, np.uint16),
        np.pad(np.full((9, 9), 12, np.uint8), 9), np.zeros((30, 30), bool),
        Image.new("RGBA", (20, 20)), Image.new("CMYK", (20, 20)), Image.new("1", (20, 20), 1),
    ],
)  # fmt: skip
def test_blank(picture):
    with pytest.raises(ValueError, match="is blank: expected ink that differs from its border"):
        prepare(picture)


def test_blank_paper_of_a_camera(rng, tmp_path):
    y, x = np.mgrid[-1:1:300j, -1:1:400j]
    light = 190 + 30 * x - 20 * y * y + rng.normal(0, 4, x.shape)
    path = tmp_path / "empty.jpg"
    path.write_bytes(encoded(Image.fromarray(light.astype(np.uint8)), "JPEG"))
    with pytest.raises(ValueError, match=r"empty\.jpg is blank"):
        prepare(path)


def test_noise_is_called_noise(rng):
    for picture in (rng.integers(90, 160, (60, 80)), rng.integers(0, 256, (60, 80, 3))):
        with pytest.raises(ValueError, match="no ink stands out from the noise of its paper"):
            prepare(picture.astype(np.uint8))


@pytest.mark.parametrize(
    ("picture", "kind", "message"),
    [
        (np.zeros(784), ValueError, r"\(h, w\) or \(h, w, channels\).* got \(784,\)"),
        (np.zeros((5, 28, 28)), ValueError, r"got \(5, 28, 28\)"),
        (np.zeros((0, 28)), ValueError, r"got \(0, 28\)"),
        (np.zeros((28, 28, 0)), ValueError, r"got \(28, 28, 0\)"),
        (np.full((4, 4), np.nan), ValueError, "picture must be finite: 16 of 16"),
        (np.array([[0, np.inf]]), ValueError, "picture must be finite: 1 of 2"),
        (np.zeros((4, 4), complex), TypeError, "picture must be real"),
        ([["a", "b"]], TypeError, "picture must be an array of numbers"),
        (None, TypeError, "picture must be a path.* got NoneType"),
        (7, TypeError, "picture must be a path.* got int"),
        (StringIO("text"), TypeError, "binary mode"),
    ],
)
def test_what_is_no_picture(picture, kind, message):
    with pytest.raises(kind, match=message):
        prepare(picture)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        prepare(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        prepare(str(tmp_path))
    with pytest.raises(ValueError, match="NUL"):
        prepare("a\0b")


def test_without_pillow(monkeypatch, large, tmp_path):
    """Arrays need none; what does says how to get it."""
    content = encoded(Image.fromarray(large))
    expected = prepare(large)
    (tmp_path / "digit.png").write_bytes(content)
    for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
        monkeypatch.setitem(sys.modules, name, None)
    np.testing.assert_array_equal(prepare(large), expected)
    for picture in (content, tmp_path / "digit.png"):
        with pytest.raises(ModuleNotFoundError, match=r"needs Pillow.*'chainrule\[images\]'"):
            prepare(picture)


def test_its_place():
    assert chainrule.images is images
    assert "images" in chainrule.__all__
