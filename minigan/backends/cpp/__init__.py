"""The C++ backend: the oracle's functions on float32, C-contiguous host arrays (labels int32).

Same signatures, same meaning: backends/oracle says what each one computes, in families of the same names. The kernels
live in csrc/, once per instruction set: MINIGAN_ISA forces one, MINIGAN_NUM_THREADS sets the threads; both are read
when this package is imported. Results are the same bits for any number of threads. What arguments must be is said by
backends/checks, in a ShapeError. Beside the oracle's functions it has `chosen` and `by`: which implementation serves
a convolution, and one call by another; and `work_of`: what a convolution really does.
"""

from minigan.backends.cpp import table
from minigan.backends.cpp.conv import bias_grad, conv2d, conv2d_dgrad, conv2d_wgrad, prepare, prepare_image
from minigan.backends.cpp.conv import by as by
from minigan.backends.cpp.conv import chosen as chosen
from minigan.backends.cpp.conv import image_by as image_by
from minigan.backends.cpp.conv import prepare_by as prepare_by
from minigan.backends.cpp.image import (
    avgpool2x,
    avgpool2x_backward,
    colour,
    colour_backward,
    concat,
    cutout,
    flip,
    gather_pixels,
    gather_pixels_backward,
    minibatch_stddev,
    minibatch_stddev_backward,
    pad,
    pad_backward,
    shift,
    split,
    upsample2x,
    upsample2x_backward,
)
from minigan.backends.cpp.linear import embedding, embedding_backward, linear, linear_dgrad, linear_wgrad
from minigan.backends.cpp.loss import kl_gauss, l1_loss, logit_loss, mse_loss, norm_loss, softmax_cross_entropy
from minigan.backends.cpp.norm import (
    batchnorm,
    batchnorm_backward,
    batchnorm_running,
    batchnorm_running_backward,
    instancenorm,
    instancenorm_backward,
    instancenorm_backward_tangent,
    instancenorm_tangent,
    layernorm,
    layernorm_backward,
    layernorm_backward_tangent,
    layernorm_tangent,
    running_update,
)
from minigan.backends.cpp.optim import adam_step, clip_scale, ema_update, finite_flag, rmsprop_step, sgd_step
from minigan.backends.cpp.plumbing import asarray, copyto, empty, synchronize, to_numpy, zeros
from minigan.backends.cpp.pointwise import (
    activation,
    activation_backward,
    activation_backward_tangent,
    add_scaled,
    axpby,
    clip,
    exp,
    mean,
    mul,
    row_sum_squares,
    scale,
    sum_squares,
)
from minigan.backends.cpp.random import dropout, dropout_backward
from minigan.backends.cpp.work import work_of as work_of

NAME, ISA, BUILD = "cpp", table.ISA, table.BUILD

__all__ = [
    "activation",
    "activation_backward",
    "activation_backward_tangent",
    "adam_step",
    "add_scaled",
    "asarray",
    "avgpool2x",
    "avgpool2x_backward",
    "axpby",
    "batchnorm",
    "batchnorm_backward",
    "batchnorm_running",
    "batchnorm_running_backward",
    "bias_grad",
    "clip",
    "clip_scale",
    "colour",
    "colour_backward",
    "concat",
    "conv2d",
    "conv2d_dgrad",
    "conv2d_wgrad",
    "copyto",
    "cutout",
    "dropout",
    "dropout_backward",
    "ema_update",
    "embedding",
    "embedding_backward",
    "empty",
    "exp",
    "finite_flag",
    "flip",
    "gather_pixels",
    "gather_pixels_backward",
    "instancenorm",
    "instancenorm_backward",
    "instancenorm_backward_tangent",
    "instancenorm_tangent",
    "kl_gauss",
    "l1_loss",
    "layernorm",
    "layernorm_backward",
    "layernorm_backward_tangent",
    "layernorm_tangent",
    "linear",
    "linear_dgrad",
    "linear_wgrad",
    "logit_loss",
    "mean",
    "minibatch_stddev",
    "minibatch_stddev_backward",
    "mse_loss",
    "mul",
    "norm_loss",
    "pad",
    "pad_backward",
    "prepare",
    "prepare_image",
    "rmsprop_step",
    "row_sum_squares",
    "running_update",
    "scale",
    "sgd_step",
    "shift",
    "softmax_cross_entropy",
    "split",
    "sum_squares",
    "synchronize",
    "to_numpy",
    "upsample2x",
    "upsample2x_backward",
    "zeros",
]
