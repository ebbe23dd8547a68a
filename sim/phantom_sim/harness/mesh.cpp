// Runs a Verilated mesh from packets in memory: the C side of phantom_sim.mesh_simulator.

#include <cstring>
#include <memory>
#include <vector>

#include "streams.h"
#if PHANTOM_TILES
#include "tiles.h"
#else
#include "Vdut.h"
#endif
#include "verilated.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

using namespace phantom;

namespace {

constexpr int kResetCycles = 2;

#if PHANTOM_TILES
using Top = TiledMesh;
#else
using Top = Vdut;
#endif

struct Geometry {
    int64_t moving, stationary, sums;                    // links
    int64_t moving_words, stationary_words, sums_words;  // of a payload
    int64_t moving_bits, stationary_bits;
    int64_t pes, threads;  // of the whole mesh; of a PE
    int64_t tile_last_bit;
    const int64_t* lane_of;  // of each mesh column
    int64_t stalls_bits;     // of a tile
    int64_t workers;         // threads of the simulation
};

struct RunSpec {
    const Beats* moving;
    const Beats* stationary;
    const uint8_t* ready;  // [ready_length][links]; null: always
    int64_t ready_length, tiles, max_cycles, stall_limit;
    int32_t reset, trace;
};

enum Status : int32_t { kRunning, kDone, kStalled, kTooLong, kNotIdle, kUnstable };

struct State {
    int32_t status;
    int32_t unused;
    int64_t cycles, results, tiles, products;
};

// A vector port as words, whatever type Verilator gave it.
template <typename Port>
struct Words {
    Port& port;
    uint32_t get(size_t word) const {
        if constexpr (std::is_integral_v<Port>) return static_cast<uint32_t>(uint64_t(port) >> 32 * word);
        else return port[word];
    }
    void set(size_t word, uint32_t value) {
        if constexpr (std::is_integral_v<Port>) {
            const uint64_t keep = uint64_t(port) & ~(uint64_t(0xffffffff) << 32 * word);
            port = static_cast<Port>(keep | uint64_t(value) << 32 * word);
        } else {
            port[word] = value;
        }
    }
};

// The sources of one kind of link. While valid is low the payload is the complement of the packet to come.
template <typename Valid, typename Ready, typename Payload>
class Sources {
public:
    Sources(Valid& valid, const Ready& ready, Payload& payload) : valid_(valid), ready_(ready), payload_{payload} {}

    void start(const Beats* beats, int64_t links, int64_t words, int64_t bits) {
        beats_.assign(beats, beats + links);
        words_ = words;
        bits_ = bits;
        sent_.assign(links, 0);
        gap_.assign(links, 0);
        changed_.assign(links, 1);
        valid_ = 0;
        for (int64_t link = 0; link < links; ++link) next(link);
    }

    void stop() { valid_ = 0; }

    void drive() {
        for (size_t link = 0; link < beats_.size(); ++link) {
            if (!changed_[link]) continue;
            changed_[link] = 0;
            const bool offers = sent_[link] < beats_[link].count && gap_[link] == 0;
            valid_ = offers ? valid_ | Valid(1) << link : valid_ & ~(Valid(1) << link);
            if (sent_[link] >= beats_[link].count) continue;
            const uint32_t* packet = beats_[link].words + sent_[link] * words_;
            for (int64_t word = 0; word < words_; ++word) {
                uint32_t value = packet[word] ^ (offers ? 0 : ~uint32_t(0));
                if (word == words_ - 1 && bits_ % 32) value &= (uint32_t(1) << bits_ % 32) - 1;
                payload_.set(link * words_ + word, value);
            }
        }
    }

    bool sample() {
        bool moves = false;
        for (size_t link = 0; link < beats_.size(); ++link) {
            if (gap_[link] != 0) {
                changed_[link] = --gap_[link] == 0;
                moves = true;
            } else if (valid_ >> link & ready_ >> link & 1) {
                ++sent_[link];
                next(link);
                moves = true;
            }
        }
        return moves;
    }

    int64_t sent(int64_t link) const { return sent_[link]; }
    bool all_sent() const {
        for (size_t link = 0; link < beats_.size(); ++link)
            if (sent_[link] < beats_[link].count) return false;
        return true;
    }

private:
    void next(int64_t link) {
        const Beats& beats = beats_[link];
        gap_[link] = sent_[link] < beats.count && beats.gaps ? beats.gaps[sent_[link]] : 0;
        changed_[link] = 1;
    }

