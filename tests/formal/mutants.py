"""The seeded faults. Every assertion of every proof is needed by at least one of them."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux

from .axi_mutants import AXI_MUTANTS
from .control_mutants import CONTROL_MUTANTS
from .lifetime import Lifetime
from .mapping import Mapping
from .nodes import Forking, Merging
from .on_chip_mutants import ON_CHIP_MUTANTS
from .path import SelectorPath
from .proof import count_ones
from .queues import Queueing, Reserving, WordQueueing
from .selection import Selection
from .tamper import Mutant, seeded

__all__ = ["MUTANTS"]

MUTANTS: list[Mutant] = [*AXI_MUTANTS, *ON_CHIP_MUTANTS, *CONTROL_MUTANTS]


def _swap(values, first: int, second: int, condition):
    """The values with two of them exchanged where the condition holds."""
    values = list(values)
    values[first], values[second] = (
        Mux(condition, values[second], values[first]), Mux(condition, values[first], values[second]))
    return Cat(*values)


def _finished(config, entries, taken, ignored=()):
    """The groups from the top of which nothing is left, but for entries that the fault ignores."""
    done = [~entries[i].any() | taken[i] for i in range(config.lookahead)]
    return Cat(Cat(done[i] for i in range(g * config.group) if i not in ignored).all()
               for g in range(1, config.window_groups + 1))


def _last_of_groups(config):
    return range(config.group - 1, config.lookahead, config.group)


# --- selector ---------------------------------------------------------------------------------------------


@seeded(MUTANTS, "selector", {Selection: "fits_threads"})
def forgets_to_subtract(config, real, port):
    """The top entry takes nothing off the capacity."""
    return {
        "entries": Cat(port.entries[i] if i else 0 * port.entries[0] for i in range(config.lookahead)),
        "taken": Cat(port.entries[0].any(), real.taken[1:]),
    }


@seeded(MUTANTS, "selector", {Selection: "longest_run"}, where={"tds": "in_order"}, inner={"tds": "out_of_order"})
def passes_over(config, real, port):
    """In order, the selector goes on below an entry that does not fit."""
    return {}


@seeded(MUTANTS, "selector", {Selection: "takes_what_fits"}, where={"tds": "out_of_order"}, inner={"tds": "in_order"})
def stops_early(config, real, port):
    """Out of order, the selector stops at an entry that does not fit."""
    return {}


@seeded(MUTANTS, "selector", {Selection: "empty_never_taken"})
def takes_empty(config, real, port):
    """Empty entries fit, so they are reported as taken."""
    return {"taken": real.taken | Cat(~port.entries[i].any() for i in range(config.lookahead))}


@seeded(MUTANTS, "selector", {Selection: "topmost_taken"})
def full_entry_waits(config, real, port):
    """An entry fits only if it leaves something of the capacity: less than instead of at most."""
    return {"taken": Cat(real.taken[0] & ~port.entries[0].all(), real.taken[1:])}


@seeded(MUTANTS, "selector", {Selection: "finished_groups"})
def finished_early(config, real, port):
    """A group counts as finished although its last entry is left."""
    return {"finished": _finished(config, port.entries, real.taken, _last_of_groups(config))}


@seeded(MUTANTS, "selector", {Selection: "spent_in_runs"})
def last_run_free(config, real, port):
    """What is taken of the last entries is not reported as spent."""
    return {"spent": Cat(*list(real.spent)[:-1])}


@seeded(MUTANTS, "selector", {Selection: "capacity_above"})
def capacity_below(config, real, port):
    """The capacity reported is the one below the entry instead of above."""
    return {"capacity": Cat(real.capacity[i] - count_ones(port.entries[i]) for i in range(config.lookahead))}


@seeded(MUTANTS, "selector", {Lifetime: "retires"})
def waits_for_a_full_cycle(config, real, port):
    """The selector takes nothing unless all threads get work."""
    used = sum((Mux(real.taken[i], count_ones(port.entries[i]), 0) for i in range(config.lookahead)), 0 * real.taken)
    idle = used < config.threads
    return {"taken": Mux(idle, 0, real.taken), "finished": Mux(idle, 0, real.finished)}


@seeded(MUTANTS, "selector", {Lifetime: "turn_comes"})
def bottom_up(config, real, port):
    """The selector walks from the youngest entry: an old one may wait for ever."""
    return {"entries": Cat(port.entries[i] for i in reversed(range(config.lookahead))),
            "taken": real.taken[::-1], "finished": _finished(config, port.entries, real.taken[::-1])}


# --- mapper -----------------------------------------------------------------------------------------------


@seeded(MUTANTS, "entry_mapper", {Mapping: "threads_from_zero"})
def next_thread(config, real, port):
    """Off by one: each product goes to the next thread, the last thread's to thread 0."""
    return {"hits": Cat(real.hits[(k - 1) % config.threads] for k in range(config.threads))}


