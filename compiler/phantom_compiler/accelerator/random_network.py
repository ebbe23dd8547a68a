"""A small network with random weights: convolutions, both kinds of pooling, a residual addition, a last layer."""

from __future__ import annotations

import numpy as np
import phantom_golden as golden
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.accelerator.network import INPUT, Node
from phantom_compiler.accelerator.vector_layers import Add, AveragePool2d, MaxPool2d, Window
from phantom_compiler.convolution import Conv2d
from phantom_compiler.quantized import QuantizedLayer

__all__ = ["random_activations", "residual_network"]


def random_activations(
    shape: tuple[int, ...], config: PhantomConfig, rng: np.random.Generator, density: float = 0.5
) -> NDArray[np.int64]:
    """Unsigned activations, a share of them not zero."""
    values = rng.integers(1, 1 << config.act_width, shape)
    return np.where(rng.random(shape) < density, values, 0)


def residual_network(
    shape: tuple[int, int, int, int], config: PhantomConfig, rng: np.random.Generator, *, filters: int = 6,
    classes: int = 5,
) -> list[Node]:
    """Two 3 x 3 convolutions around an addition, between a strided one with max pooling and a classifier.

    Many results are neither zero nor at the clamp.

    Parameters
    ----------
    shape : (images, channels, rows, columns)
        Of the unsigned input; at least 12 rows and columns.
    config : PhantomConfig
    rng : numpy.random.Generator
    filters, classes : int
        Channels in the middle, and of the last layer.
    """
    top = (1 << config.act_width) - 1
    values: list[NDArray[np.int64]] = [random_activations(shape, config, rng)]
    nodes: list[Node] = []

    def add(node: Node) -> int:
        nodes.append(node)
        values.append(node.golden(*(values[1 + number] for number in node.inputs)))
        return len(nodes) - 1

    def convolution(name: str, source: int, kernel: tuple[int, int], count: int, signed: bool = False) -> int:
        x = values[1 + source]
        half = 1 << config.weight_width - 1
        weights = rng.integers(-half + 1, half, (count, x.shape[1], *kernel))
        weights[rng.random(weights.shape) < 0.6] = 0
        pad = (kernel[0] // 2, kernel[1] // 2) * 2 if kernel[0] % 2 and kernel != x.shape[2:] else (0, 0, 0, 0)
        layer = Conv2d(weights, name=name, padding=pad)
        spread = max(1.0, float(np.abs(layer.golden(x)).max()))
        mult, shift = golden.scale_to_mult_shift((top / spread * rng.uniform(0.5, 1.5, count)).astype(np.float32))
        lo, hi = (-(top // 2) - 1, top // 2) if signed else (0, top)
        bias = rng.integers(-int(spread / 8) - 1, int(spread / 8) + 1, count)
        return add(Node(QuantizedLayer(layer, bias, mult, shift, lo, hi), (source,), signed,
                        (x != 0).mean(axis=(0, 2, 3))))

    stem = convolution("stem", INPUT, (3, 3), filters)
    pooled = add(Node(MaxPool2d("pool", Window((2, 2), (2, 2))), (stem,), False))
    one = convolution("block1", pooled, (3, 3), filters)
    two = convolution("block2", one, (3, 3), filters)
    mult_a, mult_b, shift = golden.add_multipliers(0.7, 0.6, 1.0)
    both = Add("residual", mult_a=mult_a, mult_b=mult_b, shift=shift, lo=0, hi=top).fitted(config)
    joined = add(Node(both, (two, pooled), False))
    mean = add(Node(AveragePool2d("average", Window((2, 2), (2, 2)), factor=1.5, lo=0, hi=top), (joined,), False))
    convolution("classes", mean, values[1 + mean].shape[2:], classes, True)
    return nodes
