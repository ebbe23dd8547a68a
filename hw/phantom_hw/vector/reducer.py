"""Row reducer: pooling and addition of the rows of one mesh row."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import select
from phantom_hw.mesh.packets import sum_packet
from phantom_hw.soc.isa import VECTOR_OPERANDS
from phantom_hw.vector.layouts import Operation, result_word_layout, value_bits, vector_layout
from phantom_hw.vector.serializer import ResultSerializer

__all__ = ["RowReducer"]


class RowReducer(wiring.Component):
    """Combine operands element by element: the maximum, the sum, or ``a * mult_a + b * mult_b``.

    An operand is ``beats`` beats of ``moving_link`` values, however rows are cut; ``operands`` of them make a result of
    ``positions`` positions. Result k of a tile goes to lane ``k % drain_lanes`` as that lane's result ``k //
    drain_lanes``; see :class:`~.serializer.ResultSerializer`. A tile has ``count`` results for each lane.

    Sums count modulo 2 to the power of the bits of a value, and a sum packet's modulo 2 ** acc_width: who orders them
    sees to it that they fit.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    settings : In, vector_layout
        Constant unless ``idle``. While the operation is NONE nothing may come, and all counts begin again.
        ``beats`` more than ``vector_beats`` have no place of their own.
    values : In, stream of arrays of moving_link operands of operand_width bits
        The lower ``act_width`` bits of each count, extended as ``signed_a`` says; with ADD this holds for the first
        operand of a result, ``signed_b`` for the second.
    sums : Out, array of drain_lanes streams of sum_packet
    idle : Out
        No beat and no complete result is inside; low in the cycle after a beat was taken.

    Latency: ``LATENCY`` cycles from a result's last beat to its first sum. Throughput: 1 beat a cycle, and for each
    lane 1 sum a cycle.
    """

    LATENCY = 2 + ResultSerializer.LATENCY

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__(self.ports(config))

    @classmethod
    def ports(cls, config: PhantomConfig) -> wiring.Signature:
        """The signature, for whoever instantiates the reducer as a module emitted elsewhere."""
        return wiring.Signature({
            "settings": In(vector_layout(config)),
            "values": In(stream.Signature(data.ArrayLayout(config.operand_width, config.moving_link))),
            "sums": Out(stream.Signature(sum_packet(config))).array(config.drain_lanes),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config, settings, bits = self._config, self.settings, self._config.act_width
        served = [config.lane_of(column) for column in range(config.mesh_cols)]
        serializers = []
        for number, port in enumerate(self.sums):
            m.submodules[f"serializer_{number}"] = serializer = ResultSerializer(config, served.index(number))
            wiring.connect(m, serializer.sums, wiring.flipped(port))
            m.d.comb += serializer.settings.eq(settings)
            serializers.append(serializer)

        # a beat comes
        valid, goes = Signal(), Signal()
        operand = Signal(data.ArrayLayout(signed(bits + 1), config.moving_link), reset_less=True)
        m.d.comb += self.values.ready.eq(~valid | goes)
        with m.If(self.values.ready):
            m.d.sync += valid.eq(self.values.valid)
            for lane, value in enumerate(self.values.payload):
                m.d.sync += operand[lane].eq(Cat(value[:bits], value[bits - 1] & settings.signed_a))

        # it is combined with those before, and kept or handed on
        first, final, end, beat, lane = self._place(m, goes)
        m.d.comb += goes.eq(valid & (~final | select(lane, [one.room for one in serializers])))
        result = Signal(result_word_layout(config))
        self._combine(m, goes, beat, first, operand, result)

        handed, complete = Signal(), Signal()
        word = Signal(result_word_layout(config), reset_less=True)
        beat_then, lane_then = Signal.like(beat, reset_less=True), Signal.like(lane, reset_less=True)
        m.d.sync += [handed.eq(goes & final), complete.eq(end), word.eq(result), beat_then.eq(beat),
                     lane_then.eq(lane)]
        for number, serializer in enumerate(serializers):
            m.d.comb += [
                serializer.claim.eq(goes & final & end & (lane == number)),
                serializer.enable.eq(handed & (lane_then == number)), serializer.complete.eq(complete),
                serializer.beat.eq(beat_then), serializer.word.eq(word),
            ]
        m.d.comb += self.idle.eq(~Cat(valid, handed).any() & Cat(one.idle for one in serializers).all())
        return m

    def _place(self, m: Module, goes: Value) -> tuple[Signal, Signal, Signal, Signal, Signal]:
        """Where a beat is: in the first or final operand, at its end, its number there, the lane of its result."""
        config, settings = self._config, self.settings
        first, final, end = Signal(init=1), Signal(), Signal()
        beat, lane = Signal(bits_for(config.vector_beats - 1)), Signal(range(max(config.drain_lanes, 2)))
        left = Signal(bits_for(VECTOR_OPERANDS))  # operands, counted down from the second one on
        m.d.comb += [end.eq(beat + 1 >= settings.beats), final.eq(Mux(first, settings.operands <= 1, left <= 1))]
        with m.If(goes):
            m.d.sync += beat.eq(Mux(end, 0, beat + 1))
            with m.If(end):
                m.d.sync += [first.eq(final), left.eq(Mux(first, settings.operands, left) - 1)]
            with m.If(end & final):
                m.d.sync += lane.eq(Mux(lane == config.drain_lanes - 1, 0, lane + 1))
        with m.If(settings.operation == Operation.NONE):
            m.d.sync += [first.eq(1), beat.eq(0), lane.eq(0)]
        return first, final, end, beat, lane

    def _combine(self, m: Module, goes: Value, beat: Value, first: Value, operand, result) -> None:
        """Combine an operand's beat with what is kept of that beat, and keep it."""
        config, settings, bits = self._config, self.settings, self._config.act_width
        beat_bits = ceil_log2(config.vector_beats)
        memory = Memory(shape=Value.cast(result).shape(), depth=1 << beat_bits, init=[],
                        attrs={"ram_style": "distributed"})
        m.submodules.memory = memory
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(goes), write.data.eq(Value.cast(result)),
            *(port.addr.eq(beat[:beat_bits]) for port in (write, read) if beat_bits),
        ]
        is_add, is_sum = settings.operation == Operation.ADD, settings.operation == Operation.SUM
        width = value_bits(config)
        for lane in range(config.moving_link):
            new, kept = operand[lane], read.data.word_select(lane, width).as_signed()
            most = kept[:bits + 1].as_signed()
            pair = Cat(kept[:bits], new[:bits])
            m.d.comb += result[lane].eq(new)
            with m.If(~first):
                with m.If(is_sum):
                    m.d.comb += result[lane].eq(kept + new)
                with m.Elif(is_add):
                    m.d.comb += result[lane].eq(pair)
                with m.Elif(most > new):
                    m.d.comb += result[lane].eq(kept)
