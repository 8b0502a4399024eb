"""Tones of three timbres, made from numbers: signals to train on without files or a network.

    x(t) = a e^(-d t) s(f t + phi) + h,   t = 0, 1/L, ... in windows,   s(u) = sum_k c_k sin(2 pi k u) / max |.|

L = 1024 samples at 16,000 a second. Amplitude a is uniform in 0.5..0.9, decay d in 0..3 (a plucked string's, about),
start phi in 0..1, h is hiss, normal of deviation 0.01. Pitch f is 4 to 16 cycles a window, 62.5 to 250 Hz, evenly by
octaves. Timbres, which are the labels: pure (k = 1 alone), hollow (odd k to 7, c_k = 1/k, as a clarinet's or a square
wave's) and bright (all k to 8, c_k = 1/k, as a bowed string's or a sawtooth's).
"""

import numpy as np
from numpy.typing import NDArray

from minigan import rng
from minigan.data.dataset import Dataset, Wanted
from minigan.data.signals import from_signals

SEED, COUNT = 0, 6_000
LENGTH, RATE = 1024, 16_000
LOWEST, OCTAVES = 4.0, 2.0  # cycles a window
HISS = 0.01
TIMBRES = {"pure": (1,), "hollow": (1, 3, 5, 7), "bright": (1, 2, 3, 4, 5, 6, 7, 8)}


def tones(n: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """x (n, LENGTH) in -1..1 and labels (n,), each timbre in turn; the built-in set is that of seed SEED."""
    g = rng.host(seed, "waves")
    a, d, phi, octave = g.uniform([0.5, 0.0, 0.0, 0.0], [0.9, 3.0, 1.0, OCTAVES], (n, 4)).T[..., None]
    t = np.arange(LENGTH) / LENGTH
    u = LOWEST * 2**octave * t + phi
    labels = (np.arange(n) % len(TIMBRES)).astype(np.int32)
    x = np.empty((n, LENGTH))
    for label, harmonics in enumerate(TIMBRES.values()):
        own = labels == label
        x[own] = _wave(u[own], harmonics) / np.abs(_wave(t, harmonics)).max()
    x = a * np.exp(-d * t) * x + HISS * g.standard_normal((n, LENGTH))
    return np.clip(x, -1.0, 1.0).astype(np.float32), labels


def _wave(u: NDArray[np.float64], harmonics: tuple[int, ...]) -> NDArray[np.float64]:
    """sum_k sin(2 pi k u) / k, by the powers of e^(2 pi i u)."""
    turn, total = np.exp(2j * np.pi * u), np.zeros(u.shape)
    power, at = np.ones_like(turn), 0
    for k in harmonics:
        while at < k:
            power, at = power * turn, at + 1
        total += power.imag / k
    return total


def load_waves(name: str, wanted: Wanted) -> Dataset:
    """The built-in set, whole or cut into shorter windows, the same on every call."""
    x, labels = tones(COUNT, SEED)
    return from_signals(name, name, x, labels, wanted, RATE, tuple(TIMBRES))
