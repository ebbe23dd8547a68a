"""Headers of generated files: the configuration and the fields of payloads as constants for Verilog and C."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from amaranth.lib import data

from phantom_hw.config import TDS_MODES, PhantomConfig
from phantom_hw.core.layouts import item_layout, layer_layout, moving_layout, result_layout, stationary_layout
from phantom_hw.memory.parameters import bus_parameters
from phantom_hw.mesh.packets import moving_packet, stationary_packet, sum_packet
from phantom_hw.moving.layouts import base_layout, entry_bytes, row_layout
from phantom_hw.results.layouts import channel_layout
from phantom_hw.stationary.layouts import items_header, layer_header

__all__ = ["PAYLOADS", "c_parameters", "verilog_parameters"]

DERIVED = ("cores", "pes", "core_threads", "window_groups", "refill_groups", "operand_width", "max_groups",
           "mask_groups", "acc_halves", "moving_positions")
CORE_PAYLOADS: dict[str, Callable[[PhantomConfig], data.StructLayout]] = {
    "LAYER": layer_layout,
    "MOVING": moving_layout,
    "STATIONARY": stationary_layout,
    "ITEM": item_layout,
    "RESULT": result_layout,
}
PAYLOADS: dict[str, dict[str, Callable[[PhantomConfig], data.StructLayout]]] = {
    "core": CORE_PAYLOADS,
    "mesh": {
        "LAYER": layer_layout,
        "ITEMS": stationary_layout,
        "ITEM": item_layout,
        "MOVING": moving_packet,
        "STATIONARY": stationary_packet,
        "SUMS": sum_packet,
    },
    "accelerator": {
        "LAYER": layer_layout,
        "PROGRAM_BASE": base_layout,
        "PROGRAM_ROW": row_layout,
        "PACKET_ITEMS": lambda config: items_header(config, wide=False),
        "PACKET_WIDE_ITEMS": lambda config: items_header(config, wide=True),
        "PACKET_LAYER": layer_header,
        "CHANNEL": lambda config: channel_layout(),
    },
}
"""For each top module the payloads of its ports, or what lies in the memory that it reads."""
TEXTS = {
    "core": "ITEM is one element of STATIONARY_ITEMS.",
    "mesh": "STATIONARY_CONTENT holds ITEMS, or LAYER if STATIONARY_LAYER is set; ITEM is one element of ITEMS_ITEMS.",
    "accelerator": "These payloads lie in memory: PROGRAM_BASE and PROGRAM_ROW are entries of the row program, which\n"
                   "lie PROGRAM_ENTRY_BYTES apart; PACKET_ITEMS, PACKET_WIDE_ITEMS and PACKET_LAYER are headers of\n"
                   "stationary packets, PACKET_LAYER_LAYER holds a LAYER; CHANNEL is what a lane holds of a channel.",
}
_TEXT = """Configuration, derived values, and for each payload its width and its fields: PHANTOM_<PAYLOAD>_<FIELD>_LSB
and _BITS, for arrays also _COUNT (elements lie one after another, the first at the LSB)."""


def _fields(name: str, layout: data.StructLayout) -> Iterator[tuple[str, int]]:
    yield f"{name}_BITS", layout.size
    for field, place in layout:
        yield f"{name}_{field.upper()}_LSB", place.offset
        yield f"{name}_{field.upper()}_BITS", place.width
        if isinstance(place.shape, data.ArrayLayout):
            yield f"{name}_{field.upper()}_COUNT", place.shape.length


def _constants(config: PhantomConfig, top: str) -> Iterator[tuple[str, int]]:
    for field, value in config.to_dict().items():
        if field == "tds":
            yield "TDS_OUT_OF_ORDER", TDS_MODES.index(value)
        elif isinstance(value, int):
            yield field.upper(), int(value)
    for field in DERIVED:
        yield field.upper(), getattr(config, field)
    if top == "accelerator":
        yield "BUS_ID_WIDTH", bus_parameters(config).id_width
        yield "PROGRAM_ENTRY_BYTES", entry_bytes(config)
    for name, layout in PAYLOADS[top].items():
        yield from _fields(name, layout(config))


def verilog_parameters(config: PhantomConfig, top: str) -> str:
    """Lines of Verilog: what the constants are, and their definitions.

    Parameters
    ----------
    config : PhantomConfig
    top : str
        A key of :data:`PAYLOADS`.
    """
    text = "".join(f"// {line}\n" for line in f"{_TEXT}\n{TEXTS[top]}".splitlines())
    lines = "".join(f"`define PHANTOM_{name} {value}\n" for name, value in _constants(config, top))
    return f"{text}`ifndef PHANTOM_PARAMETERS_VH\n`define PHANTOM_PARAMETERS_VH\n{lines}`endif\n"


def c_parameters(config: PhantomConfig, top: str) -> str:
    """The same lines in C."""
    text = "".join(f" * {line}\n" for line in f"{_TEXT}\n{TEXTS[top]}".splitlines())
    lines = "".join(f"#define PHANTOM_{name} {value}\n" for name, value in _constants(config, top))
    return f"/*\n{text} */\n#ifndef PHANTOM_PARAMETERS_H\n#define PHANTOM_PARAMETERS_H\n{lines}#endif\n"
