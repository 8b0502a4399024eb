"""Nets: trees of layers under four combinators, over slabs that hold their parameters.

Every node has the same passes as a layer, so a tree is read, run and differentiated like one.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from minigan import rng
from minigan.errors import ConfigError, ShapeError, nearest
from minigan.models.layers import MODES, How, Layer
from minigan.models.shapes import Array, Shape, expect
from minigan.models.slabs import Layout, size_of
from minigan.models.spectral import Spectral

Dys = dict[str, Array]  # by the name of each layer: the dy that its backward pass was given


def _back(node: Any, dy: Any, ctx: Any, need_dx: bool, need_dw: bool, dys: Dys | None) -> Array | None:
    """A node's backward pass. A layer's dy is held against its y, and noted in `dys` when that is given."""
    if not isinstance(node, Layer):
        return node.backward(dy, ctx, need_dx, need_dw, dys)
    expect(f"dy of {node.name}", dy, None, *node.out_shape)
    if dys is not None:
        dys[node.name] = dy
    return node.backward(dy, ctx, need_dx, need_dw and not node.frozen)


def _back_tangent(node: Any, tdy: Any, dys: Dys, ctx: Any, tctx: Any, need_dx: bool, need_dw: bool) -> Array | None:
    """A node's backward_tangent: a layer takes its own dy of `dys`."""
    if not isinstance(node, Layer):
        return node.backward_tangent(tdy, dys, ctx, tctx, need_dx, need_dw)
    return node.backward_tangent(tdy, dys[node.name], ctx, tctx, need_dx, need_dw and not node.frozen)


def _plus(ops: Any, a: Array | None, b: Array | None) -> Array | None:
    """a + b, where None stands for zeros."""
    if a is None or b is None:
        return b if a is None else a
    return ops.axpby(1.0, a, 1.0, b)


class Chain:
    """One node after the other."""

    def __init__(self, *nodes: Any):
        self.nodes = nodes

    def attach(self, name: str, in_shape: Shape) -> Shape:
        self.in_shape = in_shape
        for i, node in enumerate(self.nodes):
            in_shape = node.attach(f"{name}.{i}", in_shape)
        self.out_shape = in_shape
        return in_shape

    @cached_property
    def first(self) -> int:
        """The first node that learns: where no dx is wanted, backward ends there. Net marks the frozen before."""
        learns = (i for i, node in enumerate(self.nodes) if any(a.params and not a.frozen for a in leaves(node)))
        return next(learns, len(self.nodes))

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        ctx = []
        for node in self.nodes:
            x, saved = node.forward(x, how)
            ctx.append(saved)
        return x, tuple(ctx)

    def backward(
        self, dy: Any, ctx: Any, need_dx: bool = True, need_dw: bool = True, dys: Dys | None = None
    ) -> Array | None:
        for i in reversed(range(0 if need_dx else self.first, len(self.nodes))):
            dy = _back(self.nodes[i], dy, ctx[i], need_dx or i > self.first, need_dw, dys)
        return dy if need_dx else None

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Array, Any]:
        tctx = []
        for node, saved in zip(self.nodes, ctx, strict=True):
            tx, made = node.forward_tangent(tx, saved)
            tctx.append(made)
        return tx, tuple(tctx)

    def backward_tangent(
        self, tdy: Array | None, dys: Dys, ctx: Any, tctx: Any, need_dx: bool = True, need_dw: bool = True
    ) -> Array | None:
        for i in reversed(range(0 if need_dx else self.first, len(self.nodes))):
            tdy = _back_tangent(self.nodes[i], tdy, dys, ctx[i], tctx[i], need_dx or i > self.first, need_dw)
        return tdy if need_dx else None


def _tree(node: Any) -> Any:
    """A bare layer as a chain of one, because it is chains that hold each layer's dy against its y."""
    return Chain(node) if isinstance(node, Layer) else node


