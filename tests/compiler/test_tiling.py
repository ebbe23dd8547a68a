"""The tiling search: its model of the selector and its choice."""

import numpy as np
import pytest
from phantom_compiler import Conv2d, FullyConnected, Sharing, find_tiling
from phantom_compiler.random_layers import KINDS, random_layer
from phantom_compiler.selector import item_cycles, sample_items
from phantom_compiler.tiling import tilings
from phantom_hw.config import PhantomConfig

CONFIG = PhantomConfig(threads=3, lookahead=12, group=4)


ITEMS = 400


def estimate(masks, hits, config=CONFIG, skips_zeros=True):
    """Of items that all meet the same, ``[positions, T]``."""
    sample = masks[sample_items(masks.sum(axis=1), ITEMS)]
    return item_cycles(sample, np.broadcast_to(hits, (ITEMS, *hits.shape)), float(hits.sum()) / hits.shape[1], config,
                       skips_zeros=skips_zeros)


@pytest.mark.parametrize(("bits", "cycles"), [
    ([1, 1, 1], 20),  # three products a position: a position a cycle
    ([1, 0, 1], 20),  # two and no third that fits
    ([0, 1, 0], 20 / 3),
])
def test_selector_on_dense_rows(bits, cycles):
    found, sent = estimate(np.array([bits] * 7, bool), np.ones((20, 3), bool))
    assert sent == 1.0
    assert found == pytest.approx(cycles, rel=0.03)


def test_selector_fills_up_with_what_fits():
    masks, hits = np.array([[1, 1, 0], [0, 0, 1]] * 20, bool), np.ones((20, 3), bool)
    freely, _ = estimate(masks, hits, PhantomConfig(threads=3, lookahead=32, group=1))
    in_order, _ = estimate(masks, hits, PhantomConfig(threads=3, lookahead=32, group=1, tds="in_order"))
    assert 10 <= freely < in_order <= 20


def test_rows_of_zeros():
    """They are not sent, or pass through the window at L_f entries a cycle."""
    masks, hits = np.ones((9, 3), bool), np.zeros((24, 3), bool)
    assert estimate(masks, hits) == (0.0, 0.0)
    found, sent = estimate(masks, hits, skips_zeros=False)
    assert sent == 1.0 and found == pytest.approx(24 / CONFIG.lookahead, rel=0.02)
    assert item_cycles(masks[:0], np.zeros((0, 24, 3), bool), 0.0, CONFIG, skips_zeros=True) == (0.0, 0.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preset", ["icebreaker", "tiny", "ulx3s"])
def test_tilings_fit_the_configuration(kind, preset):
    config = PhantomConfig.preset(preset)
    layer, activations = random_layer(np.random.default_rng(3), config, kind, cycles=(100, 400))
    problem = layer.problem(activations).flattened()
    found = list(tilings(problem, config))
    for tiling in found:
        geometry = tiling.geometry
        assert geometry.taps * geometry.parts <= config.threads
        assert geometry.row_values <= config.row_width
        assert tiling.outputs <= config.acc_depth
        assert geometry.tap_base(config.threads).max() + geometry.positions <= geometry.row_values
        assert tiling.cycles >= 0
    assert find_tiling(problem, config).cycles == min(tiling.cycles for tiling in found)


def test_one_image_spreads_neurons_over_the_columns():
    layer = FullyConnected(np.ones((300, 64), int))
    assert find_tiling(layer.problem(np.ones((1, 64), int)), CONFIG).sharing is Sharing.FILTERS


def test_filters_share_rows_where_the_moving_link_is_narrow():
    layer = Conv2d(np.ones((64, 16, 3, 3), int))
    problem = layer.problem(np.ones((1, 16, 4, 30), int))
    narrow = PhantomConfig(moving_link=1)
    assert find_tiling(problem, narrow).sharing is Sharing.POSITIONS


def test_wide_dilations_give_each_tap_a_plane():
    layer = Conv2d(np.ones((6, 16, 1, 3), int), dilation=(1, 40))
    problem = layer.problem(np.ones((1, 16, 1, 90), int))
    assert all(not t.geometry.merged for t in tilings(problem, CONFIG) if t.geometry.taps > 1)
