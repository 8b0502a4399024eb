"""From a number's place in memory to its place in an array: in unsigned numbers of 32 bits, whose division is cheap."""

from minigan.backends.cuda._numba import device_function, int32, uint32


@device_function
def divide(i, C):
    """(i // C, i % C) of 0 <= i < 2^31"""
    i, C = uint32(i), uint32(C)
    return int32(i // C), int32(i % C)


@device_function
def place(i, H, W, C):
    """(n, h, w, c) of number i of an array (N,H,W,C)"""
    pixel, c = divide(i, C)
    row, w = divide(pixel, W)
    n, h = divide(row, H)
    return n, h, w, c