@seeded(MUTANTS, "entry_mapper", {Mapping: "one_entry_a_thread"})
def two_entries(config, real, port):
    """Thread 1 is told thread 0's entry too."""
    return {"hits": Cat(real.hits[0], real.hits[0] | real.hits[1], *list(real.hits)[2:])}


@seeded(MUTANTS, "entry_mapper", {SelectorPath: "at_least_once"})
def last_thread_idle(config, real, port):
    """The last thread never gets work."""
    return {"hits": Cat(*list(real.hits)[:-1])}


@seeded(MUTANTS, "entry_mapper", {SelectorPath: "not_in_advance"})
def serves_what_does_not_fit(config, real, port):
    """A thread left over starts on the last entry although it was not taken."""
    spare = ~real.hits[config.threads - 1].any() & ~port.taken[-1] & port.entries[config.lookahead - 1].any()
    return {"hits": Cat(*list(real.hits)[:-1], Mux(spare, 1 << config.lookahead - 1, real.hits[config.threads - 1]))}


@seeded(MUTANTS, "tap_mapper", {Mapping: "index_is_the_hit"})
def wrong_index(config, real, port):
    """Thread 0 names the neighbour of its entry."""
    return {"index": real.index.as_value() ^ 1}


@seeded(MUTANTS, "tap_mapper", {Mapping: "pairs_are_selected", SelectorPath: "only_its_product"})
def mirrored_taps(config, real, port):
    """Taps are counted from the wrong end."""
    return {"tap": Cat((config.threads - 1 - real.tap[k])[:len(real.tap[k])] for k in range(config.threads))}


@seeded(MUTANTS, "tap_mapper", {Mapping: "each_bit_once", SelectorPath: "one_thread"})
def rank_forgotten(config, real, port):
    """The second thread of an entry works on its first set bit again."""
    same = real.index[0] == real.index[1]
    return {"tap": Cat(real.tap[0], Mux(same, real.tap[0], real.tap[1]), *list(real.tap)[2:])}


@seeded(MUTANTS, "tap_mapper", {Mapping: "top_down"})
def threads_exchanged(config, real, port):
    """Threads 0 and 1 work on each other's product."""
    return {"tap": _swap(real.tap, 0, 1, real.valid[1]), "index": _swap(real.index, 0, 1, real.valid[1])}


# --- window -----------------------------------------------------------------------------------------------


@seeded(MUTANTS, "window", {Lifetime: "present_unary", SelectorPath: "present_unary"})
def head_not_present(config, real, port):
    """A full window does not show its head as present."""
    return {"present": Cat(real.present[0] & ~real.present[-1], real.present[1:])}


@seeded(MUTANTS, "window", {Lifetime: "order", SelectorPath: "order"})
def entering_group_overwritten(config, real, port):
    """Where two groups enter, the first overwrites the second."""
    offered, tags = list(port.offered), list(port.offered_tags)
    offered[1], tags[1] = offered[0], tags[0]
    return {"offered": Cat(*(value.as_value() for value in offered)),
            "offered_tags": Cat(*(value.as_value() for value in tags))}


