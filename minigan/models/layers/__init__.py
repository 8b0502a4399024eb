"""Layers: each knows its shapes, owns views of its parameters, and composes a backend's ops. In families, as the ops.

forward returns (y, ctx); what backward needs is in ctx, an immutable value, and nowhere else, so a layer may run
forward on real, fake and mixed images before any backward. Data gradients are returned, parameter gradients are added.

The two tangent passes say how the two others move when x moves along tx: forward_tangent gives ty and a tctx, and
backward_tangent gives tdx and adds to dw how dw moves. docs/second-order.md derives them, layer by layer.
"""

from minigan.models.layers.base import DCGAN_NORMAL, MODES, How, Layer, Param, Straight, bent, or_zeros
from minigan.models.layers.conv import Conv2d, ConvTranspose2d
from minigan.models.layers.image import AvgPool2x, MinibatchStddev, Reshape, Upsample2x
from minigan.models.layers.label import ConcatLabel, ConditionalBatchNorm, Projection
from minigan.models.layers.linear import Embedding, Linear
from minigan.models.layers.norm import BatchNorm, InstanceNorm, LayerNorm
from minigan.models.layers.pointwise import Activation, Dropout

__all__ = [
    "DCGAN_NORMAL",
    "MODES",
    "Activation",
    "AvgPool2x",
    "BatchNorm",
    "ConcatLabel",
    "ConditionalBatchNorm",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Embedding",
    "How",
    "InstanceNorm",
    "Layer",
    "LayerNorm",
    "Linear",
    "MinibatchStddev",
    "Param",
    "Projection",
    "Reshape",
    "Straight",
    "Upsample2x",
    "bent",
    "or_zeros",
]
