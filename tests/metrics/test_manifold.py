"""metrics/manifold.py: sets on a line by hand, clouds by loops, and what equal distributions must give."""

import numpy as np
import pytest

from minigan.metrics.manifold import density_coverage, near, one_nearest, precision_recall, within

GRID = np.arange(10.0)[:, None]  # at k = 1 each ball's radius is 1, at k = 2 the two at the ends have 2


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


def test_balls_on_a_line() -> None:
    fake = column(0.5, 10.0, 11.0, -3.0)  # in the balls of 0 and 1; at the edge of 9's; outside; outside
    assert precision_recall(GRID, fake, k=1) == (2 / 4, 6 / 10)  # radii of the samples: 3.5, 1, 1, 3.5
    assert density_coverage(GRID, fake, k=1) == (3 / 4, 3 / 10)


def test_the_neighbour_counts() -> None:
    fake = column(-1.5, -2.5, 4.0)
    assert precision_recall(GRID, fake, k=1)[0] == 1 / 3
    assert precision_recall(GRID, fake, k=2)[0] == 2 / 3
    assert density_coverage(GRID, fake, k=2) == ((1 + 0 + 3) / (3 * 2), 4 / 10)


def balls(points: np.ndarray, k: int) -> list[tuple[np.ndarray, float]]:
    return [(p, sorted(np.linalg.norm(p - q) for q in points)[k]) for p in points]


@pytest.mark.parametrize("k", [1, 4])
def test_clouds_by_loops(k: int) -> None:
    rng = np.random.default_rng(k)
    real, fake = rng.standard_normal((20, 3)), rng.standard_normal((15, 3)) * 1.3 + 0.5
    inside = np.array([[np.linalg.norm(f - p) <= r for p, r in balls(real, k)] for f in fake])
    back = np.array([[np.linalg.norm(x - p) <= r for p, r in balls(fake, k)] for x in real])
    assert precision_recall(real, fake, k) == (inside.any(axis=1).mean(), back.any(axis=1).mean())
    assert density_coverage(real, fake, k) == (pytest.approx(inside.sum() / (k * 15)), inside.any(axis=0).mean())


@pytest.mark.parametrize(
    ("where", "dtype"), [(0.0, np.float32), (1e3, np.float32), (0.0, np.float64), (1e7, np.float64)]
)
def test_a_set_and_itself(where: float, dtype: type) -> None:
    """A ball holds its centre and the k neighbours, the k-th at its very edge; far from 0 too."""
    x = (np.random.default_rng(1).standard_normal((300, 20)) + where).astype(dtype)
    order = np.random.default_rng(2).permutation(300)
    assert precision_recall(x, x[order]) == (1, 1)
    assert density_coverage(x, x[order]) == (pytest.approx(6 / 5), 1)


def test_sets_apart() -> None:
    x = np.random.default_rng(1).standard_normal((50, 4))
    assert precision_recall(x, x + 100) == (0, 0)
    assert density_coverage(x, x + 100) == (0, 0)


def test_a_real_outlier_fools_precision_but_not_density_and_a_fake_one_fools_recall_but_not_coverage() -> None:
    rng = np.random.default_rng(3)
    real, fake = rng.standard_normal((200, 2)), rng.standard_normal((200, 2)) + 20
    real_outlier = np.concatenate([real, [[30.0, 30.0]]])
    assert precision_recall(real, fake).precision == 0
    assert precision_recall(real_outlier, fake).precision > 0.99
    assert density_coverage(real_outlier, fake).density <= 1 / 5
    fake_outlier = np.concatenate([fake, [[-30.0, -30.0]]])
    assert precision_recall(real, fake_outlier).recall > 0.99
    assert density_coverage(real, fake_outlier).coverage == 0


def test_equal_distributions() -> None:
    """The density's mean is 1. A real ball is missed when its k neighbours come before all samples, by nearness:

    coverage = 1 - (N-1)...(N-k) / (M+N-1)...(M+N-k)
    """
    rng, k, n, m = np.random.default_rng(4), 3, 60, 40
    found = np.array(
        [density_coverage(rng.standard_normal((n, 5)), rng.standard_normal((m, 5)), k) for _ in range(150)]
    )
    missed = np.prod([(n - i) / (m + n - i) for i in range(1, k + 1)])
    error = 3 * found.std(axis=0) / np.sqrt(len(found))
    assert abs(found[:, 0].mean() - 1) < error[0]
    assert abs(found[:, 1].mean() - (1 - missed)) < error[1]


def test_blocks_of_rows_make_one_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    real, fake = rng.standard_normal((50, 3)), rng.standard_normal((30, 3))
    whole = near(real, fake)
    monkeypatch.setattr("minigan.metrics.manifold._BLOCK", 7 * 30)
    assert near(real, fake) == whole
    assert near(real, fake, within_real=within(real)) == whole


def test_each_part_has_its_own_neighbour_count() -> None:
    rng = np.random.default_rng(6)
    real, fake = rng.standard_normal((40, 3)), rng.standard_normal((40, 3)) + 0.5
    found = near(real, fake, 2, 6)
    assert found == (precision_recall(real, fake, 2), density_coverage(real, fake, 6), one_nearest(real, fake))


def test_a_row_as_near_to_both_kinds_counts_half() -> None:
    """Twins at 0 in both sets are as near to their own as to the others; 5's nearest is 9, and 9's 5."""
    assert one_nearest(column(0, 0, 5), column(0, 0, 9)) == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_twins_are_at_0_from_each_other_wherever_they_lie() -> None:
    """Each row twice in both sets: as near to its own kind as to the other, exactly."""
    x = np.repeat(1e3 * np.random.default_rng(7).standard_normal((50, 20)) + 1e4, 2, axis=0)
    assert one_nearest(x, x) == (0.5, 0.5, 0.5)
