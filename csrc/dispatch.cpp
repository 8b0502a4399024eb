#include "dispatch.h"

#include <cstdlib>

namespace minigan {
namespace {

struct Candidate {
    const Kernels* table;
    bool (*runs)();
};

// __builtin_cpu_supports reads cpuid and, through xgetbv, whether the operating system saves these registers.
const Candidate CANDIDATES[] = {
#if MINIGAN_X86
    {&kernels_avx512,
     [] {
         return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("fma");
     }},
    {&kernels_avx2, [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }},
#endif
    {&kernels_baseline, [] { return true; }},
};

}  // namespace

std::vector<const Kernels*> supported() {
#if MINIGAN_X86
    __builtin_cpu_init();
#endif
    std::vector<const Kernels*> tables;
    for (const Candidate& candidate : CANDIDATES)
        if (candidate.runs()) tables.push_back(candidate.table);
    return tables;
}

const Kernels& find(const std::string& isa) {
    std::string names;
    for (const Kernels* table : supported()) {
        if (isa == table->isa) return *table;
        names += (names.empty() ? "" : ", ") + std::string(table->isa);
    }
    throw UnknownIsa("instruction set '" + isa + "' was asked for (MINIGAN_ISA), but this machine and build run: " + names +
                     "; name one of these, or unset MINIGAN_ISA for the best");
}

const Kernels& choose() {
    const char* forced = std::getenv("MINIGAN_ISA");
    return forced && *forced ? find(forced) : *supported().front();
}

}  // namespace minigan
