// The module: which tables there are, how many threads, and each family's bindings (bind_*.cpp), which check the arrays,
// release the GIL and call the table.
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>

#include "arrays.h"
#include "bandwidth.h"
#include "dispatch.h"
#include "parallel.h"

namespace {

namespace py = pybind11;
using minigan::Kernels;

std::vector<std::string> isas() {
    std::vector<std::string> names;
    for (const Kernels* table : minigan::supported()) names.emplace_back(table->isa);
    return names;
}

void set_threads(int count) {
    minigan::require(count >= 1 && count <= minigan::MOST_THREADS);
    const py::gil_scoped_release release;
    minigan::set_threads(count);
}

// GFLOP/s of multiply-adds over all threads: the best of many short rounds, for `seconds` in all
double fma_peak(const Kernels& kernels, double seconds) {
    using clock = std::chrono::steady_clock;
    constexpr size_t ROUNDS = 100000;
    struct Context {
        const Kernels& kernels;
        std::vector<float> sinks;
    } context{kernels, std::vector<float>(16 * static_cast<size_t>(minigan::threads()))};
    const py::gil_scoped_release release;
    double best = 0;
    for (const auto end = clock::now() + std::chrono::duration<double>(seconds); clock::now() < end;) {
        const auto start = clock::now();
        minigan::run_parts(minigan::threads(), [](const void* c, int part) {
            auto& given = *static_cast<Context*>(const_cast<void*>(c));
            given.kernels.peak.rounds(ROUNDS, &given.sinks[16 * static_cast<size_t>(part)]);
        }, &context);
        const double elapsed_s = std::chrono::duration<double>(clock::now() - start).count();
        best = std::max(best, minigan::threads() * ROUNDS * kernels.peak.flops_per_round / elapsed_s / 1e9);
    }
    return best;
}

#if defined(__clang__)
constexpr const char* COMPILER = "Clang";
#else
constexpr const char* COMPILER = "GCC";
#endif

}  // namespace

PYBIND11_MODULE(_cpp, m) {
    m.doc() = "minigan's C++ kernels, one table per instruction set; minigan.backends.cpp is the way to call them";
    py::register_exception<minigan::Refused>(m, "Refused").doc() = "Arguments that no kernel takes; checks.py says why.";
    py::register_local_exception_translator([](std::exception_ptr thrown) {
        try {
            std::rethrow_exception(thrown);
        } catch (const minigan::UnknownIsa& e) {
            py::set_error(py::module_::import("minigan.errors").attr("BackendError"), e.what());
        } catch (const minigan::BadThreadCount& e) {
            py::set_error(py::module_::import("minigan.errors").attr("BackendError"), e.what());
        } catch (const minigan::TooLarge& e) {
            py::set_error(py::module_::import("minigan.errors").attr("ShapeError"), e.what());
        }
    });
    m.def("isa", [] { return std::string(minigan::choose().isa); }, "The instruction set in use: MINIGAN_ISA, else the best.");
    m.def("isas", &isas, "The instruction sets that this machine and build run, best first.");
    m.def("build", [] { return py::dict(py::arg("compiler") = COMPILER, py::arg("version") = __VERSION__); },
          "Name and version of the compiler that built this module.");
    m.def("threads", &minigan::threads, "How many threads the kernels use: MINIGAN_NUM_THREADS, else the CPUs we may run on.");
    m.def("set_threads", &set_threads, py::arg("count"), "Another number of threads from now on; the results are the same.");
    m.def("blocks_made", &minigan::blocks_made, "Blocks of memory asked of the system so far; a warm training step adds none.");
    m.def("kernels", &minigan::find, py::arg("isa"), py::return_value_policy::reference, "The table of one instruction set.");
    m.def("copy_peak", &minigan::copy_peak, py::arg("bytes"), py::arg("seconds"), py::call_guard<py::gil_scoped_release>(),
          "GB/s read and written by a copy within `bytes` of each thread, over all threads: the best of many rounds.");
    m.def("read_peak", &minigan::read_peak, py::arg("bytes"), py::arg("seconds"), py::call_guard<py::gil_scoped_release>(),
          "GB/s read within `bytes` of each thread, over all threads: the best of many rounds.");
    m.def("update_peak", &minigan::update_peak, py::arg("bytes"), py::arg("seconds"),
          py::call_guard<py::gil_scoped_release>(), "GB/s read and written in place; else as copy_peak.");
    minigan::Module kernels(m, "Kernels");
    kernels.def_readonly("isa", &Kernels::isa)
        .def("fma_peak", &fma_peak, py::arg("seconds"), "The measured peak of multiply-adds in GFLOP/s, over all threads.");
    minigan::bind_pointwise(kernels);
    minigan::bind_linear(kernels);
    minigan::bind_conv(kernels);
    minigan::bind_norm(kernels);
    minigan::bind_image(kernels);
    minigan::bind_loss(kernels);
    minigan::bind_random(kernels);
    minigan::bind_optim(kernels);
}
