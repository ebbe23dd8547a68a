// Runs a Verilated Phantom core from streams in memory: the C side of phantom_sim.core_simulator.

#include <cstring>
#include <memory>

#include "Vdut.h"
#include "streams.h"
#include "verilated.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

using namespace phantom;

namespace {

constexpr int kResetCycles = 2;

struct Geometry {
    int64_t pes, threads, tile_last_bit;
};

struct RunSpec {
    const uint32_t* layer;
    int64_t layer_bits;
    Beats moving, stationary;
    Pattern result_ready;
    int64_t tiles, max_cycles, stall_limit;
    int64_t reset_at;  // cycle in which reset comes; -1: never
    int32_t reset;     // before the run
    int32_t activity;  // 0: none, 1: totals, 2: totals and trace
};

enum Status : int32_t { kRunning, kDone, kAbandoned, kStalled, kTooLong, kNotIdle, kUnstable };

struct State {
    int32_t status;
    int32_t moving_offers, stationary_offers, result_offered;
    int64_t cycles, moving_sent, stationary_sent, results, tiles;
};

class Core {
    using Layer = std::remove_reference_t<decltype(Vdut::layer___05Fpayload)>;
    using Moving = std::remove_reference_t<decltype(Vdut::moving___05Fpayload)>;
    using Stationary = std::remove_reference_t<decltype(Vdut::stationary___05Fpayload)>;
    using Result = std::remove_reference_t<decltype(Vdut::result___05Fpayload)>;
    using Activity = std::remove_reference_t<decltype(Vdut::activity)>;

public:
    Core(const Geometry& geometry, const char* trace_path) : geometry_(geometry) {
        const char* arguments[] = {"phantom"};
        context_.commandArgs(1, arguments);
        context_.randReset(0);
        top_ = std::make_unique<Vdut>(&context_, "core");
        layer_ = std::make_unique<Source<Layer>>(top_->layer___05Fvalid, top_->layer___05Fready,
                                                 top_->layer___05Fpayload);
        moving_ = std::make_unique<Source<Moving>>(top_->moving___05Fvalid, top_->moving___05Fready,
                                                   top_->moving___05Fpayload);
        stationary_ = std::make_unique<Source<Stationary>>(
            top_->stationary___05Fvalid, top_->stationary___05Fready, top_->stationary___05Fpayload);
        result_ = std::make_unique<Sink<Result>>(top_->result___05Fvalid, top_->result___05Fready,
                                                 top_->result___05Fpayload);
        totals_.assign(geometry.pes, 0);
#if VM_TRACE
        if (trace_path) {
            context_.traceEverOn(true);
            trace_ = std::make_unique<VerilatedVcdC>();
            top_->trace(trace_.get(), 99);
            trace_->open(trace_path);
        }
#else
        (void)trace_path;
#endif
    }

    ~Core() { top_->final(); }

    static int64_t words(int port) {
        switch (port) {
            case 0: return kWordsOf<Layer>;
            case 1: return kWordsOf<Moving>;
            case 2: return kWordsOf<Stationary>;
            default: return kWordsOf<Result>;
        }
    }

    void start(const RunSpec& spec) {
        spec_ = spec;
        state_ = State{};
        stalled_ = 0;
        totals_.assign(geometry_.pes, 0);
        trace_words_.clear();
        moving_->start(spec.moving);
        stationary_->start(spec.stationary);
        result_->start(spec.result_ready);
        quiet();
        if (spec.reset) reset();
        if (!configure()) state_.status = kNotIdle;
    }

    void advance(int64_t cycles) {
        while (cycles-- > 0 && state_.status == kRunning) run_cycle();
        state_.moving_sent = moving_->sent();
        state_.stationary_sent = stationary_->sent();
        state_.moving_offers = moving_->offers();
        state_.stationary_offers = stationary_->offers();
        state_.results = result_->taken();
        state_.result_offered = result_->offered();
    }

    const State& state() const { return state_; }
    const Sink<Result>& result() const { return *result_; }
    const std::vector<int64_t>& totals() const { return totals_; }
    const std::vector<uint8_t>& occupancy() const { return trace_words_; }

#if VM_COVERAGE
    void write_coverage(const char* path) { context_.coveragep()->write(path); }
#endif

private:
    void settle() {
        top_->clk = 0;
        top_->eval();
        dump();
    }

    void edge() {
        top_->clk = 1;
        top_->eval();
        dump();
    }

    void dump() {
#if VM_TRACE
        if (trace_) trace_->dump(context_.time());
#endif
        context_.timeInc(1);
    }

    void quiet() {
        layer_->stop();
        top_->moving___05Fvalid = 0;
        top_->stationary___05Fvalid = 0;
        result_->stop();
    }

