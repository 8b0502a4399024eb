"""Seeded bugs in the search in z and in super-resolution; rows as in bugs_oracle.py."""

Row = tuple[str, str, str, tuple[str, ...]]
_SECOND = ("gradcheck: superres.second.g",)

BUGS: dict[str, list[Row]] = {
    "tasks/search.py": [
        (
            "what is missing pulls as well",
            "dy = ops.mul(w, dy)",
            "dy = ops.scale(dy, 1.0)",
            ("gradcheck: search.l2",),
        ),
        (
            "the whole picture is held against the known part",
            "(ops.mul(w, y), wx)",
            "(y, wx)",
            ("gradcheck: search.l1", "gradcheck: search.l2"),
        ),
        (
            "the prior pushes away from D",
            "dy = ops.axpby(1.0, dy, c.prior, self.D",
            "dy = ops.axpby(1.0, dy, -c.prior, self.D",
            ("gradcheck: search.prior",),
        ),
        (
            "the pull's 2 is lost",
            "2 * c.pull / size",
            "c.pull / size",
            ("gradcheck: search.pull",),
        ),
        (
            "a z gets what is meant for one of a batch",
            "ops.axpby(float(rows), dz,",
            "ops.axpby(1.0, dz,",
            ("gradcheck: search.l1", "gradcheck: search.l2", "gradcheck: search.prior"),
        ),
        (
            "G normalises by the batch that happens to be searched",
            'y, ctx_g = self.G.forward(z, mode="running")',
            'y, ctx_g = self.G.forward(z, mode="frozen")',
            ("gradcheck: search.prior",),
        ),
    ],
    "tasks/superres.py": [
        (
            "the features' gradient has D's weight",
            "((weights.content, content, by_features), (weights.adversarial, gan, by_d))",
            "((weights.content, content, by_d), (weights.adversarial, gan, by_features))",
            _SECOND,
        ),
        (
            "the second stage forgets the squared error's gradient",
            "ops.axpby(1.0, loss, weight, term), ops.axpby(1.0, dy, weight, d)",
            "ops.axpby(1.0, loss, weight, term), ops.axpby(0.0, dy, weight, d)",
            _SECOND,
        ),
        (
            "the features are held against themselves",
            "feature_distance(self.features, y, x, stages",
            "feature_distance(self.features, y, y, stages",
            _SECOND,
        ),
        (
            "the picture is the target",
            "l2, dy = ops.mse_loss(y, x)",
            "l2, dy = ops.mse_loss(x, y)",
            ("gradcheck: superres.first.g",),
        ),
        (
            "a loss on pairs takes the made picture for the real one",
            '[D.forward(x, mode="frozen", call=1)[0]]',
            '[D.forward(y, mode="frozen", call=1)[0]]',
            ("gradcheck: superres.pairs.g",),
        ),
        (
            "D learns from the real picture alone",
            "        D.backward(dfake, ctx_fake, need_dx=False)\n",
            "",
            ("gradcheck: superres.d",),
        ),
        (
            "D's gradient of spectrally normalised weights is never finished",
            "        D.finish_gradients()\n",
            "",
            ("gradcheck: superres.d",),
        ),
    ],
}
