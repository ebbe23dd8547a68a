"""What is loaded for a band lies beside what the band before is still read from."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from phantom_compiler.accelerator.bands import cut_into_bands
from phantom_compiler.accelerator.commands import CommandStream
from phantom_compiler.accelerator.loads import BandLoader
from phantom_compiler.accelerator.source import layer_input
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.convolution import Conv2d
from phantom_compiler.geometry import RowGeometry
from phantom_compiler.transposed import TransposedConv2d
from phantom_hw.config import PhantomConfig

TINY = PhantomConfig.preset("tiny")
CONFIGS = {
    "row": replace(TINY, moving_words=64, chunk=64),
    "rows": replace(TINY, mesh_rows=2, mesh_cols=3, pe_rows=1, moving_words=32, chunk=64),
}
INPUTS = 100


def written(command, size):
    """Places of the moving buffers that a command writes."""
    f = command.values
    if command.name == "FILL_MOVING":
        return np.unique((f["offset"] + np.add.outer(np.arange(f["count"]) * f["step"], np.arange(f["length"]))) % size)
    index = np.arange((f["slots"] - 1) * f["positions"] + f["last_positions"])
    row, x = (0 * index, index) if f["slots"] > 1 else divmod(index, f["width"])
    x = x + f["x"]
    row = np.add.outer(np.arange(f["lines"]) * (row[-1] + 1), row)
    line = row * f["row_step"] + x % f["stride"] * f["phase_step"] + x // f["stride"]
    return np.unique((f["offset"] + np.add.outer(np.arange(f["channels"]) * f["channel_step"], line)) % size)


def read(config, bands, number, row):
    """Places of the moving buffer of a mesh row that a band may be read from."""
    layout, share = bands.layout, bands.bands[number].shares[row]
    rows = np.arange(*share.rows) if share.blocks.size else np.arange(0)
    columns = np.arange(layout.columns * layout.source.stride[1])
    channels = np.arange(layout.source.shape[1]) * layout.channel_step
    places = np.add.outer(layout.place(rows[:, None], columns), channels)
    return np.unique((places + bands.origin(config, number, row)) % config.moving_positions)


def random_bands(rng, config):
    """A random input and its bands if each is loaded while the one before is streamed, otherwise None."""
    (high, wide), stride = rng.integers(1, 6, 2), tuple(rng.integers(1, 3, 2).tolist())
    shape = (1, int(rng.integers(1, 20)), *rng.integers(5, 25, 2).tolist())
    if rng.random() < 0.2:
        layer = TransposedConv2d(np.ones((shape[1], 2, high, wide), np.int64), act_signed=False, stride=stride)
    else:
        layer = Conv2d(np.ones((2, shape[1], high, wide), np.int64), act_signed=False, stride=stride,
                       padding=tuple(rng.integers(0, 5, 4).tolist()))
    source, columns = layer_input(layer, shape), min(shape[3], config.chunk)
    form = TensorFormat(config, shape, False, columns, int(rng.integers(1, config.chunk // columns + 1)))
    (rows, width), height = source.problem.out_size, int(rng.choice([1, 1, 2, 3]))
    geometry = RowGeometry(source.kernel[1], source.stride[1], 1, 1, 1, min(width, config.row_width), 1, True)
    if -(-source.columns // source.stride[1]) <= geometry.pitch and (source.stride[0] == 1 or form.height == 1):
        geometry = replace(geometry, height=min(height, rows))  # the buffer holds what such rows read
    bands = cut_into_bands(config, source, form, geometry, int(rng.choice([1, config.mesh_cols])))
    return (form, bands) if bands is not None and bands.ahead and len(bands.bands) > 1 else None


@pytest.mark.parametrize("name", CONFIGS)
def test_a_band_is_loaded_beside_the_one_before(name):
    """Nothing that is still streamed is written, not even zeros that the same values follow."""
    config = CONFIGS[name]
    drawn = ((seed, random_bands(np.random.default_rng(seed), config)) for seed in itertools.count())
    for seed, (form, bands) in itertools.islice((one for one in drawn if one[1]), INPUTS):
        for number in range(1, len(bands.bands)):
            stream = CommandStream(config)
            loader = BandLoader(config, form, bands, stream)
            loader.fill(number)
            loader.load(number)
            for command, r in itertools.product(stream.instructions, range(config.mesh_rows)):
                if command.values["rows"] >> r & 1:
                    both = np.intersect1d(written(command, config.moving_positions),
                                          read(config, bands, number - 1, r))
                    assert not len(both), f"seed {seed}, band {number}, mesh row {r}: {command} writes {both}"
