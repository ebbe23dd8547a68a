"""The search for the tiling of a layer: first by closed formulas, then the best ones by how PEs and links keep pace."""

from __future__ import annotations

from collections.abc import Iterable

from phantom_hw.config import PhantomConfig

from phantom_compiler.activity import Activity
from phantom_compiler.pace import Pace
from phantom_compiler.problem import Problem
from phantom_compiler.tiling import Array, Tiling, tilings, with_mesh_cycles

__all__ = ["find_tiling", "ranked"]

NEAR = 1.35  # against the best one: what the formulas may be wrong by
MOST = 32


def ranked(
    found: Iterable[Tiling], activity: Activity, config: PhantomConfig, array: Array
) -> tuple[list[Tiling], list[Tiling]]:
    """The tilings that may be the best one, with better estimates, and all others; both best first.

    Parameters
    ----------
    found : iterable of Tiling
        With the estimates of the formulas.
    activity : Activity
    config : PhantomConfig
    array : Array
        One core, and groups of a convolution, have no better estimates.
    """
    ordered = sorted(found, key=lambda tiling: tiling.cycles)
    if array.skips_zeros or activity.problem.groups > 1:
        return ordered, []
    near = [tiling for tiling in ordered[:MOST] if tiling.cycles <= NEAR * ordered[0].cycles]
    pace = Pace(activity, config, array)
    paced = [with_mesh_cycles(tiling, pace.cycles(tiling), activity.problem, config, array) for tiling in near]
    return sorted(paced, key=lambda tiling: tiling.cycles), ordered[len(near):]


def find_tiling(
    problem: Problem, config: PhantomConfig, array: Array | None = None, activity: Activity | None = None
) -> Tiling:
    """Return the tiling that is expected to be the fastest; there is always one, a tap and a position at a time.

    Parameters
    ----------
    problem : Problem
    config : PhantomConfig
    array : Array, optional
        What shares the work; by default one core.
    activity : Activity, optional
        What is known of the moving operand; by default the share of nonzeros in the problem's.
    """
    array, activity = array or Array.core(config), activity or Activity.of_moving(problem)
    return ranked(tilings(problem, config, array, activity), activity, config, array)[0][0]
