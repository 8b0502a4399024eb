// The C++ contract: one table of function pointers per instruction set, exported by isa_*.cpp and picked by dispatch.cpp.
// Arrays are contiguous float32, n > 0 numbers, at any address that is a multiple of 4; module.cpp has checked them.
// This header includes nothing that defines a function, so an isa object has no code that another one could share.
#pragma once
#include <cstddef>

#if defined(__x86_64__)
#define MINIGAN_X86 1
#else
#define MINIGAN_X86 0
#endif

namespace minigan {

enum Activation { RELU, LEAKY_RELU, TANH, SIGMOID, ACTIVATIONS };
constexpr const char* ACTIVATION_NAMES[ACTIVATIONS] = {"relu", "leaky_relu", "tanh", "sigmoid"};

struct Adam {
    float beta1, one_minus_beta1, beta2, one_minus_beta2, eps, decay;
    float lr, c1, c2, clip;  // from the clock
};

struct Kernels {
    const char* isa;
    // y = act(x); slope counts for leaky_relu alone
    void (*activation[ACTIVATIONS])(const float* x, float* y, size_t n, float slope);
    // p, m, v in place; dp is read
    void (*adam_step)(float* p, const float* dp, float* m, float* v, size_t n, const Adam& adam);
};

#if MINIGAN_X86
extern const Kernels kernels_avx512, kernels_avx2;
#endif
extern const Kernels kernels_baseline;

}  // namespace minigan
