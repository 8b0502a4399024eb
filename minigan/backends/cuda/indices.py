"""From a number's place in memory to its place in an array: in unsigned numbers of 32 bits, whose division is cheap."""

from minigan.backends.cuda._numba import cuda, int32, uint32


@cuda.jit(device=True)
def divide(i, C):
    """(i // C, i % C) of 0 <= i < 2^31"""
    i, C = uint32(i), uint32(C)
    return int32(i // C), int32(i % C)


@cuda.jit(device=True)
def place(i, H, W, C):
    """(n, h, w, c) of number i of an array (N,H,W,C)"""
    pixel, c = divide(i, C)
    row, w = divide(pixel, W)
    n, h = divide(row, H)
    return n, h, w, c
