"""What the self-test of a board computes: a pruned convolution that fits into its memories, and the right answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from phantom_compiler import Conv2d, CoreProgram, lower
from phantom_fpga import BOARDS, FpgaError, Operands, checksum
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import moving_layout, stationary_layout
from phantom_sim.results import encode_results

__all__ = ["self_test"]

ROM_BITS = {"icebreaker": 12_000, "tangnano20k": 120_000, "ulx3s": 400_000}
"""Bits of operands that a board has room for beside the core."""

SIZES = ((24, 16, 14), (16, 12, 14), (12, 8, 12), (8, 6, 12), (6, 6, 10), (4, 4, 8), (3, 4, 6), (2, 3, 6), (1, 2, 5))
"""Channels, filters, height and width of the input, the largest first."""

SEED, WEIGHT_DENSITY, ACTIVATION_DENSITY = 2, 0.4, 0.5


def _integers(words: NDArray[np.uint32]) -> tuple[int, ...]:
    """Each payload as one number, bit 0 of word 0 its lowest bit."""
    return tuple(int.from_bytes(beat.astype("<u4").tobytes(), "little") for beat in words)


def _program(config: PhantomConfig, channels: int, filters: int, size: int) -> tuple[CoreProgram, NDArray[np.int64]]:
    """A convolution with drawn values, lowered, and its sums as the core drains them."""
    rng = np.random.default_rng(SEED)

    def draw(shape: tuple[int, ...], low: int, high: int, density: float) -> NDArray[np.int64]:
        return rng.integers(low, high, shape) * (rng.random(shape) < density)

    limit = 1 << config.weight_width - 1
    layer = Conv2d(draw((filters, channels, 3, 3), 1 - limit, limit, WEIGHT_DENSITY), name="self-test",
                   padding=(1, 1, 1, 1))
    activations = draw((1, channels, size, size), 0, 1 << config.act_width, ACTIVATION_DENSITY)
    program = lower(layer, activations, config)
    return program, np.append(layer.golden(activations).ravel(), 0)[program.out_index]


def self_test(board: str, config: PhantomConfig) -> tuple[Operands, int]:
    """The operands that a board's self-test plays into the core, and the checksum that it must give.

    Parameters
    ----------
    board : str
    config : PhantomConfig

    Returns
    -------
    operands : Operands
    golden_checksum : int
        Of the golden model's sums.

    Raises
    ------
    FpgaError
        Unknown board, or not even the smallest layer fits.
    LayerError
        The configuration cannot compute the layers.
    """
    if board not in BOARDS:
        raise FpgaError(f"unknown board {board!r}; boards: {', '.join(BOARDS)}")
    for channels, filters, size in SIZES:
        program, sums = _program(config, channels, filters, size)
        moving, stationary = program.moving_words(), program.stationary_words()
        bits = len(moving) * moving_layout(config).size + len(stationary) * stationary_layout(config).size
        if bits <= ROM_BITS[board]:
            operands = Operands(_integers(program.layer_words())[0], _integers(moving), _integers(stationary))
            return operands, checksum(_integers(encode_results(config, sums, program.span)), config)
    raise FpgaError(f"the operands of the smallest layer take {bits:,} bits, {board} has room for {ROM_BITS[board]:,}")
