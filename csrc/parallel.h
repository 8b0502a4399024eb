// The thread pool: a fixed partition of the work, claimed part by part, so that results never depend on the thread count.
#pragma once
#include <cstddef>
#include <stdexcept>

namespace minigan {

// Runs task(context, part) for part = 0 .. parts-1 on the pool's threads and on the caller, and returns when all are done.
// Which thread takes a part is open; what a part computes must not depend on it. A call from within a task, or while
// another thread has the pool, runs its parts one after the other. What a task throws is thrown here.
void run_parts(int parts, void (*task)(const void* context, int part), const void* context);

constexpr int MOST_THREADS = 1024;

struct BadThreadCount : std::runtime_error {
    using std::runtime_error::runtime_error;
};

int threads();               // the caller included; BadThreadCount where MINIGAN_NUM_THREADS is no such number
void set_threads(int count);  // 1 to MOST_THREADS; where the system starts fewer, those do all of the work

}  // namespace minigan
