"""The pictures that the package carries: 1,797 real handwritten digits, 8x8, CC BY 4.0; see DIGITS.md."""

from pathlib import Path

import numpy as np

from minigan.data.arrays import read_npz
from minigan.data.dataset import Dataset, Wanted, from_arrays

FILE = Path(__file__).with_name("digits.npz")


def load_digits(name: str, wanted: Wanted) -> Dataset:
    """Stored counts u = 0..16 become u / 16, exactly, and are then scaled as any floats in [0,1]."""
    x, y = read_npz(FILE)
    return from_arrays(name, str(FILE), x.astype(np.float32) / 16, y, wanted)
