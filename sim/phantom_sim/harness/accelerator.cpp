// Host and external memory around a Verilated accelerator: AXI4-Lite accesses, AXI4 bursts with latency, limited
// bandwidth, random stalls and errors, and a watch over every byte that is written. Signals that the build made public
// can be read by their names at any time. A memory on the chip can be loaded from the first bytes of external memory,
// which it hides, and saved there.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "Vdut.h"
#include "streams.h"
#if PHANTOM_TILES
#include "tiles.h"
#endif
#include "verilated.h"
#include "verilated_syms.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

namespace {

using phantom::get;
using phantom::kWordsOf;
using phantom::put;

constexpr int kResetCycles = 3;
constexpr int kOkay = 0, kDecodeError = 3;

struct Range {
    uint64_t first, last;  // bytes, `last` included
    int32_t read_response, write_response;
    int32_t writable, unused;
};

struct Options {
    int64_t memory_bytes;
    const Range* ranges;
    int64_t range_count;
    int64_t latency;       // cycles from an address to the first beat, from the last beat to the response
    int64_t beats_per_256;  // beats of each direction in 256 cycles
    int64_t queue;         // bursts under way
    int64_t seed;
    int64_t stall_256;  // probability, in 1/256, that a channel pauses in a cycle
};

// A mesh outside of the Verilated accelerator; mirrors phantom::MeshShape.
struct Shape {
    int64_t rows, cols;
    const int64_t* lane_of;
    int64_t activity_bits, stalls_bits, threads;
};

struct Counts {
    int64_t cycles, read_beats, write_beats, read_bursts, write_bursts, stray_bytes, stray_address, crossings;
    int32_t irq, unused;
    int64_t reads_waiting, writes_waiting, answers_waiting;  // bursts under way, and responses that were not taken
};

struct ReadBurst {
    uint64_t address;
    int beats;
    int64_t when;
};

struct WriteBurst {
    uint64_t address;
    int beats;
};

struct Answer {
    int response;
    int64_t when;
};

class Accelerator {
public:
    Accelerator(const Options& options, const Shape& shape) {
        configure(options);
#if VM_TRACE
        context_.traceEverOn(true);
#endif
#if PHANTOM_TILES
        mesh_ = std::make_unique<phantom::TiledMesh>(
            &context_, phantom::MeshShape{shape.rows, shape.cols, shape.lane_of, shape.activity_bits,
                                          shape.stalls_bits, shape.threads},
            [this] { clock_top(); });
#else
        (void)shape;
#endif
        find_signals();
    }

    ~Accelerator() {
        // scopes take leave of the thread's context, which may be that of a simulator that is gone
        Verilated::threadContextp(&context_);
        top_->final();
#if PHANTOM_TILES
        mesh_->final();
#endif
    }

    void configure(const Options& options) {
        options_ = options;
        ranges_.assign(options.ranges, options.ranges + options.range_count);
        memory_.resize(options.memory_bytes);
        random_.seed(static_cast<uint32_t>(options.seed));
        counts_ = Counts{};
    }

    uint8_t* memory() { return memory_.data(); }

    void load_on_chip() { std::copy_n(memory_.data(), std::min(on_chip_bytes_, memory_.size()), on_chip_); }

    void save_on_chip() { std::copy_n(on_chip_, std::min(on_chip_bytes_, memory_.size()), memory_.data()); }

    void reset() {
        reads_.clear(), writes_.clear(), answers_.clear();
        top_->m_axi_rvalid = top_->m_axi_bvalid = 0;
        top_->m_axi_arready = top_->m_axi_awready = top_->m_axi_wready = 0;
        top_->s_axi_awvalid = top_->s_axi_wvalid = top_->s_axi_arvalid = 0;
        top_->s_axi_bready = top_->s_axi_rready = 1;
        top_->rst = 1;
        for (int cycle = 0; cycle < kResetCycles; ++cycle) clock();
        top_->rst = 0;
    }

    // One access to a register; the response, or -1 if none came.
    int write_register(uint32_t address, uint32_t value, int64_t limit) {
        top_->s_axi_awaddr = address, top_->s_axi_wdata = value, top_->s_axi_wstrb = 15;
        top_->s_axi_awvalid = top_->s_axi_wvalid = 1;
        while (limit-- > 0) {
            begin();
            const bool address_taken = top_->s_axi_awvalid && top_->s_axi_awready;
            const bool data_taken = top_->s_axi_wvalid && top_->s_axi_wready;
            const bool answered = top_->s_axi_bvalid;
            const int response = top_->s_axi_bresp;
            end();
            if (address_taken) top_->s_axi_awvalid = 0;
            if (data_taken) top_->s_axi_wvalid = 0;
            if (answered) return response;
        }
        return -1;
    }

