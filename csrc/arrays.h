// What the bindings share: NumPy arrays as pointers and shapes, checked in nanoseconds. Whatever does not fit raises
// Refused, without words: minigan/backends/checks.py then says what was given and what was expected.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <initializer_list>
#include <string>

#include "alloc.h"
#include "kernels.h"

namespace minigan {

namespace py = pybind11;

struct Refused : std::exception {};

// A result that would have too many elements; its words are for the user.
struct TooLarge : std::runtime_error {
    using std::runtime_error::runtime_error;
};

constexpr size_t LIMIT = size_t{1} << 31;  // elements of an array, so that an axis and an index of pixels fit an int

inline void require(bool fits) {
    if (!fits) throw Refused();
}

// A C-contiguous, aligned, non-empty array of T in native byte order. `shape` lives as long as the array.
template <class T>
struct Array {
    T* data;
    const py::ssize_t* shape;
    int ndim;
    size_t size;

    int at(int axis) const { return static_cast<int>(shape[axis < 0 ? ndim + axis : axis]); }
    size_t rows() const { return size / static_cast<size_t>(shape[ndim - 1]); }  // all axes but the last
    bool is(std::initializer_list<py::ssize_t> expected) const {
        if (static_cast<size_t>(ndim) != expected.size()) return false;
        const py::ssize_t* s = shape;
        for (const py::ssize_t e : expected)
            if (*s++ != e) return false;
        return true;
    }
    template <class U>
    bool like(const Array<U>& other) const {
        if (ndim != other.ndim) return false;
        for (int i = 0; i < ndim; i++)
            if (shape[i] != other.shape[i]) return false;
        return true;
    }
};

using In = Array<const float>;
using Out = Array<float>;
using Ints = Array<const int>;

namespace detail {

template <class T>
Array<T> array(py::handle given, int flags) {
    using Value = std::remove_const_t<T>;
    static const py::object* dtype = new py::object(py::dtype::of<Value>());  // NumPy keeps one per type
    const auto& api = py::detail::npy_api::get();
    require(api.PyArray_Check_(given.ptr()));
    const auto* a = py::detail::array_proxy(given.ptr());
    require((a->flags & flags) == flags);
    require(a->descr == dtype->ptr() || reinterpret_cast<const py::dtype&>(*dtype).equal(py::handle(a->descr)));
    size_t size = 1;
    for (int i = 0; i < a->nd; i++) size *= static_cast<size_t>(a->dimensions[i]);
    require(size > 0 && size < LIMIT);
    return {reinterpret_cast<T*>(a->data), a->dimensions, a->nd, size};
}

constexpr int READ = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
constexpr int WRITE = READ | py::detail::npy_api::NPY_ARRAY_WRITEABLE_;

}  // namespace detail

inline In in(py::handle given) { return detail::array<const float>(given, detail::READ); }
inline Ints ints(py::handle given) { return detail::array<const int>(given, detail::READ); }
inline Out inout(py::handle given) { return detail::array<float>(given, detail::WRITE); }

inline In in(py::handle given, int ndim) {
    const In a = in(given);
    require(a.ndim == ndim);
    return a;
}

inline In optional(py::handle given) { return given.is_none() ? In{} : in(given); }
inline Out optional_inout(py::handle given) { return given.is_none() ? Out{} : inout(given); }

// Refuses an array updated in place that shares memory with another argument.
template <class... Others>
void apart(const Out& out, const Others&... others) {
    const auto ends = [](const auto& a) { return reinterpret_cast<std::uintptr_t>(a.data + a.size); };
    const auto begins = [](const auto& a) { return reinterpret_cast<std::uintptr_t>(a.data); };
    require(((ends(out) <= begins(others) || ends(others) <= begins(out)) && ...));
}

// A new array, uninitialised, from the cache of alloc.h; `to` is where its numbers go. Throws TooLarge.
struct Made {
    py::array array;
    float* to;
};
Made make(const py::ssize_t* shape, int ndim);
inline Made make(std::initializer_list<py::ssize_t> shape) { return make(shape.begin(), static_cast<int>(shape.size())); }
template <class T>
Made like(const Array<T>& a) {
    return make(a.shape, a.ndim);
}

// None, or (kind, slope) as models/shapes.py's Act.
Act act(py::handle given);

// While a kernel runs: the GIL is free, and the scratch it takes is given back at the end. Make no Python object meanwhile.
struct Running {
    py::gil_scoped_release release;
    const size_t mark = scratch_mark();
    ~Running() { scratch_release(mark); }
};

using Module = py::class_<Kernels>;
void bind_pointwise(Module& kernels);
void bind_conv(Module& kernels);
void bind_linear(Module& kernels);
void bind_norm(Module& kernels);
void bind_image(Module& kernels);
void bind_loss(Module& kernels);
void bind_random(Module& kernels);
void bind_optim(Module& kernels);

}  // namespace minigan
