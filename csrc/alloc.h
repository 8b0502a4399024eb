// Memory that a warm training step finds instead of asking the system: arrays that are handed out, and scratch.
#pragma once
#include <cstddef>

namespace minigan {

// Uninitialised, 64-byte aligned. Given back blocks wait for the next request of their size. Throws std::bad_alloc.
void* take_array(size_t bytes);
void give_array(void* block);

// Each thread's own stack of scratch, which only grows. A kernel takes and never gives back: what it took on the calling
// thread lasts until the op ends (the binding's Running), what a part took until the part ends (run_parts).
float* scratch_take(size_t floats);  // uninitialised, 64-byte aligned
size_t scratch_mark();
void scratch_release(size_t mark);  // all that was taken since

size_t blocks_made();  // blocks asked of the system so far, for arrays and scratch; a warm step adds none

}  // namespace minigan
