"""The interpreter finds programs that break the rules of the links."""

import copy

import numpy as np
import pytest
from phantom_compiler import Conv2d, lower
from phantom_compiler.packing import pack
from phantom_compiler.reference import ProgramError, interpret
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import moving_layout, stationary_layout

CONFIG = PhantomConfig.preset("tiny")


@pytest.fixture(scope="module")
def program():
    rng = np.random.default_rng(11)
    weights = rng.integers(1, 9, (4, 6, 3, 3)) * (rng.random((4, 6, 3, 3)) < 0.5)
    activations = rng.integers(1, 9, (1, 6, 5, 8)) * (rng.random((1, 6, 5, 8)) < 0.6)
    return lower(Conv2d(weights), activations, CONFIG)


def run(program, moving, stationary, tiles=None):
    return interpret(CONFIG, program.layer_words(), pack(moving_layout(CONFIG), moving),
                     pack(stationary_layout(CONFIG), stationary), tiles or program.tiles)


def keep(fields, which):
    return {name: keep(value, which) if isinstance(value, dict) else value[which] for name, value in fields.items()}


def test_a_legal_program_runs(program):
    _, products = run(program, program.moving, program.stationary)
    assert products == program.effectual_macs


@pytest.mark.parametrize("link", ["moving", "stationary"])
@pytest.mark.parametrize("place", [0, 7, -1])
def test_a_lost_beat_is_found(program, link, place):
    beats = {"moving": program.moving, "stationary": program.stationary}
    count = len(beats[link]["pe_row"])
    beats[link] = keep(beats[link], np.arange(count) != np.arange(count)[place])
    try:
        results, _ = run(program, **beats)
    except ProgramError:
        return
    correct, _ = run(program, program.moving, program.stationary)
    assert (results != correct).any()


@pytest.mark.parametrize("flag", ["row_last", "tile_last"])
def test_a_lost_flag_is_found(program, flag):
    stationary = copy.deepcopy(program.stationary)
    beat, column = np.argwhere(stationary["items"][flag])[3]
    stationary["items"][flag][beat, column] = 0
    with pytest.raises(ProgramError):
        run(program, program.moving, stationary)


def test_a_wrong_number_of_tiles_is_found(program):
    with pytest.raises(ProgramError, match=r"ends \d+ tiles of"):
        run(program, program.moving, program.stationary, program.tiles + 1)
    with pytest.raises(ProgramError, match="gets more tiles than there are"):
        run(program, program.moving, program.stationary, program.tiles - 1)


def test_a_mask_at_a_zero_is_found(program):
    moving = copy.deepcopy(program.moving)
    beat = np.argwhere(moving["mask"])[0]
    moving["values"][beat[0]] = 0
    with pytest.raises(ProgramError, match=r"mask of tap \d set at a zero"):
        run(program, moving, program.stationary)


def test_an_order_that_blocks_both_links_is_found(program):
    # all items of PE row 1 behind all of PE row 0: the rows of PE row 1 fill its slots while row 0 starves
    order = np.argsort(program.stationary["pe_row"], kind="stable")
    with pytest.raises(ProgramError, match="deadlock"):
        run(program, program.moving, keep(program.stationary, order))