class Residual:
    """y = body(x) + skip(x);   dx = body'(dy) + skip'(dy). Without `skip` it is the identity."""

    ops: Any

    def __init__(self, body: Any, skip: Any = None):
        self.body, self.skip = _tree(body), Chain() if skip is None else _tree(skip)

    def attach(self, name: str, in_shape: Shape) -> Shape:
        self.name, self.in_shape = name, in_shape
        self.out_shape = self.body.attach(f"{name}.body", in_shape)
        skip = self.skip.attach(f"{name}.skip", in_shape)
        if skip != self.out_shape:
            raise ShapeError(
                f"{name}: body gives {self.out_shape} and skip gives {skip}; they are added, so make them equal"
            )
        return self.out_shape

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        y, body = self.body.forward(x, how)
        s, skip = self.skip.forward(x, how)
        return self.ops.axpby(1.0, y, 1.0, s), (body, skip)

    def backward(
        self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True, dys: Dys | None = None
    ) -> Array | None:
        a = self.body.backward(dy, ctx[0], need_dx, need_dw, dys)
        b = self.skip.backward(dy, ctx[1], need_dx, need_dw, dys)
        return self.ops.axpby(1.0, a, 1.0, b) if need_dx else None

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Array, Any]:
        ty, body = self.body.forward_tangent(tx, ctx[0])
        ts, skip = self.skip.forward_tangent(tx, ctx[1])
        return self.ops.axpby(1.0, ty, 1.0, ts), (body, skip)

    def backward_tangent(
        self, tdy: Array | None, dys: Dys, ctx: Any, tctx: Any, need_dx: bool = True, need_dw: bool = True
    ) -> Array | None:
        a = self.body.backward_tangent(tdy, dys, ctx[0], tctx[0], need_dx, need_dw)
        b = self.skip.backward_tangent(tdy, dys, ctx[1], tctx[1], need_dx, need_dw)
        return _plus(self.ops, a, b)


class Skip:
    """A U-Net's level:   h = down(x),  y = up([h, inner(h)]), joined along the channels."""

    ops: Any

    def __init__(self, down: Any, inner: Any, up: Any):
        self.down, self.inner, self.up = _tree(down), _tree(inner), _tree(up)

    def attach(self, name: str, in_shape: Shape) -> Shape:
        self.name, self.in_shape = name, in_shape
        h = self.down.attach(f"{name}.down", in_shape)
        u = self.inner.attach(f"{name}.inner", h)
        if u[:-1] != h[:-1]:
            raise ShapeError(f"{name}: inner turns {h} into {u}, but only the channels may change")
        self.channels = h[-1]
        self.out_shape = self.up.attach(f"{name}.up", (*h[:-1], h[-1] + u[-1]))
        return self.out_shape

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        h, down = self.down.forward(x, how)
        u, inner = self.inner.forward(h, how)
        y, up = self.up.forward(self.ops.concat(h, u), how)
        return y, (down, inner, up)

    def backward(
        self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True, dys: Dys | None = None
    ) -> Array | None:
        down, inner, up = ctx
        dh, du = self.ops.split(self.up.backward(dy, up, True, need_dw, dys), self.channels)
        dh = self.ops.axpby(1.0, dh, 1.0, self.inner.backward(du, inner, True, need_dw, dys))
        return self.down.backward(dh, down, need_dx, need_dw, dys)

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Array, Any]:
        th, down = self.down.forward_tangent(tx, ctx[0])
        tu, inner = self.inner.forward_tangent(th, ctx[1])
        ty, up = self.up.forward_tangent(self.ops.concat(th, tu), ctx[2])
        return ty, (down, inner, up)

    def backward_tangent(
        self, tdy: Array | None, dys: Dys, ctx: Any, tctx: Any, need_dx: bool = True, need_dw: bool = True
    ) -> Array | None:
        both = self.up.backward_tangent(tdy, dys, ctx[2], tctx[2], True, need_dw)
        tdh, tdu = (None, None) if both is None else self.ops.split(both, self.channels)
        tdh = _plus(self.ops, tdh, self.inner.backward_tangent(tdu, dys, ctx[1], tctx[1], True, need_dw))
        return self.down.backward_tangent(tdh, dys, ctx[0], tctx[0], need_dx, need_dw)


