"""Drain: read finished tiles out of the accumulator banks and sum them over PE rows and threads."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import any_of
from phantom_hw.core.queue import ResultQueue
from phantom_hw.core.window import TILE_BITS

__all__ = ["DrainControl", "L2Reduction"]


class DrainControl(wiring.Component):
    """Decide which address of which PE column is drained when.

    After reset every address of every bank is cleared once. Then, whenever all PEs are done with a tile, its
    addresses are read chunk by chunk, in each chunk column after column. A read takes the place of one selection in
    the PEs of its column, unless halves of the banks are RAMs of their own, and reserves a place in the queue of
    results.

    Members
    -------
    outputs : In
        Addresses to drain, 1..acc_depth.
    span : In
        Addresses of a chunk, 1..N.
    done : In, pes bits
        The PEs that have nothing left to select of the tile ``tile``.
    tile : Out
        The tile drained next or now.
    read : Out, pe_cols bits; address : Out
        Read (and clear) an address of the banks of a column; all columns while clearing.
    hold : Out, pe_cols bits
        The PEs of a column must select nothing: there is a read in the place of the selection, or banks are cleared.
    keep : Out, 1; last, tile_last : Out
        The value read is a result; it ends its chunk, its tile.
    column, chunk : Out
        Numbers of the PE column that is read and of its chunk in the tile.
    freed : In
        Places of the queue returned.
    idle : Out
        Nothing to drain, no result under way.

    Latency: ``START_DELAY`` cycles from the last PE's completion to the first read.
    """

    START_DELAY = 1

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__({
            "outputs": In(bits_for(config.acc_depth)),
            "span": In(bits_for(config.chunk)),
            "done": In(config.pes),
            "tile": Out(TILE_BITS),
            "read": Out(config.pe_cols),
            "hold": Out(config.pe_cols),
            "address": Out(ceil_log2(config.acc_halves)),
            "keep": Out(1),
            "last": Out(1),
            "tile_last": Out(1),
            "column": Out(ceil_log2(config.pe_cols)),
            "chunk": Out(ceil_log2(config.acc_depth)),
            "freed": In(2),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        chunk_bits = bits_for(config.chunk)
        start = Signal(ceil_log2(config.acc_halves))  # first address of the chunk; the address while clearing
        offset = Signal(chunk_bits)
        column = Signal(config.pe_cols, init=1)  # one-hot
        m.d.comb += self.column.eq(Cat(any_of([column[c] for c in range(config.pe_cols) if c >> bit & 1])
                                       for bit in range(len(self.column))))
        length = Signal(chunk_bits)
        remaining = Signal(bits_for(config.acc_depth))
        reserved = Signal(range(ResultQueue.SLOTS + 1))
        room = Signal()
        m.d.comb += room.eq(reserved != ResultQueue.SLOTS)
        m.d.sync += reserved.eq(reserved + self.keep - self.freed)

        with m.FSM(init="CLEAR"):
            with m.State("CLEAR"):
                m.d.comb += [self.read.eq(-1), self.hold.eq(-1), self.address.eq(start)]
                m.d.sync += start.eq(start + 1)
                with m.If(start == config.acc_halves - 1):
                    m.next = "WAIT"
            with m.State("WAIT"):
                m.d.comb += self.idle.eq((reserved == 0) & ~self.done.any())
                m.d.sync += [start.eq(0), self.chunk.eq(0), remaining.eq(self.outputs)]
                with m.If(self.done.all()):
                    m.next = "READ"
            with m.State("READ"):
                final_row, final_column, final_chunk = Signal(), Signal(), Signal()
                m.d.comb += [
                    length.eq(Mux(final_chunk, remaining, self.span)),
                    final_row.eq(offset + 1 == length),
                    final_column.eq(column[-1]),
                    final_chunk.eq(remaining <= self.span),
                    self.address.eq(Cat((start + offset)[:len(start) - 1], self.tile[0])),
                    self.last.eq(final_row),
                    self.tile_last.eq(final_row & final_column & final_chunk),
                    self.keep.eq(room),
                    self.read.eq(Mux(room, column, 0)),
                    self.hold.eq(0 if config.split_banks else self.read),
                ]
                with m.If(room):
                    m.d.sync += offset.eq(Mux(final_row, 0, offset + 1))
                    with m.If(final_row):
                        m.d.sync += column.eq(column.rotate_left(1))
                        with m.If(final_column):
                            m.d.sync += [start.eq(start + self.span), self.chunk.eq(self.chunk + 1),
                                         remaining.eq(remaining - length)]
                    with m.If(self.tile_last):
                        m.d.sync += self.tile.eq(self.tile + 1)
                        m.next = "WAIT"
        return m


class L2Reduction(wiring.Component):
    """Sum the drained values of all PE rows and threads of a column (level-2 accumulation, paper section III-E).

    Members
    -------
    drained : In, array of pes arrays of T accumulators
    column : In, pe_cols bits
        The column (one-hot) whose values are there now.
    total : Out

    Latency: ``latency(config)`` cycles. Throughput: 1 sum a cycle.
    """

    LEVELS_PER_STAGE = 2

    def __init__(self, config: PhantomConfig):
        self._config = config
        bank = data.ArrayLayout(signed(config.acc_width), config.threads)
        super().__init__({
            "drained": In(data.ArrayLayout(bank, config.pes)),
            "column": In(config.pe_cols),
            "total": Out(signed(config.acc_width)),
        })

    @classmethod
    def latency(cls, config: PhantomConfig) -> int:
        """One cycle for the choice of the column, one for every two levels of adders."""
        return 1 + -(-ceil_log2(config.pe_rows * config.threads) // cls.LEVELS_PER_STAGE)

    def elaborate(self, platform):
        m = Module()
        config = self._config
        width = config.acc_width

        def stage(values, name):
            registers = [Signal(signed(width), name=f"{name}_{i}") for i in range(len(values))]
            m.d.sync += [register.eq(value) for register, value in zip(registers, values, strict=True)]
            return registers

        # what is not of the column becomes 0 in the register, which takes no logic
        chosen = stage([
            Mux(self.column[col], self.drained[row * config.pe_cols + col][thread], 0)
            for row in range(config.pe_rows) for thread in range(config.threads) for col in range(config.pe_cols)
        ], "column")
        values = [any_of(chosen[i:i + config.pe_cols]).as_signed() for i in range(0, len(chosen), config.pe_cols)]
        level = 0
        while len(values) > 1:
            pairs = [values[i:i + 2] for i in range(0, len(values), 2)]
            values = [(pair[0] + pair[1])[:width].as_signed() if len(pair) == 2 else pair[0] for pair in pairs]
            level += 1
            if level % self.LEVELS_PER_STAGE == 0 or len(values) == 1:
                values = stage(values, f"level{level}")
        m.d.comb += self.total.eq(values[0])
        return m
