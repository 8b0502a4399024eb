"""The losses that papers write with softplus, softplus(x) = log(1 + e^x), are rows of the table."""

from collections.abc import Callable

import numpy as np
import pytest

from minigan.backends import oracle
from minigan.losses import LOSSES, Term, make_loss

F = Callable[[np.ndarray, np.ndarray], np.ndarray]


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


# name: L_D and L_G of D's outputs on a real and on a generated sample
SOFTPLUS: dict[str, tuple[F, F]] = {
    "minimax": (lambda r, f: softplus(-r) + softplus(f), lambda r, f: -softplus(f)),
    "non-saturating": (lambda r, f: softplus(-r) + softplus(f), lambda r, f: softplus(-f)),
    "relativistic": (lambda r, f: softplus(f - r), lambda r, f: softplus(r - f)),
}
# up to where 1 - sigmoid(x) is 0 in float64, and a log of it would be infinite
REAL = np.array([[0.0], [1.5], [-2.0], [60.0], [-60.0], [800.0]])
FAKE = np.array([[0.5], [-1.5], [2.0], [-60.0], [60.0], [-800.0]])


@pytest.mark.parametrize("name", SOFTPLUS)
def test_the_softplus_form_is_the_row(name: str) -> None:
    loss, (critic, generator) = make_loss(name), SOFTPLUS[name]
    found_d, found_g = loss.critic(oracle, REAL, FAKE)[0], generator_loss(loss)
    np.testing.assert_allclose(found_d, critic(REAL, FAKE).mean(), rtol=1e-14)
    np.testing.assert_allclose(found_g, generator(REAL, FAKE).mean(), rtol=1e-14)


def generator_loss(loss: object) -> np.ndarray:
    return loss.generator(oracle, FAKE, *([REAL] if loss.pairs else []))[0]  # type: ignore[attr-defined]


def test_every_loss_of_logits_is_held_against_its_softplus_form() -> None:
    """G's part of feature-matching is no loss of logits."""
    by_logits = {name: row for name, row in LOSSES.items() if hasattr(row, "generator")}
    kinds = {name: {term.kind for term in row if isinstance(term, Term)} for name, row in by_logits.items()}
    assert set(SOFTPLUS) == {name for name, kind in kinds.items() if kind & {"bce", "minimax"}}
