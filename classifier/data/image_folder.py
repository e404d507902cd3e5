"""Image folders: images as people keep them, decoded to RGB and made square."""

import struct
import warnings
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from classifier.params import Fit

# What Pillow may open: no format for which it starts another program (EPS) or reads other files.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "AVIF", "JPEG2000", "PPM")
WHITE = (255, 255, 255, 255)


class UnreadableImage(ValueError):  # noqa: N818 - the name that says what it is
    """An image that cannot be decoded; the message says why in a few words."""


def read_image(source: Path | IO[bytes]) -> Image.Image:
    """Decode an image as a person sees it: the first frame, turned as its EXIF data say, in RGB.

    Transparency is drawn on white. Values of 16 bits are scaled to 8; Pillow's own conversion would clip them. Whole numbers
    of 32 bits count as 16 bits where they fit, floating-point values as 0 to 1 where they lie in that range, otherwise as 0 to
    255.

    Parameters
    ----------
    source
        A file, or its bytes as a stream.

    Returns
    -------
    image
        Of the mode RGB, of any size.

    Raises
    ------
    UnreadableImage
        When it is no image that Pillow can decode, a part is missing, or it has more pixels than Pillow admits.
    """
    Image.init()  # registers the formats, once
    try:
        with warnings.catch_warnings():
            Image.init()  # registers the formats, once
            warnings.simplefilter("ignore")  # of images that are large, but below the limit, and of odd metadata
            with Image.open(source, formats=FORMATS) as image:
                raw_mode = _raw_mode(image)
                image.load()
                with suppress(Exception):  # damaged EXIF data leave an image as it is
                    ImageOps.exif_transpose(image, in_place=True)
                return _as_rgb(image, raw_mode)
    except Image.DecompressionBombError:
        raise UnreadableImage(f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, Pillow's limit") from None
    except UnidentifiedImageError:
        raise UnreadableImage("no format that Pillow can open") from None
    except OSError as error:
        if error.errno and isinstance(source, Path):
            raise UnreadableImage((error.strerror or str(error)).lower()) from None
        raise UnreadableImage(_in_few_words(error)) from None
    except (ValueError, SyntaxError, TypeError, IndexError, KeyError, EOFError, struct.error, OverflowError) as error:
        raise UnreadableImage(_in_few_words(error)) from None  # as Pillow's decoders raise for damaged bytes


def fit_image(image: Image.Image, size: int, fit: Fit) -> NDArray[np.uint8]:
    """Make an image square, with antialiasing.

    Parameters
    ----------
    image
        Of the mode RGB, or L for grey.
    size
        Of the result, in pixels.
    fit
        `crop` cuts off what is too much of the longer side, `pad` adds black, `stretch` changes the proportions. An image of
        the right size stays unchanged.

    Returns
    -------
    pixels
        uint8 [size, size, 3], or [size, size, 1] for grey.
    """
    if fit == "crop":
        image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    elif fit == "stretch":
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    else:
        width, height = (max(1, round(length * size / max(image.size))) for length in image.size)
        canvas = Image.new(image.mode, (size, size))
        canvas.paste(image.resize((width, height), Image.Resampling.BICUBIC), ((size - width) // 2, (size - height) // 2))
        image = canvas
    return np.array(image, dtype=np.uint8).reshape(size, size, -1)


def _raw_mode(image: Image.Image) -> str:
    """Return how the values lie in the file, such as "L;4", where Pillow tells."""
    tiles = getattr(image, "tile", [])
    arguments = tiles[0][3] if tiles else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _as_rgb(image: Image.Image, raw_mode: str) -> Image.Image:
    transparent = image.info.get("transparency")
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        grey = Image.fromarray(_in_8_bits(values))
        return _on_white(grey, values != transparent) if isinstance(transparent, int) else grey.convert("RGB")
    if image.mode in {"1", "L"} and isinstance(transparent, int):
        # Pillow compares the value in the file with pixels that it has scaled to 8 bits.
        scale = {"1": 255, "L;2": 85, "L;4": 17}.get(raw_mode, 1)
        grey = image.convert("L")
        return _on_white(grey, np.asarray(grey) != transparent * scale)
    if image.mode == "RGB" and isinstance(transparent, tuple):
        value = [each >> 8 if "16" in raw_mode else each for each in transparent]
        return _on_white(image, (np.asarray(image) != value).any(axis=2))
    if image.mode in {"La", "RGBa"}:  # colours multiplied by their opacity
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, WHITE), colours).convert("RGB")
    return image.convert("RGB")


def _on_white(image: Image.Image, opaque: NDArray[np.bool_]) -> Image.Image:
    return Image.composite(image.convert("RGB"), Image.new("RGB", image.size, WHITE[:3]), Image.fromarray(opaque))


def _in_8_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    numbers = np.nan_to_num(values.astype(np.float64))
    greatest = numbers.max(initial=0)
    ranges = (1, 255, 65535) if values.dtype.kind == "f" else (65535, 2**31 - 1)
    full = next((full for full in ranges if greatest <= full), greatest)
    return np.rint(numbers.clip(min=0) * (255 / full)).astype(np.uint8)


def _in_few_words(error: Exception) -> str:
    words = " ".join(str(error).split())
    return words[:100] if words else type(error).__name__
