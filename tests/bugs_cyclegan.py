"""Seeded bugs in the CycleGAN step; rows as in bugs_oracle.py."""

Row = tuple[str, str, str, tuple[str, ...]]
_G, _D = ("gradcheck: cyclegan.resnet.g",), ("gradcheck: cyclegan.resnet.d",)

BUGS: dict[str, list[Row]] = {
    "tasks/cyclegan.py": [
        (
            "the translation's gradient from the way back is lost",
            "way.G.backward(ops.axpby(1.0, by_d, 1.0, by_cycle), ctx, need_dx=False)",
            "way.G.backward(by_d, ctx, need_dx=False)",
            (*_G, "gradcheck: cyclegan.unet.g"),
        ),
        (
            "the way back learns nothing from the cycle",
            "by_cycle = way.back.backward(ops.scale(dback, self.config.task.cycle), ctx_back)",
            "by_cycle = way.back.backward(ops.scale(dback, self.config.task.cycle), ctx_back, need_dw=False)",
            (*_G, "cyclegan: a_step_lowers_the_loss_of_its_player"),
        ),
        (
            "the cycle's weight stands in the loss alone",
            "ops.scale(dback, self.config.task.cycle), ctx_back",
            "dback, ctx_back",
            _G,
        ),
        (
            "the cycle is held against the other domain",
            "cycle, dback = ops.l1_loss(back, x)",
            "cycle, dback = ops.l1_loss(back, to)",
            _G,
        ),
        (
            "identity pulls the wrong way",
            "G.backward(self.ops.scale(dy, self.config.task.identity), ctx, need_dx=False)",
            "G.backward(self.ops.scale(dy, -self.config.task.identity), ctx, need_dx=False)",
            _G,
        ),
        (
            "G's step writes D's gradients",
            "by_d = D.backward(dy, ctx_d, need_dw=False)",
            "by_d = D.backward(dy, ctx_d)",
            ("cyclegan: a_player_leaves_the_other_bitwise",),
        ),
        (
            "the second way begins with G's gradients at zero",
            "        ops, D = self.ops, way.D\n        D.normalise_weights(iterate=False)\n",
            "        ops, D = self.ops, way.D\n        way.G.zero_grad()\n",
            _G,
        ),
        (
            "each D judges the other's domain",
            "zip((self.ab, self.ba), (x_b, x_a), made, strict=True)",
            "zip((self.ab, self.ba), (x_a, x_b), made, strict=True)",
            _D,
        ),
        (
            "D learns from what it takes for real alone",
            "            D.backward(dfake, ctx_fake, need_dx=False)\n",
            "",
            _D,
        ),
        (
            "lambda ||theta||^2 is in the loss alone",
            "            loss = G.add_penalty(loss)\n            G.finish_gradients()\n",
            "            loss = G.add_penalty(loss)\n",
            _G,
        ),
    ],
}
