#pragma once
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels.h"

namespace minigan {

struct UnknownIsa : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The tables that this machine runs, best first; baseline is always the last.
std::vector<const Kernels*> supported();

// The table named `isa`. Throws UnknownIsa, which names the supported ones.
const Kernels& find(const std::string& isa);

// The table that MINIGAN_ISA names; where it is unset or empty, the best one.
const Kernels& choose();

}  // namespace minigan
