"""How far are the spectra of two sets of signals from each other, in decibels?

    P_n(f) = |sum_t hann(t) x_n(t) e^(-2 pi i f t)|^2,   S_n(f) = 10 log10(max(P_n(f), 1e-6 mean P of the reference))
    distance = sqrt(mean over f of (mean_n S - mean_n S')^2 + (std_n S - std_n S')^2)

At each frequency that is the Frechet (2-Wasserstein) distance of the two normal distributions that have these means and
deviations (Dowson & Landau 1982, J. Multivariate Analysis 12), and over frequencies its root mean square, as the
log-spectral distance takes it of two signals (Gray & Markel 1976, "Distance measures for speech processing", IEEE
Trans. ASSP 24). The mean alone would be fooled by one signal that is repeated; its spread is then 0 at every f.

What it sees: how much of each frequency there is, quiet ones as well as loud ones down to 60 dB below the mean, and how
much that differs from signal to signal. What it does not see: which frequencies come together in one signal (harmonics
from their tone), where in a signal something happens, and phases, so whether a wave stands on its head.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import signal

SILENCE = 1e-6  # of the mean power: 60 dB below it
BLOCK = 1024  # signals transformed at once


class Spectrum(NamedTuple):
    """Mean and standard deviation over signals of the power at each frequency, in dB, (F,) each."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


def powers(x: NDArray[np.floating]) -> NDArray[np.float64]:
    """x (N,L) or (N,L,C) -> (N, C (L // 2 + 1)): |spectrum|^2 of each signal under a Hann window, channel by channel.

    Raises ValueError on other shapes, fewer than two signals, and numbers that are not finite.
    """
    if x.ndim not in (2, 3) or len(x) < 2 or min(x.shape[1:]) < 1:
        raise ValueError(f"signals {x.shape}: expected (N,L) or (N,L,C), N at least 2, none 0")
    if not np.isfinite(x).all():
        raise ValueError(f"signals {x.shape}: expected finite numbers; draw them again")
    by_channel = (x if x.ndim == 3 else x[..., None]).swapaxes(1, 2)
    hann = signal.windows.hann(x.shape[1], sym=False)
    blocks = [by_channel[k : k + BLOCK].astype(np.float64) for k in range(0, len(x), BLOCK)]
    return np.concatenate([np.abs(np.fft.rfft(hann * block)) ** 2 for block in blocks]).reshape(len(x), -1)


def spectrum(power: NDArray[np.float64], silence: float) -> Spectrum:
    """power (N,F), and what counts as none -> its mean and spread in dB."""
    level = 10 * np.log10(np.maximum(power, silence))
    return Spectrum(level.mean(axis=0), level.std(axis=0))


def spectrum_distance(reference: NDArray[np.floating], x: NDArray[np.floating]) -> float:
    """reference (N,L) or (N,L,C), x (M,L) or (M,L,C), both real-valued -> the distance in dB, 0 for equal sets.

    The reference says what counts as silence. Raises ValueError on signals of two lengths or numbers of channels, a
    reference that is silent, and what `powers` raises.
    """
    if reference.shape[1:] != x.shape[1:]:
        raise ValueError(f"signals {reference.shape} and {x.shape}: expected two sets of one length and channels")
    own, other = powers(reference), powers(x)
    silence = SILENCE * float(own.mean())
    if not silence > 0:
        raise ValueError(f"reference {reference.shape}: holds nothing but zeros; give signals")
    a, b = spectrum(own, silence), spectrum(other, silence)
    return float(np.sqrt(np.mean((a.mean - b.mean) ** 2 + (a.std - b.std) ** 2)))
