#include "arrays.h"

namespace minigan {
namespace {

py::array activation(const Kernels& kernels, py::handle x_given, py::handle act_given) {
    const In x = in(x_given);
    const Act a = act(act_given);
    Made y = like(x);
    {
        const Running running;
        kernels.pointwise.activation(x.data, y.to, x.size, a);
    }
    return y.array;
}

py::array activation_backward(const Kernels& kernels, py::handle dy_given, py::handle y_given, py::handle act_given) {
    const In dy = in(dy_given), y = in(y_given);
    const Act a = act(act_given);
    require(dy.like(y) && a.kind != NONE);
    Made dx = like(y);
    {
        const Running running;
        kernels.pointwise.activation_backward(dy.data, y.data, dx.to, y.size, a);
    }
    return dx.array;
}

py::array activation_backward_tangent(const Kernels& kernels, py::handle tdy_given, py::handle dy_given, py::handle y_given,
                                      py::handle ty_given, py::handle act_given) {
    const In tdy = in(tdy_given), dy = in(dy_given), y = in(y_given), ty = in(ty_given);
    const Act a = act(act_given);
    require(tdy.like(y) && dy.like(y) && ty.like(y) && a.kind != NONE);
    Made tdx = like(y);
    {
        const Running running;
        kernels.pointwise.activation_backward_tangent(tdy.data, dy.data, y.data, ty.data, tdx.to, y.size, a);
    }
    return tdx.array;
}

py::array axpby(const Kernels& kernels, double alpha, py::handle x_given, double beta, py::handle y_given) {
    const In x = in(x_given), y = in(y_given);
    require(y.like(x));
    Made to = like(x);
    {
        const Running running;
        kernels.pointwise.axpby(static_cast<float>(alpha), x.data, static_cast<float>(beta), y.data, to.to, x.size);
    }
    return to.array;
}

void add_scaled(const Kernels& kernels, double alpha, py::handle x_given, py::handle dp_given) {
    const In x = in(x_given);
    const Out dp = inout(dp_given);
    require(dp.like(x));
    apart(dp, x);
    const Running running;
    kernels.pointwise.add_scaled(static_cast<float>(alpha), x.data, dp.data, x.size);
}

py::array mul(const Kernels& kernels, py::handle x_given, py::handle y_given) {
    const In x = in(x_given), y = in(y_given);
    require(y.like(x));
    Made to = like(x);
    {
        const Running running;
        kernels.pointwise.mul(x.data, y.data, to.to, x.size);
    }
    return to.array;
}

py::array scale(const Kernels& kernels, py::handle x_given, double alpha) {
    const In x = in(x_given);
    Made to = like(x);
    {
        const Running running;
        kernels.pointwise.scale(x.data, static_cast<float>(alpha), to.to, x.size);
    }
    return to.array;
}

py::array exp(const Kernels& kernels, py::handle x_given) {
    const In x = in(x_given);
    Made to = like(x);
    {
        const Running running;
        kernels.pointwise.exp(x.data, to.to, x.size);
    }
    return to.array;
}

void clip(const Kernels& kernels, py::handle p_given, double limit) {
    const Out p = inout(p_given);
    const Running running;
    kernels.pointwise.clip(p.data, static_cast<float>(limit), p.size);
}

py::array mean(const Kernels& kernels, py::handle x_given) {
    const In x = in(x_given);
    Made to = make({});
    {
        const Running running;
        *to.to = kernels.pointwise.sum(x.data, x.size) / static_cast<float>(x.size);
    }
    return to.array;
}

py::array sum_squares(const Kernels& kernels, py::handle x_given) {
    const In x = in(x_given);
    Made to = make({});
    {
        const Running running;
        *to.to = kernels.pointwise.sum_squares(x.data, x.size);
    }
    return to.array;
}

py::array row_sum_squares(const Kernels& kernels, py::handle x_given) {
    const In x = in(x_given);
    require(x.ndim > 0);
    Made to = make({x.at(0)});
    {
        const Running running;
        kernels.pointwise.row_sum_squares(x.data, to.to, x.at(0), x.size / static_cast<size_t>(x.at(0)));
    }
    return to.array;
}

}  // namespace

void bind_pointwise(Module& kernels) {
    kernels.def("activation", &activation)
        .def("activation_backward", &activation_backward)
        .def("activation_backward_tangent", &activation_backward_tangent)
        .def("axpby", &axpby)
        .def("add_scaled", &add_scaled)
        .def("mul", &mul)
        .def("scale", &scale)
        .def("exp", &exp)
        .def("clip", &clip)
        .def("mean", &mean)
        .def("sum_squares", &sum_squares)
        .def("row_sum_squares", &row_sum_squares);
}

}  // namespace minigan
