"""All units together, cycle by cycle."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from phantom_hw.soc.isa import UNITS

from phantom_sim.accelerator_model.bus import tokens_after
from phantom_sim.accelerator_model.decoder import IDLE, decode
from phantom_sim.accelerator_model.loads import parameters_step, stationary_step, table_step
from phantom_sim.accelerator_model.moving_loads import (
    COMMANDS,
    HEADERS,
    PLACEMENTS,
    QUEUES,
    SLOTS,
    loader_asks,
    loader_busy,
    loader_step,
)
from phantom_sim.accelerator_model.operands import (
    REPLAYS,
    column_idle,
    column_step,
    sequencer_settled,
    sequencer_step,
    streamer_idle,
    streamer_step,
)
from phantom_sim.accelerator_model.reads import chosen_reader, read, word_offered
from phantom_sim.accelerator_model.results import lane_room, writer_idle, writer_step
from phantom_sim.accelerator_model.vector import RESULT_ENDS, TILE_ENDS, reducer_idle, reducer_step
from phantom_sim.accelerator_model.writes import write, writes_idle
from phantom_sim.cycle_kernel import (
    CHUNK_END,
    CORE,
    TILE_END,
    advance,
    collect,
    drain,
    fires,
    load,
    queues,
    see,
    work,
)

__all__ = ["Mesh", "State", "run_segment"]

PROGRAM, MOVING, STREAM, STATIONARY, REPLAY, RESULTS = range(6)
assert [unit.name for unit in UNITS] == ["load_program", "load_moving", "stream_moving", "load_stationary",
                                         "stream_stationary", "results"]

LOADERS = 4
"""The first loader of moving buffers among those who read."""

class State(NamedTuple):
    """What changes: records of the units, and the rings of their queues."""

    decoder: NDArray[Any]
    reads: NDArray[Any]
    writes: NDArray[Any]
    splitters: NDArray[Any]
    aligners: NDArray[Any]
    owners: NDArray[np.int64]
    flying: NDArray[np.int64]
    words: NDArray[np.int64]
    read_memory: NDArray[np.int64]
    planned: NDArray[np.int64]
    sending: NDArray[np.int64]
    write_memory: NDArray[np.int64]
    answers: NDArray[np.int64]
    read_order: NDArray[np.int64]
    write_order: NDArray[np.int64]
    tables: NDArray[Any]
    queue: NDArray[Any]
    parameters: NDArray[Any]
    loaders: NDArray[Any]
    loader_queues: NDArray[Any]
    sequencer: NDArray[Any]
    streamers: NDArray[Any]
    columns: NDArray[Any]
    reducers: NDArray[Any]
    serializers: NDArray[Any]
    lanes: NDArray[Any]
    encoders: NDArray[Any]
    writer: NDArray[Any]


class Mesh(NamedTuple):
    """What changes in the mesh."""

    m_nodes: NDArray[Any]
    s_nodes: NDArray[Any]
    m_sources: NDArray[Any]
    s_sources: NDArray[Any]
    pes: NDArray[Any]
    windows: NDArray[Any]
    counts: NDArray[np.int64]
    drains: NDArray[Any]
    pipe: NDArray[np.int64]
    queue: NDArray[np.int64]


@numba.njit(cache=True, error_model="numpy")
def _cores_idle(drains: Any, m_nodes: Any, s_nodes: Any, pes: Any, s_near: Any, mesh_cols: int, per_core: int
                ) -> bool:
    """Nothing is in flight in the mesh, but for sums that passed."""
    for k in range(drains.size):
        d = drains[k]
        if d.reading or d.reserved or m_nodes[k].head >= 0 or s_nodes[k].head >= 0:
            return False
        if m_nodes[k].register >= 0:
            return False
        beat = s_nodes[k].register
        if beat >= 0 and s_near[beat, k // mesh_cols]:  # the packet of a layer is for no PE
            return False
        for q in range(k * per_core, (k + 1) * per_core):
            if pes[q].pushed != pes[q].live_item or pes[q].tile != d.tile:
                return False
    return True


@numba.njit(cache=True, error_model="numpy")
def _settled(q: Any, streamers: Any, reducers: Any, serializers: Any, idle: Any, sizes: Any, by_vector: bool) -> bool:
    """Whether all rows that were ordered are sent; ``idle`` gets which streamers have nothing to do."""
    all_idle, waits = True, False
    for i in range(streamers.size):
        t = streamers[i]
        idle[i] = streamer_idle(t, sizes)
        waits |= t.pushed != t.popped
        all_idle &= idle[i] and (not by_vector or reducer_idle(reducers[i], serializers, i))
    return sequencer_settled(q, waits, all_idle)


@numba.njit(cache=True, error_model="numpy")
def _busy(program: Any, packets: Any, queue: Any, loaders: Any, loader_queues: Any, q: Any, columns: Any,
          settled: bool, results_busy: bool) -> int:
    """A bit for each unit that is at work, as it was at the end of the last cycle."""
    busy = results_busy << RESULTS
    if program.taken != program.begun or program.active:
        busy |= 1 << PROGRAM
    for i in range(loaders.size):
        if loader_busy(loaders[i], loader_queues[QUEUES * i + COMMANDS], loader_queues[QUEUES * i + PLACEMENTS]):
            busy |= 1 << MOVING
    if q.pattern or not settled:
        busy |= 1 << STREAM
    if packets.taken != packets.begun or packets.active or packets.write or queue.level or queue.head:
        busy |= 1 << STATIONARY
    for i in range(columns.size):
        if not column_idle(columns[i]):
            busy |= 1 << REPLAY
    return busy


@numba.njit(cache=True, error_model="numpy")
def _sums(lanes: Any, serializers: Any, drains: Any, tiles: Any, tiles_popped: Any, core_chunks: Any, chunk_starts: Any,
          lane_cores: Any, mesh_cols: int, by_vector: bool, ready: Any, entering: Any, ending: Any, tile_ends: Any,
          of_chunk: Any) -> bool:
    """Which links give a sum to their lanes; whether one does. ``lane_cores`` has each lane's first and last core."""
    anything, lanes_of_row = False, lane_cores.shape[0]
    for i in range(lanes.size):
        row, lane = i // lanes_of_row, i % lanes_of_row
        if by_vector:
            packet = serializers[row, lane].sums
            core = row * mesh_cols + lane_cores[lane, 0]
            ends, tile_end = packet & RESULT_ENDS != 0, packet & TILE_ENDS != 0
        else:
            packet = drains[row * mesh_cols + lane_cores[lane, 1]].head
            core = packet >> CORE
            ends, tile_end = packet & CHUNK_END != 0, packet & TILE_END != 0
        enters = packet != 0 and lane_room(lanes[i]) and tiles[core] != tiles_popped[core]
        ready[0, i] = enters and not by_vector
        entering[i], ending[i], tile_ends[i] = enters, ends, -1
        if enters:
            anything = True
            of_chunk[i] = chunk_starts[core] + core_chunks[core]
            core_chunks[core] += ends
            if tile_end:
                tile_ends[i] = core
    return anything


