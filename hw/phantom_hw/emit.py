"""From components to RTLIL and Verilog, each repeated block elaborated and emitted once."""

from __future__ import annotations

from types import SimpleNamespace

from amaranth.back import rtlil as rtlil_backend
from amaranth.back import verilog as verilog_backend
from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring

from phantom_hw.config import PhantomConfig

__all__ = ["core_rtlil", "core_verilog", "instantiate", "pe_rtlil", "pe_verilog"]

PE_MODULE = "phantom_pe"
CORE_MODULE = "phantom_core"


def instantiate(m: Module, name: str, module: str, signature: wiring.Signature) -> SimpleNamespace:
    """Instantiate the module ``module``, which is emitted elsewhere, once, and has the ports of ``signature``.

    Returns the ports as attributes: drive the inputs, read the outputs. Clock and reset are connected.
    """
    ports = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
    signals = {}
    for port, member in signature.members.items():
        signal = Signal(member.shape, name=f"{name}_{port}")
        signals[port] = signal
        ports[("i_" if member.flow is wiring.In else "o_") + port] = getattr(signal, "as_value", lambda s=signal: s)()
    m.submodules[name] = Instance(module, **ports)
    return SimpleNamespace(**signals)


def pe_rtlil(config: PhantomConfig) -> str:
    """RTLIL of the processing element alone, module ``phantom_pe``."""
    from phantom_hw.core.pe import ProcessingElement
    return rtlil_backend.convert(ProcessingElement(config), name=PE_MODULE, emit_src=False)


def core_rtlil(config: PhantomConfig) -> str:
    """RTLIL of the whole core, top module ``phantom_core``."""
    from phantom_hw.core.core import PhantomCore
    return pe_rtlil(config) + rtlil_backend.convert(PhantomCore(config), name=CORE_MODULE, emit_src=False)


def pe_verilog(config: PhantomConfig) -> str:
    """Verilog of the processing element alone, module ``phantom_pe``."""
    from phantom_hw.core.pe import ProcessingElement
    return verilog_backend.convert(ProcessingElement(config), name=PE_MODULE, emit_src=False)


def core_verilog(config: PhantomConfig) -> str:
    """Verilog of the whole core, top module ``phantom_core``; the PE is in it once."""
    from phantom_hw.core.core import PhantomCore
    return pe_verilog(config) + "\n" + verilog_backend.convert(PhantomCore(config), name=CORE_MODULE, emit_src=False)