    int read_register(uint32_t address, uint32_t* value, int64_t limit) {
        top_->s_axi_araddr = address;
        top_->s_axi_arvalid = 1;
        while (limit-- > 0) {
            begin();
            const bool taken = top_->s_axi_arvalid && top_->s_axi_arready;
            const bool answered = top_->s_axi_rvalid;
            const int response = top_->s_axi_rresp;
            *value = top_->s_axi_rdata;
            end();
            if (taken) top_->s_axi_arvalid = 0;
            if (answered) return response;
        }
        return -1;
    }

    // Runs until the interrupt rises (1) or `commands` commands were carried out (2), at most `cycles` (0).
    int run(int64_t cycles, uint64_t commands) {
#if PHANTOM_TILES
        const phantom::Awake awake(*mesh_);
#endif
        while (cycles-- > 0) {
            begin();
            const bool irq = top_->irq;
            end();
            if (irq) return 1;
            if (commands_ && *commands_ >= commands) return 2;
        }
        return 0;
    }

    Counts counts() const {
        Counts counts = counts_;
        counts.reads_waiting = int64_t(reads_.size());
        counts.writes_waiting = int64_t(writes_.size());
        counts.answers_waiting = int64_t(answers_.size());
        return counts;
    }

    // The names of the public signals, one a line.
    const char* signals() const { return names_.c_str(); }

    // A public signal of up to 64 bits; 0 if there is none of the name.
    int signal(const char* name, uint64_t* value) const {
        for (const Signal& one : signals_) {
            if (one.name != name) continue;
            *value = 0;
            std::memcpy(value, one.data, one.bytes);  // little-endian
            return 1;
        }
        return 0;
    }

#if VM_TRACE
    // Writes what happens from cycle `first` to before cycle `last`; a cycle takes 10 units of time.
    void trace(const char* path, int64_t first, int64_t last) {
        trace_ = std::make_unique<VerilatedVcdC>();
        top_->trace(trace_.get(), 99);
        trace_->open(path);
        trace_first_ = first, trace_last_ = last;
    }

    void trace_end() {
        if (trace_) trace_->close();
        trace_.reset();
    }
#endif

    Counts counts_{};

#if VM_COVERAGE
    void write_coverage(const char* path) { context_.coveragep()->write(path); }
#endif

private:
    static constexpr size_t kWords = kWordsOf<std::remove_reference_t<decltype(Vdut::m_axi_rdata)>>;
    static constexpr size_t kBytes = 4 * kWords;

    struct Signal {
        std::string name;
        const void* data;
        size_t bytes;
    };

    void find_signals() {
        const VerilatedScopeNameMap* scopes = context_.scopeNameMap();
        if (scopes == nullptr) return;
        for (const auto& scope : *scopes) {
            if (scope.second->varsp() == nullptr) continue;
            for (const auto& one : *scope.second->varsp()) {
                const VerilatedVar& variable = one.second;
                if (variable.udims() > 0) {  // the only public array
                    on_chip_ = static_cast<uint8_t*>(variable.datap());
                    on_chip_bytes_ = variable.totalSize();
                    continue;
                }
                if (variable.vltype() < VLVT_UINT8 || variable.vltype() > VLVT_UINT64) continue;
                signals_.push_back({std::string(scope.first) + "." + one.first, variable.datap(),
                                    size_t(1) << (variable.vltype() - VLVT_UINT8)});
                names_ += signals_.back().name + "\n";
                if (std::string(one.first) == "commands_count")
                    commands_ = static_cast<const uint64_t*>(variable.datap());
            }
        }
    }

    bool pauses() { return options_.stall_256 > 0 && int64_t(random_() & 255) < options_.stall_256; }

    const Range* range(uint64_t address) const {
        for (const Range& one : ranges_)
            if (address >= one.first && address <= one.last) return &one;
        return nullptr;
    }

    bool inside(uint64_t address) const { return address + kBytes <= memory_.size() && address + kBytes > address; }