@seeded(MUTANTS, "window", {Lifetime: "absent_zero", SelectorPath: "absent_zero"})
def stale_entries(config, real, port):
    """The last place of the window keeps showing bits when its group has left."""
    return {"entries": Cat(*list(real.entries)[:-1], real.entries[config.lookahead - 1] | ~real.present[-1])}


@seeded(MUTANTS, "window", {Lifetime: "counts_match", SelectorPath: "counts_match"})
def count_of_the_first_kept(config, real, port):
    """What is taken of the first entries is not taken off their count."""
    return {"spent": Cat(0 * port.spent[0], *list(port.spent)[1:])}


@seeded(MUTANTS, "window", {Lifetime: "consumes_what_fits"})
def room_ignored(config, real, port):
    """All available groups are consumed, room or not: those that find none are lost."""
    return {"consumed": Mux(port.hold, 0, port.available)}


@seeded(MUTANTS, "window", {Lifetime: "hold_freezes"})
def hold_ignored(config, real, port):
    """The window goes on although it is held."""
    return {"hold": port.hold & ~port.hold}


@seeded(MUTANTS, "window", {Lifetime: "level_counts"})
def leaves_late(config, real, port):
    """A head group with nothing left stays as long as the window is full."""
    return {"finished": Mux(real.present[-1], 0, port.finished)}


@seeded(MUTANTS, "window", {Lifetime: "enters", SelectorPath: "enters"})
def lost_on_the_way(config, real, port):
    """A single group that is offered to an empty window is consumed but does not arrive."""
    single = ~real.present.any() & (port.available == 1) & ~port.hold
    return {"available": Mux(single, 0, port.available), "consumed": Mux(single, 1, real.consumed)}


@seeded(MUTANTS, "window", {Lifetime: "mask_kept", SelectorPath: "mask_kept"})
def bit_lost_in_waiting(config, real, port):
    """The first entry loses its first bit while the window is full."""
    first = real.entries.as_value()
    return {"entries": Cat(first[0] & ~real.present[-1], first[1:])}


@seeded(MUTANTS, "window", {Lifetime: "taken_once", SelectorPath: "at_most_once"})
def taken_entry_stays(config, real, port):
    """The second entry of the window is not cleared when it is taken."""
    return {"taken": Cat(port.taken[0], 0 * port.taken[1], port.taken[2:])}


@seeded(MUTANTS, "window", {Lifetime: "leaves_when_done", SelectorPath: "leaves_when_done"})
def leaves_early(config, real, port):
    """A group leaves although its last entry is left."""
    return {"finished": _finished(config, real.entries, port.taken, _last_of_groups(config))}


# --- nodes of the mesh ------------------------------------------------------------------------------------


@seeded(MUTANTS, "fork", {Forking: "core_in_order"})
def core_served_twice(config, real, port):
    """The core is offered a packet again while the next node still waits for it."""
    again = real.sink.valid & real.sink.payload.here
    return {"core.valid": real.core.valid | again,
            "core.payload": Mux(again, real.sink.payload.as_value(), real.core.payload.as_value())}


@seeded(MUTANTS, "fork", {Forking: "sink_in_order"})
def next_node_left_out(config, real, port):
    """A packet that the core waits for does not travel on."""
    return {"sink.valid": real.sink.valid & ~real.core.valid, "sink.ready": port.sink.ready | real.core.valid}


@seeded(MUTANTS, "fork", {Forking: "offer_stays"})
def core_sees_the_source(config, real, port):
    """The offer at the core disappears when the source offers something."""
    return {"core.valid": real.core.valid & ~port.source.valid, "core.ready": port.core.ready & ~port.source.valid}


@seeded(MUTANTS, "fork", {Forking: "drains"})
def last_packet_kept(config, real, port):
    """A packet is offered only when the next one has come."""
    more = port.source.valid | ~real.source.ready
    return {"core.valid": real.core.valid & more, "core.ready": port.core.ready & more,
            "sink.valid": real.sink.valid & more, "sink.ready": port.sink.ready & more}


@seeded(MUTANTS, "merge", {Merging: "in_order"})
def numbers_exchanged(config, real, port):
    """The last packet of a burst of the core leaves with a wrong number while the node before offers one, too."""
    payload = port.core.payload
    return {"core.payload": Cat(payload.number ^ (port.source.valid & payload.last), payload.core, payload.last)}


