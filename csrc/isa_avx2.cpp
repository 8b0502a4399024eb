#include "alloc.h"
#include "kernels.h"
#include "parallel.h"
#if MINIGAN_X86
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define WIDTH 8
#include "kernels.inl"

namespace minigan {
const Kernels kernels_avx2 = {"avx2", TABLE};
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
