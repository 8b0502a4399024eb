#include <pybind11/stl.h>

#include <algorithm>
#include <array>

#include "arrays.h"

#include <climits>

namespace minigan {
namespace {

struct Pair {
    int first, second;
};

Pair pair(py::handle given) {
    require(PyTuple_Check(given.ptr()) && PyTuple_GET_SIZE(given.ptr()) == 2);
    const auto number = [&](int i) {
        const long value = PyLong_AsLong(PyTuple_GET_ITEM(given.ptr(), i));
        if (value == -1 && PyErr_Occurred()) PyErr_Clear();
        require(value >= 0 && value < (1 << 20));
        return static_cast<int>(value);
    };
    return {number(0), number(1)};
}

const Conv& algorithm(const Kernels& kernels, const std::string& name) {
    for (int i = 0; i < CONV_ALGORITHMS; i++)
        if (name == CONV_NAMES[i]) return kernels.conv[i];
    throw Refused();
}

// The convolution of an (N,H,W,I) image; `w` is (KH,KW,I,O).
ConvShape conv_shape(int N, int H, int W, const Array<const float>& w, py::handle stride, py::handle padding) {
    const Pair s = pair(stride);
    require(s.first > 0 && s.second > 0 && PyTuple_Check(padding.ptr()) && PyTuple_GET_SIZE(padding.ptr()) == 2);
    const Pair rows = pair(PyTuple_GET_ITEM(padding.ptr(), 0)), columns = pair(PyTuple_GET_ITEM(padding.ptr(), 1));
    const int KH = w.at(0), KW = w.at(1);
    const long h = long{H} + rows.first + rows.second - KH, v = long{W} + columns.first + columns.second - KW;
    require(h >= 0 && v >= 0 && h < INT_MAX && v < INT_MAX);
    const int P = static_cast<int>(h / s.first + 1), Q = static_cast<int>(v / s.second + 1);
    return {N, H, W, w.at(2), KH, KW, w.at(3), P, Q, s.first, s.second, rows.first, columns.first};
}

bool same(const ConvShape& a, const ConvShape& b) {
    return a.H == b.H && a.W == b.W && a.I == b.I && a.KH == b.KH && a.KW == b.KW && a.O == b.O && a.P == b.P && a.Q == b.Q &&
           a.sh == b.sh && a.sw == b.sw && a.top == b.top && a.left == b.left;
}

// An array and what one implementation made of it, for convolutions of one shape
struct Ready {
    py::array array;
    std::string name;
    ConvShape shape;
    py::array numbers;

    py::object shape_of_array() const { return array.attr("shape"); }
};

// A kernel w made ready for one pass and any number of samples; whoever writes w must throw it away.
struct ReadyWeights : Ready {
    Pass pass;
    bool fits(Pass wanted, const ConvShape& s) const { return pass == wanted && same(shape, s); }
};

// An image x made ready for forward and wgrad
struct ReadyPixels : Ready {
    bool fits(Pass, const ConvShape& s) const { return shape.N == s.N && same(shape, s); }
};

py::object ready_kernel(const Kernels& kernels, const std::string& name, Pass pass, py::handle w_given, py::handle image_hw,
                        py::handle stride, py::handle padding) {
    const In w = in(w_given, 4);
    const Pair hw = pair(image_hw);
    const ConvShape s = conv_shape(1, hw.first, hw.second, w, stride, padding);
    const ReadyKernel& kernel = algorithm(kernels, name).kernel;
    const size_t numbers = kernel.numbers(s, pass);
    if (numbers == 0) return py::none();
    Made made = make({static_cast<py::ssize_t>(numbers)});
    {
        const Running running;
        kernel.make(s, pass, w.data, made.to);
    }
    return py::cast(ReadyWeights{{py::reinterpret_borrow<py::array>(w_given), name, s, made.array}, pass});
}

py::object ready_image(const Kernels& kernels, const std::string& name, py::handle x_given, py::handle w_given, py::handle stride,
                       py::handle padding) {
    const In x = in(x_given, 4), w = in(w_given, 4);
    const ConvShape s = conv_shape(x.at(0), x.at(1), x.at(2), w, stride, padding);
    require(x.at(3) == s.I);
    const ReadyImage& image = algorithm(kernels, name).image;
    const size_t numbers = image.numbers(s);
    if (numbers == 0) return py::none();
    Made made = make({static_cast<py::ssize_t>(numbers)});
    {
        const Running running;
        image.make(s, x.data, made.to);
    }
    return py::cast(ReadyPixels{{py::reinterpret_borrow<py::array>(x_given), name, s, made.array}});
}

// What is given for x or w: an array, or one made ready
template <class Kind>
struct Argument {
    In array;
    const Kind* ready = nullptr;

