"""What each metric refuses, and that it says what was given and expected."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigan.metrics import classes, frechet, kid, manifold, nearest, score, ssim, transfer, two_sample

PAIRS: dict[str, Callable[..., Any]] = {
    "frechet": frechet.frechet,
    "with_interval": frechet.with_interval,
    "frechet_infinity": frechet.frechet_infinity,
    "kid": lambda real, fake: kid.kid(real, fake, 2, 2),
    "precision_recall": manifold.precision_recall,
    "density_coverage": manifold.density_coverage,
    "classifier_two_sample": two_sample.classifier_two_sample,
    "one_nearest": manifold.one_nearest,
    "nearest_training": lambda real, fake: nearest.nearest_training(fake, real),
    "memorisation": lambda real, fake: nearest.memorisation(fake, real, real),
}
GOOD = np.random.default_rng(0).standard_normal((30, 3))
HOLED = np.where(np.arange(30)[:, None] == 4, np.nan, GOOD)


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_of_feature_sets(name: str) -> None:
    measure = PAIRS[name]
    with pytest.raises(ValueError, match=r"shape \(30,\), expected \(N,F\)"):
        measure(GOOD, GOOD[:, 0])
    with pytest.raises(ValueError, match=r"shape \(30, 0\), expected \(N,F\)"):
        measure(GOOD[:, :0], GOOD[:, :0])
    with pytest.raises(ValueError, match=r"has 0 rows, expected at least \d+; draw more"):
        measure(GOOD, GOOD[:0])
    with pytest.raises(ValueError, match=r"has 3 numbers that are not finite"):
        measure(GOOD, HOLED)
    with pytest.raises(ValueError, match=r"has 3 numbers that are not finite"):
        measure(HOLED, GOOD)
    with pytest.raises(ValueError, match=r"expected equally many features"):
        measure(GOOD, GOOD[:, :2])


LABELS = np.arange(30) % 3
PICTURES = np.zeros((4, 8, 8, 1))
SET = (GOOD, LABELS)
CALLS: dict[str, tuple[Callable[[], Any], str]] = {
    "covariance": (
        lambda: frechet.gaussian_frechet(GOOD[0], GOOD[:3], GOOD[1], GOOD[:2]),
        r"\(2, 3\); expected \(F,\)",
    ),
    "resamples": (lambda: frechet.with_interval(GOOD, GOOD, 1), "resamples = 1"),
    "few to extrapolate": (lambda: frechet.frechet_infinity(GOOD, GOOD[:19]), "19 rows, expected at least 20"),
    "subset size": (lambda: kid.kid(GOOD, GOOD[:20], 5, 21), "size 21 of 30 real and 20 fake.*2..20 rows"),
    "no subsets": (lambda: kid.kid(GOOD, GOOD, 0, 5), "0 subsets"),
    "subsets of one": (lambda: kid.kid(GOOD, GOOD, 5, 1), "size 1 "),
    "splits": (lambda: score.classifier_score(np.full((30, 2), 0.5), 0), "splits = 0"),
    "fewer than splits": (lambda: score.classifier_score(np.full((5, 2), 0.5)), "5 rows, expected at least 10"),
    "logits": (lambda: score.classifier_score(GOOD), "pass a softmax, not logits"),
    "half": (lambda: score.classifier_score(np.full((30, 2), 0.25)), "each row sum to 1"),
    "k of 0": (lambda: manifold.precision_recall(GOOD, GOOD, 0), "k = 0"),
    "k as many": (lambda: manifold.density_coverage(GOOD, GOOD[:5], 5), "5 rows, expected at least 6"),
    "unequal": (lambda: manifold.one_nearest(GOOD, GOOD[:20]), "30 real and 20 fake rows: expected equally many"),
    "few to learn from": (lambda: two_sample.classifier_two_sample(GOOD, GOOD[:19]), "19 rows, expected at least 20"),
    "labels as floats": (lambda: classes.class_shares(GOOD[0], LABELS, 3), r"float64, expected \(3,\) of whole"),
    "label too large": (lambda: classes.class_shares(LABELS, LABELS, 2), r"samples: 30 labels, expected .* 0..1"),
    "label below 0": (lambda: classes.class_shares(LABELS, LABELS - 1, 3), r"reference: 30 labels, .* in 0..2"),
    "no labels": (lambda: classes.class_shares(LABELS[:0], LABELS, 3), "0 labels, expected at least one"),
    "shares": (lambda: classes.class_shares(LABELS, np.array([0.5, 0.5, 0.5]), 3), "sum 1.5, expected"),
    "too few shares": (lambda: classes.class_shares(LABELS, np.array([0.5, 0.5]), 3), r"shape \(2,\).*shares \(3,\)"),
    "least": (lambda: classes.class_shares(LABELS, LABELS, 3, least=2), "least = 2"),
    "no pictures": (lambda: ssim.diversity(GOOD), r"images has shape \(30, 3\), expected \(N,H,W,C\)"),
    "out of range": (lambda: ssim.ssim(PICTURES - 1, PICTURES), r"x lies in -1..-1, expected 0..1"),
    "two sizes": (lambda: ssim.ms_ssim(PICTURES, PICTURES[:, 1:]), "pairs of one shape"),
    "no pairs": (lambda: ssim.diversity(PICTURES, 0), "pairs = 0"),
    "each its own class": (lambda: ssim.diversity(PICTURES, labels=np.arange(4)), "4 images have no two of one class"),
    "labels of others": (lambda: ssim.diversity(PICTURES, labels=LABELS), r"shape \(30,\).*expected \(4,\)"),
    "no neighbours": (lambda: nearest.nearest_training(GOOD, GOOD, 0), "k = 0"),
    "more than there are": (lambda: nearest.nearest_training(GOOD, GOOD, 31), "30 rows, expected at least 31"),
    "few held out": (lambda: nearest.memorisation(GOOD, GOOD, GOOD[:19]), "held has 19 rows, expected at least 20"),
    "budget": (lambda: transfer.transfer(SET, SET, SET, budget=4), "budget = 4"),
    "unlabelled": (lambda: transfer.transfer(SET, SET, (GOOD, LABELS[:20])), r"fake's labels has shape \(20,\)"),
    "narrow": (lambda: transfer.transfer(SET, (GOOD[:, :2], LABELS), SET), r"held \(30, 2\): expected equally many"),
    "few": (lambda: transfer.transfer(SET, SET, (GOOD[:4], LABELS[:4])), "fake has 4 rows, expected at least 5"),
}


@pytest.mark.parametrize("name", CALLS)
def test_one_bad_argument(name: str) -> None:
    call, words = CALLS[name]
    with pytest.raises(ValueError, match=words):
        call()
