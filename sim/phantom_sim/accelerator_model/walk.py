"""What commands do, without their time: values move between memory and buffers, rows, packets and tiles come of it."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

__all__ = ["chunk_masks", "core_items", "core_rows", "fill", "load", "row_masks", "stationary_packets", "stream"]


@numba.njit(cache=True, error_model="numpy")
def _bits(memory: Any, address: int, count: int) -> np.uint64:
    """``count`` bytes as a number."""
    value = np.uint64(0)
    for i in range(count):
        value |= np.uint64(memory[address + i]) << np.uint64(8 * i)
    return value


@numba.njit(cache=True, error_model="numpy")
def load(memory: Any, buffer: Any, rows: int, order: Any, sizes: Any, requests: Any, masks: Any, positions: Any,
         ends: Any) -> None:
    """A LOAD_MOVING: its slots, and which places of the buffers of ``rows`` are not zero.

    ``order`` has the command's fields from ``address`` to ``phase_step`` without ``rows`` and ``signed``; ``sizes`` the
    bytes of a mask, the bits of an activation, the lanes of a dense word.
    """
    address, channel_pitch, line_pitch, slot_pitch, channels, lines, slots = order[:7]
    plain, final, width, stride, x, offset, channel_step, row_step, phase_step = order[7:]
    mask_bytes, act_width, lanes = sizes
    size, whole, number = buffer.shape[1], slots != 1, 0
    for channel in range(channels):
        row = 0
        for line in range(lines):
            column = 0
            for slot in range(slots):
                here = address + channel * channel_pitch + line * line_pitch + slot * slot_pitch
                count = final if slot == slots - 1 else plain
                mask = _bits(memory, here, mask_bytes)
                if count < 64:
                    mask &= (np.uint64(1) << np.uint64(count)) - np.uint64(1)
                requests[number, 0], requests[number, 1] = here, mask_bytes + (count * act_width + 7) // 8
                masks[number], positions[number] = mask, count
                ends[number, 0] = (count - 1) % lanes + 1
                line_ends = slot == slots - 1
                ends[number, 1] = line_ends + 2 * (line_ends and line == lines - 1 and channel == channels - 1)
                number += 1
                for p in range(count):
                    if not whole and p and p % width == 0:
                        row += 1
                        column = 0
                    place = (offset + channel * channel_step + row * row_step + (x + column) % stride * phase_step
                             + (x + column) // stride) % size
                    value = mask >> np.uint64(p) & np.uint64(1) != 0
                    for r in range(buffer.shape[0]):
                        if rows >> r & 1:
                            buffer[r, place] = value
                    column += 1
                if not whole:
                    row += 1
                    column = 0
            if whole:
                row += 1


@numba.njit(cache=True, error_model="numpy")
def fill(buffer: Any, rows: int, offset: int, length: int, count: int, step: int) -> None:
    """A FILL_MOVING."""
    size = buffer.shape[1]
    for r in range(buffer.shape[0]):
        if rows >> r & 1:
            for i in range(count):
                for j in range(length):
                    buffer[r, (offset + i * step + j) % size] = False


@numba.njit(cache=True, error_model="numpy")
def row_masks(flat: Any, filled: int, tap_base: Any, pattern: int, chunk: int, entries: Any) -> None:
    """The mask bits of a row, output position by output position."""
    for i in range(min(chunk, entries.size)):
        value = 0
        if pattern >> np.uint64(i) & np.uint64(1):
            for t in range(tap_base.size):
                place = tap_base[t] + i
                if place < filled and flat[place]:
                    value |= 1 << t
        entries[i] = value


@numba.njit(cache=True, error_model="numpy")
def stream(order: Any, base: Any, base_tiles: Any, row: Any, row_cols: Any, buffer: Any, starts: Any, patterns: Any,
           setting: Any, tap_base: Any, chunk: int, mesh_cols: int, row_width: int, entries: Any, descriptors: Any,
           headings: Any, heading_cols: Any, masks: Any, tiles: Any, counts: Any) -> None:
    """A STREAM_MOVING: entries, and for each mesh row descriptors and rows, for each core tiles.

    Parameters
    ----------
    order : bases, base_count, start, count, steps, rows
    base : int64[program words, 3]
        Place, mesh rows, mesh columns of base entries; ``base_tiles`` has first, pattern, write, offset.
    row : int64[program words, 6]
        Place, base, zero, last, short, PE row of row entries; ``row_cols`` has the PE columns of each core.
    starts : int64[cores, 2]
        Place and pattern of each core, kept from command to command.
    setting : planes, beats, length of each plane, step of each plane
    entries, descriptors, headings, heading_cols, masks, tiles
        Results, in the order of the arguments' shapes; ``headings`` has PE row and whether the row is short.
    counts : int64[2, mesh rows + cores]
        How many descriptors and rows each mesh row has, and tiles each core.
    """
    bases, base_count, start, count, steps, rows = order
    mesh_rows, places, words = buffer.shape[0], buffer.shape[1], base.shape[0]
    threads = tap_base.size
    flat = np.zeros((mesh_rows, row_width), np.bool_)
    filled = np.zeros(mesh_rows, np.int64)
    number = 0
    for _ in range(steps):
        for i in range(base_count):
            at = (bases + i) % words
            targets = 0
            for core in range(mesh_rows * mesh_cols):
                r, c = core // mesh_cols, core % mesh_cols
                if rows & base[at, 1] & 1 << r and base[at, 2] & 1 << c:
                    targets |= 1 << core
                    starts[core, 0], starts[core, 1] = base[at, 0], base_tiles[at, 1]
                    tiles[core, counts[1, core]] = base_tiles[at]
                    counts[1, core] += 1
            entries[number, 0], entries[number, 1] = 1, targets
            number += 1
        bases += base_count
        for i in range(count):
            at = (start + i) % words
            entries[number, 0], entries[number, 1] = 0, rows
            number += 1
            last, short = row[at, 3], row[at, 4]
            for r in range(mesh_rows):
                if not rows >> r & 1:
                    continue
                core = r * mesh_cols + row[at, 1]
                descriptors[r, counts[0, r]] = last + 2 * short
                counts[0, r] += 1
                if not short:
                    place = starts[core, 0] + row[at, 0]
                    for p in range(setting[0]):
                        for j in range(setting[2 + p]):
                            if filled[r] < row_width:
                                flat[r, filled[r]] = (
                                    not row[at, 2] and buffer[r, (place + setting[2 + threads + p] + j) % places])
                                filled[r] += 1
                if last:
                    which = counts[0, mesh_rows + r]
                    headings[r, which, 0], headings[r, which, 1] = row[at, 5], short
                    heading_cols[r, which] = row_cols[at]
                    if not short:
                        row_masks(flat[r], filled[r], tap_base, patterns[starts[core, 1]], chunk, masks[r, which])
                    counts[0, mesh_rows + r] += 1
                    filled[r] = 0


@numba.njit(cache=True, error_model="numpy")
def stationary_packets(content: Any, offset: int, shape: Any, wide: bool, kinds: Any, masks: Any, ends: Any) -> bool:
    """Packets from byte ``offset`` on, as many as ``kinds`` has places; whether places are wide behind them.

    ``shape`` has the bits of a code, the PE rows, the PE columns, the threads, the bits of a value, the bytes of the
    narrow and of the wide header and of that of a layer. ``kinds`` gets the PE row and whether it is a layer; ``ends``
    of each PE column 1 for the end of a row, 3 for that of a tile.
    """
    code_bits, pe_rows, pe_cols, threads, width, narrow, broad, layer = shape
    size = content.size
    for number in range(kinds.shape[0]):
        header = np.uint64(0)
        for i in range(8):
            header |= np.uint64(content[(offset + i) % size]) << np.uint64(8 * i)
        code = np.int64(header & np.uint64((1 << code_bits) - 1))
        kinds[number, 0], kinds[number, 1] = 0, 0
        if code == 2 * pe_rows:
            kinds[number, 1] = 1
            wide = header >> np.uint64(code_bits) & np.uint64(1) != 0
            masks[number], ends[number] = 0, 0
            offset += layer
            continue
        kinds[number, 0] = code % pe_rows
        values, place = 0, code_bits
        for c in range(pe_cols):
            mask = 0
            for t in range(threads):
                at = place + c * threads + t
                bit = content[(offset + at // 8) % size] >> at % 8 & 1
                mask |= bit << t
                values += bit
            masks[number, c] = mask
            at = place + pe_cols * threads + c
            ends[number, c] = (content[(offset + at // 8) % size] >> at % 8 & 1) * (3 if code >= pe_rows else 1)
        offset += (broad if wide else narrow) + (values * width + 7) // 8
    return wide


@numba.njit(cache=True, error_model="numpy")
def chunk_masks(results: Any, tiles: Any, slots: Any, written: Any, channels: Any, lengths: Any, patterns: Any,
                mask_bytes: int, unit: int, masks: Any, counts: Any, addresses: Any) -> None:
    """The chunks of a core's tiles: positions that are not zero, whether they are written, and where.

    ``channels`` and ``lengths`` are those of the chunks of a tile; ``slots`` and ``written`` the lane's parameters.
    """
    number = 0
    for tile in range(tiles.shape[0]):
        first, pattern, write, offset = tiles[tile]
        for chunk in range(channels.size):
            channel = (first + channels[chunk]) % slots.size
            counts[number] = write != 0 and written[channel]
            mask, rank = np.uint64(0), 0
            if counts[number]:
                addresses[number] = (slots[channel] + offset) * unit
                stored = _bits(results, addresses[number], mask_bytes)
                for i in range(lengths[chunk]):
                    if patterns[pattern] >> np.uint64(i) & np.uint64(1):
                        mask |= (stored >> np.uint64(rank) & np.uint64(1)) << np.uint64(i)
                        rank += 1
            masks[number] = mask
            number += 1


@numba.njit(cache=True, error_model="numpy")
def core_rows(pe_rows: Any, cols: Any, mesh_row: int, mesh_cols: int, shape: Any, first: int, places: Any,
              found: Any) -> None:
    """Give the rows of a mesh row to the PEs that they name; without ``found`` only count them.

    ``places`` has for each PE of the mesh how many rows it has, or where the next one goes.
    """
    height, width = shape
    for i in range(pe_rows.size):
        for c in range(mesh_cols):
            for p in range(width):
                if cols[i, c] >> p & 1:
                    q = ((mesh_row * mesh_cols + c) * height + pe_rows[i]) * width + p
                    if found.size:
                        found[places[q]] = first + i
                    places[q] += 1


@numba.njit(cache=True, error_model="numpy")
def core_items(kinds: Any, rows: Any, masks: Any, ends: Any, mesh_col: int, mesh_cols: int, shape: Any, places: Any,
               found: Any, flags: Any) -> None:
    """Give the items of a mesh column to their PEs; without ``found`` only count them."""
    height, width = shape
    for i in range(rows.size):
        if kinds[i, 1]:
            continue
        for p in range(width):
            if masks[i, p] or ends[i, p]:
                r, left = 0, rows[i]
                while left:
                    if left & 1:
                        q = ((r * mesh_cols + mesh_col) * height + kinds[i, 0]) * width + p
                        if found.size:
                            found[places[q]], flags[places[q]] = masks[i, p], ends[i, p]
                        places[q] += 1
                    left >>= 1
                    r += 1
