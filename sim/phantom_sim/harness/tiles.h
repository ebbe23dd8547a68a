// A mesh made of Verilated tiles: each place of the mesh is an instance of one class, or a lane of one, and threads
// share the places.
#ifndef PHANTOM_TILES_H
#define PHANTOM_TILES_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "crew.h"
#include "streams.h"
#include "verilated.h"

#ifndef PHANTOM_LANES
#define PHANTOM_LANES 0
#endif
#if PHANTOM_LANES
#include "lane_block.h"
#else
#include "tile_block.h"
#endif

namespace phantom {

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
    StreamPins<Port> at;
    size_t in, out;  // links

    void take(const std::vector<Link<Port>>& links) const {
        at.in.valid.put(links[in].valid);
        at.in.payload.put(links[in].payload);
        at.out.ready.put(links[out].ready);
    }

    void give(std::vector<Link<Port>>& links) const {
        links[in].ready = at.in.ready.get();
        links[out].valid = at.out.valid.get();
        links[out].payload = at.out.payload.get();
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
public:
    uint8_t clk = 0, rst = 0, idle = 0;
    uint64_t moving_valid = 0, moving_ready = 0, stationary_valid = 0, stationary_ready = 0;
    uint64_t sums_valid = 0, sums_ready = 0;
    std::vector<uint32_t> moving_payload, stationary_payload, sums_payload, activity, stalls;

    // `beside`: work of the same clock edge outside of the mesh.
    TiledMesh(VerilatedContext* context, const MeshShape& shape, std::function<void()> beside = {})
        : shape_(shape), seen_(shape.rows * shape.cols),
          beside_(std::move(beside)),
          block_count_(std::min(beside_ && shape.threads > 1 && !PHANTOM_LANES ? 2 * shape.threads : shape.threads,
                                shape.rows)),
          crew_(int(std::min<size_t>(shape.threads, jobs())), jobs(), [this](size_t job) {
              if (beside_ && job-- == 0) beside_();
              else step(job);
          }) {
        const size_t rows = shape.rows, cols = shape.cols;
        const size_t moving = rows * (cols + 1), stationary = (rows + 1) * cols, sums = rows * cols;
        // a link that has one end only offers nothing, or takes nothing
        for (auto* links : {&moving_.now, &moving_.next}) links->resize(moving);
        for (auto* links : {&stationary_.now, &stationary_.next}) links->resize(stationary);
        for (auto* links : {&sums_.now, &sums_.next}) links->resize(2 * sums);
        for (size_t block = 0; block < block_count_; ++block) {
            std::vector<uint8_t> columns;
            for (size_t i = first(block); i < first(block + 1); ++i) columns.push_back(uint8_t(i % cols));
            blocks_.push_back(std::make_unique<TileBlock>(context, columns));
            for (size_t i = first(block); i < first(block + 1); ++i) {
                const TilePins pins = blocks_.back()->pins(i - first(block));
                const size_t r = i / cols, c = i % cols;
                const bool starts = c == 0 || shape.lane_of[c - 1] != shape.lane_of[c];
                places_.push_back({
                    {pins.moving, i + r, i + r + 1}, {pins.stationary, i, i + cols},
                    {pins.sums, i + (starts ? sums : size_t(-1)), i}, pins});
                if (c == 0) moving_.ends.push_back(i + r);
                if (c + 1 == cols || shape.lane_of[c + 1] != shape.lane_of[c]) sums_.ends.push_back(i);
                give(i);
            }
        }
        for (size_t block = 0; block < block_count_; ++block) settle(block);
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
        for (auto& block : blocks_) block->final();
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
        for (const Seen& seen : seen_) quiet &= seen.idle;
        crew_.round();
        idle = quiet;
        swap();
        show();
    }

private:
    using Moving = decltype(TilePins::moving)::Type;
    using Stationary = decltype(TilePins::stationary)::Type;
    using Sums = decltype(TilePins::sums)::Type;
    using Activity = decltype(TilePins::activity)::Type;
    using Stalls = decltype(TilePins::stalls)::Type;

    struct Place {
        Ends<Moving> moving;
        Ends<Stationary> stationary;
        Ends<Sums> sums;
        TilePins pins;
    };

    struct alignas(64) Seen {
        Activity activity;
        Stalls stalls;
        uint8_t idle;
    };

    size_t jobs() const { return block_count_ + (beside_ ? 1 : 0); }

    // The first tile of a block, which has all tiles of some neighbouring mesh rows.
    size_t first(size_t block) const { return block * shape_.rows / block_count_ * shape_.cols; }

    // Clocks the tiles of a block.
    void step(size_t block) {
        for (size_t i = first(block); i < first(block + 1); ++i) {
            places_[i].moving.take(moving_.now);
            places_[i].stationary.take(stationary_.now);
            places_[i].sums.take(sums_.now);
        }
        blocks_[block]->rise(rst);
        for (size_t i = first(block); i < first(block + 1); ++i) give(i);
        settle(block);
    }

    // The one output that depends on an input: whether a tile takes a sum may depend on whether one is offered. Sums
    // go along mesh rows, so that all that is needed is in the block.
    void settle(size_t block) {
        for (size_t i = first(block); i < first(block + 1); ++i) {
            const Ends<Sums>& sums = places_[i].sums;
            sums.at.in.valid.put(sums_.next[sums.in].valid);
        }
        blocks_[block]->settle();
        for (size_t i = first(block); i < first(block + 1); ++i) {
            const Ends<Sums>& sums = places_[i].sums;
            sums_.next[sums.in].ready = sums.at.in.ready.get();
        }
    }

    void give(size_t index) {
        const Place& place = places_[index];
        place.moving.give(moving_.next);
        place.stationary.give(stationary_.next);
        place.sums.give(sums_.next);
        seen_[index] = {place.pins.activity.get(), place.pins.stalls.get(), place.pins.idle.get()};
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
    std::vector<std::unique_ptr<TileBlock>> blocks_;
    std::vector<Place> places_;
    std::vector<Seen> seen_;
    Links<Moving> moving_;
    Links<Stationary> stationary_;
    Links<Sums> sums_;
    bool clocked_ = false;
    std::function<void()> beside_;
    size_t block_count_;
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
