"""Many instances of a Verilated class in one object: each variable a vector with a lane for each instance.

All tiles of a mesh run the same straight-line code on different data. Verilator's C++ for the work at the clock edge is
parsed (:mod:`.parser`, :mod:`.expressions`) and written anew over vectors of GCC (:mod:`.vectors`, :mod:`.statements`,
``harness/lanes.h``): an operation is done in the narrowest lanes that keep its value, a condition becomes a mask, and
what stands under it is skipped if it holds in no lane. Numbers of 64 bits are kept as two words (:mod:`.halves`), as
vectors of 16 of them are larger than any register. Memories are read and written lane by lane.
"""

from phantom_sim.lanes.model import write_lanes

__all__ = ["write_lanes"]
