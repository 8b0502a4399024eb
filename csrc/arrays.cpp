#include "arrays.h"

namespace minigan {
namespace {

TooLarge too_large(const py::ssize_t* shape, int ndim) {
    std::string sizes;
    for (int i = 0; i < ndim; i++) sizes += (i ? ", " : "") + std::to_string(shape[i]);
    return TooLarge("the result would have shape (" + sizes + "), expected fewer than " + std::to_string(LIMIT) +
                    " elements; give smaller arrays");
}

}  // namespace

Made make(const py::ssize_t* shape, int ndim) {
    size_t size = 1;
    for (int i = 0; i < ndim; i++) {
        size *= static_cast<size_t>(shape[i]);  // below 2^62: no factor is above 2^31
        if (size >= LIMIT) throw too_large(shape, ndim);
    }
    auto* to = static_cast<float*>(take_array(size * sizeof(float)));
    const py::capsule owner(to, [](void* block) { give_array(block); });
    static const py::dtype* dtype = new py::dtype(py::dtype::of<float>());
    return {py::array(*dtype, std::vector<py::ssize_t>(shape, shape + ndim), to, owner), to};
}

Act act(py::handle given) {
    if (given.is_none()) return {NONE, 0};
    require(PyTuple_Check(given.ptr()) && PyTuple_GET_SIZE(given.ptr()) == 2);
    const py::handle kind = PyTuple_GET_ITEM(given.ptr(), 0), slope = PyTuple_GET_ITEM(given.ptr(), 1);
    require(PyUnicode_Check(kind.ptr()) && (PyFloat_Check(slope.ptr()) || PyLong_Check(slope.ptr())));
    for (int i = RELU; i < ACT_KINDS; i++)
        if (PyUnicode_CompareWithASCIIString(kind.ptr(), ACT_NAMES[i]) == 0)
            return {static_cast<ActKind>(i), static_cast<float>(slope.cast<double>())};
    throw Refused();
}

}  // namespace minigan
