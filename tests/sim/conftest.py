"""Simulators that are opened once, closed at the end."""

from collections.abc import Callable, Iterator

import pytest
from phantom_hw.config import PhantomConfig
from phantom_sim.core_simulator import CoreSimulator
from sim_configs import SMALL


@pytest.fixture(scope="session")
def simulator_of() -> Iterator[Callable[[PhantomConfig], CoreSimulator]]:
    """A function that gives the simulator of a configuration."""
    opened: dict[PhantomConfig, CoreSimulator] = {}

    def get(config: PhantomConfig) -> CoreSimulator:
        if config not in opened:
            opened[config] = CoreSimulator(config)
        return opened[config]

    yield get
    for simulator in opened.values():
        simulator.close()


@pytest.fixture(scope="session")
def tiny(simulator_of) -> CoreSimulator:
    """The simulator of the preset ``tiny``."""
    return simulator_of(SMALL["tiny"])
