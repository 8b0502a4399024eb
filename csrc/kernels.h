// The C++ contract: one table of function pointers per instruction set, exported by isa_*.cpp and picked by dispatch.cpp.
// Arrays are contiguous float32, at any address that is a multiple of 4; the bindings have checked them. Outputs do not
// overlap inputs, except where a kernel says that it works in place. Each struct below is one .inl file.
// This header includes nothing that defines a function, so an isa object has no code that another one could share.
#pragma once
#include <cstddef>

#if defined(__x86_64__)
#define MINIGAN_X86 1
#else
#define MINIGAN_X86 0
#endif

namespace minigan {

enum ActKind { NONE, RELU, LEAKY_RELU, TANH, SIGMOID, ACT_KINDS };
constexpr const char* ACT_NAMES[ACT_KINDS] = {"none", "relu", "leaky_relu", "tanh", "sigmoid"};

struct Act {
    ActKind kind;
    float slope;  // leaky_relu's
};

struct Pointwise {
    void (*activation)(const float* x, float* y, size_t n, Act act);  // y = act(x); y may be x
    void (*activation_backward)(const float* dy, const float* y, float* dx, size_t n, Act act);  // not for NONE
    // tdx = tdy act'(x) + dy act''(x) tx, ty = act'(x) tx; not for NONE
    void (*activation_backward_tangent)(const float* tdy, const float* dy, const float* y, const float* ty, float* tdx, size_t n,
                                        Act act);
    void (*axpby)(float alpha, const float* x, float beta, const float* y, float* to, size_t n);
    void (*add_scaled)(float alpha, const float* x, float* dp, size_t n);  // dp += alpha x
    void (*mul)(const float* x, const float* y, float* to, size_t n);
    void (*scale)(const float* x, float alpha, float* to, size_t n);
    void (*exp)(const float* x, float* to, size_t n);
    void (*clip)(float* p, float limit, size_t n);  // in place
    float (*sum)(const float* x, size_t n);
    float (*sum_squares)(const float* x, size_t n);
    void (*row_sum_squares)(const float* x, float* to, int rows, size_t row);
};

// Each gives its loss, a mean over all elements, and writes its gradient.
enum LossKind { BCE, MSE, HINGE, LINEAR_LOSS, MINIMAX, LOSS_KINDS };
constexpr const char* LOSS_NAMES[LOSS_KINDS] = {"bce", "mse", "hinge", "linear", "minimax"};

// Of the norm r of each sample: (r - 1)^2, r^2 / 2
enum NormKind { ONE, ZERO, NORM_KINDS };
constexpr const char* NORM_NAMES[NORM_KINDS] = {"one", "zero"};

struct Loss {
    float (*logit_loss[LOSS_KINDS])(const float* x, float target, float* dx, size_t n);
    float (*softmax_cross_entropy)(const float* x, const int* labels, float* dx, int N, int K);
    float (*l1_loss)(const float* x, const float* target, float* dx, size_t n);
    float (*mse_loss)(const float* x, const float* target, float* dx, size_t n);
    float (*kl_gauss)(const float* mean, const float* logvar, float* dmean, float* dlogvar, int N, int F);
    float (*norm_loss)(const float* x, float* dx, float* mean_norm, int rows, size_t row, NormKind kind);
};

struct Random {
    // y = x / (1 - rate) where Philox's bits >= threshold, else 0; x (N,...) of `row` numbers per sample. key = (seed, stream)
    void (*dropout)(const float* x, float* y, int N, size_t row, unsigned threshold, float factor, unsigned seed,
                    unsigned stream, unsigned tick);
};

struct Linear {
    // x (N,I), w (I,O), b (O,) or null, y (N,O)
    void (*forward)(const float* x, const float* w, const float* b, float* y, int N, int I, int O, Act act);
    void (*dgrad)(const float* dy, const float* w, float* dx, int N, int I, int O);
    void (*wgrad)(const float* dy, const float* x, float* dw, int N, int I, int O);  // adds into dw
    void (*bias_grad)(const float* dy, float* db, size_t rows, int C);                     // adds into db
};

// The forward convolution that all three kernels belong to: x (N,H,W,I), w (KH,KW,I,O), y (N,P,Q,O).
struct ConvShape {
    int N, H, W, I, KH, KW, O, P, Q, sh, sw, top, left;
};

// Implementations of Conv. direct and im2col give exact sums of integers; fft does not.
enum ConvAlgorithm { DIRECT, IM2COL, FFT, CONV_ALGORITHMS };
constexpr const char* CONV_NAMES[CONV_ALGORITHMS] = {"direct", "im2col", "fft"};

// What an implementation really does, in additions and multiplications: those of its matrix products, padded channels
// included, and those of the transforms around them. Bias, activation and adding a sum to what its place holds are not counted.
enum Pass { FORWARD, DGRAD, WGRAD, PASSES };
constexpr const char* PASS_NAMES[PASSES] = {"conv2d", "conv2d_dgrad", "conv2d_wgrad"};

struct Flops {
    double products, transforms;
};

// A kernel as an implementation reads it, packed or transformed: made once where w stays (sampling), else in every call.
struct ReadyKernel {
    size_t (*numbers)(const ConvShape& shape, Pass pass);  // how many it takes; 0: w is read as it is
    void (*make)(const ConvShape& shape, Pass pass, const float* w, float* ready);
};

// An image x as both forward and wgrad read it: made once where both are to come (training), else in each.
struct ReadyImage {
    size_t (*numbers)(const ConvShape& shape);  // 0: x is read as it is
    void (*make)(const ConvShape& shape, const float* x, float* ready);
};

// The array itself, and what was made ready of it, or null
struct Given {
    const float *array, *ready;
};

struct Conv {
    ReadyKernel kernel;
    ReadyImage image;
    void (*forward)(const ConvShape& shape, Given x, Given w, const float* b, float* y, Act act);
    void (*dgrad)(const ConvShape& shape, const float* dy, Given w, const float* b, float* dx, Act act);
    void (*wgrad)(const ConvShape& shape, const float* dy, Given x, float* dw);  // adds into dw
    Flops (*flops)(const ConvShape& shape, Pass pass);  // products < 0: it cannot serve this shape
};

// (groups, rows, C): statistics by group and channel, or, `joint`, by group
struct NormShape {
    int groups, rows, C;
    bool joint;
};

struct Norm {
    // y = act(gamma (x - mean) / sqrt(var + eps) + beta), and the statistics, var biased
    void (*forward)(const NormShape& shape, const float* x, const float* gamma, const float* beta, double eps, float* y,
                    float* mean, float* var, Act act);
    // with given statistics
    void (*given)(const NormShape& shape, const float* x, const float* gamma, const float* beta, const float* mean,
                  const float* var, double eps, float* y, Act act);
    // adds into dgamma, dbeta (C,); `constant`: the statistics do not depend on x
    void (*backward)(const NormShape& shape, const float* dy, const float* x, const float* gamma, const float* mean,
                     const float* var, double eps, bool constant, float* dgamma, float* dbeta, float* dx);
    // how y (before act) moves along tx; how dx, dgamma and dbeta move along tdy and tx, the last two added
    void (*tangent)(const NormShape& shape, const float* tx, const float* x, const float* gamma, const float* mean,
                    const float* var, double eps, float* ty);
    void (*backward_tangent)(const NormShape& shape, const float* tdy, const float* dy, const float* tx, const float* x,
                             const float* gamma, const float* mean, const float* var, double eps, float* dgamma, float* dbeta,
                             float* tdx);
};

struct ImageShape {
    int N, H, W, C;
};

struct Images {
    void (*spread2x)(const ImageShape& shape, const float* x, float* y, float factor);  // y (N,2H,2W,C)
    void (*gather2x)(const ImageShape& shape, const float* x, float* y, float factor);  // y (N,H/2,W/2,C)
    void (*window)(const ImageShape& shape, const float* x, float* y, int height, int width, int top, int left);
    void (*copy_columns)(const float* from, size_t ld_from, float* to, size_t ld_to, size_t rows, size_t width);
    void (*gather_pixels)(const float* x, const int* index, float* y, int N, int pixels, int P, int C);
    void (*gather_pixels_backward)(const float* dy, const int* index, float* dx, int N, int pixels, int P, int C);
    void (*shift)(const ImageShape& shape, const float* x, const int* by, float* y);
    void (*flip)(const ImageShape& shape, const float* x, const int* mask, float* y);
    void (*cutout)(const ImageShape& shape, const float* x, const int* box, float* y);
    void (*colour)(const ImageShape& shape, const float* x, const float* brightness, const float* saturation,
                   const float* contrast, float* y);  // brightness may be null
    void (*minibatch_stddev)(const ImageShape& shape, const float* x, float* y, int group, float eps);
    void (*minibatch_stddev_backward)(const ImageShape& shape, const float* dy, const float* x, float* dx, int group,
                                      float eps);
    void (*embedding)(const int* labels, const float* w, float* y, int N, int F);
    void (*embedding_backward)(const float* dy, const int* labels, float* dw, int N, int F);
};

// What an update reads: its own numbers and, from the clock, lr, c1, c2 and clip.
struct Rates {
    float lr, c1, c2, clip, decay, eps;
};

struct Optim {
    // p and the kept slabs in place; dp is read. `rest` is 1 minus the factor, rounded from float64.
    void (*adam_step)(float* p, const float* dp, float* m, float* v, size_t n, const Rates& rates, float beta1, float rest1,
                      float beta2, float rest2);
    void (*sgd_step)(float* p, const float* dp, float* m, size_t n, const Rates& rates, float momentum);
    void (*rmsprop_step)(float* p, const float* dp, float* v, size_t n, const Rates& rates, float rho, float rest);
    void (*mix)(float* state, const float* p, float keep, float add, size_t n);  // state <- keep state + add p
};

struct Peak {
    void (*rounds)(size_t rounds, float* sink);  // multiply-adds alone
    double flops_per_round;
};

struct Kernels {
    const char* isa;
    Pointwise pointwise;
    Linear linear;
    Conv conv[CONV_ALGORITHMS];
    Norm norm;
    Images images;
    Loss loss;
    Random random;
    Optim optim;
    Peak peak;
};

#if MINIGAN_X86
extern const Kernels kernels_avx512, kernels_avx2;
#endif
extern const Kernels kernels_baseline;

}  // namespace minigan
