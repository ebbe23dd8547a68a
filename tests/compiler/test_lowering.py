"""Lowered layers, executed by the interpreter, against the golden operators."""

from dataclasses import replace

import numpy as np
import pytest
from phantom_compiler import Conv1d, Conv2d, FullyConnected, Selection, Sharing, Tiling, TransposedConv2d, lower
from phantom_compiler.balance import Balance
from phantom_compiler.geometry import RowGeometry
from phantom_compiler.random_layers import KINDS, random_layer
from phantom_compiler.reference import interpret
from phantom_hw.config import PhantomConfig

CONFIGS = {
    **{name: PhantomConfig.preset(name) for name in ("tiny", "icebreaker", "ulx3s", "paper")},
    "smallest": PhantomConfig(threads=1, pe_rows=1, pe_cols=1, lookahead=4, group=4, moving_link=1, row_width=8,
                              acc_depth=16, item_slots=4, row_slots=2),
    "wide": PhantomConfig(threads=8, pe_rows=4, pe_cols=2, lookahead=10, group=5, moving_link=16),
    "mixed": PhantomConfig(threads=4, pe_rows=2, pe_cols=5, act_width=4, weight_width=16, acc_width=20,
                           moving_link=4, row_width=20),
    "columns": PhantomConfig(threads=2, pe_rows=1, pe_cols=8, lookahead=6, group=1, moving_link=32, row_width=64,
                             acc_depth=32),
    "rows": PhantomConfig(threads=5, pe_rows=8, pe_cols=1, act_width=16, weight_width=4, moving_link=1, row_width=5,
                          acc_depth=4096, tds="in_order"),
    "deep": PhantomConfig(threads=7, lookahead=18, group=9, row_width=256, acc_depth=1024, act_width=16,
                          weight_width=16, acc_width=40),
}


def sparse(rng, shape, density, low, high):
    return rng.integers(low, high, shape) * (rng.random(shape) < density)


def check(layer, activations, config, select=None, **options):
    """The program of a layer gives the golden accumulators, and no more products than it says."""
    program = lower(layer, activations, config, select=select, **options)
    results, products = interpret(
        config, program.layer_words(), program.moving_words(), program.stationary_words(), program.tiles)
    expected = layer.selected(layer.golden(activations), select)
    assembled = program.assemble(results)
    assert assembled.shape == expected.shape
    np.testing.assert_array_equal(assembled, expected)
    assert products == program.effectual_macs
    assert program.moving_ends[-1] == len(program.moving["last"])
    assert program.stationary_ends[-1] == len(program.stationary["pe_row"])
    places = program.out_index[program.out_index >= 0]
    np.testing.assert_array_equal(np.sort(places), np.arange(expected.size))
    return program


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CONFIGS)
def test_random_layers(name, kind):
    config = CONFIGS[name]
    seed = [list(CONFIGS).index(name), KINDS.index(kind), 1]
    rng = np.random.default_rng(seed)
    layer, activations = random_layer(rng, config, kind, cycles=(100, 800))
    program = check(layer, activations, config, balance=Balance(int(rng.integers(4))))
    effectual = type(layer).golden(_ones(layer), (activations != 0).astype(np.int64)).sum()
    assert program.effectual_macs == effectual


def _ones(layer):
    """The layer with 1 for each nonzero weight: its result counts products."""
    return replace(layer, weights=(layer.weights != 0).astype(np.int64))


