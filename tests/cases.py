"""A row per op of the contract: how its arguments are drawn, to hold a backend's numbers against the loops.

`compare(backends.load(name), row, seed, dtype, integer)` runs one case: a row here and every backend fails by name.
Shapes are ragged, strides differ per axis, padding is asymmetric, kernels go from 1 to 7. `shapes` names the axes of
each argument: equal letters must be equal sizes, "P*" follows from the others, "..." are any axes (the same ones
everywhere), "-" is no array or one of free shape.
"""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import arguments as drawn
import numpy as np
from compare import compare
from draws import Draw

from minigan.backends import bounds
from minigan.backends.bounds import Args, Check

__all__ = ["NOT_OPS", "ROWS", "Row", "compare"]

NOT_OPS = {"asarray", "copyto", "empty", "prepare", "prepare_image", "synchronize", "to_numpy", "zeros"}  # plumbing


class Row(NamedTuple):
    """An op, or one kind of it, and how its arguments are drawn."""

    name: str
    draw: Callable[[Draw], Args]
    shapes: str

    @property
    def op(self) -> str:
        return self.name.split("/")[0]

    @property
    def writes(self) -> tuple[int, ...]:
        """Indices of the arguments written in place."""
        return bounds.writes(self.op)

    @property
    def check(self) -> Check:
        """The bound of its cases, one for all of them."""
        return bounds.bound(self.op, self.args(0, np.float32, True))

    def args(self, seed: int, dtype: Any, integer: bool) -> Args:
        """One case, a function of the row's name and these."""
        return self.draw(Draw(zlib.crc32(self.name.encode()), seed, dtype, integer))


PIXEL = "N H W C"

