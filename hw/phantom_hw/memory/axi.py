"""AXI4 and AXI4-Lite as signatures, and their ports under the standard names."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Module, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Member, Out

__all__ = ["AXI4LiteSignature", "AXI4Signature", "AXISignature", "Burst", "FlatPorts", "Response", "flat_members"]

READ, WRITE = ("ar", "r"), ("aw", "w", "b")
CACHE, PROT = 0b0011, 0b000
"""What the managers say of all accesses: normal, not cached, bufferable memory; unprivileged, secure, data."""


class Burst(enum.Enum, shape=2):  # type: ignore[call-arg]
    """``AxBURST``."""

    FIXED = 0
    INCR = 1
    WRAP = 2


class Response(enum.Enum, shape=2):  # type: ignore[call-arg]
    """``RRESP`` and ``BRESP``."""

    OKAY = 0
    EXOKAY = 1
    SLVERR = 2
    DECERR = 3


class AXISignature(wiring.Signature):
    """A bus of channels, as its manager sees it; each channel is a stream whose payload has named fields.

    Parameters
    ----------
    channels : dict
        From a channel's name to its payload's fields.
    identity : tuple
        Two buses of one class are equal if these are.

    Members
    -------
    aw, w, ar : Out, stream
    b, r : In, stream
        Those that are among the channels.
    """

    def __init__(self, channels: Mapping[str, Mapping[str, object]], identity: tuple):
        self._identity = identity
        super().__init__({
            name: (In if name in ("b", "r") else Out)(stream.Signature(data.StructLayout(dict(layout))))
            for name, layout in channels.items()
        })

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash((type(self), self._identity))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._identity))})"


class AXI4Signature(AXISignature):
    """AXI4 as its manager sees it.

    Parameters
    ----------
    address_width : int
        32..64.
    data_width : int
        A power of two in 64..512.
    id_width : int
        1..16.
    channels : tuple of str
        ``READ``, ``WRITE`` or both (default).

    Members
    -------
    aw, ar : Out, stream of {id, addr, len, size, burst, cache, prot}
    w : Out, stream of {data, strb, last}
    b : In, stream of {id, resp}
    r : In, stream of {id, data, resp, last}

    Raises
    ------
    ValueError
        A width out of its range, or channels that make no bus.
    """

    def __init__(self, address_width: int, data_width: int, id_width: int = 1, channels: tuple = WRITE + READ):
        _integer("address_width", address_width, 32, 64)
        _integer("data_width", data_width, 64, 512)
        _integer("id_width", id_width, 1, 16)
        if data_width & (data_width - 1):
            raise ValueError(f"data_width must be a power of two in 64..512, not {data_width!r}")
        if channels not in (READ, WRITE, WRITE + READ):
            raise ValueError(f"channels must be READ, WRITE or WRITE + READ, not {channels!r}")
        address = {"id": id_width, "addr": address_width, "len": 8, "size": 3, "burst": Burst, "cache": 4, "prot": 3}
        layouts: dict[str, Mapping[str, object]] = {
            "aw": address, "w": {"data": data_width, "strb": data_width // 8, "last": 1},
            "b": {"id": id_width, "resp": Response},
            "ar": address, "r": {"id": id_width, "data": data_width, "resp": Response, "last": 1},
        }
        super().__init__({name: layouts[name] for name in channels}, (address_width, data_width, id_width, channels))


class AXI4LiteSignature(AXISignature):
    """AXI4-Lite with 32 bits of data as its manager sees it; a subordinate has it as ``In``.

    Parameters
    ----------
    address_width : int
        2..64.

    Members
    -------
    aw, ar : Out, stream of {addr, prot}
    w : Out, stream of {data, strb}
    b : In, stream of {resp}
    r : In, stream of {data, resp}

    Raises
    ------
    ValueError
        A width out of its range.
    """

    DATA_WIDTH = 32

    def __init__(self, address_width: int):
        _integer("address_width", address_width, 2, 64)
        address = {"addr": address_width, "prot": 3}
        super().__init__({
            "aw": address, "w": {"data": self.DATA_WIDTH, "strb": self.DATA_WIDTH // 8}, "b": {"resp": Response},
            "ar": address, "r": {"data": self.DATA_WIDTH, "resp": Response},
        }, (address_width,))


def _integer(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} must be an integer in {low}..{high}, not {value!r}")


def _flat(member: Member, prefix: str) -> dict[str, tuple[Member, str, str]]:
    """For each standard port name of a bus: the port, its channel, and the payload's field, "valid" or "ready"."""
    ports = {}
    for channel, part in member.signature.members.items():
        flow = part.flow
        for field, item in part.signature.members["payload"].shape:
            ports[f"{prefix}_{channel}{field}"] = (flow(item.shape), channel, field)
        ports[f"{prefix}_{channel}valid"] = (flow(1), channel, "valid")
        ports[f"{prefix}_{channel}ready"] = (flow.flip()(1), channel, "ready")
    return ports


