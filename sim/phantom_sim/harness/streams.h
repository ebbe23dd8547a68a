// Ends of valid/ready streams for Verilated designs: sources that send given beats, sinks that record them.
#ifndef PHANTOM_STREAMS_H
#define PHANTOM_STREAMS_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace phantom {

// --- ports as little-endian 32-bit words, whatever type Verilator gave them ---------------------------------

template <typename Port>
constexpr size_t kWordsOf = (sizeof(Port) + 3) / 4;

template <typename Port>
void put(Port& port, const uint32_t* words) {
    if constexpr (std::is_integral_v<Port>) {
        uint64_t value = words[0];
        if constexpr (sizeof(Port) > 4) value |= uint64_t(words[1]) << 32;
        port = static_cast<Port>(value);
    } else {
        for (size_t i = 0; i < kWordsOf<Port>; ++i) port[i] = words[i];
    }
}

template <typename Port>
void get(const Port& port, uint32_t* words) {
    if constexpr (std::is_integral_v<Port>) {
        words[0] = static_cast<uint32_t>(port);
        if constexpr (sizeof(Port) > 4) words[1] = static_cast<uint32_t>(uint64_t(port) >> 32);
    } else {
        for (size_t i = 0; i < kWordsOf<Port>; ++i) words[i] = port[i];
    }
}

// --- what the caller hands over (mirrored by ctypes structures) ----------------------------------------------

struct Beats {
    const uint32_t* words;  // `count` payloads, each a whole number of words
    const uint32_t* gaps;   // cycles without valid before each beat; null: none
    int64_t count;
    int64_t bits;  // of a payload
};

struct Pattern {
    const uint8_t* values;  // ready in cycle n is values[n % length]; null: always
    int64_t length;
};

// --- ends ----------------------------------------------------------------------------------------------------

// Sends beats in order; before beat i, valid is low for gaps[i] cycles. While valid is low the payload is the
// complement of the beat to come, so that a design which looks at it anyway goes wrong.
template <typename Port>
class Source {
public:
    Source(uint8_t& valid, const uint8_t& ready, Port& payload)
        : valid_(valid), ready_(ready), payload_(payload) {}

    void start(const Beats& beats) {
        beats_ = beats;
        sent_ = 0;
        next();
    }

    void stop() {
        valid_ = 0;
        changed_ = false;
    }

    // Start of a cycle: show the beat, or the gap before it.
    void drive() {
        if (!changed_) return;
        changed_ = false;
        valid_ = offers();
        if (sent_ < beats_.count) show(beats_.words + sent_ * kWordsOf<Port>, valid_ ? 0 : ~uint32_t(0));
    }

    // The cycle has settled: whether a beat is transferred at its end, or a gap passes.
    bool sample() {
        if (gap_ != 0) {
            changed_ = --gap_ == 0;
            return true;
        }
        if (!(valid_ && ready_)) return false;
        ++sent_;
        next();
        return true;
    }

    int64_t sent() const { return sent_; }
    bool offers() const { return sent_ < beats_.count && gap_ == 0; }

private:
    void next() {
        gap_ = sent_ < beats_.count && beats_.gaps ? beats_.gaps[sent_] : 0;
        changed_ = true;
    }

    void show(const uint32_t* words, uint32_t flip) {
        uint32_t shown[kWordsOf<Port>];
        const unsigned rest = beats_.bits % 32;
        for (size_t i = 0; i < kWordsOf<Port>; ++i) shown[i] = words[i] ^ flip;
        if (rest) shown[kWordsOf<Port> - 1] &= (uint32_t(1) << rest) - 1;
        put(payload_, shown);
    }

    uint8_t& valid_;
    const uint8_t& ready_;
    Port& payload_;
    Beats beats_{};
    int64_t sent_ = 0;
    uint32_t gap_ = 0;
    bool changed_ = false;
};

// Takes beats by a pattern of ready and records them with their cycles.
template <typename Port>
class Sink {
public:
    Sink(const uint8_t& valid, uint8_t& ready, const Port& payload)
        : valid_(valid), ready_(ready), payload_(payload) {}

    void start(const Pattern& pattern) {
        pattern_ = pattern;
        place_ = 0;
        words_.clear();
        cycles_.clear();
        held_ = false;
        stable_ = true;
    }

    void stop() { ready_ = 0; }

    void drive() {
        ready_ = pattern_.values == nullptr || pattern_.values[place_] != 0;
        if (++place_ >= pattern_.length) place_ = 0;
    }

    // The cycle has settled: the words of the beat that is transferred at its end, or null.
    const uint32_t* sample(int64_t cycle) {
        if (held_) check();
        held_ = valid_ && !ready_;
        if (held_) get(payload_, held_words_);
        if (!(valid_ && ready_)) return nullptr;
        words_.resize(words_.size() + kWordsOf<Port>);
        uint32_t* beat = words_.data() + words_.size() - kWordsOf<Port>;
        get(payload_, beat);
        cycles_.push_back(cycle);
        return beat;
    }

    int64_t taken() const { return static_cast<int64_t>(cycles_.size()); }
    bool offered() const { return valid_; }
    // False once a beat that was offered has changed or gone before its transfer.
    bool stable() const { return stable_; }
    const std::vector<uint32_t>& words() const { return words_; }
    const std::vector<int64_t>& cycles() const { return cycles_; }

private:
    void check() {
        uint32_t words[kWordsOf<Port>];
        get(payload_, words);
        stable_ &= valid_ && std::equal(words, words + kWordsOf<Port>, held_words_);
    }

    const uint8_t& valid_;
    uint8_t& ready_;
    const Port& payload_;
    Pattern pattern_{};
    int64_t place_ = 0;
    bool held_ = false;
    bool stable_ = true;
    uint32_t held_words_[kWordsOf<Port>] = {};
    std::vector<uint32_t> words_;
    std::vector<int64_t> cycles_;
};

}  // namespace phantom

#endif
