"""What a network is made of, layer by layer: shapes, parameters, work, memory, receptive field.

The work is that of one pass of a batch, counted by costs.py from the calls that the passes really make; dX and dW are
told apart by running backward without and with parameter gradients. What is saved for backward is measured: the arrays
that the forward pass' context holds, each counted once, where it was made or first saved. Copies that a backend makes
of them for itself (a convolution's spectra) come on top, and are not counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan import config as configs
from minigan.backends import costs
from minigan.backends.proxies import Timed
from minigan.config import Config
from minigan.errors import ConfigError, nearest
from minigan.models.net import Net
from minigan.models.shapes import Array, Shape
from minigan.models.trees import Heads, Residual, contexts, nodes
from minigan.study.fields import fields
from minigan.tasks import Task, make_task
from minigan.training import checkpoint, walk
from minigan.training.parts import prepare
from minigan.training.plans import open_backend

_PRODUCTS = {"linear", "conv2d", "conv2d_dgrad"}  # forward passes whose operations are multiply-adds


class Row(NamedTuple):
    """One layer, or a node that adds or joins branches, for a batch. `field` is (height, width), padding included, the
    whole image where a layer sees all of it, and None where the net's input is no image.
    """

    net: str
    layer: str
    kind: str
    shape: Shape
    dtype: str
    parameters: int
    share: float
    macs: int
    flops_forward: int
    flops_dx: int
    flops_dw: int
    activation_bytes: int
    saved_bytes: int
    field: tuple[int, int] | None


@dataclass(frozen=True)
class Subject:
    """What is looked at: a configuration and its task and, of a run, the checkpoint file with its step and tensors."""

    title: str
    config: Config
    task: Task
    path: Path | None = None


def open_subject(name: str) -> Subject:
    """A preset by its name or TOML file, a run folder or a checkpoint file, of which only the header is read.

    Raises ConfigError, CheckpointError, DataError.
    """
    given = Path(name)
    if name not in configs.presets() and given.suffix != ".toml" and not given.exists():
        raise ConfigError(f"{name!r} is no preset, run folder or checkpoint; {nearest(name, configs.presets())}")
    if name in configs.presets() or given.suffix == ".toml":
        parts = prepare(configs.load(name))
        return Subject(f"preset {name}, data {parts.config.data.name}", parts.config, parts.task)
    path = checkpoint.resolve(given)
    step, meta, tensors = checkpoint.read_header(path)
    config = configs.from_dict(meta["config"], str(path), ["train.backend=auto"])
    ops, _ = open_backend(config, recorded=True)
    task = make_task(config, ops, tuple(meta["shape"]), meta.get("classes", 0))
    numbers = sum(prod(shape) for _, shape in tensors.values())
    title = f"{path}: step {step:,}, {len(tensors)} tensors, {numbers:,} numbers, preset {config.preset}"
    return Subject(title, config, task, path)


def rows(task: Task) -> list[Row]:
    """Every layer of every net that learns."""
    return [row for key, (net, n) in walk.nets(task).items() for row in _net_rows(task, key, net, n)]


def _net_rows(task: Task, key: str, net: Net, n: int) -> Iterator[Row]:
    watch = Timed(task.ops)
    net.use(watch)
    y, ctx = net.forward(_drawn(task, (n, *net.in_shape)), "frozen", labels=task.ops.zeros((n,), np.int32))
    saved = dict(_saved(net, ctx))
    forward = _Work(watch)
    dy = tuple(map(_ones_like(task), y)) if isinstance(y, tuple) else _ones_like(task)(y)
    net.backward(dy, ctx, need_dw=False)
    backward = _Work(watch)
    net.zero_grad()
    watch.events.clear()
    net.backward(dy, ctx)
    full = _Work(watch)
    net.use(task.ops)
    seen, whole = fields(net), net.parameters
    held = {place.layer.name: place for place in walk.places(net, n)}
    for node in nodes(net.root):
        name = getattr(node, "name", "")
        place = held.get(name)
        if place is None and not full.flops(name):
            continue  # a chain, which only calls its nodes
        shape = node.trunk.out_shape if isinstance(node, Heads) else node.out_shape
        makes = place is not None or isinstance(node, Residual)
        yield Row(
            key,
            name,
            place.kind if place else type(node).__name__,
            (n, *shape),
            str(task.dtype),
            place.parameters if place else 0,
            place.parameters / whole if place and whole else 0.0,
            forward.flops(name, _PRODUCTS) // 2,
            forward.flops(name),
            backward.flops(name),
            full.flops(name) - backward.flops(name),
            n * prod(shape) * task.dtype.itemsize if makes else 0,
            saved.get(name, 0),
            _within(seen.get(name), net.in_shape),
        )


class _Work:
    """The calls that a proxy has seen so far, which begins anew with that: one proxy for all passes, because a context
    may hold an op of the forward pass' backend.
    """

    def __init__(self, watch: Timed):
        self.calls = dict(watch.calls)
        watch.events.clear()

    def flops(self, where: str, only: set[str] | None = None) -> int:
        """Operations of a layer's calls, or those to some ops."""
        found = ((op, calls) for (here, _, op, _), calls in self.calls.items() if here == where)
        return sum(
            len(calls.elapsed_s) * costs.flops(op, *calls.args) for op, calls in found if only is None or op in only
        )


def _drawn(task: Task, shape: Shape) -> Array:
    return task.ops.asarray(np.random.default_rng(0).standard_normal(shape).astype(task.dtype))


def _ones_like(task: Task) -> Any:
    return lambda y: task.ops.asarray(np.ones(tuple(y.shape), task.dtype))


def _within(field: tuple[float, float] | None, image: Shape) -> tuple[int, int] | None:
    """A field in whole pixels; what sees all sees the image."""
    return (
        None
        if field is None
        else (
            image[0] if field[0] == inf else int(field[0]),
            image[1] if field[1] == inf else int(field[1]),
        )
    )


def _saved(net: Net, ctx: Any) -> Iterator[tuple[str, int]]:
    """layer -> bytes of what its context holds and none before it did."""
    counted = {id(_owner(a)) for a in (net.p, net.dp, net.state, net.clock) if a is not None}
    for layer, saved in contexts(net.root, ctx):
        own = {id(a): a for a in map(_owner, _arrays(saved)) if id(a) not in counted}
        counted |= own.keys()
        yield layer.name, sum(a.nbytes for a in own.values())


def _arrays(saved: Any) -> Iterator[Array]:
    if isinstance(saved, tuple | list):
        for part in saved:
            yield from _arrays(part)
    elif hasattr(saved, "nbytes"):
        yield saved


def _owner(a: Array) -> Array:
    """The array whose memory a view shows."""
    while isinstance(a.base, type(a)):
        a = a.base
    return a
