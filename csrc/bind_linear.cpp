#include "arrays.h"

namespace minigan {
namespace {

py::array linear(const Kernels& kernels, py::handle x_given, py::handle w_given, py::handle b_given, py::handle act_given) {
    const In x = in(x_given, 2), w = in(w_given, 2), b = optional(b_given);
    require(x.at(1) == w.at(0) && (!b.data || b.is({w.at(1)})));
    const Act a = act(act_given);
    Made y = make({x.at(0), w.at(1)});
    {
        const Running running;
        kernels.linear.forward(x.data, w.data, b.data, y.to, x.at(0), x.at(1), w.at(1), a);
    }
    return y.array;
}

py::array linear_dgrad(const Kernels& kernels, py::handle dy_given, py::handle w_given) {
    const In dy = in(dy_given, 2), w = in(w_given, 2);
    require(dy.at(1) == w.at(1));
    Made dx = make({dy.at(0), w.at(0)});
    {
        const Running running;
        kernels.linear.dgrad(dy.data, w.data, dx.to, dy.at(0), w.at(0), w.at(1));
    }
    return dx.array;
}

void linear_wgrad(const Kernels& kernels, py::handle dy_given, py::handle x_given, py::handle dw_given, py::handle db_given) {
    const In dy = in(dy_given, 2), x = in(x_given, 2);
    const Out dw = inout(dw_given), db = optional_inout(db_given);
    require(dy.at(0) == x.at(0) && dw.is({x.at(1), dy.at(1)}) && (!db.data || db.is({dy.at(1)})));
    apart(dw, dy, x, db);
    apart(db, dy, x);
    const Running running;
    if (db.data) kernels.linear.bias_grad(dy.data, db.data, dy.rows(), dy.at(1));
    kernels.linear.wgrad(dy.data, x.data, dw.data, dy.at(0), x.at(1), dy.at(1));
}

void bias_grad(const Kernels& kernels, py::handle dy_given, py::handle db_given) {
    const In dy = in(dy_given);
    const Out db = inout(db_given);
    require(dy.ndim > 0 && db.is({dy.at(-1)}));
    apart(db, dy);
    const Running running;
    kernels.linear.bias_grad(dy.data, db.data, dy.rows(), dy.at(-1));
}

}  // namespace

void bind_linear(Module& kernels) {
    kernels.def("linear", &linear)
        .def("linear_dgrad", &linear_dgrad)
        .def("linear_wgrad", &linear_wgrad)
        .def("bias_grad", &bias_grad);
}

}  // namespace minigan
