#include "alloc.h"
#include "kernels.h"
#include "parallel.h"
#if MINIGAN_X86
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")
#endif
#define WIDTH 16
#include "kernels.inl"

namespace minigan {
const Kernels kernels_avx512 = {"avx512", TABLE};
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
