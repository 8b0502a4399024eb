// How fast this machine moves memory at most, to hold kernels against.
#pragma once
#include <cstddef>

namespace minigan {

// GB/s over all threads, each with `bytes` of its own: the best of many short rounds within about `seconds`. A copy counts
// what it reads and what it writes, and so does an update in place, which fetches no line only to overwrite it.
double copy_peak(size_t bytes, double seconds);
double read_peak(size_t bytes, double seconds);
double update_peak(size_t bytes, double seconds);

}  // namespace minigan
