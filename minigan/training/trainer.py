"""One run: build, loop, save, resume, report. The trainer knows a task's protocol and nothing of what it trains."""

import dataclasses
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minigan import config as configs
from minigan.backends.checked import Breach
from minigan.backends.proxies import Finite, NotFinite
from minigan.config import Config
from minigan.errors import CheckpointError, ConfigError
from minigan.tasks import Task
from minigan.training import checkpoint, environment, pictures, transfer
from minigan.training.atomic import TEMPORARY, atomic_text, fsync_folder, reported
from minigan.training.cautions import cautions
from minigan.training.evaluations import Evaluations, Judging
from minigan.training.layer_log import LayerLog
from minigan.training.log import RunLog
from minigan.training.parts import POINTS, Parts, prepare
from minigan.training.reporter import Reporter, Silent
from minigan.training.signals import signals
from minigan.training.verdicts import in_short
from minigan.training.verify import Verification

CONFIG = "config.toml"
GRIDS = "samples"
GRID_IMAGES = 64
FINAL_IMAGES = 100

MakeJudge = Callable[[Parts], Judging]  # called when all else is known to be right, before anything is written


def train(
    config: Config,
    out: Path,
    resume: bool = False,
    reporter: Reporter | None = None,
    verify: int = 0,
    judging: MakeJudge | None = None,
) -> tuple[Path, bool]:
    """Trains into the folder `out` and returns it, and whether the run reached its end (False: interrupted).

    With `resume` the run in `out` goes on from its newest checkpoint, bit for bit as if it had never stopped; `config`
    may then differ in totals alone. With `verify` the first step's ops and every so many steps' after it are checked on
    the oracle, which changes no bit. `judging` makes the judge that evaluate.every asks for.

    Raises ConfigError, DataError, BackendError, CheckpointError before anything is written, NotFinite when a loss or
    gradient is, and Breach when an op is further from the oracle than it may be.
    """
    return Trainer(config, out, resume, reporter or Silent(), verify, judging).run()


