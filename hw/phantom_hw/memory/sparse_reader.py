"""Slots of a sparse tensor in memory to dense words."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import select
from phantom_hw.memory.align import dense_layout
from phantom_hw.memory.gather import WordGather
from phantom_hw.memory.slot_window import SlotWindow
from phantom_hw.memory.slots import SlotError, check_bus_bytes, packed_layout, slot_header_layout, values_layout
from phantom_hw.mesh.node import StreamBuffer

__all__ = ["SparseDecoder", "Spread"]

LANES = (1, 2, 4, 8, 16, 32)


class SparseDecoder(wiring.Component):
    """Spread the packed nonzero values of slots over their positions.

    A slot is what :mod:`phantom_golden.slots` describes. What lies behind its last value is swallowed, up to the bus
    word in which a slot without a zero would end, so that a reader need not know how many values there are. Each header
    gives ceil(positions / lanes) dense words and each request is taken up to its ``last``, whatever the data are.

    Parameters
    ----------
    config : PhantomConfig
        Uses ``act_width`` and ``chunk``.
    bus_bytes : int
        Bytes of a word of the bus: 8, 16, 32 or 64. Narrower ones than a dense word are joined to that size first.
    lanes : int
        Positions of a dense word, a power of two in 1..32; by default ``config.moving_link``.

    Members
    -------
    header : In, stream of slot_header_layout
        One for each slot, in the order of the data.
    source : In, stream of dense_layout
        The slots' bytes, each slot from byte 0 of a word on; ``last`` ends it.
    sink : Out, stream of values_layout
    error : Out, SlotError
        The first error; the values of that slot are not to be trusted.
    clear : In
        Forget the error and all that is inside; what is offered is withdrawn.
    idle : Out
        Nothing is inside.

    Latency: ``LATENCY`` cycles from a slot's first word to its first dense word, one more where words are joined.
    Throughput: 1 word of the bus and 1 dense word a cycle, whichever is the bound. A slot of which the first dense word
    needs values from the second bus word takes one cycle more if these words follow each other without a pause.

    Raises
    ------
    ValueError
        A parameter out of its range.
    """

    LATENCY = SlotWindow.LATENCY + StreamBuffer.LATENCY

    def __init__(self, config: PhantomConfig, bus_bytes: int, lanes: int | None = None):
        lanes = config.moving_link if lanes is None else lanes
        check_bus_bytes(bus_bytes)
        if lanes not in LANES:
            raise ValueError(f"lanes must be one of {', '.join(map(str, LANES))}, not {lanes!r}")
        self._config, self._bus_bytes, self._lanes = config, bus_bytes, lanes
        super().__init__({
            "header": In(stream.Signature(slot_header_layout(config))),
            "source": In(stream.Signature(dense_layout(8 * bus_bytes))),
            "sink": Out(stream.Signature(values_layout(config, lanes))),
            "error": Out(SlotError),
            "clear": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        word_bytes = max(self._bus_bytes, self._lanes * self._config.act_width // 8)
        m.submodules.window = window = SlotWindow(self._config, word_bytes, self._lanes)
        m.submodules.spread = spread = Spread(self._config, self._lanes)
        words, joining = wiring.flipped(self.source), Const(0)
        if word_bytes > self._bus_bytes:
            m.submodules.gather = gather = WordGather(8 * self._bus_bytes, word_bytes // self._bus_bytes)
            wiring.connect(m, words, gather.source)
            words, joining = gather.sink, gather.busy
        wiring.connect(m, words, window.source)
        wiring.connect(m, wiring.flipped(self.header), window.header)
        wiring.connect(m, window.sink, spread.source)
        wiring.connect(m, spread.sink, wiring.flipped(self.sink))
        m.d.comb += self.idle.eq(~joining & window.idle & spread.idle)
        with m.If(self.error == SlotError.NONE):
            with m.If(window.error != SlotError.NONE):
                m.d.sync += self.error.eq(window.error)
            with m.Elif(spread.zero):
                m.d.sync += self.error.eq(SlotError.ZERO)
        return ResetInserter(self.clear)(m)


class Spread(wiring.Component):
    """Packed values to their positions: each takes the value with the number of nonzero positions before it.

    Parameters
    ----------
    config : PhantomConfig
    lanes : int

    Members
    -------
    source : In, stream of packed_layout
    sink : Out, stream of values_layout
    zero : Out
        A value on offer that belongs to a set mask bit is zero.
    idle : Out
        Nothing is inside.

    Latency: 1 cycle. Throughput: 1 word a cycle.
    """

    def __init__(self, config: PhantomConfig, lanes: int):
        self._config, self._lanes = config, lanes
        super().__init__({
            "source": In(stream.Signature(packed_layout(config, lanes))),
            "sink": Out(stream.Signature(values_layout(config, lanes))),
            "zero": Out(1),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = StreamBuffer(values_layout(self._config, self._lanes))
        wiring.connect(m, buffer.sink, wiring.flipped(self.sink))
        packed, out, offered = self.source.payload, buffer.source.payload, self.sink.payload
        for i in range(self._lanes):
            value = self._chosen(m, packed.ranks[i], [packed.values[j] for j in range(i + 1)])
            m.d.comb += out.values[i].eq(Mux(packed.mask[i], value, 0))
        m.d.comb += [
            buffer.source.valid.eq(self.source.valid), self.source.ready.eq(buffer.source.ready),
            out.nonzero.eq(packed.mask), out.last.eq(packed.last),
            self.zero.eq(self.sink.valid & Cat(offered.nonzero[i] & (offered.values[i] == 0)
                                               for i in range(self._lanes)).any()),
            self.idle.eq(~self.sink.valid),
        ]
        return m

    def _chosen(self, m: Module, index: Value, values: list[Value]) -> Value:
        """``values[index]``, four to one, with a signal for what each step chooses."""
        while len(values) > 1:
            chosen = []
            for group in (values[i:i + 4] for i in range(0, len(values), 4)):
                signal = Signal(self._config.act_width, name=f"chosen_{len(values)}")
                m.d.comb += signal.eq(select(index[:2], group))
                chosen.append(signal)
            values, index = chosen, index[2:]
        return values[0]
