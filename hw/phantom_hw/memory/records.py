"""Words of the bus to records of a fixed size."""

from __future__ import annotations

from math import gcd

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.memory.align import dense_layout
from phantom_hw.memory.parameters import DATA_WIDTHS

__all__ = ["RECORD_UNIT", "RecordUnpacker"]

RECORD_UNIT = 8
"""Bytes: records and words of the bus are multiples of it."""


class RecordUnpacker(wiring.Component):
    """Cut the bytes of a request into records of ``record_bytes``, or join them to such.

    Parameters
    ----------
    data_width : int
        Bits of a word: 64, 128, 256 or 512.
    record_bytes : int
        A multiple of ``RECORD_UNIT``; every request has a whole number of records.

    Members
    -------
    source : In, stream of dense_layout
        All words of a request but the last one are full.
    sink : Out, stream of 8 * record_bytes bits, always ready

    Latency: 1 cycle after the last word of a record. Throughput: 1 record or 1 word a cycle, whichever is slower.
    ``source.ready`` depends on registers only.

    Raises
    ------
    ValueError
        A parameter out of its range.
    """

    LATENCY = 1

    def __init__(self, data_width: int, record_bytes: int):
        if data_width not in DATA_WIDTHS:
            raise ValueError(f"data_width must be one of {', '.join(map(str, DATA_WIDTHS))}, not {data_width!r}")
        if type(record_bytes) is not int or record_bytes < RECORD_UNIT or record_bytes % RECORD_UNIT:
            raise ValueError(f"record_bytes must be a multiple of {RECORD_UNIT} from {RECORD_UNIT} on, "
                             f"not {record_bytes!r}")
        self._unit = gcd(data_width // 8, record_bytes)  # bytes that always stay together
        self._word, self._record = data_width // 8 // self._unit, record_bytes // self._unit
        super().__init__({
            "source": In(stream.Signature(dense_layout(data_width))),
            "sink": Out(stream.Signature(8 * record_bytes, always_ready=True)),
        })

    def elaborate(self, platform):
        m = Module()
        word, record, bits = self._word, self._record, 8 * self._unit
        # units that are held, the oldest lowest: what is left of a record, and a word behind it
        size = record - 1 + word
        held, fill = Signal(size * bits, reset_less=True), Signal(range(size + 1))
        rest, left = Signal(size * bits), Signal(range(size + 1))  # after a record has left
        m.d.comb += [
            self.sink.valid.eq(fill >= record), self.sink.payload.eq(held[:record * bits]),
            left.eq(Mux(self.sink.valid, fill - record, fill)),
            # with words of one unit nothing is left when a record leaves
            rest.eq(Mux(self.sink.valid, held >> record * bits, held) if word > 1 else held),
            self.source.ready.eq(left < record),
        ]
        m.d.sync += [held.eq(rest), fill.eq(left)]
        with m.If(self.source.valid & self.source.ready):
            count = self.source.payload.count.shift_right(self._unit.bit_length() - 1)
            m.d.sync += [held.eq(self._joined(m, rest, left)), fill.eq(left + count)]
        return m

    def _joined(self, m: Module, rest: Value, left: Value) -> Value:
        """The units held with those of a word behind them."""
        bits, data = 8 * self._unit, self.source.payload.data
        joined = Signal.like(rest)
        with m.Switch(left):
            for fill in range(self._record):
                with m.Case(fill):
                    # what lies above does not count; as it is, it costs no multiplexer
                    m.d.comb += joined.eq(Cat(rest[:fill * bits], data, rest[fill * bits + len(data):]))
        return joined
