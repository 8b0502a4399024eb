"""What a step as a graph must keep, on host arrays.

The device is the backend's own twin (Host), and one whose streams fall behind as far as they may (Lazy). The ops are
the oracle's, queued like kernels, so that only the host's side is tested, and fast.
"""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import cuda_simulated
import cycles
import numpy as np
import pytest
from gan_steps import DCGAN, KINDS, SMALL, batches, bits, make, run

from minigan.backends import oracle
from minigan.backends.proxies import Finite
from minigan.errors import BackendError
from minigan.tasks.gan import GAN

for package in ("numba_cuda", "greenlet"):
    pytest.importorskip(package)
_cuda = cuda_simulated.load()
Host, Graphs, SLOTS, Slot = _cuda.device.Host, _cuda.graph.Graphs, _cuda.graph.SLOTS, _cuda.streams.Slot
SHAPE = (4, 4, 1)


class Mark:
    """An event: what `synchronize` and `place` wait for is the newest record at that time."""

    def __init__(self, device: "Lazy"):
        self.device, self.done = device, {"done": True}

    def record(self, queue: list[Callable[[], Any]]) -> None:
        self.done = {"done": False}
        queue.append(partial(self.done.update, done=True))

    def synchronize(self) -> None:
        self.device.waits += not self.done["done"]
        while not self.done["done"]:
            self.device.advance()


class Wait:
    """Holds its queue until a record of a mark is done."""

    def __init__(self, done: dict[str, bool]):
        self.done = done


class Lazy(Host):
    """Two queues that run when somebody waits, in an order that a seed decides, and by chance a little before."""

    def __init__(self, seed: int):
        super().__init__()
        self.random, self.queues, self.waits = random.Random(seed), ([], []), 0
        self.eager = self.random.choice([0.0, 0.3, 0.9])  # of the device, about the host

    def advance(self) -> None:
        """One entry of one of the queues that are not held."""
        open_ = [q for q in self.queues if q and not (isinstance(q[0], Wait) and not q[0].done["done"])]
        assert open_, "deadlock"
        entry = self.random.choice(open_).pop(0)
        if not isinstance(entry, Wait):
            with np.errstate(all="ignore"):
                entry()

    def _by_chance(self) -> None:
        while any(self.queues) and self.random.random() < self.eager:
            self.advance()

    def run(self, call: Callable[..., Any], *args: Any) -> None:
        if self.recording:
            super().run(call, *args)
        else:
            self.queues[0].append(partial(call, *args))
            self._by_chance()

    def slot(self, shape: Any, dtype: Any) -> Slot:
        pinned, staged = (np.full(shape, np.nan, dtype) for _ in range(2))
        return Slot(pinned, staged, Mark(self), Mark(self))

    def upload(self, slot: Slot) -> None:
        self.queues[1].append(partial(np.copyto, slot.staged, slot.pinned))
        slot.come.record(self.queues[1])
        self._by_chance()

    def place(self, slot: Slot, p: Any) -> None:
        self.queues[0].append(Wait(slot.come.done))
        self.queues[0].append(partial(np.copyto, p, slot.staged))
        slot.gone.record(self.queues[0])
        self._by_chance()

    def synchronize(self) -> None:
        super().synchronize()
        while any(self.queues):
            self.advance()

    def to_numpy(self, a: Any) -> Any:
        self.synchronize()
        return super().to_numpy(a)


class Queued:
    """The oracle's ops as a device's: each is queued, and writes into arrays that the device made."""

    NAME, LATE = "numpy", True

    def __init__(self, device: Any):
        self.device = device
        for name in ("empty", "zeros", "asarray", "to_numpy", "copyto", "synchronize"):
            setattr(self, name, getattr(device, name))

    def graphs(self, clock: Any) -> Graphs:
        return Graphs(self.device, clock)

    def __getattr__(self, name: str) -> Any:
        op = getattr(oracle, name)
        return op if name.startswith("prepare") else partial(self._queue, op)

    def _queue(self, op: Callable[..., Any], *args: Any) -> Any:
        with np.errstate(all="ignore"):  # on numbers that mean nothing yet, for the shapes; labels may not be any
            found = op(*(a * (a.dtype.kind == "f") if isinstance(a, np.ndarray) else a for a in args))
        several = isinstance(found, tuple)
        outs = [self.device.empty(a.shape, a.dtype) for a in (found if several else [found]) if a is not None]
        known = self.device.known
        given = [known(a) if isinstance(a, np.ndarray) else a for a in args]
        self.device.run(partial(_into, op, several), [known(a) for a in outs], given)
        return tuple(outs) if several else outs[0] if outs else None


def _into(op: Callable[..., Any], several: bool, outs: list[Any], given: list[Any]) -> None:
    found = op(*given)
    for out, a in zip(outs, found if several else [found], strict=False):
        np.copyto(out, a)