def flat_members(member: Member, prefix: str) -> dict[str, Member]:
    """The ports of a bus under their standard names, as in ``m_axi_awaddr``.

    Parameters
    ----------
    member : Member
        ``Out`` of an :class:`AXISignature` for a manager, ``In`` for a subordinate.
    prefix : str
        As in ``m_axi``.
    """
    return {name: port for name, (port, _, _) in _flat(member, prefix).items()}


class FlatPorts(wiring.Component):
    """A component whose buses have the standard port names, so that it drops into an AXI system.

    Parameters
    ----------
    component : Component
    buses : dict of str to str
        From a port of the component, an AXI bus, to the prefix of its names. The read half and the write half
        of a bus may have the same prefix.

    Members
    -------
    For each bus, ``PREFIX_awaddr``, ``PREFIX_awvalid`` and so on; all other ports as they are.

    Raises
    ------
    ValueError
        A port that is not there or is no AXI bus, or two ports of one name.
    """

    def __init__(self, component: wiring.Component, buses: Mapping[str, str]):
        self._component = component
        self._wires: dict[str, tuple[str, str, str]] = {}
        members: dict[str, Member] = {}
        for name in buses:
            member = component.signature.members.get(name)
            if member is None or not member.is_signature or not isinstance(_manager_view(member), AXISignature):
                raise ValueError(f"{name!r} is no AXI bus of {type(component).__name__}")
        for name, member in component.signature.members.items():
            ports = _flat(member, buses[name]) if name in buses else {}
            added = {port: item for port, (item, _, _) in ports.items()} if name in buses else {name: member}
            twice = sorted(members.keys() & added.keys())
            if twice:
                raise ValueError(f"two ports have the name {twice[0]!r}")
            members.update(added)
            self._wires.update({port: (name, channel, field) for port, (_, channel, field) in ports.items()})
        self._passed = [name for name in component.signature.members if name not in buses]
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = self._component
        for port, (name, channel, field) in self._wires.items():
            whole = getattr(getattr(inner, name), channel)
            value = getattr(whole, field) if field in ("valid", "ready") else whole.payload[field]
            self._join(m, self.signature.members[port].flow, getattr(self, port), value)
        passed = wiring.Signature({name: self.signature.members[name] for name in self._passed})
        for (_path, item, one), (_, _, other) in zip(passed.flatten(self), passed.flatten(inner), strict=True):
            self._join(m, item.flow, one, other)
        return m

    @staticmethod
    def _join(m: Module, flow: wiring.Flow, outer: object, inner: object) -> None:
        target, source = (outer, inner) if flow is Out else (inner, outer)
        m.d.comb += Value.cast(target).eq(Value.cast(source))


def _manager_view(member: Member) -> wiring.Signature:
    """The signature of a bus as its manager sees it, whichever side the member is of."""
    signature = member.signature
    return signature if member.flow is Out else signature.flip()
