"""Nets: trees of layers (trees.py) over slabs that hold their parameters."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan import rng
from minigan.errors import ConfigError, ShapeError, nearest
from minigan.models.layers import MODES, How
from minigan.models.shapes import Array, Shape, expect
from minigan.models.slabs import Layout, size_of
from minigan.models.spectral import Spectral
from minigan.models.trees import Dys, back, back_tangent, leaves, nodes


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

    def forward(self, x: Array, mode: str = "batch", call: int = 0, labels: Array | None = None) -> tuple[Any, Any]:
        """x (N, *in_shape) -> y (N, *out_shape), ctx.

        `mode` is batchnorm's; `call` numbers the passes of one sub-step, so that dropout draws anew in each; `labels`
        (N,) int32 are for the layers that are told them.
        """
        if mode not in MODES:
            raise ShapeError(f"mode {mode!r} is unknown; known: {', '.join(MODES)}")
        expect(f"the input of {self.name}", x, None, *self.in_shape)
        self.announce("forward")
        return self.root.forward(x, How(mode, self.clock, call, labels))

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
        dx = back(self.root, dy, ctx, need_dx, need_dw, dys)
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
        return back_tangent(self.root, tdy, dys, ctx, tctx, need_dx, need_dw)

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