class Heads:
    """Two outputs on one trunk:   t = trunk(x),  y = (a(t), b(t));  dy is the pair of their gradients."""

    ops: Any

    def __init__(self, trunk: Any, a: Any, b: Any):
        self.trunk, self.a, self.b = _tree(trunk), _tree(a), _tree(b)

    def attach(self, name: str, in_shape: Shape) -> Any:
        self.name, self.in_shape = name, in_shape
        t = self.trunk.attach(f"{name}.trunk", in_shape)
        self.out_shape = (self.a.attach(f"{name}.a", t), self.b.attach(f"{name}.b", t))
        return self.out_shape

    def forward(self, x: Array, how: How) -> tuple[Any, Any]:
        t, trunk = self.trunk.forward(x, how)
        ya, a = self.a.forward(t, how)
        yb, b = self.b.forward(t, how)
        return (ya, yb), (trunk, a, b)

    def backward(
        self, dy: Any, ctx: Any, need_dx: bool = True, need_dw: bool = True, dys: Dys | None = None
    ) -> Array | None:
        trunk, a, b = ctx
        dt = self.ops.axpby(
            1.0, self.a.backward(dy[0], a, True, need_dw, dys), 1.0, self.b.backward(dy[1], b, True, need_dw, dys)
        )
        return self.trunk.backward(dt, trunk, need_dx, need_dw, dys)

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Any, Any]:
        tt, trunk = self.trunk.forward_tangent(tx, ctx[0])
        ta, a = self.a.forward_tangent(tt, ctx[1])
        tb, b = self.b.forward_tangent(tt, ctx[2])
        return (ta, tb), (trunk, a, b)

    def backward_tangent(
        self, tdy: Any, dys: Dys, ctx: Any, tctx: Any, need_dx: bool = True, need_dw: bool = True
    ) -> Array | None:
        tda, tdb = (None, None) if tdy is None else tdy
        a = self.a.backward_tangent(tda, dys, ctx[1], tctx[1], True, need_dw)
        b = self.b.backward_tangent(tdb, dys, ctx[2], tctx[2], True, need_dw)
        return self.trunk.backward_tangent(_plus(self.ops, a, b), dys, ctx[0], tctx[0], need_dx, need_dw)


_CHILDREN = {Chain: (), Residual: ("body", "skip"), Skip: ("down", "inner", "up"), Heads: ("trunk", "a", "b")}


def nodes(root: Any) -> Iterator[Any]:
    """Every node of a tree, parents first, in the order of the forward pass."""
    yield root
    for child in getattr(root, "nodes", ()):
        yield from nodes(child)
    for key in _CHILDREN.get(type(root), ()):
        yield from nodes(getattr(root, key))


def leaves(root: Any) -> Iterator[Layer]:
    """The layers of a tree, in the order of the forward pass."""
    return (node for node in nodes(root) if isinstance(node, Layer))


