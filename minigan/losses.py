"""GAN losses as a table of logit losses: which kind and target D's real, D's fake and G's fake outputs get.

L_D = mean loss(D(x), real) + mean loss(D(G(z)), fake)          L_G = mean loss(D(G(z)), generator)

or, on pairs of a real and a generated sample, what their difference gets:

L_D = mean loss(D(x) - D(G(z)), critic)                         L_G = mean loss(D(G(z)) - D(x), generator)

Feature matching (arXiv:1606.03498) reads inside D, where f is what one of its layers gives: D's loss is a row's, and

L_G = || mean f(x) - mean f(G(z)) ||^2

The *softplus* or *logistic* losses of other programs stand here too, since bce on logits is a softplus: -log sigmoid(x)
is softplus(-x), and -log(1 - sigmoid(x)) is softplus(x). So `non-saturating` is L_D = softplus(-D(x)) +
softplus(D(G(z))), L_G = softplus(-D(G(z))), the logistic loss of StyleGAN (arXiv:1812.04948); `minimax` is its
saturating form, L_G = -softplus(D(G(z))); and `relativistic` has softplus on the difference.
"""

import importlib
from typing import Any, NamedTuple

from minigan.errors import ConfigError, nearest
from minigan.models.shapes import Array


class Term(NamedTuple):
    """A row of the oracle's LOGIT_LOSSES with its target."""

    kind: str
    target: float = 0.0


class Row(NamedTuple):
    """One GAN loss. `probability`: D's sigmoid is what D(x) means in a log; else its raw output is."""

    real: Term
    fake: Term
    generator: Term
    probability: bool

    @property
    def smooths(self) -> bool:
        """Whether loss.smoothing means anything: D's target for real samples is a probability."""
        return self.real.kind == "bce"


class Pairs(NamedTuple):
    """A GAN loss on pairs. Only differences count, so D's raw output means nothing by itself, and no probability."""

    critic: Term
    generator: Term
    probability: bool = False
    smooths: bool = False


class Features(NamedTuple):
    """A GAN loss by which G matches the mean of D's features, and D goes by the logit losses of a Row."""

    real: Term
    fake: Term
    probability: bool
    smooths: bool = True


LOSSES: dict[str, Row | Pairs | Features] = {
    # Goodfellow et al. 2014, arXiv:1406.2661: G minimises log(1 - D(G(z))), which saturates while D is sure
    "minimax": Row(Term("bce", 1), Term("bce", 0), Term("minimax"), True),
    # the same paper, section 3: G minimises -log D(G(z))
    "non-saturating": Row(Term("bce", 1), Term("bce", 0), Term("bce", 1), True),
    # Mao et al. 2017, arXiv:1611.04076, without its factor 1/2
    "least-squares": Row(Term("mse", 1), Term("mse", 0), Term("mse", 1), False),
    # Lim & Ye 2017, arXiv:1705.02894
    "hinge": Row(Term("hinge", 1), Term("hinge", -1), Term("linear", -1), False),
    # Arjovsky et al. 2017, arXiv:1701.07875; needs train.weight_clip or another Lipschitz constraint
    "wasserstein": Row(Term("linear", -1), Term("linear", 1), Term("linear", -1), False),
    # Jolicoeur-Martineau 2018, arXiv:1807.00734; with penalty r1+r2 R3GAN's, arXiv:2501.05441: bce with target 1 is
    # softplus(-x), so each player wants its own sample's D above the other's
    "relativistic": Pairs(Term("bce", 1), Term("bce", 1)),
    # Salimans et al. 2016, arXiv:1606.03498, section 3.1; D's loss is the non-saturating GAN's
    "feature-matching": Features(Term("bce", 1), Term("bce", 0), True),
}


class Loss:
    """A row at work. `smoothing` s lowers bce's target of real samples from 1 to 1 - s (arXiv:1606.03498)."""

    pairs = features = False
    generator_term: Term

    def __init__(self, row: Row | Features, smoothing: float = 0.0):
        self.real = Term(row.real.kind, row.real.target - smoothing)
        self.fake, self.probability = row.fake, row.probability
        if isinstance(row, Row):
            self.generator_term = row.generator

    def critic(self, ops: Any, real: Array, fake: Array) -> tuple[Array, Array, Array]:
        """real, fake: D's outputs (N,1) -> loss (0-d), dreal, dfake."""
        loss_real, dreal = ops.logit_loss(real, *self.real)
        loss_fake, dfake = ops.logit_loss(fake, *self.fake)
        return ops.axpby(1.0, loss_real, 1.0, loss_fake), dreal, dfake

    def generator(self, ops: Any, fake: Array) -> tuple[Array, Array]:
        """fake: D's outputs (N,1) on generated samples -> loss (0-d), dfake."""
        loss, dfake = ops.logit_loss(fake, *self.generator_term)
        return loss, dfake


