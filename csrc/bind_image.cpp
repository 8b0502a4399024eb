#include "arrays.h"

#include <algorithm>
#include <climits>
#include <utility>
#include <vector>

namespace minigan {
namespace {

template <class T>
ImageShape image(const Array<T>& x) {
    require(x.ndim == 4);
    return {x.at(0), x.at(1), x.at(2), x.at(3)};
}

bool within(const Ints& a, int low, int high) {
    for (size_t i = 0; i < a.size; i++)
        if (a.data[i] < low || a.data[i] > high) return false;
    return true;
}

template <bool spread>
py::array by_two(const Kernels& kernels, py::handle x_given, double factor) {
    const In x = in(x_given);
    const ImageShape s = image(x);
    require(spread || (s.H % 2 == 0 && s.W % 2 == 0));
    Made y = spread ? make({s.N, py::ssize_t{2} * s.H, py::ssize_t{2} * s.W, s.C}) : make({s.N, s.H / 2, s.W / 2, s.C});
    {
        const Running running;
        (spread ? kernels.images.spread2x : kernels.images.gather2x)(s, x.data, y.to, static_cast<float>(factor));
    }
    return y.array;
}

py::array window(const Kernels& kernels, py::handle x_given, int height, int width, int top, int left) {
    const In x = in(x_given);
    const ImageShape s = image(x);
    require(height > 0 && width > 0);
    Made y = make({s.N, height, width, s.C});
    {
        const Running running;
        kernels.images.window(s, x.data, y.to, height, width, top, left);
    }
    return y.array;
}

py::array concat(const Kernels& kernels, py::handle x_given, py::handle y_given) {
    const In x = in(x_given), y = in(y_given);
    require(x.ndim > 0 && x.ndim == y.ndim && std::equal(x.shape, x.shape + x.ndim - 1, y.shape));
    const size_t A = static_cast<size_t>(x.at(-1)), B = static_cast<size_t>(y.at(-1));
    std::vector<py::ssize_t> shape(x.shape, x.shape + x.ndim);
    shape.back() += y.at(-1);
    Made to = make(shape.data(), x.ndim);
    {
        const Running running;
        kernels.images.copy_columns(x.data, A, to.to, A + B, x.rows(), A);
        kernels.images.copy_columns(y.data, B, to.to + A, A + B, x.rows(), B);
    }
    return to.array;
}

py::tuple split(const Kernels& kernels, py::handle x_given, int first) {
    const In x = in(x_given);
    require(x.ndim > 0 && first > 0 && first < x.at(-1));
    const size_t A = static_cast<size_t>(first), all = static_cast<size_t>(x.at(-1));
    std::vector<py::ssize_t> left(x.shape, x.shape + x.ndim), right = left;
    left.back() = first;
    right.back() -= first;
    Made a = make(left.data(), x.ndim), b = make(right.data(), x.ndim);
    {
        const Running running;
        kernels.images.copy_columns(x.data, all, a.to, A, x.rows(), A);
        kernels.images.copy_columns(x.data + A, all, b.to, all - A, x.rows(), all - A);
    }
    return py::make_tuple(std::move(a.array), std::move(b.array));
}

py::array gather_pixels(const Kernels& kernels, py::handle x_given, py::handle index_given) {
    const In x = in(x_given);
    const Ints index = ints(index_given);
    const ImageShape s = image(x);
    require(index.ndim == 2 && index.at(0) == s.N && within(index, -1, s.H * s.W - 1));
    Made y = make({s.N, index.at(1), s.C});
    {
        const Running running;
        kernels.images.gather_pixels(x.data, index.data, y.to, s.N, s.H * s.W, index.at(1), s.C);
    }
    return y.array;
}

py::array gather_pixels_backward(const Kernels& kernels, py::handle dy_given, py::handle index_given, std::pair<int, int> hw) {
    const In dy = in(dy_given, 3);
    const Ints index = ints(index_given);
    const long pixels = long{hw.first} * hw.second;
    require(std::min(hw.first, hw.second) > 0 && std::max(hw.first, hw.second) < (1 << 20) && index.is({dy.at(0), dy.at(1)}));
    require(within(index, -1, static_cast<int>(std::min(pixels - 1, long{INT_MAX}))));
    Made dx = make({dy.at(0), hw.first, hw.second, dy.at(2)});
    {
        const Running running;
        kernels.images.gather_pixels_backward(dy.data, index.data, dx.to, dy.at(0), static_cast<int>(pixels), dy.at(1), dy.at(2));
    }
    return dx.array;
}

using Moved = void (*)(const ImageShape& s, const float* x, const int* how, float* y);

// x and whole numbers per sample
py::array moved(Moved kernel, py::handle x_given, py::handle how_given, int numbers) {
    const In x = in(x_given);
    const Ints how = ints(how_given);
    const ImageShape s = image(x);
    require(numbers ? how.is({s.N, numbers}) : how.is({s.N}));
    Made y = like(x);
    {
        const Running running;
        kernel(s, x.data, how.data, y.to);
    }
    return y.array;
}

py::array shift(const Kernels& kernels, py::handle x, py::handle by) { return moved(kernels.images.shift, x, by, 2); }
py::array flip(const Kernels& kernels, py::handle x, py::handle mask) { return moved(kernels.images.flip, x, mask, 0); }
py::array cutout(const Kernels& kernels, py::handle x, py::handle box) { return moved(kernels.images.cutout, x, box, 4); }

// `brightness` is None in the backward pass
py::array colour(const Kernels& kernels, py::handle x_given, py::handle brightness_given, py::handle saturation_given,
                 py::handle contrast_given) {
    const In x = in(x_given), brightness = optional(brightness_given), saturation = in(saturation_given),
             contrast = in(contrast_given);
    const ImageShape s = image(x);
    require((!brightness.data || brightness.is({s.N})) && saturation.is({s.N}) && contrast.is({s.N}));
    Made y = like(x);
    {
        const Running running;
        kernels.images.colour(s, x.data, brightness.data, saturation.data, contrast.data, y.to);
    }
    return y.array;
}

py::array minibatch_stddev(const Kernels& kernels, py::handle x_given, int group, double eps) {
    const In x = in(x_given);
    const ImageShape s = image(x);
    require(group > 0 && s.N % group == 0);
    Made y = make({s.N, s.H, s.W, s.C + 1});
    {
        const Running running;
        kernels.images.minibatch_stddev(s, x.data, y.to, group, static_cast<float>(eps));
    }
    return y.array;
}

py::array minibatch_stddev_backward(const Kernels& kernels, py::handle dy_given, py::handle x_given, int group, double eps) {
    const In dy = in(dy_given), x = in(x_given);
    const ImageShape s = image(x);
    require(dy.is({s.N, s.H, s.W, s.C + 1}) && group > 0 && s.N % group == 0);
    Made dx = like(x);
    {
        const Running running;
        kernels.images.minibatch_stddev_backward(s, dy.data, x.data, dx.to, group, static_cast<float>(eps));
    }
    return dx.array;
}

py::array embedding(const Kernels& kernels, py::handle labels_given, py::handle w_given) {
    const Ints labels = ints(labels_given);
    const In w = in(w_given, 2);
    require(labels.ndim == 1 && within(labels, 0, w.at(0) - 1));
    Made y = make({labels.at(0), w.at(1)});
    {
        const Running running;
        kernels.images.embedding(labels.data, w.data, y.to, labels.at(0), w.at(1));
    }
    return y.array;
}

void embedding_backward(const Kernels& kernels, py::handle dy_given, py::handle labels_given, py::handle dw_given) {
    const In dy = in(dy_given, 2);
    const Ints labels = ints(labels_given);
    const Out dw = inout(dw_given);
    require(labels.is({dy.at(0)}) && dw.ndim == 2 && dw.at(1) == dy.at(1) && within(labels, 0, dw.at(0) - 1));
    apart(dw, dy, labels);
    const Running running;
    kernels.images.embedding_backward(dy.data, labels.data, dw.data, dy.at(0), dy.at(1));
}

}  // namespace

void bind_image(Module& kernels) {
    kernels.def("spread2x", &by_two<true>)
        .def("gather2x", &by_two<false>)
        .def("window", &window)
        .def("concat", &concat)
        .def("split", &split)
        .def("gather_pixels", &gather_pixels)
        .def("gather_pixels_backward", &gather_pixels_backward)
        .def("shift", &shift)
        .def("flip", &flip)
        .def("cutout", &cutout)
        .def("colour", &colour)
        .def("minibatch_stddev", &minibatch_stddev)
        .def("minibatch_stddev_backward", &minibatch_stddev_backward)
        .def("embedding", &embedding)
        .def("embedding_backward", &embedding_backward);
}

}  // namespace minigan