class Net:
    """A tree with its slabs: `p` parameters, `dp` their gradients, `state` running statistics; one buffer each.

    Built on shapes alone, it can be inspected; `bind` gives it a backend and memory. The parameters of layers that
    `freeze` names, whole or by prefix ("g.1" holds g.1.body.0), lie in the segment that no optimizer takes, and their
    gradients are not computed. With `spectral` every layer's w is spectrally normalised: see normalise_weights.
    Raises ConfigError when `freeze` names no layer, or all.
    """

    p: Array
    dp: Array
    state: Array
    deff: Array  # the gradients of normalised weights

    def __init__(
        self,
        name: str,
        root: Any,
        in_shape: Shape,
        l2: float = 0.0,
        freeze: Sequence[str] = (),
        spectral: bool = False,
    ):
        self.name, self.root, self.in_shape, self.l2 = name, root, in_shape, l2
        self.out_shape = root.attach(name, in_shape)
        self.layers = list(leaves(root))
        twice = [layer.name for layer in self.layers if sum(layer is other for other in self.layers) > 1]
        if twice:
            raise ShapeError(
                f"{twice[0]} stands twice in net {name}; a layer holds its own weights, so make one for each"
            )
        self.spectral = [Spectral(layer) for layer in self.layers if spectral and "w" in layer.params]
        self._freeze(freeze)

    def _freeze(self, prefixes: Sequence[str]) -> None:
        holders = [layer for layer in self.layers if layer.params]
        paths = [layer.name.split(".") for layer in holders]
        known = {".".join(words[:k]) for words in paths for k in range(2, len(words) + 1)}
        for prefix in prefixes:
            if prefix not in known:
                raise ConfigError(
                    f"{self.name}.freeze names {prefix!r}, which is no layer with parameters; {nearest(prefix, known)}"
                )
        for layer in holders:
            layer.frozen = any(f"{layer.name}.".startswith(f"{prefix}.") for prefix in prefixes)
        if prefixes and all(layer.frozen for layer in holders):
            raise ConfigError(f"{self.name}.freeze leaves no layer of {self.name} to learn; name fewer")

    @property
    def parameters(self) -> int:
        """How many numbers are learned."""
        return sum(size_of(param.shape) for layer in self.layers for param in layer.params.values())

    def bind(self, ops: Any, seed: int, dtype: Any = np.float32, clock: Array | None = None) -> None:
        """Makes the slabs and fills them with initial values: each a function of (seed, parameter name)."""
        owned = [layer.name for layer in self.layers if hasattr(layer, "ops")]
        if owned:
            raise ShapeError(f"{owned[0]} belongs to a net already; build each net from layers of its own")
        self.clock = clock
        itemsize = np.dtype(dtype).itemsize
        params = {
            f"{a.name}.{k}": (v.shape, "frozen" if a.frozen else "decay" if v.decay else "no_decay")
            for a in self.layers
            for k, v in a.params.items()
        }
        self.layout = Layout(params, itemsize)
        states: dict[str, Shape] = {f"{a.name}.{k}": (a.in_shape[-1],) for a in self.layers for k in a.state}
        for norm in self.spectral:
            states |= norm.state
        self.state_layout = Layout({name: (shape, "no_decay") for name, shape in states.items()}, itemsize)
        self.p, self.dp = ops.zeros((self.layout.size,), dtype), ops.zeros((self.layout.size,), dtype)
        self.state = ops.zeros((self.state_layout.size,), dtype)
        p, dp, state = self.layout.views(self.p), self.layout.views(self.dp), self.state_layout.views(self.state)
        for layer in self.layers:
            for key, param in layer.params.items():
                full = f"{layer.name}.{key}"
                values = param.init(rng.host(seed, f"init/{full}"), param.shape, param.fan_in, param.fan_out)
                ops.copyto(p[full], values)
                setattr(layer, key, p[full])
                setattr(layer, f"d{key}", dp[full])
            for key, value in layer.state.items():
                full = f"{layer.name}.{key}"
                ops.copyto(state[full], np.full(state[full].shape, value))
                setattr(layer, key, state[full])
        self.use(ops)
        if self.spectral:
            self._bind_spectral(ops, seed, dtype)

    def _bind_spectral(self, ops: Any, seed: int, dtype: Any) -> None:
        """Memory for normalised weights, and u and v from a random v: again a function of (seed, name)."""
        layout = Layout({f"{a.layer.name}.w": (a.shape, "decay") for a in self.spectral}, np.dtype(dtype).itemsize)
        eff, self.deff = (ops.zeros((layout.size,), dtype) for _ in range(2))
        ones = ops.zeros((max(max(a.K, a.O) for a in self.spectral),), dtype)
        ops.copyto(ones, 1)
        p, dp, state = self.layout.views(self.p), self.layout.views(self.dp), self.state_layout.views(self.state)
        w_eff, dw_eff = layout.views(eff), layout.views(self.deff)
        for norm in self.spectral:
            w, (u, v) = f"{norm.layer.name}.w", norm.state
            ops.copyto(state[v], rng.host(seed, f"init/{v}").standard_normal(norm.O))
            norm.bind(p[w], dp[w], w_eff[w], dw_eff[w], state[u], state[v], ones)
        self.normalise_weights(iterate=True)

    def use(self, ops: Any) -> None:
        """Runs on `ops` from now on: a backend, or a proxy around it (backends/proxies.py)."""
        self.ops = ops.named(self.name) if hasattr(ops, "named") else ops
        for node in nodes(self.root):
            node.ops = ops.named(getattr(node, "name", self.name)) if hasattr(ops, "named") else ops

    def tensors(self) -> dict[str, Array]:
        """Parameters and running statistics by name, as views."""
        return {**self.layout.views(self.p), **self.state_layout.views(self.state)}

    def forward(self, x: Array, mode: str = "batch", call: int = 0) -> tuple[Any, Any]:
        """x (N, *in_shape) -> y (N, *out_shape), ctx.

        `mode` is batchnorm's; `call` numbers the passes of one sub-step, so that dropout draws anew in each.
        """
        if mode not in MODES:
            raise ShapeError(f"mode {mode!r} is unknown; known: {', '.join(MODES)}")
        expect(f"the input of {self.name}", x, None, *self.in_shape)
        self.announce("forward")
        return self.root.forward(x, How(mode, self.clock, call))

    def prepare(self, n: int) -> None:
        """From now until `release`, forward passes of n samples read weights that are packed or transformed here, once.

        For drawing many samples: whoever writes the slab must call `release` first.
        """
        for layer in self.layers:
            layer.prepare(n)

    def release(self) -> None:
        """Forward passes read the weights themselves again."""
        for layer in self.layers:
            layer.release()

    def backward(self, dy: Any, ctx: Any, need_dx: bool = True, need_dw: bool = True, trace: bool = False) -> Any:
        """dy like y -> dx like x, or None when not needed; adds into `dp` when need_dw.

        With `trace` -> (dx, dys): by name, what every layer's backward pass was given, for backward_tangent.
        """
        self.announce("backward")
        dys: Dys | None = {} if trace else None
        dx = _back(self.root, dy, ctx, need_dx, need_dw, dys)
        return (dx, dys) if trace else dx

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Any, Any]:
        """How y moves when x moves along tx: ty like y, and what backward_tangent needs. `ctx` is the forward pass'."""
        expect(f"tx of {self.name}", tx, None, *self.in_shape)
        self.announce("forward tangent")
        return self.root.forward_tangent(tx, ctx)

    def backward_tangent(
        self, tdy: Any, dys: Dys, ctx: Any, tctx: Any, need_dx: bool = True, need_dw: bool = True
    ) -> Array | None:
        """How dx moves when x moves along tx and dy along tdy: tdx like x; adds into `dp` how dp moves when need_dw.

        None stands for zeros, as tdy and as what is returned. Source: Pearlmutter 1994; docs/second-order.md.
        """
        self.announce("backward tangent")
        return _back_tangent(self.root, tdy, dys, ctx, tctx, need_dx, need_dw)

    def announce(self, which: str) -> None:
        """Which pass begins: forward, backward, update."""
        if hasattr(self.ops, "announce"):  # a proxy, which reports by pass; a bare backend does not care
            self.ops.announce(which)

    def zero_grad(self) -> None:
        """dp <- 0"""
        self.ops.copyto(self.dp, 0)
        if self.spectral:
            self.ops.copyto(self.deff, 0)

    def normalise_weights(self, iterate: bool) -> None:
        """Makes what passes read of spectrally normalised weights, from now until the slab is written.

        With `iterate` a power iteration first brings u and v nearer; without, the state stays as it is.
        """
        for norm in self.spectral:
            if iterate:
                norm.iterate()
            norm.normalise()

    def add_penalty(self, loss: Array) -> Array:
        """loss + lambda ||theta||^2 over the weights (not biases, not norms), 0-d arrays."""
        if not self.l2:
            return loss
        return self.ops.axpby(1.0, loss, self.l2, self.ops.sum_squares(self.p[self.layout.segments["decay"]]))

    def finish_gradients(self) -> None:
        """Once, after all backward passes: adds the gradients of normalised weights, and of lambda ||theta||^2, which
        is 2 lambda theta.
        """
        for norm in self.spectral:
            if not norm.layer.frozen:
                norm.finish()
        if self.l2:
            decay = self.layout.segments["decay"]
            self.ops.add_scaled(2 * self.l2, self.p[decay], self.dp[decay])
