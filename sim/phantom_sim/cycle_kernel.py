"""What decides the time in a mesh of cores, cycle by cycle: levels, numbers and reservations, none of the values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["CHUNK_END", "CORE", "DRAIN", "GROUP", "PE", "TILE_END", "Beats", "Cores", "Limits", "Lost", "Outcome",
           "advance", "collect", "drain", "empty_nodes", "fires", "load", "queues", "record", "run", "see",
           "sources_of", "work"]

Ints = NDArray[np.int64]


class Limits(NamedTuple):
    """Sizes and delays, all of them integers."""

    mesh_rows: int
    mesh_cols: int
    nodes: int  # 0: a single core, whose links are the sources themselves
    lanes: int  # result links of a mesh row
    pe_rows: int
    pe_cols: int
    threads: int
    window_groups: int
    size: int  # entries of a group
    refill: int
    in_order: int
    skip_empty: int
    split_banks: int
    row_slots: int
    item_slots: int
    slots: int  # places for results
    result_latency: int
    activity_delay: int
    release_delay: int
    start_delay: int
    groups: int
    outputs: int
    span: int


class Beats(NamedTuple):
    """Beats of all links of a kind, one link after the other."""

    start: Ints  # [links + 1] where each link's beats begin
    near: NDArray[np.uint64]  # [beats, hops] PEs of each core on the way, a bit each
    here: NDArray[np.bool_]  # [beats, hops] the beat is for this core
    beyond: NDArray[np.bool_]  # [beats, hops] it is for one behind this core
    last: NDArray[np.bool_]  # the beat completes its row
    gaps: Ints  # cycles that the source waits before it offers a beat


class Cores(NamedTuple):
    """What the PEs of all cores work on; PE p of core k has the number k * pes + p."""

    row_start: Ints
    rows: NDArray[np.int32]
    entries: NDArray[np.uint8]
    item_start: Ints  # [PEs + 1]
    item_mask: NDArray[np.uint8]
    item_flags: NDArray[np.uint8]


class Lost(NamedTuple):
    """Why thread slots stay empty."""

    drain: int = 0  # a drain took the slot
    rows: int = 1  # the next row has not come
    items: int = 2  # the next item has not come
    tiles: int = 3  # two tiles ahead of the drain
    window: int = 4  # what is in the window does not fill the threads
    done: int = 5  # nothing is left to do


@numba.njit(cache=True, inline="always", error_model="numpy")
def _select(counts: Any, windows: Any, window: int, first: int, level: int, groups: int, size: int, capacity: int,
            in_order: int) -> int:
    """Clear what the selector takes in a PE's ring of groups (from ``window`` on); the number of products."""
    taken = 0
    group = first
    for _ in range(level):
        if windows[window + group].left:
            base = (window + group) * size
            for place in range(base, base + size):
                p = counts[place]
                if p:
                    if p <= capacity:
                        capacity -= p
                        taken += p
                        counts[place] = 0
                        windows[window + group].left -= p
                        if capacity == 0:
                            return taken
                    elif in_order:
                        return taken
        group += 1
        if group == groups:
            group = 0
    return taken


def record(**fields: Any) -> np.dtype[Any]:
    """A record of numbers; arrays of them are passed to compiled functions at no cost, unlike tuples of arrays."""
    return np.dtype(list(fields.items()), align=True)


NODE = record(head=np.int64, spare=np.int64, had_core=np.bool_, had_sink=np.bool_, register=np.int64)
"""A node of a link and the register behind it; beats are named by their index, -1 is none."""

SOURCE = record(next=np.int64, stop=np.int64, wait=np.int64)
"""The source of a link: the beat that it offers next, the end of its beats, cycles until it offers."""


def empty_nodes(cores: int) -> NDArray[Any]:
    """The nodes of a kind of links with nothing in them."""
    nodes = np.zeros(cores, NODE)
    for name in ("head", "spare", "register"):
        nodes[name] = -1
    return nodes


