"""The vector unit: row reducers and their serializers."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from phantom_sim.cycle_kernel import record

__all__ = ["REDUCER", "RESULT_ENDS", "SERIALIZER", "TILE_ENDS", "reducer_idle", "reducer_step", "serializer_step"]

RESULT_ENDS, TILE_ENDS, FOLDED = 2, 4, 8
"""What is known of a sum on its way; 1 says that there is one."""

BEATS, OPERANDS, POSITIONS, COUNT, FOLD = range(1, 6)
"""Columns of the settings, behind that of the operation."""

REDUCER = record(valid=np.int64, inside=np.int64, left=np.int64, beat=np.int64, lane=np.int64, handed=np.int64,
                 handed_lane=np.int64, complete=np.int64)
"""RowReducer; ``inside`` tells that the result has an operand."""

SERIALIZER = record(claimed=np.int64, written=np.int64, sent=np.int64, position=np.int64, number=np.int64,
                    stages=(np.int64, 3), sums=np.int64)
"""ResultSerializer; counts go up."""


@numba.njit(cache=True, error_model="numpy")
def reducer_idle(u: Any, serializers: Any, row: int) -> bool:
    """Neither a beat nor a complete result is inside."""
    if u.valid or u.handed:
        return False
    for i in range(serializers.shape[1]):
        z = serializers[row, i]
        if z.written != z.sent or z.stages[0] or z.stages[1] or z.stages[2] or z.sums:
            return False
    return True


@numba.njit(cache=True, error_model="numpy")
def serializer_step(z: Any, setting: Any, taken: bool, writes: bool, claims: bool) -> None:
    """One cycle; ``taken`` tells of the sum on offer."""
    here = z.written != z.sent
    if not z.sums or taken:
        z.sums = 0 if z.stages[2] & FOLDED else z.stages[2]
        z.stages[2], z.stages[1] = z.stages[1], z.stages[0]
        z.stages[0] = 0
        if here:
            last = z.position + 1 >= setting[POSITIONS]
            tile_last = last and z.number + 1 >= setting[COUNT]
            z.stages[0] = 1 + last * RESULT_ENDS + tile_last * TILE_ENDS + (setting[FOLD] != 0 and not last) * FOLDED
            z.position = 0 if last else z.position + 1
            z.sent += last
            z.number = 0 if tile_last else z.number + last
    z.written += writes
    z.claimed += claims


@numba.njit(cache=True, error_model="numpy")
def reducer_step(u: Any, serializers: Any, row: int, setting: Any, beat_offered: bool, taken: Any) -> bool:
    """One cycle of a mesh row's reducer; ``taken`` tells of each link's sum on offer. Whether a beat is taken."""
    final = setting[OPERANDS] <= 1 if not u.inside else u.left <= 1
    lanes = serializers.shape[1]
    chosen = serializers[row, u.lane]
    goes = u.valid != 0 and (not final or chosen.claimed - chosen.sent < 2)
    end = u.beat + 1 >= setting[BEATS]
    ready = not u.valid or goes
    for i in range(lanes):
        writes = u.handed != 0 and u.complete != 0 and u.handed_lane == i
        claims = goes and final and end and u.lane == i
        serializer_step(serializers[row, i], setting, taken[row * lanes + i], writes, claims)
    u.handed, u.complete, u.handed_lane = goes and final, end, u.lane
    if goes:
        u.beat = 0 if end else u.beat + 1
        if end:
            u.left = (setting[OPERANDS] if not u.inside else u.left) - 1
            u.inside = not final
            if final:
                u.lane = 0 if u.lane == lanes - 1 else u.lane + 1
    if ready:
        u.valid = beat_offered
    return ready