class Trainer:
    """The loop and what surrounds it."""

    def __init__(
        self,
        config: Config,
        out: Path,
        resume: bool,
        reporter: Reporter,
        verify: int = 0,
        judging: MakeJudge | None = None,
    ):
        self.out, self.reporter = out, reporter
        _refuse(out, resume)
        self.parts = prepare(config, resume)
        config, self.task = self.parts.config, self.parts.task
        if self.task.lacks:
            raise ConfigError(self.task.lacks)
        self.config = config
        self.resume, self.saved = resume, self._saved() if resume else None
        self.environment = environment.of(self.parts.ops)
        self.first, self.elapsed = 0, 0.0
        reporter.note(self.parts.backend_note)
        if self.saved:
            self._restore(self.saved)
        self.begun = self.saved.meta.get("begun") if self.saved else self._begin()
        self.verification = Verification(verify, self.parts.ops, self.task, self.first)
        judge = judging(self.parts) if judging and config.evaluate.every else None
        self.evaluations = Evaluations(config.evaluate, judge, self.saved.meta.get("best") if self.saved else None)
        for text in cautions(config, self.parts.total_steps, self.task):
            reporter.note(text)

    def run(self) -> tuple[Path, bool]:
        """Steps until the total, a limit, or a signal; then saves and draws."""
        with self._locked():
            self._create()
            return self.out, self._loop()

    def _loop(self) -> bool:
        total = self.parts.total_steps
        step, done = self.first, True
        stream = self.parts.batches.stream(self.first * self.task.batches_per_step)
        self.began = time.perf_counter()
        self.mark = (self.began, step)
        if self.begun and not self.saved:
            self._save(step)  # from here on a resume needs no source
        # overflow is the guard's to report, once and by name
        with signals() as caught, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self.reporter.opened(self.parts, self.log.lines, self._plots())
            self.reporter.start(self.first, total, self.task.words)
            try:
                while step < total:
                    self._step(stream, step)
                    step += 1
                    self.reporter.step(step)
                    if caught:
                        done = step >= total
                        break
                    if self._enough(step):
                        break
                if self.task.late and step > self.first:
                    self._stop_if_bad(step - 1)
                self._save(step)
                self._plot()
                if done:
                    self._finish()
            finally:
                stream.close()  # type: ignore[attr-defined]
                self.reporter.stop()
                for text in self.verification.report():
                    self.reporter.note(text)
        return done

    def _step(self, stream: Iterator[Any], step: int) -> None:
        c = self.config.train
        batches, labels = self.parts.given([next(stream) for _ in range(self.task.batches_per_step)])
        log = (step + 1) % c.log_every == 0
        try:
            with self.verification.of(step), self.layers.of(log):
                record = self.task.step(batches, step, labels)
        except Breach as e:
            raise Breach(f"stopped at step {step + 1}: {e}; nothing of this step was kept; {self._kept()}") from e
        before, after = self._epochs(step), self._epochs(step + 1)
        grid = after > before and after % c.grid_every == 0
        save = (step + 1) % c.checkpoint_every == 0 and step + 1 < self.parts.total_steps
        if log or grid or save or not self.task.late:
            self._stop_if_bad(step)
        measured = self._evaluate(step + 1) if self.evaluations.due(step + 1) else {}
        save |= bool(measured) and self.evaluations.is_best(step + 1) and step + 1 < self.parts.total_steps
        if log:
            self._log(step + 1, record, measured)
            self.layers.append(step + 1)
        if grid:
            self._draw("grid", GRID_IMAGES, self.out / GRIDS / f"epoch-{after:04d}.png")
            self._plot()
        if save:
            self._save(step + 1)

    def _epochs(self, step: int) -> int:
        return step * self.task.batches_per_step // self.parts.batches.per_epoch

    def _evaluate(self, step: int) -> dict[str, float]:
        began = time.perf_counter()
        found = self.evaluations.take(self.task, step)
        self.mark = self.mark[0] + time.perf_counter() - began, self.mark[1]  # it is no part of the training's speed
        self.reporter.note(self.evaluations.said(found, step))
        return found

    def _log(self, step: int, record: dict[str, Any], measured: dict[str, float]) -> None:
        now = time.perf_counter()
        images = (step - self.mark[1]) * self.task.batches_per_step * self.config.train.batch_size
        values = {k: float(self.parts.ops.to_numpy(v)) for k, v in record.items()}
        line = {
            "step": step,
            "epoch": round(step * self.task.batches_per_step / self.parts.batches.per_epoch, 4),
            **self.task.line(values, step),
            **measured,
            "images_per_s": round(images / max(now - self.mark[0], 1e-9), 1),
            "elapsed_s": round(self.elapsed + now - self.began, 3),
        }
        self.mark = (now, step)
        self.log.append(line)
        self.reporter.line(line)

    def _plotted(self) -> Iterator[str]:
        return (key for keys in self.task.plots.values() for key in keys)

    def _enough(self, step: int) -> bool:
        """Whether wall time or lack of progress ends the run here."""
        c = self.config.train
        if c.max_seconds and self.elapsed + time.perf_counter() - self.began > c.max_seconds:
            self.reporter.note(f"stopped at step {step}: train.max_seconds = {c.max_seconds:g} is over")
            return True
        if self.evaluations.over(step):
            asked, best = self.config.evaluate, self.evaluations.best
            since = f"since step {best['step']}" if best else "at all"
            self.reporter.note(
                f"stopped at step {step}: {asked.best} did not get better {since}, for {asked.patience} evaluations "
                "(evaluate.patience)"
            )
            return True
        lines = self.log.lines[-2 * c.patience :]
        if not c.patience or step % c.log_every or len(lines) < 2 * c.patience:
            return False
        for key in self._plotted():
            older, newer = (sum(line[key] for line in part) for part in (lines[: c.patience], lines[c.patience :]))
            if abs(newer - older) / c.patience > c.min_change:
                return False
        self.reporter.note(f"stopped at step {step}: no mean moved by more than {c.min_change:g} (train.patience)")
        return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process a run: the lock goes with the process, however it ends."""
        with reported("created", self.out):
            self.out.mkdir(parents=True, exist_ok=True)
            fsync_folder(self.out.parent)
            lock = os.open(self.out, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._check_unchanged()
            yield
        except BlockingIOError as e:
            raise CheckpointError(f"{self.out} is being trained by another process; wait for it or stop it") from e
        finally:
            os.close(lock)

    def _check_unchanged(self) -> None:
        """Another process may have trained here since this one looked."""
        _refuse(self.out, self.resume)
        if self.resume and checkpoint.newest(self.out / checkpoint.FOLDER) != (self.saved and self.saved.path):
            raise CheckpointError(f"{self.out} was trained by another process meanwhile; start again")

    def _save(self, step: int) -> None:
        meta = {
            "config": self.config.to_dict(),
            "shape": list(self.parts.dataset.shape),
            "classes": len(self.parts.dataset.classes),
            "class_names": list(self.parts.dataset.classes),
            "picture_range": self.parts.picture_range,
            "rate": self.parts.dataset.rate,
            "data": {"name": self.parts.dataset.name, "fingerprint": self.parts.dataset.fingerprint},
            "counters": self.task.counters(),
            "elapsed_s": self.elapsed + time.perf_counter() - self.began,
            "environment": self.environment,
            **({"begun": self.begun} if self.begun else {}),
            **({"best": self.evaluations.best} if self.evaluations.best else {}),
        }
        tensors = {name: self.parts.ops.to_numpy(a) for name, a in self.task.tensors().items()}
        for name, value in tensors.items():
            if not np.isfinite(value).all():
                raise NotFinite(f"stopped at step {step}: {name} is not finite; {self._advice()}")
        best = self.evaluations.best["step"] if self.evaluations.best else -1
        checkpoint.save(self.out / checkpoint.FOLDER, step, tensors, meta, self.config.train.keep, best)

    def _draw(self, stream: str, n: int, path: Path) -> None:
        points = self.parts.dataset.shape == (2,)
        real = self.parts.real_rows(POINTS if points else n)
        x = self.task.picture(stream, POINTS if points else n, real)
        if x is not None:
            picture = pictures.samples(x, self.parts.picture_range, real if points else None, self.task.columns)
            pictures.save(picture, path)

    def _plot(self) -> None:
        if self.log.lines:
            pictures.save(pictures.curves(self.log.lines, self._plots()), self.out / "losses.png")

    def _plots(self) -> dict[str, dict[str, str]]:
        return self.task.plots | self.evaluations.plots

    def _finish(self) -> None:
        self._draw("sample", FINAL_IMAGES, self.out / "samples.png")
        if said := in_short(self.config, self.log.lines):
            self.reporter.note(said)

    def _stop_if_bad(self, step: int) -> None:
        """Raises NotFinite when a number of `step`, or of one before it that was not looked at, was not finite."""
        if not self.task.bad():
            return
        step = self.task.failed_step(step)
        n = self.task.batches_per_step
        batches, labels = self.parts.given([self.parts.batches.at(step * n + k) for k in range(n)])
        try:
            self.task.replay(batches, step, Finite(self.parts.ops), labels)
            where = "it did not come again when the step was repeated"
        except NotFinite as e:
            where = str(e)
        raise NotFinite(f"stopped at step {step + 1}: {where}; weights were not touched by it; {self._advice()}")

    def _advice(self) -> str:
        names = sorted(self.task.optimizers, reverse=True)
        rates, clips = (" and ".join(f"{name}.{key}" for name in names) for key in ("lr", "clip_norm"))
        return f"{self._kept()}; lower {rates} or give {clips}"

    def _kept(self) -> str:
        newest = checkpoint.newest(self.out / checkpoint.FOLDER)
        return f"the last checkpoint is {newest}" if newest else "no checkpoint had been saved yet"

    def _saved(self) -> checkpoint.Checkpoint | None:
        """The newest checkpoint to go on from, None when the run was killed before its first."""
        different = configs.changed(recorded(self.out), self.config)
        if different:
            raise ConfigError(f"--resume cannot change {', '.join(different)}; give a new --out for another run")
        newest = checkpoint.newest(self.out / checkpoint.FOLDER)
        return checkpoint.load(newest) if newest else None

    def _begin(self) -> dict[str, Any] | None:
        """First values from where train.init_from says; what was taken, as the run's checkpoints record it."""
        source = self.config.train.init_from
        if self.resume and source:
            raise CheckpointError(
                f"{self.out} was to begin from {source} and ended before its first checkpoint; start it again, "
                "by --init-from in another folder"
            )
        begun = transfer.begin(self.task, source)
        for text in begun.notes() if begun else ():
            self.reporter.note(text)
        return dataclasses.asdict(begun) if begun else None

    def _restore(self, saved: checkpoint.Checkpoint) -> None:
        check_own(saved.path, saved.meta, self.out, self.parts)
        restore(self.task, saved)
        total = self.parts.total_steps
        if saved.step > total:
            raise ConfigError(
                f"{self.out} is at step {saved.step} already, past {total}; --steps and --epochs are totals"
            )
        self.first, self.elapsed = saved.step, saved.meta["elapsed_s"]
        self.reporter.note(f"going on from {saved.path.name}")
        for text in environment.differences(saved.meta["environment"], self.environment):
            self.reporter.note(f"not as before, so bits may differ: {text}")

    def _create(self) -> None:
        """config.toml comes first: a folder that holds it is a run, whenever the process is killed."""
        atomic_text(self.out / CONFIG, self.config.to_toml())
        for folder in (self.out / checkpoint.FOLDER, self.out / GRIDS):
            with reported("created", folder):
                folder.mkdir(exist_ok=True)
                fsync_folder(self.out)
            checkpoint.clean(folder)
        checkpoint.clean(self.out)
        self.log = RunLog(self.out, self.first, [*self._plotted()])
        self.layers = LayerLog(self.out, self.first, self.task)


