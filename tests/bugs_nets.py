"""Seeded bugs in layers, nets, the step, losses and updates; rows as in bugs_oracle.py."""

Row = tuple[str, str, str, tuple[str, ...]]

BUGS: dict[str, list[Row]] = {
    "models/layers/linear.py": [
        (
            "Linear forgets its activation in backward",
            (
                "        dy = self.ops.activation_backward(dy, y, self.act)\n"
                "        if need_dw:\n"
                "            self.ops.linear_wgrad"
            ),
            (
                "        dy = self.ops.activation_backward(dy, y, None)\n"
                "        if need_dw:\n"
                "            self.ops.linear_wgrad"
            ),
            ("gradcheck: Linear",),
        ),
        (
            "Linear's weight gradient reads half of x",
            "self.ops.linear_wgrad(dy, x, self.dw, self.db)",
            "self.ops.linear_wgrad(dy, 0.5 * x, self.dw, self.db)",
            (
                "gradcheck: Linear",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "Linear writes gradients nobody wants",
            ("        if need_dw:\n            self.ops.linear_wgrad(dy, x,"),
            ("        if True:\n            self.ops.linear_wgrad(dy, x,"),
            (
                "wiring: g_step_leaves_d_bitwise",
                "layers: need_dw_and_need_dx[Linear]",
            ),
        ),
        (
            "Embedding's gradient twice",
            "self.ops.embedding_backward(dy, ctx, self.dw)",
            "self.ops.embedding_backward(2 * dy, ctx, self.dw)",
            ("gradcheck: Embedding",),
        ),
    ],
    "models/layers/conv.py": [
        (
            "Conv2d's gradient takes the stride the wrong way round",
            "self.ops.conv2d_wgrad(dy, x, self.dw, self.db, self.stride, self.padding)",
            "self.ops.conv2d_wgrad(dy, x, self.dw, self.db, self.stride[::-1], self.padding)",
            (
                "gradcheck: Conv2d.pairs",
                "layers: shapes[valid]",
            ),
        ),
        (
            "Conv2d loses its bias gradient",
            "self.ops.conv2d_wgrad(dy, x, self.dw, self.db, self.stride",
            "self.ops.conv2d_wgrad(dy, x, self.dw, None, self.stride",
            (
                "gradcheck: Conv2d.same",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "Conv2d's data gradient twice",
            "self.ops.conv2d_dgrad(dy, self.w, None, self.stride, self.padding, self.in_shape[:2])",
            "self.ops.conv2d_dgrad(dy, self.w, None, self.stride, self.padding, self.in_shape[:2]) * 2",
            (
                "gradcheck: Conv2d.same",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "ConvTranspose2d's gradient swaps the paddings",
            "self.ops.conv2d_wgrad(x, image, self.dw, None, self.stride, self.padding)",
            "self.ops.conv2d_wgrad(x, image, self.dw, None, self.stride, self.padding[::-1])",
            (
                "gradcheck: ConvTranspose2d.pairs",
                "layers: shapes[transposed pairs]",
            ),
        ),
        (
            "ConvTranspose2d loses its bias gradient",
            ("            if self.db is not None:\n                self.ops.bias_grad"),
            ("            if self.db is None:\n                self.ops.bias_grad"),
            (
                "gradcheck: ConvTranspose2d.same",
                "wiring: g_step_leaves_d_bitwise",
            ),
        ),
        (
            "ConvTranspose2d forgets the bottom padding",
            "out = ((p - 1) * sh + self.kernel[0] - top - bottom,",
            "out = ((p - 1) * sh + self.kernel[0] - top,",
            (
                "layers: shapes[transposed pairs]",
                "layers: layers_refuse_what_does_not_fit[transposed to nothing]",
            ),
        ),
    ],
    "models/layers/norm.py": [
        (
            "BatchNorm's running backward differentiates batch statistics",
            "self.ops.batchnorm_running_backward",
            "self.ops.batchnorm_backward",
            (
                "gradcheck: BatchNorm.running",
                "wiring: batchnorm_backward_matches_its_forward_in_every_mode",
            ),
        ),
        (
            "BatchNorm's batch backward holds statistics constant",
            "return y, (x, mean, var, y, self.ops.batchnorm_backward)",
            "return y, (x, mean, var, y, self.ops.batchnorm_running_backward)",
            (
                "gradcheck: BatchNorm.batch",
                "wiring: batchnorm_backward_matches_its_forward_in_every_mode",
            ),
        ),
        (
            "BatchNorm's backward takes the running mean",
            "return y, (x, mean, var, y, self.ops.batchnorm_backward)",
            "return y, (x, self.mean, self.var, y, self.ops.batchnorm_backward)",
            (
                "gradcheck: BatchNorm.batch",
                "wiring: batchnorm_backward_matches_its_forward_in_every_mode",
            ),
        ),
        (
            "frozen batchnorm moves its statistics",
            'if how.mode == "batch":',
            'if how.mode != "running":',
            (
                "wiring: d_step_leaves_g_bitwise",
                "layers: batchnorm_modes",
            ),
        ),
        (
            "running statistics are not copied into the context",
            "self.ops.scale(a, 1.0) for a in (self.mean, self.var)",
            "a for a in (self.mean, self.var)",
            ("layers: a_running_context_outlives_an_update_of_the_statistics",),
        ),
        (
            "norms write gradients nobody wants",
            ("    if need_dw:\n        return norm.dgamma"),
            ("    if True:\n        return norm.dgamma"),
            (
                "wiring: g_step_leaves_d_bitwise",
                "layers: need_dw_and_need_dx[BatchNorm]",
            ),
        ),
        (
            "norms within a sample forget their activation in backward",
            "        dy = self.ops.activation_backward(dy, y, self.act)\n        return self._op(",
            "        return self._op(",
            ("gradcheck: LayerNorm", "gradcheck: InstanceNorm"),
        ),
    ],
    "models/layers/pointwise.py": [
        (
            "Activation's backward reads dy for y",
            "return self.ops.activation_backward(dy, ctx, self.act)",
            "return self.ops.activation_backward(dy, dy, self.act)",
            ("gradcheck: Activation",),
        ),
        (
            "all passes of a sub-step drop the same",
            "offset = self.stream | how.call",
            "offset = self.stream",
            (
                "wiring: dropout_draws_anew_in_every_pass_and_step_and_the_same_in_its_backward",
                "layers: dropout_draws_per_call_layer_and_tick_and_rests_in_running_mode",
            ),
        ),
        (
            "Dropout's backward passes everything",
            "return dy if ctx is None else self.ops.dropout_backward(dy, self.rate, *ctx)",
            "return dy if self.rate else self.ops.dropout_backward(dy, self.rate, *ctx)",
            (
                "gradcheck: Dropout",
                "wiring: dropout_draws_anew_in_every_pass_and_step_and_the_same_in_its_backward",
            ),
        ),
    ],
    "models/layers/image.py": [
        (
            "Reshape's backward mixes the pixels",
            "return dy.reshape(dy.shape[0], *self.in_shape)",
            'return dy.reshape(dy.shape[0], *self.in_shape, order="F")',
            (
                "gradcheck: Reshape",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "Upsample2x's backward pools",
            "return self.ops.upsample2x_backward(dy)",
            "return self.ops.avgpool2x(dy)",
            ("gradcheck: Upsample2x",),
        ),
        (
            "AvgPool2x' backward copies",
            "return self.ops.avgpool2x_backward(dy)",
            "return self.ops.upsample2x(dy)",
            ("gradcheck: AvgPool2x",),
        ),
        (
            "MinibatchStddev's backward takes other groups",
            "self.ops.minibatch_stddev_backward(dy, ctx, self.group, self.eps)",
            "self.ops.minibatch_stddev_backward(dy, ctx, 1, self.eps)",
            (
                "gradcheck: MinibatchStddev",
                "gradcheck: step.stddev.dcgan-mnist.d",
                "gradcheck: step.stddev.mlp-mnist.g",
            ),
        ),
    ],
    "models/net.py": [
        (
            "gradients of normalised weights pile up",
            "            self.ops.copyto(self.deff, 0)\n",
            "            pass\n",
            ("spectral: gradients_begin_at_zero_and_are_finished_once",),
        ),
        (
            "gradients of normalised weights never reach the weights",
            "            norm.finish()\n",
            "            pass\n",
            ("gradcheck: spectral.Chain", "gradcheck: penalty.wgan-gp.dcgan.spectral"),
        ),
        (
            "zero_grad forgets",
            "self.ops.copyto(self.dp, 0)",
            "self.ops.copyto(self.dp, self.dp)",
            (
                "wiring: real_and_fake_gradients_of_d_accumulate",
                "layers: lambda_theta_squared_touches_weights_alone",
            ),
        ),
        (
            "the penalty's gradient lost its 2",
            "self.ops.add_scaled(2 * self.l2,",
            "self.ops.add_scaled(self.l2,",
            (
                "gradcheck: step.minimax.d",
                "wiring: d_gradient_is_that_of_its_loss",
                "layers: lambda_theta_squared_touches_weights_alone",
            ),
        ),
        (
            "the penalty is not in the loss",
            "self.ops.axpby(1.0, loss, self.l2,",
            "self.ops.axpby(1.0, loss, 0.0,",
            (
                "gradcheck: step.minimax.d",
                "wiring: the_recorded_losses_are_those_of_the_pass",
                "layers: lambda_theta_squared_touches_weights_alone",
            ),
        ),
        (
            "initial values ignore the seed",
            'rng.host(seed, f"init/{full}")',
            'rng.host(0, f"init/{full}")',
            ("layers: bind_is_a_function_of_seed_and_name",),
        ),
    ],
    "models/trees.py": [
        (
            "Chain skips a layer too many",
            ("for i in reversed(range(0 if need_dx else self.first, len(self.nodes))):\n            dy = back("),
            ("for i in reversed(range(0 if need_dx else self.first + 1, len(self.nodes))):\n            dy = back("),
            (
                "gradcheck: step.minimax.d",
                "wiring: d_gradient_is_that_of_its_loss",
                "layers: need_dw_and_need_dx[Chain]",
            ),
        ),
        (
            "Chain hands each layer the next one's context",
            "dy = back(self.nodes[i], dy, ctx[i],",
            "dy = back(self.nodes[i], dy, ctx[i - 1],",
            (
                "gradcheck: Chain",
                "wiring: d_step_leaves_g_bitwise",
                "layers: contexts_are_values[Chain]",
            ),
        ),
        (
            "Chain writes gradients nobody wants",
            "need_dx or i > self.first, need_dw, dys)",
            "need_dx or i > self.first, True, dys)",
            (
                "wiring: g_step_leaves_d_bitwise",
                "layers: need_dw_and_need_dx[Chain]",
            ),
        ),
        (
            "Residual forgets the skip's gradient",
            "return self.ops.axpby(1.0, a, 1.0, b) if need_dx else None",
            "return self.ops.axpby(1.0, a, 0.0, b) if need_dx else None",
            ("gradcheck: Residual.identity", "gradcheck: net.resnet.d.batch", "gradcheck: net.translator.resnet"),
        ),
        (
            "Residual forgets the skip's parameters",
            "b = self.skip.backward(dy, ctx[1], need_dx, need_dw, dys)",
            "b = self.skip.backward(dy, ctx[1], need_dx, False, dys)",
            ("gradcheck: Residual.skip", "gradcheck: net.resnet.g.batch"),
        ),
        (
            "Skip forgets the way round",
            "dh = self.ops.axpby(1.0, dh, 1.0, self.inner",
            "dh = self.ops.axpby(0.0, dh, 1.0, self.inner",
            ("gradcheck: Skip", "gradcheck: net.translator.unet"),
        ),
        (
            "Skip forgets the way through",
            "dh = self.ops.axpby(1.0, dh, 1.0, self.inner",
            "dh = self.ops.axpby(1.0, dh, 0.0, self.inner",
            ("gradcheck: Skip", "gradcheck: net.translator.unet"),
        ),
        (
            "Heads gives both heads the first gradient",
            "self.b.backward(dy[1], b,",
            "self.b.backward(dy[0][:, :1] + 0 * dy[1], b,",
            ("gradcheck: Heads",),
        ),
        (
            "Heads forgets a head",
            "1.0, self.a.backward(dy[0], a, True, need_dw, dys), 1.0,",
            "1.0, self.a.backward(dy[0], a, True, need_dw, dys), 0.0,",
            ("gradcheck: Heads",),
        ),
        (
            "gradients of another shape are let through",
            'expect(f"dy of {node.name}", dy, None, *node.out_shape)',
            "dy = dy",
            ("layers: inputs_modes_and_gradients_of_another_shape_are_refused",),
        ),
        (
            "Chain works out data gradients nobody wants",
            "need_dx or i > self.first, need_dw, dys)",
            "True, need_dw, dys)",
            ("layers: need_dx_false_skips_the_first_data_gradient",),
        ),
        (
            "Chain returns a gradient nobody wants",
            "return dy if need_dx else None",
            "return dy",
            ("layers: need_dx_false_returns_none[Chain without parameters]",),
        ),
    ],
    "tasks/gan.py": [
        (
            "G's statistics move in the D step",
            'x_fake, _ = made or G.forward(z, mode="frozen", labels=labels)',
            "x_fake, _ = made or G.forward(z, labels=labels)",
            ("wiring: d_step_leaves_g_bitwise",),
        ),
        (
            "instance noise grows",
            "size = train.instance_noise * (1 - step / train.noise_steps)",
            "size = train.instance_noise * (step / train.noise_steps)",
            ("wiring: instance_noise_blurs_all_that_d_sees_and_fades",),
        ),
        (
            "real and generated samples get the same noise",
            'rng.host(train.seed, "noise", tick).standard_normal((2, *x_real.shape))',
            'np.stack([rng.host(train.seed, "noise", tick).standard_normal(x_real.shape)] * 2)',
            ("wiring: instance_noise_blurs_all_that_d_sees_and_fades",),
        ),
        (
            "every step draws the same instance noise",
            'rng.host(train.seed, "noise", tick)',
            'rng.host(train.seed, "noise", 0)',
            ("wiring: instance_noise_blurs_all_that_d_sees_and_fades",),
        ),
        (
            "G's step sees its images without noise",
            "noise = next(given) if noisy else None",
            "noise = next(given) * 0 if noisy else None",
            ("wiring: instance_noise_blurs_all_that_d_sees_and_fades",),
        ),
        (
            "D's step leaves the singular vectors as they are",
            "D.normalise_weights(iterate=True)",
            "D.normalise_weights(iterate=False)",
            ("spectral: ds_step_iterates_once_and_gs_leaves_d_bitwise",),
        ),
        (
            "G's step moves D's singular vectors",
            "D.normalise_weights(iterate=False)",
            "D.normalise_weights(iterate=True)",
            ("spectral: ds_step_iterates_once_and_gs_leaves_d_bitwise",),
        ),
        (
            "G's step reads the weights that D had before its update",
            "        D.normalise_weights(iterate=False)\n",
            "",
            ("gradcheck: step.spectral.mlp-mnist.g", "spectral: ds_step_iterates_once_and_gs_leaves_d_bitwise"),
        ),
        (
            "the penalty draws for samples, not for packs",
            "packed = (len(x_real) // self.packing, *self.D.in_shape)",
            "packed = x_real.shape",
            ("gradcheck: penalty.wgan-gp.mlp.packed",),
        ),
        (
            "G's real pass drops like its fake one",
            "self._judged(self._shown(x_real, moves[0]), labels, call=1)",
            "self._judged(self._shown(x_real, moves[0]), labels)",
            ("gradcheck: step.relativistic.g", "wiring: a_loss_on_pairs_shows_d_the_last_real_batch_in_gs_step"),
        ),
        (
            "G's loss on pairs reads the step's first real batch",
            "min(sub, len(batches) - 1)",
            "sub % len(batches)",
            ("wiring: a_loss_on_pairs_shows_d_the_last_real_batch_in_gs_step",),
        ),
        (
            "the fake pass drops like the real one",
            "D.forward(x_fake, call=1, labels=labels)",
            "D.forward(x_fake, call=0, labels=labels)",
            (
                "gradcheck: step.minimax.d",
                "wiring: real_and_fake_gradients_of_d_accumulate",
            ),
        ),
        (
            "real and fake gradients swapped",
            "loss, dreal, dfake, said = self._critic(real, fake, told)",
            "loss, dfake, dreal, said = self._critic(real, fake, told)",
            (
                "gradcheck: step.minimax.d",
                "wiring: real_and_fake_gradients_of_d_accumulate",
            ),
        ),
        (
            "D's gradient is zeroed between the passes",
            "        D.backward(dfake, ctx_fake, need_dx=False)",
            "        D.zero_grad(); D.backward(dfake, ctx_fake, need_dx=False)",
            (
                "gradcheck: step.minimax.d",
                "wiring: real_and_fake_gradients_of_d_accumulate",
            ),
        ),
        (
            "D's gradient is not zeroed",
            "        D.zero_grad()\n",
            "",
            ("wiring: real_and_fake_gradients_of_d_accumulate",),
        ),
        (
            "the fake gradient goes through the real context",
            "D.backward(dfake, ctx_fake, need_dx=False)",
            "D.backward(dfake, ctx_real, need_dx=False)",
            (
                "gradcheck: step.minimax.d",
                "wiring: real_and_fake_gradients_of_d_accumulate",
            ),
        ),
        (
            "the D step goes on into G (detach forgotten)",
            "        D.backward(dfake, ctx_fake, need_dx=False)\n",
            '        G.backward(D.backward(dfake, ctx_fake), G.forward(z, mode="frozen")[1], need_dx=False)\n',
            ("wiring: d_step_leaves_g_bitwise",),
        ),
        (
            "the D step updates G as well",
            "            self.opt_d.step(ops, self.clock.array)\n",
            "            self.opt_d.step(ops, self.clock.array); self.opt_g.step(ops, self.clock.array)\n",
            ("wiring: d_step_leaves_g_bitwise",),
        ),
        (
            "D's penalty gradient forgotten",
            "        D.finish_gradients()\n",
            "",
            (
                "gradcheck: step.minimax.d",
                "wiring: d_gradient_is_that_of_its_loss",
            ),
        ),
        (
            "D's penalty is not in the loss",
            "loss = D.add_penalty(loss)",
            "loss = loss",
            ("wiring: the_recorded_losses_are_those_of_the_pass",),
        ),
        (
            "weights are clipped in G",
            "ops.clip(D.p[D.layout.learned], self",
            "ops.clip(G.p[G.layout.learned], self",
            ("wiring: weight_clip_bounds_d_alone",),
        ),
        (
            "D's guard forgotten",
            "norm2 = self.opt_d.guard(ops, loss, self.clock.array)",
            "norm2 = ops.sum_squares(D.dp); self.clock.array[-5:-1] = 1",
            ("wiring: nan_in_a_batch_never_reaches_the_weights",),
        ),
        (
            "G's gradient goes into D",
            "return self.D.backward(dy, ctx, need_dw=False) if self.tap",
            "return self.D.backward(dy, ctx) if self.tap",
            ("wiring: g_step_leaves_d_bitwise",),
        ),
        (
            "D's statistics move in the G step",
            'return self.D.forward(x, mode="frozen", call=call, labels=labels)',
            "return self.D.forward(x, call=call, labels=labels)",
            ("wiring: g_step_leaves_d_bitwise",),
        ),
        (
            "G's gradient is not zeroed",
            "        G.zero_grad()\n",
            "",
            ("wiring: g_gradient_is_that_of_its_loss_through_d",),
        ),
        (
            "G's gradient is not moved back",
            "return self.augment.backward(self.G.ops, unpack(self.G.ops, dy, self.packing), moves)",
            "return unpack(self.G.ops, dy, self.packing)",
            ("gradcheck: step.augmented.non-saturating.g", "regular: g_gradient_goes_back_through_t"),
        ),
        (
            "G's batch is moved as the real one",
            "self._shown(x_fake, moves[1], noise)\n",
            "self._shown(x_fake, moves[0], noise)\n",
            ("gradcheck: step.augmented.non-saturating.d", "regular: real_and_generated_images_are_moved_alike"),
        ),
        (
            "every step draws the same augmentation",
            'rng.host(self.config.train.seed, "augment", tick)',
            'rng.host(self.config.train.seed, "augment", 0)',
            ("regular: real_and_generated_images_are_moved_alike",),
        ),
        (
            "real and generated samples are moved by the same draws",
            "return self.augment.draw(g, n, self.dtype), self.augment.draw(g, n, self.dtype)",
            "return (self.augment.draw(g, n, self.dtype),) * 2",
            ("regular: real_and_generated_images_are_moved_alike",),
        ),
        (
            "the consistency's passes drop alike",
            "pull(D, fake, moved[1], self.consistency, 4, labels)",
            "pull(D, fake, moved[1], self.consistency, 3, labels)",
            ("gradcheck: step.consistency.d",),
        ),
        (
            "consistency of generated images goes by real ones",
            "on_fake, pull_fake = pull(D, fake, moved[1],",
            "on_fake, pull_fake = pull(D, fake, moved[0],",
            ("gradcheck: step.consistency.d", "regular: consistency_by_hand"),
        ),
        (
            "the G step minimises D's view",
            "loss, dfake, said = self._generator(fake, against, told)",
            "loss, dfake, said = self._generator(fake, against, told); dfake = -dfake",
            (
                "gradcheck: step.minimax.g",
                "wiring: g_gradient_is_that_of_its_loss_through_d",
            ),
        ),
        (
            "the G step updates D as well",
            "            self.opt_g.step(ops, self.clock.array)\n",
            "            self.opt_g.step(ops, self.clock.array); self.opt_d.step(ops, self.clock.array)\n",
            ("wiring: g_step_leaves_d_bitwise",),
        ),
        (
            "G's penalty gradient forgotten",
            "        G.finish_gradients()\n",
            "",
            (
                "gradcheck: step.minimax.g",
                "wiring: g_gradient_is_that_of_its_loss_through_d",
            ),
        ),
        (
            "a shared batch is made with frozen statistics",
            "made = self.G.forward(z, labels=_labels(told)) if shared else None",
            'made = self.G.forward(z, mode="frozen", labels=_labels(told)) if shared else None',
            ("wiring: a_shared_batch_is_made_once_and_gives_the_gradients_of_a_batch_made_again",),
        ),
        (
            "the first D step's batch is shared, not the last one's",
            "shared = self.config.train.share_fake and sub + 1 == len(batches)",
            "shared = self.config.train.share_fake and sub == 0",
            ("wiring: a_shared_batch_is_made_once_and_gives_the_gradients_of_a_batch_made_again",),
        ),
        (
            "G learns from frozen statistics alone",
            "x_fake, ctx_g = made or G.forward(z, labels=labels)\n",
            'x_fake, ctx_g = made or G.forward(z, mode="frozen", labels=labels)\n',
            ("wiring: g_step_leaves_d_bitwise",),
        ),
        (
            "the average follows D",
            "ops.ema_update(ema.state, G.state,",
            "ops.ema_update(ema.state, ema.state,",
            ("wiring: ema_follows_g",),
        ),
        (
            "a replay updates D",
            ("        if update:\n            self.opt_d"),
            ("        if True:\n            self.opt_d"),
            ("wiring: without_update_no_weight_moves",),
        ),
        (
            "a replay updates G",
            ("        if update:\n            self.opt_g"),
            ("        if True:\n            self.opt_g"),
            ("wiring: without_update_no_weight_moves",),
        ),
    ],
    "tasks/base.py": [
        (
            "all sub-steps share a tick",
            "return step * self.parts_per_step + sub",
            "return step * self.parts_per_step",
            ("wiring: a_step_takes_n_critic_batches_and_one_update_of_g",),
        ),
        (
            "updates are not counted",
            "self.mover(sub).count += 1",
            "self.mover(sub).count += 0",
            ("wiring: a_step_takes_n_critic_batches_and_one_update_of_g",),
        ),
        (
            "samples use the batch's statistics",
            'net.forward(self.ops.asarray(padded), mode="running",',
            'net.forward(self.ops.asarray(padded), mode="frozen",',
            ("wiring: samples_do_not_depend_on_how_many_are_drawn",),
        ),
        (
            "resume counts updates from 0",
            "o.count = counters[name]",
            "o.count = 0",
            ("wiring: restore_puts_everything_back",),
        ),
    ],
    "models/spectral.py": [
        (
            "the gradient takes sigma for a constant",
            "        self.ops.linear_wgrad(self.v, along.reshape(1, self.K), self.dw_eff, None)\n",
            "",
            (
                "gradcheck: spectral.Linear",
                "gradcheck: step.spectral.dcgan-mnist.d",
                "spectral: gradients_begin_at_zero_and_are_finished_once",
            ),
        ),
        (
            "u' dw_eff v for <dw_eff, w_eff>, right for a w of rank one alone",
            "inner = self.ops.mean(self.ops.mul(self.dw_eff, self.w_eff)).reshape(1, 1)",
            "inner = (self.u @ self.dw_eff @ self.v.T) / (self.K * self.O)",
            ("gradcheck: spectral.Linear", "gradcheck: spectral.Conv2d", "gradcheck: penalty.r1.mlp.spectral"),
        ),
        (
            "the gradient is not divided by sigma",
            "self.ops.add_scaled(1.0, self._over(self.dw_eff, self.sigma2), self.dw)",
            "self.ops.add_scaled(1.0, self.dw_eff, self.dw)",
            ("gradcheck: spectral.Linear", "gradcheck: step.spectral.mlp-mnist.d"),
        ),
        (
            "w is divided by sigma squared",
            "self.sigma2 = self.ops.mul(sigma, sigma)",
            "self.sigma2 = self.ops.mul(self.ops.mul(sigma, sigma), self.ops.mul(sigma, sigma))",
            ("gradcheck: spectral.Linear", "spectral: sigma_is_the_largest_singular_value"),
        ),
        (
            "v is not made of length 1",
            "self.ops.copyto(self.v, self._over(v, self.ops.sum_squares(v)))",
            "self.ops.copyto(self.v, v)",
            ("spectral: sigma_is_the_largest_singular_value",),
        ),
        (
            "u is made of the next v's w",
            "u = self.ops.linear_dgrad(self.v, self.w)",
            "u = self.ops.linear_dgrad(self.v, self.w_eff * self.w)",
            ("spectral: sigma_is_the_largest_singular_value",),
        ),
    ],
    "models/packing.py": [
        (
            "packs of one sample m times",
            "return reduce(ops.concat, [part.reshape(n // m, *shape) for part in parts])",
            "return reduce(ops.concat, [parts[0].reshape(n // m, *shape)] * m)",
            ("gradcheck: step.packed2.mlp-mnist.d", "wiring: packs_are_joined_along_the_channels"),
        ),
        (
            "packs are split at the pixels",
            "    parts = _apart(ops, dy, m)\n",
            "    parts = _apart(ops, dy.reshape(1, -1), m)\n",
            ("gradcheck: step.packed2.dcgan-mnist.g", "wiring: packs_are_joined_along_the_channels"),
        ),
        (
            "parts come back in the other order",
            "return [*parts, x]",
            "return [x, *parts]",
            ("gradcheck: step.packed3.mlp-mnist.g", "wiring: packs_are_joined_along_the_channels"),
        ),
    ],
    "models/augment.py": [
        (
            "translation goes on instead of back",
            "lambda ops, dy, by, back: ops.shift(dy, back)",
            "lambda ops, dy, by, back: ops.shift(dy, by)",
            ("gradcheck: augment.translation", "regular: backward_is_adjoint[translation]"),
        ),
        (
            "cutout's gradient is not cut",
            "lambda ops, dy, box: ops.cutout(dy, box)",
            "lambda ops, dy, box: dy",
            ("gradcheck: augment.cutout", "regular: backward_is_adjoint[cutout]"),
        ),
        (
            "colour's gradient takes saturation for contrast",
            "lambda ops, dy, brightness, *more: ops.colour_backward(dy, *more)",
            "lambda ops, dy, brightness, *more: ops.colour_backward(dy, *more[::-1])",
            ("gradcheck: augment.colour", "regular: backward_is_adjoint[colour]"),
        ),
        (
            "flip's gradient is not flipped",
            "lambda ops, dy, mask: ops.flip(dy, mask)",
            "lambda ops, dy, mask: dy",
            ("gradcheck: augment.flip", "regular: backward_is_adjoint[flip]"),
        ),
        (
            "the backward of T goes in the order of the forward",
            "in reversed(list(self._each(drawn)))",
            "in self._each(drawn)",
            ("gradcheck: augment.all", "regular: backward_is_adjoint[all]"),
        ),
    ],
    "models/consistency.py": [
        (
            "D(T(x)) is pushed away from D(x)",
            "D.backward(ops.scale(dy, -weight), ctx",
            "D.backward(ops.scale(dy, weight), ctx",
            ("gradcheck: step.consistency.d", "regular: consistency_by_hand"),
        ),
        (
            "consistency pulls D(x) with half its weight",
            "return ops.scale(loss, weight), ops.scale(dy, weight)",
            "return ops.scale(loss, weight), ops.scale(dy, weight / 2)",
            ("gradcheck: step.consistency.d", "regular: consistency_by_hand"),
        ),
    ],
    "losses.py": [
        (
            "feature matching forgets the mean's 1/N",
            "ops.linear_wgrad(ops.scale(d, 2.0), share, dfake, None)",
            "ops.linear_wgrad(ops.scale(d, 2.0 * N), share, dfake, None)",
            ("gradcheck: step.feature-matching.g", "regular: feature_matching_by_hand"),
        ),
        (
            "feature matching drives the means apart",
            "ops.axpby(1.0, fake, -1.0, real).reshape(N, -1)",
            "ops.axpby(-1.0, fake, 1.0, real).reshape(N, -1)",
            ("gradcheck: step.feature-matching.g", "regular: feature_matching_by_hand"),
        ),
        (
            "non-saturating is minimax",
            '"non-saturating": Row(Term("bce", 1), Term("bce", 0), Term("bce", 1), True)',
            '"non-saturating": Row(Term("bce", 1), Term("bce", 0), Term("minimax"), True)',
            ("wiring: loss_values_and_slopes_by_hand",),
        ),
        (
            "minimax maximises for G",
            'Term("bce", 0), Term("minimax"), True)',
            'Term("bce", 0), Term("bce", 0), True)',
            ("wiring: loss_values_and_slopes_by_hand",),
        ),
        (
            "hinge's fake margin on the wrong side",
            'Row(Term("hinge", 1), Term("hinge", -1)',
            'Row(Term("hinge", 1), Term("hinge", 1)',
            ("wiring: the_recorded_losses_are_those_of_the_pass",),
        ),
        (
            "wasserstein's critic turned round",
            'Row(Term("linear", -1), Term("linear", 1), Term("linear", -1), False)',
            'Row(Term("linear", 1), Term("linear", -1), Term("linear", -1), False)',
            ("wiring: loss_values_and_slopes_by_hand",),
        ),
        (
            "least squares' G wants 0",
            'Term("mse", 0), Term("mse", 1), False)',
            'Term("mse", 0), Term("mse", 0), False)',
            ("wiring: loss_values_and_slopes_by_hand",),
        ),
        (
            "smoothing on both sides",
            "self.fake, self.probability = row.fake,",
            "self.fake, self.probability = Term(row.fake.kind, row.fake.target + smoothing),",
            ("wiring: loss_values_and_slopes_by_hand",),
        ),
        (
            "the critic's loss counts fakes alone",
            "return ops.axpby(1.0, loss_real, 1.0, loss_fake), dreal, dfake",
            "return loss_fake, dreal, dfake",
            (
                "gradcheck: step.minimax.d",
                "wiring: loss_values_and_slopes_by_hand",
            ),
        ),
        (
            "the relativistic G wants the real sample on top",
            "ops.logit_loss(ops.axpby(1.0, fake, -1.0, real), *self.generator_term)",
            "ops.logit_loss(ops.axpby(1.0, real, -1.0, fake), *self.generator_term)",
            ("gradcheck: step.relativistic.g", "wiring: a_pair_is_held_against_its_own_partner"),
        ),
        (
            "the relativistic critic pushes both samples the same way",
            "return loss, dreal, ops.scale(dreal, -1.0)",
            "return loss, dreal, dreal",
            ("gradcheck: step.relativistic.d", "wiring: a_pair_is_held_against_its_own_partner"),
        ),
    ],
    "optim.py": [
        (
            "bias correction counts from 0",
            "t = self.config, self.count + 1",
            "t = self.config, max(self.count, 1)",
            ("layers: rates_count_updates_not_steps",),
        ),
        (
            "decay touches biases and norms",
            'if segment == "decay" else 0.0',
            "if segment else 0.0",
            ("layers: update_rules_by_hand[adam]",),
        ),
        (
            "the norm forgets the second net",
            "norm2 = ops.axpby(1.0, norm2, 1.0,",
            "norm2 = ops.axpby(1.0, norm2, 0.0,",
            ("layers: one_optimizer_over_two_nets",),
        ),
        (
            "NaN gradients are not looked for",
            "ops.finite_flag(norm2, clock)",
            "ops.finite_flag(loss, clock)",
            ("layers: guard_clips_long_gradients_alone_and_sees_nan",),
        ),
        (
            "each net gets the first net's slabs",
            "kept = [self.slabs[net.name][s][part] for s in self.rule.slabs]",
            "kept = [self.slabs[self.nets[0].name][s][: part.stop - part.start] for s in self.rule.slabs]",
            ("layers: one_optimizer_over_two_nets",),
        ),
        (
            "without a limit every gradient is clipped to 0",
            'self.config.clip_norm or float("inf")',
            "self.config.clip_norm",
            ("wiring: the_clip_word_is_written_by_the_guard",),
        ),
    ],
    "schedules.py": [
        (
            "stepwise cuts one step early",
            "decay ** (step // every)",
            "decay ** ((step + 1) // every)",
            ("layers: schedules[step]",),
        ),
        (
            "linear reaches 0, not the floor",
            "return floor + (1 - floor) * max(0.0, 1 - step / horizon)",
            "return max(0.0, 1 - step / horizon)",
            ("layers: schedules[linear]",),
        ),
        (
            "cosine has twice the period",
            "math.cos(math.pi * min",
            "math.cos(2 * math.pi * min",
            ("layers: schedules[cosine]",),
        ),
    ],
    "models/shapes.py": [
        (
            "same padding puts the odd row on top",
            "out.append((total // 2, total - total // 2))",
            "out.append((total - total // 2, total // 2))",
            ("layers: same_padding_of_28_is_1_and_2",),
        ),
    ],
    "rng.py": [
        (
            "all seeds draw alike",
            "np.array([seed, key]",
            "np.array([0, key]",
            ("layers: bind_is_a_function_of_seed_and_name",),
        ),
        (
            "what the host draws has a hidden state",
            "    return np.random.Generator(\n",
            "    return np.random.default_rng() or np.random.Generator(\n",
            (
                "wiring: a_step_is_a_function_of_the_seed",
                "layers: bind_is_a_function_of_seed_and_name",
            ),
        ),
    ],
    "backends/proxies.py": [
        (
            "the pass is not noted",
            'self._place["pass"] = which',
            'self._place["pass"] = ""',
            ("wiring: replay_names_net_layer_pass_op_and_tensor",),
        ),
        (
            "what an op writes is not looked at",
            'bad += [f"input {i}" for i, a in enumerate(args) if not self._finite(a)]',
            "bad += []",
            ("wiring: replay_names_the_backward_pass_and_what_it_wrote",),
        ),
    ],
}
