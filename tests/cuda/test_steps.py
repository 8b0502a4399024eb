"""Steps of tiny GANs on the simulated CUDA backend: near the oracle's, and the same bits recorded and called."""

from typing import Any

import gan_steps
import numpy as np
import pytest
from gan_steps import DCGAN, KINDS, TINY, assert_graph_is_eager, batches, make, run

from minigan.backends import oracle
from minigan.backends.planned import Planned
from minigan.backends.proxies import Finite, NotFinite

SHAPE = (4, 4, 1)
STEPS = 4  # a part of every second one is called, then recorded
KEPT = ("lazy penalty, shared batch",)  # has every kind of part; the others take too long for each day


@pytest.mark.parametrize("kind", [k if k in KEPT else pytest.param(k, marks=pytest.mark.slow) for k in KINDS])
def test_a_recorded_step_has_the_bits_of_a_called_one(kind: str, simulated: Any) -> None:
    assert_graph_is_eager(simulated, [*DCGAN, *TINY, *KINDS[kind]], STEPS, shape=SHAPE)


def test_a_plan_of_ones_own_is_recorded_too(simulated: Any) -> None:
    rows = {("conv2d", (3, 4, 4, 1), (3, 3, 1, 2), (2, 2)): "numba"}
    words = [*DCGAN, *TINY, *KINDS["one D step"]]
    planned, plain = (make(ops, words, SHAPE) for ops in (Planned(simulated, rows), simulated))
    assert type(planned.run).__name__ == "Graphs" and planned.late
    assert run(planned, 2) == run(plain, 2)


# stride 4, as in the preset, and a kernel of one row; batchnorm and dropout are DCGAN's above
WAVE = ("model.family=wave", "model.kernel=5", "model.widths_g=[3]", "model.widths_d=[3]", "model.strides_g=[4]")


@pytest.mark.parametrize(
    "words, shape",
    [
        pytest.param(KINDS["lazy penalty"], SHAPE, id="lazy penalty"),
        pytest.param(WAVE, (1, 8, 2), id="wave"),
        *(pytest.param(KINDS[k], SHAPE, id=k, marks=pytest.mark.slow) for k in ("one D step", "mlp")),
    ],
)
def test_three_steps_of_sgd_are_the_oracles(words: tuple[str, ...], shape: tuple[int, ...], simulated: Any) -> None:
    assert gan_steps.sgd_distance(simulated, oracle, [*DCGAN, *TINY, *words], shape=shape) <= 1e-5


def test_three_steps_of_adam_are_near_the_oracles(simulated: Any) -> None:
    assert gan_steps.adam_distance(simulated, oracle, [*DCGAN, *TINY], shape=SHAPE) <= 1e-3


def test_a_number_that_is_not_finite_is_found_late_and_named(simulated: Any) -> None:
    task = make(simulated, [*DCGAN, *TINY, "train.n_critic=1"], SHAPE)
    run(task, 2)
    bad = batches(task, 2)
    bad[0][1, 2, 2, 0] = np.nan
    before = gan_steps.bits(task)
    with np.errstate(all="ignore"):
        task.step(bad, 2)
        run(task, 1, 3)
    assert task.bad() and task.failed_step(3) == 2 and task.failed == 0
    with pytest.raises(NotFinite, match=r"^d\.0, forward: conv2d, input 0 is not finite$"):
        task.replay(bad, 2, Finite(simulated))
    after = gan_steps.bits(task)
    assert [name for name in before if before[name] != after[name] and not name.endswith((".mean", ".var"))] == []
