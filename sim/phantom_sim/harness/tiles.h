// A mesh made of Verilated tiles: each place of the mesh is an instance of one class, and threads share the places.
#ifndef PHANTOM_TILES_H
#define PHANTOM_TILES_H

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

#include <sched.h>

#include "Vtile.h"
#include "streams.h"
#include "verilated.h"

// The parts of what a tile does at the clock edge, in their order.
extern void (*const Vtile_parts[])(Vtile___024root*);
extern const size_t Vtile_part_count;

namespace phantom {

// --- threads ---------------------------------------------------------------------------------------------------

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

// --- links -----------------------------------------------------------------------------------------------------

// What is on a link in a cycle. Either end writes lines of memory of its own.
template <typename Port>
struct Link {
    alignas(64) Port payload{};
    uint8_t valid = 0;
    alignas(64) uint8_t ready = 0;
};

// The two ends of one kind of link at a tile.
template <typename Port>
struct Ends {
    uint8_t &in_valid, &in_ready;
    Port& in_payload;
    uint8_t &out_valid, &out_ready;
    Port& out_payload;
    size_t in, out;  // links

    void take(const std::vector<Link<Port>>& links) {
        in_valid = links[in].valid;
        in_payload = links[in].payload;
        out_ready = links[out].ready;
    }

    void give(std::vector<Link<Port>>& links) const {
        links[in].ready = in_ready;
        links[out].valid = out_valid;
        links[out].payload = out_payload;
    }
};

// All links of a kind, in this cycle and in the next one. Outputs of a tile come from registers, so that tiles can be
// clocked one after another, or at the same time. The exception is `ready` of the sums, which depends on their `valid`.
template <typename Port>
struct Links {
    std::vector<Link<Port>> now, next;
    std::vector<size_t> ends;  // the links to the outside

    static constexpr size_t kWords = kWordsOf<Port>;

    // Sources outside: `valid` a bit each, payloads side by side in whole words.
    void offer(uint64_t valid, const std::vector<uint32_t>& payload) {
        for (size_t i = 0; i < ends.size(); ++i) {
            Link<Port>& link = now[ends[i]];
            link.valid = valid >> i & 1;
            put(link.payload, payload.data() + i * kWords);
        }
    }

    uint64_t ready() const {
        uint64_t bits = 0;
        for (size_t i = 0; i < ends.size(); ++i) bits |= uint64_t(now[ends[i]].ready) << i;
        return bits;
    }

    // Sinks outside.
    void accept(uint64_t ready) {
        for (size_t i = 0; i < ends.size(); ++i) now[ends[i]].ready = ready >> i & 1;
    }

    uint64_t valid(std::vector<uint32_t>& payload) const {
        uint64_t bits = 0;
        for (size_t i = 0; i < ends.size(); ++i) {
            const Link<Port>& link = now[ends[i]];
            bits |= uint64_t(link.valid) << i;
            get(link.payload, payload.data() + i * kWords);
        }
        return bits;
    }
};

// --- the mesh --------------------------------------------------------------------------------------------------

// Ports of a Verilated class from and to the members of a TiledMesh.
template <typename Port>
void put_words(Port& port, const std::vector<uint32_t>& words) { put(port, words.data()); }

template <typename Port>
void put_words(Port& port, uint64_t bits) { port = static_cast<Port>(bits); }

template <typename Port>
void get_words(const Port& port, std::vector<uint32_t>& words) { get(port, words.data()); }

template <typename Port>
void get_words(const Port& port, uint64_t& bits) { bits = port; }

struct MeshShape {
    int64_t rows, cols;
    const int64_t* lane_of;  // of each mesh column
    int64_t activity_bits, stalls_bits;  // of a tile
    int64_t threads;  // of the simulation
};

// The ports of phantom_sim.mesh_ports.MeshPorts over tiles that are connected as phantom_hw.mesh.mesh does it.
class TiledMesh {
    template <typename T>
    using Plain = std::remove_reference_t<T>;
    using Moving = Plain<decltype(Vtile::moving_in___05Fpayload)>;
    using Stationary = Plain<decltype(Vtile::stationary_in___05Fpayload)>;
    using Sums = Plain<decltype(Vtile::sums_in___05Fpayload)>;
    using Activity = Plain<decltype(Vtile::activity)>;
    using Stalls = Plain<decltype(Vtile::stalls)>;

public:
    uint8_t clk = 0, rst = 0, idle = 0;
    uint64_t moving_valid = 0, moving_ready = 0, stationary_valid = 0, stationary_ready = 0;
    uint64_t sums_valid = 0, sums_ready = 0;
    std::vector<uint32_t> moving_payload, stationary_payload, sums_payload, activity, stalls;

