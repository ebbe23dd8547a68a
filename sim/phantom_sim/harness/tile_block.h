// Some tiles of a mesh, each an instance of a Verilated class.
#ifndef PHANTOM_TILE_BLOCK_H
#define PHANTOM_TILE_BLOCK_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "Vtile.h"
#include "tile_pins.h"
#include "verilated.h"

// The parts of what a tile does at the clock edge, in their order.
extern void (*const Vtile_parts[])(Vtile___024root*);
extern const size_t Vtile_part_count;

namespace phantom {

class TileBlock {
public:
    // `columns`: the mesh column of each tile.
    TileBlock(VerilatedContext* context, const std::vector<uint8_t>& columns) {
        for (const uint8_t column : columns) {
            tiles_.push_back(std::make_unique<Vtile>(context, "tile"));
            tiles_.back()->column = column;
            tiles_.back()->eval();
        }
    }

    TilePins pins(size_t index) {
        return tile_pins(*tiles_[index]);
    }

    // A rising edge of the clock. Part by part: the code of a part stays in the cache while all tiles run it.
    void rise(uint8_t rst) {
        for (auto& tile : tiles_) {
            tile->rst = rst;
            tile->clk = 1;
            tile->eval();
        }
        for (size_t part = 0; part < Vtile_part_count; ++part)
            for (auto& tile : tiles_) Vtile_parts[part](tile->rootp);
    }

    // Lets the inputs arrive at outputs that depend on them.
    void settle() {
        for (auto& tile : tiles_) {
            tile->clk = 0;
            tile->eval();
        }
    }

    void final() {
        for (auto& tile : tiles_) tile->final();
    }

private:
    std::vector<std::unique_ptr<Vtile>> tiles_;
};

}  // namespace phantom

#endif
