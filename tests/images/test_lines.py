"""What is on a picture besides paper and digits: lines, frames, and what lies round the sheet."""

import numpy as np
import pytest
from images.pictures import draw, encoded, scaled
from PIL import Image, ImageDraw

from chainrule.images import find_digits, prepare

WRITTEN = [2, 0, 7]


def with_lines(*lines, digits=WRITTEN, ink=(60, 60, 60)):
    """Digits, and rectangles: left, top, right, bottom, all inside."""
    image = draw(digits)
    pen = ImageDraw.Draw(image)
    for line in lines:
        pen.rectangle(line, fill=ink)
    return image


def framed(inside, thick, *, digits=WRITTEN, ink=(20, 20, 20)):
    """A rectangle so many pixels from the edge, and as thick."""
    image = draw(digits)
    w, h = image.size
    corners = (inside, inside, w - 1 - inside, h - 1 - inside)
    ImageDraw.Draw(image).rectangle(corners, outline=ink, width=thick)
    return image


def as_without(picture, digits=WRITTEN, within=2.0):
    """Whether the digits are found, and read, as if there was nothing else."""
    expected, found = find_digits(draw(digits)), find_digits(picture)
    assert found.images.shape == expected.images.shape
    # Of the edge of a box one pixel may be lost to what was beside it.
    assert np.abs(found.boxes - expected.boxes).max() <= 2
    assert np.abs(found.images.astype(int) - expected.images).mean() < within


@pytest.mark.parametrize("thick", [1, 3, 6])
def test_ruled_paper(thick):
    w, h = draw(WRITTEN).size
    rules = [(0, y, w, y + thick - 1) for y in (5, 28, 188, 210)]
    as_without(with_lines(*rules))
    as_without(with_lines(*rules, (12, 0, 12 + thick - 1, h)))  # with a margin
    as_without(encoded(with_lines(*rules), "JPEG", quality=85), within=4)
    one = prepare(with_lines(*rules, digits=[3]))
    assert np.abs(one.astype(int) - prepare(draw([3]))).mean() < 2


@pytest.mark.parametrize("inside", [0, 10, 25])
@pytest.mark.parametrize("thick", [1, 3])
def test_a_frame(inside, thick):
    as_without(framed(inside, thick))
    as_without(framed(inside, thick, digits=[3]), [3])
    assert (
        np.abs(prepare(framed(inside, thick, digits=[3])).astype(int) - prepare(draw([3]))).mean()
        < 2
    )


@pytest.mark.parametrize("thick", [3, 7, 20, 30])
@pytest.mark.parametrize("table", [0, 90])
def test_a_dark_edge_round_the_sheet(thick, table):
    as_without(framed(0, thick, ink=(table,) * 3))
    as_without(framed(0, thick, digits=[4], ink=(table,) * 3), [4])
    as_without(encoded(framed(0, thick, ink=(table,) * 3), "JPEG", quality=85), within=4)


@pytest.mark.parametrize("degrees", [-2, 1])
def test_a_sheet_that_lies_a_little_turned(degrees):
    sheet = draw(WRITTEN).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=(240, 238, 228))
    expected = find_digits(sheet)
    table = Image.new("RGB", (550, 320), (30, 20, 10))
    table.paste(draw(WRITTEN), (50, 50))
    found = find_digits(table.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=(30, 20, 10)))
    assert found.images.shape == expected.images.shape
    assert np.abs(found.images.astype(int) - expected.images).mean() < 4


@pytest.mark.parametrize("sides", [(0,), (1,), (0, 1), (0, 1, 2), (1, 3)])
def test_a_dark_edge_on_some_sides(sides):
    w, h = draw(WRITTEN).size
    strips = [(0, 0, w, 8), (0, 0, 8, h), (0, h - 9, w, h), (w - 9, 0, w, h)]
    as_without(with_lines(*(strips[side] for side in sides)))


def test_each_digit_in_a_box():
    cells = [(22 + 130 * i, 25, 140 + 130 * i, 195) for i in range(3)]
    image = draw(WRITTEN)
    for cell in cells:
        ImageDraw.Draw(image).rectangle(cell, outline=(40, 40, 40), width=3)
    as_without(image)


def test_a_line_through_digits_is_named():
    w = draw(WRITTEN).width
    for picture in (with_lines((0, 100, w, 102)), with_lines((0, 155, w, 158))):
        for read in (prepare, find_digits):
            with pytest.raises(
                ValueError, match="a line from side to side that touches the digits"
            ):
                read(picture)
    with pytest.raises(ValueError, match="a line from side to side"):
        find_digits(with_lines((0, 100, 190, 102), digits=[3]))


def test_a_frame_that_digits_touch_is_named():
    with pytest.raises(ValueError, match="a frame that touches the digits"):
        find_digits(framed(43, 4))


# ---- what is a digit all the same


def cropped(image):
    """To its ink."""
    rows, columns = np.nonzero(image >= 51)
    return image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def test_digits_cropped_to_their_ink_stay(mnist, monkeypatch):
    """They span the picture from side to side and from top to bottom, too."""
    pictures = [np.pad(cropped(scaled(image, 3)), 1) for image in mnist.train.images[:600]]
    found = [prepare(picture) for picture in pictures]
    monkeypatch.setattr("chainrule._lines.sheet", lambda *_: None)
    monkeypatch.setattr("chainrule._lines.drop", lambda *given: given[:2])
    np.testing.assert_array_equal(found, [prepare(picture) for picture in pictures])


def test_thick_digits_are_no_sheets():
    y, x = np.mgrid[-1:1:60j, -1:1:50j]
    for hole in (0.0, 0.3):
        thick = ((np.abs(x) ** 3 + np.abs(y) ** 3 < 0.9) & (x**2 + y**2 >= hole**2)) * 255
        box = find_digits(thick.astype(np.uint8)).boxes[0]
        assert (box[2:] - box[:2] > 44).all()


def test_strokes_that_span_the_picture_stay():
    for width in (3, 5):
        for digits in ([1, 1, 7], [4, 1], [0, 1, 5]):
            image = 255 - np.asarray(draw(digits, width=width).convert("L"))
            tight = np.pad(cropped(image - image.min()), 1)
            assert len(find_digits(tight).images) == len(digits)
    square = np.zeros((60, 50), np.uint8)
    square[5:55, 5:45] = 255
    square[12:48, 12:38] = 0
    assert find_digits(square).boxes.tolist() == [[5, 5, 45, 55]]  # a 0 of a display