    Valid& valid_;
    const Ready& ready_;
    Words<Payload> payload_;
    std::vector<Beats> beats_;
    std::vector<int64_t> sent_;
    std::vector<uint32_t> gap_;
    std::vector<uint8_t> changed_;
    int64_t words_ = 0, bits_ = 0;
};

class Mesh {
    template <typename T>
    using Plain = std::remove_reference_t<T>;
    using Moving = Sources<Plain<decltype(Top::moving_valid)>, Plain<decltype(Top::moving_ready)>,
                           Plain<decltype(Top::moving_payload)>>;
    using Stationary = Sources<Plain<decltype(Top::stationary_valid)>, Plain<decltype(Top::stationary_ready)>,
                               Plain<decltype(Top::stationary_payload)>>;

public:
    explicit Mesh(const Geometry& geometry) : geometry_(geometry) {
        const char* arguments[] = {"phantom"};
        context_.commandArgs(1, arguments);
        context_.randReset(0);
#if PHANTOM_TILES
        const int64_t tile_bits = geometry.pes / (geometry.moving * geometry.stationary) * geometry.threads;
        top_ = std::make_unique<Top>(&context_, MeshShape{
            geometry.moving, geometry.stationary, geometry.lane_of, tile_bits, geometry.stalls_bits,
            geometry.workers});
#else
        top_ = std::make_unique<Top>(&context_, "mesh");
#endif
        moving_ = std::make_unique<Moving>(top_->moving_valid, top_->moving_ready, top_->moving_payload);
        stationary_ = std::make_unique<Stationary>(top_->stationary_valid, top_->stationary_ready,
                                                   top_->stationary_payload);
    }

    ~Mesh() { top_->final(); }

    void start(const RunSpec& spec) {
#if PHANTOM_TILES
        const Awake awake(*top_);
#endif
        spec_ = spec;
        state_ = State{};
        stalled_ = 0;
        results_.clear();
        result_cycles_.clear();
        result_links_.clear();
        trace_.clear();
        held_.assign(geometry_.sums, {});
        moving_->start(spec.moving, geometry_.moving, geometry_.moving_words, geometry_.moving_bits);
        stationary_->start(spec.stationary, geometry_.stationary, geometry_.stationary_words, geometry_.stationary_bits);
        top_->sums_ready = 0;
        if (spec.reset) {
            top_->rst = 1;
            for (int cycle = 0; cycle < kResetCycles; ++cycle) settle(), edge();
            top_->rst = 0;
        }
        int64_t waited = 0;
        for (settle(); !top_->idle; settle()) {
            if (waited++ >= spec.stall_limit) {
                state_.status = kNotIdle;
                return;
            }
            edge();
        }
    }

    void advance(int64_t cycles) {
#if PHANTOM_TILES
        const Awake awake(*top_);
#endif
        while (cycles-- > 0 && state_.status == kRunning) run_cycle();
    }

    State state_{};
    std::vector<uint32_t> results_;
    std::vector<int64_t> result_cycles_;
    std::vector<uint8_t> result_links_, trace_;

    int64_t sent(int32_t kind, int64_t link) const { return kind ? stationary_->sent(link) : moving_->sent(link); }

#if VM_COVERAGE
    void write_coverage(const char* path) { context_.coveragep()->write(path); }
#endif

private:
    void settle() {
        top_->clk = 0;
        top_->eval();
    }

    void edge() {
        top_->clk = 1;
        top_->eval();
        context_.timeInc(1);
    }

