"""Memory maps: what is needed at the same time never shares a byte, and a network that is too large is named."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from phantom_compiler.accelerator.memory_map import Lifetime, choose, lifetimes, place
from phantom_compiler.accelerator.network import network_job
from phantom_compiler.accelerator.random_network import residual_network
from phantom_compiler.layer import LayerError
from phantom_hw.config import PhantomConfig

TINY = PhantomConfig.preset("tiny")
SHAPE = (1, 2, 13, 12)
TENSORS = some.lists(some.builds(lambda size, first, length: Lifetime(size, first, first + length),
                                 some.integers(1, 1000), some.integers(0, 12), some.integers(0, 6)), min_size=1,
                     max_size=20)


@given(TENSORS, some.booleans())
def test_no_byte_twice(tensors, reuse):
    memory = place(tensors, reuse)
    spans = [(offset, offset + tensor.size) for offset, tensor in zip(memory.offsets, tensors, strict=True)]
    assert all(offset % 64 == 0 for offset in memory.offsets)
    assert memory.least <= memory.size and max(end for _, end in spans) <= memory.size
    for i, one in enumerate(tensors):
        for j, other in enumerate(tensors[:i]):
            if one.meets(other) or not reuse:
                assert spans[i][1] <= spans[j][0] or spans[j][1] <= spans[i][0]


@given(some.integers(2, 30), some.integers(1, 500))
def test_a_chain_needs_two_tensors(layers, size):
    memory = place(lifetimes([size] * (layers + 1), [[i] for i in range(layers)] + [[]], layers))
    assert memory.size == memory.least == 2 * (-(-size // 64) * 64)


@given(TENSORS, some.integers(0, 5000), some.booleans())
def test_what_is_chosen_fits(tensors, room, reuse):
    worth = {number: float(tensor.size) for number, tensor in enumerate(tensors)}
    chosen = choose(dict(enumerate(tensors)), worth, room, reuse)
    assert chosen == sorted(set(chosen))
    assert place([tensors[number] for number in chosen], reuse).size <= room
    left = set(worth) - set(chosen)  # nothing that still fits is left out
    assert all(place([tensors[n] for n in (*chosen, number)], reuse).size > room for number in left) or not reuse


def test_what_is_worth_more_is_chosen():
    """Three tensors, each there with the next one; room for two small ones at a time, or for the large one alone."""
    tensors = {5: Lifetime(640, 0, 1), 6: Lifetime(1280, 1, 2), 7: Lifetime(640, 2, 3)}
    assert choose(tensors, {5: 640.0, 6: 1280.0, 7: 640.0}, 1280) in ([6], [5, 7])
    assert choose(tensors, {5: 640.0, 6: 1290.0, 7: 640.0}, 1280) == [6]
    assert choose(tensors, {5: 640.0, 6: 1270.0, 7: 641.0}, 1280) == [5, 7]
    assert choose(tensors, {5: 640.0, 6: 1290.0, 7: 640.0}, 1920) == [5, 6, 7]
    assert choose(tensors, {5: 1.0, 6: 1.0, 7: 1.0}, 0) == choose({}, {}, 64) == []


def test_memory_on_the_chip():
    """It has what layers hand on, as far as it fits; the input, the outputs and what is kept are outside."""
    config, rng = replace(TINY, on_chip_words=512), np.random.default_rng(1)
    nodes = residual_network(SHAPE, config, rng)
    job = network_job(nodes, SHAPE, False, config, 64, reuse=True, outputs=[0])
    outside = [number for number, form in enumerate(job.outputs) if not form.on_chip]
    assert not job.input.on_chip and outside == [0, len(nodes) - 1]
    assert job.image.base == config.on_chip_bytes == 4096
    assert min(address for address, _ in job.image.segments) >= 4096 + job.tensor_bytes
    inside = [form for form in job.outputs if form.on_chip]
    assert job.tensor_ranges == [(0, max(form.address + form.bytes for form in inside)), (4096, job.tensor_bytes)]
    assert job.tensor_ranges[0][1] <= 4096 and all(form.compact for form in inside)


def test_lifetimes():
    found = lifetimes([10, 20, 30, 40], [[0], [1, 2], [2], []], 3)
    assert found == [Lifetime(10, 0, 0), Lifetime(20, 0, 2), Lifetime(30, 1, 2), Lifetime(40, 2, 3)]


def test_network_with_and_without_reuse():
    nodes = residual_network(SHAPE, TINY, np.random.default_rng(1))
    kept = network_job(nodes, SHAPE, False, TINY, 4096)
    less = network_job(nodes, SHAPE, False, TINY, 4096, reuse=True)
    assert kept.count == less.count and kept.starts == less.starts
    assert kept.tensor_bytes - less.tensor_bytes == kept.image.size - less.image.size > 0
    for job in (kept, less):
        forms = [job.input, *job.outputs]
        assert min(form.address for form in forms) == 4096
        assert max(form.address + form.bytes for form in forms) <= 4096 + job.tensor_bytes
        assert min(address for address, _ in job.image.segments) >= 4096 + job.tensor_bytes
    residual, left, right = (less.outputs[number] for number in (4, 3, 1))
    for one in (left, right):  # while it is written, both inputs are there
        assert residual.address + residual.bytes <= one.address or one.address + one.bytes <= residual.address


def test_outputs_that_are_kept():
    nodes = residual_network(SHAPE, TINY, np.random.default_rng(1))
    job = network_job(nodes, SHAPE, False, TINY, reuse=True, outputs=[0])
    stem = job.outputs[0]
    for one in job.outputs[1:]:
        assert stem.address + stem.bytes <= one.address or one.address + one.bytes <= stem.address


@pytest.mark.parametrize(("share", "layer"), [(0.05, "stem"), (0.99, "classes")])
def test_memory_that_is_too_small(share, layer):
    nodes = residual_network(SHAPE, TINY, np.random.default_rng(1))
    needed = network_job(nodes, SHAPE, False, TINY, 64, reuse=True).image.size + 64
    assert network_job(nodes, SHAPE, False, TINY, 64, reuse=True, memory_bytes=needed)
    most = int(needed * share)
    with pytest.raises(LayerError, match=re.escape(
            f"layer '{layer}': here the memory of {most:,} bytes is full; the network needs {needed - most:,} bytes "
            "more")):
        network_job(nodes, SHAPE, False, TINY, 64, reuse=True, memory_bytes=most)


def test_refuses_inputs_that_are_not_before():
    nodes = residual_network(SHAPE, TINY, np.random.default_rng(1))
    with pytest.raises(LayerError, match=r"layer 'pool': inputs must be layers before it, -1\.\.-1, not 0"):
        network_job(nodes[1:], SHAPE, False, TINY)
