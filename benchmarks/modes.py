"""Which cures of mode collapse find all modes?   python -m benchmarks.modes ring8   and   ... grid25

Every row of ROWS is trained with SEEDS seeds under one protocol, COMMON; a row adds what its cure needs and nothing
else. 2,500 samples of a run's last weights are counted by metrics/modes.py. A row's number is the mean over seeds and
the standard deviation between them. The samples of seed 0 are drawn into docs/modes-NAME.png; `benchmarks.table` puts
the table of the result into docs/modes.md.
"""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

import minigan
from benchmarks import command, minigan_nets
from minigan import config as configs
from minigan.data import toys
from minigan.metrics.modes import modes
from minigan.training import pictures

SAMPLES = 2_500
SEEDS = 5
ACROSS = 4  # plots beside each other
PICTURES = command.RESULTS.parents[1] / "docs"

STEPS = 12_000
COMMON = (
    "model.family=mlp", "model.z=2", "model.widths_g=[64, 64, 64]", "model.widths_d=[64, 64, 64]", "model.act_g=relu",
    "model.act_d=relu", "model.output=none", "model.init=glorot_uniform", "loss.name=non-saturating",
    "g.lr=1e-3", "g.beta1=0.5", "g.beta2=0.999", "g.schedule=linear", f"g.horizon={STEPS}",
    "d.lr=1e-3", "d.beta1=0.5", "d.beta2=0.999", "d.schedule=linear", f"d.horizon={STEPS}",
    "train.batch_size=128", f"train.steps={STEPS}", f"train.checkpoint_every={STEPS}", f"train.grid_every={STEPS}",
)  # fmt: skip

ROWS: dict[str, tuple[str, ...]] = {
    "GAN": (),
    "packing 2": ("model.packing=2",),
    "R1": ("penalty.name=r1", "penalty.weight=0.1"),
    "WGAN-GP": ("loss.name=wasserstein", "penalty.name=wgan-gp", "penalty.weight=1", "train.n_critic=3"),
}

# modes found in Lin et al. 2018, arXiv:1712.04086, table 1, by its own protocol: docs/modes.md
PUBLISHED = {"ring8": {"GAN": 6.3, "packing 2": 7.9}, "grid25": {"GAN": 17.3, "packing 2": 23.8}}


def config(data: str, row: str, seed: int, *overrides: str) -> configs.Config:
    """A run of the table."""
    return configs.from_dict({"data": {"name": data}}, row, [*COMMON, *ROWS[row], f"train.seed={seed}", *overrides])


def trained(data: str, row: str, seed: int, *overrides: str) -> tuple[dict[str, Any], NDArray[Any]]:
    """One run -> what was counted, and the samples (2500, 2)."""
    with tempfile.TemporaryDirectory() as folder:
        run = minigan.train(config(data, row, seed, *overrides), Path(folder) / "run")
    x = run.sample(SAMPLES)
    found = modes(x, toys.centres(data), toys.STD[data])
    return {"name": row, "seed": seed, **found._asdict()}, x


def picture(drawn: dict[str, NDArray[Any]], centres: NDArray[np.float64]) -> Image.Image:
    """{row: samples (N,2)} -> a plot for each row, ACROSS beside each other, the centres as grey crosses below."""
    limit, lines = 1.25 * np.abs(centres).max(), -(-len(drawn) // ACROSS)
    figure = Figure(figsize=(2.0 * ACROSS, 2.2 * lines), dpi=90, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for k, (row, x) in enumerate(drawn.items(), 1):
        axes = figure.add_subplot(lines, ACROSS, k)
        axes.scatter(*centres.T, s=20, marker="x", color="0.6", linewidth=0.7)
        axes.scatter(*x.T, s=0.6, color="tab:red")
        axes.set(aspect="equal", xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[], title=row)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()).quantize(32)


def modes_table(
    data: Annotated[str, typer.Argument(metavar="NAME", help="ring8 or grid25.")],
    backend: command.Backend = "auto",
    only: command.Only = "",
    out: command.Out = None,
) -> None:
    """Trains every row with every seed, and counts the modes that it found."""
    toys.centres(data)  # refuses another name
    rows = [row for row in ROWS if only in row]
    command.check(rows, only)
    result = command.machine(f"modes {data}", command.threads_or_all(0), seeds=SEEDS)
    result["minigan"] = minigan_nets.about({"backend": backend})
    result |= {"samples": SAMPLES, "common": COMMON, "cures": {row: ROWS[row] for row in rows}}
    result |= {"modes": len(toys.centres(data)), "published": PUBLISHED[data]}
    drawn, found = {}, []
    with command.bar(len(rows) * SEEDS) as show:
        for row in rows:
            for seed in range(SEEDS):
                show(description=f"{row}, seed {seed}")
                one, x = trained(data, row, seed, f"train.backend={backend}")
                drawn.setdefault(row, x)
                found.append(one)
                show(advance=1)
    result["rows"] = found
    pictures.save(picture(drawn, toys.centres(data)), PICTURES / f"modes-{data}.png")
    command.finish(result, out)


if __name__ == "__main__":
    command.main(modes_table)