def sources_of(beats: Beats) -> NDArray[Any]:
    """The sources of links before their first beats."""
    sources = np.zeros(len(beats.start) - 1, SOURCE)
    sources["next"], sources["stop"] = beats.start[:-1], beats.start[1:]
    for source in sources:
        if source["next"] < source["stop"]:
            source["wait"] = beats.gaps[source["next"]]
    return sources


@numba.njit(cache=True, error_model="numpy")
def advance(nodes: Any, source: Any, near_here: Any, beyond_here: Any, gaps: Any, first: int, step: int, hops: int,
             mesh: int, fires: Any) -> bool:
    """One cycle of a link whose cores are ``first``, ``first + step`` and so on; whether anything moved."""
    moved = False
    following = source.next
    offered = following < source.stop and source.wait == 0
    if source.wait:
        source.wait -= 1
        moved = True
    if not mesh:
        node = nodes[first]
        moved |= fires[first]
        if node.register < 0 or fires[first]:
            node.register = following if offered else -1
        else:
            offered = False
    else:
        # from the far end, so that each node sees the next one as it was
        sink_free = True
        for hop in range(hops - 1, -1, -1):
            k = first + hop * step
            node = nodes[k]
            head = node.head
            free = node.spare < 0
            takes = node.register < 0 or fires[k]
            moved |= fires[k]
            to_register, to_sink = False, False
            if head >= 0:
                here, beyond = near_here[head, hop], beyond_here[head, hop]
                to_register = here and not node.had_core and takes
                to_sink = beyond and not node.had_sink and sink_free
                core_done = node.had_core or not here or takes
                sink_done = node.had_sink or not beyond or sink_free
                node.had_core = core_done and not sink_done
                node.had_sink = sink_done and not core_done
                moved |= (core_done and sink_done) or to_register or to_sink
                if core_done and sink_done:
                    node.head = node.spare
                    node.spare = -1
            if takes:
                node.register = head if to_register else -1
            if to_sink:
                _enter(nodes[k + step], head)
            sink_free = free
        offered &= sink_free
        if offered:
            _enter(nodes[first], following)
    if offered:
        source.next += 1
        if following + 1 < source.stop:
            source.wait = gaps[following + 1]
        moved = True
    return moved


@numba.njit(cache=True, inline="always", error_model="numpy")
def _enter(node: Any, beat: int) -> None:
    """Put a beat into a node that has room."""
    if node.head < 0:
        node.head = beat
    else:
        node.spare = beat


PE = record(
    first=np.int64, level=np.int64,  # the window is a ring of groups
    item=np.int64, row=np.int64, tile=np.int64, group=np.int64,  # what enters the window next
    loaded=np.int64, pushed=np.int64,  # rows and items that have come
    live_item=np.int64, live_row=np.int64, live_tile=np.int64,  # the oldest ones in use,
    known_item=np.int64, known_row=np.int64,  # and what of that the stores know by now
    busy=np.int64, entries=np.int64,
)

GROUP = record(left=np.int64, item=np.int64, row=np.int64, tile=np.int64)
"""A group in a window: the products left in it and its tag."""


@numba.njit(cache=True, error_model="numpy")
def see(pes: Any, windows: Any, window_groups: int, release_delay: int) -> None:
    """Start of a cycle: the oldest things in use."""
    for q in range(pes.size):
        pe = pes[q]
        if release_delay:
            pe.known_item, pe.known_row = pe.live_item, pe.live_row
        if pe.level:
            head = windows[q * window_groups + pe.first]
            pe.live_item, pe.live_row, pe.live_tile = head.item, head.row, head.tile
        else:
            pe.live_item, pe.live_row, pe.live_tile = pe.item, pe.row, pe.tile
        if not release_delay:
            pe.known_item, pe.known_row = pe.live_item, pe.live_row


