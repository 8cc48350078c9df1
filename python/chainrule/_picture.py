"""Pictures of any kind, as the brightness of their pixels, or of the three colours in them."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, TextIOBase
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule import _arrays, _files
from chainrule._extras import need
from chainrule.errors import FormatError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["FORMATS", "MOST_PIXELS", "Picture", "read"]

# Decoded, that is 256 MB at four bytes a pixel; no phone's usual picture has more.
MOST_PIXELS = 64_000_000
# Larger pictures are averaged down to no more than this: writing needs no finer detail.
_PIXELS = 4_000_000

# Those without surprises: Pillow would run another program for PostScript, for one.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")

_WEIGHTS = np.array([0.299, 0.587, 0.114])  # of the colours in brightness, by ITU-R BT.601

_UNNAMED = "the picture"


class Picture(NamedTuple):
    """The brightness of a picture, or of each of its colours."""

    planes: NDArray[np.float32]
    """(1, h, w), or (3, h, w): red, green and blue, where they are not alike."""
    full: bool
    """Whether values run from 0, black, to 1, white; else in units that nobody told us."""
    step: int
    """How many pixels of the picture, in each direction, were averaged to one."""
    name: str
    """What messages call the picture."""


def read(picture: Any) -> Picture:
    """Read a path, the bytes of a file, an open file, a Pillow image or an array."""
    if isinstance(picture, (str, os.PathLike)):
        name = _files.shown(picture)
        with _files.open_regular(picture) as file:
            return _decoded(file, name)
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return _decoded(BytesIO(picture), _UNNAMED)
    if isinstance(picture, TextIOBase):
        raise TypeError("picture must be opened in binary mode; got a file of text")
    if hasattr(picture, "read"):
        named = getattr(picture, "name", None)  # an int, where a descriptor was opened
        return _decoded(picture, named if isinstance(named, str) else _UNNAMED)
    if hasattr(picture, "getbands"):  # a Pillow image, without importing Pillow to ask
        return _from_image(picture, getattr(picture, "filename", "") or _UNNAMED)
    if hasattr(picture, "__array__") or isinstance(picture, (list, tuple)):
        return _from_array(_arrays.as_array("picture", picture))
    raise TypeError(
        "picture must be a path, the bytes of a file, an open file, a Pillow image or an array; "
        f"got {type(picture).__name__}"
    )


# ---- files


def _decoded(file: Any, name: str) -> Picture:
    image_module = need("PIL.Image", "images")
    with _as_format_error(name):
        image = image_module.open(file, formats=FORMATS)
    return _from_image(image, name)


@contextmanager
def _as_format_error(name: str) -> Iterator[None]:
    """Whatever Pillow raises while it decodes: its decoders know many kinds of error.

    What it warns of is either an error next or, as with damaged notes of a camera, harmless.
    """
    image_module = need("PIL.Image", "images")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except image_module.UnidentifiedImageError:
        formats = ", ".join(FORMATS)
        raise FormatError(f"{name}: expected a picture ({formats}); found none") from None
    except image_module.DecompressionBombError as error:
        raise FormatError(f"{name}: {_too_large()}; found more: {error}") from error
    except (FormatError, MemoryError):
        raise
    except OSError as error:
        if error.errno is not None:  # the system's: the file cannot be read
            error.filename = error.filename or name
            raise
        raise FormatError(f"{name}: expected a whole picture; found it damaged: {error}") from error
    except Exception as error:
        raise FormatError(f"{name}: expected a whole picture; found it damaged: {error}") from error


def _too_large() -> str:
    return f"expected a picture of at most {MOST_PIXELS:,} pixels"


# ---- Pillow images


def _from_image(image: Image.Image, name: str) -> Picture:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise FormatError(f"{name}: {_too_large()}; found {width} x {height}")
    if width * height == 0:
        raise FormatError(f"{name}: expected at least one pixel; found {width} x {height}")
    with _as_format_error(name):
        image.load()
        turned = need("PIL.ImageOps", "images").exif_transpose(image)
        values = np.asarray(_plain(turned))
    return _grey(values, name)


def _plain(image: Image.Image) -> Image.Image:
    """Grey, RGB, or RGB and opacity. What has more than 8 bits keeps them."""
    if image.mode in {"L", "I", "F"} or image.mode.startswith("I;16"):
        deep = image.mode != "L"
        return image if deep or not image.has_transparency_data else image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "LAB":
        return image.getchannel("L")
    if image.mode == "La":
        return image.convert("LA")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


# ---- arrays


def _from_array(array: NDArray[Any]) -> Picture:
    if array.ndim not in {2, 3} or array.size == 0 or (array.ndim == 3 and array.shape[2] > 4):
        raise ValueError(
            "picture must have shape (h, w) or (h, w, channels), with 1 to 4 channels; got "
            f"{array.shape}"
        )
    if array.dtype.kind in "iu" and array.min() >= 0 and array.max() <= 1:
        array = array.astype(bool)  # a mask
    return _grey(array, "picture")


def _grey(values: NDArray[Any], name: str) -> Picture:
    """(h, w), or (h, w, channels): grey, grey and opacity, RGB, or RGB and opacity."""
    is_float = values.dtype.kind == "f"
    if is_float and not np.isfinite(values).all():
        wrong = np.count_nonzero(~np.isfinite(values))
        raise ValueError(f"{name} must be finite: {wrong} of {values.size} values are not")
    channels = values[None] if values.ndim == 2 else np.moveaxis(values, 2, 0)
    n = len(channels)
    n_colours = n - (n % 2 == 0)
    step = math.ceil(math.sqrt(channels[0].size / _PIXELS))
    white = _white(values)
    brightest = max(abs(float(values.max())), abs(float(values.min()))) or 1.0
    one = brightest if is_float else white
    planes = np.stack([_averaged(plane, step, one) for plane in channels[:n_colours]])
    if n_colours < n:
        opacity = _averaged(channels[-1], step, white).clip(0, 1)
        planes = _on_paper(planes, opacity)
    if all(np.array_equal(plane, planes[0]) for plane in planes[1:]):
        planes = planes[:1]
    return Picture(planes, not is_float, step, name)


def _white(values: NDArray[Any]) -> float:
    """What full brightness, and full opacity, is as a number."""
    if values.dtype.kind in "fb":
        return 1.0
    # Of more than 8 bits seldom all are used: a camera's 12 come as 16.
    return 2.0 ** max(8, int(values.max()).bit_length()) - 1


def _averaged(plane: NDArray[Any], step: int, one: float) -> NDArray[np.float32]:
    """The mean over squares of step x step pixels, divided by `one`.

    What is left over at the right and the bottom is left out.
    """
    if plane.dtype.kind == "f":  # first: float64 holds more than float32 does
        plane, one = plane / one, 1.0
    if step == 1:
        return plane.astype(np.float32) / np.float32(one)
    h, w = plane.shape
    squares = plane[: h // step * step, : w // step * step]
    shape = (h // step, step, w // step, step)
    means: NDArray[np.float32] = squares.reshape(shape).mean(axis=(1, 3), dtype=np.float32)
    return means / np.float32(one)


def _on_paper(planes: NDArray[np.float32], opacity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put what is transparent before a paper on which one sees what is not."""
    seen = planes[:, opacity > 0.5]
    if seen.size == 0:
        return np.zeros_like(planes)
    low, middle, high = np.percentile(seen, [2, 50, 98], axis=1)
    brings_its_own = (high - low).max() > 0.5
    brightness = middle @ _WEIGHTS if len(planes) == 3 else middle[0]
    paper = middle if brings_its_own else np.full_like(middle, brightness <= 0.5)
    result: NDArray[np.float32] = opacity * planes
    result += (1 - opacity) * paper.astype(np.float32)[:, None, None]
    return result
