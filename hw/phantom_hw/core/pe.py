"""Processing element (PE): one stream of entries, one selector, T threads."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.items import ItemStore
from phantom_hw.core.lam import LookaheadMasking
from phantom_hw.core.layouts import item_layout, layer_layout, moving_layout
from phantom_hw.core.logic import add_small, any_of, lookup, more_than, one_hot_select
from phantom_hw.core.mapper import EntryMapper, TapMapper
from phantom_hw.core.rows import RowValues
from phantom_hw.core.tds import TopDownSelector
from phantom_hw.core.thread import Thread
from phantom_hw.core.window import TILE_BITS, Window, tag_layout

__all__ = ["ProcessingElement"]


class ProcessingElement(wiring.Component):
    """Items and rows in, sums in T accumulator banks (paper sections III-B to III-E).

    Stages: *select* (lookahead masking, window, selector, first half of the mapper), *map* (second half: tap and
    output position of each thread), *fetch* (row values and item operands), *multiply*, *accumulate*. The
    later stages never stall.

    An item is scheduled when its row is complete and its tile is the one to be drained next or the one after. Two
    items at the most (the current and the next) feed the window in a cycle.

    Members
    -------
    layer : In, layer_layout; new_layer : In, 1
        Constant while the PE is busy. ``new_layer`` in the first cycle of another layer, before anything is scheduled.
    row_write : In, 1; row_beat : In; row : In, moving_layout
        A beat of a row for this PE, number ``row_beat`` of its row; only while ``row_ready``.
    row_ready : Out
        A row slot is free. Slots (of rows and items) become free ``RELEASE_DELAY`` cycles after their last group left
        the window.
    item_write : In, 1; item : In, item_layout; item_ready : Out
        An item for this PE.
    drain_tile : In
        Number (modulo 4) of the tile that is drained next or now.
    done : Out
        The PE has nothing left to select of the tile ``drain_tile``.
    hold : In
        Select nothing in this cycle: its slot in the pipeline goes to a drain.
    drain, drain_address : In
        ``DRAIN_DELAY`` cycles after ``hold``, or at any time with ``split_banks``: read and clear an address of all
        banks.
    drained : Out, array of T accumulators
        The values, ``Thread.READ_LATENCY`` cycles later.
    busy : Out
        Items are in the store or the window.
    no_row, no_item : Out
        The window is empty and an item waits for its row, a row for its items (a cycle later).
    activity : Out, T bits
        Threads with a product, ``ACTIVITY_DELAY`` cycles after their selection.

    Latency: ``WRITE_LATENCY`` cycles from selection to the sum in the bank.
    """

    ACTIVITY_DELAY = 1
    RELEASE_DELAY = 1
    DRAIN_DELAY = 3
    WRITE_LATENCY = DRAIN_DELAY + Thread.WRITE_LATENCY

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__(self.ports(config))

    @classmethod
    def ports(cls, config: PhantomConfig) -> wiring.Signature:
        """The signature, for whoever instantiates the PE as a module emitted elsewhere."""
        return wiring.Signature({
            "layer": In(layer_layout(config)),
            "new_layer": In(1),
            "row_write": In(1),
            "row_beat": In(cls.beat_bits(config)),
            "row": In(moving_layout(config)),
            "row_ready": Out(1),
            "item_write": In(1),
            "item": In(item_layout(config)),
            "item_ready": Out(1),
            "drain_tile": In(TILE_BITS),
            "done": Out(1),
            "hold": In(1),
            "drain": In(1),
            "drain_address": In(ceil_log2(config.acc_halves)),
            "drained": Out(data.ArrayLayout(signed(config.acc_width), config.threads)),
            "busy": Out(1),
            "no_row": Out(1),
            "no_item": Out(1),
            "activity": Out(config.threads),
        })

    @staticmethod
    def beat_bits(config: PhantomConfig) -> int:
        """Width of the number of a beat within a row."""
        return max(LookaheadMasking.beat_bits(config), RowValues.beat_bits(config))

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.window = window = Window(config)
        m.submodules.items = items = ItemStore(config)
        m.submodules.rows = rows = RowValues(config)
        m.submodules.lam = lam = LookaheadMasking(config)
        m.submodules.tds = tds = TopDownSelector(config)
        m.submodules.entry_mapper = mapper = EntryMapper(config)
        m.d.comb += [
            tds.entries.eq(window.entries),
            tds.counts.eq(window.counts),
            mapper.entries.eq(window.entries),
            mapper.taken.eq(tds.taken),
            mapper.capacity.eq(tds.capacity),
            window.taken.eq(tds.taken),
            window.finished.eq(tds.finished),
            window.spent.eq(tds.spent),
            window.hold.eq(self.hold),
        ]
        oldest = self._schedule(m, window, items, lam)
        self._load(m, items, rows, lam, oldest)
        self._compute(m, window, items, rows, mapper)
        return m

    def _schedule(self, m: Module, window: Window, items: ItemStore, lam: LookaheadMasking):
        """Walk items and groups into the window; the tag of the oldest thing in it, which frees all before it."""
        config = self._config
        groups = config.window_groups
        current = Signal(tag_layout(config))  # the group to be offered next
        tile = Signal(TILE_BITS)
        loaded = Signal.like(current.row)
        self._loaded = loaded

        rest = Signal(range(config.max_groups + 1), init=1)  # groups the current item still has
        position = Signal.like(current.group)  # the others: layer.groups - rest
        m.d.comb += [current.tile.eq(tile), current.group.eq(position)]

        head_a, head_b = items.heads
        row_b, item_b, tile_b = Signal.like(current.row), Signal.like(current.item), Signal(TILE_BITS)
        ready_a, ready_b = Signal(), Signal()

        def open_tile(number):
            """At most two tiles of items beyond a drain that is not finished."""
            return lookup([number, self.drain_tile], lambda n, drained: (n - drained) % 4 < 2, 1)

        m.d.comb += [
            item_b.eq(add_small(current.item, 1, len(item_b))),
            row_b.eq(add_small(current.row, head_a.row_last, len(row_b))),
            tile_b.eq(add_small(tile, head_a.tile_last, TILE_BITS)),
            ready_a.eq(items.waiting[0] & (loaded != current.row) & open_tile(tile)),
            # what A ends is read from the store, so it only chooses between comparisons that are there already
            ready_b.eq(items.waiting[1]
                       & Mux(head_a.row_last, loaded != add_small(current.row, 1, len(loaded)), loaded != current.row)
                       & Mux(head_a.tile_last, open_tile(add_small(tile, 1, TILE_BITS)), open_tile(tile))),
            items.current.eq(current.item),
            lam.slot_a.eq(current.row), lam.mask_a.eq(head_a.mask), lam.position.eq(current.group),
            lam.slot_b.eq(row_b), lam.mask_b.eq(head_b.mask), lam.rest.eq(rest),
            window.offered.eq(lam.offered),
        ]
        for i in range(groups):
            # the places offered: to A up to its rest, to B up to its number of groups
            of_a, of_b = more_than(rest, i), Const(0)
            if i:
                of_b = any_of([(rest == r) & more_than(self.layer.groups, i - r) for r in range(1, i + 1)])
            tag = window.offered_tags[i]
            if i < config.refill_groups:
                m.d.comb += window.available[i].eq(ready_a & (of_a | (ready_b & of_b)))
            m.d.comb += [tag.eq(current), tag.group.eq(add_small(current.group, i, len(tag.group)))]
            with m.If(~of_a):
                low = rest[:ceil_log2(i + 1)]  # rest is at most i here
                m.d.comb += [
                    tag.item.eq(item_b), tag.row.eq(row_b), tag.tile.eq(tile_b),
                    tag.group.eq(lookup([low], lambda r, i=i: i - r, len(tag.group))),
                ]

        # `consumed` comes last in the cycle: where each of its values leads is known before, and one is chosen
        layer_groups = self.layer.groups
        unary = [Const(1), *window.consumed, Const(0)]
        exactly = [unary[n] & ~unary[n + 1] for n in range(groups + 1)]
        ends_a, ends_b = [Const(0)], [Const(0)]  # for each number consumed: item A is through, item B is through
        rests, positions = [rest], [position]
        for consumed in range(1, groups + 1):
            into_b = lookup([rest[:ceil_log2(consumed + 1)]], lambda r, c=consumed: c - r, len(rest))
            inside = more_than(rest, consumed)
            through = ~inside & (into_b == layer_groups)
            left = Signal(len(rest), name=f"rest_after_{consumed}")
            m.d.comb += left.eq(Mux(inside, add_small(rest, -consumed, len(rest)),
                                    Mux(through, layer_groups, layer_groups - into_b)))
            rests.append(left)
            after = Signal(len(position), name=f"position_after_{consumed}")
            m.d.comb += after.eq(Mux(inside, add_small(position, consumed, len(position)), Mux(through, 0, into_b)))
            positions.append(after)
            ends_a.append(~inside)
            ends_b.append(through)
        next_b, next_c = Signal(), Signal()  # the current item will be B, or the one after B
        m.d.comb += [
            next_c.eq(any_of([chosen & end for chosen, end in zip(exactly, ends_b, strict=True)])),
            next_b.eq(any_of([chosen & end for chosen, end in zip(exactly, ends_a, strict=True)]) & ~next_c),
        ]
        m.d.sync += [rest.eq(one_hot_select(exactly, rests)), position.eq(one_hot_select(exactly, positions))]
        here = Cat(current.item, current.row, tile)
        behind_b = Cat(add_small(current.item, 2, len(item_b)), add_small(row_b, head_b.row_last, len(row_b)),
                       add_small(tile_b, head_b.tile_last, TILE_BITS))
        m.d.sync += here.eq(Mux(next_c, behind_b, Mux(next_b, Cat(item_b, row_b, tile_b), here)))
        with m.If(self.new_layer):
            m.d.sync += [rest.eq(layer_groups), position.eq(0)]
        oldest = Signal(tag_layout(config))
        empty = Signal()
        m.d.comb += [
            empty.eq(~window.present[0]),
            oldest.eq(Mux(empty, current, window.tags[0])),
            self.done.eq(Mux(empty, tile != self.drain_tile, oldest.tile != self.drain_tile[0])),
            self.busy.eq(~items.empty),
        ]
        m.d.sync += [
            self.no_row.eq(empty & items.waiting[0] & (loaded == current.row)),
            self.no_item.eq(empty & ~items.waiting[0] & (loaded != current.row)),
        ]
        # threads read row and item in the fetch stage: what they use is given back one cycle after it left the window
        released = Signal(tag_layout(config))
        m.d.sync += released.eq(oldest)
        m.d.comb += [items.live.eq(released.item), items.live_next.eq(oldest.item)]
        return oldest

    def _load(self, m: Module, items: ItemStore, rows: RowValues, lam: LookaheadMasking, oldest):
        """Take beats of rows and items into their stores."""
        loaded = self._loaded
        # a register, because the beat waits for all PEs that it names: the way through them is long
        full, complete = Signal(), Signal()
        slots = self._config.row_slots
        m.d.comb += complete.eq(self.row_write & self.row.last)
        m.d.sync += full.eq(Mux(complete, add_small(loaded, 1, len(loaded)) ^ oldest.row == slots,
                                loaded ^ oldest.row == slots))
        m.d.comb += [
            self.row_ready.eq(~full),
            rows.write_slot.eq(loaded), rows.write_beat.eq(self.row_beat), rows.values.eq(self.row.values),
            lam.write_slot.eq(loaded), lam.write_beat.eq(self.row_beat), lam.write_mask.eq(self.row.mask),
            items.push.eq(self.item_write), items.item.eq(self.item),
            self.item_ready.eq(~items.full),
        ]
        # a row has as many beats as its values or its masks need: the store that is full ignores the rest
        for store in (rows, lam):
            beyond = self.row_beat[len(store.write_beat):].any()
            m.d.comb += store.write.eq(self.row_write & ~beyond)
        with m.If(complete):
            m.d.sync += loaded.eq(loaded + 1)

    def _compute(self, m: Module, window: Window, items: ItemStore, rows: RowValues, mapper: EntryMapper):
        """The stages behind the selection."""
        config = self._config
        size, groups = config.group, config.window_groups
        m.submodules.tap_mapper = taps = TapMapper(config)
        tags = Signal.like(window.tags, reset_less=True)
        m.d.sync += [taps.entries.eq(window.masks), taps.hits.eq(mapper.hits), tags.eq(window.tags)]
        with m.If(self.hold):
            m.d.sync += taps.hits.eq(0)
        m.d.comb += self.activity.eq(taps.valid)

        bits = ceil_log2(config.row_width)
        for k in range(config.threads):
            hits = taps.hits[k]
            # map: the thread's item, row slot, output position and half of the bank
            tag = Signal(tag_layout(config), name=f"tag{k}")
            in_group = [hits[g * size:(g + 1) * size].any() for g in range(groups)]
            m.d.comb += tag.eq(one_hot_select(in_group, [tags[g] for g in range(groups)]))
            within = Cat(*(any_of([hits[i] for i in range(config.lookahead) if (i % size) >> bit & 1])
                           for bit in range(ceil_log2(size))))
            first = lookup([tag.group], lambda group: group * size, bits)
            place = Cat(within, tag.group) if size & (size - 1) == 0 else (first + within)[:bits]
            tap = Signal(ceil_log2(config.threads), name=f"tap{k}")
            slot = Signal(ceil_log2(config.row_slots), name=f"slot{k}")
            item = Signal(ceil_log2(config.item_slots), name=f"item{k}")
            position = Signal(bits, name=f"position{k}")
            half, valid = Signal(name=f"half{k}"), Signal(name=f"valid{k}")
            m.d.sync += [
                tap.eq(taps.tap[k]), slot.eq(tag.row), item.eq(tag.item), position.eq(place), half.eq(tag.tile),
                valid.eq(taps.valid[k]),
            ]
            # fetch
            base = Array(self.layer.tap_base[t] for t in range(config.threads))[tap]
            m.d.comb += [
                rows.read[k].eq(valid), rows.read_slot[k].eq(slot), rows.read_position[k].eq(base + position),
                items.read_item[k].eq(item),
            ]
            tap2, position2, half2, valid2 = (Signal.like(s, name=f"{s.name}_2") for s in (tap, position, half, valid))
            m.d.sync += [tap2.eq(tap), position2.eq(position), half2.eq(half), valid2.eq(valid)]
            # multiply and accumulate
            m.submodules[f"thread{k}"] = thread = Thread(config)
            operands = items.operands[k]
            output = (operands.dest + position2)[:len(operands.dest)]
            m.d.comb += [
                thread.valid.eq(valid2),
                thread.moving.eq(rows.read_values[k]),
                thread.stationary.eq(Array(operands.values[t] for t in range(config.threads))[tap2]),
                thread.address.eq(Cat(output, half2)),
                thread.moving_signed.eq(self.layer.moving_signed),
                thread.stationary_signed.eq(self.layer.stationary_signed),
                thread.drain.eq(self.drain),
                thread.drain_address.eq(self.drain_address),
                self.drained[k].eq(thread.drained),
            ]
        return m
