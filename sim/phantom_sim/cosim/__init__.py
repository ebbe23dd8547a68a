"""Cosimulation with cocotb: a core between Python drivers with stalls, one clock cycle at a time."""

from phantom_sim.cosim.batch import Case, case_of, load_batch, save_batch
from phantom_sim.cosim.runner import CosimError, build_cosim, run_core_bench

__all__ = ["Case", "CosimError", "build_cosim", "case_of", "load_batch", "run_core_bench", "save_batch"]
