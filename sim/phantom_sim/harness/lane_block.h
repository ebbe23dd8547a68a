// Some tiles of a mesh, each a lane of an object that has many instances of a Verilated class.
#ifndef PHANTOM_LANE_BLOCK_H
#define PHANTOM_LANE_BLOCK_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "Vtile.h"
#include "Vtile_lanes.h"
#include "tile_pins.h"
#include "verilated.h"

namespace phantom {

class TileBlock {
public:
    // `columns`: the mesh column of each tile.
    TileBlock(VerilatedContext* context, const std::vector<uint8_t>& columns)
        : groups_((columns.size() + lanes::kLanes - 1) / lanes::kLanes) {
        for (auto& group : groups_) group = std::make_unique<Vtile_lanes::Lanes>();
        // lanes without a tile are tiles to which nothing ever comes
        for (size_t i = 0; i < groups_.size() * lanes::kLanes; ++i) {
            Vtile tile(context, "tile");
            tile.column = columns[std::min(i, columns.size() - 1)];
            tile.eval();
            Vtile_lanes::copy(*groups_[i / lanes::kLanes], i % lanes::kLanes, *tile.rootp);
        }
    }

    TilePins pins(size_t index) {
        Vtile_lanes::Lanes& tile = *groups_[index / lanes::kLanes];
        return tile_pins(tile, index % lanes::kLanes);
    }

    // A rising edge of the clock. Part by part: the code of a part stays in the cache while all groups run it.
    void rise(uint8_t rst) {
        for (auto& group : groups_) {
            group->rst = lanes::splat<lanes::u8>(rst);
            Vtile_lanes::inputs(*group);
        }
        for (size_t part = 0; part < Vtile_lanes::part_count; ++part)
            for (auto& group : groups_) Vtile_lanes::parts[part](*group);
    }

    // Lets the inputs arrive at outputs that depend on them.
    void settle() {
        for (auto& group : groups_) Vtile_lanes::inputs(*group);
    }

    void final() {}

private:
    std::vector<std::unique_ptr<Vtile_lanes::Lanes>> groups_;
};

}  // namespace phantom

#endif
