#include "arrays.h"

#include <algorithm>
#include <vector>

namespace minigan {
namespace {

enum Groups { BATCH, LAYER, INSTANCE };

// The view of x that a norm takes its statistics on, and the statistics' shape
struct View {
    NormShape shape;
    std::vector<py::ssize_t> statistics;
};

template <class T>
View view(const Array<T>& x, Groups groups) {
    require(x.ndim >= (groups == BATCH ? 1 : groups == LAYER ? 2 : 4) && (groups != INSTANCE || x.ndim == 4));
    const int C = x.at(-1), N = x.at(0), rows = static_cast<int>(x.rows());
    if (groups == BATCH) return {{1, rows, C, false}, {C}};
    if (groups == LAYER) return {{N, rows / N, C, true}, {N}};
    return {{N, rows / N, C, false}, {N, C}};
}

bool is(const In& a, const std::vector<py::ssize_t>& shape) {
    return a.ndim == static_cast<int>(shape.size()) && std::equal(shape.begin(), shape.end(), a.shape);
}

// y, mean, var
template <Groups groups>
py::tuple forward(const Kernels& kernels, py::handle x_given, py::handle gamma_given, py::handle beta_given, double eps,
                  py::handle act_given) {
    const In x = in(x_given), gamma = in(gamma_given), beta = in(beta_given);
    const View v = view(x, groups);
    require(gamma.is({v.shape.C}) && beta.is({v.shape.C}));
    const Act a = act(act_given);
    const int axes = static_cast<int>(v.statistics.size());
    Made y = like(x), mean = make(v.statistics.data(), axes), var = make(v.statistics.data(), axes);
    {
        const Running running;
        kernels.norm.forward(v.shape, x.data, gamma.data, beta.data, eps, y.to, mean.to, var.to, a);
    }
    return py::make_tuple(std::move(y.array), std::move(mean.array), std::move(var.array));
}

template <Groups groups, bool constant>
py::array backward(const Kernels& kernels, py::handle dy_given, py::handle x_given, py::handle gamma_given,
                   py::handle mean_given, py::handle var_given, double eps, py::handle dgamma_given, py::handle dbeta_given) {
    const In dy = in(dy_given), x = in(x_given), gamma = in(gamma_given), mean = in(mean_given), var = in(var_given);
    const Out dgamma = inout(dgamma_given), dbeta = inout(dbeta_given);
    const View v = view(x, groups);
    require(dy.like(x) && gamma.is({v.shape.C}) && dgamma.is({v.shape.C}) && dbeta.is({v.shape.C}));
    require(is(mean, v.statistics) && is(var, v.statistics));
    apart(dgamma, dy, x, gamma, mean, var, dbeta);
    apart(dbeta, dy, x, gamma, mean, var);
    Made dx = like(x);
    {
        const Running running;
        kernels.norm.backward(v.shape, dy.data, x.data, gamma.data, mean.data, var.data, eps, constant, dgamma.data, dbeta.data,
                              dx.to);
    }
    return dx.array;
}

template <Groups groups>
py::array tangent(const Kernels& kernels, py::handle tx_given, py::handle x_given, py::handle gamma_given,
                  py::handle mean_given, py::handle var_given, double eps) {
    const In tx = in(tx_given), x = in(x_given), gamma = in(gamma_given), mean = in(mean_given), var = in(var_given);
    const View v = view(x, groups);
    require(tx.like(x) && gamma.is({v.shape.C}) && is(mean, v.statistics) && is(var, v.statistics));
    Made ty = like(x);
    {
        const Running running;
        kernels.norm.tangent(v.shape, tx.data, x.data, gamma.data, mean.data, var.data, eps, ty.to);
    }
    return ty.array;
}

template <Groups groups>
py::array backward_tangent(const Kernels& kernels, py::handle tdy_given, py::handle dy_given, py::handle tx_given,
                           py::handle x_given, py::handle gamma_given, py::handle mean_given, py::handle var_given, double eps,
                           py::handle dgamma_given, py::handle dbeta_given) {
    const In tdy = in(tdy_given), dy = in(dy_given), tx = in(tx_given), x = in(x_given), gamma = in(gamma_given);
    const In mean = in(mean_given), var = in(var_given);
    const Out dgamma = inout(dgamma_given), dbeta = inout(dbeta_given);
    const View v = view(x, groups);
    require(tdy.like(x) && dy.like(x) && tx.like(x) && gamma.is({v.shape.C}) && dgamma.is({v.shape.C}) && dbeta.is({v.shape.C}));
    require(is(mean, v.statistics) && is(var, v.statistics));
    apart(dgamma, tdy, dy, tx, x, gamma, mean, var, dbeta);
    apart(dbeta, tdy, dy, tx, x, gamma, mean, var);
    Made tdx = like(x);
    {
        const Running running;
        kernels.norm.backward_tangent(v.shape, tdy.data, dy.data, tx.data, x.data, gamma.data, mean.data, var.data, eps,
                                      dgamma.data, dbeta.data, tdx.to);
    }
    return tdx.array;
}

py::array batchnorm_running(const Kernels& kernels, py::handle x_given, py::handle gamma_given, py::handle beta_given,
                            py::handle mean_given, py::handle var_given, double eps, py::handle act_given) {
    const In x = in(x_given), gamma = in(gamma_given), beta = in(beta_given), mean = in(mean_given), var = in(var_given);
    const View v = view(x, BATCH);
    require(gamma.is({v.shape.C}) && beta.is({v.shape.C}) && is(mean, v.statistics) && is(var, v.statistics));
    const Act a = act(act_given);
    Made y = like(x);
    {
        const Running running;
        kernels.norm.given(v.shape, x.data, gamma.data, beta.data, mean.data, var.data, eps, y.to, a);
    }
    return y.array;
}

void running_update(const Kernels& kernels, py::handle state_given, py::handle batch_given, double momentum) {
    const Out state = inout(state_given);
    const In batch = in(batch_given);
    require(batch.like(state));
    apart(state, batch);
    const Running running;
    kernels.optim.mix(state.data, batch.data, static_cast<float>(momentum), static_cast<float>(1 - momentum), state.size);
}

}  // namespace

void bind_norm(Module& kernels) {
    kernels.def("batchnorm", &forward<BATCH>)
        .def("batchnorm_backward", &backward<BATCH, false>)
        .def("batchnorm_running", &batchnorm_running)
        .def("batchnorm_running_backward", &backward<BATCH, true>)
        .def("running_update", &running_update)
        .def("layernorm", &forward<LAYER>)
        .def("layernorm_backward", &backward<LAYER, false>)
        .def("layernorm_tangent", &tangent<LAYER>)
        .def("layernorm_backward_tangent", &backward_tangent<LAYER>)
        .def("instancenorm", &forward<INSTANCE>)
        .def("instancenorm_backward", &backward<INSTANCE, false>)
        .def("instancenorm_tangent", &tangent<INSTANCE>)
        .def("instancenorm_backward_tangent", &backward_tangent<INSTANCE>);
}

}  // namespace minigan
