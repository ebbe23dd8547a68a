"""Pooling and addition from memory to memory on the Verilated accelerator, against the golden operators."""

from dataclasses import replace

import numpy as np
import phantom_golden as golden
import pytest
from phantom_compiler.accelerator.commands import CommandStream
from phantom_compiler.accelerator.image import MemoryImage
from phantom_compiler.accelerator.lower import lower_layer
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.accelerator.vector import VectorJob, lower_vector, vector_job
from phantom_compiler.accelerator.vector_layers import Add, AveragePool2d, MaxPool2d, Window
from phantom_compiler.accelerator.vector_plan import plan_vector
from phantom_compiler.convolution import Conv2d
from phantom_compiler.layer import LayerError
from phantom_hw.config import PhantomConfig
from phantom_sim.accelerator_exactness import compare_job, golden_result, quantize_at_random
from phantom_sim.accelerator_simulator import AcceleratorSimulator

CORE = {"pe_rows": 1, "pe_cols": 1, "threads": 2, "lookahead": 4, "group": 2, "acc_depth": 16, "item_slots": 4}
CONFIGURATIONS = {
    "tiny": PhantomConfig.preset("tiny"),
    "lanes": PhantomConfig(**CORE | {"pe_cols": 2}, mesh_rows=2, mesh_cols=3, drain_lanes=2, act_width=4,
                           weight_width=4, acc_width=16, moving_link=4, row_width=16, chunk=14, moving_words=256,
                           program_words=256, lane_channels=16),
    "wide": PhantomConfig(**CORE | {"threads": 8}, act_width=16, weight_width=8, acc_width=48, moving_link=16,
                          row_width=64, chunk=64, bus_width=128, moving_words=256, program_words=1024),
    "narrow": PhantomConfig(**CORE, mesh_rows=2, weight_width=4, acc_width=24, moving_link=1, row_width=4, chunk=5,
                            moving_words=512, program_words=128, lane_channels=16),
}
LAYERS = 8
"""Random layers of a seed."""


@pytest.fixture(scope="module")
def accelerator():
    """A function that gives the simulator of a configuration, opened once."""
    opened = {}

    def get(name):
        if name not in opened:
            opened[name] = AcceleratorSimulator(CONFIGURATIONS[name])
        return opened[name]

    yield get
    for simulator in opened.values():
        simulator.close()


def values(shape, signed, config, rng):
    """Activations, many of them zero, and the extreme ones."""
    lo, hi = golden.integer_range(config.act_width, signed=signed)
    x = np.where(rng.random(shape) < 0.1, rng.choice([lo, hi], shape), rng.integers(lo, hi + 1, shape))
    return np.where(rng.random(shape) < rng.choice([0.0, 0.5, 0.95]), 0, x)


