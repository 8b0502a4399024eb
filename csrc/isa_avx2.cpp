#include "kernels.h"
#if MINIGAN_X86
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define WIDTH 8

namespace minigan {
namespace {
#include "simd.inl"
#include "pointwise.inl"
#include "optim.inl"
}  // namespace
const Kernels kernels_avx2 = {
    "avx2", {activation<relu>, activation<leaky_relu>, activation<tanh>, activation<sigmoid>}, adam_step};
}  // namespace minigan

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
