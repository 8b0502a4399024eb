"""Normalisation far from zero: forward and backward together lose nothing at mean 1000 and std 1."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigan.backends import oracle
from minigan.backends.bounds import NORM_BOUND
from minigan.models.shapes import Array

SHAPES = {"batchnorm": (16, 5, 5, 7), "layernorm": (6, 5, 5, 7), "instancenorm": (6, 9, 9, 7)}


def _both_passes(name: str, arrays: list[Array], dtype: Any) -> list[Array]:
    """y, dx, dgamma, dbeta, with the statistics handed over as `dtype` rounds them."""
    forward: Callable[..., Any] = getattr(oracle, name)
    backward: Callable[..., Any] = getattr(oracle, f"{name}_backward")
    x, dy, gamma, beta = (a.astype(dtype) for a in arrays)
    y, mean, var = forward(x, gamma, beta, 1e-5)
    dgamma, dbeta = np.zeros_like(gamma), np.zeros_like(beta)
    return [y, backward(dy, x, gamma, mean, var, 1e-5, dgamma, dbeta), dgamma, dbeta]


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("centre", [0.0, 1000.0])
def test_float32_meets_float64(name: str, centre: float) -> None:
    rng, shape = np.random.default_rng(5), SHAPES[name]
    x = (centre + rng.standard_normal(shape)).astype(np.float32)
    arrays = [x, *(rng.standard_normal(s).astype(np.float32) for s in (shape, shape[-1:], shape[-1:]))]
    results = zip(_both_passes(name, arrays, np.float32), _both_passes(name, arrays, np.float64), strict=True)
    for what, (got, want) in zip(("y", "dx", "dgamma", "dbeta"), results, strict=True):
        error = np.linalg.norm(got - want) / np.linalg.norm(want)
        assert error <= NORM_BOUND, f"{name} at mean {centre}: {what} has relative error {error:.2e}"


@pytest.mark.parametrize("name", SHAPES)
def test_output_is_normal_per_group(name: str) -> None:
    rng, shape = np.random.default_rng(6), SHAPES[name]
    axes = {"batchnorm": (0, 1, 2), "layernorm": (1, 2, 3), "instancenorm": (1, 2)}[name]
    ones = np.ones(shape[-1])
    x = 3 + 2 * rng.standard_normal(shape)
    y, mean, var = getattr(oracle, name)(x, ones, 0 * ones, 0.0)
    assert np.allclose(y.mean(axes), 0, atol=1e-12) and np.allclose(y.std(axes), 1, atol=1e-12)
    assert np.allclose(mean, x.mean(axes).reshape(mean.shape)) and np.allclose(var, x.var(axes).reshape(var.shape))
