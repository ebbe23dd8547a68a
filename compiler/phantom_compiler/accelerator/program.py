"""A program: a network that is compiled for a configuration, with all that the host has to know to run it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import phantom_golden as golden
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.accelerator.facts import LayerFacts, layer_facts
from phantom_compiler.accelerator.job import Job
from phantom_compiler.accelerator.network import Node, golden_values, network_job
from phantom_compiler.balance import Balance

__all__ = ["NetworkLike", "Pixels", "Program", "ProgramError", "compile_program"]


class ProgramError(ValueError):
    """A program that cannot be read or used: one line."""


class NetworkLike(Protocol):
    """A quantized network: what :class:`Program` takes over of it.

    It may say with ``outputs``, a tuple of numbers of nodes, which outputs are its own; else it is the last one's.
    """

    @property
    def name(self) -> str: ...
    @property
    def nodes(self) -> Sequence[Node]: ...
    @property
    def shape(self) -> tuple[int, int, int, int]: ...
    @property
    def signed(self) -> bool: ...
    @property
    def input_scale(self) -> float: ...
    @property
    def output_scales(self) -> Sequence[float]: ...
    @property
    def before(self) -> bytes | None: ...
    @property
    def after(self) -> bytes | None: ...
    @property
    def labels(self) -> Sequence[str] | None: ...


@dataclass(frozen=True)
class Pixels:
    """How the network wants the pixels of an image: ``pixel * scale + offset``, pixels from 0 to 255.

    Parameters
    ----------
    scale, offset : float
    """

    scale: float = 1 / 255
    offset: float = 0.0


@dataclass(frozen=True, eq=False)
class Program:
    """A compiled network.

    Parameters
    ----------
    name : str
    nodes : tuple of Node
        The quantized layers, for the golden model.
    job : Job
        What the accelerator gets.
    layers : tuple of LayerFacts
    outputs : tuple of int
        Layers whose outputs are the network's.
    input_scale : float
        Of the network's input.
    output_scales : tuple of float
        Of each layer's output.
    before, after : bytes, optional
        What the host does with the input and with the outputs: serialized ONNX models.
    labels : tuple of str
        Of the classes, if the network classifies.
    pixels : Pixels
    """

    name: str
    nodes: tuple[Node, ...]
    job: Job
    layers: tuple[LayerFacts, ...]
    outputs: tuple[int, ...]
    input_scale: float = 1.0
    output_scales: tuple[float, ...] = ()
    before: bytes | None = None
    after: bytes | None = None
    labels: tuple[str, ...] = ()
    pixels: Pixels = field(default_factory=Pixels)

    @property
    def config(self) -> PhantomConfig:
        """The configuration that it is compiled for."""
        return self.job.config

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the input (images, channels, rows, columns)."""
        return self.job.input.shape

    @property
    def signed(self) -> bool:
        """The input uses the signed range."""
        return self.job.input.signed

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory from address 0 on that it needs."""
        return self.job.image.base + self.job.image.size

    def check(self, config: PhantomConfig) -> None:
        """Refuse another configuration than the program's own; the name does not count.

        Raises
        ------
        ProgramError
            Names the first field that differs.
        """
        own, other = self.config.to_dict(), config.to_dict()
        for name, value in own.items():
            if name != "name" and other[name] != value:
                raise ProgramError(f"program {self.name!r} is compiled for {name} = {value!r}, not {other[name]!r}")

    def quantize(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """The network's input from real numbers."""
        integers: NDArray[np.int64] = golden.quantize(values, self.input_scale, self.config.act_width,
                                                      signed=self.signed)
        return integers

    def golden(self, activations: NDArray[Any]) -> list[NDArray[np.int64]]:
        """The outputs of all layers by the golden model."""
        return golden_values(self.nodes, activations)


def compile_program(
    network: NetworkLike, config: PhantomConfig, *, base: int = 0, reuse: bool = True,
    memory_bytes: int | None = None, balance: Balance = Balance.BOTH, pixels: Pixels | None = None,
    progress: Callable[[str], None] = lambda layer: None,
) -> Program:
    """Compile a network.

    Parameters
    ----------
    network : NetworkLike
    config : PhantomConfig
    base, reuse, memory_bytes, balance, progress
        See :func:`.network.network_job`.
    pixels : Pixels, optional

    Raises
    ------
    LayerError
        See :func:`.network.network_job`.
    """
    nodes = tuple(network.nodes)
    outputs = tuple(int(number) for number in getattr(network, "outputs", ())) or (len(nodes) - 1,)
    job = network_job(nodes, network.shape, network.signed, config, base, reuse=reuse, outputs=outputs,
                      memory_bytes=memory_bytes, balance=balance, progress=progress)
    kept = tuple(replace(node, seen=None) for node in nodes)
    return Program(
        network.name, kept, job, tuple(layer_facts(nodes, job)), outputs, float(network.input_scale),
        tuple(float(scale) for scale in network.output_scales), network.before, network.after,
        tuple(network.labels or ()), pixels or Pixels())
