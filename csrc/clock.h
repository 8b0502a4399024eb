// The words of `clock`: minigan/backends/clock.py says what they mean. A test holds these offsets against that file.
#pragma once
#include <cstdint>

#include "arrays.h"

namespace minigan {

struct Clock {
    static constexpr int SLOTS = 4, SEED = 0, TICK = 2, EMA = 4, RATES = 5, CLIP = RATES + 3 * SLOTS, BAD = CLIP + SLOTS;
    static constexpr int WORDS = BAD + 1;

    float* words;
    int slot;

    // Reads alone need no writeable array; `slot` is the optimizer's.
    explicit Clock(py::handle given, int slot = 0) : words(const_cast<float*>(in(given, 1).data)), slot(slot) {
        require(in(given).is({WORDS}) && slot >= 0 && slot < SLOTS);
    }
    In array() const { return {words, nullptr, 1, WORDS}; }
    bool bad() const { return words[BAD] != 0; }
    float lr() const { return words[RATES + 3 * slot]; }
    float c1() const { return words[RATES + 3 * slot + 1]; }
    float c2() const { return words[RATES + 3 * slot + 2]; }
    float clip() const { return words[CLIP + slot]; }
    // the 32-bit number in two halves at SEED or TICK
    std::uint32_t counter(int at) const {
        return static_cast<std::uint32_t>(words[at]) | static_cast<std::uint32_t>(words[at + 1]) << 16;
    }
};

}  // namespace minigan
