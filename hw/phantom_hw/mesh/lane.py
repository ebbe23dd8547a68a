"""Post-processing lane: raw sums of several cores to encoded activations."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.encoder import OutputEncoder
from phantom_hw.core.logic import lookup
from phantom_hw.mesh.layouts import activation_layout, channel_layout, limits_layout, parameter_layout, sum_layout
from phantom_hw.mesh.requantizer import Requantizer

__all__ = ["PostProcessingLane"]

CORES = range(1, 9)
CHANNELS = (16, 4096)


class PostProcessingLane(wiring.Component):
    """Requantize sums with the parameters of their channels, drop the zeros, collect the masks.

    Channel ``(filter * cores + core) * pe_cols + column`` of the sum's set has bias, multiplier and shift in a RAM of
    two sets, so that those of the next layer can be written while this one runs. The pipeline never stops: a sum is
    taken when a place in the encoder's queue is free for it.

    Parameters
    ----------
    config : PhantomConfig
    cores : int
        Cores that the lane serves, 1..8.
    channels : int
        Channels of one set, a power of two in 16..4096.

    Members
    -------
    sums : In, stream of sum_layout
    activations : Out, stream of activation_layout
        Chunks end with the positions of a filter or after N positions.
    parameters : In, stream of parameter_layout; always ready
        Writes a channel's parameters. No sum of that set may be inside or on offer.
    limits : In, stream of limits_layout; always ready
        Sets the range of a set's results, on the same condition. All zero after power-up.
    error : Out
        There was a sum of a channel beyond the last one; its value is wrong. Stays until ``clear``.
    clear : In
        Forget the error and all sums inside; what is offered is withdrawn. Parameters and limits stay.
    idle : Out
        No sum is inside.

    Latency: ``LATENCY`` cycles. Throughput: 1 sum a cycle.

    Raises
    ------
    ValueError
        A parameter out of its range.
    """

    INDEX_LATENCY, READ_LATENCY = 2, 2
    LATENCY = INDEX_LATENCY + READ_LATENCY + Requantizer.LATENCY + OutputEncoder.LATENCY
    assert LATENCY < OutputEncoder.SLOTS, "a sum would wait for the place of the one before"

    def __init__(self, config: PhantomConfig, cores: int, channels: int = 256):
        if cores not in CORES:
            raise ValueError(f"cores must be in {CORES[0]}..{CORES[-1]}, not {cores!r}")
        if not CHANNELS[0] <= channels <= CHANNELS[1] or channels & (channels - 1):
            raise ValueError(f"channels must be a power of two in {CHANNELS[0]}..{CHANNELS[1]}, not {channels!r}")
        self._config, self._cores, self._channels = config, cores, channels
        super().__init__({
            "sums": In(stream.Signature(sum_layout(config, cores))),
            "activations": Out(stream.Signature(activation_layout(config, cores))),
            "parameters": In(stream.Signature(parameter_layout(channels))),
            "limits": In(stream.Signature(limits_layout(config))),
            "error": Out(1),
            "clear": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.requantizer = requantizer = Requantizer(self._config)
        m.submodules.encoder = encoder = OutputEncoder(self._config, activation_layout(self._config, self._cores))
        wiring.connect(m, encoder.result, wiring.flipped(self.activations))
        reserved, enters = Signal(range(encoder.SLOTS + 1)), Signal()
        m.d.comb += [
            self.sums.ready.eq(reserved != encoder.SLOTS), enters.eq(self.sums.valid & self.sums.ready),
            self.parameters.ready.eq(1), self.limits.ready.eq(1), self.idle.eq(reserved == 0),
        ]
        m.d.sync += reserved.eq(reserved + enters - encoder.freed)

        # what goes with a sum on its way, a register a cycle
        entered, packet = [enters], [self.sums.payload]
        for cycle in range(1, self.LATENCY):
            entered.append(Signal(name=f"entered_{cycle}"))
            packet.append(Signal.like(self.sums.payload, name=f"packet_{cycle}", reset_less=True))
            m.d.sync += [entered[cycle].eq(entered[cycle - 1]), packet[cycle].eq(packet[cycle - 1])]

        at_index, at_sum, at_encoder = self.INDEX_LATENCY, self.INDEX_LATENCY + self.READ_LATENCY, self.LATENCY - 1
        channel = self._channel(m)
        beyond = channel[exact_log2(self._channels):]
        m.d.sync += self.error.eq(self.error | (entered[at_index] & beyond.any()))
        index = channel[:exact_log2(self._channels)]
        parameters = self._read(m, Cat(index, packet[at_index].set))
        limits = self._limits(m, packet[at_encoder - 2].set)
        m.d.comb += [
            requantizer.advance.eq(1), requantizer.value.eq(packet[at_sum].value),
            requantizer.bias.eq(parameters.bias), requantizer.mult.eq(parameters.mult),
            requantizer.shift.eq(parameters.shift), requantizer.lo.eq(limits.lo), requantizer.hi.eq(limits.hi),
        ]
        self._encode(m, encoder, entered[at_encoder], packet[at_encoder], requantizer.result)
        return ResetInserter(self.clear)(m)

    def _channel(self, m: Module) -> Signal:
        """Number of the sum's channel, after ``INDEX_LATENCY`` cycles."""
        cores, cols, packet = self._cores, self._config.pe_cols, self.sums.payload
        most = self._config.acc_depth * cores * cols - 1
        of_filter, in_filter = Signal(range(most + 1)), Signal(bits_for(cores * cols - 1))
        place = lookup([packet.core, packet.column], lambda core, column: core * cols + column, len(in_filter))
        channel = Signal(max(bits_for(most), exact_log2(self._channels)))
        m.d.sync += [
            of_filter.eq(_times(packet.filter, cores * cols)),
            in_filter.eq(place),
            channel.eq(of_filter + in_filter),
        ]
        return channel

    def _read(self, m: Module, address: Value):
        """The parameters of a channel, after ``READ_LATENCY`` cycles: one in the RAM, one in a register behind it."""
        m.submodules.memory = memory = Memory(shape=channel_layout(), depth=2 * self._channels, init=[])
        write, read, new = memory.write_port(), memory.read_port(), self.parameters.payload
        found = Signal(channel_layout(), reset_less=True)
        m.d.comb += [
            write.en.eq(self.parameters.valid), write.addr.eq(Cat(new.index, new.set)),
            write.data.bias.eq(new.bias), write.data.mult.eq(new.mult), write.data.shift.eq(new.shift),
            read.addr.eq(address),
        ]
        m.d.sync += found.eq(read.data)
        return found

    def _limits(self, m: Module, choice: Value):
        """The limits of the set ``choice``, a cycle later."""
        sets = [Signal(limits_layout(self._config), name=f"limits_{i}", reset_less=True) for i in range(2)]
        for i, held in enumerate(sets):
            with m.If(self.limits.valid & (self.limits.payload.set == i)):
                m.d.sync += held.eq(self.limits.payload)
        chosen = Signal(limits_layout(self._config), reset_less=True)
        m.d.sync += chosen.eq(Mux(choice, sets[1], sets[0]))
        return chosen

    def _encode(self, m: Module, encoder: OutputEncoder, valid: Value, packet, result: Value) -> None:
        """Cut what comes into chunks."""
        position = Signal(range(self._config.chunk))
        m.d.comb += [
            encoder.valid.eq(valid), encoder.value.eq(result),
            encoder.last.eq(packet.last | (position == self._config.chunk - 1)),
            encoder.burst_last.eq(packet.last), encoder.tile_last.eq(packet.tile_last),
            *(getattr(encoder, name).eq(packet[name]) for name in ("core", "column", "filter", "set")),
        ]
        with m.If(valid):
            m.d.sync += position.eq(Mux(encoder.last, 0, position + 1))


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
