// Threads that share the jobs of a simulation's clock cycle.
#ifndef PHANTOM_CREW_H
#define PHANTOM_CREW_H

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include <sched.h>

namespace phantom {

// Persistent threads that share the jobs of a round; the caller of `round` is one of them. Between rounds they spin,
// and give the processor away now and then, so that more threads than processors go on, too. While nobody simulates
// (`rest`) they sleep.
class Crew {
public:
    Crew(int threads, size_t jobs, std::function<void(size_t)> work) : jobs_(jobs), work_(std::move(work)) {
        for (int index = 1; index < threads; ++index) threads_.emplace_back([this] { serve(); });
    }

    ~Crew() {
        state_ = kEnd;
        state_.notify_all();
        for (std::thread& thread : threads_) thread.join();
    }

    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;

    void wake() {
        state_ = kAwake;
        state_.notify_all();
    }

    void rest() { state_ = kAsleep; }

    // Does every job once.
    void round() {
        left_.store(jobs_, std::memory_order_relaxed);
        // the number of the round in the upper half: who comes late finds no jobs of an old round
        next_.store(uint64_t(++round_) << 32, std::memory_order_release);
        work(round_);
        for (int spins = 0; left_.load(std::memory_order_acquire) != 0; ++spins) pause(spins);
    }

private:
    enum : int { kAsleep, kAwake, kEnd };

    static void pause(int spins) {
        if (spins % 4096 == 4095) sched_yield();
        else __builtin_ia32_pause();
    }

    void work(uint32_t round) {
        uint64_t next = next_.load(std::memory_order_acquire);
        while (next >> 32 == round && uint32_t(next) < jobs_) {
            if (!next_.compare_exchange_weak(next, next + 1, std::memory_order_acq_rel)) continue;
            work_(uint32_t(next));
            left_.fetch_sub(1, std::memory_order_acq_rel);
            next = next_.load(std::memory_order_acquire);
        }
    }

    void serve() {
        uint32_t seen = 0;
        for (int spins = 0;; ++spins) {
            const uint32_t round = uint32_t(next_.load(std::memory_order_acquire) >> 32);
            if (round != seen) {
                work(seen = round);
                spins = 0;
                continue;
            }
            const int state = state_.load(std::memory_order_acquire);
            if (state == kEnd) return;
            if (state == kAsleep) state_.wait(kAsleep, std::memory_order_acquire);
            else pause(spins);
        }
    }

    size_t jobs_;
    std::function<void(size_t)> work_;
    uint32_t round_ = 0;
    alignas(64) std::atomic<uint64_t> next_{0};
    alignas(64) std::atomic<size_t> left_{0};
    alignas(64) std::atomic<int> state_{kAsleep};
    std::vector<std::thread> threads_;
};

}  // namespace phantom

#endif
