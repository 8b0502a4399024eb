"""Seeded bugs in a classifier's step and in what is learned from its inner layers; rows as in bugs_oracle.py."""

Row = tuple[str, str, str, tuple[str, ...]]

BUGS: dict[str, list[Row]] = {
    "tasks/classifier.py": [
        (
            "the classifier's gradient leaves lambda ||theta||^2 out",
            "        D.finish_gradients()\n",
            "",
            ("gradcheck: step.classifier.batch",),
        ),
        (
            "the classifier climbs",
            "D.backward(dlogits, ctx, need_dx=False)",
            "D.backward(-dlogits, ctx, need_dx=False)",
            ("gradcheck: step.classifier.none",),
        ),
    ],
    "models/taps.py": [
        (
            "a tap's own gradient is lost",
            "dy = net.ops.axpby(1.0, dy, 1.0, given[i])",
            "dy = net.ops.axpby(1.0, dy, 0.0, given[i])",
            ("gradcheck: feature_distance.all",),
        ),
        (
            "a tap's gradient takes the place of what comes from behind",
            "dy = net.ops.axpby(1.0, dy, 1.0, given[i])",
            "dy = net.ops.axpby(0.0, dy, 1.0, given[i])",
            ("gradcheck: feature_distance.stages",),
        ),
        (
            "the layers' gradients are summed, not averaged",
            "[ops.scale(d, share) for _, d in pairs]",
            "[d for _, d in pairs]",
            ("gradcheck: feature_distance.stages",),
        ),
        (
            "the perceptual loss counts its first layer alone",
            "        loss = ops.axpby(1.0, loss, share, term)\n",
            "        loss = ops.axpby(1.0, loss, 0.0, term)\n",
            ("features: distance_is_the_mean_over_layers",),
        ),
        (
            "the perceptual loss moves towards the image",
            "feature_distance(net: Net, x: Array, target: Array, taps: Sequence[int])",
            "feature_distance(net: Net, target: Array, x: Array, taps: Sequence[int])",
            ("gradcheck: feature_distance.features",),
        ),
        (
            "taps read the batch's statistics",
            "How(mode, net.clock, call, labels)",
            'How("frozen", net.clock, call, labels)',
            ("gradcheck: feature_distance.stages",),
        ),
    ],
}
