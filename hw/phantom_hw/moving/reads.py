"""From descriptors of parts to reads of the moving buffer."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import select
from phantom_hw.moving.layouts import descriptor_layout, position_bits, rows_layout

__all__ = ["PlaneReader", "heading_layout", "read_layout"]


def heading_layout(config: PhantomConfig) -> data.StructLayout:
    """What a row's packets say beside values and masks, and what the masks are made with."""
    fields = descriptor_layout(config).members
    return data.StructLayout({name: fields[name] for name in ("short", "pe_row", "cols", "pattern")})


def read_layout(config: PhantomConfig) -> data.StructLayout:
    """A read of ``count`` values from ``place`` on, which with ``zero`` are all zero; ``last`` ends the row."""
    return data.StructLayout({
        "place": position_bits(config), "count": bits_for(config.moving_link), "zero": 1, "last": 1,
        "heading": heading_layout(config),
    })


class PlaneReader(wiring.Component):
    """Cut the planes of parts into reads of up to ``moving_link`` values.

    A plane without values and a part that says ``short`` take a read of none.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    settings : In, rows_layout
        Constant while a descriptor is inside.
    descriptors : In, stream of descriptor_layout
    reads : Out, stream of read_layout
        Every part has one at least; ``heading`` is that of the part.
    idle : Out
        Nothing is inside.

    Latency: 2 cycles. Throughput: 1 read a cycle, back to back.
    """

    LATENCY = 2

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__({
            "settings": In(rows_layout(config)),
            "descriptors": In(stream.Signature(descriptor_layout(config))),
            "reads": Out(stream.Signature(read_layout(config))),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config, settings = self._config, self.settings
        part, has_part = Signal(descriptor_layout(config), reset_less=True), Signal()
        plane = Signal(bits_for(config.threads - 1))
        final_plane, final_read, to_plane, leaves = Signal(), Signal(), Signal(), Signal()

        # the plane under way: what is left of it
        has_plane, left = Signal(), Signal(bits_for(config.row_width), reset_less=True)
        read = self.reads.payload
        m.d.comb += [
            leaves.eq(has_plane & self.reads.ready),
            to_plane.eq(~has_plane | (leaves & final_read)),
            final_plane.eq(part.short | (plane + 1 >= settings.planes) | (plane == config.threads - 1)),
            self.descriptors.ready.eq(~has_part | (to_plane & final_plane)),
            self.idle.eq(~has_part & ~has_plane),
        ]
        with m.If(self.descriptors.ready):
            m.d.sync += [has_part.eq(self.descriptors.valid), part.eq(self.descriptors.payload), plane.eq(0)]
        with m.Elif(to_plane):
            m.d.sync += plane.eq(plane + 1)

        place, zero, last = (Signal.like(read[name], name=name, reset_less=True) for name in ("place", "zero", "last"))
        heading = Signal(heading_layout(config), reset_less=True)
        step, length = (select(plane, list(field)) for field in (settings.plane_step, settings.plane_length))
        link_bits = exact_log2(config.moving_link)
        above, below = left[link_bits:], left[:link_bits] if link_bits else Const(0)
        m.d.comb += [
            final_read.eq((above == 0) | ((above == 1) & (below == 0))),
            self.reads.valid.eq(has_plane), read.place.eq(place), read.zero.eq(zero), read.heading.eq(heading),
            read.last.eq(last & final_read), read.count.eq(Mux(above == 0, below, config.moving_link)),
        ]
        with m.If(to_plane):
            m.d.sync += [
                has_plane.eq(has_part), place.eq(part.place + step), left.eq(Mux(part.short, 0, length)),
                zero.eq(part.zero), last.eq(part.last & final_plane),
                *(heading[name].eq(part[name]) for name in heading_layout(config).members),
            ]
        with m.Elif(leaves):
            m.d.sync += [
                place.eq(Cat(place[:link_bits], place[link_bits:] + 1)), left.eq(Cat(left[:link_bits], above - 1)),
            ]
        return m
