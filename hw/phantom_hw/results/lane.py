"""Post-processing lane: raw sums of several cores to encoded activations."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.encoder import OutputEncoder
from phantom_hw.core.logic import lookup, select
from phantom_hw.mesh.packets import sum_packet
from phantom_hw.results.layouts import (
    channel_layout,
    chunk_layout,
    clamp_layout,
    parameter_layout,
    pattern_layout,
    tile_layout,
)
from phantom_hw.results.requantizer import Requantizer
from phantom_hw.soc.isa import PATTERNS

__all__ = ["PostProcessingLane"]


class PostProcessingLane(wiring.Component):
    """Requantize the sums of neighbouring cores with the parameters of their channels and encode them as chunks.

    A burst of sums is the positions of one filter of a core's tile and becomes one chunk. Position i of it counts if
    bit i of the tile's pattern is set; of others, and of all from N on, nothing is left. The channel of a sum is
    ``tile.first + (chunk * cores + core - first_core) * pe_cols + column`` modulo ``lane_channels``; the chunk's slot
    is as many units behind the channel's first one as the tile says, modulo the width of ``slot``. If tile or channel
    are not to be written, nothing of the burst comes out.

    Each core has a queue of tiles. A sum waits until its core's tile is there; the tile leaves with the sum that has
    ``tile_last``. From there on the pipeline never stops: a sum is taken when a place in the encoder's queue is free
    for it.

    Parameters
    ----------
    config : PhantomConfig
    first_core : int
        First mesh column that the lane serves.
    cores : int
        Mesh columns that it serves.

    Members
    -------
    sums : In, stream of sum_packet
        Of the lane's cores only. Bursts of different cores come in any order; none is interrupted.
    tiles : In, array of ``cores`` streams of tile_layout
        The tiles of each core, in the order of their sums.
    parameters : In, stream of parameter_layout; always ready
        Writes a channel's parameters. No sum inside or on offer may need the old ones. ``rows`` and ``lanes`` are not
        looked at, here and in the clamps: who writes makes valid only what is for this lane.
    clamps : In, stream of clamp_layout; always ready
        Sets a clamp, on the same condition.
    patterns : In, stream of pattern_layout; always ready
        Sets a pattern, on the same condition.
    chunks : Out, stream of chunk_layout
        Without ``nonzero``, ``value`` is arbitrary.
    idle : Out
        No sum and no tile is inside.

    Latency: ``LATENCY`` cycles. Throughput: 1 sum a cycle.

    Raises
    ------
    ValueError
        A parameter out of its range.
    """

    TAKEN, INDEXED, READ = 1, 3, 5
    """Cycles until a sum is in the pipeline, its channel is known, and the channel's parameters are."""
    LATENCY = READ + Requantizer.LATENCY + OutputEncoder.LATENCY
    assert LATENCY < OutputEncoder.SLOTS, "a sum would wait for the place of the one before"
    TILES = 8
    """Tiles that wait for each core."""

    def __init__(self, config: PhantomConfig, first_core: int, cores: int):
        if not 0 <= first_core < config.mesh_cols:
            raise ValueError(f"first_core must be in 0..{config.mesh_cols - 1}, not {first_core!r}")
        if not 1 <= cores <= config.mesh_cols - first_core:
            raise ValueError(f"cores must be in 1..{config.mesh_cols - first_core}, not {cores!r}")
        self._config, self._first_core, self._cores = config, first_core, cores
        super().__init__({
            "sums": In(stream.Signature(sum_packet(config))),
            "tiles": In(stream.Signature(tile_layout(config))).array(cores),
            "parameters": In(stream.Signature(parameter_layout(config))),
            "clamps": In(stream.Signature(clamp_layout(config))),
            "patterns": In(stream.Signature(pattern_layout(config))),
            "chunks": Out(stream.Signature(chunk_layout(config))),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.requantizer = requantizer = Requantizer(self._config)
        m.submodules.encoder = encoder = OutputEncoder(self._config, chunk_layout(self._config))
        wiring.connect(m, encoder.result, wiring.flipped(self.chunks))
        reserved, enters, unwritten = Signal(range(encoder.SLOTS + 1)), Signal(), Signal()
        packet, taken = self.sums.payload, Signal(self._taken_layout())
        waiting = self._tiles(m, enters, taken.tile)
        position = Signal(range(self._config.chunk + 1))
        m.d.comb += [
            enters.eq(self.sums.valid & self.sums.ready), taken.position.eq(position),
            *(taken[name].eq(packet[name]) for name in sum_packet(self._config).members),
            self.sums.ready.eq((reserved != encoder.SLOTS) & select(self._core(packet), waiting)),
            self.parameters.ready.eq(1), self.clamps.ready.eq(1), self.patterns.ready.eq(1),
            self.idle.eq((reserved == 0) & ~Cat(waiting).any()),
        ]
        m.d.sync += reserved.eq(reserved + enters - encoder.freed - unwritten)
        with m.If(enters):
            m.d.sync += position.eq(Mux(packet.last, 0, position + (position != self._config.chunk)))

        at_encoder = self.LATENCY - OutputEncoder.LATENCY
        entered = _delayed(m, enters, at_encoder, "entered", reset_less=False)
        flow = _delayed(m, taken, at_encoder, "taken")
        parameters = self._read(m, self._channel(m, flow))
        there = self._there(m, flow)
        # written at all, position there, address of the slot: known with the parameters
        write, there, slot = (_delayed(m, value, at_encoder - self.READ, name)[-1] for name, value in (
            ("write", flow[self.READ].tile.write & parameters.write), ("there", there),
            ("slot", (parameters.slot + flow[self.READ].tile.offset)[:len(encoder.slot)])))
        clamp = self._clamp(m, flow[at_encoder - 2].tile.clamp)
        m.d.comb += [
            requantizer.advance.eq(1), requantizer.value.eq(flow[self.READ].value),
            requantizer.bias.eq(parameters.bias), requantizer.mult.eq(parameters.mult),
            requantizer.shift.eq(parameters.shift), requantizer.lo.eq(clamp.lo), requantizer.hi.eq(clamp.hi),
            encoder.valid.eq(entered[at_encoder] & write), unwritten.eq(entered[at_encoder] & ~write),
            encoder.value.eq(requantizer.result), encoder.there.eq(there), encoder.slot.eq(slot),
            encoder.last.eq(flow[at_encoder].last),
        ]
        return m

    def _taken_layout(self) -> data.StructLayout:
        """A sum in the pipeline: with its tile and its position in the burst, N for all from N on."""
        return data.StructLayout({
            **sum_packet(self._config).members, "tile": tile_layout(self._config),
            "position": bits_for(self._config.chunk),
        })

    def _core(self, packet) -> Value:
        """Which of the lane's cores a sum is from."""
        if self._cores == 1:
            return Const(0, 0)
        return lookup([packet.core], lambda core: core - self._first_core, ceil_log2(self._cores))

    def _tiles(self, m: Module, enters: Value, tile) -> list[Value]:
        """The queues of tiles: whether there is a tile for each core; ``tile`` is that of the sum on offer."""
        packet, tiles, waiting = self.sums.payload, [], []
        for i, port in enumerate(self.tiles):
            m.submodules[f"tiles_{i}"] = queue = SyncFIFO(width=tile.shape().size, depth=self.TILES)
            ours = self._core(packet) == i
            m.d.comb += [
                queue.w_en.eq(port.valid), queue.w_data.eq(port.payload), port.ready.eq(queue.w_rdy),
                queue.r_en.eq(enters & packet.tile_last & ours),
            ]
            tiles.append(queue.r_data)
            waiting.append(queue.r_rdy)
        m.d.comb += Value.cast(tile).eq(select(self._core(packet), tiles))
        return waiting

    def _channel(self, m: Module, flow: Sequence) -> Signal:
        """Place of a sum's channel, when it is ``INDEXED``."""
        cores, cols, first, packet = self._cores, self._config.pe_cols, self._first_core, flow[self.TAKEN]
        bits = ceil_log2(self._config.lane_channels)
        of_filter, in_filter, channel = (Signal(bits, name=name) for name in ("of_filter", "in_filter", "channel"))
        place = lookup([packet.core, packet.column], lambda core, column: (core - first) * cols + column,
                       bits_for(cores * cols - 1))
        m.d.sync += [
            of_filter.eq(_times(packet.chunk, cores * cols)),
            in_filter.eq(packet.tile.first + place),
            channel.eq(of_filter + in_filter),
        ]
        return channel

    def _read(self, m: Module, channel: Value):
        """The parameters of a channel: a cycle in the RAM and one in a register behind it."""
        memory = Memory(shape=channel_layout(), depth=self._config.lane_channels, init=[])
        m.submodules.memory = memory
        write, read, new = memory.write_port(), memory.read_port(), self.parameters.payload
        found = Signal(channel_layout(), reset_less=True)
        m.d.comb += [
            write.en.eq(self.parameters.valid), write.addr.eq(new.index),
            *(write.data[name].eq(new[name]) for name in channel_layout().members),
            read.addr.eq(channel),
        ]
        m.d.sync += found.eq(read.data)
        return found

    def _there(self, m: Module, flow: Sequence) -> Value:
        """Whether a sum's position is there, when its parameters have been ``READ``."""
        memory = Memory(shape=self._config.chunk, depth=PATTERNS, init=[], attrs={"ram_style": "distributed"})
        m.submodules.patterns = memory
        write, read, new = memory.write_port(), memory.read_port(domain="comb"), self.patterns.payload
        bits, there = Signal(self._config.chunk, reset_less=True), Signal(reset_less=True)
        position = flow[self.TAKEN + 1].position
        m.d.comb += [
            write.en.eq(self.patterns.valid), write.addr.eq(new.index), write.data.eq(new.bits),
            read.addr.eq(flow[self.TAKEN].tile.pattern),
        ]
        m.d.sync += [
            bits.eq(read.data),
            there.eq(select(position[:ceil_log2(len(bits))], [*bits]) & (position != self._config.chunk)),
        ]
        return _delayed(m, there, self.READ - self.TAKEN - 2, "there_then")[-1]

    def _clamp(self, m: Module, choice: Value):
        """The clamp ``choice``, a cycle later."""
        clamps = [Signal(clamp_layout(self._config), name=f"clamp_{i}", reset_less=True) for i in range(2)]
        for i, held in enumerate(clamps):
            with m.If(self.clamps.valid & (self.clamps.payload.index == i)):
                m.d.sync += held.eq(self.clamps.payload)
        chosen = Signal(clamp_layout(self._config), reset_less=True)
        m.d.sync += chosen.eq(Mux(choice, clamps[1], clamps[0]))
        return chosen


def _delayed(m: Module, value: Value, cycles: int, name: str, *, reset_less: bool = True) -> list:
    """A value now, a cycle later, and so on, up to ``cycles`` later."""
    steps = [value]
    for cycle in range(1, cycles + 1):
        steps.append(Signal.like(value, name=f"{name}_{cycle}", reset_less=reset_less))
        m.d.sync += steps[cycle].eq(steps[cycle - 1])
    return steps


def _times(value: Value, factor: int) -> Value:
    """``value * factor`` of few additions and subtractions: synthesis would take a multiplier block for it."""
    terms, place = [], 0
    while factor:
        if factor & 1:
            digit = 2 - (factor & 3)  # 1, or -1 where a run of ones begins
            terms.append((digit, place))
            factor -= digit
        factor >>= 1
        place += 1
    total: Value | None = None
    for digit, place in reversed(terms):  # the first one is positive
        term = value << place
        total = term if total is None else total + term if digit > 0 else total - term
    assert total is not None
    return total
