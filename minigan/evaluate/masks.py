"""Which pixels of a picture are missing, by a word: what `minigan inpaint --mask` takes."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from minigan import rng
from minigan.errors import ConfigError, nearest
from minigan.models.shapes import Shape

Missing = NDArray[np.bool_]  # (N,H,W)


def _centre(n: int, h: int, w: int, share: float, seed: int) -> Missing:
    out = np.zeros((n, h, w), bool)
    out[:, h // 4 : h - h // 4, w // 4 : w - w // 4] = True
    return out


def _half(n: int, h: int, w: int, share: float, seed: int) -> Missing:
    out = np.zeros((n, h, w), bool)
    out[:, :, w - w // 2 :] = True
    return out


def _random(n: int, h: int, w: int, share: float, seed: int) -> Missing:
    return rng.host(seed, "mask").random((n, h, w)) < share


# word: (what is missing, whether it takes a share, its mask)
MASKS: dict[str, tuple[str, bool, Callable[[int, int, int, float, int], Missing]]] = {
    "centre": ("a square in the middle, half as high and wide as the picture", False, _centre),
    "half": ("the right half", False, _half),
    "random": ("each pixel with this probability, as random:0.5", True, _random),
}


def known(text: str, n: int, shape: Shape, seed: int = 0) -> NDArray[np.float32]:
    """ "centre", "half" or "random:SHARE" -> (n,H,W,C): 1 where a pixel is known, 0 where it is missing.

    Raises ConfigError on another word, a share outside (0, 1), or a picture so small that the mask misses nothing.
    """
    word, colon, number = text.partition(":")
    if word not in MASKS:
        raise ConfigError(f"--mask {text!r} is unknown; {nearest(word, MASKS)}, as in random:0.5")
    _, takes, rule = MASKS[word]
    try:
        share = float(number) if takes else 0.5
    except ValueError:
        share = -1.0
    if bool(colon) != takes or not 0 < share < 1:
        want = "a share between 0 and 1 of pixels that are missing, as random:0.5" if takes else f"nothing but {word}"
        raise ConfigError(f"--mask {text!r}: expected {want}")
    h, w, c = shape
    missing = rule(n, h, w, share, seed)
    if not missing.any(axis=(1, 2)).all() or missing.all(axis=(1, 2)).any():
        raise ConfigError(f"--mask {text!r} leaves nothing to restore, or nothing to go by, in {h}x{w} pixels")
    return np.repeat(~missing[..., None], c, axis=3).astype(np.float32)