def gan(ops: Any, *overrides: str) -> GAN:
    return make(ops, [*DCGAN, *SMALL, "train.batch_size=6", *overrides], SHAPE)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("device", [Host, *(partial(Lazy, seed) for seed in range(3))], ids=["host", *"012"])
def test_a_replayed_step_is_the_called_step_bit_for_bit(name: str, device: Callable[[], Any]) -> None:
    replayed, called = gan(Queued(device()), *KINDS[name]), gan(oracle, *KINDS[name])
    assert isinstance(replayed.run, Graphs) and bits(replayed) == bits(called)
    assert run(replayed, 6) == run(called, 6)
    assert bits(replayed) == bits(called) and replayed.counters() == called.counters()
    least = 3 if "lazy" in name else 6
    assert all(part.graph and part.calls >= least for part in replayed.run.parts.values())


def test_nothing_is_overwritten_while_it_is_in_use() -> None:
    """Twenty orders of two streams and the host; numbers are read once, at the end."""
    called = gan(oracle)
    run(called, 8)
    for seed in range(20):
        device = Lazy(seed)
        replayed = gan(Queued(device))
        for step in range(8):
            replayed.step(batches(replayed, step), step)
        assert bits(replayed) == bits(called), f"seed {seed}"


def test_the_host_runs_ahead_as_far_as_there_are_slots() -> None:
    device = Lazy(0)
    device.eager = 0.0
    graphs = Graphs(device, device.zeros((3,)))
    seen: list[float] = []
    sums = [device.zeros(()) for _ in range(2)]

    def part(left: None, x: Any) -> Any:
        device.run(lambda x, total: total.__iadd__(x.sum()), device.known(x), device.known(sums[0]))
        return sums[0]

    for k in range(6):
        graphs("add", part, np.zeros(3, np.float32), [np.full((4,), k, np.float32)])
        seen.append(device.waits)
    assert seen[:SLOTS] == [0] * SLOTS and seen[SLOTS] > 0, "waits begin when all slots are on their way"
    assert float(device.to_numpy(sums[0])) == 4 * sum(range(6))


def test_a_graph_is_recorded_anew_when_it_reads_another_parts_arrays() -> None:
    device = Host()
    graphs = Graphs(device, device.zeros((3,)))

    def part(left: Any) -> Any:
        out = device.empty((2,), np.float32)
        device.copyto(out, left)
        return out

    for k in (1, 2, 2, 3):
        left = device.asarray(np.full((2,), k, np.float32))
        for _ in range(2):
            assert list(graphs("copy", part, np.zeros(3, np.float32), [], left)) == [k, k]


def keys(task: GAN) -> list[Any]:
    return [key for key, _ in task.run.parts]


def test_a_graph_for_every_kind_of_part_and_shape() -> None:
    alone, shared, g = ("d", False, False, False), ("d", True, False, False), ("g", None, False)
    penalised, both = ("d", False, False, True), ("d", True, False, True)
    expected = {
        "one D step": [alone, g],
        "every state": [alone, g],
        "penalty": [penalised, g],
        "lazy penalty": [alone, g, penalised],
        "noise": [("d", False, True, True), ("g", None, True)],
        "lazy penalty, shared batch": [shared, ("g", shared, False), both, ("g", both, False)],
        "shared batch": [alone, shared, ("g", shared, False)],
    }
    for name, parts in expected.items():
        task = gan(Queued(Host()), *KINDS[name])
        run(task, 2)
        assert keys(task) == parts, name
    z, shapes = 5, [shapes for _, shapes in task.run.parts]
    assert shapes == [(((6, *SHAPE), "<f4"), ((6, z), "<f4"))] * 2 + [()], "a shared batch needs no z of its own"
    with np.errstate(all="ignore"):
        task.step([x[:4] for x in batches(task, 2)], 2)
    assert len(task.run.parts) == 5, "other shapes are other graphs, but for G's part, which takes no array"


def test_a_part_is_called_then_recorded_then_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Host()
    done: list[str] = []
    for name in ("record", "replay", "place"):
        method = getattr(device, name)
        monkeypatch.setattr(device, name, lambda *a, name=name, method=method: done.append(name) or method(*a))
    task = gan(Queued(device), "train.n_critic=1")
    d_step = task.d_step
    monkeypatch.setattr(task, "d_step", lambda *a: done.append("d_step") or d_step(*a))
    orders = []
    for step in range(3):
        done.clear()
        run(task, 1, step)
        orders.append([word for word in done if word != "place"])
        assert done[:3] == ["place"] * 3, "clock, batch and z come first"
        assert done.count("place") == 5, "and clock and z of G's part"
    assert orders == [["d_step"], ["record", "d_step", "replay", "record", "replay"], ["replay", "replay"]]