def drawn_from(config: Config) -> str:
    """The net that samples are drawn from: the moving average of G when there is one."""
    return "ema" if config.train.ema else "g"


def recorded(out: Path) -> Config:
    """The configuration of the run in `out`. Raises CheckpointError when it is not a run folder."""
    path = out / CONFIG
    if not path.is_file():
        checkpoint.resolve(out)  # says what is wrong with the folder
    with reported("read", path):
        data = path.read_bytes()
    try:
        return configs.from_toml(data.decode("utf-8"), str(path))
    except UnicodeDecodeError as e:
        raise CheckpointError(
            f"{path}: is not UTF-8 text ({e.reason} at byte {e.start}); put the run's own back"
        ) from e


def check_own(path: Path, meta: dict[str, Any], out: Path, parts: Parts) -> None:
    """Raises CheckpointError when a checkpoint is not of the run in `out`, or was trained on other data than there is
    now."""
    different = configs.changed(configs.from_dict(meta["config"], str(path)), parts.config)
    if different:
        raise CheckpointError(
            f"{path} is of another configuration than {out / CONFIG}: {', '.join(different)} differ; "
            "put the run's own checkpoint there"
        )
    fingerprint = meta["data"]["fingerprint"]
    if fingerprint != parts.dataset.fingerprint:
        raise CheckpointError(
            f"{path} was trained on other data than {parts.dataset.name} now holds "
            f"(fingerprint {fingerprint[:12]} against {parts.dataset.fingerprint[:12]}); give --data PATH"
        )