@numba.njit(cache=True, error_model="numpy")
def fires(nodes: Any, near: Any, pes: Any, fires: Any, cols: int, per_core: int, slots: int, rows: bool) -> None:
    """Which registers give their beat to the PEs, because all that it names have room."""
    for k in range(fires.size):
        beat = nodes[k].register
        fires[k] = beat >= 0
        if beat >= 0:
            wanted = near[beat, k % cols if rows else k // cols]
            for p in range(per_core):
                if wanted >> np.uint64(p) & np.uint64(1):
                    pe = pes[k * per_core + p]
                    if (pe.loaded - pe.known_row if rows else pe.pushed - pe.known_item) >= slots:
                        fires[k] = False


@numba.njit(cache=True, error_model="numpy")
def load(nodes: Any, near: Any, last: Any, pes: Any, fires: Any, cols: int, per_core: int, rows: bool) -> None:
    """What leaves the registers reaches the stores."""
    for k in range(fires.size):
        if fires[k]:
            beat = nodes[k].register
            wanted = near[beat, k % cols if rows else k // cols]
            for p in range(per_core):
                if wanted >> np.uint64(p) & np.uint64(1):
                    if not rows:
                        pes[k * per_core + p].pushed += 1
                    elif last[beat]:
                        pes[k * per_core + p].loaded += 1


@numba.njit(cache=True, error_model="numpy")
def work(pes: Any, windows: Any, counts: Any, row_start: Any, rows: Any, entries: Any, item_start: Any, item_mask: Any,
          item_flags: Any, limits: Any, drains: Any, popcounts: Any, lost: Any, occupancy: Any, trace: bool) -> bool:
    """One cycle of all PEs: select, let groups leave, let others enter; whether anything moved.

    ``occupancy`` is the line of the trace for what is selected now.
    """
    size, window_groups, groups, threads = limits.size, limits.window_groups, limits.groups, limits.threads
    refill, in_order, skip_empty = limits.refill, limits.in_order, limits.skip_empty
    per_core, pe_cols = limits.pe_rows * limits.pe_cols, limits.pe_cols
    anything = False
    for k in range(drains.size):
        hold, tile_now = drains[k].hold, drains[k].tile_now
        column = -1
        for q in range(k * per_core, (k + 1) * per_core):
            column += 1
            if column == pe_cols:
                column = 0
            if column == hold and not limits.split_banks:
                lost[0] += threads
                continue
            taken = 0
            pe = pes[q]
            first, level = pe.first, pe.level
            window = q * window_groups
            if level:
                taken = _select(counts, windows, window, first, level, window_groups, size, threads, in_order)
                if taken:
                    pe.busy += taken
                    anything = True
                    if trace:
                        occupancy[q] = taken
                while level and windows[window + first].left == 0:
                    first += 1
                    if first == window_groups:
                        first = 0
                    level -= 1
                    anything = True
            room = window_groups - level
            offered = refill
            items_fed = 0
            # the current item's groups, then the next item's; no third one in the same cycle
            while (items_fed < 2 and offered and pe.item < pe.pushed and pe.row < pe.loaded
                   and pe.tile - tile_now < 2):
                index = item_start[q] + pe.item
                mask = item_mask[index]
                which = rows[row_start[q] + pe.row]
                group = pe.group
                while offered and group < groups:
                    place = first + level
                    if place >= window_groups:
                        place -= window_groups
                    at = group * size
                    total = 0
                    if room:
                        place += window
                        base = place * size
                        for e in range(size):
                            number = popcounts[entries[which, at + e] & mask]
                            counts[base + e] = number
                            total += number
                    elif skip_empty:
                        for e in range(size):
                            total += entries[which, at + e] & mask
                        if total:
                            break
                    else:
                        break
                    if total or not skip_empty:
                        entered = windows[place]
                        entered.left, entered.item, entered.row, entered.tile = total, pe.item, pe.row, pe.tile
                        level += 1
                        room -= 1
                    offered -= 1
                    group += 1
                    pe.entries += size
                    anything = True
                if group < groups:
                    pe.group = group
                    break
                pe.group = 0
                items_fed += 1
                pe.item += 1
                pe.row += item_flags[index] & 1
                pe.tile += item_flags[index] >> 1
            pe.first, pe.level = first, level
            if taken < threads:
                if pe.item >= item_start[q + 1] - item_start[q]:
                    why = 4 if level else 5
                elif pe.item >= pe.pushed:
                    why = 2
                elif pe.row >= pe.loaded:
                    why = 1
                else:
                    why = 3 if pe.tile - tile_now >= 2 else 4
                lost[why] += threads - taken
    return anything


DRAIN = record(
    tile=np.int64, reading=np.bool_, waited=np.int64, start=np.int64, offset=np.int64, column=np.int64,
    position=np.int64, reserved=np.int64, front=np.int64, back=np.int64,  # of the queue of results
    kind=np.int64, hold=np.int64, tile_now=np.int64,  # decided in this cycle
    head=np.int64, spare=np.int64, inside=np.bool_, local=np.bool_, took=np.bool_,  # the node of the result link
)

VALUE, CHUNK_END, TILE_END, DROPPED = 1, 2, 4, 8
"""What is in the pipe to the queue, and on the result links."""
CORE = 4
"""The number of a value's core begins at this bit."""


@numba.njit(cache=True, error_model="numpy")
def drain(drains: Any, pes: Any, limits: Any, nonzero: Any) -> None:
    """Decide what each core's drain puts into its pipe in this cycle, and which column of PEs that holds."""
    per_core = limits.pe_rows * limits.pe_cols
    for k in range(drains.size):
        d = drains[k]
        d.hold, d.kind, d.tile_now = -1, 0, d.tile
        if d.reading:
            if d.reserved < limits.slots:
                d.hold = d.column
                length = min(limits.span, limits.outputs - d.start)
                chunk_end = d.offset + 1 == length
                tile_end = chunk_end and d.hold == limits.pe_cols - 1 and d.start + length >= limits.outputs
                d.kind = (k << CORE) + VALUE + chunk_end * CHUNK_END + tile_end * TILE_END
                if nonzero.size and not chunk_end and not nonzero[d.position]:
                    d.kind = DROPPED
                d.position += 1
                d.offset += 1
                if chunk_end:
                    d.offset = 0
                    d.column += 1
                    if d.column == limits.pe_cols:
                        d.column = 0
                        d.start += limits.span
                if tile_end:
                    d.reading = False
                    d.waited = 0
                    d.tile += 1
        else:
            done = True
            for q in range(k * per_core, (k + 1) * per_core):
                if pes[q].live_tile == d.tile:
                    done = False
                    break
            d.waited = d.waited + 1 if done else 0
            if d.waited == limits.start_delay:
                d.reading = True
                d.start, d.offset, d.column = 0, 0, 0


@numba.njit(cache=True, error_model="numpy")
def queues(drains: Any, pipe: Any, queue: Any, cycle: int, limits: Any) -> bool:
    """One cycle of the pipes and the queues behind the drains; whether anything moved."""
    moved = False
    length = limits.result_latency + 1
    now, then = cycle % length, (cycle + 1) % length
    for k in range(drains.size):
        d = drains[k]
        pipe[k, now] = d.kind
        arrived = pipe[k, then]
        pipe[k, then] = 0
        own = d.took and (not limits.nodes or d.local)
        if d.kind:
            d.reserved += 1
        if own:
            d.front += 1
        if own:
            d.reserved -= 1
        if arrived == DROPPED:
            d.reserved -= 1
        elif arrived:
            queue[k, d.back % limits.slots] = arrived
            d.back += 1
        moved |= d.took or d.kind != 0 or arrived != 0
    return moved


@numba.njit(cache=True, error_model="numpy")
def collect(drains: Any, queue: Any, ready: Any, limits: Any, cycle: int, result_cycles: Any, result_lanes: Any,
             given: int) -> tuple[int, int]:
    """One cycle of the result links; how many results they gave and how many of those end a tile."""
    rows, cols, lanes = limits.mesh_rows, limits.mesh_cols, limits.lanes
    line = cycle % ready.shape[0]
    before, tiles = given, 0
    for r in range(rows):
        # from the far end, so that each node sees the next one as it was
        for c in range(cols - 1, -1, -1):
            k = r * cols + c
            d = drains[k]
            lane = c * lanes // cols
            d.took = False
            waiting = d.front != d.back
            own = queue[k, d.front % limits.slots] if waiting else 0
            leaves, packet = False, 0
            if not limits.nodes:
                packet = own if ready[line, 0] else 0
                d.took = packet != 0
                leaves = d.took
            else:
                packet = d.head
                if d.head:
                    if c == cols - 1 or (c + 1) * lanes // cols != lane:
                        leaves = ready[line, r * lanes + lane] != 0
                    else:
                        leaves = drains[k + 1].took and not drains[k + 1].local
            end = not limits.nodes or c == cols - 1 or (c + 1) * lanes // cols != lane
            if leaves and end:
                result_cycles[given] = cycle
                result_lanes[given] = r * lanes + lane
                given += 1
                if packet & TILE_END:
                    tiles += 1
            if limits.nodes:
                source = drains[k - 1].head if c > 0 and (c - 1) * lanes // cols == lane else 0
                choice = d.local if d.inside else (not d.local if waiting and source else waiting)
                packet = (own if choice else source) if d.spare == 0 else 0
                if leaves:
                    d.head = d.spare
                    d.spare = 0
                if packet:
                    if d.head == 0:
                        d.head = packet
                    else:
                        d.spare = packet
                    d.local = choice
                    d.inside = packet & CHUNK_END == 0
                    d.took = True
    return given - before, tiles


@numba.njit(cache=True, error_model="numpy")
def _run(limits: Any, moving: Any, stationary: Any, cores: Any, nodes: Any, sources: Any, pes: Any, windows: Any,
         drains: Any, nonzero: Any, ready: Any, tiles: int, results: int, trace: bool, max_cycles: int) -> Any:
    """All cycles of :func:`run`; occupancy, cycles and lanes of the results, totals."""
    rows, cols = limits.mesh_rows, limits.mesh_cols
    count, per_core = rows * cols, limits.pe_rows * limits.pe_cols
    row_start, row_list, entries = cores.row_start, cores.rows, cores.entries
    item_start, item_mask, item_flags = cores.item_start, cores.item_mask, cores.item_flags
    m_near, m_here, m_beyond, m_gaps, m_last = moving.near, moving.here, moving.beyond, moving.gaps, moving.last
    s_near, s_here, s_beyond, s_gaps = stationary.near, stationary.here, stationary.beyond, stationary.gaps
    m_nodes, s_nodes = nodes
    m_sources, s_sources = sources
    popcounts = np.zeros(256, np.int64)
    for i in range(256):
        popcounts[i] = popcounts[i >> 1] + (i & 1)
    counts = np.zeros(windows.size * limits.size, np.int64)
    pipe = np.zeros((count, limits.result_latency + 1), np.int64)
    queue = np.zeros((count, limits.slots), np.int64)
    occupancy = np.zeros((1 << 12 if trace else 1, pes.size), np.uint8)
    result_cycles, result_lanes = np.zeros(results, np.int64), np.zeros(results, np.uint8)
    lost = np.zeros(6, np.int64)
    m_fires, s_fires = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    given, tiles_out, cycle, still = 0, 0, 0, 0
    while tiles_out < tiles:
        if trace and cycle + limits.activity_delay >= occupancy.shape[0]:
            grown = np.zeros((occupancy.shape[0] * 2, pes.size), np.uint8)
            grown[:occupancy.shape[0]] = occupancy
            occupancy = grown
        see(pes, windows, limits.window_groups, limits.release_delay)
        fires(m_nodes, m_near, pes, m_fires, cols, per_core, limits.row_slots, True)
        fires(s_nodes, s_near, pes, s_fires, cols, per_core, limits.item_slots, False)
        drain(drains, pes, limits, nonzero)
        new_results, new_tiles = collect(drains, queue, ready, limits, cycle, result_cycles, result_lanes, given)
        given += new_results
        tiles_out += new_tiles
        moved = new_results != 0
        moved |= queues(drains, pipe, queue, cycle, limits)
        moved |= work(pes, windows, counts, row_start, row_list, entries, item_start, item_mask, item_flags, limits,
                       drains, popcounts, lost, occupancy[cycle + limits.activity_delay if trace else 0], trace)
        load(m_nodes, m_near, m_last, pes, m_fires, cols, per_core, True)
        load(s_nodes, s_near, m_last, pes, s_fires, cols, per_core, False)
        for r in range(rows):
            moved |= advance(m_nodes, m_sources[r], m_here, m_beyond, m_gaps, r * cols, 1, cols, limits.nodes, m_fires)
        for c in range(cols):
            moved |= advance(s_nodes, s_sources[c], s_here, s_beyond, s_gaps, c, cols, rows, limits.nodes, s_fires)
        cycle += 1
        still = 0 if moved else still + 1
        if still > 64 + ready.shape[0] or cycle >= max_cycles:
            break
    totals = np.array([cycle if tiles_out >= tiles else -cycle, tiles_out])
    return occupancy[:cycle], result_cycles[:given], result_lanes[:given], np.concatenate((totals, lost))


@dataclass(frozen=True)
class Outcome:
    """What a run did.

    Attributes
    ----------
    cycles : int
        From the first offered beat to the last result, both included.
    occupancy : uint8[cycles, PEs]
        Threads that are busy in each PE in each cycle; one line without a trace.
    entries, products : int
        Entries that passed through the windows, effectual products.
    busy : int64[PEs]
        Products of each PE.
    result_cycles, result_lanes : int64[results], uint8[results]
        The cycle in which each result is transferred, and on which result link.
    lost : Lost
        Thread slots (threads x cycles) without a product.
    """

    cycles: int
    occupancy: NDArray[np.uint8]
    entries: int
    products: int
    busy: Ints
    result_cycles: Ints
    result_lanes: NDArray[np.uint8]
    lost: Lost


def run(limits: Limits, moving: Beats, stationary: Beats, cores: Cores, nonzero: NDArray[np.bool_],
        ready: NDArray[np.uint8], tiles: int, results: int, trace: bool, max_cycles: int) -> Outcome:
    """Run until ``tiles`` tiles have left.

    Parameters
    ----------
    limits : Limits
    moving, stationary : Beats
    cores : Cores
    nonzero : bool[positions]
        Single core: which drained values are not 0 (zeros leave no beat); empty: every value leaves.
    ready : uint8[n, result links]
        ``ready`` of the result links in cycle c is line c mod n.
    tiles, results : int
        Tiles to wait for (of all cores together), and results at most.
    trace : bool
        Record the occupancy.
    max_cycles : int

    Raises
    ------
    RuntimeError
        Nothing moves any more, or ``max_cycles`` passed.
    """
    count = limits.mesh_rows * limits.mesh_cols
    pes = np.zeros(count * limits.pe_rows * limits.pe_cols, PE)
    windows, drains = np.zeros(len(pes) * limits.window_groups, GROUP), np.zeros(count, DRAIN)
    sources = sources_of(moving), sources_of(stationary)
    nodes = empty_nodes(count), empty_nodes(count)
    occupancy, result_cycles, result_lanes, totals = _run(
        limits, moving, stationary, cores, nodes, sources, pes, windows, drains, nonzero, ready, tiles, results, trace,
        max_cycles)
    cycles, tiles_out, *lost = (int(total) for total in totals)
    if cycles < 0:
        taken = [int((source["next"] - beats.start[:-1]).sum())
                 for source, beats in zip(sources, (moving, stationary), strict=True)]
        raise RuntimeError(f"nothing moves any more in cycle {-cycles}: {tiles_out} of {tiles} tiles drained, "
                           f"{taken[0]} moving and {taken[1]} stationary beats taken")
    busy = pes["busy"].copy()
    return Outcome(cycles, occupancy, int(pes["entries"].sum()), int(busy.sum()), busy, result_cycles, result_lanes,
                   Lost(*lost))
