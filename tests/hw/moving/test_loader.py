"""The loader of the moving buffers against the places that its commands describe."""

from __future__ import annotations

import dataclasses

import pytest
from loader_bench import Fill, Load, LoaderBench, drawn_fill, drawn_load
from phantom_hw.config import PhantomConfig
from phantom_hw.memory.slots import SlotError

SMALL = PhantomConfig(mesh_rows=2, moving_link=4, chunk=12, row_width=24, moving_words=256)
CONFIGURATIONS = {
    "tiny": PhantomConfig.preset("tiny"),
    "narrow": dataclasses.replace(SMALL, act_width=4),
    "wide": dataclasses.replace(SMALL, act_width=16, bus_width=128, chunk=24),
    "single": dataclasses.replace(SMALL, moving_link=1, bus_width=256, mesh_rows=1),
    "pairs": dataclasses.replace(SMALL, moving_link=2, act_width=4, bus_width=512, chunk=33, address_width=64),
    "paper": PhantomConfig.preset("paper"),
}


def drawn_commands(bench: LoaderBench, count: int) -> list[Load | Fill]:
    commands: list[Load | Fill] = []
    for _ in range(count):
        if bench.rng.random() < 0.25:
            commands.append(drawn_fill(bench.rng, bench.config))
        else:
            commands.append(drawn_load(bench.rng, bench.config))
            bench.store(commands[-1])
    return commands


def check(config: PhantomConfig, seed: int, count: int, stall: float, latency: int) -> None:
    bench = LoaderBench(config, seed, stall, latency)
    commands = drawn_commands(bench, count)
    bench.run(commands)
    bench.check(commands)
    assert bench.error == SlotError.NONE


@pytest.mark.parametrize(("stall", "latency"), [(0.0, 0), (0.0, 30), (0.4, 30)])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_positions_come_to_their_places(name, stall, latency):
    check(CONFIGURATIONS[name], 1 + latency, 6, stall, latency)


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_positions_come_to_their_places_long(name, seed):
    check(CONFIGURATIONS[name], 100 + seed, 30, [0.0, 0.2, 0.6][seed % 3], [0, 5, 60][seed % 3])
