"""RTL against what it must give: values, products, and every cycle of the cycle model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from phantom_compiler.program import CoreProgram
from phantom_hw.config import ConfigError, PhantomConfig

from phantom_sim.core_simulator import CoreRun, CoreSimulator, SimulationError
from phantom_sim.cycle_model import core_cycles, prepare
from phantom_sim.random_streams import RandomStreams
from phantom_sim.results import drained_values, encode_results

__all__ = ["Stalls", "compare", "from_program", "random_config", "random_stalls"]


@dataclass(frozen=True)
class Stalls:
    """When the ends of the streams are not ready, as :meth:`~phantom_sim.core_simulator.CoreSimulator.run` takes it."""

    moving_gaps: NDArray[np.int64] | None = None
    stationary_gaps: NDArray[np.int64] | None = None
    result_ready: NDArray[np.bool_] | None = None


def random_stalls(rng: np.random.Generator, moving: int, stationary: int) -> Stalls:
    """Stalls of any kind, from none to a crawl, each stream for itself."""
    def gaps(beats: int) -> NDArray[np.int64] | None:
        if rng.random() < 0.25:
            return None
        longest, share = int(rng.choice([1, 3, 20])), float(rng.choice([0.1, 0.5, 1.0]))
        return rng.integers(0, longest + 1, beats) * (rng.random(beats) < share)

    ready = None
    if rng.random() < 0.75:
        ready = rng.random(int(rng.integers(1, 100))) < rng.choice([0.05, 0.5, 0.9])
        ready[rng.integers(len(ready))] = True
    return Stalls(gaps(moving), gaps(stationary), ready)


def from_program(program: CoreProgram, sums: NDArray[np.int64]) -> RandomStreams:
    """A lowered layer and the sums it must give, as streams to compare."""
    return RandomStreams(
        program.layer_words(), program.moving_words(), program.stationary_words(), program.tiles, program.outputs,
        program.span, sums, np.array(program.effectual_macs),
    )


def compare(
    simulator: CoreSimulator, streams: RandomStreams, stalls: Stalls = Stalls(), *, reset: bool = True,
    max_cycles: int = 10_000_000, stall_limit: int = 50_000,
) -> tuple[list[str], CoreRun | None]:
    """Run streams on the RTL and on the models.

    Returns
    -------
    differences : list of str
        A line for each kind of difference; empty if there is none.
    run : CoreRun or None
        None if the RTL did not finish.
    """
    config = simulator.config
    try:
        run = simulator.run(
            streams.layer, streams.moving, streams.stationary, streams.tiles, moving_gaps=stalls.moving_gaps,
            stationary_gaps=stalls.stationary_gaps, result_ready=stalls.result_ready, activity="trace", reset=reset,
            max_cycles=max_cycles, stall_limit=stall_limit,
        )
    except SimulationError as error:
        return [f"RTL: {error}"], None
    found = []
    expected = encode_results(config, streams.sums, streams.span)
    if not np.array_equal(run.results, expected):
        same = min(len(run.results), len(expected))
        wrong = np.flatnonzero((run.results[:same] != expected[:same]).any(axis=1))
        first = int(wrong[0]) if len(wrong) else same
        found.append(f"values: {len(run.results)} result beats, expected {len(expected)}; first difference at {first}")
    assert run.activity is not None and run.busy_threads is not None  # a trace was asked for
    products = run.activity.sum(axis=0, dtype=np.int64)
    if streams.products.ndim == 0:
        products = products.sum()
    if not np.array_equal(products, streams.products):
        found.append(f"products: {products.tolist()}, expected {streams.products.tolist()}")
    if not np.array_equal(run.activity.sum(axis=0, dtype=np.int64), run.busy_threads):
        found.append("activity: the totals differ from the sum of the trace")
    found += _compare_cycles(config, streams, stalls, run, run.activity)
    return found, run


def _compare_cycles(
    config: PhantomConfig, streams: RandomStreams, stalls: Stalls, run: CoreRun, activity: NDArray[np.uint8]
) -> list[str]:
    """Differences between a run with its trace and the cycle model."""
    nonzero = (drained_values(config, streams.sums, streams.span) != 0).ravel()
    try:
        model = core_cycles(
            config, prepare(config, streams.layer, streams.moving, streams.stationary), streams.tiles, nonzero,
            stalls.moving_gaps, stalls.stationary_gaps, stalls.result_ready,
        )
    except RuntimeError as error:
        return [f"cycle model: {error}"]
    found = []
    if model.cycles != run.cycles:
        found.append(f"cycles: RTL {run.cycles}, model {model.cycles}")
    if not np.array_equal(model.result_cycles, run.result_cycles):
        found.append("result cycles: RTL and model differ")
    if not np.array_equal(model.occupancy, activity):
        same = min(len(model.occupancy), len(activity))
        wrong = np.argwhere(model.occupancy[:same] != activity[:same])
        where = f"cycle {wrong[0][0]}, PE {wrong[0][1]}" if len(wrong) else f"cycle {same}"
        found.append(f"occupancy: RTL and model differ first in {where}")
    return found


def random_config(rng: np.random.Generator, size: int = 100) -> PhantomConfig:
    """A legal configuration of one core; ``size`` bounds PEs x threads x lookahead, and with it the build time."""
    while True:
        link = int(rng.choice([1, 2, 4, 8, 16]))
        lookahead = int(rng.choice([1, 2, 3, 4, 6, 8, 9, 12, int(rng.integers(1, 33))]))
        group = int(rng.choice([g for g in range(1, lookahead + 1) if lookahead % g == 0]))
        rows, cols, threads = (int(rng.integers(1, limit)) for limit in (5, 5, 9))
        values = {
            "pe_rows": rows, "pe_cols": cols, "threads": threads, "lookahead": lookahead, "group": group,
            "refill": int(rng.integers(0, lookahead // group + 1)),
            "tds": str(rng.choice(["in_order", "out_of_order"])), "skip_empty": bool(rng.integers(2)),
            "act_width": int(rng.choice([4, 8, 16])), "weight_width": int(rng.choice([4, 8, 16])),
            "acc_width": int(rng.choice([16, 24, 32, 48])), "acc_depth": int(rng.choice([16, 32, 128])),
            "split_banks": bool(rng.integers(2)),
            "row_slots": int(rng.choice([2, 4, 8])), "row_width": link * int(rng.integers(1, 1 + max(1, 64 // link))),
            "item_slots": int(rng.choice([4, 8, 32])), "moving_link": link,
            "chunk": int(rng.choice([4, 16, 64, int(rng.integers(4, 65))])), "row_blocks": cols % (threads + 1),
        }
        if rows * cols * threads * lookahead > size:
            continue
        try:
            return PhantomConfig.from_dict({"name": "random", **values})
        except ConfigError:
            continue
