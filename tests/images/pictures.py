"""Pictures for tests: drawn by hand, photographed, and rows of digits."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

# Strokes of a pen, in a field of 100 x 120.
STROKES = {
    0: [[(50, 5), (20, 30), (18, 85), (48, 115), (80, 90), (80, 30), (50, 5)]],
    1: [[(50, 5), (48, 115)]],
    2: [[(18, 25), (45, 5), (78, 22), (70, 55), (18, 112), (85, 110)]],
    3: [[(20, 20), (50, 5), (80, 25), (70, 50), (45, 55), (78, 65), (80, 100), (50, 115),
         (15, 105)]],
    4: [[(60, 5), (15, 70), (85, 70)], [(68, 45), (64, 118)]],
    5: [[(25, 8), (20, 55), (60, 50), (80, 80), (60, 110), (20, 108)], [(33, 8), (80, 6)]],
    7: [[(15, 10), (82, 8), (45, 115)]],
}  # fmt: skip


def draw(digits, *, width=10, ink=(20, 30, 90), paper=(240, 238, 228), step=130):
    """A row of digits, not quite in line; the bar of a 5 apart from the rest."""
    image = Image.new("RGB", (step * len(digits) + 60, 220), paper)
    pen = ImageDraw.Draw(image)
    for i, digit in enumerate(digits):
        for stroke in STROKES[digit]:
            points = [(x + 40 + i * step, y + 45 + i % 3 * 6) for x, y in stroke]
            pen.line(points, fill=ink, width=width, joint="curve")
            for x, y in points:
                pen.circle((x, y), width / 2, fill=ink)
    return image


def encoded(image, kind="PNG", **options):
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def scaled(image, scale, resampling=Image.Resampling.BICUBIC):
    """An array (h, w) uint8, scaled by Pillow."""
    h, w = image.shape
    size = round(w * scale), round(h * scale)
    return np.asarray(Image.fromarray(image).resize(size, resampling))


def shifted(image, dy, dx):
    """Moved by whole pixels; what leaves the image is gone."""
    h, w = image.shape
    wide = np.pad(image, ((abs(dy),), (abs(dx),)))
    return wide[abs(dy) - dy :, abs(dx) - dx :][:h, :w]


def row(images, gaps):
    """Digits (28, 28) in a row, so many empty columns between the ink of one and the next."""
    parts = []
    for image, gap in zip(images, [0, *gaps], strict=True):
        columns = np.flatnonzero(image.any(axis=0))
        parts += [np.zeros((28, gap), np.uint8), image[:, columns[0] : columns[-1] + 1]]
    return np.pad(np.concatenate(parts, axis=1), 8)


def photographed(image, rng, *, paper=200, ink=110, falls=60, noise=4):
    """An array (h, w) of ink on paper: larger, unevenly lit, noisy, and a JPEG of quality 80."""
    amount = scaled(image, 4) / 255
    h, w = amount.shape
    y, x = np.mgrid[-1 : 1 : 1j * h, -1 : 1 : 1j * w]
    angle = rng.uniform(0, 2 * np.pi)
    light = paper + falls / 2 * (x * np.cos(angle) + y * np.sin(angle)) - falls / 4 * (x**2 + y**2)
    grey = light - ink * amount + rng.normal(0, noise, (h, w))
    return encoded(Image.fromarray(grey.clip(0, 255).astype(np.uint8)), "JPEG", quality=80)