    explicit Argument(py::handle given) {
        if (py::isinstance<Kind>(given)) ready = py::cast<const Kind*>(given);
        array = in(ready ? py::handle(ready->array) : given, 4);
    }
    // for another implementation, pass or size the array serves
    Given to(const std::string& name, Pass pass, const ConvShape& shape) const {
        const bool fits = ready && ready->name == name && ready->fits(pass, shape);
        return {array.data, fits ? static_cast<const float*>(ready->numbers.data()) : nullptr};
    }
};

using Weights = Argument<ReadyWeights>;
using Pixels = Argument<ReadyPixels>;

py::array conv2d(const Kernels& kernels, const std::string& name, py::handle x_given, py::handle w_given, py::handle b_given,
                 py::handle stride, py::handle padding, py::handle act_given) {
    const Pixels pixels(x_given);
    const Weights weights(w_given);
    const In &x = pixels.array, &w = weights.array, b = optional(b_given);
    const ConvShape s = conv_shape(x.at(0), x.at(1), x.at(2), w, stride, padding);
    require(x.at(3) == s.I && (!b.data || b.is({s.O})));
    const Act a = act(act_given);
    const Conv& conv = algorithm(kernels, name);
    const Given from = pixels.to(name, FORWARD, s), by = weights.to(name, FORWARD, s);
    Made y = make({s.N, s.P, s.Q, s.O});
    {
        const Running running;
        conv.forward(s, from, by, b.data, y.to, a);
    }
    return y.array;
}

py::array conv2d_dgrad(const Kernels& kernels, const std::string& name, py::handle dy_given, py::handle w_given,
                       py::handle b_given, py::handle stride, py::handle padding, py::handle out_hw, py::handle act_given) {
    const In dy = in(dy_given, 4), b = optional(b_given);
    const Weights weights(w_given);
    const In& w = weights.array;
    const Pair hw = pair(out_hw);
    require(hw.first > 0 && hw.second > 0);
    const ConvShape s = conv_shape(dy.at(0), hw.first, hw.second, w, stride, padding);
    require(dy.is({s.N, s.P, s.Q, s.O}) && (!b.data || b.is({s.I})));
    const Act a = act(act_given);
    const Conv& conv = algorithm(kernels, name);
    const Given by = weights.to(name, DGRAD, s);
    Made dx = make({s.N, s.H, s.W, s.I});
    {
        const Running running;
        conv.dgrad(s, dy.data, by, b.data, dx.to, a);
    }
    return dx.array;
}

void conv2d_wgrad(const Kernels& kernels, const std::string& name, py::handle dy_given, py::handle x_given, py::handle dw_given,
                  py::handle db_given, py::handle stride, py::handle padding) {
    const In dy = in(dy_given, 4);
    const Pixels pixels(x_given);
    const In& x = pixels.array;
    const Out dw = inout(dw_given), db = optional_inout(db_given);
    require(dw.ndim == 4);
    const ConvShape s =
        conv_shape(x.at(0), x.at(1), x.at(2), {dw.data, dw.shape, dw.ndim, dw.size}, stride, padding);
    require(x.at(3) == s.I && dy.is({s.N, s.P, s.Q, s.O}) && (!db.data || db.is({s.O})));
    apart(dw, dy, x, db);
    apart(db, dy, x);
    const Conv& conv = algorithm(kernels, name);
    const Given from = pixels.to(name, WGRAD, s);
    const Running running;
    if (db.data) kernels.linear.bias_grad(dy.data, db.data, dy.rows(), s.O);
    conv.wgrad(s, dy.data, from, dw.data);
}

// (products, transforms) of the convolution of an (N,H,W,I) image with a kernel (KH,KW,I,O)
std::pair<double, double> conv_flops(const Kernels& kernels, const std::string& name, const std::string& op,
                                     const std::array<int, 4>& image, const std::array<py::ssize_t, 4>& w, py::handle stride,
                                     py::handle padding) {
    const auto pass = std::find(std::begin(PASS_NAMES), std::end(PASS_NAMES), op);
    require(pass != std::end(PASS_NAMES));
    const ConvShape s = conv_shape(image[0], image[1], image[2], {nullptr, w.data(), 4, 0}, stride, padding);
    require(image[3] == s.I);
    const Flops flops = algorithm(kernels, name).flops(s, static_cast<Pass>(pass - PASS_NAMES));
    require(flops.products >= 0);
    return {flops.products, flops.transforms};
}

}  // namespace

void bind_conv(Module& kernels) {
    py::class_<ReadyWeights>(kernels, "ReadyWeights")
        .def_readonly("w", &ReadyWeights::array)
        .def_readonly("name", &ReadyWeights::name)
        .def_property_readonly("shape", &ReadyWeights::shape_of_array);
    py::class_<ReadyPixels>(kernels, "ReadyPixels")
        .def_readonly("x", &ReadyPixels::array)
        .def_readonly("name", &ReadyPixels::name)
        .def_property_readonly("shape", &ReadyPixels::shape_of_array)
        .def_property_readonly("nbytes", [](const ReadyPixels& p) { return p.numbers.nbytes(); });  // beside those of x
    kernels.def("ready_image", &ready_image);
    kernels.def("ready_conv2d", [](const Kernels& k, const std::string& name, py::handle w, py::handle hw, py::handle stride,
                                   py::handle padding) { return ready_kernel(k, name, FORWARD, w, hw, stride, padding); });
    kernels.def("ready_conv2d_dgrad", [](const Kernels& k, const std::string& name, py::handle w, py::handle hw, py::handle stride,
                                         py::handle padding) { return ready_kernel(k, name, DGRAD, w, hw, stride, padding); });
    kernels.def("conv2d", &conv2d)
        .def("conv2d_dgrad", &conv2d_dgrad)
        .def("conv2d_wgrad", &conv2d_wgrad)
        .def("conv_flops", &conv_flops);
}

}  // namespace minigan
