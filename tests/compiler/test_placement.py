"""Where pieces of a layer lie in the memories on the chip: never on something that is still needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from phantom_compiler.accelerator.placement import Held, Placement, Region, Sizes
from phantom_hw import PhantomConfig

CONFIG = PhantomConfig(program_words=64, stationary_words=64)
HEADER = 2


def places(region: Region, size: int) -> set[int]:
    return {place % size for place in range(region.start, region.start + region.length)}


def packets(region: Region) -> set[int]:
    return places(region, CONFIG.stationary_words)


@st.composite
def layers(draw):
    """Sizes of the pieces of a layer; some come several times."""
    most = draw(st.sampled_from([8, 32, 64]))
    kinds = draw(st.lists(st.tuples(st.integers(1, most), st.integers(0, most)), min_size=1, max_size=5))
    return [Sizes((0, number), *kinds[number]) for _ in range(draw(st.integers(1, 3))) for number in range(len(kinds))]


@given(layers(), layers(), st.integers(0, 63))
def test_what_is_loaded_ahead_meets_nothing_that_is_read(before, after, start):
    first = Placement(CONFIG, before, HEADER, Held(packets=Region(start, 0)))
    second = Placement(CONFIG, after, HEADER, first.held)
    last = len(before) - 1
    if second.program_early:
        assert not (places(first.program(last), CONFIG.program_words)
                    & places(second.program(0), CONFIG.program_words))
    if second.packets_early:
        header = {(second.header + i) % CONFIG.stationary_words for i in range(HEADER)}
        assert not packets(first.packets(last)) & (header | packets(second.packets(0)))
        assert not header & packets(second.packets(0))


@given(layers(), st.integers(0, 63))
def test_pieces_that_follow_each_other_do_not_meet(pieces, start):
    placed = Placement(CONFIG, pieces, HEADER, Held(packets=Region(start, 0)))
    for i in range(len(pieces)):
        assert placed.program(i).start + placed.program(i).length <= CONFIG.program_words
        if placed.alternates and i:
            assert not (places(placed.program(i - 1), CONFIG.program_words)
                        & places(placed.program(i), CONFIG.program_words))
            if pieces[i].key != pieces[i - 1].key or not placed.resident:
                assert not packets(placed.packets(i - 1)) & packets(placed.packets(i))
    if placed.resident:
        sets = {piece.key: placed.packets(i) for i, piece in enumerate(pieces)}
        assert sum(region.length for region in sets.values()) == len(set().union(*map(packets, sets.values())))


def test_small_layers_are_loaded_ahead():
    small = [Sizes((0, 0), 8, 8), Sizes((1, 0), 8, 8)]
    first = Placement(CONFIG, small, HEADER, Held())
    second = Placement(CONFIG, small, HEADER, first.held)
    assert first.resident and second.resident and second.program_early and second.packets_early
    large = Placement(CONFIG, [Sizes((0, 0), 64, 64)], HEADER, Held())
    third = Placement(CONFIG, small, HEADER, large.held)
    assert not third.program_early and not third.packets_early
