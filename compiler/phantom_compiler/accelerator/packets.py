"""Packets of the stationary operand as they lie in memory; `phantom_hw.stationary.layouts` describes their form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig
from phantom_hw.stationary.layouts import NARROW, WORD_BYTES, header_bytes, items_header, layer_header, words_at_once

from phantom_compiler.packing import pack_bytes

__all__ = ["PackedPackets", "needs_wide", "pack_items", "pack_layer"]

Bytes = NDArray[np.uint8]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PackedPackets:
    """Packets for one mesh column.

    Parameters
    ----------
    content : uint8 array
        Whole words, and as many as are loaded at once.
    count : int
        Packets.
    """

    content: Bytes
    count: int

    @property
    def words(self) -> int:
        """Words that they take in a buffer."""
        return len(self.content) // WORD_BYTES


def needs_wide(outputs: int, span: int) -> bool:
    """Whether items to ``outputs`` accumulator addresses need places of all bits."""
    return outputs > span << NARROW


def _header(layout: Any, fields: dict[str, Any]) -> Bytes:
    return pack_bytes(layout, fields, header_bytes(layout))


def _packed(config: PhantomConfig, content: Bytes, count: int) -> PackedPackets:
    unit = WORD_BYTES * words_at_once(config)
    return PackedPackets(np.pad(content, (0, -len(content) % unit)), count)


def pack_layer(config: PhantomConfig, layer: dict[str, Any], *, wide: bool) -> PackedPackets:
    """The packet of a layer.

    Parameters
    ----------
    config : PhantomConfig
    layer : dict
        Fields of its ``layer_layout``, scalars and arrays.
    wide : bool
        The items that follow have places of all bits.
    """
    fields = {name: np.asarray(value)[None] for name, value in layer.items()}
    header = _header(layer_header(config), {
        "code": np.array([2 * config.pe_rows]), "wide": np.array([int(wide)]), "layer": fields})
    return _packed(config, header.ravel(), 1)


def _split(items: dict[str, NDArray[Any]]) -> tuple[IntArray, NDArray[np.bool_]]:
    """The beat of each packet, and which of its items the packet has: a tile's ends apart from other rows' ends."""
    valid, row_last, tile_last = (items[name] != 0 for name in ("valid", "row_last", "tile_last"))
    if (valid & tile_last & ~row_last).any():
        raise ValueError("an item that ends a tile must end its row")
    ends = valid & tile_last
    mixed = ends.any(axis=1) & (valid & row_last & ~tile_last).any(axis=1)
    beat = np.repeat(np.arange(len(valid)), 1 + mixed)
    second = np.zeros(len(beat), bool)
    second[1:] = beat[1:] == beat[:-1]
    other = mixed[beat] & ~second
    kept = valid[beat] & np.where(second[:, None], tile_last[beat], ~(other[:, None] & tile_last[beat]))
    return beat, kept


def pack_items(config: PhantomConfig, beats: dict[str, Any], span: int, *, wide: bool) -> PackedPackets:
    """Packets with items.

    Parameters
    ----------
    config : PhantomConfig
    beats : dict
        Fields of a ``stationary_layout`` with ``n`` beats of ``pe_cols`` items.
    span : int
        Of the layer.
    wide : bool
        What the layer's packet said.

    Raises
    ------
    ValueError
        If an accumulator address cannot be told, or an item ends a tile that does not end its row.
    """
    items = beats["items"]
    beat, kept = _split(items)
    mask = np.where(kept, items["mask"][beat], 0)
    dest = np.where(kept, items["dest"][beat], 0)
    if not wide and (dest % span).any():
        raise ValueError(f"accumulator addresses must be multiples of the span {span}")
    row_last = kept & (items["row_last"][beat] != 0)
    ends = (kept & (items["tile_last"][beat] != 0)).any(axis=1)
    layout = items_header(config, wide=wide)
    headers = _header(layout, {
        "code": beats["pe_row"][beat] + config.pe_rows * ends, "mask": mask, "row_last": row_last.astype(np.uint8),
        "place": dest if wide else dest // span})

    there = (mask[:, :, None] >> np.arange(config.threads) & 1).astype(bool)
    values = items["values"][beat][there] & (1 << config.operand_width) - 1
    counts = there.sum(axis=(1, 2))
    size = headers.shape[1]
    lengths = size + -(-counts * config.operand_width // 8)
    starts = np.cumsum(lengths) - lengths
    content = np.zeros(int(lengths.sum()), np.uint8)
    content[starts[:, None] + np.arange(size)] = headers
    rank = np.arange(len(values)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = np.repeat(starts + size, counts)
    if config.operand_width < 8:
        low = rank % 2 == 0
        content[first[low] + rank[low] // 2] = values[low]
        content[first[~low] + rank[~low] // 2] |= (values[~low] << 4).astype(np.uint8)
    else:
        of_value = config.operand_width // 8
        for i in range(of_value):
            content[first + rank * of_value + i] = values >> 8 * i & 0xFF
    return _packed(config, content, len(beat))
