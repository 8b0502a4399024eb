"""Signals as the bytes of .wav files."""

import io
import wave
from typing import Any

import numpy as np
from numpy.typing import NDArray

FULL = 2**15  # what 1 is, which the highest value, 2^15 - 1, does not quite reach


def wav(x: NDArray[Any], rate: int) -> bytes:
    """x (L,C), clipped to -1..1 -> 16-bit PCM at `rate` samples a second."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(x.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.clip(np.rint(FULL * x), -FULL, FULL - 1).astype("<i2").tobytes())
    return data.getvalue()
