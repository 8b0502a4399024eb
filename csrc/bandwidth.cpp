#include "bandwidth.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "parallel.h"

namespace minigan {
namespace {

constexpr size_t ROUND_BYTES = 1 << 22;  // of a thread, between two looks at the clock: a round is seldom interrupted
constexpr size_t LINE = 64;

// volatile: so that the compiler cannot know what is called, nor leave out a call whose result it can guess
void* (*volatile copy)(void*, const void*, size_t) = std::memcpy;
const void* (*volatile find)(const void*, int, size_t) = std::memchr;

// `piece` bytes in all: at `at` of each half of the buffer, or of the whole; in place, half of them, read and written
void copy_piece(char* buffer, size_t bytes, size_t at, size_t piece) {
    copy(buffer + bytes / 2 + at / 2, buffer + at / 2, piece / 2);
}

void read_piece(char* buffer, size_t, size_t at, size_t piece) {
    if (find(buffer + at, 1, piece)) buffer[at] = 0;  // there is no 1, so all is read
}

void update_piece(char* buffer, size_t, size_t at, size_t piece) {
    int* numbers = reinterpret_cast<int*>(buffer + at / 2);
    for (size_t i = 0; i < piece / 2 / sizeof(int); i++) numbers[i] ^= 2;
}

struct Work {
    void (*move)(char* buffer, size_t bytes, size_t at, size_t piece);
    size_t bytes, piece, at, rounds;
    std::vector<std::vector<char>> buffers;
};

double peak(decltype(Work::move) move, size_t wanted, double seconds) {
    using clock = std::chrono::steady_clock;
    const size_t whole = std::max(wanted / (2 * LINE), size_t{1}) * 2 * LINE;
    const size_t piece = std::min(whole, ROUND_BYTES), bytes = whole / piece * piece;
    Work work{move, bytes, piece, 0, ROUND_BYTES / piece, {}};
    for (int i = 0; i < threads(); i++) work.buffers.emplace_back(bytes);
    double best = 0;
    const auto end = clock::now() + std::chrono::duration<double>(seconds);
    do {
        const auto start = clock::now();
        run_parts(static_cast<int>(work.buffers.size()), [](const void* c, int part) {
            auto& given = *static_cast<Work*>(const_cast<void*>(c));
            char* buffer = given.buffers[static_cast<size_t>(part)].data();
            for (size_t r = 0; r < given.rounds; r++) given.move(buffer, given.bytes, given.at, given.piece);
        }, &work);
        const double elapsed_s = std::chrono::duration<double>(clock::now() - start).count();
        best = std::max(best, static_cast<double>(work.buffers.size() * work.rounds * piece) / elapsed_s / 1e9);
        work.at = (work.at + piece) % bytes;
    } while (clock::now() < end);
    return best;
}

}  // namespace

double copy_peak(size_t bytes, double seconds) { return peak(copy_piece, bytes, seconds); }
double read_peak(size_t bytes, double seconds) { return peak(read_piece, bytes, seconds); }
double update_peak(size_t bytes, double seconds) { return peak(update_piece, bytes, seconds); }

}  // namespace minigan
