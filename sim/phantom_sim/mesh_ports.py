"""The mesh with its ports side by side in words of 32 bits, for simulation from memory."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from phantom_compiler.packing import WORD_BITS, payload_words
from phantom_hw import emit
from phantom_hw.config import PhantomConfig
from phantom_hw.mesh.mesh import PhantomMesh
from phantom_hw.mesh.packets import moving_packet, stationary_packet, sum_packet

__all__ = ["MeshPorts"]


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
        links = self.links(config)
        super().__init__({
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
            step = words * WORD_BITS
            streams = list(getattr(mesh, name))
            valid, ready, payload = (getattr(self, f"{name}_{port}") for port in ("valid", "ready", "payload"))
            for i, one in enumerate(streams):
                bits = Value.cast(one.payload)
                if name == "sums":
                    m.d.comb += [valid[i].eq(one.valid), one.ready.eq(ready[i]),
                                 payload[i * step:(i + 1) * step].eq(Cat(bits, Const(0, step - len(bits))))]
                else:
                    m.d.comb += [one.valid.eq(valid[i]), ready[i].eq(one.ready),
                                 bits.eq(payload[i * step:i * step + len(bits)])]
        m.d.comb += [self.idle.eq(mesh.idle), self.activity.eq(mesh.activity)]
        return m
