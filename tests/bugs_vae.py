"""Seeded bugs in the variational autoencoder's step; rows as in bugs_oracle.py."""

Row = tuple[str, str, str, tuple[str, ...]]
_BOTH = ("gradcheck: step.vae.mlp", "gradcheck: step.vae.dcgan")

BUGS: dict[str, list[Row]] = {
    "tasks/vae.py": [
        (
            "the noise's part of the gradient by the log variance is lost",
            "ops.axpby(1.0, dlogvar, 0.5, ops.mul(ops.mul(dz, eps), std))",
            "dlogvar",
            _BOTH,
        ),
        (
            "the deviation is taken for the variance",
            "0.5, ops.mul(ops.mul(dz, eps), std))",
            "1.0, ops.mul(ops.mul(dz, eps), std))",
            _BOTH,
        ),
        (
            "the mean learns from its own term alone",
            "dmean = ops.axpby(1.0, dmean, 1.0, dz)",
            "dmean = ops.axpby(1.0, dmean, 0.0, dz)",
            _BOTH,
        ),
        (
            "the divergence teaches nothing",
            "dlogvar = ops.axpby(1.0, dlogvar, 0.5",
            "dlogvar = ops.axpby(0.0, dlogvar, 0.5",
            _BOTH,
        ),
        (
            "pixels are averaged where they are summed",
            "return loss, ops.axpby(size, da, -1.0 / a.shape[0], x)",
            "return loss, ops.axpby(1.0, da, -1.0 / a.size, x)",
            _BOTH,
        ),
        (
            "the decoder's lambda ||theta||^2 has no gradient",
            "        G.finish_gradients()\n",
            "",
            _BOTH,
        ),
    ],
}
