"""What every layer is given and gives in every pass of one step: the very step that trains, looked at from outside.

A layer's four passes are called through; a proxy on the nets says where a pass begins; the task's `run` is where its
sub-steps begin and end. Nothing is computed but the step, so nothing of it can come out otherwise.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from minigan.backends.proxies import Proxy
from minigan.models.layers import How, Layer
from minigan.models.net import Net
from minigan.models.shapes import Array
from minigan.tasks import Task
from minigan.training.wrapping import wrapped

# method -> what its arguments are, in order; what it returns follows
_GIVEN = {
    "forward": ("x", "how"),
    "backward": ("dy", "ctx", "need_dx", "need_dw"),
    "forward_tangent": ("tx", "ctx"),
    "backward_tangent": ("tdy", "dy", "ctx", "tctx", "need_dx", "need_dw"),
}
_GIVES = {"forward": "y", "backward": "dx", "forward_tangent": "ty", "backward_tangent": "tdx"}
_TENSORS = {"x", "dy", "tx", "tdy"}


def learning(task: Task) -> dict[str, Net]:
    """A task's nets without the moving average, which no pass of a step runs through."""
    return {key: net for key, net in task.nets.items() if key != "ema"}


@dataclasses.dataclass
class Pass:
    """One pass of one net: in which sub-step, whose optimizer is `part`, and of which forward pass.

    `which` is forward, backward, forward tangent or backward tangent; `call` is the forward pass' number in its
    sub-step, which the task gives; `forward` is that pass itself.
    """

    sub: int
    part: str
    net: str
    which: str
    call: int = 0
    forward: "Pass | None" = None


@dataclasses.dataclass(frozen=True)
class Seen:
    """A layer in a pass: its arrays by name, on the host. `dw` and its like are what this pass added."""

    during: Pass
    layer: Layer
    arrays: dict[str, NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class Moved:
    """A net that a sub-step moved: by name its parameters before, the whole gradient, and the parameters after."""

    sub: int
    part: str
    net: str
    before: dict[str, NDArray[Any]]
    gradient: dict[str, NDArray[Any]]
    after: dict[str, NDArray[Any]]


class _Announced(Proxy):
    """Passes every op on; `begins(net, which)` is told of every pass, and so are `ops`, where they are a proxy too."""

    def __init__(self, ops: Any, begins: Callable[[str, str], None]):
        super().__init__(ops)
        self._begins = begins

    def named(self, where: str) -> Self:
        seen = super().named(where)
        if isinstance(self._ops, Proxy):
            seen._ops = self._ops.named(where)
        return seen

    def announce(self, which: str) -> None:
        self._begins(self._where, which)
        if isinstance(self._ops, Proxy):
            self._ops.announce(which)

    def __getattr__(self, key: str) -> Any:
        return getattr(self._ops, key)


class Watch:
    """Looks at a step that is made while `on` lasts: `see` is handed each layer's every pass, and of arrays what it
    keeps stays; `moved` is how each sub-step moved the weights. `ops` is what the step runs by, where it is not the
    task's own: a proxy of these.
    """

    def __init__(self, task: Task, see: Callable[[Seen], None], ops: Any = None):
        self.task, self._see, self._ops = task, see, task.own_ops if ops is None else ops
        self.moved: list[Moved] = []
        self._sub, self._part, self._inside = -1, "", False
        self._pass = Pass(0, "", "", "")
        self._by: dict[tuple[str, int], Pass] = {}  # layer and context -> the pass that left it
        self._kept: list[Any] = []  # contexts, so that no address comes twice

    @contextmanager
    def on(self) -> Iterator[None]:
        layers = [layer for net in learning(self.task).values() for layer in net.layers]
        self.task.use(_Announced(self._ops, self._begins))
        self.task.run = self._sub_step(self.task.run)
        try:
            with ExitStack() as stack:
                for method in _GIVEN:
                    stack.enter_context(wrapped(layers, method, partial(self._around, method)))
                yield
        finally:
            self.task.use(self.task.own_ops)
            self._kept.clear()
            self._by.clear()

    def _begins(self, net: str, which: str) -> None:
        self._pass = Pass(self._sub, self._part, net, which)

    def _sub_step(self, run: Callable[..., Any]) -> Callable[..., Any]:
        names = {id(optimizer): name for name, optimizer in self.task.optimizers.items()}

        def watched(*args: Any) -> Any:
            self._sub += 1
            mover = self.task.mover(self._sub)
            self._part = names[id(mover)]
            before = [self._host(net.p) for net in mover.nets]
            out = run(*args)
            for net, p in zip(mover.nets, before, strict=True):
                views = (net.layout.views(a) for a in (p, self._host(net.dp), self._host(net.p)))
                self.moved.append(Moved(self._sub, self._part, net.name, *views))
            return out

        return watched

    def _around(self, method: str, layer: Layer, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **more: Any) -> Any:
            if self._inside:  # a pass that a layer makes of another of its own
                return call(*args, **more)
            given = dict(zip(_GIVEN[method], args, strict=False)) | more
            learns = given.get("need_dw", "backward" in method)
            before = self._gradients(layer) if learns else {}
            self._inside = True
            try:
                out = call(*args, **more)
            finally:
                self._inside = False
            gives, ctx = (out[0], given.get("ctx", out[1])) if method.startswith("forward") else (out, given["ctx"])
            self._link(layer, ctx, given.get("how"))
            arrays = {key: self._host(a) for key, a in given.items() if key in _TENSORS and a is not None}
            if gives is not None:
                arrays[_GIVES[method]] = self._host(gives)
            after = self._gradients(layer) if learns else {}
            arrays |= {key: a - before[key] for key, a in after.items()}
            self._see(Seen(self._pass, layer, arrays))
            return out

        return watched

    def _link(self, layer: Layer, ctx: Any, how: How | None) -> None:
        """Notes which forward pass left `ctx`, or finds out of which one the pass under way is. None tells nothing."""
        if how is not None:
            self._pass.call = how.call
        if ctx is None:
            return
        if how is None:
            self._pass.forward = self._by[layer.name, id(ctx)]
        else:
            self._by[layer.name, id(ctx)] = self._pass
            self._kept.append(ctx)

    def _gradients(self, layer: Layer) -> dict[str, NDArray[Any]]:
        return {f"d{key}": self._host(getattr(layer, f"d{key}")) for key in layer.params}

    def _host(self, a: Array) -> NDArray[Any]:
        return np.array(self.task.own_ops.to_numpy(a))
