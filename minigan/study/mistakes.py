"""What usually goes wrong when an op, a layer, a loss or a penalty is written by hand.

docs/seeded-bugs.md lists bugs of these kinds, and the checks that see them.
"""

_ADDS = "dw = where dw += is meant: D's pass on generated samples then overwrites what the real ones gave"
_TWICE = "a parameter gradient that is added twice, or in a pass that need_dw = False forbids"
_BEFORE = "dy is taken after the activation: activation_backward comes first"
_UPSTREAM = "dy is left out, as if it were 1; that is right only where a loss follows at once"
_PAIRED = ("an index that the forward pass uses and the backward pass computes anew, differently", _UPSTREAM)
_SHARE = "the mean's 1/N is forgotten in the gradient, or divided by twice: the learning rate then depends on the batch"
_NORM = (
    "mean and var are held constant in dx: the two subtracted means are missing, and dx points elsewhere",
    "the variance is divided by M - 1 in one pass and by M in the other",
    "eps is added outside the root, or in one pass only",
    "sums are taken in float32 as E[x^2] - E[x]^2, which loses all digits at mean 1000 and std 1",
)
_GROUP = (
    "means are taken over the wrong axes: batchnorm all but the last, layernorm all but the first, instancenorm between"
)
_TANGENT = (
    "only dy moves: the part that comes from x moving (and with it x^, its deviation and dy's own factor) is missing",
    "the tangent of b or beta is not zero: they are constants along tx, so ty has no bias",
)
_CONV = (
    "kernel turned by 180 degrees: a cross-correlation's data gradient turns it, its forward pass does not",
    "padding off by one: Keras' same puts the odd row at the bottom and right (28 -> 14 with 5x5 pads 1 and 2)",
    "with a stride, the last rows that no tap reaches get a gradient, or H is worked out from P, too small",
)
_CLOCK = (
    "a rate is baked into the call: read it from the clock, or a recorded step repeats the first one's rate for ever"
)

