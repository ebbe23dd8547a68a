"""Float networks with concatenations, as inceptions, dense blocks and encoders with decoders have them."""

import numpy as np
from phantom_compiler.accelerator.network import INPUT
from phantom_compiler.accelerator.vector_layers import Window
from phantom_compiler.frontend import (
    Addition,
    Concatenation,
    Convolution,
    FloatNetwork,
    FloatNode,
    MaxPool,
    TransposedConvolution,
    Upsampling,
)


class Builder:
    """Adds layers with random weights."""

    def __init__(self, seed, shape):
        self.rng, self.shape, self.nodes = np.random.default_rng(seed), shape, []

    def put(self, layer, *inputs):
        self.nodes.append(FloatNode(layer, inputs))
        return len(self.nodes) - 1

    def conv(self, source, channels, filters, size=1, low=0.0, **options):
        weights = self.rng.normal(size=(filters, channels, size, size)) / np.sqrt(channels) / size
        weights[self.rng.random(weights.shape) < 0.4] = 0
        kind = TransposedConvolution if options.pop("transposed", False) else Convolution
        options.setdefault("padding", (size // 2,) * 4)
        return self.put(kind(f"conv{len(self.nodes)}", weights.astype(np.float32),
                             self.rng.normal(size=filters).astype(np.float32) / 8, low=low, **options), source)

    def concat(self, *sources):
        return self.put(Concatenation(f"concat{len(self.nodes)}"), *sources)

    def network(self, *outputs):
        return FloatNetwork("parts", tuple(self.nodes), self.shape, outputs or (len(self.nodes) - 1,))


def inception(seed=0, images=1):
    """Three branches of different layers, and a convolution of all of them."""
    b = Builder(seed, (images, 4, 9, 10))
    stem = b.conv(INPUT, 4, 6, 3)
    one, three = b.conv(stem, 6, 5), b.conv(b.conv(stem, 6, 3), 3, 7, 3)
    pooled = b.conv(b.put(MaxPool("pool", Window((3, 3), padding=(1, 1, 1, 1))), stem), 6, 3)
    b.conv(b.concat(one, three, pooled), 15, 4, 3, low=-np.inf)
    return b.network()


def dense_block(seed=0, images=1):
    """Each layer reads all before it, the block's input, too; a pooling reads all."""
    b = Builder(seed, (images, 3, 8, 7))
    features, channels = [INPUT], 3
    joined = INPUT
    for filters in (4, 2, 5):
        features.append(b.conv(joined, channels, filters, 3))
        channels += filters
        joined = b.concat(*features)
    b.put(MaxPool("pool", Window((2, 2), (2, 2))), joined)
    return b.network()


def decoder(seed=0, images=1):
    """What was made smaller is made larger again, and joined with what it was made of; signed values, too."""
    b = Builder(seed, (images, 2, 8, 12))
    large = b.conv(INPUT, 2, 4, 3)
    small = b.conv(b.put(MaxPool("pool", Window((2, 2), (2, 2))), large), 4, 6, 3, low=-np.inf)
    near = b.put(Upsampling("near", (2, 2)), small)
    learned = b.conv(small, 6, 3, 2, transposed=True, stride=(2, 2), padding=(0, 0, 0, 0))
    joined = b.concat(near, large, learned)
    again = b.conv(joined, 13, 4, 3)
    b.put(Addition("sum"), again, large)
    return b.network()


def twice(seed=0, images=1):
    """An input that is there twice, one that two concatenations have in other places, and one of one of them."""
    b = Builder(seed, (images, 2, 6, 5))
    one, two = b.conv(INPUT, 2, 3), b.conv(INPUT, 2, 4, 3)
    first = b.concat(one, two, one)
    second = b.concat(two, first)
    b.conv(b.concat(second, INPUT), 16, 3)
    return b.network()


NETWORKS = {network.__name__: network for network in (inception, dense_block, decoder, twice)}
