"""From results of the vector unit to sums for a post-processing lane, one at a time."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2, exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import select
from phantom_hw.mesh.packets import sum_packet
from phantom_hw.results.requantizer import MULT_BITS
from phantom_hw.vector.layouts import Operation, result_word_layout, vector_layout

__all__ = ["ResultSerializer"]


class ResultSerializer(wiring.Component):
    """Send the positions of results one after another, as the sums of the first core of a lane.

    Result k of a tile is chunk ``k // pe_cols`` of PE column ``k % pe_cols``; ``last`` ends it, and ``tile_last``
    result ``count - 1``. An addition's operands are multiplied here. With ``fold`` a single sum is sent of a result:
    that of all its positions. There is room for two results, so that one is filled while the other is sent.

    Parameters
    ----------
    config : PhantomConfig
    core : int
        The first mesh column of the lane.

    Members
    -------
    settings : In, vector_layout
        Constant while a result is inside. With the operation NONE the count of results begins again.
    room : Out
        A result may come. It stays so until ``claim``.
    claim : In
        A result takes the room; its last word is written in the next cycle.
    enable : In; beat : In; complete : In; word : In, result_word_layout
        Writes a word of a result, with ``complete`` the last one.
    sums : Out, stream of sum_packet
    idle : Out
        No complete result is inside.

    Latency: ``LATENCY`` cycles from the last word to the first sum. Throughput: 1 sum a cycle, back to back.
    """

    LATENCY = 5
    HALF = 12
    """Bits of the multipliers that a partial product takes."""

    def __init__(self, config: PhantomConfig, core: int):
        if not 0 <= core < config.mesh_cols:
            raise ValueError(f"core must be in 0..{config.mesh_cols - 1}, not {core!r}")
        self._config, self._core = config, core
        super().__init__({
            "settings": In(vector_layout(config)),
            "room": Out(1),
            "claim": In(1),
            "enable": In(1),
            "beat": In(bits_for(config.vector_beats - 1)),
            "complete": In(1),
            "word": In(result_word_layout(config)),
            "sums": Out(stream.Signature(sum_packet(config))),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config, settings = self._config, self.settings
        claimed, written, sent = (Signal(2, name=name) for name in ("claimed", "written", "sent"))
        here, advance = Signal(), Signal()
        position, number = Signal(range(config.chunk + 1)), Signal(range(config.lane_channels + 1))
        column, chunk = Signal(range(max(config.pe_cols, 2))), Signal(ceil_log2(config.acc_depth))
        last, tile_last = Signal(), Signal()
        m.d.comb += [
            self.room.eq((claimed - sent)[:2] < 2), here.eq(written != sent),
            advance.eq(~self.sums.valid | self.sums.ready),
            last.eq(position + 1 >= settings.positions), tile_last.eq(last & (number + 1 >= settings.count)),
        ]
        m.d.sync += [claimed.eq(claimed + self.claim), written.eq(written + (self.enable & self.complete))]
        with m.If(here & advance):
            m.d.sync += position.eq(Mux(last, 0, position + 1))
            with m.If(last):
                m.d.sync += [sent.eq(sent + 1), number.eq(number + 1), column.eq(column + 1)]
                with m.If(column == config.pe_cols - 1):
                    m.d.sync += [column.eq(0), chunk.eq(chunk + 1)]
            with m.If(tile_last):
                m.d.sync += [number.eq(0), column.eq(0), chunk.eq(0)]
        with m.If(settings.operation == Operation.NONE):
            m.d.sync += [number.eq(0), column.eq(0), chunk.eq(0)]

        value = self._value(m, written[0], sent[0], position)
        fields = {"column": column[:ceil_log2(config.pe_cols)], "chunk": chunk, "last": last, "tile_last": tile_last,
                  "first": position == 0}
        valids: list[Value] = [here]
        for cycle in range(1, 4):
            valid = Signal(name=f"valid_{cycle}")
            with m.If(advance):
                m.d.sync += valid.eq(valids[-1])
                for name, field in fields.items():
                    fields[name] = Signal.like(field, name=f"{name}_{cycle}", reset_less=True)
                    m.d.sync += fields[name].eq(field)
            valids.append(valid)
        self._combine(m, advance, value, valids[3], fields)
        m.d.comb += self.idle.eq(~Cat(valids, self.sums.valid).any())
        return m

    def _value(self, m: Module, writes: Value, reads: Value, position: Value) -> Value:
        """The stored value of a position."""
        config = self._config
        lane_bits, beat_bits = exact_log2(config.moving_link), ceil_log2(config.vector_beats)
        word = result_word_layout(config)
        memory = Memory(shape=word.size, depth=2 << beat_bits, init=[], attrs={"ram_style": "distributed"})
        m.submodules.memory = memory
        write, read = memory.write_port(), memory.read_port(domain="comb")
        bits = word.elem_shape.width
        m.d.comb += [
            write.en.eq(self.enable), write.addr.eq(Cat(self.beat[:beat_bits], writes)),
            write.data.eq(Value.cast(self.word)),
            read.addr.eq(Cat(position[lane_bits:][:beat_bits], reads) if beat_bits else reads),
        ]
        return select(position[:lane_bits], [read.data.word_select(i, bits) for i in range(config.moving_link)])

    def _combine(self, m: Module, advance: Value, value: Value, valid: Value, fields: dict[str, Value]) -> None:
        """Multiply and add, three registers and that of the sum behind ``value``."""
        config, settings = self._config, self.settings
        add = settings.operation == Operation.ADD

        def stage(value: Value, name: str) -> Signal:
            register = Signal(value.shape(), name=name, reset_less=True)
            with m.If(advance):
                m.d.sync += register.eq(value)
            return register

        stored = stage(value.as_signed(), "stored")
        products = []
        for i, (operand, mult, is_signed) in enumerate((
            (stored.word_select(0, config.act_width), settings.mult_a, settings.signed_a),
            (stored.word_select(1, config.act_width), settings.mult_b, settings.signed_b),
        )):
            extended = Cat(operand, operand[-1] & is_signed).as_signed()
            low, high = (stage(extended * mult[first:first + self.HALF], f"partial_{i}_{first}")
                         for first in range(0, MULT_BITS, self.HALF))
            products.append(low + (high << self.HALF))
        kept = stage(stored, "kept")
        one, other = stage(Mux(add, products[0], kept), "one"), stage(Mux(add, products[1], 0), "other")
        packet, total = self.sums.payload, Signal(signed(config.acc_width), reset_less=True)
        m.d.comb += packet.value.eq(total)
        with m.If(advance):
            m.d.sync += [
                self.sums.valid.eq(valid & (fields["last"] | ~settings.fold)), packet.core.eq(self._core),
                *(packet[name].eq(fields[name]) for name in ("column", "chunk", "last", "tile_last")),
            ]
            with m.If(valid):
                m.d.sync += total.eq(one + Mux(settings.fold & ~fields["first"], total, other))