def unlike(run: Config, given: Config) -> list[str]:
    """The keys in which a run's configuration differs from one given again; "auto" stands for what the run took, and
    so does no train.init_from."""
    train = given.train
    backend = run.train.backend if train.backend == "auto" else train.backend
    given = dataclasses.replace(
        given, train=dataclasses.replace(train, backend=backend, init_from=train.init_from or run.train.init_from)
    )
    return configs.changed(run, given)


def restore(task: Task, saved: checkpoint.Checkpoint) -> None:
    """Puts a checkpoint into a task. Raises CheckpointError when it is of another architecture."""
    own = {name: tuple(a.shape) for name, a in task.tensors().items()}
    given = {name: tuple(a.shape) for name, a in saved.tensors.items()}
    for name in sorted({*own, *given}):
        if own.get(name) != given.get(name):
            raise CheckpointError(
                f"{saved.path} is of another architecture: {name} has shape {given.get(name, 'none')}, "
                f"the configured network has {own.get(name, 'none')}; give a checkpoint of this network"
            )
    task.restore(saved.tensors, saved.meta["counters"])


def fresh_folder(parent: Path, name: str) -> Path:
    """parent/name-001, or the first number that is free."""
    taken = {p.name for p in parent.iterdir()} if parent.is_dir() else set()
    return parent / next(f"{name}-{k:03d}" for k in range(1, len(taken) + 2) if f"{name}-{k:03d}" not in taken)


def _refuse(out: Path, resume: bool) -> None:
    if resume:
        return
    with reported("looked at", out):
        if (out / CONFIG).exists():
            raise CheckpointError(f"{out} holds a run already; go on with it by --resume, or give another --out")
        if out.exists() and (not out.is_dir() or any(not TEMPORARY.fullmatch(p.name) for p in out.iterdir())):
            raise CheckpointError(f"{out} exists and is not an empty folder; give another --out")
