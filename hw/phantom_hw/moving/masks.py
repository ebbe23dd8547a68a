"""Mask former: from the nonzero positions of a row to those that each tap meets, output position by output position."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.config import PhantomConfig
from phantom_hw.moving.gather import end_layout, nonzeros_layout
from phantom_hw.moving.layouts import rows_layout

__all__ = ["MaskFormer", "taps_layout"]


def outputs(config: PhantomConfig) -> int:
    """Output positions of a row that can have mask bits."""
    return min(config.chunk, config.max_beats * config.mask_groups * config.group)


def taps_layout(config: PhantomConfig) -> data.StructLayout:
    """Bit i of ``bits[t]``: tap t of output position i meets a nonzero. ``end`` as in the row's nonzeros."""
    return data.StructLayout({
        "bits": data.ArrayLayout(outputs(config), config.threads), "end": end_layout(config),
    })


class MaskFormer(wiring.Component):
    """Shift the nonzero bits of rows down by where each tap begins.

    The shift is done in steps of powers of two, the larger ones first, a register behind every two; the last ones are
    done behind the last register.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    settings : In, rows_layout
        Constant while a row is inside.
    nonzeros : In, stream of nonzeros_layout
    taps : Out, stream of taps_layout
    idle : Out
        No row is inside.

    Latency: the number of :meth:`stages`. Throughput: 1 row a cycle.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__({
            "settings": In(rows_layout(config)),
            "nonzeros": In(stream.Signature(nonzeros_layout(config))),
            "taps": Out(stream.Signature(taps_layout(config))),
            "idle": Out(1),
        })

    @staticmethod
    def steps(config: PhantomConfig) -> list[list[int]]:
        """Bits of the amount by which each stage shifts, the last one included that has no register."""
        steps = list(reversed(range(rows_layout(config)["tap_base"].shape.elem_shape)))
        return [steps[i:i + 2] for i in range(0, len(steps), 2)]

    @classmethod
    def stages(cls, config: PhantomConfig) -> int:
        """Registers that a row passes."""
        return len(cls.steps(config)) - 1

    def elaborate(self, platform):
        m = Module()
        *stages, final = self.steps(self._config)
        amounts = list(self.settings.tap_base)
        valid, end = self.nonzeros.valid, self.nonzeros.payload.end
        taps: list[Value] = [self.nonzeros.payload.bits] * len(amounts)
        back, inside = self.nonzeros.ready, []  # told to the stage before: go on
        for number, steps in enumerate(stages):
            goes, on = Signal(name=f"goes{number}"), Signal(name=f"on{number}")
            held, held_end = Signal(name=f"valid{number}"), Signal.like(end, name=f"end{number}", reset_less=True)
            m.d.comb += [back.eq(goes), goes.eq(~held | on)]
            shifted = [self._shift(tap, amount, steps) for tap, amount in zip(taps, amounts, strict=True)]
            taps = []
            for tap, value in enumerate(shifted):
                register = Signal.like(value, name=f"stage{number}_tap{tap}", reset_less=True)
                taps.append(register)
                with m.If(goes):
                    m.d.sync += register.eq(value)
            with m.If(goes):
                m.d.sync += [held.eq(valid), held_end.eq(end)]
            valid, end, back = held, held_end, on
            inside.append(held)
        m.d.comb += [
            back.eq(self.taps.ready), self.taps.valid.eq(valid), self.taps.payload.end.eq(end),
            *(self.taps.payload.bits[tap].eq(self._shift(value, amounts[tap], final))
              for tap, value in enumerate(taps)),
            self.idle.eq(~Cat(inside, self.nonzeros.valid).any()),
        ]
        return m

    def _shift(self, value: Value, amount: Value, steps: Sequence[int]) -> Value:
        """Shift down by the bits ``steps`` of ``amount``; what no later step can bring to an output is left out."""
        for step in steps:
            wanted = outputs(self._config) + (1 << step) - 1
            value = Mux(amount[step], value[1 << step:], value)[:wanted]
        return value
