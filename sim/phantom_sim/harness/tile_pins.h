// The ports of a tile, wherever their values are.
#ifndef PHANTOM_TILE_PINS_H
#define PHANTOM_TILE_PINS_H

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "Vtile.h"
#include "streams.h"

#if PHANTOM_LANES
#include "lanes.h"
#endif

namespace phantom {

#if PHANTOM_LANES
// A port of a tile: a lane of a vector, or of one for each word if it has more than 32 bits.
template <typename Port>
class Pin {
public:
    using Type = Port;

    template <typename Vector>
    Pin(Vector& at, size_t lane)
        : at_(reinterpret_cast<Element*>(&at)), lane_(lane) {}

    void put(const Port& value) const {
        if constexpr (kSingle) {
            at_[lane_] = value;
        } else {
            uint32_t words[kWords];
            phantom::get(value, words);
            for (size_t i = 0; i < kWords; ++i) at_[i * lanes::kLanes + lane_] = words[i];
        }
    }

    Port get() const {
        Port value;
        if constexpr (kSingle) {
            value = at_[lane_];
        } else {
            uint32_t words[kWords];
            for (size_t i = 0; i < kWords; ++i) words[i] = at_[i * lanes::kLanes + lane_];
            phantom::put(value, words);
        }
        return value;
    }

private:
    static constexpr bool kSingle = std::is_integral_v<Port> && sizeof(Port) <= 4;
    static constexpr size_t kWords = kWordsOf<Port>;
    // what lies in a vector may be seen as its elements
    using Element [[gnu::may_alias]] = std::conditional_t<kSingle, Port, uint32_t>;

    Element* at_;
    size_t lane_;
};
#else
// A port of a tile.
template <typename Port>
class Pin {
public:
    using Type = Port;
    Pin(Port& at) : at_(&at) {}
    void put(const Port& value) const { *at_ = value; }
    const Port& get() const { return *at_; }

private:
    Port* at_;
};
#endif

template <typename Port>
struct StreamPins {
    using Type = Port;
    struct End {
        Pin<uint8_t> valid, ready;
        Pin<Port> payload;
    };
    End in, out;
};

// Those of phantom_hw.mesh.tile; clock, reset and column are its owner's.
struct TilePins {
    template <typename T>
    using Port = std::remove_reference_t<T>;
    StreamPins<Port<decltype(Vtile::moving_in___05Fpayload)>> moving;
    StreamPins<Port<decltype(Vtile::stationary_in___05Fpayload)>> stationary;
    StreamPins<Port<decltype(Vtile::sums_in___05Fpayload)>> sums;
    Pin<Port<decltype(Vtile::activity)>> activity;
    Pin<Port<decltype(Vtile::stalls)>> stalls;
    Pin<uint8_t> idle;
};

// `lane` is where in a vector the tile is, if `Tile` has many.
template <typename Tile, typename... Lane>
TilePins tile_pins(Tile& tile, Lane... lane) {
#define PHANTOM_END(end) \
    {Pin<uint8_t>(tile.end##___05Fvalid, lane...), Pin<uint8_t>(tile.end##___05Fready, lane...), \
     {tile.end##___05Fpayload, lane...}}
    return {{PHANTOM_END(moving_in), PHANTOM_END(moving_out)},
            {PHANTOM_END(stationary_in), PHANTOM_END(stationary_out)},
            {PHANTOM_END(sums_in), PHANTOM_END(sums_out)},
            {tile.activity, lane...}, {tile.stalls, lane...}, Pin<uint8_t>(tile.idle, lane...)};
#undef PHANTOM_END
}

}  // namespace phantom

#endif
