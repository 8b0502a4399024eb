#include "alloc.h"
#include "kernels.h"
#include "parallel.h"
#define WIDTH 4
#include "kernels.inl"

namespace minigan {
const Kernels kernels_baseline = {"baseline", TABLE};
}