ROWS = (
    Row("linear", drawn.linear, "N I | I O | O | -"),
    Row("linear_dgrad", drawn.linear_dgrad, "N O | I O"),
    Row("linear_wgrad", drawn.linear_wgrad, "N O | N I | I O | O"),
    Row("conv2d", drawn.conv2d, "N H W I | KH KW I O | O | - | - | -"),
    Row("conv2d_dgrad", drawn.conv2d_dgrad, "N P* Q* O | KH KW I O | I | - | - | - | -"),
    Row("conv2d_wgrad", drawn.conv2d_wgrad, "N P* Q* O | N H W I | KH KW I O | O | - | -"),
    Row("bias_grad", drawn.bias_grad, "... C | C"),
    Row("embedding", drawn.embedding, "N | K F"),
    Row("embedding_backward", drawn.embedding_backward, "N F | N | K F"),
    Row("activation", drawn.activation("relu", "leaky_relu"), "... | -"),
    Row("activation/smooth", drawn.activation("tanh", "sigmoid"), "... | -"),
    Row("activation_backward", drawn.activation_backward("relu", "leaky_relu"), "... | ... | -"),
    Row("activation_backward/smooth", drawn.activation_backward("tanh", "sigmoid"), "... | ... | -"),
    Row("activation_backward_tangent", drawn.activation_tangent("relu", "leaky_relu"), "... | ... | ... | ... | -"),
    Row("activation_backward_tangent/smooth", drawn.activation_tangent("tanh", "sigmoid"), "... | ... | ... | ... | -"),
    Row("batchnorm", drawn.norm(None), "N ... C | C | C | - | -"),
    Row("batchnorm_backward", drawn.norm_backward((-1,), None), "N ... C | N ... C | C | C | C | - | C | C"),
    Row("batchnorm_running", drawn.norm(None, (-1,)), "N ... C | C | C | C | C | - | -"),
    Row("batchnorm_running_backward", drawn.norm_backward((-1,), None), "N ... C | N ... C | C | C | C | - | C | C"),
    Row("running_update", drawn.mix, "C | C | -"),
    Row("layernorm", drawn.norm(None), "N ... C | C | C | - | -"),
    Row("layernorm_backward", drawn.norm_backward((0,), None), "N ... C | N ... C | C | N | N | - | C | C"),
    Row("layernorm_tangent", drawn.norm_tangent((0,), None), "N ... C | N ... C | C | N | N | -"),
    Row(
        "layernorm_backward_tangent",
        drawn.norm_backward_tangent((0,), None),
        "N ... C | N ... C | N ... C | N ... C | C | N | N | - | C | C",
    ),
    Row("instancenorm", drawn.norm(4), "N H W C | C | C | - | -"),
    Row("instancenorm_backward", drawn.norm_backward((0, 3), 4), "N H W C | N H W C | C | N C | N C | - | C | C"),
    Row("instancenorm_tangent", drawn.norm_tangent((0, 3), 4), "N H W C | N H W C | C | N C | N C | -"),
    Row(
        "instancenorm_backward_tangent",
        drawn.norm_backward_tangent((0, 3), 4),
        "N H W C | N H W C | N H W C | N H W C | C | N C | N C | - | C | C",
    ),
    Row("axpby", drawn.axpby, "- | ... | - | ..."),
    Row("add_scaled", lambda d: (d.number(), *drawn.pair(d)), "- | ... | ..."),
    Row("mul", drawn.pair, "... | ..."),
    Row("scale", lambda d: (d.array(*d.shape()), d.number()), "... | -"),
    Row("exp", lambda d: (d.array(*d.shape()),), "..."),
    Row("clip", lambda d: (d.special(*d.shape()), d.representable(0.01)), "... | -"),
    Row("mean", lambda d: (d.array(*d.shape()),), "..."),
    Row("sum_squares", lambda d: (d.array(*d.shape()),), "..."),
    Row("row_sum_squares", lambda d: (d.array(*d.shape()),), "N ..."),
    Row("dropout", drawn.dropout, "N ... | - | - | -"),
    Row("dropout_backward", drawn.dropout, "N ... | - | - | -"),
    Row("upsample2x", lambda d: (drawn.image(d),), PIXEL),
    Row("upsample2x_backward", lambda d: (drawn.image(d, even=True),), PIXEL),
    Row("avgpool2x", lambda d: (drawn.image(d, even=True),), PIXEL),
    Row("avgpool2x_backward", lambda d: (drawn.image(d),), PIXEL),
    Row("pad", drawn.pad, f"{PIXEL} | -"),
    Row("pad_backward", drawn.pad_backward, f"{PIXEL} | -"),
    Row("concat", drawn.concat, "... A | ... B"),
    Row("split", drawn.split, "N ... | -"),
    Row("gather_pixels", drawn.gather, f"{PIXEL} | N P"),
    Row("gather_pixels_backward", drawn.gather_backward, "N P C | N P | -"),
    Row("shift", drawn.shift, f"{PIXEL} | N -"),
    Row("flip", drawn.flip, f"{PIXEL} | N"),
    Row("cutout", drawn.cutout, f"{PIXEL} | N -"),
    Row("colour", drawn.colour, f"{PIXEL} | N | N | N"),
    Row("colour_backward", drawn.colour_backward, f"{PIXEL} | N | N"),
    Row("minibatch_stddev", drawn.stddev, f"{PIXEL} | - | -"),
    Row("minibatch_stddev_backward", drawn.stddev_backward, "N H W - | N H W - | - | -"),
    Row("logit_loss/bce", drawn.logits("bce", 0.0, 1.0, 0.9), "N ... | - | -"),
    Row("logit_loss/one bce", drawn.one_logit("bce", 0.0, 1.0), "N ... | - | -"),
    Row("logit_loss/mse", drawn.logits("mse", 0.0, 1.0), "N ... | - | -"),
    Row("logit_loss/hinge", drawn.logits("hinge", 1.0, -1.0), "N ... | - | -"),
    Row("logit_loss/linear", drawn.logits("linear", 1.0, -1.0), "N ... | - | -"),
    Row("logit_loss/minimax", drawn.logits("minimax", 0.0), "N ... | - | -"),
    Row("softmax_cross_entropy", drawn.softmax, "N K | N"),
    Row("l1_loss", drawn.pair, "N ... | N ..."),
    Row("mse_loss", drawn.pair, "N ... | N ..."),
    Row("norm_loss", drawn.norms, "N ... | -"),
    Row("kl_gauss", drawn.kl, "N F | N F"),
    Row("adam_step", drawn.slabs(4, 0.5, 0.999, 1e-8), "... | ... | ... | ... | - | - | - | - | - | -"),
    Row("sgd_step", drawn.slabs(3, 0.9), "... | ... | ... | - | - | - | -"),
    Row("rmsprop_step", drawn.slabs(3, 0.9, 1e-8), "... | ... | ... | - | - | - | - | -"),
    Row("ema_update", drawn.ema, "... | ... | -"),
    Row("finite_flag", drawn.finite_flag, "- | -"),
    Row("clip_scale", drawn.clip_scale, "- | - | - | -"),
)
