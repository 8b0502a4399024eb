"""An examination of classifiers as pictures: accuracy over levels, reliability, and what each model got wrong."""

import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from minigan.evaluate.evaluate_model import Answered, Examination
from minigan.evaluate.levels import AXES, LEVELS, NEUTRAL, NOISE, PLAIN
from minigan.training import pictures
from minigan.training.atomic import reported

PER_LEVEL = 10
_TILE, _ACROSS, _DOWN, _LEFT, _HEAD = 56, 72, 76, 110, 20  # pixels


def write(made: Examination, folder: Path) -> list[str]:
    """levels.png, reliability.png, and a failures-MODEL.png for each model that failed; returns their names."""
    with reported("created", folder):
        folder.mkdir(parents=True, exist_ok=True)
    drawn = {"levels.png": levels(made), "reliability.png": reliability(made)}
    for k, name in enumerate(made.names):
        if picture := failures(made, k):
            drawn[f"failures-{k + 1}-{re.sub(r'[^A-Za-z0-9]+', '-', Path(name).name).strip('-')}.png"] = picture
    for name, picture in drawn.items():
        pictures.save(picture, folder / name)
    return list(drawn)


def levels(made: Examination) -> Image.Image:
    """Accuracy over the levels of each axis, a curve a model; of real rows as noisy dashed; the judge in grey."""
    figure, rows = pictures.figure(5 * len(AXES), 4, columns=len(AXES), sharey=True)
    record = made.record["synthetic"]
    for axes, axis in zip(rows, AXES, strict=True):
        places = sorted([(NEUTRAL[axis], PLAIN), *((lvl.value, lvl) for lvl in LEVELS if lvl.axis == axis)])
        x = [value for value, _ in places]
        axes.plot(x, [record[lvl.name]["judge_agrees"] for _, lvl in places], color="0.7", linewidth=4, label="judge")
        for k, name in enumerate(made.names):
            axes.plot(x, [record[lvl.name]["accuracy"][k] for _, lvl in places], f"C{k}.-", label=name, linewidth=1)
            if axis == "noise":
                real = [made.record["real"][lvl.name]["accuracy"][k] for _, lvl in places]
                axes.plot(x, real, f"C{k}--", linewidth=1)
        axes.set(xlabel={"noise": "noise (dashed: real rows)"}.get(axis, axis))
        axes.grid(alpha=0.3)
    rows[0].set_ylabel("share of right answers")
    rows[0].legend(loc="best", fontsize="small")
    return pictures.drawn(figure)


def reliability(made: Examination) -> Image.Image:
    """Accuracy over confidence, a panel a model: real rows and samples as drawn; dots by how many rows a bin has."""
    columns = min(3, len(made.names))
    lines = -(-len(made.names) // columns)
    figure, panels = pictures.figure(4 * columns, 4 * lines, lines, columns, sharey=True)
    panels = np.ravel(panels)
    for k, (axes, name) in enumerate(zip(panels, made.names, strict=False)):
        axes.plot([0, 1], [0, 1], color="0.8", linewidth=1)
        for colour, label, record in (
            ("0.4", "real", made.record["real"]),
            ("tab:red", "samples", made.record["synthetic"]),
        ):
            numbers = record[PLAIN.name]
            bins = numbers["reliability"][k]
            having = [i for i, rows in enumerate(bins["rows"]) if rows]
            x, y, size = ([bins[key][i] for i in having] for key in ("confidence", "accuracy", "rows"))
            axes.plot(x, y, color=colour, linewidth=1, label=f"{label}: ECE {numbers['ece'][k]:.3f}")
            axes.scatter(x, y, s=[10 + 100 * rows / sum(size) for rows in size], color=colour)
        axes.set(title=name, xlabel="confidence", xlim=(0, 1.03), ylim=(-0.03, 1.3))  # room for the legend
        axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        axes.legend(loc="upper left", fontsize="small")
    for axes in panels[len(made.names) :]:
        axes.set_axis_off()
    for axes in panels[::columns]:
        axes.set_ylabel("share of right answers")
    return pictures.drawn(figure)


def failures(made: Examination, k: int) -> Image.Image | None:
    """A model's surest mistakes, a row a level: under each the class asked for, its answer, how sure. None without."""
    rows = [(f"real{'' if level == PLAIN else f', {level.name}'}", made.real[level]) for level in (PLAIN, *NOISE)]
    rows += [("samples" if level == PLAIN else level.name, made.synthetic[level]) for level in LEVELS]
    shown = [(name, answered, _surest(answered, k)) for name, answered in rows]
    shown = [row for row in shown if len(row[2])]
    if not shown:
        return None
    sheet = Image.new("RGB", (_LEFT + PER_LEVEL * _ACROSS, _HEAD + len(shown) * _DOWN), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((_LEFT, 3), f"{made.names[k]}: asked for > answered, how sure", "black")
    for j, (name, answered, wrong) in enumerate(shown):
        top = _HEAD + j * _DOWN
        pen.text((4, top + 16), f"{name}\n{1 - answered.right[k].mean():.1%} wrong", "black")
        for i, row in enumerate(wrong):
            tile, at = pictures.as_image(answered.rows.items[row]), _LEFT + i * _ACROSS
            factor = _TILE / max(tile.size)
            size = (round(factor * tile.width), round(factor * tile.height))
            sheet.paste(tile.resize(size, Image.Resampling.BICUBIC), (at, top))
            p = answered.probabilities[k, row]
            asked, answer = (made.classes[c][:5] for c in (answered.rows.labels[row], p.argmax()))
            pen.text((at, top + _TILE), f"{asked} > {answer}  {p.max():.0%}", "black")
    return sheet


def _surest(answered: Answered, k: int) -> np.ndarray:
    wrong = np.flatnonzero(~answered.right[k])
    return wrong[np.argsort(-answered.probabilities[k, wrong].max(axis=1), kind="stable")[:PER_LEVEL]]
