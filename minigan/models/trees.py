"""Trees of layers under four combinators: every node has the same passes as a layer, so a tree is read, run and
differentiated like one.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from minigan.errors import ShapeError
from minigan.models.layers import How, Layer
from minigan.models.shapes import Array, Shape, expect

Dys = dict[str, Array]  # by the name of each layer: the dy that its backward pass was given


def back(node: Any, dy: Any, ctx: Any, need_dx: bool, need_dw: bool, dys: Dys | None) -> Array | None:
    """A node's backward pass. A layer's dy is held against its y, and noted in `dys` when that is given."""
    if not isinstance(node, Layer):
        return node.backward(dy, ctx, need_dx, need_dw, dys)
    expect(f"dy of {node.name}", dy, None, *node.out_shape)
    if dys is not None:
        dys[node.name] = dy
    return node.backward(dy, ctx, need_dx, need_dw and not node.frozen)


def back_tangent(node: Any, tdy: Any, dys: Dys, ctx: Any, tctx: Any, need_dx: bool, need_dw: bool) -> Array | None:
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
            dy = back(self.nodes[i], dy, ctx[i], need_dx or i > self.first, need_dw, dys)
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
            tdy = back_tangent(self.nodes[i], tdy, dys, ctx[i], tctx[i], need_dx or i > self.first, need_dw)
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


def contexts(root: Any, ctx: Any) -> Iterator[tuple[Layer, Any]]:
    """The layers of a tree with what each saved in the forward pass that left `ctx`."""
    if isinstance(root, Layer):
        yield root, ctx
        return
    children = root.nodes if isinstance(root, Chain) else [getattr(root, key) for key in _CHILDREN[type(root)]]
    for child, saved in zip(children, ctx, strict=True):
        yield from contexts(child, saved)


def mapped(node: Any, change: Callable[[Layer], Layer]) -> Any:
    """The tree, not attached yet, with change(layer) in place of every layer."""
    if isinstance(node, Layer):
        return change(node)
    if isinstance(node, Chain):
        node.nodes = tuple(mapped(child, change) for child in node.nodes)
    for key in _CHILDREN[type(node)]:
        setattr(node, key, mapped(getattr(node, key), change))
    return node