def test_random_layers_are_reproducible():
    config = CONFIGS["tiny"]
    for kind in KINDS:
        (first, a), (second, b) = (random_layer(np.random.default_rng(5), config, kind) for _ in range(2))
        np.testing.assert_array_equal(first.weights, second.weights)
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("sharing", [Sharing.POSITIONS, Sharing.FILTERS])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 1), (11, 1), (11, 2), (4, 3)])
@pytest.mark.parametrize(("taps", "parts"), [(3, 1), (2, 1), (1, 3), (1, 2)])
@pytest.mark.parametrize("merged", [True, False])
def test_every_tiling_gives_the_same(sharing, width, height, taps, parts, merged):
    config = PhantomConfig(row_width=80, acc_depth=128)
    rng = np.random.default_rng(3)
    layer = Conv2d(sparse(rng, (5, 3, 3, 3), 0.4, -128, 128), stride=(1, 2), padding=(1, 0, 1, 2), dilation=(2, 1))
    activations = sparse(rng, (2, 3, 7, 21), 0.5, 0, 256)
    geometry = RowGeometry(3, 2, 1, taps, parts, width, height, merged)
    tiling = Tiling(geometry, sharing, 128 // geometry.positions if sharing is Sharing.FILTERS else 2)
    check(layer, activations, config, tiling=tiling)


@pytest.mark.parametrize("depth", [1, 2, 6])
@pytest.mark.parametrize("groups", [1, 2, 5, 12])
@pytest.mark.parametrize("per_group", [1, 3])
def test_columns_take_whole_groups(depth, groups, per_group):
    config = PhantomConfig(pe_cols=4)
    rng = np.random.default_rng(4)
    layer = Conv2d(sparse(rng, (groups * per_group, 2, 3, 3), 0.4, -128, 128), groups=groups, padding=(1, 1, 1, 1))
    activations = sparse(rng, (1, 2 * groups, 4, 6), 0.5, 0, 256)
    tiling = Tiling(RowGeometry(3, 1, 1, 3, 1, 6, 1, True), Sharing.NOTHING, depth * per_group)
    check(layer, activations, config, tiling=tiling)


CONV = Conv2d(sparse(np.random.default_rng(0), (8, 4, 3, 3), 0.5, -8, 8), stride=(2, 1), padding=(1, 1, 1, 1))
CONV_X = sparse(np.random.default_rng(1), (2, 4, 13, 9), 0.5, 0, 256)


@pytest.mark.parametrize("select", [
    Selection(), Selection(rows=(0, 1)), Selection(rows=(2, 6)), Selection(channels=(3, 4)),
    Selection(rows=(6, 7), channels=(1, 8)),
])
def test_slices_of_a_convolution(select):
    check(CONV, CONV_X, CONFIGS["tiny"], select)


def test_slices_of_other_layers():
    rng, config = np.random.default_rng(2), CONFIGS["tiny"]
    select = Selection(rows=(1, 4), channels=(2, 6))
    grouped = Conv2d(sparse(rng, (8, 2, 3, 3), 0.5, -8, 8), groups=4)
    check(grouped, sparse(rng, (1, 8, 9, 9), 0.5, 0, 99), config, select)
    check(Conv2d(sparse(rng, (8, 5, 1, 1), 0.5, -8, 8), stride=(2, 2)), sparse(rng, (1, 5, 9, 9), 0.5, 0, 99), config,
          select)
    check(Conv1d(sparse(rng, (8, 2, 5), 0.5, -8, 8), stride=2, padding=(2, 2)), sparse(rng, (1, 2, 20), 0.5, 0, 99),
          config, select)
    check(TransposedConv2d(sparse(rng, (3, 8, 3, 3), 0.5, -8, 8), stride=(2, 2)), sparse(rng, (1, 3, 4, 4), 0.5, 0, 99),
          config, select)
    check(FullyConnected(sparse(rng, (9, 31), 0.5, -8, 8)), sparse(rng, (5, 31), 0.5, 0, 99), config, select)


@pytest.mark.parametrize("layer", [
    Conv2d(np.zeros((4, 2, 3, 3), int)), Conv2d(np.ones((4, 2, 3, 3), int)),
    FullyConnected(np.ones((5, 7), int)),
])
def test_nothing_effectual_gives_zeros(layer):
    config = CONFIGS["tiny"]
    rng = np.random.default_rng(0)
    weights_zero = not layer.weights.any()
    shape = (2, 7) if isinstance(layer, FullyConnected) else (1, 2, 5, 6)
    activations = rng.integers(1, 9, shape) if weights_zero else np.zeros(shape, int)
    program = check(layer, activations, config)
    assert program.effectual_macs == 0
    # a row of zeros and an empty item for each PE row and tile
    assert len(program.moving["last"]) == len(program.stationary["pe_row"]) == program.tiles * config.pe_rows


def test_one_filter_leaves_columns_without_work():
    rng = np.random.default_rng(7)
    layer = Conv2d(sparse(rng, (1, 4, 3, 3), 0.3, -8, 8))
    activations = sparse(rng, (1, 4, 6, 12), 0.3, 0, 99)
    tiling = Tiling(RowGeometry(3, 1, 1, 3, 1, 10, 1, True), Sharing.POSITIONS, 1)
    check(layer, activations, PhantomConfig(pe_rows=5, pe_cols=3), tiling=tiling)


def test_balance_evens_out_the_columns():
    rng = np.random.default_rng(8)
    density = np.linspace(0.02, 0.6, 24)[:, None, None, None]
    weights = rng.integers(1, 9, (24, 16, 3, 3)) * (rng.random((24, 16, 3, 3)) < density)
    layer, activations = Conv2d(weights), rng.integers(1, 9, (1, 16, 6, 12))
    config = PhantomConfig()
    tiling = Tiling(RowGeometry(3, 1, 1, 3, 1, 10, 1, True), Sharing.POSITIONS, 4)

    def busiest(balance):
        """Sum over the tiles of the most products that a PE has, at one position."""
        program = check(layer, activations, config, balance=balance, tiling=tiling)
        items = program.stationary["items"]
        bits = np.bitwise_count(items["mask"]).astype(int)
        total = 0
        for start, stop in zip([0, *program.stationary_ends[:-1]], program.stationary_ends, strict=True):
            rows = program.stationary["pe_row"][start:stop]
            total += max(bits[start:stop][rows == r].sum(axis=0).max() for r in range(config.pe_rows))
        return total, bits.sum() / config.pes

    balanced, ideal = busiest(Balance.BOTH)
    unbalanced, _ = busiest(Balance.NONE)
    assert balanced < 1.05 * ideal < unbalanced


def test_assemble_refuses_wrong_results():
    ragged = Tiling(RowGeometry(3, 1, 1, 3, 1, 5, 1, True), Sharing.POSITIONS, 2)
    program = lower(CONV, CONV_X, CONFIGS["tiny"], tiling=ragged)
    with pytest.raises(ValueError, match="results must have shape"):
        program.assemble(np.zeros((1, 1, 1), np.int64))
    results = np.zeros(program.out_index.shape, np.int64)
    unused = np.argwhere(program.out_index < 0)
    assert len(unused)
    results[tuple(unused[0])] = 7
    with pytest.raises(ValueError, match="results without an output must be 0, not 7"):
        program.assemble(results)
