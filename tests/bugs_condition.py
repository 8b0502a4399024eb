"""Seeded bugs in what conditional GANs are made of; rows as in bugs_oracle.py."""

Row = tuple[str, str, str, tuple[str, ...]]


def _g(*rows: str) -> tuple[str, ...]:
    return tuple(f"gradcheck: {row}" for row in rows)


def _c(*tests: str) -> tuple[str, ...]:
    return tuple(f"conditional: {test}" for test in tests)


BUGS: dict[str, list[Row]] = {
    "models/layers/label.py": [
        (
            "the embedding gets the gradient of x's last features",
            "        dx, de = self.ops.split(dy, self.in_shape[-1])",
            "        de, dx = self.ops.split(dy, self.features)",
            _g("ConcatLabel", "ConcatLabel.image"),
        ),
        (
            "ConcatLabel writes gradients nobody wants",
            "        if need_dw:\n            self.ops.embedding_backward(de",
            "        if True:\n            self.ops.embedding_backward(de",
            _c("gradients_nobody_wants_are_not_written"),
        ),
        (
            "the label moves along with x",
            "still = self.ops.zeros((tx.shape[0], *self.axes, self.features), tx.dtype)",
            "still = self.ops.zeros((tx.shape[0], *self.axes, self.features), tx.dtype) + 1",
            _g("tangent.ConcatLabel", "tangent.ConcatLabel.image", "penalty.wgan-gp.embedding"),
        ),
        (
            "ConcatLabel's tangent ends there",
            "return None if tdy is None else self.backward(tdy, ctx, need_dx, need_dw)  # dw knows no x, dx no w",
            "return None",
            _g("tangent.ConcatLabel"),
        ),
        (
            "Projection's gradient by x is x",
            "return self._times(dy, e) if need_dx else None",
            "return self._times(dy, x) if need_dx else None",
            _g("Projection", "Projection.net", "step.projection.g"),
        ),
        (
            "Projection's rows get the gradient of other labels",
            "self.ops.embedding_backward(self._times(dy, x), labels, self.dw)",
            "self.ops.embedding_backward(self._times(dy, x), labels[::-1].copy(), self.dw)",
            _g("Projection", "step.projection.d"),
        ),
        (
            "Projection's tangent takes x's place",
            "return self._row_sums(self.ops.mul(tx, e)), tx",
            "return self._row_sums(self.ops.mul(tx, tx)), tx",
            _g("tangent.Projection", "tangent.Projection.net"),
        ),
        (
            "Projection's second derivatives forget w",
            "self.ops.embedding_backward(self._times(dy, tctx), labels, self.dw)",
            "self.ops.embedding_backward(self._times(dy, tctx) * 0, labels, self.dw)",
            _g("tangent.Projection", "penalty.wgan-gp.projection", "penalty.r1+r2.projection"),
        ),
        (
            "gamma by class gets beta's gradient",
            "self.ops.embedding_backward(self._gathered(self.ops.mul(dy, h)), labels, self.dgamma)",
            "self.ops.embedding_backward(self._gathered(dy), labels, self.dgamma)",
            (
                *_g("ConditionalBatchNorm.batch", "step.projection.g"),
                *_c("conditional_batchnorm_with_equal_rows_is_batchnorm"),
            ),
        ),
        (
            "the norm's gradient is not multiplied by gamma",
            "return rule(self.ops.mul(dy, gamma), x",
            "return rule(dy, x",
            _g("ConditionalBatchNorm.frozen", "ConditionalBatchNorm.running", "step.projection.g"),
        ),
        (
            "each sample's gamma is the next one's",
            "gamma, beta = (self._spread(self.ops.embedding(labels, a), x)",
            "gamma, beta = (self._spread(self.ops.embedding(labels[::-1].copy(), a), x)",
            _c("a_class_has_its_own_rows"),
        ),
        (
            "statistics by class stand still",
            '        if how.mode == "batch":\n            self.ops.running_update(self.mean',
            '        if how.mode == "frozen":\n            self.ops.running_update(self.mean',
            _c("conditional_batchnorm_with_equal_rows_is_batchnorm"),
        ),
        (
            "an odd number of pixels loses one",
            "return ops.axpby(1.0, first, 1.0, folded(",
            "return ops.axpby(0.0, first, 1.0, folded(",
            _c("tiled_is_tile_and_folded_its_adjoint"),
        ),
    ],
    "tasks/condition.py": [
        (
            "the cross entropy's weight is not in its gradient",
            "ops.scale(entropy, weight.label), ops.scale(dlogits, weight.label)",
            "ops.scale(entropy, weight.label), dlogits",
            _g("step.acgan.d", "step.acgan.g", "step.infogan.label.g"),
        ),
        (
            "the codes' gradient has the label's weight",
            "ops.concat(dlogits, ops.scale(dmean, weight.codes))",
            "ops.concat(dlogits, ops.scale(dmean, weight.label))",
            _g("step.infogan.d", "step.infogan.g"),
        ),
        (
            "infogan learns labels from real samples",
            "return loss, ops.scale(dfake, 0.0), dfake, words",
            "return loss, dfake, dfake, words",
            (*_g("step.infogan.d"), *_c("the_second_heads_losses_by_hand")),
        ),
        (
            "acgan's second head gets the same gradient from both batches",
            "return ops.axpby(1.0, loss, 1.0, loss_real), dreal, dfake, words",
            "return ops.axpby(1.0, loss, 1.0, loss_real), dfake, dfake, words",
            (*_g("step.acgan.d"), *_c("the_second_heads_losses_by_hand")),
        ),
        (
            "the codes that are told are of z",
            "np.ascontiguousarray(z[:, -self.codes :])",
            "np.ascontiguousarray(z[:, : self.codes])",
            _c("infogan_draws_what_it_tells"),
        ),
        (
            "every step draws the same labels",
            'labels = rng.host(seed, "labels", tick)',
            'labels = rng.host(seed, "labels", 0)',
            _c("infogan_draws_what_it_tells"),
        ),
    ],
    "tasks/gan.py": [
        (
            "G's step draws codes anew for a batch that was made with others",
            "        if not made:\n            z = self.z(stream",
            "        if True:\n            z = self.z(stream",
            _c("a_shared_batch_keeps_what_it_was_told"),
        ),
        (
            "the second head's loss is left out of G's",
            "return ops.axpby(1.0, loss, 1.0, more), (dfake, dfake2), said",
            "return loss, (dfake, ops.scale(dfake2, 0.0)), said",
            _g("step.acgan.g", "step.infogan.g"),
        ),
        (
            "G is told nothing new in D's step",
            'x_fake, _ = made or G.forward(z, mode="frozen", labels=labels)',
            'x_fake, _ = made or G.forward(z, mode="frozen", labels=labels * 0 if labels is not None else None)',
            _g("step.embedding.d", "step.projection.d"),
        ),
    ],
    "penalties.py": [
        (
            "a penalty's points go by no label of their own",
            "_, ctx = D.forward(x, call=CALL, labels=labels)",
            "_, ctx = D.forward(x, call=CALL, labels=labels * 0 if labels is not None else None)",
            _g("penalty.wgan-gp.projection"),
        ),
        (
            "the second head is in a penalty's gradient",
            "dy = ones, ops.zeros((len(ones), *D.out_shape[1]), ones.dtype)",
            "dy = ones, ops.zeros((len(ones), *D.out_shape[1]), ones.dtype) + 1",
            _g("penalty.wgan-gp.acgan", "penalty.r1+r2.infogan"),
        ),
    ],
}
