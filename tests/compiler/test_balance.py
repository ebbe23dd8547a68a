"""Two-level load balancing: every filter is dealt once, and what each level evens out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phantom_compiler.balance import Balance, deal_filters, deal_rows

LEVELS = [Balance(number) for number in range(4)]


def spread(loads) -> float:
    """The heaviest share against the mean."""
    return float((loads.max(axis=-1) / loads.mean(axis=-1)).mean())


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(0, 60), min_size=1, max_size=70), st.integers(1, 4), st.integers(1, 4), st.integers(1, 6),
       st.sampled_from(LEVELS))
def test_every_filter_is_dealt_once(weights, cores, of_core, depth, balance):
    dealt = deal_filters(np.array(weights), cores * of_core, depth, balance, of_core)
    assert dealt.shape[1:] == (cores * of_core, depth)
    np.testing.assert_array_equal(np.sort(dealt[dealt >= 0]), np.arange(len(weights)))
    assert not (np.diff((dealt >= 0).astype(int), axis=2) > 0).any()  # the filters of a column come first


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(0, 60), min_size=1, max_size=70), st.integers(1, 8), st.integers(1, 6))
def test_a_core_alone_has_levels_too(weights, columns, depth):
    """Its tiles are what weighs the same between cores."""
    for balance in LEVELS:
        dealt = deal_filters(np.array(weights), columns, depth, balance)
        np.testing.assert_array_equal(np.sort(dealt[dealt >= 0]), np.arange(len(weights)))


def test_each_level_evens_out_its_own():
    rng = np.random.default_rng(3)
    work = rng.integers(1, 200, 7 * 3 * 5 * 4)
    loads = {}
    for balance in LEVELS:
        dealt = deal_filters(work, 21, 5, balance, 3)
        columns = work[dealt].sum(axis=2).reshape(-1, 7, 3)  # [tiles, cores, columns]
        loads[balance] = spread(columns.sum(axis=2)), spread(columns), spread(columns.reshape(-1, 21))
    none, inter, intra, both = (loads[balance] for balance in LEVELS)
    assert inter[0] < 1.02 < 1.1 < min(none[0], intra[0])  # of the cores of a tile
    assert intra[1] < 1.06 < 1.08 < min(none[1], inter[1])  # of the columns of a core
    assert both[2] < 1.02 < min(inter[2], intra[2])


@pytest.mark.parametrize("balance", LEVELS)
def test_rows_are_dealt_by_their_work_within_a_core(balance):
    rng = np.random.default_rng(4)
    work = rng.integers(0, 50, (60, 3))
    pe_row, start = deal_rows(work, 3, balance)
    loads = np.array([work[pe_row == r].sum() for r in range(3)])
    assert pe_row.shape == start.shape == (60,) and loads.sum() == work.sum()
    if Balance.INTRA_CORE in balance:
        assert spread(loads) < 1.05
    else:
        np.testing.assert_array_equal(pe_row, np.arange(60) % 3)
