// Bindings only: check the arrays, release the GIL, call the table. Bad arguments raise minigan's own errors.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "dispatch.h"
#include "kernels.h"

namespace py = pybind11;
using minigan::Kernels;

namespace {

struct BadArray : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

enum Access { READ, WRITE };

std::string text(const py::object& value) { return py::str(value); }

py::array checked(const std::string& name, py::handle given, Access access) {
    if (!py::isinstance<py::array>(given))
        throw BadArray(name + " is of type " + text(py::type::of(given).attr("__name__")) +
                       ", expected a NumPy array of float32; make one with asarray");
    const auto a = py::reinterpret_borrow<py::array>(given);
    if (!a.dtype().equal(py::dtype::of<float>()))
        throw BadArray(name + " has dtype " + text(a.dtype().attr("str")) +
                       ", expected float32 in native byte order; convert it with asarray");
    if (a.size() == 0)
        throw BadArray(name + " has shape " + text(a.attr("shape")) + "; an axis of size 0 holds no data");
    if (!(a.flags() & py::array::c_style))
        throw BadArray(name + " of shape " + text(a.attr("shape")) +
                       " is not C-contiguous; make a contiguous copy with numpy.ascontiguousarray");
    if (reinterpret_cast<std::uintptr_t>(a.data()) % alignof(float) != 0)
        throw BadArray(name + " starts at an address that is no multiple of 4; give a copy of it");
    if (access == WRITE && !a.writeable())
        throw BadArray(name + " is read-only, but is updated in place; give a writeable array");
    return a;
}

void same_shape(const std::string& name, const py::array& a, const std::string& other, const py::array& like) {
    if (!a.attr("shape").equal(like.attr("shape")))
        throw BadArray(name + " has shape " + text(a.attr("shape")) + ", expected " + text(like.attr("shape")) + " as " +
                       other);
}

minigan::Activation activation_named(const std::string& kind) {
    std::string names;
    for (int i = 0; i < minigan::ACTIVATIONS; i++) {
        if (kind == minigan::ACTIVATION_NAMES[i]) return static_cast<minigan::Activation>(i);
        names += (i ? ", " : "") + std::string(minigan::ACTIVATION_NAMES[i]);
    }
    throw BadArray("activation '" + kind + "' is unknown; known: " + names);
}

py::array activation(const Kernels& kernels, py::handle x_given, const std::string& kind, double slope) {
    const py::array x = checked("x", x_given, READ);
    const auto act = activation_named(kind);
    py::array_t<float> y(std::vector<py::ssize_t>(x.shape(), x.shape() + x.ndim()));
    const auto* from = static_cast<const float*>(x.data());
    auto* to = static_cast<float*>(y.mutable_data());
    const auto n = static_cast<size_t>(x.size());
    {
        py::gil_scoped_release release;
        kernels.activation[act](from, to, n, static_cast<float>(slope));
    }
    return y;  // to py::array it is a copy, which counts a reference: not without the GIL
}

void adam_step(const Kernels& kernels, py::handle p_given, py::handle dp_given, py::handle m_given, py::handle v_given,
               double beta1, double beta2, double eps, double decay, double lr, double c1, double c2, double clip) {
    py::array p = checked("p", p_given, WRITE), m = checked("m", m_given, WRITE), v = checked("v", v_given, WRITE);
    const py::array dp = checked("dp", dp_given, READ);
    same_shape("dp", dp, "p", p);
    same_shape("m", m, "p", p);
    same_shape("v", v, "p", p);
    const auto f = [](double x) { return static_cast<float>(x); };
    const minigan::Adam adam = {f(beta1), f(1 - beta1), f(beta2), f(1 - beta2), f(eps),
                                f(decay), f(lr),        f(c1),    f(c2),        f(clip)};
    auto* weights = static_cast<float*>(p.mutable_data());
    const auto* gradients = static_cast<const float*>(dp.data());
    auto* means = static_cast<float*>(m.mutable_data());
    auto* squares = static_cast<float*>(v.mutable_data());
    const auto n = static_cast<size_t>(p.size());
    py::gil_scoped_release release;
    kernels.adam_step(weights, gradients, means, squares, n, adam);
}

void raise_as(const char* error, const std::exception& e) {
    py::set_error(py::module_::import("minigan.errors").attr(error), e.what());
}

void translate(std::exception_ptr thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (const BadArray& e) {
        raise_as("ShapeError", e);
    } catch (const minigan::UnknownIsa& e) {
        raise_as("BackendError", e);
    }
}

std::vector<std::string> isas() {
    std::vector<std::string> names;
    for (const Kernels* table : minigan::supported()) names.emplace_back(table->isa);
    return names;
}

#if defined(__clang__)
constexpr const char* COMPILER = "Clang";
#else
constexpr const char* COMPILER = "GCC";
#endif

}  // namespace

PYBIND11_MODULE(_cpp, m) {
    py::register_local_exception_translator(translate);
    m.doc() = "minigan's C++ kernels, one table per instruction set; minigan.backends.cpp is the way to call them";
    m.def("isa", [] { return std::string(minigan::choose().isa); }, "The instruction set in use: MINIGAN_ISA, else the best.");
    m.def("isas", &isas, "The instruction sets that this machine and build run, best first.");
    m.def("build", [] { return py::dict(py::arg("compiler") = COMPILER, py::arg("version") = __VERSION__); },
          "Name and version of the compiler that built this module.");
    m.def("kernels", &minigan::find, py::arg("isa"), py::return_value_policy::reference, "The table of one instruction set.");
    py::class_<Kernels>(m, "Kernels")
        .def_readonly("isa", &Kernels::isa)
        .def("activation", &activation, py::arg("x"), py::arg("kind"), py::arg("slope"))
        .def("adam_step", &adam_step, py::arg("p"), py::arg("dp"), py::arg("m"), py::arg("v"), py::kw_only(),
             py::arg("beta1"), py::arg("beta2"), py::arg("eps"), py::arg("decay"), py::arg("lr"), py::arg("c1"),
             py::arg("c2"), py::arg("clip"));
}