    // Drives what memory offers, and settles.
    void begin() {
        const int64_t now = counts_.cycles;
        tokens_read_ = std::min<int64_t>(tokens_read_ + options_.beats_per_256, 512);
        tokens_write_ = std::min<int64_t>(tokens_write_ + options_.beats_per_256, 512);
        top_->m_axi_arready = int64_t(reads_.size()) < options_.queue && !pauses();
        top_->m_axi_awready = int64_t(writes_.size()) < options_.queue && !pauses();
        top_->m_axi_wready = !writes_.empty() && tokens_write_ >= 256 && !pauses();
        if (!top_->m_axi_rvalid && !reads_.empty() && reads_.front().when <= now && tokens_read_ >= 256 && !pauses())
            offer_read();
        if (!top_->m_axi_bvalid && !answers_.empty() && answers_.front().when <= now && !pauses()) {
            top_->m_axi_bvalid = 1;
            top_->m_axi_bresp = answers_.front().response;
            top_->m_axi_bid = 0;
        }
        settle();
    }

    void offer_read() {
        const ReadBurst& burst = reads_.front();
        uint32_t words[kWords] = {};
        int response = kDecodeError;
        if (inside(burst.address)) {
            response = kOkay;
            if (const Range* one = range(burst.address)) response = one->read_response;
            std::memcpy(words, memory_.data() + burst.address, kBytes);
        }
        put(top_->m_axi_rdata, words);
        top_->m_axi_rresp = response;
        top_->m_axi_rid = 0;
        top_->m_axi_rlast = burst.beats == 1;
        top_->m_axi_rvalid = 1;
    }

    // Takes what the accelerator offers, and the clock edge.
    void end() {
        const int64_t now = counts_.cycles;
        const bool read_taken = top_->m_axi_rvalid && top_->m_axi_rready;
        const bool answer_taken = top_->m_axi_bvalid && top_->m_axi_bready;
        if (read_taken) {
            tokens_read_ -= 256;
            ++counts_.read_beats;
            ReadBurst& burst = reads_.front();
            burst.address += kBytes;
            if (--burst.beats == 0) reads_.pop_front();
        }
        if (answer_taken) answers_.pop_front();
        if (top_->m_axi_wvalid && top_->m_axi_wready) take_write(now);
        if (top_->m_axi_arvalid && top_->m_axi_arready) {
            const uint64_t address = top_->m_axi_araddr;
            const int beats = top_->m_axi_arlen + 1;
            check_page(address, beats);
            reads_.push_back({address, beats, now + options_.latency});
            ++counts_.read_bursts;
        }
        if (top_->m_axi_awvalid && top_->m_axi_awready) {
            const uint64_t address = top_->m_axi_awaddr;
            const int beats = top_->m_axi_awlen + 1;
            check_page(address, beats);
            writes_.push_back({address, beats});
            ++counts_.write_bursts;
        }
        counts_.irq = top_->irq;
#if VM_TRACE
        const bool traced = trace_ && now >= trace_first_ && now < trace_last_;
        if (traced) trace_->dump(static_cast<uint64_t>(10 * now + 5));
#endif
        edge();
#if VM_TRACE
        if (traced) trace_->dump(static_cast<uint64_t>(10 * now + 10));
#endif
        if (read_taken) top_->m_axi_rvalid = 0;
        if (answer_taken) top_->m_axi_bvalid = 0;
        ++counts_.cycles;
    }

    void take_write(int64_t now) {
        tokens_write_ -= 256;
        ++counts_.write_beats;
        WriteBurst& burst = writes_.front();
        uint32_t words[kWords];
        get(top_->m_axi_wdata, words);
        const uint64_t strobes = top_->m_axi_wstrb;
        const auto* bytes = reinterpret_cast<const uint8_t*>(words);
        if (!inside(burst.address)) response_ = kDecodeError;
        else if (const Range* one = range(burst.address); one && one->write_response != kOkay)
            response_ = one->write_response;
        for (size_t i = 0; i < kBytes; ++i) {
            if (!(strobes >> i & 1)) continue;
            const uint64_t address = burst.address + i;
            const Range* one = range(address);
            if (!one || !one->writable) {
                if (counts_.stray_bytes++ == 0) counts_.stray_address = int64_t(address);
            }
            if (inside(burst.address) && !(one && one->write_response != kOkay)) memory_[address] = bytes[i];
        }
        burst.address += kBytes;
        if (--burst.beats == 0) {
            writes_.pop_front();
            answers_.push_back({response_, now + options_.latency});
            response_ = kOkay;
        }
    }

    void check_page(uint64_t address, int beats) {
        counts_.crossings += address / 4096 != (address + uint64_t(beats) * kBytes - 1) / 4096;
    }

