"""Bugs as kernels have them: (file of backends/cuda, what stands there, what it becomes, which case sees it).

The case is a row of tests/cases.py, or one of the shapes of several blocks in conformance/test_cuda.py ("... blocks"),
or "lengths", or "updates", a test there.
"""

BUGS = (
    # barriers: a race, which would show on a GPU now and then
    ("reduce.py", "    cuda.syncthreads()  # scratch may be written again\n", "", "layernorm"),
    ("reduce.py", "    cuda.syncthreads()\n    total =", "    total =", "mean"),
    ("norm.py", "    cuda.syncthreads()\n    total =", "    total =", "batchnorm"),
    # a block, a chunk, a lane too few or too many
    ("reduce.py", "for warp in range(WARPS):", "for warp in range(WARPS - 1):", "mean blocks"),
    ("reduce.py", "min(begin + CHUNK, x.size)", "min(begin + CHUNK - 1, x.size)", "mean blocks"),
    ("reduce.py", "sum / divisor if cuda.gridDim.x == 1 else sum", "sum / divisor", "mean blocks"),
    ("pointwise.py", "        if m < n:\n            first", "        if i < n:\n            first", "lengths"),
    ("pointwise.py", "y[k] = f(third, a, b)", "y[k] = f(second, a, b)", "lengths"),
    ("pointwise.py", "z[m] = f(x3, y3, a, b)", "z[m] = f(x3, y2, a, b)", "lengths"),
    ("norm.py", "min(first + chunk, (group + 1) * rows)", "first + chunk", "instancenorm blocks"),
    ("norm.py", "dx[s, c] = k * g1 +", "dx[s, c] = k * g0 +", "batchnorm_backward"),
    ("layernorm.py", "c -= C if c >= C else 0\n    if cuda.threadIdx.x == 0:\n        mean[n]",
     "c -= C if c > C else 0\n    if cuda.threadIdx.x == 0:\n        mean[n]", "layernorm blocks"),
    ("loss.py", "for k in range(lane, K, 32):\n            top", "for k in range(lane, 32, 32):\n            top",
     "softmax_cross_entropy blocks"),
    ("random.py", "if e + 2 < end", "if e + 2 <= end", "dropout blocks"),
    # digits lost
    ("norm.py", "- deviation * partial[1, first + k, c] + size", "+ size", "batchnorm/far blocks"),
    ("norm.py", "- centre) + deviation - rest", "- centre) + deviation", "batchnorm blocks"),
    ("norm.py", "(x0 - middle - left)", "(x0 - middle)", "batchnorm blocks"),
    ("norm.py", "off = sum_d / M if", "off = sum_d * 0 / M if", "batchnorm_backward blocks"),
    ("layernorm.py", " - rest * rest", "", "layernorm/far blocks"),
    ("layernorm.py", " - left * mean_g)", " - 0 * mean_g)", "layernorm_backward/far blocks"),
    ("layernorm.py", "(x[r, c] - mean[n] - off[n])", "(x[r, c] - mean[n])", "layernorm_backward blocks"),
    ("optim.py", "_times(_times(rest2, g), g)", "_times(rest2, _times(g, g))", "updates"),
    # what the formula says
    ("random.py", "for _ in range(10)", "for _ in range(9)", "dropout"),
    ("loss.py", "(x if x != x else -t)", "-t", "logit_loss/hinge"),
    ("optim.py", "lr = clock[_LR + 3 * slot]\n        mean", "lr = clock[_LR]\n        mean", "sgd_step"),
    ("image.py", "_window(y.size, x, -top, -left, y)", "_window(y.size, x, -top, -right, y)", "pad"),
    ("augment.py", "x.shape[2] - 1 - w if", "x.shape[2] - 1 - h if", "flip"),
    ("augment.py", "h - by[n, 0], w - by[n, 1]", "h + by[n, 0], w - by[n, 1]", "shift"),
    ("stddev.py", "float32(group * size)", "float32(size)", "minibatch_stddev_backward"),
    ("embedding.py", "dw[k, f] += sum", "dw[k, f] = sum", "embedding_backward"),
    ("norm.py", "dgamma[c] += gamma", "dgamma[c] = gamma", "instancenorm_backward"),
    # dense layers and convolutions
    ("gemm.py", "tx + j * THREADS]\n            cuda.syncthreads()", "tx + j * THREADS]", "linear"),
    ("gemm.py", "        cuda.syncthreads()\n\n        # What this", "\n        # What this", "linear"),
    ("gemm.py", "row0 + line < rows and k + depth < end", "row0 + line < rows", "linear"),
    ("gemm.py", "c[where] + sums[i, j] if add else", "", "linear_wgrad"),
    ("gemm.py", "        if v == base_v:\n", "        if v > base_v:\n", "conv2d"),
    ("matrices.py", "min(begin + g[_CHUNK], g[_K])", "g[_K]", "linear blocks"),
    ("implicit.py", "v < g[V]\n    return x[image", "v <= g[V]\n    return x[image", "conv2d"),
    ("implicit.py", "(r + i * g[SH])", "(r + i * g[SW])", "conv2d_dgrad"),
    ("implicit.py", "(h + g[TOP] - r) // g[SH]", "(h - r) // g[SH]", "conv2d_dgrad"),
    ("implicit.py", "p * g[SH] + top", "p + top", "conv2d_wgrad"),
    ("geometry.py", "(remainder - before % stride + stride)", "(remainder + before)", "conv2d_dgrad blocks"),
    ("geometry.py", "q * g[SW] - g[LEFT]", "q * g[SW] - g[TOP]", "conv2d"),
    ("columns.py", "for walker in range(1, WALKERS)", "for walker in range(2, WALKERS)", "bias_grad"),
    ("columns.py", "(part + 1) * chunk, rows", "rows, rows", "bias_grad blocks"),
    ("epilogue.py", "slope * x if x <= float32(0)", "slope * x if x < float32(1)", "linear"),
)  # fmt: skip
