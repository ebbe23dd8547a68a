"""Many instances of a Verilated class in one object: each variable a vector with a lane for each instance."""

from phantom_sim.lanes.model import write_lanes

__all__ = ["write_lanes"]
