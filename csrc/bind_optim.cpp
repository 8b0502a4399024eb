#include "arrays.h"
#include "clock.h"

#include <cmath>

namespace minigan {
namespace {

float f(double x) { return static_cast<float>(x); }

Rates rates(const Clock& clock, double eps, double decay) {
    return {clock.lr(), clock.c1(), clock.c2(), clock.clip(), f(decay), f(eps)};
}

void adam_step(const Kernels& kernels, py::handle p_given, py::handle dp_given, py::handle m_given, py::handle v_given,
               py::handle clock_given, int slot, double beta1, double beta2, double eps, double decay) {
    const Out p = inout(p_given), m = inout(m_given), v = inout(v_given);
    const In dp = in(dp_given);
    require(dp.like(p) && m.like(p) && v.like(p));
    const Clock clock(clock_given, slot);
    apart(p, dp, m, v, clock.array());
    apart(m, dp, v, clock.array());
    apart(v, dp, clock.array());
    if (clock.bad()) return;
    const Running running;
    kernels.optim.adam_step(p.data, dp.data, m.data, v.data, p.size, rates(clock, eps, decay), f(beta1), f(1 - beta1),
                            f(beta2), f(1 - beta2));
}

void sgd_step(const Kernels& kernels, py::handle p_given, py::handle dp_given, py::handle m_given, py::handle clock_given,
              int slot, double momentum, double decay) {
    const Out p = inout(p_given), m = inout(m_given);
    const In dp = in(dp_given);
    require(dp.like(p) && m.like(p));
    const Clock clock(clock_given, slot);
    apart(p, dp, m, clock.array());
    apart(m, dp, clock.array());
    if (clock.bad()) return;
    const Running running;
    kernels.optim.sgd_step(p.data, dp.data, m.data, p.size, rates(clock, 0, decay), f(momentum));
}

void rmsprop_step(const Kernels& kernels, py::handle p_given, py::handle dp_given, py::handle v_given, py::handle clock_given,
                  int slot, double rho, double eps, double decay) {
    const Out p = inout(p_given), v = inout(v_given);
    const In dp = in(dp_given);
    require(dp.like(p) && v.like(p));
    const Clock clock(clock_given, slot);
    apart(p, dp, v, clock.array());
    apart(v, dp, clock.array());
    if (clock.bad()) return;
    const Running running;
    kernels.optim.rmsprop_step(p.data, dp.data, v.data, p.size, rates(clock, eps, decay), f(rho), f(1 - rho));
}

void ema_update(const Kernels& kernels, py::handle state_given, py::handle p_given, py::handle clock_given) {
    const Out state = inout(state_given);
    const In p = in(p_given);
    require(p.like(state));
    const Clock clock(clock_given);
    apart(state, p, clock.array());
    if (clock.bad()) return;
    const float decay = clock.words[Clock::EMA];
    const Running running;
    kernels.optim.mix(state.data, p.data, decay, 1 - decay, state.size);
}

void finite_flag(const Kernels&, py::handle value_given, py::handle clock_given) {
    const In value = in(value_given, 0);
    const Clock clock(clock_given);
    apart(inout(clock_given), value);
    if (!std::isfinite(*value.data)) clock.words[Clock::BAD] = 1;
}

void clip_scale(const Kernels&, py::handle norm2_given, double limit, py::handle clock_given, int slot) {
    const In norm2 = in(norm2_given, 0);
    const Clock clock(clock_given, slot);
    apart(inout(clock_given), norm2);
    const float norm = std::sqrt(*norm2.data);
    clock.words[Clock::CLIP + slot] = norm > limit ? f(limit / norm) : 1;
}

}  // namespace

void bind_optim(Module& kernels) {
    kernels.def("adam_step", &adam_step)
        .def("sgd_step", &sgd_step)
        .def("rmsprop_step", &rmsprop_step)
        .def("ema_update", &ema_update)
        .def("finite_flag", &finite_flag)
        .def("clip_scale", &clip_scale);
}

}  // namespace minigan