@seeded(MUTANTS, "merge", {Merging: "bursts_whole"})
def bursts_mixed(config, real, port):
    """Every packet of the core counts as the end of a burst, inside and outside."""
    payload = port.core.payload
    return {"core.payload": Cat(payload.number, payload.core, payload.core),
            "sink.payload": Cat(real.sink.payload.number, real.sink.payload.core,
                                real.sink.payload.last & ~real.sink.payload.core)}


@seeded(MUTANTS, "merge", {Merging: "turns"})
def core_comes_first(config, real, port):
    """The node before is heard only while the core has nothing to say."""
    return {"source.valid": port.source.valid & ~port.core.valid,
            "source.ready": real.source.ready & ~port.core.valid}


@seeded(MUTANTS, "merge", {Merging: "offer_stays"})
def sink_sees_the_core(config, real, port):
    """The offer at the sink disappears when the core offers something."""
    return {"sink.valid": real.sink.valid & ~port.core.valid, "sink.ready": port.sink.ready & ~port.core.valid}


@seeded(MUTANTS, "merge", {Merging: "drains"})
def packet_of_the_core_kept(config, real, port):
    """A packet at the sink waits until the core offers the next."""
    return {"sink.valid": real.sink.valid & port.core.valid, "sink.ready": port.sink.ready & port.core.valid}


# --- stream buffers ---------------------------------------------------------------------------------------

BOTH = (Queueing, WordQueueing)


@seeded(MUTANTS, "queue", dict.fromkeys(BOTH, "in_order"))
def full_queue_takes_one(config, real, port):
    """While the queue is full, one more counts as taken, and is lost."""
    return {"source.ready": 1}


@seeded(MUTANTS, "queue", dict.fromkeys(BOTH, "offer_stays"))
def sink_sees_the_source(config, real, port):
    """The offer disappears when the source offers something."""
    return {"sink.valid": real.sink.valid & ~port.source.valid, "sink.ready": port.sink.ready & ~port.source.valid}


@seeded(MUTANTS, "queue", dict.fromkeys(BOTH, "room"))
def one_at_a_time(config, real, port):
    """The queue takes nothing while it offers something."""
    return {"source.ready": real.source.ready & ~real.sink.valid, "source.valid": port.source.valid & ~real.sink.valid}


@seeded(MUTANTS, "queue", dict.fromkeys(BOTH, "drains"))
def last_one_kept(config, real, port):
    """What is inside is offered only when more has come."""
    return {"sink.valid": real.sink.valid & port.source.valid, "sink.ready": port.sink.ready & port.source.valid}


@seeded(MUTANTS, "queue", {Queueing: "busy_while_inside"})
def busy_without_the_places(config, real, port):
    """Only what is offered counts as inside."""
    return {"busy": real.sink.valid}


@seeded(MUTANTS, "queue", {WordQueueing: "busy_while_inside"})
def empty_without_the_places(config, real, port):
    """Only what is offered counts as inside."""
    return {"empty": ~real.sink.valid}


@seeded(MUTANTS, "results", {Reserving: "in_order"})
def pushed_on_top(config, real, port):
    """What is pushed while something is offered gets a wrong number."""
    return {"payload": port.payload.number ^ real.result.valid}


@seeded(MUTANTS, "results", {Reserving: "offer_stays"})
def sink_sees_the_push(config, real, port):
    """The offer disappears when something is pushed."""
    return {"result.valid": real.result.valid & ~port.push, "result.ready": port.result.ready & ~port.push}


@seeded(MUTANTS, "results", {Reserving: "counted"})
def taken_whether_valid_or_not(config, real, port):
    """A ready sink counts as having taken something."""
    return {"taken": port.result.ready}


@seeded(MUTANTS, "results", {Reserving: "drains"})
def last_result_kept(config, real, port):
    """A result is offered only when the next one is pushed."""
    return {"result.valid": real.result.valid & port.push, "result.ready": port.result.ready & port.push}
