"""A core that every FPGA tool handles in seconds, and operands for it with the checksum of the right results."""

import numpy as np
from phantom_fpga import Operands, checksum
from phantom_hw.config import PhantomConfig
from phantom_sim.random_streams import StreamShape, random_streams
from phantom_sim.results import encode_results

SMALL = PhantomConfig(
    name="small", pe_rows=1, pe_cols=1, threads=2, lookahead=4, group=2, acc_depth=16, row_slots=2, row_width=8,
    item_slots=4, moving_link=2, chunk=4,
)


def integers(words: np.ndarray) -> tuple[int, ...]:
    """Payloads as numbers."""
    return tuple(int.from_bytes(beat.astype("<u4").tobytes(), "little") for beat in words)


def small_test(seed: int = 4) -> tuple[Operands, int]:
    """Operands for :data:`SMALL` and the checksum of the sums that they stand for."""
    shape = StreamShape(tiles=2, rows=6, items=3, row_density=0.5, item_density=0.7)
    streams = random_streams(SMALL, seed, shape)
    assert streams.products.sum() > 20
    operands = Operands(integers(streams.layer)[0], integers(streams.moving), integers(streams.stationary))
    return operands, checksum(integers(encode_results(SMALL, streams.sums, streams.span)), SMALL)
