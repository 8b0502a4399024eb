"""Seeded bugs in the tangent passes and the penalties; rows as in bugs_oracle.py."""

Row = tuple[str, str, str, tuple[str, ...]]


def _t(*rows: str) -> tuple[str, ...]:
    """Rows tangent.* of the gradient table."""
    return tuple(f"gradcheck: tangent.{row}" for row in rows)


def _p(*rows: str) -> tuple[str, ...]:
    """Rows penalty.* of the gradient table."""
    return tuple(f"gradcheck: penalty.{row}" for row in rows)


def _s(*tests: str) -> tuple[str, ...]:
    return tuple(f"second: {test}" for test in tests)


BUGS: dict[str, list[Row]] = {
    "backends/oracle/norm.py": [
        (
            "the tangent forgets gamma",
            "return (gamma * _along(_wide(tx)",
            "return (_along(_wide(tx)",
            ("gradcheck: layernorm_tangent.features", "naive: layernorm_tangent"),
        ),
        (
            "dx is turned with the statistics held: what the deviation's growth takes off is lost",
            "(tdx - growth * _along(g, xhat, inv, axes))",
            "tdx",
            ("gradcheck: layernorm_tangent.features", "naive: instancenorm_backward_tangent", *_t("LayerNorm")),
        ),
        (
            "the sign of the deviation's growth",
            "tdx - growth *",
            "tdx + growth *",
            ("gradcheck: layernorm_tangent.features", "naive: layernorm_backward_tangent"),
        ),
        (
            "x^ does not move in dx",
            "(tg - average(tg) - txhat * average(g * xhat) -",
            "(tg - average(tg) -",
            ("gradcheck: instancenorm_tangent", *_p("r1.dcgan.instance")),
        ),
        (
            "x^ does not move in the mean",
            "average(tg * xhat + g * txhat)",
            "average(tg * xhat)",
            ("gradcheck: layernorm_tangent.images", *_p("wgan-gp.mlp.layer")),
        ),
        (
            "x^ does not move in dgamma",
            "dgamma += (tdy * xhat + dy * txhat).sum",
            "dgamma += (tdy * xhat).sum",
            ("gradcheck: layernorm_tangent.images", "naive: layernorm_backward_tangent"),
        ),
        (
            "dbeta's tangent reads dy",
            "dbeta += _wide(tdy).sum",
            "dbeta += _wide(dy).sum",
            ("gradcheck: instancenorm_tangent", "naive: instancenorm_backward_tangent"),
        ),
        (
            "layernorm's tangent groups by channel",
            "return _tangent(tx, x, gamma, mean, var, eps, _layer_axes(x))",
            "return _tangent(tx, x, gamma, mean, var, eps, _instance_axes(x))",
            ("gradcheck: layernorm_tangent.images", "naive: layernorm_tangent"),
        ),
        (
            "instancenorm's tangent groups by sample",
            "return _tangent(tx, x, gamma, mean, var, eps, _instance_axes(x))",
            "return _tangent(tx, x, gamma, mean, var, eps, _layer_axes(x))",
            ("gradcheck: instancenorm_tangent", "naive: instancenorm_tangent"),
        ),
        (
            "layernorm's tangent of backward groups by channel",
            "return _backward_tangent(tdy, dy, tx, x, gamma, mean, var, eps, _layer_axes(x)",
            "return _backward_tangent(tdy, dy, tx, x, gamma, mean, var, eps, _instance_axes(x)",
            ("gradcheck: layernorm_tangent.images", "naive: layernorm_backward_tangent"),
        ),
        (
            "instancenorm's tangent of backward takes tdy for dy",
            "return _backward_tangent(tdy, dy, tx, x, gamma, mean, var, eps, _instance_axes(x)",
            "return _backward_tangent(dy, tdy, tx, x, gamma, mean, var, eps, _instance_axes(x)",
            ("gradcheck: instancenorm_tangent", "naive: instancenorm_backward_tangent"),
        ),
    ],
    "backends/oracle/pointwise.py": [
        (
            "the curvature's sign",
            "return tdx + dy * _CURV",
            "return tdx - dy * _CURV",
            ("gradcheck: activation_backward_tangent.tanh", "naive: activation_backward_tangent/smooth"),
        ),
        (
            "the curvature reads x for y",
            '"tanh": lambda y: -2 * y,',
            '"tanh": lambda y: -2 * np.tanh(y),',
            ("gradcheck: activation_backward_tangent.tanh", *_t("Linear.tanh")),
        ),
        (
            "sigmoid's curvature lost its 2",
            '"sigmoid": lambda y: 1 - 2 * y',
            '"sigmoid": lambda y: 1 - y',
            ("gradcheck: activation_backward_tangent.sigmoid", *_t("ConvTranspose2d.sigmoid")),
        ),
        (
            "tdx is not bent by the slope",
            "tdx = activation_backward(tdy, y, act)",
            "tdx = 1 * tdy",
            ("gradcheck: activation_backward_tangent.relu", "naive: activation_backward_tangent"),
        ),
    ],
    "backends/oracle/loss.py": [
        (
            "a norm of 0 is divided by",
            "2 - 2 / np.where(norm == 0, 1, norm)",
            "2 - 2 / norm",
            ("naive: norm_loss", *_s("a_gradient_of_zero_gives_numbers[wgan-gp]")),
        ),
        (
            "the norm's gradient lost its 2",
            "lambda norm: 2 - 2 / np",
            "lambda norm: 1 - 1 / np",
            ("gradcheck: norm_loss.one", *_s("a_linear_critic_by_hand[wgan-gp]")),
        ),
        (
            "the norms' gradient is divided by all elements",
            "x.dtype.type(x.shape[0]))\n    return _mean(value",
            "x.dtype.type(x.size))\n    return _mean(value",
            ("gradcheck: norm_loss.zero", "naive: norm_loss", *_p("r1.mlp.relu")),
        ),
        (
            "one norm for the whole batch",
            "norm = np.sqrt((rows * rows).sum(axis=1, keepdims=True))",
            "norm = np.sqrt((rows * rows).sum(keepdims=True))",
            ("gradcheck: norm_loss.one", "naive: norm_loss", *_p("wgan-gp.mlp.relu")),
        ),
    ],
    "models/layers/base.py": [
        (
            "the curvature meets y, not ty",
            "or_zeros(ops, tdy, dy), dy, y, ty, act)",
            "or_zeros(ops, tdy, dy), dy, y, y, act)",
            _t("Linear.tanh", "Activation.sigmoid") + _p("r2.mlp.tanh"),
        ),
        (
            "an activation is straight in the second order",
            "if act is not None and act.kind in CURVED:",
            "if act is None and tdy is None:",
            _t("Linear.tanh", "Conv2d.tanh") + _p("wgan-gp.dcgan.tanh"),
        ),
        (
            "a straight activation lets tdy pass unbent",
            "return None if tdy is None else ops.activation_backward(tdy, y, act)",
            "return tdy",
            _t("Linear.leaky_relu", "Activation.relu"),
        ),
        (
            "a layer without parameters sends dy back for tdy",
            "return None if tdy is None else self.backward(tdy, ctx)",
            "return None if tdy is None else self.backward(dy, ctx)",
            _t("Dropout", "Upsample2x", "AvgPool2x", "Reshape"),
        ),
    ],
    "models/layers/linear.py": [
        (
            "Linear's tangent adds the bias",
            "self.ops.linear(tx, self.w, None)",
            "self.ops.linear(tx, self.w, self.b)",
            _t("Linear") + _p("wgan-gp.mlp.relu"),
        ),
        (
            "Linear's tangent forgets its activation",
            "self.ops.activation_backward(self.ops.linear(tx, self.w, None), y, self.act)",
            "self.ops.linear(tx, self.w, None)",
            _t("Linear.leaky_relu") + _s("the_worked_example_of_the_docs"),
        ),
        (
            "Linear loses what tx does to dw",
            "self.ops.linear_wgrad(dy, tx, self.dw, None)",
            "self.ops.linear_wgrad(dy, 0 * tx, self.dw, None)",
            _t("Linear") + _s("a_linear_critic_by_hand[r1]", "the_worked_example_of_the_docs"),
        ),
        (
            "tx moves the bias",
            "self.ops.linear_wgrad(dy, tx, self.dw, None)",
            "self.ops.linear_wgrad(dy, tx, self.dw, self.db)",
            _t("Linear") + _s("a_linear_critic_by_hand[wgan-gp]"),
        ),
        (
            "Linear loses what tdy does to dw",
            "self.ops.linear_wgrad(tdy, x, self.dw, self.db)",
            "self.ops.linear_wgrad(0 * tdy, x, self.dw, self.db)",
            _t("Linear", "Chain.tanh") + _p("dragan.mlp.tanh"),
        ),
        (
            "Linear bends a dy that its slope has bent already",
            "bent(self.ops, tdy, dy, y, ty, self.act), self",
            "bent(self.ops, tdy, self.ops.activation_backward(dy, y, self.act), y, ty, self.act), self",
            _t("Linear.tanh") + _p("r1.mlp.tanh"),
        ),
        (
            "Linear sends dy back for tdy",
            "return self.ops.linear_dgrad(tdy, self.w)",
            "return self.ops.linear_dgrad(dy, self.w)",
            _t("Linear", "Chain.tanh"),
        ),
        (
            "Embedding's tangent adds nothing",
            "return None if tdy is None else self.backward(tdy, ctx, need_dx, need_dw)",
            "return None",
            _t("Embedding"),
        ),
        (
            "labels move",
            "return self.ops.zeros((len(ctx), self.features), self.w.dtype), None",
            "return self.ops.embedding(ctx, self.w), None",
            _t("Embedding"),
        ),
    ],
    "models/layers/conv.py": [
        (
            "Conv2d's tangent forgets its activation",
            (
                "ty = self.ops.conv2d(tx, self.w, None, self.stride, self.padding)\n"
                "        ty = self.ops.activation_backward(ty, y, self.act)"
            ),
            "ty = self.ops.conv2d(tx, self.w, None, self.stride, self.padding)",
            _t("Conv2d.leaky_relu") + _p("r1.dcgan.leaky_relu"),
        ),
        (
            "Conv2d's tangent swaps the paddings",
            "ty = self.ops.conv2d(tx, self.w, None, self.stride, self.padding)",
            "ty = self.ops.conv2d(tx, self.w, None, self.stride, self.padding[::-1])",
            _t("Conv2d.tanh"),
        ),
        (
            "Conv2d's weights meet x for tx",
            "self.ops.conv2d_wgrad(dy, tx, self.dw, None, self.stride, self.padding)",
            "self.ops.conv2d_wgrad(dy, x, self.dw, None, self.stride, self.padding)",
            _t("Conv2d.leaky_relu") + _p("wgan-gp.dcgan.leaky_relu"),
        ),
        (
            "Conv2d loses its bias in the second order",
            "self.ops.conv2d_wgrad(tdy, x, self.dw, self.db, self.stride, self.padding)",
            "self.ops.conv2d_wgrad(tdy, x, self.dw, None, self.stride, self.padding)",
            _t("Conv2d.tanh") + _p("r2.dcgan.tanh"),
        ),
        (
            "Conv2d's tdx has the wrong sign",
            "return self.ops.conv2d_dgrad(tdy, self.w, None, self.stride, self.padding, self.in_shape[:2])",
            "return -self.ops.conv2d_dgrad(tdy, self.w, None, self.stride, self.padding, self.in_shape[:2])",
            _t("Conv2d.tanh") + _p("wgan-gp.dcgan.tanh"),
        ),
        (
            "ConvTranspose2d's tangent adds the bias",
            "self.ops.conv2d_dgrad(tx, self.w, None, self.stride",
            "self.ops.conv2d_dgrad(tx, self.w, self.b, self.stride",
            _t("ConvTranspose2d.leaky_relu"),
        ),
        (
            "ConvTranspose2d's weights meet x for tx",
            "self.ops.conv2d_wgrad(tx, dy, self.dw",
            "self.ops.conv2d_wgrad(x, dy, self.dw",
            _t("ConvTranspose2d.leaky_relu"),
        ),
        (
            "ConvTranspose2d's weights meet tx twice",
            "self.ops.conv2d_wgrad(x, tdy, self.dw",
            "self.ops.conv2d_wgrad(tx, tdy, self.dw",
            _t("ConvTranspose2d.sigmoid"),
        ),
        (
            "ConvTranspose2d's bias gradient is added again",
            "self.ops.bias_grad(tdy, self.db)",
            "self.ops.bias_grad(dy, self.db)",
            _t("ConvTranspose2d.sigmoid"),
        ),
    ],
    "models/layers/norm.py": [
        (
            "a norm's tangent reads x for tx",
            'self._op("_tangent")(tx, x,',
            'self._op("_tangent")(x, x,',
            _t("LayerNorm"),
        ),
        (
            "a norm bends nothing by its activation",
            "or_zeros(self.ops, tdy, dy), dy, tx, x",
            "or_zeros(self.ops, tdy, dy), 0 * dy, tx, x",
            _t("LayerNorm") + _p("r1.mlp.layer"),
        ),
        (
            "a norm's tangent forgets its activation",
            "        ty = self.ops.activation_backward(ty, y, self.act)\n",
            "",
            _t("InstanceNorm.leaky_relu") + _p("r2.dcgan.instance"),
        ),
        (
            "a norm's tangent of backward reads ty for tx",
            "or_zeros(self.ops, tdy, dy), dy, tx, x",
            "or_zeros(self.ops, tdy, dy), dy, ty, x",
            _t("InstanceNorm.leaky_relu"),
        ),
    ],
    "models/layers/pointwise.py": [
        (
            "Activation's tangent reads tx for its slope",
            "ty = self.ops.activation_backward(tx, ctx, self.act)",
            "ty = self.ops.activation_backward(tx, tx, self.act)",
            _t("Activation.tanh", "Activation.relu"),
        ),
        (
            "Activation bends at ty along y",
            "return bent(self.ops, tdy, dy, ctx, tctx, self.act)",
            "return bent(self.ops, tdy, dy, tctx, ctx, self.act)",
            _t("Activation.tanh"),
        ),
        (
            "Dropout draws a new mask for the tangent",
            "self.ops.dropout(tx, self.rate, *ctx), None",
            "self.ops.dropout(tx, self.rate, ctx[0], ctx[1] + 1), None",
            _t("Dropout") + _p("wgan-gp.dcgan.leaky_relu"),
        ),
    ],
    "models/layers/image.py": [
        (
            "Reshape's tangent mixes the pixels",
            "return tx.reshape(tx.shape[0], *self.out_shape), None",
            'return tx.reshape(tx.shape[0], *self.out_shape, order="F"), None',
            _t("Reshape") + _p("wgan-gp.dcgan.leaky_relu"),
        ),
        (
            "Upsample2x' tangent halves",
            "return self.ops.upsample2x(tx), None",
            "return 0.5 * self.ops.upsample2x(tx), None",
            _t("Upsample2x"),
        ),
        (
            "AvgPool2x' tangent sums",
            "return self.ops.avgpool2x(tx), None",
            "return 4 * self.ops.avgpool2x(tx), None",
            _t("AvgPool2x"),
        ),
    ],
    "models/trees.py": [
        (
            "every layer bends the same dy",
            "node.backward_tangent(tdy, dys[node.name], ctx",
            "node.backward_tangent(tdy, next(iter(dys.values())), ctx",
            _t("Chain.tanh") + _p("r1.mlp.relu"),
        ),
        (
            "the trace keeps a layer's dx",
            "        dys[node.name] = dy\n",
            "        dys[node.name] = node.backward(dy, ctx, True, False)\n",
            _t("Linear", "Conv2d.tanh"),
        ),
        (
            "a zero tangent hides the other way's",
            "return b if a is None else a",
            "return None",
            _s("none_stands_for_a_tangent_of_zeros[Residual.skip]"),
        ),
        (
            "Chain's tangent hands on tx itself",
            "            tx, made = node.forward_tangent(tx, saved)",
            "            _, made = node.forward_tangent(tx, saved)",
            _t("Chain.tanh", "Chain.leaky_relu"),
        ),
        (
            "Chain's tangent of backward takes the wrong context",
            "tdy, dys, ctx[i], tctx[i], need_dx or",
            "tdy, dys, ctx[i], tctx[i - 1], need_dx or",
            _t("Chain.tanh", "Chain.leaky_relu"),
        ),
        (
            "Chain works out a tdx nobody wants",
            "need_dx or i > self.first, need_dw)",
            "True, need_dw)",
            _s("a_straight_critic_pays_for_no_second_data_gradient"),
        ),
        (
            "Residual's tangent forgets the skip",
            "return self.ops.axpby(1.0, ty, 1.0, ts), (body, skip)",
            "return self.ops.axpby(1.0, ty, 0.0, ts), (body, skip)",
            _t("Residual.identity", "Residual.skip"),
        ),
        (
            "Residual's tangent of backward forgets the skip",
            "        return _plus(self.ops, a, b)",
            "        return a",
            _t("Residual.identity", "Residual.skip"),
        ),
        (
            "Skip's tangent forgets the way through",
            "self.ops.concat(th, tu)",
            "self.ops.concat(th, 0 * tu)",
            _t("Skip"),
        ),
        (
            "Skip's tangent of backward forgets the way round",
            "tdh = _plus(self.ops, tdh, self.inner",
            "tdh = _plus(self.ops, None, self.inner",
            _t("Skip"),
        ),
        (
            "Heads' tangent leaves the trunk for the second head",
            "tb, b = self.b.forward_tangent(tt, ctx[2])",
            "tb, b = self.b.forward_tangent(0 * tt, ctx[2])",
            _t("Heads"),
        ),
        (
            "Heads' tangent of backward forgets a head",
            "return self.trunk.backward_tangent(_plus(self.ops, a, b), dys",
            "return self.trunk.backward_tangent(a, dys",
            _t("Heads"),
        ),
    ],
    "penalties.py": [
        (
            "the penalty rewards a steep critic",
            "ops.scale(u, self.config.weight * self.config.every)",
            "ops.scale(u, -self.config.weight * self.config.every)",
            _p("wgan-gp.mlp.relu") + _s("a_linear_critic_by_hand[r2]", "the_worked_example_of_the_docs"),
        ),
        (
            "a lazy penalty is as weak as any",
            "ops.scale(u, self.config.weight * self.config.every)",
            "ops.scale(u, self.config.weight)",
            _s("lazy_penalties_come_every_so_often_and_as_many_times_as_strong"),
        ),
        (
            "a lazy penalty comes always",
            "return update % self.config.every == 0",
            "return update > 0",
            _s("lazy_penalties_come_every_so_often_and_as_many_times_as_strong"),
        ),
        (
            "the penalty adds grad D(x) itself",
            "g, dys = D.backward(dy, ctx, need_dw=False, trace=True)",
            "g, dys = D.backward(dy, ctx, need_dw=True, trace=True)",
            _p("r1.dcgan.leaky_relu") + _s("a_linear_critic_by_hand[dragan]"),
        ),
        (
            "the points between all lie in the middle",
            "g.random(shape[0]).reshape",
            "(0 * g.random(shape[0]) + 0.5).reshape",
            _p("wgan-gp.mlp.tanh") + _s("points_are_where_the_table_says"),
        ),
        (
            "the points between begin at the wrong end",
            "ops.axpby(1.0, x_fake, 1.0, part)",
            "ops.axpby(1.0, x_real, 1.0, part)",
            _p("wgan-gp.mlp.tanh") + _s("points_are_where_the_table_says"),
        ),
        (
            "the noise around has size 1",
            "return config.noise * g.standard_normal(shape)",
            "return g.standard_normal(shape)",
            _p("dragan.mlp.tanh") + _s("points_are_where_the_table_says"),
        ),
        (
            "the points between drop like the generated ones",
            "_, ctx = D.forward(x, call=CALL, labels=labels)",
            "_, ctx = D.forward(x, call=1, labels=labels)",
            _p("wgan-gp.dcgan.leaky_relu"),
        ),
        (
            "every update draws the same points",
            'rng.host(self.seed, "penalty", update)',
            'rng.host(self.seed, "penalty", 1)',
            _s("draws_are_a_function_of_seed_and_update"),
        ),
        (
            "r2 is taken at real samples",
            '"r2": Row((_fake,), "zero"),',
            '"r2": Row((_real,), "zero"),',
            _p("r2.mlp.relu") + _s("points_are_where_the_table_says"),
        ),
        (
            "r1+r2 takes the real samples twice",
            "Row((_real, _fake),",
            "Row((_real, _real),",
            _p("r1+r2.mlp.relu") + _s("points_are_where_the_table_says"),
        ),
        (
            "the penalty at a second batch of points takes the place of the first's",
            'return {"penalty": add(losses), "critic_grad_norm": add(norms)}',
            'return {"penalty": losses[-1], "critic_grad_norm": norms[-1]}',
            _s("a_linear_critic_by_hand[r1+r2]"),
        ),
        (
            "wgan-gp pulls to length 0",
            '"wgan-gp": Row((_between,), "one", _shares),',
            '"wgan-gp": Row((_between,), "zero", _shares),',
            _p("wgan-gp.mlp.relu"),
        ),
    ],
    "tasks/gan.py": [
        (
            "real and generated points change places",
            "self.penalty.add((x_real, ctx_real), (x_fake, ctx_fake), drawn, labels)",
            "self.penalty.add((x_fake, ctx_fake), (x_real, ctx_real), drawn, labels)",
            _p("r1.mlp.relu", "r2.mlp.relu"),
        ),
        (
            "lazy updates are counted from 0",
            "self.penalty.draw(packed, self.dtype, self.opt_d.count + 1)",
            "self.penalty.draw(packed, self.dtype, self.opt_d.count)",
            _s("lazy_penalties_come_every_so_often_and_as_many_times_as_strong"),
        ),
    ],
}