class PairLoss:
    """A row of pairs at work: sample n of the real batch is held against sample n of the generated one."""

    pairs, features = True, False

    def __init__(self, row: Pairs):
        self.critic_term, self.generator_term, self.probability = row.critic, row.generator, row.probability

    def critic(self, ops: Any, real: Array, fake: Array) -> tuple[Array, Array, Array]:
        """real, fake: D's outputs (N,1) -> loss (0-d), dreal, dfake."""
        loss, dreal = ops.logit_loss(ops.axpby(1.0, real, -1.0, fake), *self.critic_term)
        return loss, dreal, ops.scale(dreal, -1.0)

    def generator(self, ops: Any, fake: Array, real: Array) -> tuple[Array, Array]:
        """fake, real: D's outputs (N,1) -> loss (0-d), dfake. D(x) does not depend on G, so there is no dreal."""
        loss, dfake = ops.logit_loss(ops.axpby(1.0, fake, -1.0, real), *self.generator_term)
        return loss, dfake


class FeatureLoss(Loss):
    """A row of features at work: both arguments of `generator` are what a layer of D gives, not D's outputs."""

    pairs = features = True

    def generator(self, ops: Any, fake: Array, real: Array) -> tuple[Array, Array]:  # type: ignore[override]
        """fake, real: features (N,...) of generated and of real samples -> loss (0-d), dfake.

        d = mean f(G(z)) - mean f(x)      loss = ||d||^2      dfake[n] = 2 d / N
        A mean over samples is a linear op whose x is one row of 1/N and whose w are the features; so is its gradient.
        """
        N = fake.shape[0]
        share = ops.zeros((1, N), fake.dtype)
        ops.copyto(share, 1 / N)
        d = ops.linear(share, ops.axpby(1.0, fake, -1.0, real).reshape(N, -1), None, None)
        dfake = ops.zeros((N, d.shape[1]), fake.dtype)
        ops.linear_wgrad(ops.scale(d, 2.0), share, dfake, None)
        return ops.sum_squares(d), dfake.reshape(fake.shape)


def make_loss(name: str, smoothing: float = 0.0) -> Any:
    """A loss by its name in LOSSES, or the user's own as "module:function".

    The function is called with `smoothing` and gives an object like Loss: critic(ops, real, fake) -> loss, dreal,
    dfake; generator(ops, fake) -> loss, dfake; probability, whether D's sigmoid is what a log shows. If it has a true
    `pairs`, G's step also runs D on the real batch, and calls generator(ops, fake, real); with a true `features` both
    are what D's layer loss.layer gives.
    """
    if ":" not in name:
        if name not in LOSSES:
            raise ConfigError(f"loss.name {name!r} is unknown; {nearest(name, LOSSES)}, or module:function")
        row = LOSSES[name]
        if smoothing and not row.smooths:
            raise ConfigError(
                f"loss.smoothing {smoothing} is for losses on probabilities, not for {name}; leave it out"
            )
        if isinstance(row, Pairs):
            return PairLoss(row)
        return Loss(row, smoothing) if isinstance(row, Row) else FeatureLoss(row, smoothing)
    loss = called(name, smoothing)
    missing = [word for word in ("critic", "generator", "probability") if not hasattr(loss, word)]
    if missing:
        raise ConfigError(
            f"loss.name {name!r} made a {type(loss).__name__} without {', '.join(missing)}; see losses.Loss"
        )
    return loss


def make_plain_loss(name: str, smoothing: float, task: str) -> Any:
    """`make_loss`, for a task whose step reads D's output alone. Raises ConfigError on a loss that reads inside D."""
    loss = make_loss(name, smoothing)
    if getattr(loss, "features", False):
        raise ConfigError(
            f"loss.name {name} matches features inside D, which task.name {task} does not read; give another, as "
            "least-squares"
        )
    return loss


def plugin(name: str) -> Any:
    """The object "module:attribute" names. Raises ConfigError when there is none."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as e:  # whatever the user's module raises while it is imported
        raise ConfigError(
            f"{name!r} cannot be imported ({type(e).__name__}: {e}); give module:function, its folder on PYTHONPATH"
        ) from e


def called(name: str, *args: Any) -> Any:
    """What the user's "module:function" makes of `args`. Raises ConfigError when it does not take them."""
    try:
        return plugin(name)(*args)
    except TypeError as e:
        raise ConfigError(f"{name!r} cannot be called with {len(args)} arguments ({e}); see the docs of its key") from e
