// All kernels of one instruction set and their table; isa_*.cpp set the compiler's target and WIDTH, and include this.
namespace minigan {
namespace {
#include "simd.inl"
#include "parts.inl"
#include "pointwise.inl"
#include "gemm.inl"
#include "linear.inl"
#include "conv.inl"
#include "im2col.inl"
#include "dft.inl"
#include "fft_plan.inl"
#include "spectra.inl"
#include "fft.inl"
#include "norm.inl"
#include "image.inl"
#include "loss.inl"
#include "random.inl"
#include "optim.inl"
#include "peak.inl"
}  // namespace
}  // namespace minigan
#define TABLE POINTWISE, LINEAR, {DIRECT_CONV, IM2COL_CONV, FFT_CONV}, NORM, IMAGES, LOSS, RANDOM, OPTIM, PEAK
