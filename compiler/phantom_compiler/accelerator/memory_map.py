"""Where the tensors of a network lie in memory: those that are not needed at the same time may share bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from phantom_compiler.accelerator.image import ALIGNMENT

__all__ = ["Lifetime", "MemoryMap", "choose", "joined", "lifetimes", "place"]


@dataclass(frozen=True)
class Lifetime:
    """A tensor and the steps in which its bytes must not be used by others.

    Parameters
    ----------
    size : int
        Bytes.
    first, last : int
        Steps, both included: the one that writes it and the last one that reads it.
    """

    size: int
    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        """Both are needed at the same time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class MemoryMap:
    """Places of tensors.

    Attributes
    ----------
    offsets : tuple of int
        First byte of each tensor, a multiple of ``ALIGNMENT``.
    size : int
        Bytes of all of it.
    least : int
        Bytes that no map could do without: those of the step with the most.
    crowded : int
        That step.
    """

    offsets: tuple[int, ...]
    size: int
    least: int
    crowded: int


def lifetimes(sizes: Sequence[int], readers: Sequence[Sequence[int]], steps: int) -> list[Lifetime]:
    """Lifetimes of a network's input and of its layers' outputs.

    Parameters
    ----------
    sizes : sequence of int
        Bytes of the input, then of the output of each layer.
    readers : sequence of sequences of int
        The layers that read each of these tensors; what nobody reads is kept to the end.
    steps : int
        Layers.
    """
    return [Lifetime(size, max(0, number - 1), max(those) if those else steps)
            for number, (size, those) in enumerate(zip(sizes, readers, strict=True))]


def joined(tensors: Sequence[Lifetime], holders: Sequence[int]) -> dict[int, Lifetime]:
    """Lifetimes of the tensors that lie in no other one, each needed as long as one of its parts.

    Parameters
    ----------
    tensors : sequence of Lifetime
    holders : sequence of int
        For each tensor the one of which it is a part, itself if it is none; a holder is no part.
    """
    return {number: Lifetime(
        tensors[number].size, min(tensors[n].first for n, other in enumerate(holders) if other == number),
        max(tensors[n].last for n, other in enumerate(holders) if other == number))
        for number, holder in enumerate(holders) if holder == number}


def choose(tensors: Mapping[int, Lifetime], worth: Mapping[int, float], room: int, reuse: bool = True) -> list[int]:
    """Tensors that fit into a memory together and are worth most there, as far as some greedy orders tell.

    Parameters
    ----------
    tensors : mapping of int to Lifetime
    worth : mapping of int to float
    room : int
        Bytes of the memory.
    reuse : bool
        See :func:`place`.
    """
    orders: list[Callable[[int], tuple[float, ...]]] = [
        lambda n: (-worth[n], n), lambda n: (-worth[n], -n), lambda n: (-worth[n] / max(1, tensors[n].size), n),
        lambda n: (n,), lambda n: (-n,)]
    best: list[int] = []
    for order in orders:
        chosen: list[int] = []
        for number in sorted(tensors, key=order):
            if place([tensors[n] for n in (*chosen, number)], reuse).size <= room:
                chosen.append(number)
        best = max(best, chosen, key=lambda those: sum(worth[n] for n in those))
    return sorted(best)


def place(tensors: Sequence[Lifetime], reuse: bool = True) -> MemoryMap:
    """Give every tensor a place, the largest ones first, each as low as those before leave room.

    Parameters
    ----------
    tensors : sequence of Lifetime
    reuse : bool
        Otherwise each gets bytes of its own, in the order given.
    """
    sizes = [-(-tensor.size // ALIGNMENT) * ALIGNMENT for tensor in tensors]
    steps = sorted({tensor.first for tensor in tensors})
    if not tensors:
        return MemoryMap((), 0, 0, 0)
    used = {step: sum(size for tensor, size in zip(tensors, sizes, strict=True) if tensor.first <= step <= tensor.last)
            for step in steps}
    crowded = max(steps, key=lambda step: used[step])
    offsets = [0] * len(tensors)
    if not reuse:
        for number in range(1, len(tensors)):
            offsets[number] = offsets[number - 1] + sizes[number - 1]
        return MemoryMap(tuple(offsets), sum(sizes), used[crowded], crowded)
    done: list[int] = []
    for number in sorted(range(len(tensors)), key=lambda n: (-sizes[n], tensors[n].first)):
        offset = 0
        for other in sorted((n for n in done if tensors[n].meets(tensors[number])), key=lambda n: offsets[n]):
            if offset + sizes[number] <= offsets[other]:
                break
            offset = max(offset, offsets[other] + sizes[other])
        offsets[number] = offset
        done.append(number)
    size = max(offset + size for offset, size in zip(offsets, sizes, strict=True))
    return MemoryMap(tuple(offsets), size, used[crowded], crowded)
