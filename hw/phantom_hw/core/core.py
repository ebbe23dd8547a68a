"""Phantom core: pe_rows x pe_cols PEs between a moving and a stationary link and a result link."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw import emit
from phantom_hw.config import PhantomConfig
from phantom_hw.core.drain import DrainControl, L2Reduction
from phantom_hw.core.encoder import OutputEncoder
from phantom_hw.core.layouts import (
    layer_layout,
    moving_layout,
    result_layout,
    stalls_layout,
    stationary_layout,
    sum_layout,
)
from phantom_hw.core.pe import ProcessingElement
from phantom_hw.core.queue import ResultQueue
from phantom_hw.core.thread import Thread

__all__ = ["PhantomCore"]


class PhantomCore(wiring.Component):
    """The computational core (paper section III): sums of products of sparse operands, encoded.

    A tile is whatever is summed between two ``tile_last`` items of each PE. Every PE must get one such item
    in each tile; a PE without work gets an item with an empty mask (and a row for it).

    Parameters
    ----------
    config : PhantomConfig
    encode : bool
        Whether results leave in the sparse-mask format, or every sum as it is.

    Members
    -------
    layer : In, stream of layer_layout
        What is constant for a layer; accepted while no item and no sum is in the core, and needed before the first
        item. Rows may come earlier.
    moving : In, stream of moving_layout
        Rows; the beats of one row follow each other. Waits until all its PEs have a free slot.
    stationary : In, stream of stationary_layout
        Items, up to one a PE column in a beat. Waits until all of its PEs have room.
    result : Out, stream of result_layout, or of sum_layout
        For each tile: chunk after chunk of addresses, in each chunk PE column after PE column.
    idle : Out
        Nothing is in flight.
    activity : Out, array of pes masks of T bits
        Busy threads of PE row r, column c at index r * pe_cols + c (for counters and traces).
    stalls : Out, stalls_layout
        What it waits for (for counters).

    Latency: ``LINK_LATENCY`` cycles from a link to the PEs. After reset ``acc_halves`` cycles clear the banks; the
    links are served meanwhile.
    """

    LINK_LATENCY = 1

    def __init__(self, config: PhantomConfig, encode: bool = True):
        self.config, self.encode = config, encode
        super().__init__(self.ports(config, encode))

    @classmethod
    def ports(cls, config: PhantomConfig, encode: bool = True) -> wiring.Signature:
        """The signature, for whoever instantiates the core as a module emitted elsewhere."""
        result = result_layout if encode else sum_layout
        return wiring.Signature({
            "layer": In(stream.Signature(layer_layout(config))),
            "moving": In(stream.Signature(moving_layout(config))),
            "stationary": In(stream.Signature(stationary_layout(config))),
            "result": Out(stream.Signature(result(config))),
            "idle": Out(1),
            "activity": Out(data.ArrayLayout(config.threads, config.pes)),
            "stalls": Out(stalls_layout(config)),
        })

    @staticmethod
    def result_latency(config: PhantomConfig) -> int:
        """Cycles from a drain's read (in place of a selection) to its value at the encoder's input."""
        return ProcessingElement.DRAIN_DELAY + Thread.READ_LATENCY + L2Reduction.latency(config)

    def elaborate(self, platform):
        m = Module()
        config = self.config
        ports = ProcessingElement.ports(config)
        pes = [[emit.instantiate(m, f"pe_{r}_{c}", emit.PE_MODULE, ports) for c in range(config.pe_cols)]
               for r in range(config.pe_rows)]
        flat = [pe for row in pes for pe in row]

        layer = Signal(layer_layout(config))
        new_layer = Signal()
        m.d.sync += new_layer.eq(self.layer.valid & self.layer.ready)
        with m.If(self.layer.valid & self.layer.ready):
            m.d.sync += layer.eq(self.layer.payload)
        for index, pe in enumerate(flat):
            m.d.comb += [pe.layer.eq(layer), pe.new_layer.eq(new_layer), self.activity[index].eq(pe.activity),
                         self.stalls.moving[index].eq(pe.no_row), self.stalls.stationary[index].eq(pe.no_item)]

        row_waiting = self._rows(m, pes)
        item_waiting = self._items(m, pes)
        drain = self._drain(m, pes, layer)
        busy = Cat(*(pe.busy for pe in flat)).any()
        m.d.comb += [
            self.layer.ready.eq(drain.idle & ~busy & ~item_waiting),
            self.idle.eq(self.layer.ready & ~row_waiting),
        ]
        return m

    def _register(self, m: Module, link, name: str, ready):
        """A register between a link and its PEs: the payload and whether it is there."""
        valid, payload = Signal(name=f"{name}_valid"), Signal.like(link.payload, name=f"{name}_beat", reset_less=True)
        m.d.comb += link.ready.eq(~valid | ready)
        with m.If(link.ready):
            m.d.sync += [valid.eq(link.valid), payload.eq(link.payload)]
        return valid, payload

    def _rows(self, m: Module, pes):
        """Beats of rows to the PEs they name, together."""
        config = self.config
        ready = Signal(name="row_ready")
        valid, beat = self._register(m, self.moving, "row", ready)
        number = Signal(ProcessingElement.beat_bits(config))
        blocked = []
        for r, row in enumerate(pes):
            for c, pe in enumerate(row):
                wanted = Signal(name=f"row_for_{r}_{c}")
                m.d.comb += [
                    wanted.eq((beat.pe_row == r) & beat.cols[c]),
                    pe.row.eq(beat), pe.row_beat.eq(number), pe.row_write.eq(valid & ready & wanted),
                ]
                blocked.append(wanted & ~pe.row_ready)
        m.d.comb += ready.eq(~Cat(*blocked).any())
        with m.If(valid & ready):
            m.d.sync += number.eq(number + 1)
            with m.If(beat.last):
                m.d.sync += number.eq(0)
        return valid

    def _items(self, m: Module, pes):
        """Items to the PEs of the row that the beat names, together."""
        ready = Signal(name="item_ready")
        valid, beat = self._register(m, self.stationary, "item", ready)
        blocked = []
        for r, row in enumerate(pes):
            for c, pe in enumerate(row):
                wanted = Signal(name=f"item_for_{r}_{c}")
                m.d.comb += [
                    wanted.eq((beat.pe_row == r) & beat.items[c].valid),
                    pe.item.eq(beat.items[c]), pe.item_write.eq(valid & ready & wanted),
                ]
                blocked.append(wanted & ~pe.item_ready)
        m.d.comb += ready.eq(~Cat(*blocked).any())
        return valid

    def _drain(self, m: Module, pes, layer):
        """Drain control, the way to and from the banks, and the encoder."""
        config = self.config
        m.submodules.drain = drain = DrainControl(config)
        m.submodules.reduction = reduction = L2Reduction(config)
        m.d.comb += self.stalls.drain.eq(drain.read.any())
        m.d.comb += [drain.outputs.eq(layer.outputs), drain.span.eq(layer.span)]

        def delayed(value, cycles, name):
            for cycle in range(cycles):
                register = Signal.like(value, name=f"{name}_{cycle + 1}")
                m.d.sync += register.eq(value)
                value = register
            return value

        at_bank = ProcessingElement.DRAIN_DELAY
        read, address = delayed(drain.read, at_bank, "read"), delayed(drain.address, at_bank, "address")
        for r, row in enumerate(pes):
            for c, pe in enumerate(row):
                index = r * config.pe_cols + c
                m.d.comb += [
                    pe.hold.eq(drain.hold[c]), pe.drain.eq(read[c]), pe.drain_address.eq(address),
                    pe.drain_tile.eq(drain.tile), drain.done[index].eq(pe.done),
                    reduction.drained[index].eq(pe.drained),
                ]
        m.d.comb += reduction.column.eq(delayed(read, Thread.READ_LATENCY, "column"))
        latency = self.result_latency(config)
        keep, last, tile_last = delayed(Cat(drain.keep, drain.last, drain.tile_last), latency, "result_flags")
        if self.encode:
            m.submodules.encoder = encoder = OutputEncoder(config)
            wiring.connect(m, encoder.result, wiring.flipped(self.result))
            m.d.comb += [
                encoder.valid.eq(keep), encoder.last.eq(last), encoder.tile_last.eq(tile_last),
                encoder.value.eq(reduction.total), drain.freed.eq(encoder.freed),
            ]
        else:
            m.submodules.queue = queue = ResultQueue(sum_layout(config))
            wiring.connect(m, queue.result, wiring.flipped(self.result))
            column, chunk = (delayed(value, latency, name) for value, name in
                             ((drain.column, "result_column"), (drain.chunk, "result_chunk")))
            m.d.comb += [
                queue.push.eq(keep), queue.payload.last.eq(last), queue.payload.tile_last.eq(tile_last),
                queue.payload.value.eq(reduction.total), queue.payload.column.eq(column),
                queue.payload.chunk.eq(chunk), drain.freed.eq(queue.taken),
            ]
        return drain