    void reset() {
        top_->rst = 1;
        for (int cycle = 0; cycle < kResetCycles; ++cycle) {
            settle();
            edge();
        }
        top_->rst = 0;
    }

    // Wait until the core is idle, then hand it the layer; cycle 0 of the run follows.
    bool configure() {
        int64_t waited = 0;
        for (settle(); !top_->idle; settle()) {
            if (waited++ >= spec_.stall_limit) return false;
            edge();
        }
        layer_->start(Beats{spec_.layer, nullptr, 1, spec_.layer_bits});
        while (layer_->sent() == 0) {
            if (waited++ >= spec_.stall_limit) return false;
            layer_->drive();
            settle();
            layer_->sample();
            edge();
        }
        layer_->stop();
        return true;
    }

    void run_cycle() {
        if (state_.cycles == spec_.reset_at) {
            quiet();
            reset();
            state_.status = kAbandoned;
            return;
        }
        moving_->drive();
        stationary_->drive();
        result_->drive();
        settle();
        bool moves = moving_->sample();
        moves |= stationary_->sample();
        if (const uint32_t* beat = result_->sample(state_.cycles)) {
            moves = true;
            const int64_t bit = geometry_.tile_last_bit;
            if (beat[bit / 32] >> bit % 32 & 1) ++state_.tiles;
        }
        if (spec_.activity) moves |= record_activity();
        edge();
        ++state_.cycles;
        stalled_ = moves ? 0 : stalled_ + 1;
        if (!result_->stable()) {
            state_.status = kUnstable;
        } else if (state_.tiles >= spec_.tiles) {
            state_.status = kDone;
        } else if (stalled_ >= spec_.stall_limit) {
            state_.status = kStalled;
        } else if (state_.cycles >= spec_.max_cycles) {
            state_.status = kTooLong;
        }
        if (state_.status != kRunning) quiet();
    }

    bool record_activity() {
        uint32_t words[kWordsOf<Activity> + 1] = {};
        get(top_->activity, words);
        bool any = false;
        for (int64_t pe = 0; pe < geometry_.pes; ++pe) {
            const int64_t bit = pe * geometry_.threads;
            const uint64_t pair = words[bit / 32] | uint64_t(words[bit / 32 + 1]) << 32;
            const uint32_t busy = pair >> bit % 32 & ((uint32_t(1) << geometry_.threads) - 1);
            const int count = __builtin_popcount(busy);
            totals_[pe] += count;
            any |= count != 0;
            if (spec_.activity > 1) trace_words_.push_back(static_cast<uint8_t>(count));
        }
        return any;
    }

    Geometry geometry_;
    VerilatedContext context_;
    std::unique_ptr<Vdut> top_;
#if VM_TRACE
    std::unique_ptr<VerilatedVcdC> trace_;
#endif
    std::unique_ptr<Source<Layer>> layer_;
    std::unique_ptr<Source<Moving>> moving_;
    std::unique_ptr<Source<Stationary>> stationary_;
    std::unique_ptr<Sink<Result>> result_;
    RunSpec spec_{};
    State state_{};
    int64_t stalled_ = 0;
    std::vector<int64_t> totals_;
    std::vector<uint8_t> trace_words_;
};

}  // namespace

#define PHANTOM_API extern "C" __attribute__((visibility("default")))

PHANTOM_API int64_t phantom_words(int32_t port) { return Core::words(port); }

PHANTOM_API Core* phantom_create(const Geometry* geometry, const char* trace_path) {
    return new Core(*geometry, trace_path);
}

PHANTOM_API void phantom_destroy(Core* core, const char* coverage_path) {
#if VM_COVERAGE
    if (coverage_path) core->write_coverage(coverage_path);
#else
    (void)coverage_path;
#endif
    delete core;
}

PHANTOM_API void phantom_start(Core* core, const RunSpec* spec, State* state) {
    core->start(*spec);
    *state = core->state();
}

PHANTOM_API void phantom_advance(Core* core, int64_t cycles, State* state) {
    core->advance(cycles);
    *state = core->state();
}

// Copies the results of the run so far; `occupancy` (cycles x PEs) may be null.
PHANTOM_API void phantom_fetch(const Core* core, uint32_t* words, int64_t* cycles, int64_t* totals,
                               uint8_t* occupancy) {
    const auto copy = [](auto* to, const auto& from) {
        if (to && !from.empty()) std::memcpy(to, from.data(), from.size() * sizeof(from[0]));
    };
    copy(words, core->result().words());
    copy(cycles, core->result().cycles());
    copy(totals, core->totals());
    copy(occupancy, core->occupancy());
}
