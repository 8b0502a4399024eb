#include "arrays.h"

namespace minigan {
namespace {

// loss (0-d), dx
template <class Kernel>
py::tuple loss_of(const In& x, const Kernel& kernel) {
    Made loss = make({}), dx = like(x);
    {
        const Running running;
        *loss.to = kernel(dx.to);
    }
    return py::make_tuple(std::move(loss.array), std::move(dx.array));
}

py::tuple logit_loss(const Kernels& kernels, py::handle x_given, py::handle kind, double target) {
    const In x = in(x_given);
    require(PyUnicode_Check(kind.ptr()));
    for (int i = 0; i < LOSS_KINDS; i++)
        if (PyUnicode_CompareWithASCIIString(kind.ptr(), LOSS_NAMES[i]) == 0) {
            require(i != HINGE || target == 1 || target == -1);
            return loss_of(x, [&](float* dx) {
                return kernels.loss.logit_loss[i](x.data, static_cast<float>(target), dx, x.size);
            });
        }
    throw Refused();
}

py::tuple softmax_cross_entropy(const Kernels& kernels, py::handle x_given, py::handle labels_given) {
    const In x = in(x_given, 2);
    const Ints labels = ints(labels_given);
    require(labels.is({x.at(0)}));
    for (int n = 0; n < x.at(0); n++) require(labels.data[n] >= 0 && labels.data[n] < x.at(1));
    return loss_of(x, [&](float* dx) {
        return kernels.loss.softmax_cross_entropy(x.data, labels.data, dx, x.at(0), x.at(1));
    });
}

py::tuple l1_loss(const Kernels& kernels, py::handle x_given, py::handle target_given) {
    const In x = in(x_given), target = in(target_given);
    require(target.like(x));
    return loss_of(x, [&](float* dx) { return kernels.loss.l1_loss(x.data, target.data, dx, x.size); });
}

py::tuple mse_loss(const Kernels& kernels, py::handle x_given, py::handle target_given) {
    const In x = in(x_given), target = in(target_given);
    require(target.like(x));
    return loss_of(x, [&](float* dx) { return kernels.loss.mse_loss(x.data, target.data, dx, x.size); });
}

py::tuple kl_gauss(const Kernels& kernels, py::handle mean_given, py::handle logvar_given) {
    const In mean = in(mean_given, 2), logvar = in(logvar_given, 2);
    require(logvar.like(mean));
    Made loss = make({}), dmean = like(mean), dlogvar = like(mean);
    {
        const Running running;
        *loss.to = kernels.loss.kl_gauss(mean.data, logvar.data, dmean.to, dlogvar.to, mean.at(0), mean.at(1));
    }
    return py::make_tuple(std::move(loss.array), std::move(dmean.array), std::move(dlogvar.array));
}

// loss (0-d), dx, the mean norm (0-d)
py::tuple norm_loss(const Kernels& kernels, py::handle x_given, py::handle kind) {
    const In x = in(x_given);
    require(x.ndim > 0 && PyUnicode_Check(kind.ptr()));
    int i = 0;
    while (i < NORM_KINDS && PyUnicode_CompareWithASCIIString(kind.ptr(), NORM_NAMES[i]) != 0) i++;
    require(i < NORM_KINDS);
    Made loss = make({}), dx = like(x), norm = make({});
    {
        const Running running;
        const size_t row = x.size / static_cast<size_t>(x.at(0));
        *loss.to = kernels.loss.norm_loss(x.data, dx.to, norm.to, x.at(0), row, static_cast<NormKind>(i));
    }
    return py::make_tuple(std::move(loss.array), std::move(dx.array), std::move(norm.array));
}

}  // namespace

void bind_loss(Module& kernels) {
    kernels.def("logit_loss", &logit_loss)
        .def("softmax_cross_entropy", &softmax_cross_entropy)
        .def("l1_loss", &l1_loss)
        .def("mse_loss", &mse_loss)
        .def("kl_gauss", &kl_gauss)
        .def("norm_loss", &norm_loss);
}

}  // namespace minigan
