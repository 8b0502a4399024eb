"""What is measured, as plain data that both sides read: the rows of `benchmarks.step` and of `benchmarks.ops`."""

from typing import Any

Work = dict[str, Any]
SHAPE = (28, 28, 1)  # MNIST's items

STEPS: list[Work] = [
    {"name": "DCGAN batch 64 one step", "kind": "step", "preset": "dcgan-mnist", "batch": 64},
    {
        "name": "DCGAN batch 64 one step, G's batch shared",
        "kind": "step",
        "preset": "dcgan-mnist",
        "set": ["train.share_fake=true"],
        "batch": 64,
    },
    {"name": "MLP GAN batch 128 one step", "kind": "step", "preset": "mlp-mnist", "batch": 128},
    {"name": "sampling from the DCGAN generator, batch 64", "kind": "sample", "preset": "dcgan-mnist", "batch": 64},
    {"name": "sampling from the DCGAN generator, batch 1", "kind": "sample", "preset": "dcgan-mnist", "batch": 1},
]

N = 64  # batch of all ops but the first two
KERNEL, SLOPE, RATE, EPS = 5, 0.2, 0.3, 1e-5

# (N, I, O)
_LINEAR = [(128, 784, 256), (128, 256, 784), (N, 100, 12544)]
# (layer, words, pixels and channels of the larger image, channels of the smaller one, stride); kernel 5, "same"
_CONV = [
    ("convT", "256->128 s1 on 7x7", 7, 128, 256, 1),
    ("convT", "128->64 s2, 7->14", 14, 64, 128, 2),
    ("convT", "64->1 s2, 14->28", 28, 1, 64, 2),
    ("conv", "1->64 s2, 28->14", 28, 1, 64, 2),
    ("conv", "64->128 s2, 14->7", 14, 64, 128, 2),
    ("conv", "128->64 s2, 14->7", 14, 128, 64, 2),
]
# (op, shape of x): those of the DCGAN
_POINTWISE = [
    ("batchnorm", (N, 12544)),
    ("batchnorm", (N, 7, 7, 128)),
    ("batchnorm", (N, 14, 14, 64)),
    ("leaky_relu", (N, 14, 14, 64)),
    ("tanh", (N, 28, 28, 1)),
    ("dropout", (N, 14, 14, 64)),
]
_ADAM = [("G", 2_305_472), ("D", 212_865)]  # numbers in the slab of the DCGAN's nets

OPS: list[Work] = [
    *(
        {"name": f"linear {n}x{i}x{o}", "kind": "linear", "pass": which, "n": n, "i": i, "o": o}
        for n, i, o in _LINEAR
        for which in ("forward", "dgrad", "wgrad")
    ),
    *(
        {"name": f"{kind} 5x5 {words}", "kind": kind, "pass": which, "size": size, "i": i, "o": o, "stride": stride}
        for kind, words, size, i, o, stride in _CONV
        for which in ("forward", "dgrad", "wgrad")
    ),
    *(
        {"name": f"{kind} {'x'.join(map(str, shape))}", "kind": kind, "pass": which, "shape": shape}
        for kind, shape in _POINTWISE
        for which in ("forward", "backward")
    ),
    *({"name": f"Adam, {net} of the DCGAN", "kind": "adam", "pass": "step", "shape": (size,)} for net, size in _ADAM),
]


def chosen(rows: list[Work], only: str) -> list[Work]:
    """The rows whose name, with its pass, holds the text `only`."""
    return [row for row in rows if only.lower() in f"{row['name']} {row.get('pass', '')}".lower()]


# ------------------------------------------------------------------------------------------------------- benchmarks.gpu

GPU_NETS = {"DCGAN": "dcgan-mnist", "MLP GAN": "mlp-mnist"}
GPU_BATCHES = (64, 256, 1024)
COPY_BYTES = 1 << 30
GEMM_SIDE = 8192  # of the square product that is the ceiling of all others

_LARGE = (4096, 14, 14, 64)  # 206 MB: no second cache holds it
GPU_OPS: list[Work] = [
    *({"name": row["name"], "op": row["kind"], **{k: v for k, v in row.items() if k not in ("name", "kind")}}
      for row in OPS),
    *(
        {"name": f"{kind} {'x'.join(map(str, _LARGE))}", "op": kind, "pass": which, "shape": _LARGE, "large": True}
        for kind in ("batchnorm", "leaky_relu", "tanh", "dropout")
        for which in ("forward", "backward")
    ),
    {"name": "Adam, 32 million numbers", "op": "adam", "pass": "step", "shape": (1 << 25,), "large": True},
]  # fmt: skip
PRODUCTS = {"linear", "conv", "convT"}  # what TF32 makes a difference to