def form_of(config, shape, signed, rng):
    """A format in which another layer may have left a tensor."""
    if rng.random() < 0.5:
        return TensorFormat.natural(config, shape, signed)
    width = int(rng.integers(1, min(config.chunk, shape[3]) + 1))
    height = int(rng.integers(1, config.chunk // width + 1)) if width == shape[3] else 1
    return TensorFormat(config, shape, signed, width, min(height, shape[2]))


def random_range(config, rng):
    """A clamp, and whether the results are signed."""
    signed = bool(rng.integers(2))
    lo, hi = golden.integer_range(config.act_width, signed=signed)
    return (lo, hi, signed) if rng.random() < 0.7 else (lo // 2, hi // 2, signed)


def random_layer(config, rng):
    """A layer, the signedness of its inputs and of its output, and the shape of its inputs."""
    shape = (int(rng.choice([1, 1, 2])), int(rng.integers(1, 20)), int(rng.integers(1, 18)), int(rng.integers(1, 24)))
    kind = rng.choice(["max", "average", "global", "add"])
    lo, hi, out_signed = random_range(config, rng)
    signed = [bool(one) for one in rng.integers(0, 2, 2)]
    if kind == "add":
        scales = rng.uniform(0.01, 1.2, 2)
        mult_a, mult_b, shift = golden.add_multipliers(float(scales[0]), float(scales[1]), 1.0)
        return Add(mult_a=mult_a, mult_b=mult_b, shift=shift, lo=lo, hi=hi).fitted(config), signed, out_signed, shape
    if kind == "global":
        factor = float(rng.uniform(0.5, 4))
        return AveragePool2d(window=Window(shape[2:]), factor=factor, lo=lo, hi=hi), signed[:1], out_signed, shape
    kernel = tuple(int(rng.integers(1, 4)) for _ in range(2))
    pad = rng.random() < 0.5
    window = Window(
        kernel, tuple(int(rng.integers(1, 4)) for _ in range(2)),
        tuple(int(rng.integers(0, kernel[axis % 2])) if pad else 0 for axis in range(4)),
        tuple(int(rng.integers(1, 3)) for _ in range(2)), bool(kind == "max" and rng.integers(2)))
    if kind == "max":
        if signed[0]:  # where padding needs rows and columns at the edge again
            window = replace(window, dilation=(1, 1))
        return MaxPool2d(window=window), signed[:1], signed[0], shape
    return AveragePool2d(window=window, factor=float(rng.uniform(0.5, 4)), lo=lo, hi=hi,
                         count_include_pad=True), signed[:1], out_signed, shape


def random_job(config, rng):
    """A layer that can be lowered, with its job, its inputs and what must come out."""
    while True:
        layer, signed, out_signed, shape = random_layer(config, rng)
        inputs = [values(shape, one, config, rng) for one in signed]
        try:
            expected = layer.golden(*inputs)
        except ValueError:
            continue  # a window that does not fit
        forms = tuple(form_of(config, shape, one, rng) for one in signed)
        return layer, vector_job(layer, forms, config, out_signed=out_signed, base=64 * int(rng.integers(100))), \
            inputs, expected


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_random_layers(accelerator, name, seed):
    print(f"seed {seed}")
    config, rng = CONFIGURATIONS[name], np.random.default_rng(seed)
    for _ in range(LAYERS):
        layer, job, inputs, expected = random_job(config, rng)
        done = compare_job(accelerator(name), job, inputs, expected, latency=int(rng.choice([2, 20, 100])),
                           bandwidth=float(rng.choice([0.3, 1.0])), stall=float(rng.choice([0.0, 0.3])), seed=seed)
        assert not done.differences, (layer, [one.shape for one in inputs], done.differences)


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(100, 130))
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_many_random_layers(accelerator, name, seed):
    test_random_layers(accelerator, name, seed)


@pytest.mark.parametrize("name", ["tiny", "lanes"])
def test_between_convolutions(accelerator, name):
    """In one job: a convolution, max pooling, an addition, a convolution."""
    config, rng = CONFIGURATIONS[name], np.random.default_rng(7)
    bits = config.weight_width
    image, stream = MemoryImage(0), CommandStream(config)

    def convolution(x, form, filters, padding):
        weights = rng.integers(-(1 << bits - 1) + 1, 1 << bits - 1, (filters, x.shape[1], 3, 3))
        weights[rng.random(weights.shape) < 0.7] = 0
        layer = quantize_at_random(Conv2d(weights, name="conv", act_signed=form.signed, padding=(padding,) * 4), x,
                                   config, rng)
        out = lower_layer(layer, form, x.shape, config, image, stream, out_signed=layer.lo < 0, density=0.5)
        return golden_result(layer, x), out.output

    shape = (1, 2, 10, 11)
    x = values(shape, False, config, rng)
    first = TensorFormat.natural(config, shape, False)
    first = first.at(image.reserve(first.bytes))
    y, form = convolution(x, first, 5, 1)
    pool, hi = MaxPool2d(window=Window((3, 2), (2, 1))), golden.integer_range(config.act_width, signed=False)[1]
    add = Add(mult_a=3 << 10, mult_b=1 << 10, shift=12, lo=0, hi=hi).fitted(config)
    pooled = lower_vector(pool, (form,), config, image, stream, out_signed=form.signed)
    twice = lower_vector(add, (pooled, pooled), config, image, stream, out_signed=False)
    z = add.golden(pool.golden(y), pool.golden(y))
    expected, last = convolution(z, twice, 4, 1)
    address = image.add(stream.to_bytes())
    job = VectorJob(config, image, address, len(stream.instructions) + 1, first, [form, pooled, twice, last],
                    inputs=(first,))
    done = compare_job(accelerator(name), job, [x], expected)
    assert not done.differences


def test_cut_into_groups_and_bands(accelerator):
    """More channels than the lanes hold, more rows than the buffers; two inputs with different slots."""
    config, rng = CONFIGURATIONS["lanes"], np.random.default_rng(8)
    shape = (2, 70, 40, 23)
    inputs = [values(shape, True, config, rng) for _ in range(2)]
    layer = Add(mult_a=900, mult_b=500, shift=10, lo=-8, hi=7)
    forms = TensorFormat.natural(config, shape, True), TensorFormat(config, shape, True, 5)
    plan = plan_vector(layer, forms, config, True)
    assert plan.groups > 1 and len(plan.strips) > 1 and not plan.all_parameters
    done = compare_job(accelerator("lanes"), vector_job(layer, forms, config, out_signed=True), inputs,
                       layer.golden(*inputs))
    assert not done.differences


@pytest.mark.parametrize("shape", [(1, 5, 9, 9), (1, 40, 30, 21)])
def test_padding_never_wins(accelerator, shape):
    """Negative activations only, with padding on all sides: zeros there would be seen."""
    config, rng = CONFIGURATIONS["tiny"], np.random.default_rng(9)
    x = rng.integers(-128, 0, shape)
    for window in (Window((3, 3), (2, 2), (1, 1, 1, 1)), Window((5, 5), (1, 1), (2, 2, 2, 2)),
                   Window((2, 3), (3, 2), (1, 2, 0, 1), ceil_mode=True)):
        layer, form = MaxPool2d(window=window), form_of(config, shape, True, rng)
        expected = layer.golden(x)
        assert expected.max() < 0
        done = compare_job(accelerator("tiny"), vector_job(layer, (form,), config, out_signed=True), [x], expected)
        assert not done.differences, (window, form, done.differences)


def test_folds_whole_channels():
    """A global pooling takes a beat for moving_link activations, not an operand for each."""
    config = PhantomConfig.preset("ulx3s")
    plan = plan_vector(AveragePool2d(window=Window((7, 7))), (TensorFormat.natural(config, (1, 64, 7, 7), False),),
                       config, False)
    # 49 activations are two rows of 25 places at the most, each of whole beats
    assert plan.fold and plan.operands == 2 * -(-25 // config.moving_link) and len(plan.parts) == 2


@pytest.mark.parametrize(("layer", "signed", "message"), [
    (MaxPool2d(window=Window((2, 2), padding=(1, 1, 1, 1), dilation=(2, 2))), [True], "must have a dilation of 1"),
    (AveragePool2d(window=Window((3, 3), padding=(1, 1, 1, 1))), [False],
     r"each window must have as many activations as the others, not \[4, 6, 9\]"),
    (Add(mult_a=1 << 22), [False, False], "multipliers must have at most 22 bits"),
    (Add(), [False], "there must be 2 inputs, not 1"),
    (MaxPool2d(), [False, False], "there must be 1 inputs, not 2"),
])
def test_refuses_what_would_be_wrong(layer, signed, message):
    config = CONFIGURATIONS["tiny"]
    forms = tuple(TensorFormat.natural(config, (1, 4, 8, 8), one) for one in signed)
    with pytest.raises(LayerError, match=message):
        vector_job(layer, forms, config, out_signed=False)


def test_refuses_inputs_of_different_shapes():
    config = CONFIGURATIONS["tiny"]
    forms = tuple(TensorFormat.natural(config, (1, 4, 8, width), False) for width in (8, 9))
    with pytest.raises(LayerError, match=r"all inputs must have shape \(1, 4, 8, 8\), not \(1, 4, 8, 9\)"):
        vector_job(Add(), forms, config, out_signed=False)


def test_refuses_sums_that_may_overflow():
    config = CONFIGURATIONS["lanes"]
    form = TensorFormat.natural(config, (1, 2, 60, 60), False)
    with pytest.raises(LayerError, match="the sum of 3600 activations may overflow"):
        vector_job(AveragePool2d(window=Window((60, 60))), (form,), config, out_signed=False)


def test_refuses_rows_that_no_buffer_holds():
    config = CONFIGURATIONS["tiny"]
    form = TensorFormat.natural(config, (1, 1, 8, 3000), False)
    with pytest.raises(LayerError, match=r"too small: .*moving_words"):
        vector_job(MaxPool2d(window=Window((2, 2))), (form,), config, out_signed=False)


def test_multipliers_are_rounded_until_they_fit():
    config = CONFIGURATIONS["tiny"]
    fitted = Add(mult_a=0xFFFFFF, mult_b=0x123457, shift=24).fitted(config)
    assert (fitted.mult_a, fitted.mult_b, fitted.shift) == (1 << 21, 0x123457 + 4 >> 3, 21)