@numba.njit(cache=True, error_model="numpy")
def _offers(columns: Any, streamers: Any, s_sources: Any, m_sources: Any, drains: Any, reducers: Any, serializers: Any,
            vector: Any, entering: Any, moving_taken: Any, by_vector: bool) -> bool:
    """What is offered to the mesh, and the vector unit's cycle; whether the mesh has something to do."""
    offered = False
    for i in range(columns.size):
        source = s_sources[i]
        source.stop = source.next + (columns[i].sink != 0)
        offered |= source.stop != source.next
    for i in range(streamers.size):
        source, moving = m_sources[i], streamers[i].moving != 0
        moving_taken[i] = False
        if by_vector:
            moving_taken[i] = reducer_step(reducers[i], serializers, i, vector, moving, entering)
            source.stop = source.next
        else:
            source.stop = source.next + moving
            offered |= moving
    for k in range(drains.size):
        offered |= drains[k].head != 0
    return offered


@numba.njit(cache=True, error_model="numpy")
def _rows(q: Any, streamers: Any, popped: Any, idle: Any, tiles: Any, tiles_popped: Any, kinds: Any, entries: Any,
          descriptors: Any, starts: Any, setting: Any, sizes: Any, moving_taken: Any, command: bool, settled: bool
          ) -> bool:
    """A cycle of sequencer and streamers; whether the command is taken."""
    any_popped = False
    for i in range(streamers.size):
        t = streamers[i]
        popped[i] = t.popped
        if not idle[i] or t.pushed != t.popped:
            streamer_step(t, t.pushed, descriptors, starts[i], setting, moving_taken[i], sizes)
            any_popped |= popped[i] != t.popped
    taken = False
    if command or not settled or q.pattern:
        taken = sequencer_step(q, streamers, popped, tiles, tiles_popped, kinds, entries, command, settled, any_popped)
    return taken


