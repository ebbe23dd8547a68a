"""Moving buffer: the values of a mesh row, written and read at any place, a link's width a cycle."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.moving.lanes import rotate, taken
from phantom_hw.moving.layouts import position_bits, write_layout

__all__ = ["MovingBuffer"]


class MovingBuffer(wiring.Component):
    """Two block RAMs, of the even and of the odd words of ``moving_link`` values.

    Values at consecutive places lie in two words at most, one of each RAM, so that they are written or read in one
    cycle. Behind the last place comes the first one.

    Parameters
    ----------
    config : PhantomConfig
        Uses ``moving_words``, ``moving_link`` and ``operand_width``.

    Members
    -------
    write : In, stream of write_layout; always ready
        Writes the first ``count`` values (``moving_link`` at most) from ``place`` on; ``rows`` is not looked at.
    advance : In
        Without it, reading stays as it is.
    place : In
        Where to read ``moving_link`` values.
    values : Out, array of moving_link values
        After ``READ_LATENCY`` cycles with ``advance``; the value of place p is in lane p modulo ``moving_link``.

    A value written is there for a read ``WRITE_LATENCY`` cycles later. Throughput: 1 write and 1 read a cycle.
    """

    READ_LATENCY, WRITE_LATENCY = 2, 3

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__({
            "write": In(stream.Signature(write_layout(config))),
            "advance": In(1),
            "place": In(position_bits(config)),
            "values": Out(data.ArrayLayout(config.operand_width, config.moving_link)),
        })

    def elaborate(self, platform):
        m = Module()
        lanes = self._config.moving_link
        values, enables, word = self._spread(m)
        even = Signal(lanes, reset_less=True)  # lanes whose value comes from the even words
        m.d.comb += self.write.ready.eq(1)
        with m.If(self.advance):
            m.d.sync += even.eq(self._lanes_of_even(self.place))
        found = []
        for odd in range(2):
            memory = Memory(shape=self.values.shape(), depth=self._config.moving_words // 2, init=[],
                            attrs={"no_rw_check": 1})
            m.submodules["odd" if odd else "even"] = memory
            write, read = memory.write_port(granularity=1), memory.read_port()
            m.d.comb += [
                write.addr.eq(self._bank_address(word, odd)), write.en.eq(enables[odd]),
                *(write.data[lane].eq(value) for lane, value in enumerate(values)),
                read.addr.eq(self._bank_address(self._word(self.place), odd)), read.en.eq(self.advance),
            ]
            found.append(read.data)
        with m.If(self.advance):
            m.d.sync += [self.values[lane].eq(Mux(even[lane], found[0][lane], found[1][lane]))
                         for lane in range(lanes)]
        return m

    def _word(self, place: Value) -> Value:
        return place[exact_log2(self._config.moving_link):]

    @staticmethod
    def _bank_address(word: Value, odd: int) -> Value:
        """Where a bank has its part of what begins in ``word``: behind an odd word, the even bank has the next one."""
        return word[1:] if odd else (word[1:] + word[0])[:len(word) - 1]

    def _lanes_of_even(self, place: Value) -> Value:
        """Lanes that hold values of even words, if the values begin at ``place``."""
        lanes = self._config.moving_link
        offset = place[:exact_log2(lanes)]
        first = Cat(offset <= lane for lane in range(lanes)) if lanes > 1 else Const(1, 1)
        return first ^ self._word(place)[0].replicate(lanes)

    def _spread(self, m: Module) -> tuple[list[Value], tuple[Value, Value], Value]:
        """Move what is written to its lanes, in two steps; returns it, the lanes that each bank takes, and its word."""
        lanes, source = self._config.moving_link, self.write.payload
        steps = list(range(exact_log2(lanes)))
        offset = source.place[:len(steps)]
        values: list[Value] = [source.values[lane] for lane in range(lanes)]
        _, kept, _ = taken(m, offset, source.count, lanes, "write")
        even = self._lanes_of_even(source.place)
        kept = kept & self.write.valid.replicate(lanes)
        groups = [steps[:2], steps[2:4], steps[4:]] if len(steps) > 4 else [steps[:2], steps[2:]]
        word, banks = self._word(source.place), (kept & even, kept & ~even)
        # two registers: before the last group of steps, and behind it
        for number, pair in enumerate(groups):
            values = [Value.cast(value) for value in rotate(values, offset, pair)]
            if len(groups) == 3 and number == 1:
                continue
            held = [Signal.like(value, name=f"write{number}_{lane}", reset_less=True)
                    for lane, value in enumerate(values)]
            held_word = Signal.like(word, name=f"write{number}_word", reset_less=True)
            held_banks = tuple(Signal(lanes, name=f"write{number}_{name}") for name in ("even", "odd"))
            m.d.sync += [*(h.eq(v) for h, v in zip(held, values, strict=True)), held_word.eq(word),
                         *(h.eq(b) for h, b in zip(held_banks, banks, strict=True))]
            if steps:
                held_offset = Signal.like(offset, name=f"write{number}_offset", reset_less=True)
                m.d.sync += held_offset.eq(offset)
                offset = held_offset
            values, word, banks = list(held), held_word, held_banks
        return values, banks, word
