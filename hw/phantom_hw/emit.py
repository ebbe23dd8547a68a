"""From components to RTLIL and Verilog, each repeated block elaborated and emitted once."""

from __future__ import annotations

import re

from amaranth.back import rtlil as rtlil_backend
from amaranth.back import verilog as verilog_backend
from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.lib import wiring

from phantom_hw.config import PhantomConfig
from phantom_hw.memory.ram import RAM_MODULE, ByteRam, ram_verilog
from phantom_hw.verilog import tidy

__all__ = [
    "accelerator_rtlil", "accelerator_verilog", "component_rtlil", "component_verilog", "core_rtlil", "core_verilog",
    "instantiate", "mesh_verilog", "on_chip_verilog", "pe_rtlil", "pe_verilog", "row_verilog", "tile_verilog",
]

PE_MODULE = "phantom_pe"
CORE_MODULE = "phantom_core"
MESH_CORE_MODULE = "phantom_mesh_core"
TILE_MODULE = "phantom_tile"
MESH_MODULE = "phantom_mesh"
LOADER_MODULE = "phantom_moving_loader"
STREAMER_MODULE = "phantom_row_streamer"
REDUCER_MODULE = "phantom_row_reducer"
ACCELERATOR_MODULE = "phantom_accelerator"


def instantiate(
    m: Module, name: str, module: str, signature: wiring.Signature, reset: Value | None = None
) -> wiring.PureInterface:
    """Instantiate the module ``module``, which is emitted elsewhere, once, and has the ports of ``signature``.

    Returns the ports as an interface: drive the inputs, read the outputs. The clock is connected, and the reset unless
    another one is given.
    """
    ports = {"i_clk": ClockSignal(), "i_rst": ResetSignal() if reset is None else reset}
    interface = signature.create(path=(name,))
    for path, member, signal in signature.flatten(interface):
        ports[("i_" if member.flow is wiring.In else "o_") + "__".join(map(str, path))] = Value.cast(signal)
    m.submodules[name] = Instance(module, **ports)
    return interface


def _distinct_names(rtlil: str) -> str:
    """Write ``name[3]`` as ``name(3)``: ABC takes a wire of that name for bit 3 of ``name`` and mixes them up."""
    return re.sub(r"\\\S+", lambda name: name[0].replace("[", "(").replace("]", ")"), rtlil)


def component_rtlil(component: wiring.Component, name: str) -> str:
    """RTLIL of any component, ready for synthesis."""
    return _distinct_names(rtlil_backend.convert(component, name=name, emit_src=False))


def pe_rtlil(config: PhantomConfig) -> str:
    """RTLIL of the processing element alone, module ``phantom_pe``."""
    from phantom_hw.core.pe import ProcessingElement
    return component_rtlil(ProcessingElement(config), PE_MODULE)


def core_rtlil(config: PhantomConfig) -> str:
    """RTLIL of the whole core, top module ``phantom_core``."""
    from phantom_hw.core.core import PhantomCore
    return pe_rtlil(config) + component_rtlil(PhantomCore(config), CORE_MODULE)


def component_verilog(component: wiring.Component, name: str) -> str:
    """Verilog of any component, for simulation and for reading."""
    return tidy(verilog_backend.convert(component, name=name, emit_src=False))


def pe_verilog(config: PhantomConfig) -> str:
    """Verilog of the processing element alone, module ``phantom_pe``."""
    from phantom_hw.core.pe import ProcessingElement
    return component_verilog(ProcessingElement(config), PE_MODULE)


def core_verilog(config: PhantomConfig) -> str:
    """Verilog of the whole core, top module ``phantom_core``; the PE is in it once."""
    from phantom_hw.core.core import PhantomCore
    return pe_verilog(config) + "\n" + component_verilog(PhantomCore(config), CORE_MODULE)


def tile_verilog(config: PhantomConfig) -> str:
    """Verilog of a place of the mesh, top module ``phantom_tile``; PE and core are in it once."""
    from phantom_hw.core.core import PhantomCore
    from phantom_hw.mesh.tile import MeshTile
    return "\n".join((
        pe_verilog(config), component_verilog(PhantomCore(config, encode=False), MESH_CORE_MODULE),
        component_verilog(MeshTile(config), TILE_MODULE)))


def _mesh_parts(config: PhantomConfig) -> list[tuple[wiring.Component, str]]:
    """What the mesh consists of, the top last; PE, core and place of the mesh are in it once."""
    from phantom_hw.core.core import PhantomCore
    from phantom_hw.core.pe import ProcessingElement
    from phantom_hw.mesh.mesh import PhantomMesh
    from phantom_hw.mesh.tile import MeshTile
    return [
        (ProcessingElement(config), PE_MODULE), (PhantomCore(config, encode=False), MESH_CORE_MODULE),
        (MeshTile(config), TILE_MODULE), (PhantomMesh(config), MESH_MODULE),
    ]


def _row_parts(config: PhantomConfig) -> list[tuple[wiring.Component, str]]:
    """What each mesh row, or each few of them, has beside the mesh."""
    from phantom_hw.moving.loader import MovingLoader
    from phantom_hw.moving.streamer import RowStreamer
    from phantom_hw.vector.reducer import RowReducer
    return [(MovingLoader(config), LOADER_MODULE), (RowStreamer(config), STREAMER_MODULE),
            (RowReducer(config), REDUCER_MODULE)]


def _accelerator_parts(config: PhantomConfig) -> list[tuple[wiring.Component, str]]:
    """What the accelerator consists of, the top last; what is repeated is in it once."""
    from phantom_hw.soc.accelerator import accelerator_ports
    return [*_mesh_parts(config), *_row_parts(config), (accelerator_ports(config), ACCELERATOR_MODULE)]


def mesh_verilog(config: PhantomConfig) -> str:
    """Verilog of the mesh, top module ``phantom_mesh``."""
    return "\n".join(component_verilog(*part) for part in _mesh_parts(config))


def row_verilog(config: PhantomConfig) -> str:
    """Verilog of what each mesh row has beside the mesh: ``phantom_moving_loader``, ``phantom_row_streamer`` and
    ``phantom_row_reducer``."""
    return "\n".join(component_verilog(*part) for part in _row_parts(config))


def accelerator_rtlil(config: PhantomConfig) -> str:
    """RTLIL of the whole accelerator, top module ``phantom_accelerator``."""
    words = config.on_chip_words
    ram = [(ByteRam(config.bus_width, words), RAM_MODULE)] if words else []
    return "".join(component_rtlil(*part) for part in [*ram, *_accelerator_parts(config)])


def accelerator_verilog(config: PhantomConfig) -> str:
    """Verilog of the whole accelerator, top module ``phantom_accelerator``."""
    return on_chip_verilog(config) + "\n".join(component_verilog(*part) for part in _accelerator_parts(config))


def on_chip_verilog(config: PhantomConfig) -> str:
    """Verilog of the RAM in the memory on the chip, if there is one: ``phantom_on_chip_ram``."""
    return ram_verilog(config.bus_width, config.on_chip_words) + "\n" if config.on_chip_words else ""
