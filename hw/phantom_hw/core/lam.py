"""Lookahead masking (LAM): row masks AND item mask, several groups of entries a cycle."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import add_small, any_of, more_than

__all__ = ["LookaheadMasking"]


class LookaheadMasking(wiring.Component):
    """Row mask store and the AND with the masks of two items (paper section III-B).

    The stream of entries continues from the current item A, at group ``position``, into the next item B. The block
    offers the next L_f / G groups of that stream: the rest of A first, then B from its first group. Mask words of one
    group (G positions x T taps) are dealt over a power of two of LUT-RAM banks, so that consecutive groups are
    read together.

    Parameters
    ----------
    config : PhantomConfig
        Uses ``threads``, ``group``, ``lookahead``, ``row_slots``, ``row_width`` and ``moving_link``.

    Members
    -------
    write : In, 1; write_slot, write_beat : In; write_mask : In, array of mask_groups groups
        Writes the groups ``write_beat * mask_groups`` onwards of a row slot.
    slot_a, slot_b : In
        Row slots of the items A and B.
    mask_a, mask_b : In, T bits
    position : In
        A's next group.
    rest : In
        Groups that A still has (1 and up).
    offered : Out, array of L_f/G groups of G masks of T bits
        Group i belongs to A if ``i < rest``, else it is B's group ``i - rest``.

    Latency: combinational from the read ports; a write is seen in the next cycle.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        group = data.ArrayLayout(config.threads, config.group)
        slot = ceil_log2(config.row_slots)
        super().__init__({
            "write": In(1),
            "write_slot": In(slot),
            "write_beat": In(self.beat_bits(config)),
            "write_mask": In(data.ArrayLayout(group, config.mask_groups)),
            "slot_a": In(slot),
            "slot_b": In(slot),
            "mask_a": In(config.threads),
            "mask_b": In(config.threads),
            "position": In(ceil_log2(config.max_groups)),
            "rest": In(range(config.max_groups + 1)),
            "offered": Out(data.ArrayLayout(group, config.window_groups)),
        })

    @staticmethod
    def beat_bits(config: PhantomConfig) -> int:
        """Width of the number of a mask beat within a row."""
        return ceil_log2(-(-config.max_groups // config.mask_groups))

    def elaborate(self, platform):
        m = Module()
        config = self._config
        banks, groups = config.mask_banks, config.window_groups
        lines = 1 << ceil_log2(-(-config.max_groups // banks))  # words of one slot in a bank
        word = config.group * config.threads
        bank_bits, line_bits = ceil_log2(banks), ceil_log2(lines)
        low, line = Signal(bank_bits), self.position[bank_bits:]
        m.d.comb += low.eq(self.position)

        # a beat covers an aligned run of banks
        per_beat = config.mask_groups
        beats_per_line = banks // per_beat
        beat_low = self.write_beat[:ceil_log2(beats_per_line)]
        write_line = self.write_beat[ceil_log2(beats_per_line):]

        heads = []  # B starts at group 0: bank i holds group i
        words = []  # A starts anywhere: the banks before `low` continue on the next line
        for bank in range(banks):
            memory = Memory(shape=word, depth=config.row_slots * lines, init=[], attrs={"ram_style": "distributed"})
            m.submodules[f"bank{bank}"] = memory
            write = memory.write_port()
            m.d.comb += [
                write.en.eq(self.write & (beat_low == bank // per_beat)),
                write.addr.eq(Cat(write_line[:line_bits], self.write_slot)),
                write.data.eq(self.write_mask[bank % per_beat].as_value()),
            ]
            read = memory.read_port(domain="comb")
            next_line = Signal(line_bits, name=f"line{bank}")
            m.d.comb += [
                next_line.eq(add_small(line, more_than(low, bank), line_bits)),
                read.addr.eq(Cat(next_line, self.slot_a)),
            ]
            words.append(read.data)
            if bank < groups and groups > 1:
                memory = Memory(shape=word, depth=config.row_slots, init=[], attrs={"ram_style": "distributed"})
                m.submodules[f"head{bank}"] = memory
                write_head, head = memory.write_port(), memory.read_port(domain="comb")
                m.d.comb += [
                    write_head.en.eq(write.en & (write_line == 0)),
                    write_head.addr.eq(self.write_slot),
                    write_head.data.eq(write.data),
                    head.addr.eq(self.slot_b),
                ]
                heads.append(head.data)

        # rotate the banks so that A's next group comes first
        rotated = Cat(*words)
        for bit in range(bank_bits):
            amount = word << bit
            turned = Signal(len(rotated), name=f"rotated{bit}")
            m.d.comb += turned.eq(Mux(low[bit], Cat(rotated[amount:], rotated[:amount]), rotated))
            rotated = turned
        # the choice between A and B is made on the few bits of the item masks, not on the groups
        mask_b = {}
        for rest in range(1, groups):
            mask_b[rest] = Signal(config.threads, name=f"mask_b_{rest}")
            m.d.comb += mask_b[rest].eq(Mux(self.rest == rest, self.mask_b, 0))
        for i in range(groups):
            mask_a = Signal(config.threads, name=f"mask_a_{i}")
            m.d.comb += mask_a.eq(Mux(more_than(self.rest, i), self.mask_a, 0))
            parts = [rotated[i * word:(i + 1) * word] & mask_a.replicate(config.group)]
            parts += [heads[i - rest] & mask_b[rest].replicate(config.group) for rest in range(1, i + 1)]
            m.d.comb += self.offered[i].as_value().eq(any_of(parts))
        return m
