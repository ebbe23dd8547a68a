"""The standing suite: random layers of every kind on configurations that span the generator's parameters.

`make test` runs one layer of each kind on each configuration, without stalls and with; `make verify` more of them;
`make coverage` counts what the same layers reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from phantom_compiler import lower
from phantom_compiler.random_layers import KINDS, random_layer
from phantom_hw.config import PhantomConfig

from phantom_sim.core_simulator import CoreSimulator
from phantom_sim.exactness import Stalls, compare, from_program, random_stalls
from phantom_sim.results import decode_results

__all__ = ["CONFIGS", "LOOKAHEADS", "LayerRun", "run_layers"]

LOOKAHEADS = (1, 6, 12, 18, 27)


def _config(name: str, rows: int, cols: int, lookahead: int, group: int, tds: str, threads: int, bits: int,
            **others: int | bool) -> PhantomConfig:
    return PhantomConfig.from_dict({
        "name": name, "pe_rows": rows, "pe_cols": cols, "lookahead": lookahead, "group": group, "tds": tds,
        "threads": threads, "act_width": bits, "weight_width": bits, "acc_width": 48 if bits == 16 else 32,
        "acc_depth": 32, "row_width": 24, "item_slots": 8, **others,
    })


# every window length in both modes; T, G, widths and the PE grid vary over them
CONFIGS = {config.name: config for config in (
    _config("L1_in", 1, 2, 1, 1, "in_order", 2, 8, moving_link=4),
    _config("L1_out", 1, 1, 1, 1, "out_of_order", 3, 4),
    _config("L6_in", 2, 1, 6, 1, "in_order", 3, 8),
    _config("L6_out", 1, 2, 6, 3, "out_of_order", 4, 4, chunk=8),
    _config("L12_in", 1, 1, 12, 12, "in_order", 2, 16, row_slots=2),
    _config("L12_out", 2, 2, 12, 4, "out_of_order", 3, 8),
    _config("L18_in", 1, 1, 18, 9, "in_order", 4, 8, row_width=32, moving_link=16),
    _config("L18_out", 1, 1, 18, 6, "out_of_order", 3, 16, row_slots=8),
    _config("L27_in", 2, 1, 27, 27, "in_order", 3, 8, row_width=32),
    _config("L27_out", 1, 1, 27, 9, "out_of_order", 3, 8, refill=2, skip_empty=True, chunk=32),
)}


@dataclass(frozen=True)
class LayerRun:
    """One layer, run once.

    Attributes
    ----------
    kind : str
    stalls : bool
        The ends of the streams stalled at random.
    cycles : int
    differences : tuple of str
        What differs from golden or from the cycle model; empty if all is equal.
    """

    kind: str
    stalls: bool
    cycles: int
    differences: tuple[str, ...]


def run_layers(simulator: CoreSimulator, seed: int, cycles: tuple[int, int] = (100, 700)) -> Iterator[LayerRun]:
    """Lower and run one random layer of each kind, without stalls and with.

    Parameters
    ----------
    simulator : CoreSimulator
    seed : int
        Every layer follows from it, its kind and nothing else.
    cycles : (low, high)
        Core cycles that a layer is meant to take.
    """
    config = simulator.config
    for number, kind in enumerate(KINDS):
        rng = np.random.default_rng([seed, number])
        layer, activations = random_layer(rng, config, kind, cycles=cycles)
        program = lower(layer, activations, config)
        golden = layer.golden(activations)
        sums = np.append(golden.ravel(), 0)[program.out_index]  # index -1: belongs to no output
        streams = from_program(program, sums)
        stalls = random_stalls(rng, len(streams.moving), len(streams.stationary))
        for stalled in (False, True):
            differences, run = compare(simulator, streams, stalls if stalled else Stalls())
            if run is not None:
                assembled = program.assemble(decode_results(config, run.results, program.outputs, program.span))
                if not np.array_equal(assembled, golden):
                    differences.append("output: the assembled tensor differs from golden")
            yield LayerRun(kind, stalled, run.cycles if run else 0, tuple(differences))
