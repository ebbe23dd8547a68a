"""Batches of runs for the cocotb bench: what is sent, with which stalls, and what must come back in which cycle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_sim.cycle_model import core_cycles, prepare
from phantom_sim.exactness import Stalls
from phantom_sim.random_streams import RandomStreams
from phantom_sim.results import drained_values, encode_results

__all__ = ["Case", "case_of", "load_batch", "save_batch"]

NO_STALLS = Stalls()


@dataclass(frozen=True)
class Case:
    """One run.

    Attributes
    ----------
    layer, moving, stationary : uint32[beats, words]
        Payloads of the streams into the core; ``layer`` has one.
    moving_gaps, stationary_gaps : int64[beats]
        Cycles without valid before each beat.
    result_ready : bool[n]
        The pattern of ready.
    results : uint32[beats, words]
        Payloads of the result stream.
    result_cycles : int64[beats]
        The cycle of each transfer, counted from the one after the layer was accepted.
    """

    layer: NDArray[np.uint32]
    moving: NDArray[np.uint32]
    stationary: NDArray[np.uint32]
    moving_gaps: NDArray[np.int64]
    stationary_gaps: NDArray[np.int64]
    result_ready: NDArray[np.bool_]
    results: NDArray[np.uint32]
    result_cycles: NDArray[np.int64]


def case_of(config: PhantomConfig, streams: RandomStreams, stalls: Stalls = NO_STALLS) -> Case:
    """The run of some streams, with the results of their sums and the cycles of the cycle model."""
    def gaps(values: NDArray[np.int64] | None, beats: int) -> NDArray[np.int64]:
        return np.zeros(beats, np.int64) if values is None else np.asarray(values, np.int64)

    ready = np.ones(1, bool) if stalls.result_ready is None else np.asarray(stalls.result_ready, bool)
    model = core_cycles(
        config, prepare(config, streams.layer, streams.moving, streams.stationary), streams.tiles,
        (drained_values(config, streams.sums, streams.span) != 0).ravel(), stalls.moving_gaps,
        stalls.stationary_gaps, ready,
    )
    return Case(
        streams.layer, streams.moving, streams.stationary, gaps(stalls.moving_gaps, len(streams.moving)),
        gaps(stalls.stationary_gaps, len(streams.stationary)), ready,
        encode_results(config, streams.sums, streams.span),
        model.result_cycles,
    )


def save_batch(path: Path, config: PhantomConfig, cases: Sequence[Case]) -> None:
    """Write a batch as one NPZ file."""
    arrays = {f"{i}.{name}": array for i, case in enumerate(cases) for name, array in asdict(case).items()}
    header = {"config": config.to_dict(), "cases": len(cases)}
    np.savez(path, header=np.array(json.dumps(header)), **arrays)


def load_batch(path: Path) -> tuple[PhantomConfig, list[Case]]:
    """Read what :func:`save_batch` wrote."""
    with np.load(path) as file:
        header = json.loads(str(file["header"]))
        names = list(Case.__dataclass_fields__)
        cases = [Case(**{name: file[f"{i}.{name}"] for name in names}) for i in range(header["cases"])]
    return PhantomConfig.from_dict(header["config"], str(path)), cases