@numba.njit(cache=True, error_model="numpy")
def _packets(columns: Any, replays: Any, starts: Any, columns_taken: Any, command: bool, wanted: int) -> bool:
    """A cycle of the stationary columns; whether the command is taken."""
    taken = command
    for i in range(columns.size):
        if wanted >> i & 1 and columns[i].pushed - columns[i].popped == REPLAYS:
            taken = False
    for i in range(columns.size):
        column = columns[i]
        if not column_idle(column):
            column_step(column, column.pushed, replays, starts[i], columns_taken[i])
        if taken and wanted >> i & 1:
            column.pushed += 1
    return taken


@numba.njit(cache=True, error_model="numpy")
def _asks(d: Any, program: Any, packets: Any, parameters: Any, loaders: Any, loader_queues: Any, ahead: int) -> int:
    """Who has a request, a bit each."""
    asks = (d.asks != 0) + (parameters.asks << 1) + (program.request << 2) + (packets.request << 3)
    for i in range(loaders.size):
        if loader_asks(loaders[i], loader_queues[QUEUES * i + HEADERS], loader_queues[QUEUES * i + SLOTS], ahead):
            asks |= 1 << LOADERS + i
    return asks


@numba.njit(cache=True, error_model="numpy")
def _request(reader: int, fixed: Any, d: Any, program: Any, packets: Any, parameters: Any, loaders: Any,
             parameter_reads: Any, program_reads: Any, packet_reads: Any, requests: Any, starts: Any
             ) -> tuple[int, int]:
    """Address and bytes of a reader's request."""
    if reader < 0:
        return 0, 0
    if reader == 0:
        return fixed.commands + d.asked * fixed.command_bytes, fixed.command_bytes
    if reader == 1:
        return parameter_reads[parameters.taken - 1, 0], parameter_reads[parameters.taken - 1, 1]
    if reader == 2:
        return program_reads[program.taken - 1, 0], program_reads[program.taken - 1, 1]
    if reader == 3:
        return packet_reads[packets.taken - 1, 0], packet_reads[packets.taken - 1, 1]
    at = starts[reader - LOADERS] + loaders[reader - LOADERS].next_request
    return requests[at, 0], requests[at, 1]