    void clock() {
        settle();
        edge();
    }

#if PHANTOM_TILES
    void settle() {
        using phantom::put_words;
        put_words(top_->mesh_moving_ready, mesh_->moving_ready);
        put_words(top_->mesh_stationary_ready, mesh_->stationary_ready);
        put_words(top_->mesh_sums_valid, mesh_->sums_valid);
        put_words(top_->mesh_sums_payload, mesh_->sums_payload);
        put_words(top_->mesh_activity, mesh_->activity);
        put_words(top_->mesh_stalls, mesh_->stalls);
        top_->mesh_idle = mesh_->idle;
        top_->clk = 0;
        top_->eval();
    }

    void edge() {
        using phantom::get_words;
        get_words(top_->mesh_moving_valid, mesh_->moving_valid);
        get_words(top_->mesh_moving_payload, mesh_->moving_payload);
        get_words(top_->mesh_stationary_valid, mesh_->stationary_valid);
        get_words(top_->mesh_stationary_payload, mesh_->stationary_payload);
        get_words(top_->mesh_sums_ready, mesh_->sums_ready);
        mesh_->rst = top_->mesh_reset;
        mesh_->edge();
        context_.timeInc(1);
    }
#else
    void settle() {
        top_->clk = 0;
        top_->eval();
    }

    void edge() {
        clock_top();
        context_.timeInc(1);
    }
#endif

    void clock_top() {
        top_->clk = 1;
        top_->eval();
    }

    Options options_{};
    std::vector<Range> ranges_;
    std::vector<uint8_t> memory_;
    std::mt19937 random_;
    std::deque<ReadBurst> reads_;
    std::deque<WriteBurst> writes_;
    std::deque<Answer> answers_;
    int response_ = kOkay;
    int64_t tokens_read_ = 0, tokens_write_ = 0;
    std::vector<Signal> signals_;
    std::string names_;
    const uint64_t* commands_ = nullptr;
    uint8_t* on_chip_ = nullptr;
    size_t on_chip_bytes_ = 0;
#if VM_TRACE
    std::unique_ptr<VerilatedVcdC> trace_;
    int64_t trace_first_ = 0, trace_last_ = 0;
#endif
    VerilatedContext context_;
    std::unique_ptr<Vdut> top_ = std::make_unique<Vdut>(&context_, "accelerator");
#if PHANTOM_TILES
    std::unique_ptr<phantom::TiledMesh> mesh_;
#endif
};

}  // namespace

#define PHANTOM_API extern "C" __attribute__((visibility("default")))

PHANTOM_API Accelerator* accelerator_create(const Options* options, const Shape* shape) {
    return new Accelerator(*options, *shape);
}

PHANTOM_API void accelerator_destroy(Accelerator* accelerator, const char* coverage_path) {
#if VM_COVERAGE
    if (coverage_path) accelerator->write_coverage(coverage_path);
#else
    (void)coverage_path;
#endif
    delete accelerator;
}

PHANTOM_API void accelerator_configure(Accelerator* accelerator, const Options* options) {
    accelerator->configure(*options);
}

PHANTOM_API uint8_t* accelerator_memory(Accelerator* accelerator) { return accelerator->memory(); }

PHANTOM_API void accelerator_load_on_chip(Accelerator* accelerator) { accelerator->load_on_chip(); }

PHANTOM_API void accelerator_save_on_chip(Accelerator* accelerator) { accelerator->save_on_chip(); }

PHANTOM_API void accelerator_reset(Accelerator* accelerator) { accelerator->reset(); }

PHANTOM_API int accelerator_write(Accelerator* accelerator, uint32_t address, uint32_t value, int64_t limit) {
    return accelerator->write_register(address, value, limit);
}

PHANTOM_API int accelerator_read(Accelerator* accelerator, uint32_t address, uint32_t* value, int64_t limit) {
    return accelerator->read_register(address, value, limit);
}

PHANTOM_API int accelerator_run(Accelerator* accelerator, int64_t cycles, uint64_t commands) {
    return accelerator->run(cycles, commands);
}

PHANTOM_API void accelerator_counts(const Accelerator* accelerator, Counts* counts) { *counts = accelerator->counts(); }

PHANTOM_API const char* accelerator_signals(const Accelerator* accelerator) { return accelerator->signals(); }

PHANTOM_API int accelerator_signal(const Accelerator* accelerator, const char* name, uint64_t* value) {
    return accelerator->signal(name, value);
}

PHANTOM_API int accelerator_trace(Accelerator* accelerator, const char* path, int64_t first, int64_t last) {
#if VM_TRACE
    if (path) accelerator->trace(path, first, last);
    else accelerator->trace_end();
    return 1;
#else
    (void)accelerator, (void)path, (void)first, (void)last;
    return 0;
#endif
}