OPS: dict[str, tuple[str, ...]] = {
    "linear": ("w is laid out (O,I), as PyTorch has it, and read as (I,O); where I = O nothing complains",),
    "linear_dgrad": ("dx = dy w for dy w^T: where I = O the shapes fit, and the gradient is wrong", _BEFORE),
    "linear_wgrad": (_ADDS, "db is the mean of dy over the batch instead of its sum", _BEFORE),
    "conv2d": _CONV,
    "conv2d_dgrad": (*_CONV, _BEFORE),
    "conv2d_wgrad": (
        _ADDS,
        "x is not padded as in the forward pass, so that the outer taps meet other pixels",
        _BEFORE,
    ),
    "bias_grad": (_ADDS, "the sum is over N alone and not over the pixels, or it is a mean"),
    "embedding": ("labels are taken for one-hot rows, or for floats",),
    "embedding_backward": ("dw[labels] += dy adds once where a label stands twice in a batch; np.add.at adds each",),
    "activation": ("a NaN becomes 0 in max(x, 0), and a broken run looks healthy",),
    "activation_backward": (
        "act' is written in x but given y: tanh' is (1-y)(1+y), sigmoid' is y(1-y)",
        "leaky_relu's slope is lost where y <= 0, or is negative, so that y's sign no longer tells x's",
        _UPSTREAM,
    ),
    "activation_backward_tangent": (
        "only dy moves: dy act''(x) tx is missing, which tanh and sigmoid have",
        "the curvature is by x where ty is by y: tanh -2 y, sigmoid 1 - 2 y",
    ),
    "axpby": ("x is changed in place, though another pass still needs it",),
    "add_scaled": (
        "lambda ||theta||^2 has the gradient 2 lambda theta, not lambda theta; biases and norms are left out",
    ),
    "mul": ("the gradient by one factor is dy times that factor instead of the other",),
    "scale": ("its gradient is scaled by 1 / alpha",),
    "exp": ("its gradient is taken at y instead of being y",),
    "clip": ("gradients are clipped where weights are meant, or the other way round", "a NaN is clipped to a number"),
    "mean": (_SHARE,),
    "sum_squares": ("the 2 of its gradient 2 x is lost",),
    "row_sum_squares": (
        "the norm over the whole batch is taken where that of each sample is meant (gradient penalties)",
    ),
    "dropout": ("kept values are not divided by 1 - rate, so that sampling sees other sizes than training did",),
    "dropout_backward": ("a new mask is drawn in backward; it must be the forward pass' own",),
    "batchnorm": (*_NORM, _GROUP),
    "batchnorm_backward": (*_NORM, _GROUP),
    "batchnorm_running": ("running statistics are used while training: then nothing holds the batch's scale",),
    "batchnorm_running_backward": (
        "the batch's dx is used: running statistics do not depend on x, so dx has one term",
    ),
    "running_update": (
        "momentum is the other one: here state <- momentum state + (1 - momentum) batch, PyTorch's is 1 - it",
    ),
    "layernorm": (*_NORM, _GROUP),
    "layernorm_backward": (*_NORM, "dgamma is summed over the norm's group instead of all axes but the last"),
    "layernorm_tangent": _TANGENT,
    "layernorm_backward_tangent": (
        *_TANGENT,
        "the growth of the deviation, q = mean(tx x^) / sqrt(var + eps), is missing",
    ),
    "instancenorm": (*_NORM, _GROUP),
    "instancenorm_backward": (*_NORM, "dgamma is summed over the norm's group instead of all axes but the last"),
    "instancenorm_tangent": _TANGENT,
    "instancenorm_backward_tangent": (
        *_TANGENT,
        "the growth of the deviation, q = mean(tx x^) / sqrt(var + eps), is missing",
    ),
    "upsample2x": ("rows are repeated as a whole, 0 1 0 1, instead of each one twice, 0 0 1 1",),
    "upsample2x_backward": ("the mean of each block is taken; the adjoint of copying is the sum",),
    "avgpool2x": ("an odd last row is dropped in silence",),
    "avgpool2x_backward": ("each pixel gets all of dy instead of a quarter",),
    "pad": ("(top, left) are swapped, or (before, after) of an axis",),
    "pad_backward": ("dy[top:-bottom] is empty where bottom = 0",),
    "concat": ("joined along the batch instead of the channels",),
    "split": ("a view is returned, which the next op writes through",),
    "gather_pixels": ("-1 reads the last pixel, as NumPy's indices do, instead of 0",),
    "gather_pixels_backward": ("dx[index] += dy adds once where a pixel was read twice",),
    "shift": ("the gradient is shifted the same way as the image; it goes back", "pixels wrap around the border"),
    "flip": ("channels are reversed, or rows, instead of columns",),
    "cutout": ("the gradient is not cut: what was hidden from D must not be told to G",),
    "colour": ("contrast scales about the batch's mean: then samples are coupled",),
    "colour_backward": ("the path through the mean is left out: grey is a function of x as well",),
    "minibatch_stddev": ("groups are strided (n % groups) in one pass and blocks (n // group) in the other",),
    "minibatch_stddev_backward": (
        "the plane's gradient is taken from one pixel: it is the sum over all of the group's",
    ),
    "logit_loss": (
        "a sigmoid before a loss that takes logits: it is applied twice, and the gradient shrinks to a quarter or less",
        "log(sigmoid(x)) is -inf at x = -104 in float32; softplus is not",
        _SHARE,
    ),
    "softmax_cross_entropy": ("the largest logit is not subtracted, and e^100 overflows", _SHARE),
    "l1_loss": ("the gradient is |d| / size instead of its sign", _SHARE),
    "mse_loss": ("the 2 of the derivative is lost, or size counts samples where it counts numbers", _SHARE),
    "norm_loss": (
        "the root's derivative at ||x|| = 0 is NaN; there is no direction, so it is 0",
        "the norm is taken over the batch instead of each sample",
    ),
    "kl_gauss": (
        "logvar is taken for the standard deviation, or its 1/2 is lost",
        "averaged over F, where F is summed",
    ),
    "adam_step": (
        "eps stands inside the root, or is added before the bias is corrected: then small steps differ",
        "the bias is corrected by t counted from 0: a division by zero",
        _CLOCK,
    ),
    "sgd_step": ("the learning rate is multiplied into m: a schedule then acts late", _CLOCK),
    "rmsprop_step": ("g is divided by v instead of its root", _CLOCK),
    "ema_update": ("decay and 1 - decay are swapped: the average is then the last step's weights", _CLOCK),
    "finite_flag": ("the flag is lowered by a later finite number, and the bad step is taken after all",),
    "clip_scale": (
        "the norm's square is compared with the limit",
        "a gradient that is short enough is stretched to it",
    ),
    "prepare_image": ("what was made of x is kept while x is overwritten",),
    "prepare": ("what was made of w is kept while the optimizer moves w",),
    "asarray": ("float64 of the host is passed on as it is, where a kernel reads float32",),
    "to_numpy": ("a view of memory that the next step writes is kept",),
    "copyto": ("an array is rebound (a = b) where its memory is meant: views and slabs do not follow",),
    "empty": ("it is read before it is written",),
    "zeros": ("zeros where a buffer to add to has something in it already",),
    "synchronize": ("times are taken without it: on a GPU only the launch is then measured",),
}

