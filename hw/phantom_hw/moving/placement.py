"""Where the rows of a load go in a moving buffer, on the way from the command to the writes."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.moving.layouts import position_bits

__all__ = ["PlacementOrigin", "origin_layout", "placement_layout"]

STRIDE_BITS = 8
X_BITS = 16


def _common(config: PhantomConfig) -> dict:
    """What does not change on the way."""
    place = position_bits(config)
    return {
        "fill": 1, "whole": 1, "signed": 1, "rows": config.mesh_rows, "stride": STRIDE_BITS, "width": place + 1,
        "channel_step": place, "row_step": place, "phase_step": place,
    }


def placement_layout(config: PhantomConfig) -> data.StructLayout:
    """Where the rows of a command go.

    ``fill`` tells that they are ``width`` zeros each and do not come from slots. With ``whole`` a row is a line of
    slots, otherwise a slot is cut into rows of ``width``.
    """
    return data.StructLayout({**_common(config), "x": X_BITS, "offset": position_bits(config)})


def origin_layout(config: PhantomConfig) -> data.StructLayout:
    """The same with the division by the stride done.

    The first row begins ``lead`` behind ``home``, in a phase from which the next phase 0 is ``until`` positions away;
    ``lead`` is the distance of that phase. ``steps`` is one less than the stride, or than a word if that is shorter;
    ``far`` tells that the stride is longer than a word.
    """
    place, lanes = position_bits(config), config.moving_link
    return data.StructLayout({
        **_common(config), "home": place, "lead": place, "until": STRIDE_BITS,
        "steps": max(ceil_log2(lanes), 1), "far": 1,
    })


class PlacementOrigin(wiring.Component):
    """Divide the place of a line's first position by the stride, and multiply the rest by the distance of phases.

    Both are done bit by bit: commands are rare, and it goes on while the command before is still worked on.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    source : In, stream of placement_layout
    sink : Out, stream of origin_layout
    busy : Out
        A placement is inside.

    Latency: 2 cycles with a stride of 1; 26 at most. Throughput: one in that time and a cycle.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__({
            "source": In(stream.Signature(placement_layout(config))),
            "sink": Out(stream.Signature(origin_layout(config))),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config, source, out = self._config, self.source.payload, self.sink.payload
        kept = Signal(data.StructLayout(_common(config)), reset_less=True)
        home, lead, step = (Signal(position_bits(config), name=name) for name in ("home", "lead", "step"))
        quotient, rest, factor = Signal(X_BITS), Signal(STRIDE_BITS), Signal(STRIDE_BITS)
        bits = Signal(range(X_BITS + 1))  # of the dividend, still to come
        tried, fits = Signal(STRIDE_BITS + 1), Signal()
        m.d.comb += [tried.eq((rest << 1) | quotient[-1]), fits.eq(tried >= kept.stride)]
        with m.FSM():
            with m.State("FREE"):
                m.d.comb += self.source.ready.eq(1)
                m.d.sync += [
                    *(kept[name].eq(source[name]) for name in _common(config)),
                    quotient.eq(source.x), home.eq(source.offset), step.eq(source.phase_step), lead.eq(0), rest.eq(0),
                    bits.eq(Mux(source.stride == 1, 0, X_BITS)),
                ]
                with m.If(self.source.valid):
                    m.next = "DIVIDE"
            with m.State("DIVIDE"):
                with m.If(bits == 0):
                    m.d.sync += [home.eq(home + quotient), factor.eq(rest)]
                    m.next = "MULTIPLY"
                with m.Else():
                    m.d.sync += [
                        rest.eq(Mux(fits, tried - kept.stride, tried)), quotient.eq((quotient << 1) | fits),
                        bits.eq(bits - 1),
                    ]
            with m.State("MULTIPLY"):
                m.d.comb += self.sink.valid.eq(factor == 0)
                with m.If(factor[0]):
                    m.d.sync += lead.eq(lead + step)
                m.d.sync += [step.eq(step << 1), factor.eq(factor >> 1)]
                with m.If(self.sink.valid & self.sink.ready):
                    m.next = "FREE"
        m.d.comb += [
            self.busy.eq(~self.source.ready),
            *(out[name].eq(kept[name]) for name in _common(config)),
            out.home.eq(home), out.lead.eq(lead), out.until.eq(kept.stride - rest),
            out.steps.eq(Mux(kept.stride >= config.moving_link, config.moving_link - 1, kept.stride - 1)),
            out.far.eq(kept.stride > config.moving_link),
        ]
        return m
