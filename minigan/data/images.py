"""One picture: PNG or JPEG bytes to an array, and an array to the size and channels wanted.

EXIF orientation is applied, transparency is laid on white, 16-bit grey is brought to 8 bits, palette and CMYK become
RGB. Resizing: the shorter side to `size`, centre-cropped, with Pillow's antialiased Lanczos filter.
"""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from minigan.data.files import reason
from minigan.errors import DataError

MAX_PIXELS = 1 << 26
FORMATS = {b"\x89PNG\r\n\x1a\n": PngImageFile, b"\xff\xd8\xff": JpegImageFile}
GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B")
MODES = {1: "L", 3: "RGB"}
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's


def decode(data: bytes, place: str, channels: int | None) -> NDArray[np.uint8]:
    """PNG or JPEG `data` -> (H, W, C) uint8; C is `channels`, or None for the picture's own 1 or 3. Raises DataError.

    Pixels are counted from the header, before any is decoded.
    """
    reader = next((reader for magic, reader in FORMATS.items() if data.startswith(magic)), None)
    if reader is None:
        raise DataError(f"{place}: starts with {data[:8].hex()!r}, neither PNG nor JPEG; convert or remove it")
    try:
        with reader(BytesIO(data)) as image:  # not Image.open: its own cap warns first and does not say the size
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise DataError(
                    f"{place}: its header claims {width} x {height} pixels, at most {MAX_PIXELS} are decoded; "
                    "shrink or remove it"
                )
            return _pixels(ImageOps.exif_transpose(image), channels)
    except DataError:
        raise
    except Exception as error:  # Pillow raises many kinds on hostile bytes
        raise DataError(f"{place}: cannot be decoded ({reason(error)}); replace or remove it") from error


def _pixels(image: Image.Image, channels: int | None) -> NDArray[np.uint8]:
    mode = MODES[channels or (1 if image.mode in GREY_MODES else 3)]
    if image.mode.startswith("I"):
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    pixels = np.asarray(image.convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1)


def fit(x: NDArray[Any], size: int | None, channels: int | None) -> NDArray[Any]:
    """x (H, W, C) uint8 or float32 -> (size, size, channels) of the same dtype; None keeps what x has.

    Grey from RGB is y = 0.299 R + 0.587 G + 0.114 B. Nothing leaves x's own extremes (Lanczos overshoots).
    """
    if channels == 1 and x.shape[2] == 3:
        grey = np.clip((x.astype(np.float32) @ LUMA)[..., None], x.min(), x.max())
        x = np.rint(grey).astype(np.uint8) if x.dtype == np.uint8 else grey
    if size is not None and x.shape[:2] != (size, size):
        x = _resized(x, size)
    return np.repeat(x, 3, axis=2) if channels == 3 and x.shape[2] == 1 else x


def _resized(x: NDArray[Any], size: int) -> NDArray[Any]:
    height, width = x.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    planes = [Image.fromarray(np.ascontiguousarray(x[..., c])) for c in range(x.shape[2])]
    y = np.stack([np.asarray(p.resize((size, size), Image.Resampling.LANCZOS, box)) for p in planes], axis=2)
    return np.clip(y, x.min(), x.max())
