"""From reads to rows: values to their flat positions, and which of these are not zero."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.moving.lanes import rotate, taken
from phantom_hw.moving.reads import read_layout
from phantom_hw.moving.store import RowStore, lanes_layout

__all__ = ["RowGather", "end_layout", "nonzeros_layout"]


def end_layout(config: PhantomConfig) -> data.StructLayout:
    """The end of a row in the store: the word behind its last one, and how many lanes that one has, 0 for all."""
    return data.StructLayout({"word": RowStore.address_bits(config), "lanes": bits_for(config.moving_link - 1)})


def nonzeros_layout(config: PhantomConfig) -> data.StructLayout:
    """A row that is complete: which flat positions are not zero, and where it ends in the store."""
    return data.StructLayout({"bits": config.row_width, "end": end_layout(config)})


class RowGather(wiring.Component):
    """Put the values of a row's reads one behind another into the store, a word of ``moving_link`` values each beat.

    What a read brings is rotated to the lanes where the row goes on. It fills up a word of the store and may begin the
    next one; lanes and words behind the row's values hold anything, until the next read overwrites them. Rows follow
    each other word by word, so that short ones do not take the place of long ones.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    reads : In, stream of read_layout
    advance : Out
        The moving buffer goes on, too.
    values : In, array of moving_link values
        What the buffer gives for a read, two cycles with ``advance`` later.
    write : Out, lanes_layout
        To the row store.
    tail : In
        The oldest word of the store that is still needed.
    nonzeros : Out, stream of nonzeros_layout
        Rows that are in the store as a whole.
    idle : Out
        No read and no complete row is inside.

    Values beyond ``row_width`` are dropped. Throughput: 1 read a cycle.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__({
            "reads": In(stream.Signature(read_layout(config))),
            "advance": Out(1),
            "values": In(data.ArrayLayout(config.operand_width, config.moving_link)),
            "write": Out(lanes_layout(config)),
            "tail": In(RowStore.address_bits(config)),
            "nonzeros": Out(stream.Signature(nonzeros_layout(config))),
            "idle": Out(1),
        })

    @staticmethod
    def rotations(config: PhantomConfig) -> list[list[int]]:
        """Bits of the amount by which each pipeline stage rotates."""
        steps = list(range(exact_log2(config.moving_link)))
        return [steps[i:i + 2] for i in range(0, max(len(steps), 1), 2)]

    @classmethod
    def latency(cls, config: PhantomConfig) -> int:
        """Cycles from a read to its values in the store, at most as many reads on their way."""
        return 3 + len(cls.rotations(config))

    def elaborate(self, platform):
        m = Module()
        config = self._config
        lanes, lane_bits = config.moving_link, exact_log2(config.moving_link)
        words = config.row_width // lanes
        advance, valids = self.advance, []

        def stage(value: Value, name: str, valid: bool = False) -> Value:
            register = Signal.like(value, name=name, reset_less=not valid)
            with m.If(advance):
                m.d.sync += register.eq(value)
            if valid:
                valids.append(register)
            return register

        # the buffer reads; the place in the row is known a cycle later, when the reads before were counted
        m.d.comb += self.reads.ready.eq(advance)
        read = stage(self.reads.payload, "read")
        valid = stage(self.reads.valid, "read_valid", valid=True)
        fill, reach = Signal(range(config.row_width + 1)), Signal(range(config.row_width + lanes + 1))
        behind = Signal.like(fill)
        m.d.comb += [
            reach.eq(fill + read.count), behind.eq(Mux(reach >= config.row_width, config.row_width, reach)),
        ]
        with m.If(advance & valid):
            m.d.sync += fill.eq(Mux(read.last, 0, behind))
        start = stage(fill, "start")
        amount = stage((fill - read.place)[:lane_bits], "amount") if lane_bits else Const(0)
        count, zero, last = stage(read.count, "count"), stage(read.zero, "zero"), stage(read.last, "last")
        ending = stage(behind[:lane_bits] if lane_bits else Const(0, 1), "ending")
        valid = stage(valid, "found_valid", valid=True)

        # which lanes it takes, which words these are of, and where the next read goes on
        offset = start[:lane_bits] if lane_bits else Const(0)
        first, kept, total = taken(m, offset, count, lanes, "read")
        word = start[lane_bits:]
        inside, next_inside = word < words, (word < words - 1 if words > 1 else Const(0))
        plan = data.StructLayout({
            "first": lanes, "kept": lanes, "step": 2, "hit": words, "last": 1,
            "ending": len(ending),
        })
        todo = Signal(plan, name="todo")
        begun = Mux(last, total != 0, total >= lanes)  # the word does not go on with the next read
        m.d.comb += [
            todo.first.eq(first), todo.kept.eq(Mux(zero, 0, kept)), todo.last.eq(last),
            todo.ending.eq(ending),
            todo.step.eq((begun & inside) + (last & (total > lanes) & next_inside)),
            todo.hit.eq(Cat(word == i for i in range(words))),
        ]
        values: list[Value] = [self.values[lane] for lane in range(lanes)]
        groups = self.rotations(config)
        for number, steps in enumerate(groups):
            values = rotate(values, amount, steps)
            if number == len(groups) - 1:
                values = [Mux(todo.kept[lane], value, 0) for lane, value in enumerate(values)]
            values = [stage(value, f"rotated{number}_{lane}") for lane, value in enumerate(values)]
            amount = stage(amount, f"amount{number}") if lane_bits else amount
            todo, valid = stage(todo, f"todo{number}"), stage(valid, f"valid{number}", valid=True)
        self._complete(m, valid, todo, values)
        m.d.comb += self.idle.eq(~Cat(valids, self.nonzeros.valid).any())
        return m

    def _complete(self, m: Module, valid: Value, todo: data.View, values: list[Value]) -> None:
        """Write to the store, collect the nonzero bits of a row and hand them on at its end."""
        lanes, words = self._config.moving_link, self._config.row_width // self._config.moving_link
        row, fresh = self.nonzeros, Signal(init=1)
        room, proceeds = Signal(), Signal()
        place, following = (Signal(RowStore.address_bits(self._config), init=i, name=name)
                            for i, name in enumerate(("word", "following")))
        # since the room was looked at, two words may have been begun, and this read may use two more
        m.d.sync += room.eq((place - self.tail)[:len(place)] < RowStore.depth(self._config) - 4)
        m.d.comb += [
            proceeds.eq(valid & room & (~row.valid | row.ready)), self.advance.eq(~valid | proceeds),
            self.write.low.eq(place), self.write.high.eq(following), self.write.first.eq(todo.first),
            self.write.enable.eq(proceeds),
            *(self.write.values[lane].eq(value) for lane, value in enumerate(values)),
        ]
        hits = [Const(0, 1), *todo.hit]
        found = [values[lane].any() & Mux(todo.first[lane], hits[word + 1], hits[word])
                 for word in range(words) for lane in range(lanes)]
        with m.If(proceeds):
            m.d.sync += [
                row.valid.eq(todo.last), row.payload.end.lanes.eq(todo.ending), fresh.eq(todo.last),
                row.payload.bits.eq(Mux(fresh, 0, row.payload.bits) | Cat(found)),
                place.eq(place + todo.step), following.eq(following + todo.step),
            ]
        with m.Elif(row.ready):
            m.d.sync += row.valid.eq(0)
        m.d.comb += row.payload.end.word.eq(place)
