"""`chainrule.images.find_digits`: pieces of ink, and which of them make a digit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays
from images.pictures import draw, encoded, row, scaled

from chainrule import _ink
from chainrule.images import Digits, find_digits, prepare


@pytest.fixture
def digits(mnist):
    """One training image of each digit, 0 to 9, in one piece."""
    images, labels = mnist.train
    return [next(i for i in images[labels == k] if whole(i)) for k in range(10)]


def whole(image):
    return len(_ink.pieces(image / np.float32(255)).boxes) == 1


def strokes(*boxes, shape=(60, 200)):
    """A picture of rectangles, each left, top, right, bottom."""
    picture = np.zeros(shape, np.uint8)
    for left, top, right, bottom in boxes:
        picture[top:bottom, left:right] = 255
    return picture


def boxes(*given):
    """What digits a picture of these rectangles has."""
    return [tuple(box) for box in find_digits(strokes(*given)).boxes.tolist()]


# ---- what it returns


def test_digits_of_a_row(digits):
    found = find_digits(row(digits, [4, 20, 9, 5, 6, 4, 7, 12, 8]))
    assert isinstance(found, Digits)
    assert found.images.shape == (10, 28, 28)
    assert found.images.dtype == np.uint8
    for image, digit in zip(found.images, digits, strict=True):
        assert np.abs(image.astype(int) - prepare(digit)).max() <= 1


def test_boxes(digits):
    picture = strokes((10, 5, 14, 45), (30, 8, 50, 40), (70, 20, 74, 50), shape=(70, 90))
    expected = [[10, 5, 14, 45], [30, 8, 50, 40], [70, 20, 74, 50]]
    assert find_digits(picture).boxes.tolist() == expected
    larger = scaled(picture, 30, 0)  # averaged, and told in the pixels of the picture
    assert np.abs(find_digits(larger).boxes - 30 * np.array(expected)).max() <= 4


def test_one_digit_is_what_prepare_makes_of_it(mnist):
    for image in filter(whole, mnist.train.images[:50]):
        found = find_digits(image)
        assert len(found.images) == 1
        np.testing.assert_array_equal(found.images[0], prepare(image))


def test_order_is_from_left_to_right_whatever_the_height(digits):
    picture = np.zeros((100, 120), np.uint8)
    for i, (digit, top) in enumerate(zip(digits[:4], (20, 6, 16, 30), strict=True)):
        picture[top : top + 28, 30 * i : 30 * i + 28] = digit
    for image, digit in zip(find_digits(picture).images, digits[:4], strict=True):
        assert np.abs(image.astype(int) - prepare(digit)).max() <= 1


@pytest.mark.parametrize("width", [5, 10, 18])
def test_drawn_by_hand(width):
    """The bar of the 5 is a piece by itself when the pen is thin."""
    found = find_digits(draw([3, 1, 4, 1, 5, 2, 0, 7], width=width))
    assert len(found.images) == 8
    assert (np.diff(found.boxes[:, 0]) > 0).all()


# ---- which pieces belong together

TALL = (20, 10, 24, 50)


def test_small_pieces_belong_to_what_is_near():
    assert boxes(TALL, (30, 10, 40, 15)) == [(20, 10, 40, 50)]
    assert boxes(TALL, (10, 25, 17, 30)) == [(10, 10, 24, 50)]
    assert boxes(TALL, (37, 10, 47, 15)) == [(20, 10, 47, 50)]
    assert boxes(TALL, (40, 10, 50, 15)) == [TALL]  # and is no digit by itself
    nearer = boxes(TALL, (35, 10, 45, 15), (50, 10, 54, 50))
    assert nearer == [TALL, (35, 10, 54, 50)]


def test_others_must_be_quite_near():
    """The two strokes of a 4."""
    assert boxes((20, 10, 38, 35), (41, 10, 45, 50)) == [(20, 10, 45, 50)]
    apart = [(20, 10, 38, 35), (44, 10, 48, 50)]
    assert boxes(*apart) == apart


def test_two_tall_ones_are_two_digits_however_near():
    for other in ((26, 10, 30, 50), (30, 20, 50, 52)):
        assert boxes(TALL, other) == [TALL, other]


def test_above_each_other():
    assert boxes((20, 10, 40, 14), (24, 17, 44, 50)) == [(20, 10, 44, 50)]
    assert boxes((20, 10, 40, 28), (22, 32, 42, 50)) == [(20, 10, 42, 50)]


def test_one_leaning_over_the_other():
    """A 7, and a 1 under its bar."""
    picture = strokes((20, 10, 60, 14), (54, 22, 58, 52))
    for y in range(14, 52):
        picture[y, 69 - y : 73 - y] = 255
    found = find_digits(picture)
    assert found.boxes.tolist() == [[18, 10, 60, 52], [54, 22, 58, 52]]


def test_a_decimal_point_is_no_digit():
    other = (80, 10, 100, 50)
    assert boxes(TALL, (45, 42, 53, 50), other) == [TALL, other]


def test_what_else_is_near_is_left_out_of_an_image(digits):
    """Digits that lean over each other: each image has its own ink only."""
    slanted = np.zeros((28, 44), np.uint8)
    for y in range(4, 24):
        slanted[y, 24 - y // 2 : 27 - y // 2] = 255
        slanted[y, 31 - y // 2 : 34 - y // 2] = 255
    found = find_digits(np.pad(slanted, 9))
    assert found.boxes[0, 2] > found.boxes[1, 0]
    np.testing.assert_array_equal(*found.images)


# ---- what is refused


def test_blank():
    with pytest.raises(ValueError, match="picture is blank"):
        find_digits(np.zeros((28, 28)))


def test_more_pieces_than_digits_have():
    picture = np.zeros((200, 200), np.uint8)
    picture[2:-2:4, 2:-2:4] = 255
    with pytest.raises(ValueError, match="a row of digits on plain paper; found ink in 2401 piece"):
        find_digits(picture)


def two_rows(digits, *, aside, below):
    """2 7 above 3 4: the lower row so far to the right, and so far from ink to ink below."""
    picture = np.zeros((44 + below, 130), np.uint8)
    start = 6 + max(0, -aside)
    for k, left, top in (
        (2, 0, 2),
        (7, 44, 2),
        (3, aside, 22 + below),
        (4, 44 + aside, 22 + below),
    ):
        picture[top : top + 20, start + left : start + left + 20] = digits[k][4:24, 4:24]
    return picture


@pytest.mark.parametrize("aside", [-44, -22, -8, 0, 8, 22, 50])
@pytest.mark.parametrize("below", [1, 4, 10, 40])
def test_two_rows(digits, aside, below):
    """In columns, shifted, and between each other."""
    picture = two_rows(digits, aside=aside, below=below)
    with pytest.raises(ValueError, match="picture: expected one row of digits; found 2; give each"):
        find_digits(picture)


def test_more_rows(digits):
    one = row(digits[:5], [6] * 4)
    for n in (2, 3, 5):
        with pytest.raises(ValueError, match=f"expected one row of digits; found {n}; "):
            find_digits(np.concatenate([one] * n))
    with pytest.raises(ValueError, match="expected one row of digits; found 2; "):
        find_digits(np.concatenate([digits[2], digits[3]]))  # a column


def test_one_row_however_written(mnist, rng):
    """Not quite in line, of different heights, rising, with dots, and the bar of a 5 apart."""
    images = [image for image in mnist.train.images[:300] if whole(image)]
    for n in range(2, 9):
        for _ in range(6):
            picture = np.zeros((120, 60 * n + 20), np.uint8)
            slope = rng.integers(-6, 7)
            for i in range(n):
                scale = rng.uniform(1.4, 2)
                image = scaled(images[rng.integers(len(images))], scale)
                top = 30 + rng.integers(-6, 7) + slope * i - slope * n // 2
                h, w = image.shape
                picture[top : top + h, 10 + 60 * i : 10 + 60 * i + w] = image
            assert len(find_digits(picture).images) == n
    dot, bar = (27, 2, 32, 7), (76, 3, 96, 6)
    written = [(28, 12, 32, 50), dot, (50, 14, 66, 49), (70, 12, 90, 52), bar]
    assert boxes(*written) == [(27, 2, 32, 50), (50, 14, 66, 49), (70, 3, 96, 52)]
    assert len(find_digits(draw([5, 5, 1, 5], width=5)).images) == 4


def test_a_broken_digit_is_no_column():
    assert boxes((20, 5, 40, 28), (22, 32, 42, 55)) == [(20, 5, 42, 55)]


def test_a_file_is_named(tmp_path):
    path = tmp_path / "empty.png"
    path.write_bytes(encoded(draw([])))
    with pytest.raises(ValueError, match=r"empty\.png is blank"):
        find_digits(path)


# ---- pieces, and the slow loop that judges them


def flooded(mask):
    """The same labels, pixel by pixel."""
    labels, n = np.zeros(mask.shape, int), 0
    for start in zip(*np.nonzero(mask), strict=True):
        if labels[start]:
            continue
        n += 1
        labels[start], open_ = n, [start]
        while open_:
            y, x = open_.pop()
            for near in np.ndindex(3, 3):
                y1, x1 = y + near[0] - 1, x + near[1] - 1
                inside = 0 <= y1 < mask.shape[0] and 0 <= x1 < mask.shape[1]
                if inside and mask[y1, x1] and not labels[y1, x1]:
                    labels[y1, x1] = n
                    open_.append((y1, x1))
    return labels, n


@settings(max_examples=150)
@given(arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_pieces_are_what_is_connected(mask):
    if not mask.any():
        return
    found = _ink.pieces(mask.astype(np.float32))
    labels, n = flooded(mask)
    pairs = set(zip(labels[mask].tolist(), found.labels[mask].tolist(), strict=True))
    kept = [pair for pair in pairs if pair[1] > 0]
    assert len(pairs) == n  # each piece has one number
    assert sorted(number for _, number in kept) == list(range(1, len(found.boxes) + 1))
    for label, number in kept:
        (top, left), (bottom, right) = (
            extreme(np.argwhere(labels == label), axis=0) for extreme in (np.min, np.max)
        )
        assert found.boxes[number - 1].tolist() == [left, top, right + 1, bottom + 1]
    assert (found.labels[~mask] == 0).all()


def test_a_spiral_is_one_piece():
    """The longest way round that runs can take."""
    mask = np.zeros((61, 61), bool)
    y, x, dy, dx = 0, 0, 0, 1
    for length in [60, 60, 60] + [n for k in range(58, 0, -2) for n in (k, k)]:
        for _ in range(length):
            mask[y, x] = True
            y, x = y + dy, x + dx
        dy, dx = dx, -dy
    mask[y, x] = True
    for turned in (mask, mask[::-1], mask.T):
        assert len(_ink.pieces(turned.astype(np.float32)).boxes) == 1
