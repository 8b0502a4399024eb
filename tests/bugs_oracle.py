"""Seeded bugs in ops: file -> (what is wrong, the text that stands there once, what it becomes, checks that see it)."""

Row = tuple[str, str, str, tuple[str, ...]]

BUGS: dict[str, list[Row]] = {
    "backends/oracle/conv.py": [
        (
            "windows walk with the strides of height and width swapped",
            "i : i + (p - 1) * sh + 1 : sh, j : j + (q - 1) * sw + 1 : sw",
            "i : i + (p - 1) * sw + 1 : sw, j : j + (q - 1) * sh + 1 : sh",
            (
                "gradcheck: conv2d.ragged",
                "naive: conv2d",
                "layers: shapes[valid]",
            ),
        ),
        (
            "forward skips the bias",
            ("        y += b"),
            ("        y += 0 * b"),
            (
                "gradcheck: conv2d.same",
                "naive: conv2d",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "forward flips the kernel",
            "y += _rows(window) @ w[i, j]",
            "y += _rows(window) @ w[-1 - i, -1 - j]",
            (
                "gradcheck: conv2d.same",
                "naive: conv2d",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "data gradient does not transpose w",
            "(_rows(dy) @ w[i, j].T)",
            "(_rows(dy) @ w[i, j].reshape(w.shape[3], w.shape[2]))",
            (
                "gradcheck: conv2d_dgrad.same",
                "naive: conv2d_dgrad",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "data gradient flips the kernel",
            "@ w[i, j].T)",
            "@ w[-1 - i, -1 - j].T)",
            (
                "gradcheck: conv2d_dgrad.same",
                "naive: conv2d_dgrad",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "data gradient overwrites instead of adding",
            "        window += (_rows(dy)",
            "        window[...] = (_rows(dy)",
            (
                "gradcheck: conv2d_dgrad.same",
                "naive: conv2d_dgrad",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "data gradient is cut one row off",
            "dx = padded[:, top : top + h, left",
            "dx = padded[:, bottom : bottom + h, left",
            (
                "gradcheck: conv2d_dgrad.same",
                "naive: conv2d_dgrad",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "data gradient forgets the remainder rows",
            "padded = np.zeros((dy.shape[0], h + top + bottom,",
            "padded = np.zeros((dy.shape[0], dy.shape[1] * stride[0] + top + bottom,",
            (
                "gradcheck: conv2d_dgrad.drawn",
                "naive: conv2d_dgrad",
                "layers: shapes[valid]",
            ),
        ),
        (
            "transposed convolution forgets its bias",
            "dx = dx + b",
            "dx = dx + 0 * b",
            (
                "gradcheck: conv2d_dgrad.same",
                "naive: conv2d_dgrad",
            ),
        ),
        (
            "weight gradient overwrites instead of adding",
            "dw[i, j] += _rows",
            "dw[i, j] = _rows",
            (
                "gradcheck: conv2d.same",
                "naive: conv2d_wgrad",
                "wiring: real_and_fake_gradients_of_d_accumulate",
            ),
        ),
        (
            "weight gradient's sign",
            "dw[i, j] += _rows",
            "dw[i, j] -= _rows",
            (
                "gradcheck: conv2d.same",
                "naive: conv2d_wgrad",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "weight gradient pads top and bottom the wrong way round",
            "_windows(_pad(x, padding), dw",
            "_windows(_pad(x, (padding[0][::-1], padding[1])), dw",
            (
                "gradcheck: conv2d.same",
                "naive: conv2d_wgrad",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "weight gradient flips the kernel",
            "dw[i, j] +=",
            "dw[-1 - i, -1 - j] +=",
            (
                "gradcheck: conv2d.same",
                "naive: conv2d_wgrad",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "bias gradient of a convolution lost",
            ("    if db is not None:\n        bias_grad(dy, db)"),
            ("    if db is not None:\n        bias_grad(0 * dy, db)"),
            (
                "gradcheck: conv2d.same",
                "naive: conv2d_wgrad",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "bias gradient overwrites instead of adding",
            "db += _rows(dy).sum(axis=0)",
            "db[...] = _rows(dy).sum(axis=0)",
            (
                "gradcheck: conv2d.same",
                "naive: bias_grad",
                "wiring: real_and_fake_gradients_of_d_accumulate",
            ),
        ),
        (
            "bias gradient is a mean",
            "db += _rows(dy).sum(axis=0)",
            "db += _rows(dy).mean(axis=0)",
            (
                "gradcheck: conv2d.same",
                "naive: bias_grad",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
    ],
    "backends/oracle/linear.py": [
        (
            "data gradient does not transpose w",
            "return dy @ w.T",
            "return dy @ w.reshape(w.shape[::-1])",
            (
                "gradcheck: linear_dgrad",
                "naive: linear_dgrad",
            ),
        ),
        (
            "weight gradient's sign",
            "dw += x.T @ dy",
            "dw -= x.T @ dy",
            (
                "gradcheck: linear",
                "naive: linear_wgrad",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "weight gradient overwrites instead of adding",
            "dw += x.T @ dy",
            "dw[...] = x.T @ dy",
            (
                "gradcheck: linear",
                "naive: linear_wgrad",
                "wiring: real_and_fake_gradients_of_d_accumulate",
            ),
        ),
        (
            "weight gradient divided by N",
            "dw += x.T @ dy",
            "dw += x.T @ dy / len(x)",
            (
                "gradcheck: linear",
                "naive: linear_wgrad",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "bias gradient lost",
            "db += dy.sum(axis=0)",
            "db += 0 * dy.sum(axis=0)",
            (
                "gradcheck: linear",
                "naive: linear_wgrad",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "forward adds no bias",
            "y if b is None else y + b",
            "y",
            (
                "gradcheck: linear",
                "naive: linear",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "repeated labels count once",
            "np.add.at(dw, labels, dy)",
            "dw[labels] += dy",
            (
                "gradcheck: embedding",
                "naive: embedding_backward",
            ),
        ),
        (
            "each label gives the row before its own",
            "return w[labels]",
            "return w[labels - 1]",
            (
                "gradcheck: embedding",
                "layers: embedding_shapes",
            ),
        ),
    ],
    "backends/oracle/norm.py": [
        (
            "missing mean term of dx",
            "return (t - t.mean(axis=axes, keepdims=True) -",
            "return (t -",
            (
                "gradcheck: batchnorm.features",
                "naive: batchnorm_backward",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "missing variance term of dx",
            " - xhat * (t * xhat).mean(axis=axes, keepdims=True)) * inv",
            ") * inv",
            (
                "gradcheck: batchnorm.features",
                "naive: batchnorm_backward",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "dx not divided by the deviation",
            "keepdims=True)) * inv",
            "keepdims=True))",
            (
                "gradcheck: batchnorm.features",
                "naive: batchnorm_backward",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "dx forgets gamma",
            "return _along(gamma * _wide(dy), xhat",
            "return _along(1.0 * _wide(dy), xhat",
            (
                "gradcheck: batchnorm.features",
                "naive: batchnorm_backward",
            ),
        ),
        (
            "dgamma's sign",
            "dgamma += (dy * xhat).sum",
            "dgamma -= (dy * xhat).sum",
            (
                "gradcheck: batchnorm.features",
                "naive: batchnorm_backward",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "dbeta overwrites instead of adding",
            "dbeta += _wide(dy)",
            "dbeta[...] = _wide(dy)",
            (
                "gradcheck: batchnorm.features",
                "naive: batchnorm_backward",
                "wiring: real_and_fake_gradients_of_d_accumulate",
            ),
        ),
        (
            "dgamma is a mean",
            ("    axes = _batch_axes(dy)\n    dgamma += (dy * xhat).sum(axis=axes)"),
            ("    axes = _batch_axes(dy)\n    dgamma += (dy * xhat).mean(axis=axes)"),
            (
                "gradcheck: batchnorm.features",
                "naive: batchnorm_backward",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "eps is lost in backward",
            ("    inv = 1 / np.sqrt(_wide(var) + eps)\n    xhat = (x - _wide(mean)) * inv\n    xhat"),
            ("    inv = 1 / np.sqrt(_wide(var))\n    xhat = (x - _wide(mean)) * inv\n    xhat"),
            (
                "gradcheck: batchnorm.features",
                "naive: batchnorm_backward",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "batchnorm's backward groups by sample",
            "eps, _batch_axes(x), dgamma",
            "eps, _layer_axes(x), dgamma",
            (
                "gradcheck: batchnorm.features",
                "naive: batchnorm_backward",
                "wiring: batchnorm_backward_matches_its_forward_in_every_mode",
            ),
        ),
        (
            "running mode's backward forgets gamma",
            "(dy * (gamma * inv))",
            "(dy * inv)",
            (
                "gradcheck: batchnorm_running",
                "naive: batchnorm_running_backward",
            ),
        ),
        (
            "layernorm's backward groups by channel",
            "var.reshape(one), eps, _layer_axes(x), dgamma",
            "var.reshape(one), eps, _instance_axes(x), dgamma",
            (
                "gradcheck: layernorm.features",
                "naive: layernorm_backward",
            ),
        ),
        (
            "instancenorm's backward groups by sample",
            "return _backward(dy, x, gamma, mean, var, eps, _instance_axes(x), dgamma",
            "return _backward(dy, x, gamma, mean, var, eps, _layer_axes(x), dgamma",
            (
                "gradcheck: instancenorm",
                "naive: instancenorm_backward",
            ),
        ),
        (
            "running statistics keep 1 - momentum",
            "state *= state.dtype.type(momentum)",
            "state *= state.dtype.type(1 - momentum)",
            (
                "naive: running_update",
                "layers: batchnorm_modes",
            ),
        ),
    ],
    "backends/oracle/pointwise.py": [
        (
            "e^x of the wrong sign",
            "return np.exp(x)",
            "return np.exp(-x)",
            ("naive: exp", "gradcheck: exp"),
        ),
        (
            "tanh' is 1 - y",
            "(1 - y) * (1 + y)",
            "(1 - y) * 1",
            (
                "gradcheck: batchnorm.features",
                "naive: activation_backward/smooth",
                "wiring: g_gradient_is_that_of_its_loss_through_d",
            ),
        ),
        (
            "sigmoid' is y",
            "lambda y, slope: y * (1 - y)",
            "lambda y, slope: y * 1",
            (
                "gradcheck: activation.sigmoid",
                "naive: activation_backward/smooth",
            ),
        ),
        (
            "relu' is 1 below zero",
            "lambda y, slope: _step(y, 0.0)",
            "lambda y, slope: _step(y, 1.0)",
            (
                "gradcheck: activation.relu",
                "naive: activation_backward",
            ),
        ),
        (
            "leaky_relu' ignores its slope",
            "lambda y, slope: _step(y, slope)",
            "lambda y, slope: _step(y, 0.0)",
            (
                "gradcheck: activation.leaky_relu",
                "naive: activation_backward",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "activation's gradient lost",
            "return dy if act is None else dy *",
            "return dy if act is None else 1 *",
            (
                "gradcheck: activation.relu",
                "naive: activation_backward",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "axpby adds x twice",
            "x.dtype.type(beta) * y",
            "x.dtype.type(beta) * x",
            (
                "gradcheck: axpby",
                "naive: axpby",
                "wiring: loss_values_and_slopes_by_hand",
            ),
        ),
        (
            "the penalty's gradient overwrites",
            "dp += dp.dtype",
            "dp[...] = dp.dtype",
            (
                "naive: add_scaled",
                "wiring: d_gradient_is_that_of_its_loss",
                "layers: lambda_theta_squared_touches_weights_alone",
            ),
        ),
    ],
    "backends/oracle/image.py": [
        (
            "upsampling's gradient is a mean",
            "return _blocks(dy).sum(axis=(2, 4))",
            "return _blocks(dy).mean(axis=(2, 4))",
            (
                "gradcheck: upsample2x",
                "naive: upsample2x_backward",
            ),
        ),
        (
            "pooling's gradient is not divided by 4",
            "upsample2x(dy) * dy.dtype.type(0.25)",
            "upsample2x(dy) * dy.dtype.type(1.0)",
            (
                "gradcheck: avgpool2x",
                "naive: avgpool2x_backward",
            ),
        ),
        (
            "padding's gradient is cut at the other end",
            "dy[:, top:h, left:w]",
            "dy[:, bottom : bottom + h - top, left:w]",
            (
                "gradcheck: pad",
                "naive: pad_backward",
            ),
        ),
        (
            "split gives the second part first",
            "return x[..., :first].copy(), x[..., first:].copy()",
            "return x[..., -first:].copy(), x[..., :-first].copy()",
            (
                "gradcheck: split",
                "naive: split",
            ),
        ),
        (
            "a pixel gathered twice counts once",
            "np.add.at(dx, (n, index[n, p]), dy[n, p])",
            "dx[n, index[n, p]] = dy[n, p]",
            (
                "gradcheck: gather_pixels",
                "naive: gather_pixels_backward",
            ),
        ),
        (
            "colour's gradient ignores contrast",
            "return _colour_linear(dy, saturation, contrast)",
            "return _colour_linear(dy, saturation, saturation)",
            (
                "gradcheck: colour",
                "naive: colour_backward",
            ),
        ),
        (
            "shift moves the other way",
            "rows = np.arange(h) - by[:, :1]",
            "rows = np.arange(h) + by[:, :1] * np.sign(by[:, :1])",
            (
                "gradcheck: shift",
                "naive: shift",
            ),
        ),
        (
            "minibatch deviation's gradient lost",
            "return dy[..., :-1] + dx.reshape",
            "return dy[..., :-1] + 0 * dx.reshape",
            (
                "gradcheck: minibatch_stddev",
                "naive: minibatch_stddev_backward",
            ),
        ),
        (
            "minibatch deviation's gradient has the wrong 1/N",
            "(group * deviation[0].size *",
            "(deviation[0].size *",
            (
                "gradcheck: minibatch_stddev",
                "naive: minibatch_stddev_backward",
            ),
        ),
    ],
    "backends/oracle/random.py": [
        (
            "backward draws another mask",
            "return dy * _kept(dy.shape, rate, clock, offset, dy.dtype)",
            "return dy * _kept(dy.shape, rate, clock, offset + 1, dy.dtype)",
            (
                "gradcheck: dropout",
                "naive: dropout_backward",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "backward does not scale",
            "return dy * _kept(dy.shape, rate, clock, offset, dy.dtype)",
            "return dy * (_kept(dy.shape, rate, clock, offset, dy.dtype) > 0)",
            (
                "gradcheck: dropout",
                "naive: dropout_backward",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
    ],
    "backends/oracle/loss.py": [
        (
            "logit losses' gradient has no 1/N",
            "(derivative(x, t) / x.dtype.type(x.size))",
            "(derivative(x, t) / x.dtype.type(1))",
            (
                "gradcheck: logit_loss.bce0",
                "naive: logit_loss/bce",
                "wiring: loss_values_and_slopes_by_hand",
            ),
        ),
        (
            "bce's sign",
            "(1 - t) * sigmoid(x) - t * sigmoid(-x)",
            "(1 - t) * sigmoid(x) + t * sigmoid(-x)",
            (
                "gradcheck: logit_loss.bce1",
                "naive: logit_loss/bce",
                "wiring: loss_values_and_slopes_by_hand",
            ),
        ),
        (
            "mse's gradient lost its 2",
            "lambda x, t: 2 * (x - t)",
            "lambda x, t: 1 * (x - t)",
            (
                "gradcheck: logit_loss.mse",
                "naive: logit_loss/mse",
                "wiring: loss_values_and_slopes_by_hand",
            ),
        ),
        (
            "hinge's margin at 0",
            "lambda x, t: np.where(_real(t * x) >= 1, 0, np.where",
            "lambda x, t: np.where(_real(t * x) >= 0, 0, np.where",
            (
                "gradcheck: logit_loss.hinge+",
                "naive: logit_loss/hinge",
                "wiring: loss_values_and_slopes_by_hand",
            ),
        ),
        (
            "minimax' sign",
            "lambda x, t: -sigmoid(x)",
            "lambda x, t: sigmoid(x)",
            (
                "gradcheck: logit_loss.minimax",
                "naive: logit_loss/minimax",
                "wiring: loss_values_and_slopes_by_hand",
            ),
        ),
        (
            "linear's sign",
            "lambda x, t: t + 0 * x",
            "lambda x, t: -t + 0 * x",
            (
                "gradcheck: logit_loss.linear",
                "naive: logit_loss/linear",
                "wiring: loss_values_and_slopes_by_hand",
            ),
        ),
        (
            "cross entropy forgets the label",
            "dx[rows, labels] -= 1",
            "dx[rows, labels] -= 0",
            (
                "gradcheck: softmax_cross_entropy",
                "naive: softmax_cross_entropy",
            ),
        ),
        (
            "cross entropy's gradient has no 1/N",
            "return _mean(loss), dx / x.dtype.type(x.shape[0])",
            "return _mean(loss), dx",
            (
                "gradcheck: softmax_cross_entropy",
                "naive: softmax_cross_entropy",
            ),
        ),
        (
            "l1's sign",
            "np.sign(_real(d))",
            "np.sign(-_real(d))",
            (
                "gradcheck: l1_loss",
                "naive: l1_loss",
            ),
        ),
        (
            "mse's gradient lost its 2",
            "2 * d / x.dtype.type(x.size)",
            "1 * d / x.dtype.type(x.size)",
            (
                "gradcheck: mse_loss",
                "naive: mse_loss",
            ),
        ),
        (
            "the divergence forgets the - 1",
            "0.5 * beyond / n",
            "0.5 * (beyond + 1) / n",
            (
                "gradcheck: kl_gauss",
                "naive: kl_gauss",
            ),
        ),
    ],
    "backends/oracle/optim.py": [
        (
            "Adam without bias correction",
            "p -= lr * (m * c1)",
            "p -= lr * m",
            (
                "naive: adam_step",
                "layers: update_rules_by_hand[adam]",
            ),
        ),
        (
            "Adam's v holds g, not g squared",
            "v[...] = f(beta2) * v + f(1 - beta2) * g * g",
            "v[...] = f(beta2) * v + f(1 - beta2) * abs(g)",
            (
                "naive: adam_step",
                "layers: update_rules_by_hand[adam]",
            ),
        ),
        (
            "Adam's m decays by beta2",
            "m[...] = f(beta1) * m",
            "m[...] = f(beta2) * m",
            (
                "naive: adam_step",
                "layers: update_rules_by_hand[adam]",
            ),
        ),
        (
            "Adam forgets decoupled decay",
            (
                "    m[...] = f(beta1) * m + f(1 - beta1) * g\n"
                "    v[...] = f(beta2) * v + f(1 - beta2) * g * g\n"
                "    p -= lr * f(decay) * p"
            ),
            (
                "    m[...] = f(beta1) * m + f(1 - beta1) * g\n"
                "    v[...] = f(beta2) * v + f(1 - beta2) * g * g\n"
                "    p -= 0 * p"
            ),
            (
                "naive: adam_step",
                "layers: update_rules_by_hand[adam]",
            ),
        ),
        (
            "SGD's momentum damps the gradient",
            "m[...] = f(momentum) * m + dp",
            "m[...] = f(momentum) * m + (1 - f(momentum)) * dp",
            (
                "naive: sgd_step",
                "layers: update_rules_by_hand[sgd]",
            ),
        ),
        (
            "RMSProp forgets the root",
            "p -= lr * g / (np.sqrt(v) + f(eps))",
            "p -= lr * g / (v + f(eps))",
            (
                "naive: rmsprop_step",
                "layers: update_rules_by_hand[rmsprop]",
            ),
        ),
        (
            "the average keeps 1 - decay",
            "    state *= decay",
            "    state *= 1 - decay",
            (
                "naive: ema_update",
                "wiring: ema_follows_g",
            ),
        ),
        (
            "NaN does not raise the flag",
            "if not np.isfinite(value):",
            "if np.isposinf(value):",
            (
                "naive: finite_flag",
                "wiring: nan_in_a_batch_never_reaches_the_weights",
                "layers: guard_clips_long_gradients_alone_and_sees_nan",
            ),
        ),
        (
            "clipping by the squared norm",
            "norm = np.sqrt(norm2)",
            "norm = norm2",
            (
                "naive: clip_scale",
                "wiring: gradient_norm_clipping_shortens_the_step",
                "layers: guard_clips_long_gradients_alone_and_sees_nan",
            ),
        ),
        (
            "Adam updates in spite of NaN",
            ("        return\n    f = p.dtype.type\n    lr, c1"),
            ("        pass\n    f = p.dtype.type\n    lr, c1"),
            (
                "layers: a_bad_flag_stops_every_rule[adam]",
                "wiring: nan_in_a_batch_never_reaches_the_weights",
            ),
        ),
        (
            "SGD does not clip",
            "m + dp * clock[CLIP + slot]",
            "m + dp",
            (
                "layers: clipping_scales_the_update",
                "wiring: gradient_norm_clipping_shortens_the_step",
            ),
        ),
    ],
}
