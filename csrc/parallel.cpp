#include "parallel.h"

#include "alloc.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace minigan {
namespace {

// A part, with the scratch that it takes.
void run_part(void (*task)(const void*, int), const void* context, int part) {
    struct Scope {
        const size_t mark = scratch_mark();
        ~Scope() { scratch_release(mark); }
    } scope;
    task(context, part);
}

constexpr auto SPIN = std::chrono::microseconds(200);  // then a worker sleeps; ops of one training step follow faster

void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

// Spins until ready() or until SPIN is over; says whether it became ready.
template <class Ready>
bool spin(Ready ready) {
    const auto end = std::chrono::steady_clock::now() + SPIN;
    do {
        for (int i = 0; i < 64; i++) {
            if (ready()) return true;
            pause();
        }
    } while (std::chrono::steady_clock::now() < end);
    return false;
}

int default_threads() {
    if (const char* given = std::getenv("MINIGAN_NUM_THREADS"); given && *given) {
        char* end = nullptr;
        const long count = std::strtol(given, &end, 10);
        if (*end || count < 1 || count > MOST_THREADS)
            throw BadThreadCount("MINIGAN_NUM_THREADS='" + std::string(given) + "', expected a whole number from 1 to " +
                                 std::to_string(MOST_THREADS) + "; unset it for one thread per CPU");
        return static_cast<int>(count);
    }
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    const int count = static_cast<int>(std::thread::hardware_concurrency());
    return count >= 1 ? count : 1;
}

class Pool {
public:
    explicit Pool(int count) : shares_(static_cast<size_t>(count)) {
        workers_.reserve(shares_.size() - 1);
        try {
            for (int i = 1; i < count; i++) workers_.emplace_back([this, i] { work(i); });
        } catch (const std::system_error&) {  // the system starts no more; any number of threads gives the same results
        }
    }

    ~Pool() {
        {
            const std::lock_guard<std::mutex> lock(sleep_);
            stop_ = true;
        }
        wake_.notify_all();
        for (std::thread& worker : workers_) worker.join();
    }

    int size() const { return static_cast<int>(shares_.size()); }

    void run(int parts, void (*task)(const void*, int), const void* context) {
        task_ = task, context_ = context;
        for (int t = 0; t < size(); t++) {
            shares_[static_cast<size_t>(t)].next = share_begin(parts, t);
            shares_[static_cast<size_t>(t)].end = share_begin(parts, t + 1);
        }
        open_ = ++generation_;
        if (sleepers_ > 0) {
            const std::lock_guard<std::mutex> lock(sleep_);
            wake_.notify_all();
        }
        take_parts(0);
        open_ = 0;  // a worker that enters from now on sees the job closed; those inside are waited for
        while (!spin([this] { return active_ == 0; })) sched_yield();
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    }

private:
    // A thread has the same share of every job, so that it finds in its cache what it wrote in the job before; whoever is
    // done helps the others.
    struct alignas(64) Share {
        std::atomic<int> next{0};
        int end = 0;
    };

    int share_begin(int parts, int thread) const { return static_cast<int>(static_cast<long long>(parts) * thread / size()); }

    void take_parts(int thread) {
        for (int i = 0; i < size(); i++) {
            Share& share = shares_[static_cast<size_t>((thread + i) % size())];
            for (int part; (part = share.next++) < share.end;) try {
                    run_part(task_, context_, part);
                } catch (...) {
                    const std::lock_guard<std::mutex> lock(sleep_);
                    failure_ = std::current_exception();
                }
        }
    }

    void work(int thread) {
        unsigned long seen = 0;
        const auto due = [&] {
            const unsigned long open = open_;
            return stop_ || (open != 0 && open != seen);
        };
        while (true) {
            if (!spin(due)) {
                std::unique_lock<std::mutex> lock(sleep_);
                sleepers_++;
                wake_.wait(lock, due);
                sleepers_--;
            }
            if (stop_) return;
            active_++;  // before the job is read: run() does not end, and the job does not change, while one is active
            if (const unsigned long open = open_; open != 0 && open != seen) {
                seen = open;
                take_parts(thread);
            }
            active_--;
        }
    }

    void (*task_)(const void*, int) = nullptr;
    const void* context_ = nullptr;
    std::vector<Share> shares_;
    std::atomic<int> active_{0}, sleepers_{0};
    std::atomic<unsigned long> open_{0};  // the generation of the job that may be entered, 0 for none
    unsigned long generation_ = 0;
    std::atomic<bool> stop_{false};
    std::exception_ptr failure_;
    std::mutex sleep_;
    std::condition_variable wake_;
    std::vector<std::thread> workers_;
};

std::mutex* caller = new std::mutex;  // held by the thread whose job the pool runs
Pool* pool = nullptr;                 // never destroyed at exit: a sleeping worker must find it
std::atomic<int> wanted{0};
thread_local bool inside = false;

// After fork the child has this thread alone: its pool starts anew, the parent's is forgotten with its mutexes.
void forget() {
    caller = new std::mutex;
    pool = nullptr;
    inside = false;
}

struct Inside {
    Inside() { inside = true; }
    ~Inside() { inside = false; }
};

const int registered = pthread_atfork(nullptr, nullptr, forget);

}  // namespace

int threads() {
    if (wanted == 0) wanted = default_threads();
    return wanted;
}

void set_threads(int count) {
    const std::lock_guard<std::mutex> lock(*caller);
    delete pool;
    pool = nullptr;
    wanted = count;
}

void run_parts(int parts, void (*task)(const void*, int), const void* context) {
    if (parts > 1 && !inside && threads() > 1) {
        const std::unique_lock<std::mutex> lock(*caller, std::try_to_lock);
        if (lock.owns_lock()) {
            if (!pool) pool = new Pool(threads());
            const Inside mark;
            pool->run(parts, task, context);
            return;
        }
    }
    for (int part = 0; part < parts; part++) run_part(task, context, part);
}

}  // namespace minigan