    // `beside`: work of the same clock edge outside of the mesh.
    TiledMesh(VerilatedContext* context, const MeshShape& shape, std::function<void()> beside = {})
        : shape_(shape), seen_(shape.rows * shape.cols),
          beside_(std::move(beside)),
          blocks_(std::min(beside_ && shape.threads > 1 ? 2 * shape.threads : shape.threads, shape.rows)),
          crew_(int(std::min<size_t>(shape.threads, jobs())), jobs(), [this](size_t job) {
              if (beside_ && job-- == 0) beside_();
              else step(job);
          }) {
        const size_t rows = shape.rows, cols = shape.cols;
        for (size_t i = 0; i < rows * cols; ++i) tiles_.push_back(std::make_unique<Vtile>(context, "tile"));
        const size_t moving = rows * (cols + 1), stationary = (rows + 1) * cols, sums = rows * cols;
        // a link that has one end only offers nothing, or takes nothing
        for (auto* links : {&moving_.now, &moving_.next}) links->resize(moving);
        for (auto* links : {&stationary_.now, &stationary_.next}) links->resize(stationary);
        for (auto* links : {&sums_.now, &sums_.next}) links->resize(2 * sums);
        for (size_t r = 0; r < rows; ++r) {
            moving_.ends.push_back(r * (cols + 1));
            for (size_t c = 0; c < cols; ++c) {
                Vtile& tile = *tiles_[r * cols + c];
                const bool first = c == 0 || shape.lane_of[c - 1] != shape.lane_of[c];
                const bool last = c + 1 == cols || shape.lane_of[c + 1] != shape.lane_of[c];
#define PHANTOM_ENDS(kind, in, out) \
    {tile.kind##_in___05Fvalid, tile.kind##_in___05Fready, tile.kind##_in___05Fpayload, \
     tile.kind##_out___05Fvalid, tile.kind##_out___05Fready, tile.kind##_out___05Fpayload, in, out}
                places_.push_back({
                    PHANTOM_ENDS(moving, r * (cols + 1) + c, r * (cols + 1) + c + 1),
                    PHANTOM_ENDS(stationary, r * cols + c, (r + 1) * cols + c),
                    PHANTOM_ENDS(sums, r * cols + c + (first ? sums : size_t(-1)), r * cols + c)});
#undef PHANTOM_ENDS
                if (last) sums_.ends.push_back(r * cols + c);
                tile.column = c;
                tile.eval();
                give(r * cols + c);
            }
        }
        for (size_t i = 0; i < tiles_.size(); ++i) settle(i);
        for (size_t c = 0; c < cols; ++c) stationary_.ends.push_back(c);
        moving_payload.resize(moving_.ends.size() * moving_.kWords);
        stationary_payload.resize(stationary_.ends.size() * stationary_.kWords);
        sums_payload.resize(sums_.ends.size() * sums_.kWords);
        activity.resize((rows * cols * shape.activity_bits + 31) / 32);
        stalls.resize((rows * cols * shape.stalls_bits + 31) / 32);
        swap();
        show();
    }

    void final() {
        for (auto& tile : tiles_) tile->final();
    }

    void wake() { crew_.wake(); }
    void rest() { crew_.rest(); }

    // Like a Verilated class: at the rising edge all tiles are clocked. No output depends on inputs before that.
    void eval() {
        const bool rises = clk && !clocked_;
        clocked_ = clk;
        if (rises) edge();
    }

    void edge() {
        moving_.offer(moving_valid, moving_payload);
        stationary_.offer(stationary_valid, stationary_payload);
        sums_.accept(sums_ready);
        bool quiet = !rst;
        for (size_t i = 0; i < tiles_.size(); ++i) quiet &= seen_[i].idle;
        crew_.round();
        idle = quiet;
        swap();
        show();
    }

private:
    struct Place {
        Ends<Moving> moving;
        Ends<Stationary> stationary;
        Ends<Sums> sums;
    };

    struct alignas(64) Seen {
        Activity activity;
        Stalls stalls;
        uint8_t idle;
    };

    size_t jobs() const { return blocks_ + (beside_ ? 1 : 0); }

    // Clocks the tiles of neighbouring mesh rows part by part: the code of a part stays in the cache while all tiles
    // run it.
    void step(size_t block) {
        const size_t rows = shape_.rows, cols = shape_.cols;
        const size_t first = block * rows / blocks_ * cols, end = (block + 1) * rows / blocks_ * cols;
        for (size_t i = first; i < end; ++i) {
            Vtile& tile = *tiles_[i];
            places_[i].moving.take(moving_.now);
            places_[i].stationary.take(stationary_.now);
            places_[i].sums.take(sums_.now);
            tile.rst = rst;
            tile.clk = 1;
            tile.eval();
        }
        for (size_t part = 0; part < Vtile_part_count; ++part)
            for (size_t i = first; i < end; ++i) Vtile_parts[part](tiles_[i]->rootp);
        for (size_t i = first; i < end; ++i) give(i);
        for (size_t i = first; i < end; ++i) settle(i);
    }

    // The one output that depends on an input: whether a tile takes a sum may depend on whether one is offered.
    void settle(size_t index) {
        Ends<Sums>& sums = places_[index].sums;
        sums.in_valid = sums_.next[sums.in].valid;
        tiles_[index]->clk = 0;
        tiles_[index]->eval();
        sums_.next[sums.in].ready = sums.in_ready;
    }

    void give(size_t index) {
        const Vtile& tile = *tiles_[index];
        const Place& place = places_[index];
        place.moving.give(moving_.next);
        place.stationary.give(stationary_.next);
        place.sums.give(sums_.next);
        seen_[index] = {tile.activity, tile.stalls, tile.idle};
    }

    void swap() {
        moving_.now.swap(moving_.next);
        stationary_.now.swap(stationary_.next);
        sums_.now.swap(sums_.next);
    }

    void show() {
        moving_ready = moving_.ready();
        stationary_ready = stationary_.ready();
        sums_valid = sums_.valid(sums_payload);
        gather(activity, &Seen::activity, shape_.activity_bits);
        gather(stalls, &Seen::stalls, shape_.stalls_bits);
    }

    // A port of all tiles side by side.
    template <typename Port>
    void gather(std::vector<uint32_t>& words, Port Seen::* port, int64_t bits) {
        std::fill(words.begin(), words.end(), 0);
        for (size_t i = 0; i < seen_.size(); ++i) {
            uint32_t from[kWordsOf<Port>];
            get(seen_[i].*port, from);
            for (int64_t word = 0; word * 32 < bits; ++word) {
                const int64_t at = i * bits + word * 32;
                const uint64_t value = uint64_t(from[word]) << at % 32;
                words[at / 32] |= uint32_t(value);
                if (value >> 32) words[at / 32 + 1] |= uint32_t(value >> 32);
            }
        }
    }

    MeshShape shape_;
    std::vector<std::unique_ptr<Vtile>> tiles_;
    std::vector<Place> places_;
    std::vector<Seen> seen_;
    Links<Moving> moving_;
    Links<Stationary> stationary_;
    Links<Sums> sums_;
    bool clocked_ = false;
    std::function<void()> beside_;
    size_t blocks_;
    Crew crew_;  // the last member: its threads end first
};

// While it lives, the threads of a simulation are at hand.
struct Awake {
    explicit Awake(TiledMesh& mesh) : mesh_(mesh) { mesh_.wake(); }
    ~Awake() { mesh_.rest(); }
    TiledMesh& mesh_;
};

}  // namespace phantom

#endif
