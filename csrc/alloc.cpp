#include "alloc.h"

#include <pthread.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace minigan {
namespace {

constexpr size_t LINE = 64, HUGE_PAGE = size_t{2} << 20;
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t MOST_KEPT = 0;  // every block goes back at once, so that a use after that is seen
#else
constexpr size_t MOST_KEPT = size_t{1} << 30;  // bytes that wait for reuse
#endif

std::atomic<size_t> made{0};

// Large blocks ask for huge pages: spectra and images are walked across, and would miss the TLB at every step.
void* aligned(size_t bytes) {
    void* block = nullptr;
    if (posix_memalign(&block, bytes < HUGE_PAGE ? LINE : HUGE_PAGE, bytes) != 0) throw std::bad_alloc();
    made++;
#if defined(__linux__)
    if (bytes >= HUGE_PAGE) madvise(block, bytes, MADV_HUGEPAGE);
#endif
    return block;
}

// Eight sizes per power of two: a block is at most an eighth larger than asked for.
size_t size_class(size_t bytes) {
    size_t step = LINE;
    while (step * 16 < bytes) step *= 2;
    return (bytes + step - 1) / step * step;
}

struct Cache {
    std::mutex lock;
    std::map<size_t, std::vector<void*>> waiting;  // by size class
    size_t kept = 0;
};

Cache& cache = *new Cache;  // never destroyed: arrays may outlive it at exit
const int registered = pthread_atfork([] { cache.lock.lock(); }, [] { cache.lock.unlock(); }, [] { cache.lock.unlock(); });

struct Stack {
    struct Chunk {
        float* at;
        size_t size, used;
    };
    std::vector<Chunk> chunks;

    ~Stack() {
        for (const Chunk& chunk : chunks) std::free(chunk.at);
    }

    size_t used() const {
        size_t sum = 0;
        for (const Chunk& chunk : chunks) sum += chunk.used;
        return sum;
    }

    float* take(size_t floats) {
        floats = (floats + LINE / 4 - 1) / (LINE / 4) * (LINE / 4);
        if (chunks.empty() || chunks.back().size - chunks.back().used < floats) {
            const size_t size = floats > (1 << 18) ? floats : 1 << 18;
            chunks.push_back({nullptr, 0, 0});  // stays empty if there is no memory
            chunks.back().at = static_cast<float*>(aligned(size * sizeof(float)));
            chunks.back().size = size;
        }
        Chunk& chunk = chunks.back();
        chunk.used += floats;
        return chunk.at + chunk.used - floats;
    }

    // Chunks that are empty again become one, as large as all of them; none if there is no memory, then take() says so.
    void release(size_t mark) {
        size_t excess = used() - mark;
        for (size_t i = chunks.size(); i-- > 0 && excess > 0;) {
            const size_t part = excess < chunks[i].used ? excess : chunks[i].used;
            chunks[i].used -= part;
            excess -= part;
        }
        if (mark > 0 || chunks.size() < 2) return;
        size_t total = 0;
        for (const Chunk& chunk : chunks) {
            total += chunk.size;
            std::free(chunk.at);
        }
        chunks.clear();
        try {
            chunks.push_back({static_cast<float*>(aligned(total * sizeof(float))), total, 0});
        } catch (const std::bad_alloc&) {
        }
    }
};

thread_local Stack stack;

}  // namespace

void* take_array(size_t bytes) {
    const size_t size = size_class(bytes);
    {
        const std::lock_guard<std::mutex> guard(cache.lock);
        if (auto found = cache.waiting.find(size); found != cache.waiting.end() && !found->second.empty()) {
            void* block = found->second.back();
            found->second.pop_back();
            cache.kept -= size;
            return block;
        }
    }
    char* block = static_cast<char*>(aligned(size + LINE));
    *reinterpret_cast<size_t*>(block) = size;  // one line in front of the array
    return block + LINE;
}

void give_array(void* array) {
    char* block = static_cast<char*>(array) - LINE;
    const size_t size = *reinterpret_cast<size_t*>(block);
    {
        const std::lock_guard<std::mutex> guard(cache.lock);
        if (cache.kept + size <= MOST_KEPT) {
            cache.waiting[size].push_back(array);
            cache.kept += size;
            return;
        }
    }
    std::free(block);
}

size_t blocks_made() { return made; }

size_t scratch_mark() { return stack.used(); }
float* scratch_take(size_t floats) { return stack.take(floats); }
void scratch_release(size_t mark) { stack.release(mark); }

}  // namespace minigan
