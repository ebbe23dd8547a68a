"""NumPy reference of the accelerator: what every value must be, bit for bit (architecture §2, §7).

Operators take and return plain integer arrays in NCHW order; results are int64. Convolutions and matrix
products return raw accumulators, and `requantize` turns those into the next layer's values.
"""

from .accumulator import AccumulatorOverflowError, accumulator_bounds, check_accumulator
from .conv import conv1d, conv2d, conv_output_size
from .elementwise import add_multipliers, clamp, quantized_add, relu
from .matmul import fully_connected, matmul
from .pool import average_pool2d, global_average_pool, max_pool2d, pool_counts, sum_pool2d
from .quantize import (
    WIDTHS,
    activation_scale,
    dequantize,
    integer_range,
    magnitude_prune,
    minimum_weight_scale,
    quantize,
    quantize_bias,
    weight_scales,
)
from .requantize import (
    MAX_SHIFT,
    MULT_BITS,
    requantize,
    requantize_scale,
    rescale,
    round_shift,
    scale_to_mult_shift,
)
from .resample import concat, quantized_concat, upsample_nearest
from .slots import VALUE_WIDTHS, from_bytes, slot_bytes, to_bytes
from .sparse import SparseTensor, decode, encode
from .transposed import flip_weights, transposed_conv1d, transposed_conv2d, transposed_padding, zero_stuff

__all__ = [
    "MAX_SHIFT",
    "MULT_BITS",
    "VALUE_WIDTHS",
    "WIDTHS",
    "AccumulatorOverflowError",
    "SparseTensor",
    "accumulator_bounds",
    "activation_scale",
    "add_multipliers",
    "average_pool2d",
    "check_accumulator",
    "clamp",
    "concat",
    "conv1d",
    "conv2d",
    "conv_output_size",
    "decode",
    "dequantize",
    "encode",
    "flip_weights",
    "from_bytes",
    "fully_connected",
    "global_average_pool",
    "integer_range",
    "magnitude_prune",
    "matmul",
    "max_pool2d",
    "minimum_weight_scale",
    "pool_counts",
    "quantize",
    "quantize_bias",
    "quantized_add",
    "quantized_concat",
    "relu",
    "requantize",
    "requantize_scale",
    "rescale",
    "round_shift",
    "scale_to_mult_shift",
    "slot_bytes",
    "sum_pool2d",
    "to_bytes",
    "transposed_conv1d",
    "transposed_conv2d",
    "transposed_padding",
    "upsample_nearest",
    "weight_scales",
    "zero_stuff",
]
