"""The mesh with its ports side by side in words of 32 bits, for simulation from memory."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from phantom_compiler.packing import WORD_BITS, payload_words
from phantom_hw import emit
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import stalls_layout
from phantom_hw.mesh.mesh import PhantomMesh
from phantom_hw.mesh.packets import moving_packet, stationary_packet, sum_packet
from phantom_hw.soc.accelerator import accelerator_ports

__all__ = ["AcceleratorPorts", "MeshPorts"]


class MeshPorts(wiring.Component):
    """All streams of a kind as one vector: valid and ready a bit each, payloads padded to whole words.

    Members
    -------
    moving_valid, stationary_valid, sums_ready : In; moving_payload, stationary_payload : In
    moving_ready, stationary_ready, sums_valid : Out; sums_payload : Out
    idle, activity : Out
        Those of the mesh.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__(self.ports(config))

    @classmethod
    def ports(cls, config: PhantomConfig) -> wiring.Signature:
        """The signature."""
        links = cls.links(config)
        return wiring.Signature({
            **{f"{name}_{port}": flow(count if port != "payload" else count * words * WORD_BITS)
               for name, (count, words) in links.items()
               for port, flow in (("valid", In), ("ready", Out), ("payload", In)) if name != "sums"},
            "sums_valid": Out(links["sums"][0]), "sums_ready": In(links["sums"][0]),
            "sums_payload": Out(links["sums"][0] * links["sums"][1] * WORD_BITS),
            "idle": Out(1), "activity": Out(config.cores * config.pes * config.threads),
        })

    @staticmethod
    def links(config: PhantomConfig) -> dict[str, tuple[int, int]]:
        """Streams of each kind and words of a payload."""
        return {
            "moving": (config.mesh_rows, payload_words(moving_packet(config))),
            "stationary": (config.mesh_cols, payload_words(stationary_packet(config))),
            "sums": (config.mesh_rows * config.drain_lanes, payload_words(sum_packet(config))),
        }

    def elaborate(self, platform):
        m = Module()
        mesh = emit.instantiate(m, "mesh", emit.MESH_MODULE, PhantomMesh.ports(self._config))
        for name, (_, words) in self.links(self._config).items():
            (_spread if name == "sums" else _gather)(m, list(getattr(mesh, name)), self, name, words)
        m.d.comb += [self.idle.eq(mesh.idle), self.activity.eq(mesh.activity)]
        return m


class AcceleratorPorts(wiring.Component):
    """An accelerator whose mesh is outside, at ports as :class:`MeshPorts` has them.

    Members
    -------
    All ports of the accelerator but those for the mesh; those of MeshPorts in the other direction, their names after
    ``mesh_``; ``mesh_stalls`` : In.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        self._inner = accelerator_ports(config, mesh_inside=False)
        mesh = {name: member.flip() for name, member in MeshPorts.ports(config).members.items()}
        mesh["stalls"] = In(config.cores * stalls_layout(config).size)
        super().__init__({
            **{name: member for name, member in self._inner.signature.members.items() if not name.startswith("mesh_")},
            "mesh_reset": Out(1),
            **{f"mesh_{name}": member for name, member in mesh.items()},
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = self._inner
        for name, member in inner.signature.members.items():
            if name == "mesh_reset" or not name.startswith("mesh_"):
                outer, within = getattr(self, name), getattr(inner, name)
                m.d.comb += Value.cast(outer).eq(within) if member.flow is Out else Value.cast(within).eq(outer)
        for name, (_, words) in MeshPorts.links(self._config).items():
            name = f"mesh_{name}"
            (_gather if name == "mesh_sums" else _spread)(m, list(getattr(inner, name)), self, name, words)
        m.d.comb += [Value.cast(getattr(inner, name)).eq(getattr(self, name))
                     for name in ("mesh_idle", "mesh_activity", "mesh_stalls")]
        return m


def _gather(m: Module, sinks: list, ports: wiring.Component, name: str, words: int) -> None:
    """Let the streams at the ports ``name`` go to ``sinks``."""
    valid, ready, payload = (getattr(ports, f"{name}_{port}") for port in ("valid", "ready", "payload"))
    step = words * WORD_BITS
    for i, sink in enumerate(sinks):
        bits = Value.cast(sink.payload)
        m.d.comb += [sink.valid.eq(valid[i]), ready[i].eq(sink.ready), bits.eq(payload[i * step:i * step + len(bits)])]


def _spread(m: Module, sources: list, ports: wiring.Component, name: str, words: int) -> None:
    """Let ``sources`` go to the streams at the ports ``name``."""
    valid, ready, payload = (getattr(ports, f"{name}_{port}") for port in ("valid", "ready", "payload"))
    step = words * WORD_BITS
    for i, source in enumerate(sources):
        bits = Value.cast(source.payload)
        m.d.comb += [valid[i].eq(source.valid), source.ready.eq(ready[i]),
                     payload[i * step:(i + 1) * step].eq(Cat(bits, Const(0, step - len(bits))))]
