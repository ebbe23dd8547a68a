"""Tiles of several cores, their sums, and the chunks that the golden model makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from phantom_golden.requantize import requantize
from phantom_hw.config import PhantomConfig
from phantom_hw.mesh.packets import sum_packet
from phantom_hw.results.layouts import clamp_layout, parameter_layout, pattern_layout, tile_layout
from phantom_hw.soc.isa import PATTERNS


def sum_bits(config: PhantomConfig) -> int:
    """Bits of the sums without the sign; the golden model has sums of 40 bits at most."""
    return min(config.acc_width, 38) - 6


@dataclass
class Parameters:
    """What a lane is loaded with."""

    bias: np.ndarray
    mult: np.ndarray
    shift: np.ndarray
    slot: np.ndarray
    write: np.ndarray
    clamps: list[tuple[int, int]]
    patterns: list[int]

    @classmethod
    def random(cls, config: PhantomConfig, rng: np.random.Generator) -> Parameters:
        """Biases as large as the sums, any multiplier, shifts that bring sums into the range. One clamp is signed."""
        bits, channels = config.act_width, config.lane_channels
        clamps = [(-(1 << bits - 1), (1 << bits - 1) - 1), (0, (1 << bits) - 1)]
        if rng.random() < 0.3:
            bits, clamps = 4, [(-3, 5), (0, 6)]
        most = 1 << min(sum_bits(config), 31)
        patterns = [int.from_bytes(rng.bytes(8), "little") >> 64 - config.chunk for _ in range(PATTERNS)]
        patterns[:2] = [(1 << config.chunk) - 1, 0]
        return cls(
            bias=rng.integers(-most, most, channels), mult=rng.integers(1, 1 << 24, channels),
            shift=np.clip(sum_bits(config) + 22 - bits + rng.integers(-3, 5, channels), 0, 63),
            slot=rng.integers(0, 1 << 32, channels), write=rng.random(channels) < 0.8, clamps=clamps,
            patterns=patterns)


@dataclass
class Burst:
    """The sums of one filter of a core's tile."""

    column: int
    chunk: int
    sums: np.ndarray


@dataclass
class Tile:
    """A tile of the core in mesh column ``core``."""

    core: int
    first: int
    clamp: int
    pattern: int
    write: int
    offset: int
    bursts: list[Burst] = field(default_factory=list)

    def channel(self, config: PhantomConfig, first_core: int, cores: int, burst: Burst) -> int:
        """Place of a burst's channel in the lane."""
        group = burst.chunk * cores + self.core - first_core
        return (self.first + group * config.pe_cols + burst.column) % config.lane_channels


@dataclass
class Chunk:
    """What becomes of a burst."""

    slot: int
    values: list[int]
    """Of the positions that are there."""
    whole: bool
    """The burst's last position is one of them."""

    @property
    def mask(self) -> int:
        """Its nonzero values, a bit each."""
        return sum((value != 0) << i for i, value in enumerate(self.values))


def lanes(config: PhantomConfig) -> list[tuple[int, int]]:
    """First core and number of cores of each lane of a mesh row."""
    served = [config.lane_of(c) for c in range(config.mesh_cols)]
    return [(served.index(lane), served.count(lane)) for lane in range(config.drain_lanes)]


def random_tiles(config: PhantomConfig, first_core: int, cores: int, count: int,
                 rng: np.random.Generator) -> list[Tile]:
    """Tiles of all cores of a lane, of all lengths around a chunk's."""
    result = []
    for _ in range(count):
        tile = Tile(first_core + int(rng.integers(cores)), int(rng.integers(config.lane_channels)),
                    int(rng.integers(2)), int(rng.choice([0, rng.integers(PATTERNS)])), int(rng.random() < 0.8),
                    int(rng.integers(1 << 24)))
        for _ in range(rng.integers(1, 5)):
            length = int(rng.choice([1, 2, config.chunk - 1, config.chunk, config.chunk + 1, 2 * config.chunk + 1,
                                     rng.integers(1, config.chunk + 1)]))
            width = sum_bits(config)
            sums = rng.integers(-(1 << width), 1 << width, length)
            small = rng.random(length) < rng.choice([0.0, 0.5, 1.0])  # zero, or nearly so, as activations
            tile.bursts.append(Burst(int(rng.integers(config.pe_cols)), int(rng.integers(config.acc_depth)),
                                     np.where(small, sums >> 14, sums)))
        result.append(tile)
    return result


def interleave(todo: list[Tile], rng: np.random.Generator) -> list[tuple[Tile, Burst, bool]]:
    """Bursts in an order in which they may come, with whether each ends its tile."""
    cores = sorted({tile.core for tile in todo})
    waiting = {core: [(tile, burst, burst is tile.bursts[-1]) for tile in todo if tile.core == core
                      for burst in tile.bursts] for core in cores}
    order = [core for core in cores for _ in waiting[core]]
    return [waiting[core].pop(0) for core in rng.permutation(order)]


def sum_payloads(config: PhantomConfig, order: list[tuple[Tile, Burst, bool]]) -> list[int]:
    """The sums of a stream of bursts."""
    layout = sum_packet(config)
    return [layout.const({
        "value": int(value), "core": tile.core, "column": burst.column, "chunk": burst.chunk,
        "last": i == len(burst.sums) - 1, "tile_last": ends and i == len(burst.sums) - 1,
    }).as_bits() for tile, burst, ends in order for i, value in enumerate(burst.sums)]


def tile_payload(config: PhantomConfig, tile: Tile) -> int:
    """What a lane is told of a tile."""
    names = ("first", "clamp", "pattern", "write", "offset")
    return tile_layout(config).const({name: getattr(tile, name) for name in names}).as_bits()


def expected(config: PhantomConfig, first_core: int, cores: int, order: list[tuple[Tile, Burst, bool]],
             table: Parameters) -> list[Chunk]:
    """The chunks of the golden model."""
    chunks = []
    for tile, burst, _ in order:
        channel = tile.channel(config, first_core, cores, burst)
        if not (tile.write and table.write[channel]):
            continue
        lo, hi = table.clamps[tile.clamp]
        values = requantize(burst.sums, int(table.mult[channel]), int(table.shift[channel]),
                            bias=int(table.bias[channel]), lo=lo, hi=hi)[:config.chunk]
        there = [table.patterns[tile.pattern] >> i & 1 for i in range(len(values))]
        slot = (int(table.slot[channel]) + tile.offset) % (1 << 32)
        whole = len(values) == len(burst.sums) and bool(there[-1])
        chunks.append(Chunk(slot, values[np.array(there, bool)].tolist(), whole))
    return chunks


def parameter_payloads(config: PhantomConfig, table: Parameters) -> list[int]:
    """What fills all channels; rows and lanes, which a lane does not look at, are zero."""
    return [parameter_layout(config).const({
        "index": i, "write": int(table.write[i]),
        **{name: int(getattr(table, name)[i]) for name in ("bias", "mult", "shift", "slot")},
    }).as_bits() for i in range(config.lane_channels)]


def clamp_payloads(config: PhantomConfig, table: Parameters) -> list[int]:
    """What sets both clamps."""
    return [clamp_layout(config).const({"index": i, "lo": lo, "hi": hi}).as_bits()
            for i, (lo, hi) in enumerate(table.clamps)]


def pattern_payloads(config: PhantomConfig, table: Parameters) -> list[int]:
    """What sets all patterns."""
    return [pattern_layout(config).const({"index": i, "bits": bits}).as_bits() for i, bits in enumerate(table.patterns)]
