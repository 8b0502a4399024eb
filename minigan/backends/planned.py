"""A backend whose convolutions follow a plan of one's own."""

from collections.abc import Mapping
from typing import Any

from minigan.backends import plan
from minigan.models.shapes import Act, Array, Pads, Pair, Shape


class Planned:
    """The ops of a backend that has several implementations; those of convolutions are chosen by `rows`.

    What no row names, and the ops that MINIGAN_PLAN forces, are as the backend has them; `by` forces a single call.
    Nothing is shared between two of these: nets with different plans train side by side in one process.
    """

    def __init__(self, ops: Any, rows: Mapping[plan.Key, str]):
        names = ["NAME", "ISA", "BUILD", "by", *(name for name in ops.__all__ if not hasattr(Planned, name))]
        names += [name for name in ("LATE", "SIMULATED", "graphs", "span") if hasattr(ops, name)]
        vars(self).update({name: getattr(ops, name) for name in names})
        self._ops = ops
        self._rows = {row: name for row, name in rows.items() if row[0] not in plan.FORCED}

    def chosen(self, op: str, image: Shape, w: Shape, stride: Pair) -> str:
        """The implementation that serves such a call."""
        return self._rows.get((op, image, w, stride)) or self._ops.chosen(op, image, w, stride)

    def work_of(self, op: str, *args: Any) -> tuple[str, int] | None:
        """The implementation that serves op(*args), arrays as shapes, and what it really does; see a backend's own."""
        if op not in plan.OPS:
            return self._ops.work_of(op, *args)
        image, w, stride = (args[i] for i in plan.OPS[op])
        return self._ops.work_of(op, *args, impl=self._rows.get((op, image, w, stride), ""))

    def conv2d(self, x: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None = None) -> Array:
        """x (N,H,W,I), w (KH,KW,I,O), b (O,) or None -> y (N,P,Q,O)."""
        return self._run("conv2d", x, w, b, stride, padding, act)

    def conv2d_dgrad(
        self, dy: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, out_hw: Pair, act: Act | None = None
    ) -> Array:
        """dy (N,P,Q,O), w (KH,KW,I,O), b (I,) or None -> dx (N,H,W,I) with (H, W) = out_hw."""
        return self._run("conv2d_dgrad", dy, w, b, stride, padding, out_hw, act)

    def conv2d_wgrad(self, dy: Array, x: Array, dw: Array, db: Array | None, stride: Pair, padding: Pads) -> None:
        """dy (N,P,Q,O), x (N,H,W,I); adds into dw (KH,KW,I,O) and, unless None, db (O,)."""
        self._run("conv2d_wgrad", dy, x, dw, db, stride, padding)

    def prepare(self, op: str, image: Shape, w: Array, stride: Pair, padding: Pads, out_hw: Pair | None = None) -> Any:
        """What `op` takes in place of w for its image, as long as w stays."""
        impl = self._rows.get((op, image, w.shape, stride), "")
        return self._ops.prepare_by(impl, op, image, w, stride, padding, out_hw)

    def prepare_image(self, x: Array, w: Array, stride: Pair, padding: Pads) -> Any:
        """What conv2d and conv2d_wgrad take in place of x, where one implementation serves both."""
        names = {self.chosen(op, x.shape, w.shape, stride) for op in ("conv2d", "conv2d_wgrad")}
        return self._ops.image_by(names.pop(), x, w, stride, padding) if len(names) == 1 else x

    def _run(self, op: str, *args: Any) -> Any:
        impl = self._rows.get(plan.key(op, args))
        return self._ops.by(impl, op, *args) if impl else getattr(self._ops, op)(*args)
