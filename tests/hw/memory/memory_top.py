"""The configurations of the AXI4 manager under test, and one design with all of them."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from phantom_hw.memory.axi import FlatPorts
from phantom_hw.memory.parameters import BusParameters
from phantom_hw.memory.read_manager import ReadManager
from phantom_hw.memory.write_manager import WriteManager

CONFIGURATIONS = {
    "w64": BusParameters(data_width=64),
    "w128": BusParameters(data_width=128, address_width=40, id_width=4, max_burst=8, buffer=8, outstanding=2),
    "w256": BusParameters(data_width=256, address_width=48, max_burst=256, buffer=256, outstanding=16),
    "w512": BusParameters(data_width=512, address_width=64, max_burst=64, buffer=128, outstanding=3),
    "beats": BusParameters(data_width=64, max_burst=1, buffer=2, outstanding=1),
}
HALVES = {"read": ReadManager, "write": WriteManager}


class AllManagers(wiring.Component):
    """A read manager and a write manager of each configuration; ``PORT`` is called ``CONFIGURATION_HALF_PORT`` here."""

    def __init__(self):
        self._managers = {f"{name}_{half}": manager(parameters)
                          for name, parameters in CONFIGURATIONS.items() for half, manager in HALVES.items()}
        super().__init__({
            f"{name}_{port}": member
            for name, manager in self._managers.items() for port, member in manager.signature.members.items()
        })

    def elaborate(self, platform):
        m = Module()
        for name, manager in self._managers.items():
            m.submodules[name] = manager
            for port, member in manager.signature.members.items():
                outer, inner = getattr(self, f"{name}_{port}"), getattr(manager, port)
                if member.is_signature:
                    wiring.connect(m, wiring.flipped(outer), inner)
                else:
                    target, source = (inner, outer) if member.flow is In else (outer, inner)
                    m.d.comb += target.eq(source)
        return m


def memory_top() -> FlatPorts:
    """All managers; both halves of a configuration share the names ``CONFIGURATION_m_axi_*`` of their bus."""
    return FlatPorts(AllManagers(), {
        f"{name}_{half}_bus": f"{name}_m_axi" for name in CONFIGURATIONS for half in HALVES})


def port_names(top: FlatPorts) -> list[str]:
    """The ports of the Verilog module."""
    return ["clk", "rst", *("__".join(map(str, path)) for path, _, _ in top.signature.flatten(top))]
