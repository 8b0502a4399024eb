"""A critic of patches: a logit for each place of the picture, so that it judges textures and strokes, not the whole.

Source: Isola et al. 2017, arXiv:1611.07004, section 3.2.2 (PatchGAN); CycleGAN has it too, arXiv:1703.10593, 7.2.
"""

from minigan.config import Model
from minigan.errors import ShapeError
from minigan.models.init import make_init
from minigan.models.layers import Conv2d, Layer
from minigan.models.parts import NORMS_D
from minigan.models.shapes import Shape, make_act
from minigan.models.trees import Chain


def patch_critic(model: Model, shape: Shape) -> Chain:
    """(N,H,W,C) -> logits (N,P,Q,1), P = H / 2^len(widths_d): per width conv stride 2, model.norm_d from the second on,
    act_d; conv stride 1 to the logit. Raises ShapeError on a picture that is smaller than its halvings.
    """
    halvings = len(model.widths_d)
    if min(shape[:2]) < 2**halvings:
        raise ShapeError(
            f"pictures of {shape[0]}x{shape[1]} are smaller than D needs: its {halvings} halvings want "
            f"{2**halvings} pixels; give data.size, or fewer model.widths_d"
        )
    init, act = make_init(model.init, model.init_std), make_act(model.act_d, model.slope)
    first, *widths = model.widths_d
    d: list[Layer] = [Conv2d(first, model.kernel, 2, act=act, init=init)]
    for width in widths:
        if model.norm_d in NORMS_D:
            d += [Conv2d(width, model.kernel, 2, bias=False, init=init), NORMS_D[model.norm_d](model, act)]
        else:
            d.append(Conv2d(width, model.kernel, 2, act=act, init=init))
    return Chain(*d, Conv2d(1, model.kernel, 1, init=init))