    void run_cycle() {
        const int64_t links = geometry_.sums, words = geometry_.sums_words;
        moving_->drive();
        stationary_->drive();
        uint64_t ready = 0;
        for (int64_t link = 0; link < links; ++link)
            if (!spec_.ready || spec_.ready[state_.cycles % spec_.ready_length * links + link])
                ready |= uint64_t(1) << link;
        top_->sums_ready = static_cast<Plain<decltype(top_->sums_ready)>>(ready);
        settle();
        bool moves = moving_->sample();
        moves |= stationary_->sample();
        const uint64_t valid = top_->sums_valid;
        Words<Plain<decltype(top_->sums_payload)>> payload{top_->sums_payload};
        uint32_t packet[8];
        for (int64_t link = 0; link < links; ++link) {
            const bool offered = valid >> link & 1;
            for (int64_t word = 0; offered && word < words; ++word) packet[word] = payload.get(link * words + word);
            std::vector<uint32_t>& held = held_[link];
            if (!held.empty() && (!offered || std::memcmp(held.data(), packet, words * 4))) state_.status = kUnstable;
            held.clear();
            if (!offered) continue;
            if (!(ready >> link & 1)) {
                held.assign(packet, packet + words);
                continue;
            }
            moves = true;
            results_.insert(results_.end(), packet, packet + words);
            result_cycles_.push_back(state_.cycles);
            result_links_.push_back(static_cast<uint8_t>(link));
            ++state_.results;
            const int64_t bit = geometry_.tile_last_bit;
            state_.tiles += packet[bit / 32] >> bit % 32 & 1;
        }
        moves |= record_activity();
        edge();
        ++state_.cycles;
        stalled_ = moves ? 0 : stalled_ + 1;
        if (state_.status != kRunning) return;
        if (state_.tiles >= spec_.tiles) state_.status = kDone;
        else if (stalled_ >= spec_.stall_limit) state_.status = kStalled;
        else if (state_.cycles >= spec_.max_cycles) state_.status = kTooLong;
        if (state_.status != kRunning) moving_->stop(), stationary_->stop();
    }

    bool record_activity() {
        Words<Plain<decltype(top_->activity)>> activity{top_->activity};
        const int64_t bits = geometry_.pes * geometry_.threads;
        int64_t count = 0;
        for (int64_t word = 0; word * 32 < bits; ++word) count += __builtin_popcount(activity.get(word));
        state_.products += count;
        if (spec_.trace) {
            const uint32_t mask = (uint32_t(1) << geometry_.threads) - 1;
            for (int64_t bit = 0; bit < bits; bit += geometry_.threads) {
                uint64_t pair = activity.get(bit / 32);
                if ((bit / 32 + 1) * 32 < bits) pair |= uint64_t(activity.get(bit / 32 + 1)) << 32;
                trace_.push_back(static_cast<uint8_t>(__builtin_popcount(pair >> bit % 32 & mask)));
            }
        }
        return count != 0;
    }

    Geometry geometry_;
    VerilatedContext context_;
    std::unique_ptr<Top> top_;
    std::unique_ptr<Moving> moving_;
    std::unique_ptr<Stationary> stationary_;
    RunSpec spec_{};
    int64_t stalled_ = 0;
    std::vector<std::vector<uint32_t>> held_;
};

}  // namespace

#define PHANTOM_API extern "C" __attribute__((visibility("default")))

PHANTOM_API Mesh* mesh_create(const Geometry* geometry) { return new Mesh(*geometry); }

PHANTOM_API void mesh_destroy(Mesh* mesh, const char* coverage_path) {
#if VM_COVERAGE
    if (coverage_path) mesh->write_coverage(coverage_path);
#else
    (void)coverage_path;
#endif
    delete mesh;
}

PHANTOM_API void mesh_start(Mesh* mesh, const RunSpec* spec, State* state) {
    mesh->start(*spec);
    *state = mesh->state_;
}

PHANTOM_API void mesh_advance(Mesh* mesh, int64_t cycles, State* state) {
    mesh->advance(cycles);
    *state = mesh->state_;
}

PHANTOM_API int64_t mesh_sent(const Mesh* mesh, int32_t kind, int64_t link) { return mesh->sent(kind, link); }

// Copies the results of the run so far; `trace` (cycles x PEs) may be null.
PHANTOM_API void mesh_fetch(const Mesh* mesh, uint32_t* words, int64_t* cycles, uint8_t* links, uint8_t* trace) {
    const auto copy = [](auto* to, const auto& from) {
        if (to && !from.empty()) std::memcpy(to, from.data(), from.size() * sizeof(from[0]));
    };
    copy(words, mesh->results_);
    copy(cycles, mesh->result_cycles_);
    copy(links, mesh->result_links_);
    copy(trace, mesh->trace_);
}