_CTX = "the context lives in the layer: D's pass on generated samples then overwrites that of the real ones"

LAYERS: dict[str, tuple[str, ...]] = {
    "Activation": ("it stands after a layer that has the same activation as its epilogue: then it is applied twice",),
    "AvgPool2x": ("a batch axis is pooled as well",),
    "BatchNorm": (
        "D's running statistics move while G learns (mode frozen is for that), or stand still for good",
        "sampling in mode batch: a picture then depends on which others are drawn with it",
        *_NORM,
    ),
    "ConcatLabel": ("the label's part of dy is thrown away, so that its embedding never learns",),
    "ConditionalBatchNorm": (
        "statistics are taken per class: they are the whole batch's, only gamma and beta are the class'",
    ),
    "Conv2d": (_CTX, _ADDS, *_CONV),
    "ConvTranspose2d": (
        "x and dy keep their places in conv2d_wgrad; the roles are turned, so they are swapped",
        "the output's size is not told: with stride 2, two sizes of H give the same P",
        _CTX,
    ),
    "Dropout": (
        "active while sampling",
        "the same mask in every pass of a step: real and generated batches need their own",
    ),
    "Embedding": ("a gradient for labels is computed; they have none",),
    "InstanceNorm": ("on 1x1 images every x^ is 0: nothing is left to learn from", _GROUP),
    "LayerNorm": ("over the channels alone, as transformers do; here over all axes but the batch", _GROUP),
    "Linear": (_CTX, _ADDS, "images are passed in without a Reshape"),
    "MinibatchStddev": (
        "samples of a real and a generated batch are mixed in one group",
        "used under a gradient penalty",
    ),
    "Projection": ("the rows' gradient goes to the rows of another batch's labels", _TWICE),
    "Reshape": ("axes are exchanged (transpose) where values must keep their order",),
    "Upsample2x": ("its backward pass takes the mean of each block instead of the sum",),
}

_WIRING = (
    "G's gradient stops at D's weights: dx of D must be computed though D does not learn (need_dx, not need_dw)",
    "D's weights move in G's step",
)

LOSSES: dict[str, tuple[str, ...]] = {
    "minimax": ("G's sign: it minimises -softplus(D(G(z))); a generator that maximises it makes D right", *_WIRING),
    "non-saturating": ("G's target is 0, as in D's loss: G then learns to be found out", *_WIRING),
    "least-squares": ("a sigmoid in D: targets 0 and 1 are for D's raw output", *_WIRING),
    "hinge": ("the hinge in G's loss as well: it is linear, or G stops learning once D(G(z)) > 1", *_WIRING),
    "wasserstein": (
        "no constraint on D (weight clip, penalty, spectral norm): the loss is then unbounded",
        "the sign of the two means is exchanged, and D and G learn each other's parts",
        *_WIRING,
    ),
    "relativistic": ("G's loss is held against a real batch that D did not see in this step", *_WIRING),
    "feature-matching": (
        "the mean of the squared differences is taken for the squared difference of the means",
        "D learns from the features' distance; it goes by its own loss",
    ),
}

_SECOND = (
    "g is treated as a constant: the penalty is then a number in the log, and D's gradient does not know of it",
    "the norm is taken over the batch instead of each sample",
    "batchnorm in D: a sample's gradient then depends on the others of its batch",
)

PENALTIES: dict[str, tuple[str, ...]] = {
    "wgan-gp": ("one share a for the whole batch instead of one for each pair", *_SECOND),
    "dragan": ("noise is added to generated samples instead of real ones", *_SECOND),
    "r1": ("the 1/2 of gamma / 2 ||g||^2 is counted twice or not at all; here f(r) = r^2 / 2", *_SECOND),
    "r2": ("taken at real samples, which is R1", *_SECOND),
    "r1+r2": ("the two are averaged instead of added", *_SECOND),
}
