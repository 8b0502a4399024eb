#include "kernels.h"
#define WIDTH 4

namespace minigan {
namespace {
#include "simd.inl"
#include "pointwise.inl"
#include "optim.inl"
}  // namespace
const Kernels kernels_baseline = {
    "baseline", {activation<relu>, activation<leaky_relu>, activation<tanh>, activation<sigmoid>}, adam_step};
}  // namespace minigan
