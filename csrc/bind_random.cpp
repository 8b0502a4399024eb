#include "arrays.h"
#include "clock.h"

namespace minigan {
namespace {

// `offset` is the stream. The backward pass draws the same mask and does the same.
py::array dropout(const Kernels& kernels, py::handle x_given, double rate, py::handle clock_given, std::uint32_t offset) {
    const In x = in(x_given);
    require(x.ndim > 0 && rate >= 0 && rate < 1);
    const Clock clock(clock_given);
    Made y = like(x);
    {
        const Running running;
        kernels.random.dropout(x.data, y.to, x.at(0), x.size / static_cast<size_t>(x.at(0)),
                               static_cast<std::uint32_t>(rate * 4294967296.0), static_cast<float>(1 / (1 - rate)),
                               clock.counter(Clock::SEED), offset, clock.counter(Clock::TICK));
    }
    return y.array;
}

}  // namespace

void bind_random(Module& kernels) { kernels.def("dropout", &dropout); }

}  // namespace minigan
