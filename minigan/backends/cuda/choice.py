"""Which implementation serves a product here: the choice of backends/plan_gpu.py for this device, or a forced one."""

from minigan.backends import plan_gpu
from minigan.backends.cuda.facts import isa
from minigan.models.shapes import Pair, Shape


def chosen(op: str, image: Shape, w: Shape, stride: Pair = plan_gpu.ONE, impl: str = "") -> str:
    """The implementation that serves such a call: `impl`, where it is given and can, else the built-in plan's."""
    return require(impl, op, w, stride, "the call") if impl else plan_gpu.choose(op, image, w, stride, isa())


def require(name: str, op: str, w: Shape, stride: Pair, by: str) -> str:
    """`name`, when it can serve here; `by` says who asks for it. Raises BackendError."""
    return plan_gpu.require(name, op, w, stride, isa(), by)
