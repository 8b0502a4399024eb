"""Losses: (loss, dx), the mean over all elements and its gradient: csrc/loss.inl."""

from minigan.backends import checks
from minigan.backends.cpp.table import kernels, run
from minigan.models.shapes import Array


def logit_loss(x: Array, kind: str, target: float) -> tuple[Array, Array]:
    """x any shape, target a number -> loss (0-d), dx; the kinds are the oracle's."""
    return run(kernels.logit_loss, checks.logit_loss, x, kind, target)


def softmax_cross_entropy(x: Array, labels: Array) -> tuple[Array, Array]:
    """logits x (N,K), labels (N,) int32 in [0, K) -> loss (0-d), dx (N,K)."""
    return run(kernels.softmax_cross_entropy, checks.softmax_cross_entropy, x, labels)


def l1_loss(x: Array, target: Array) -> tuple[Array, Array]:
    """x, target same shape -> mean |x - target|, dx."""
    return run(kernels.l1_loss, checks.l1_loss, x, target)


def mse_loss(x: Array, target: Array) -> tuple[Array, Array]:
    """x, target same shape -> mean (x - target)^2, dx."""
    return run(kernels.mse_loss, checks.mse_loss, x, target)


def norm_loss(x: Array, kind: str) -> tuple[Array, Array, Array]:
    """x (N,...), r its samples' norms -> mean of (r - 1)^2 ("one") or r^2 / 2 ("zero"), dx, mean r."""
    return run(kernels.norm_loss, checks.norm_loss, x, kind)


def kl_gauss(mean: Array, logvar: Array) -> tuple[Array, Array, Array]:
    """mean, logvar (N,F) -> KL(N(mean, e^logvar) || N(0, 1)), summed over F, averaged over N; dmean, dlogvar."""
    return run(kernels.kl_gauss, checks.kl_gauss, mean, logvar)
