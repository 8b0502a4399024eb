"""The CUDA backend: the oracle's functions on float32, C-contiguous arrays on an NVIDIA GPU (labels int32).

Same signatures, same meaning: backends/oracle says what each one computes, in families of the same names. The kernels
are written in Python, for Numba-CUDA, and are launched by launch.py on arrays of CuPy (device.py). Results are the same
bits from run to run. NUMBA_ENABLE_CUDASIM=1 runs the kernels in Numba's simulator, on host arrays and without a GPU:
slow, and made for tests. What arguments must be is said by backends/checks, in a ShapeError.

Raises BackendError on import, in one line, when something is missing for a kernel to run here.
"""

from minigan.backends.cuda import gate
from minigan.errors import BackendError

if _why := gate.missing():
    raise BackendError(f"backend 'cuda' needs {_why}")

from minigan.backends.cuda._numba import SIMULATED as SIMULATED
from minigan.backends.cuda.augment import (
    colour,
    colour_backward,
    cutout,
    flip,
    gather_pixels,
    gather_pixels_backward,
    shift,
)
from minigan.backends.cuda.choice import chosen as chosen
from minigan.backends.cuda.choice import require as require
from minigan.backends.cuda.conv import bias_grad, conv2d, conv2d_dgrad, conv2d_wgrad
from minigan.backends.cuda.embedding import embedding, embedding_backward
from minigan.backends.cuda.facts import BUILD as BUILD
from minigan.backends.cuda.facts import isa
from minigan.backends.cuda.forced import PLANNED as PLANNED
from minigan.backends.cuda.forced import by as by
from minigan.backends.cuda.forced import image_by as image_by
from minigan.backends.cuda.forced import prepare_by as prepare_by
from minigan.backends.cuda.image import (
    avgpool2x,
    avgpool2x_backward,
    concat,
    pad,
    pad_backward,
    split,
    upsample2x,
    upsample2x_backward,
)
from minigan.backends.cuda.layernorm import layernorm, layernorm_backward
from minigan.backends.cuda.linear import linear, linear_dgrad, linear_wgrad
from minigan.backends.cuda.loss import kl_gauss, l1_loss, logit_loss, mse_loss, norm_loss, softmax_cross_entropy
from minigan.backends.cuda.norm import (
    batchnorm,
    batchnorm_backward,
    batchnorm_running,
    batchnorm_running_backward,
    instancenorm,
    instancenorm_backward,
    running_update,
)
from minigan.backends.cuda.norm_tangent import (
    instancenorm_backward_tangent,
    instancenorm_tangent,
    layernorm_backward_tangent,
    layernorm_tangent,
)
from minigan.backends.cuda.optim import adam_step, clip_scale, ema_update, finite_flag, rmsprop_step, sgd_step
from minigan.backends.cuda.plumbing import asarray, copyto, empty, prepare, prepare_image, synchronize, to_numpy, zeros
from minigan.backends.cuda.plumbing import graphs as graphs
from minigan.backends.cuda.plumbing import span as span
from minigan.backends.cuda.pointwise import (
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
from minigan.backends.cuda.random import dropout, dropout_backward
from minigan.backends.cuda.report import describe as describe
from minigan.backends.cuda.stddev import minibatch_stddev, minibatch_stddev_backward
from minigan.backends.cuda.work import work_of as work_of
from minigan.backends.plan_gpu import explain as explain

NAME, ISA = "cuda", isa()
LATE = True  # nobody waits for a step: its finite flag is read when a number of it is wanted

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