@numba.njit(cache=True, error_model="numpy")
def run_segment(fixed: Any, state: Any, mesh: Any, limits: Any, loader_sizes: Any, streamer_sizes: Any,
                writer_sizes: Any, lane_cores: Any, commands: Any, first: int, slots: Any, tables: Any, rows: Any,
                replays: Any, replay_starts: Any, chunks: Any, moving: Any, stationary: Any, cores: Any, vectors: Any,
                retired: Any, max_cycles: int) -> int:
    """Run until all commands of a segment have retired and, behind the job's end, the decoder is idle.

    ``first`` is the number of the segment's first command in the job; ``lane_cores`` the first and the last core of
    each lane. Returns 0, or 1 if ``max_cycles`` passed.
    """
    # arrays that are taken out of a tuple in every cycle cost more than what is done with them
    d, r, v, q, writer = state.decoder[0], state.reads[0], state.writes[0], state.sequencer[0], state.writer[0]
    r_splitter, w_splitter = state.splitters[0], state.splitters[1]
    r_aligner, w_aligner = state.aligners[0], state.aligners[1]
    owners, flying, words, read_memory = state.owners, state.flying, state.words, state.read_memory
    planned, sending, write_memory, answers = state.planned, state.sending, state.write_memory, state.answers
    read_order, write_order = state.read_order, state.write_order
    program, packets, queue, parameters = state.tables[0], state.tables[1], state.queue[0], state.parameters[0]
    loaders, loader_queues, streamers, columns = state.loaders, state.loader_queues, state.streamers, state.columns
    reducers, serializers, lanes, encoders = state.reducers, state.serializers, state.lanes, state.encoders
    m_nodes, s_nodes, m_sources, s_sources = mesh.m_nodes, mesh.s_nodes, mesh.m_sources, mesh.s_sources
    pes, windows, counts, drains, pipe, sums = mesh.pes, mesh.windows, mesh.counts, mesh.drains, mesh.pipe, mesh.queue
    m_near, m_here, m_beyond, m_gaps, m_last = moving.near, moving.here, moving.beyond, moving.gaps, moving.last
    s_near, s_here, s_beyond, s_gaps = stationary.near, stationary.here, stationary.beyond, stationary.gaps
    row_start, row_list, entries = cores.row_start, cores.rows, cores.entries
    item_start, item_mask, item_flags = cores.item_start, cores.item_mask, cores.item_flags
    parameter_reads, program_reads, packet_reads, program_counts = tables
    requests, masks, positions, request_starts = slots.requests, slots.masks, slots.positions, slots.request_starts
    slot_rows, slot_starts, orders, order_starts = slots.rows, slots.row_starts, slots.commands, slots.command_starts
    kinds, row_entries, descriptors, row_starts = rows.kinds, rows.entries, rows.descriptors, rows.starts
    settings, chunk_starts, chunk_masks = rows.settings, chunks.starts, chunks.masks
    written, addresses = chunks.written, chunks.addresses
    mesh_rows, mesh_cols, per_core = limits.mesh_rows, limits.mesh_cols, limits.pe_rows * limits.pe_cols
    count, links = drains.size, lanes.size

    tiles, tiles_popped, core_chunks = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
    popped, idle = np.zeros(mesh_rows, np.int64), np.zeros(mesh_rows, np.bool_)
    moving_taken, columns_taken = np.zeros(mesh_rows, np.bool_), np.zeros(mesh_cols, np.bool_)
    entering, ending = np.zeros(links, np.bool_), np.zeros(links, np.bool_)
    tile_ends, of_chunk = np.zeros(links, np.int64), np.zeros(links, np.int64)
    m_fires, s_fires = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    popcounts = np.zeros(256, np.int64)
    for i in range(256):
        popcounts[i] = popcounts[i >> 1] + (i & 1)
    lost, occupancy = np.zeros(6, np.int64), np.zeros(pes.size, np.uint8)
    ready, nothing = np.zeros((1, links), np.uint8), np.zeros(0, np.bool_)
    result_cycles, result_lanes = np.zeros(links, np.int64), np.zeros(links, np.uint8)
    last_command, start = first + commands.shape[0], d.cycle
    cores_idle, worked = False, True
    vector, setting, vector_number, setting_number = vectors[0], settings[0], 0, 0
    while d.index < last_command or (d.index == fixed.total and d.step != IDLE):
        cycle = d.cycle
        if cycle - start >= max_cycles:
            return 1
        if q.vector != vector_number:
            vector_number = q.vector
            vector = vectors[vector_number]
        if q.rows != setting_number:
            setting_number = q.rows
            setting = settings[setting_number]
        by_vector = vector[0] != 0

        # who is busy, as it was at the end of the last cycle
        settled = _settled(q, streamers, reducers, serializers, idle, streamer_sizes, by_vector)
        results_idle = writer_idle(writer, encoders) and writes_idle(v, w_splitter, w_aligner)
        for i in range(links):
            results_idle &= lanes[i].reserved == 0
        for k in range(count):
            results_idle &= tiles[k] == tiles_popped[k]
        loads_parameters = (parameters.asks | parameters.waits | parameters.clamps | parameters.written) != 0
        if worked or cycle <= fixed.clearing:
            cores_idle = cycle >= fixed.clearing and _cores_idle(drains, m_nodes, s_nodes, pes, s_near, mesh_cols,
                                                                 per_core)
        busy = _busy(program, packets, queue, loaders, loader_queues, q, columns, settled,
                     loads_parameters or not results_idle or not d.mesh_idle)

        # the mesh, or the vector unit, and the results
        any_sum = _sums(lanes, serializers, drains, tiles, tiles_popped, core_chunks, chunk_starts, lane_cores,
                        mesh_cols, by_vector, ready, entering, ending, tile_ends, of_chunk)
        offered = _offers(columns, streamers, s_sources, m_sources, drains, reducers, serializers, vector, entering,
                          moving_taken, by_vector)
        worked = offered or not cores_idle
        if worked:
            see(pes, windows, limits.window_groups, limits.release_delay)
            fires(m_nodes, m_near, pes, m_fires, mesh_cols, per_core, limits.row_slots, True)
            fires(s_nodes, s_near, pes, s_fires, mesh_cols, per_core, limits.item_slots, False)
            drain(drains, pes, limits, nothing)
            collect(drains, sums, ready, limits, cycle, result_cycles, result_lanes, 0)
            queues(drains, pipe, sums, cycle, limits)
            work(pes, windows, counts, row_start, row_list, entries, item_start, item_mask, item_flags, limits, drains,
                 popcounts, lost, occupancy, False)
            load(m_nodes, m_near, m_last, pes, m_fires, mesh_cols, per_core, True)
            load(s_nodes, s_near, m_last, pes, s_fires, mesh_cols, per_core, False)
            for i in range(mesh_rows):
                advance(m_nodes, m_sources[i], m_here, m_beyond, m_gaps, i * mesh_cols, 1, mesh_cols, limits.nodes,
                        m_fires)
            for i in range(mesh_cols):
                advance(s_nodes, s_sources[i], s_here, s_beyond, s_gaps, i, mesh_cols, mesh_rows, limits.nodes,
                        s_fires)
            for i in range(mesh_rows):
                if not by_vector:
                    moving_taken[i] = m_sources[i].next == m_sources[i].stop
        for i in range(mesh_cols):
            columns_taken[i] = worked and s_sources[i].next == s_sources[i].stop
        if any_sum or not results_idle:
            accepts, word_ready = write(
                cycle, v, w_splitter, w_aligner, planned, sending, write_memory, answers, write_order, fixed.buffer,
                writer.requests != 0, writer.request[0, 0], writer.request[0, 1], writer.head != 0, fixed.size,
                fixed.burst_words, fixed.outstanding, fixed.latency, fixed.rate, fixed.on_chip)
            writer_step(writer, encoders, lanes, chunk_masks, written, addresses, writer_sizes, fixed.chunk, accepts,
                        word_ready, entering, ending, of_chunk)
        else:
            v.tokens = tokens_after(v.tokens, fixed.rate)

        # rows and packets
        wanted = commands[d.index - first, 2] if d.index < last_command else 0
        taken = _rows(q, streamers, popped, idle, tiles, tiles_popped, kinds, row_entries, descriptors, row_starts,
                      setting, streamer_sizes, moving_taken, d.offered == STREAM, settled)
        taken |= _packets(columns, replays, replay_starts, columns_taken, d.offered == REPLAY, wanted)
        if any_sum:
            for i in range(links):
                if tile_ends[i] >= 0:
                    tiles_popped[tile_ends[i]] += 1

        # all that reads memory
        asks = _asks(d, program, packets, parameters, loaders, loader_queues, loader_sizes.ahead)
        reader = chosen_reader(r, r_splitter, flying, read_memory, owners, asks, LOADERS, fixed.burst_words)
        owner, word_count, word_last = word_offered(r, r_aligner, owners, fixed.size)
        address, length = _request(reader, fixed, d, program, packets, parameters, loaders, parameter_reads,
                                   program_reads, packet_reads, requests, request_starts)
        word_taken = owner == 0
        if d.offered == RESULTS or loads_parameters:
            takes, word_ready = parameters_step(
                parameters, d.offered == RESULTS, reader == 1, owner == 1, word_count, word_last,
                fixed.parameter_ratio, fixed.parameter_bytes)
            taken |= takes
            word_taken |= owner == 1 and word_ready
        if d.offered == PROGRAM or busy >> PROGRAM & 1:
            takes, word_ready = table_step(program, program_counts, d.offered == PROGRAM, reader == 2, owner == 2,
                                           word_count, fixed.record_units, fixed.unit)
            taken |= takes
            word_taken |= owner == 2 and word_ready
        if d.offered == STATIONARY or busy >> STATIONARY & 1:
            takes, word_ready = stationary_step(packets, queue, d.offered == STATIONARY, reader == 3, owner == 3,
                                                word_last)
            taken |= takes
            word_taken |= owner == 3 and word_ready
        if d.offered == MOVING or busy >> MOVING & 1:
            given = d.given
            for i in range(loaders.size):
                offers, at = d.offered == MOVING and wanted >> i & 1 != 0 and not d.given >> i & 1, QUEUES * i
                takes, word_ready = loader_step(
                    loaders[i], loader_queues[at + COMMANDS], loader_queues[at + HEADERS], loader_queues[at + SLOTS],
                    loader_queues[at + PLACEMENTS], masks, positions, request_starts[i], slot_rows, slot_starts[i],
                    orders, order_starts[i], loader_sizes, offers, reader == LOADERS + i, owner == LOADERS + i,
                    word_last)
                if offers and takes:
                    given |= 1 << i
                word_taken |= owner == LOADERS + i and word_ready
            d.given = given
            taken |= d.offered == MOVING and given & wanted == wanted
        read(cycle, r, r_splitter, r_aligner, owners, flying, words, read_memory, read_order, reader, address, length,
             word_taken, word_last, fixed.size, fixed.burst_words, fixed.latency, fixed.rate, fixed.on_chip)

        decode(d, fixed, commands, first, busy | d.lately, taken, reader == 0, owner == 0, retired)
        d.lately = busy
        d.mesh_idle = d.tiles_idle
        d.tiles_idle = cores_idle
        d.cycle += 1
    return 0