@pytest.mark.parametrize("name", KINDS)
def test_no_part_is_recorded_twice(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As G's would be, were it one for batches that two parts of D's leave in turn."""
    device, records = Host(), []
    record = device.record
    monkeypatch.setattr(device, "record", lambda *a: records.append(1) or record(*a))
    task = gan(Queued(device), *KINDS[name])
    run(task, 8)
    assert len(records) == len(task.run.parts)


def test_two_nets_on_one_device_share_nothing() -> None:
    device = Lazy(1)
    tasks = [gan(Queued(device), f"train.seed={seed}") for seed in (0, 1)]
    alone = [gan(oracle, f"train.seed={seed}") for seed in (0, 1)]
    for step in range(4):
        for a, b in zip(tasks, alone, strict=True):
            assert run(a, 1, step) == run(b, 1, step)
    for a, b in zip(tasks, alone, strict=True):
        assert bits(a) == bits(b)


@pytest.mark.parametrize("name", ["every state", "shared batch"])
def test_a_step_on_a_proxy_is_called_and_graphs_go_on_after_it(name: str) -> None:
    ops = Queued(Host())
    task, called = gan(ops, *KINDS[name]), gan(oracle, *KINDS[name])
    for step in range(7):
        calls = {key: part.calls for key, part in task.run.parts.items()} if isinstance(task.run, Graphs) else {}
        checked = step in (0, 3)
        if checked:
            task.use(Finite(ops))
        records = run(task, 1, step)
        if checked:
            task.use(ops)
            assert {key: part.calls for key, part in task.run.parts.items()} == calls
        assert records == run(called, 1, step), step
    assert bits(task) == bits(called)


def test_a_run_without_graphs_calls_its_steps() -> None:
    task, called = gan(Queued(Lazy(2)), "train.graph=false"), gan(oracle)
    assert not isinstance(task.run, Graphs)
    assert run(task, 3) == run(called, 3) and bits(task) == bits(called)


# What no replay can do again, and what is said about it.
UNRECORDABLE = {
    "read": (lambda ops, loss: float(ops.to_numpy(loss)), "it waits for a number"),
    "wait": (lambda ops, loss: ops.synchronize(), "it waits for the device"),
    "from the host": (lambda ops, loss: ops.asarray(np.ones(3, np.float32)), "it reads the host's memory"),
    "array of its own": (lambda ops, loss: ops.mul(loss, np.ones((), np.float32)), "not of the graph's own memory"),
    "a mistake": (lambda ops, loss: 1 // 0, "ZeroDivisionError: integer"),
}


@pytest.mark.parametrize("what", UNRECORDABLE)
def test_what_cannot_be_replayed_is_refused(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    does, words = UNRECORDABLE[what]
    device = Host()
    task = gan(Queued(device), "train.n_critic=1")
    critic = task.loss.critic
    run(task, 1)

    def careless(ops: Any, real: Any, fake: Any) -> Any:
        loss, *rest = critic(ops, real, fake)
        does(ops, loss)
        return (loss, *rest)

    monkeypatch.setattr(task.loss, "critic", careless)
    with pytest.raises(BackendError, match=rf"recorded as a CUDA graph: .*{words}.*; run it with --no-graph") as e:
        run(task, 1, 1)
    assert "\n" not in str(e.value) and not device.recording and device.asarray(np.ones(2)).sum() == 2


def test_a_graph_uses_its_memory_again_and_keeps_what_is_read_later() -> None:
    device = Host()
    pool = device.pool()
    x, two = device.asarray(np.arange(4.0)), 2.0

    def part() -> Any:
        kept = []
        for k in range(10):
            y, z = device.empty((4,), float), device.empty((4,), float)
            device.run(lambda x, y: np.multiply(x, two, out=y), device.known(x), device.known(y))
            device.run(lambda y, z, k=k: np.add(y, k, out=z), device.known(y[:]), device.known(z))
            kept += [z] if k % 5 == 0 else []
        return kept

    graph, kept = device.record(part, pool)
    assert np.isnan(kept[0]).all(), "recording does nothing yet"
    assert pool.blocks == 6, "two that are kept; of y and of the other z one, and the next one made before it goes"
    for start in (0.0, 3.0):
        device.copyto(x, np.arange(4.0) + start)
        device.replay(graph)
        for k, z in zip((0, 5), kept, strict=True):
            np.testing.assert_array_equal(z, 2 * (np.arange(4.0) + start) + k)


@pytest.mark.parametrize("device", [Host, *(partial(Lazy, seed) for seed in range(3))], ids=["host", *"012"])
def test_a_replayed_cyclegan_step_is_the_called_one(device: Callable[[], Any]) -> None:
    replayed, called = (cycles.make(ops) for ops in (Queued(device()), oracle))
    expected: dict[tuple[int, str], float] = {}
    for step in range(5):
        for key, value in called.step([cycles.batch(step)], step).items():
            expected[step, key] = float(value)
        for key, value in replayed.step([cycles.batch(step)], step).items():
            assert float(replayed.ops.to_numpy(value)) == expected[step, key], f"{key} of step {step}"
    assert bits(replayed) == bits(called)
    assert [key for key, _ in replayed.run.parts] == ["d", "g"]
    assert all(part.graph and part.calls == 5 for part in replayed.run.parts.values())
