"""Each operator imported, against ONNX Runtime; folding, views, host partitions, and what is refused."""

import math
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx_models import float_model, model, node, run_float, runtime
from phantom_compiler.frontend import (
    Addition,
    AveragePool,
    Concatenation,
    Convolution,
    MaxPool,
    OnnxError,
    TransposedConvolution,
    Upsampling,
    read_model,
    read_onnx,
)
from phantom_compiler.frontend.partition import host_nodes, run_host

RNG = np.random.default_rng(5)
SHAPE = (1, 4, 9, 8)


def normal(*shape):
    return (RNG.normal(size=shape) / 2).astype(np.float32)


W, B, V = normal(6, 4, 3, 3), normal(6), normal(5, 6, 1, 1)
CONV = node("Conv", "x w", "a", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
RELU = node("Relu", "a", "r")
BN = {"s": normal(6), "o": normal(6), "m": normal(6), "v": np.abs(normal(6)) + 0.1}


def case(name, nodes, shape=SHAPE, kinds=None, before=(), after=(), **constants):
    """Nodes with their constants; the layers that they become, and what is left to the host."""
    return pytest.param(model(nodes, {"w": W, **constants}, list(shape)), kinds, list(before), list(after), id=name)


@pytest.fixture(autouse=True)
def seeded():
    """What a test draws does not depend on the tests before it."""
    RNG.bit_generator.state = np.random.default_rng(6).bit_generator.state


C, M, A, P = Convolution, MaxPool, AveragePool, Addition
T, U, J = TransposedConvolution, Upsampling, Concatenation
F = np.float32


def ints(*values):
    return np.array(values, np.int64)


CASES = [
    case("conv", [node("Conv", "x w b", "y", strides=[2, 1], pads=[0, 1, 2, 0], dilations=[1, 2])], kinds=[C], b=B),
    case("same upper", [node("Conv", "x w", "y", strides=[2, 2], auto_pad="SAME_UPPER")], kinds=[C]),
    case("same lower", [node("Conv", "x w", "y", strides=[2, 3], auto_pad="SAME_LOWER")], kinds=[C]),
    case("valid", [node("Conv", "x w", "y", auto_pad="VALID")], kinds=[C]),
    case("groups", [node("Conv", "x d", "y", group=2)], kinds=[C], d=normal(6, 2, 3, 3)),
    case("row", [node("Conv", "x d", "a", strides=[2], pads=[1, 2]), node("Relu", "a", "b"),
                 node("MaxPool", "b", "y", kernel_shape=[2], strides=[2])], (1, 4, 19), [C, M], d=normal(3, 4, 5)),
    case("batch", [CONV, node("BatchNormalization", "a s o m v", "b"), node("Relu", "b", "y")], kinds=[C], **BN),
    case("batch behind relu", [CONV, RELU, node("BatchNormalization", "r s o m v", "b"), node("Conv", "b k", "y")],
         kinds=[C, C], k=V, **BN),
    case("batch behind relu and in front of padding",
         [CONV, RELU, node("BatchNormalization", "r s o m v", "b"), node("Conv", "b k", "y", pads=[1, 1, 1, 1])],
         kinds=[C, C, C], k=normal(2, 6, 3, 3), **BN),
    case("scale in front of groups and padding",
         [CONV, RELU, node("Mul", "r s", "b"), node("Conv", "b k", "y", pads=[1, 1, 1, 1], group=3)],
         kinds=[C, C], k=normal(9, 2, 3, 3), s=normal(6, 1, 1)),
    case("constants", [CONV, node("Mul", "a s", "b"), node("Add", "o b", "c"), node("Sub", "c o", "d"),
                       node("Div", "d f", "e"), node("Sub", "f e", "y")],
         kinds=[C], s=normal(1, 6, 1, 1), o=normal(6, 1, 1), f=F(3)),
    case("positive scale behind relu", [CONV, RELU, node("Mul", "r s", "b"), node("Add", "b o", "c"),
                                        node("Conv", "c k", "y")],
         kinds=[C, C], k=V, s=np.abs(normal(6, 1, 1)), o=normal(6, 1, 1)),
    case("positive scale at the end", [CONV, RELU, node("Mul", "r s", "y")], kinds=[C], s=np.abs(normal(6, 1, 1))),
    case("constants at the end", [CONV, RELU, node("Mul", "r s", "y")], kinds=[C, C], s=normal(6, 1, 1)),
    case("relu6", [CONV, node("Clip", "a lo hi", "y")], kinds=[C], lo=F(0), hi=F(0.6)),
    case("clip of clip", [CONV, node("Clip", "a lo hi", "b"), node("Clip", "b l2", "c"), node("Relu", "c", "y")],
         kinds=[C], lo=F(-0.3), hi=F(0.6), l2=F(-0.2)),
    case("relu behind max pool", [CONV, node("MaxPool", "a", "b", kernel_shape=[2, 2], strides=[2, 2]),
                                  node("Relu", "b", "y")], kinds=[C, M]),
    case("relu of a branch", [CONV, node("MaxPool", "a", "b", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), RELU,
                              node("Add", "b r", "y")], kinds=[C, M, C, P]),
    case("residual", [CONV, RELU, node("Conv", "r k", "b"), node("Conv", "r j", "c"), node("Add", "b c", "d"),
                      node("Relu", "d", "e"), node("Add", "r e", "y")],
         kinds=[C, C, C, P, P], k=normal(6, 6, 1, 1), j=normal(6, 6, 1, 1)),
    case("added to itself", [CONV, node("Add", "a a", "y")], kinds=[C, P]),
    case("sum", [CONV, RELU, node("Sum", "a r", "y")], kinds=[C, C, P]),
    case("max pool", [node("MaxPool", "x", "y", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1],
                           dilations=[1, 2])], kinds=[M]),
    case("ceil", [node("MaxPool", "x", "y", kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1)], kinds=[M]),
    case("max pool same", [node("MaxPool", "x", "y", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")],
         kinds=[M]),
    case("average pool", [node("AveragePool", "x", "y", kernel_shape=[3, 2], strides=[2, 2])], kinds=[A]),
    case("average pool with padding", [node("AveragePool", "x", "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1],
                                            count_include_pad=1)], kinds=[A]),
    case("average pool and relu", [CONV, node("AveragePool", "a", "b", kernel_shape=[3, 2]), node("Relu", "b", "y")],
         kinds=[C, A]),
    case("global", [CONV, node("GlobalAveragePool", "a", "y")], kinds=[C, A]),
    case("global max", [CONV, node("GlobalMaxPool", "a", "y")], kinds=[C, M]),
    case("mean", [CONV, node("ReduceMean", "a", "b", axes=[2, 3]), node("Flatten", "b", "c"),
                  node("Gemm", "c g", "y", alpha=0.5, beta=2.0)], kinds=[C, A, C], g=normal(6, 3)),
    case("mean without axes kept", [CONV, node("ReduceMean", "a", "b", axes=[-1, -2], keepdims=0),
                                    node("MatMul", "b g", "c"), node("Add", "c o", "y")],
         kinds=[C, A, C], g=normal(6, 3), o=normal(3)),
    case("gemm", [node("Gemm", "x g o", "y", transB=1)], (1, 12), [C], g=normal(7, 12), o=normal(7)),
    case("flatten", [CONV, RELU, node("Flatten", "r", "b"), node("Gemm", "b g o", "y")],
         kinds=[C, C], g=normal(6 * 72, 3), o=normal(1, 3)),
    case("affine of features", [CONV, RELU, node("Flatten", "r", "b"), node("Mul", "b f", "c"), node("Add", "c h", "d"),
                                node("Gemm", "d g", "y")],
         kinds=[C, C], g=normal(6 * 72, 3), f=normal(6 * 72), h=normal(6 * 72)),
    case("flatten channels last", [CONV, node("Transpose", "a", "t", perm=[0, 2, 3, 1]), node("Reshape", "t n", "b"),
                                   node("MatMul", "b g", "y")], kinds=[C, C], g=normal(6 * 72, 3), n=ints(0, -1)),
    case("computed shape", [CONV, node("Shape", "a", "s"), node("Gather", "s zero", "n"),
                            node("Concat", "n rest", "flat", axis=0), node("Reshape", "a flat", "b"),
                            node("MatMul", "b g", "y")],
         kinds=[C, C], g=normal(6 * 72, 3), zero=ints(0), rest=ints(-1)),
    case("squeeze", [CONV, node("GlobalAveragePool", "a", "b"), node("Squeeze", "b axes", "c"), node("Relu", "c", "d"),
                     node("Unsqueeze", "d axes", "e"), node("Conv", "e k", "y")],
         kinds=[C, A, C], axes=ints(2, 3), k=V),
    case("channels last", [
        node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Conv", "t w", "a"), node("Relu", "a", "r"),
        node("Transpose", "r", "u", perm=[0, 2, 3, 1]), node("Add", "u c", "u2"), node("MatMul", "u2 g", "v"),
        node("Relu", "v", "v2"), node("Transpose", "v2", "z", perm=[0, 3, 1, 2]), node("Conv", "z k", "q"),
        node("Transpose", "q", "y", perm=[0, 2, 3, 1])],
        (1, 9, 8, 4), [C, C, C], ["transpose_t (Transpose)"], c=normal(6), g=normal(6, 6), k=V),
    case("pad", [CONV, RELU, node("Pad", "r p", "b"), node("Conv", "b k", "y", pads=[1, 0, 0, 0])],
         kinds=[C, C], p=ints(0, 0, 1, 2, 0, 0, 0, 1), k=normal(2, 6, 3, 3)),
    case("pad and average", [node("Pad", "x p", "b"), node("AveragePool", "b", "y", kernel_shape=[2, 2])],
         kinds=[A], p=ints(0, 0, 1, 1, 0, 0, 1, 0)),
    case("pad and max of positive", [CONV, RELU, node("Pad", "r p", "b"),
                                     node("MaxPool", "b", "y", kernel_shape=[2, 2])],
         kinds=[C, M], p=ints(0, 0, 1, 1, 0, 0, 1, 0)),
    case("pad and max", [node("Pad", "x p", "b"), node("MaxPool", "b", "y", kernel_shape=[2, 2])],
         kinds=[C, M], p=ints(0, 0, 1, 1, 0, 0, 1, 0)),
    case("pad at the end", [CONV, node("Pad", "a p", "y")], kinds=[C, C], p=ints(0, 0, 1, 1, 0, 0, 1, 0)),
    case("input added to itself", [node("Add", "x x", "a"), node("Conv", "x d", "b"), node("Add", "a b", "y")],
         kinds=[P, C, P], d=normal(4, 4, 1, 1)),
    case("inputs added on the host", [node("Mul", "x f", "a"), node("Add", "x a", "b"), node("Conv", "b w", "y")],
         kinds=[C], before=["mul_a (Mul)", "add_b (Add)"], f=F(2)),
    case("no limits", [CONV, node("Clip", "a", "b"), node("MaxPool", "b", "c", kernel_shape=[2, 2]),
                       node("Clip", "c", "y")], kinds=[C, M]),
    case("nothing done", [node("Identity", "x", "i"), node("Dropout", "i", "j"), node("Conv", "j w", "k"),
                          node("Cast", "k", "y", to=TensorProto.FLOAT)], kinds=[C]),
    case("computed weights", [node("Transpose", "wt", "wc", perm=[3, 2, 0, 1]), node("Mul", "wc two", "w2"),
                              node("Conv", "x w2", "y")], kinds=[C], wt=W.transpose(2, 3, 1, 0).copy(), two=F(2)),
    case("dead branch", [CONV, RELU, node("Conv", "r k", "dead"), node("GlobalAveragePool", "a", "y")],
         kinds=[C, A], k=V),
    case("transposed", [node("ConvTranspose", "x d b", "a", strides=[2, 3], pads=[1, 0, 2, 1], output_padding=[1, 0]),
                        node("Relu", "a", "y")], kinds=[T], d=normal(4, 3, 3, 2), b=normal(3)),
    case("transposed in groups", [node("ConvTranspose", "x d", "y", strides=[2, 2], dilations=[1, 2], group=2)],
         kinds=[T], d=normal(4, 3, 3, 3)),
    case("transposed to twice the size", [node("ConvTranspose", "x d", "y", strides=[2, 2], auto_pad="SAME_UPPER")],
         kinds=[T], d=normal(4, 3, 3, 3)),
    case("transposed to twice the size from below",
         [node("ConvTranspose", "x d", "y", strides=[2, 2], auto_pad="SAME_LOWER")], kinds=[T], d=normal(4, 3, 3, 3)),
    case("transposed to a size", [node("ConvTranspose", "x d", "y", strides=[2, 2], output_shape=[18, 15])],
         kinds=[T], d=normal(4, 3, 3, 3)),
    case("transposed row", [node("ConvTranspose", "x d", "y", strides=[3], pads=[1, 0], output_padding=[2])],
         (1, 4, 11), [T], d=normal(4, 3, 4)),
    case("transposed between", [CONV, RELU, node("Mul", "r s", "m"), node("ConvTranspose", "m d", "b", strides=[2, 2]),
                                node("BatchNormalization", "b s2 o m2 v", "c"), node("Relu", "c", "y")],
         kinds=[C, T], d=normal(6, 6, 3, 3), s=normal(6, 1, 1), s2=BN["s"], o=BN["o"], m2=BN["m"], v=BN["v"]),
    case("constants in front of transposed",
         [CONV, RELU, node("Add", "r s", "m"), node("ConvTranspose", "m d", "y", strides=[2, 2])],
         kinds=[C, C, T], d=normal(6, 2, 3, 3), s=normal(6, 1, 1)),
    case("padding in front of transposed",
         [node("Pad", "x q", "p"), node("ConvTranspose", "p d", "y", strides=[2, 2])], kinds=[C, T],
         d=normal(4, 2, 3, 3), q=ints(0, 0, 1, 0, 0, 0, 0, 2)),
    case("resize", [CONV, node("Resize", "a  s", "b", mode="nearest"), node("Relu", "b", "y")], kinds=[C, U],
         s=F([1, 1, 3, 2])),
    case("resize to sizes", [CONV, node("Resize", "a   n", "y", mode="nearest", nearest_mode="floor",
                                        coordinate_transformation_mode="asymmetric")], kinds=[C, U],
         n=ints(1, 6, 27, 16)),
    case("resize to what it is", [CONV, node("Resize", "a  s", "y", mode="nearest")], kinds=[C], s=F([1, 1, 1, 1])),
    case("resize row", [node("Resize", "x  s", "y", mode="nearest")], (1, 4, 11), [U], s=F([1, 1, 4])),
    case("concat", [CONV, node("Conv", "a k", "b"), node("Concat", "a b x", "c", axis=1), node("MaxPool", "c", "y",
                    kernel_shape=[2, 2])], kinds=[C, C, J, M], k=V),
    case("relu behind concat", [CONV, node("Conv", "x w", "b", pads=[1, 1, 1, 1]), node("Concat", "a b", "c", axis=-3),
                                node("Relu", "c", "y")], kinds=[C, C, J]),
    case("relu behind concat of one twice", [CONV, node("Concat", "a a", "c", axis=1), node("Relu", "c", "y")],
         kinds=[C, J, C]),
    case("batch behind concat", [CONV, RELU, node("Conv", "r k", "b"), node("Concat", "r b", "c", axis=1),
                                 node("BatchNormalization", "c s o m v", "d"), node("Relu", "d", "y")],
         kinds=[C, C, J, C], k=normal(2, 6, 1, 1), s=normal(8), o=normal(8), m=normal(8), v=np.abs(normal(8)) + 0.1),
    case("concat of channels last", [CONV, node("Transpose", "a", "t", perm=[0, 2, 3, 1]),
                                     node("Concat", "t t", "c", axis=3), node("MatMul", "c g", "y")],
         kinds=[C, J, C], g=normal(12, 3)),
    case("concat of features", [CONV, node("GlobalAveragePool", "a", "p"), node("GlobalMaxPool", "a", "q"),
                                node("Flatten", "p", "f"), node("Flatten", "q", "h"),
                                node("Concat", "f h", "c", axis=1), node("Gemm", "c g", "y")],
         kinds=[C, A, M, J, C], g=normal(12, 3)),
    case("concat of one channel", [CONV, node("Conv", "a k", "b"), node("Concat", "b a b", "y", axis=1)],
         kinds=[C, C, J], k=normal(1, 6, 1, 1)),
    case("padding behind concat", [CONV, RELU, node("Concat", "r r", "c", axis=1), node("Pad", "c q", "d"),
                                   node("MaxPool", "d", "y", kernel_shape=[2, 2])], kinds=[C, J, M],
         q=ints(0, 0, 1, 1, 0, 0, 0, 0)),
    case("concat of one", [CONV, node("Concat", "a", "y", axis=1)], kinds=[C]),
    case("host in front", [node("Div", "x f", "a"), node("Sub", "a o", "b"), node("Sqrt", "q", "q2"),
                           node("Mul", "b q2", "c"), node("Conv", "c w", "y", pads=[1, 1, 1, 1])],
         kinds=[C], before=["div_a (Div)", "sub_b (Sub)", "mul_c (Mul)"], f=F(3), o=normal(4, 1, 1), q=F(2)),
    case("resize in front", [node("Resize", "x  scales", "a", mode="linear"), node("Conv", "a w", "y")],
         kinds=[C], before=["resize_a (Resize)"], scales=np.array([1, 1, 2, 2], np.float32)),
    case("host behind", [CONV, node("GlobalAveragePool", "a", "b"), node("Flatten", "b", "c"), node("Gemm", "c g", "d"),
                         node("Softmax", "d", "e", axis=1), node("Mul", "e f", "y")],
         kinds=[C, A, C], after=["softmax_e (Softmax)", "mul_y (Mul)"], g=normal(6, 3), f=F(100)),
    case("two ends on the host", [CONV, node("Sigmoid", "a", "b"), node("Relu", "a", "c"), node("Mul", "b c", "y")],
         kinds=[C, C], after=["sigmoid_b (Sigmoid)", "mul_y (Mul)"]),
]


@pytest.mark.parametrize(("proto", "kinds", "before", "after"), CASES)
def test_a_graph_computes_what_its_file_does(proto, kinds, before, after):
    network = read_model(proto)
    assert [type(entry.layer) for entry in network.nodes] == kinds
    assert host_nodes(network.before) == before
    assert host_nodes(network.after) == after
    sizes = [dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim]
    x = normal(*sizes)
    expected = runtime(proto, {"x": x})
    found = run_float(network, x)
    assert len(found) == len(expected)
    for got, wanted in zip(found, expected, strict=True):
        if network.after is not None:
            assert got.shape == wanted.shape
        np.testing.assert_allclose(got.reshape(wanted.shape), wanted, rtol=1e-5, atol=3e-5)
    for shape, value in zip(network.shapes(), runtime_values(network, x), strict=True):
        assert shape == value.shape


def runtime_values(network, x):
    """The outputs of all nodes."""
    if network.before is not None:
        x = run_host(network.before, x)[0]
    return runtime(float_model(network), {"x": x})


def test_operators_of_old_files():
    nodes = [node("Pad", "x", "p", pads=[0, 0, 1, 1, 0, 0, 1, 1], value=0.0), node("Conv", "p w", "a"),
             node("Clip", "a", "b", min=0.0, max=0.5), node("ReduceMean", "b", "c", axes=[2, 3]),
             node("Squeeze", "c", "d", axes=[3]), node("Squeeze", "d", "e", axes=[2]), node("Dropout", "e", "f"),
             node("Gemm", "f g z", "h"), node("Unsqueeze", "h", "y", axes=[2, 3])]
    proto = model(nodes, {"w": W, "g": normal(6, 3), "z": normal(3)}, SHAPE, version=9)
    network = read_model(proto)
    assert [type(entry.layer) for entry in network.nodes] == [C, A, C] and network.after is None
    x = normal(*SHAPE)
    np.testing.assert_allclose(run_float(network, x)[0], runtime(proto, {"x": x})[0], rtol=1e-5, atol=3e-5)


@pytest.mark.parametrize(("op", "version"), [("Upsample", 7), ("Upsample", 9), ("Resize", 10)])
def test_upsampling_of_old_files(op, version):
    scales = {"scales": [1.0, 1.0, 2.0, 3.0]} if version == 7 else {}
    proto = model([CONV, node(op, "a" if scales else "a s", "y", mode="nearest", **scales)],
                  {"w": W} if scales else {"w": W, "s": F([1, 1, 2, 3])}, SHAPE, version=version)
    network = read_model(proto)
    assert [type(entry.layer) for entry in network.nodes] == [C, U] and network.nodes[1].layer.factor == (2, 3)
    x = normal(*SHAPE)
    np.testing.assert_allclose(run_float(network, x)[0], runtime(proto, {"x": x})[0], rtol=1e-5, atol=3e-5)


@pytest.mark.parametrize("rounding", ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
@pytest.mark.parametrize("coordinates", ["asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners",
                                         "half_pixel_symmetric", "tf_half_pixel_for_nn"])
def test_resize_is_taken_exactly_where_it_repeats(coordinates, rounding):
    version = 11 if coordinates == "tf_half_pixel_for_nn" else 19
    for factor in (2, 3, 4, 5):
        scales = np.array([1, 1, factor, 1], np.float32)
        proto = model([CONV, node("Resize", "a roi scales" if version == 11 else "a  scales", "y", mode="nearest",
                                  coordinate_transformation_mode=coordinates, nearest_mode=rounding)],
                      {"w": W, "scales": scales, **({"roi": np.zeros(0, np.float32)} if version == 11 else {})},
                      SHAPE, ["y", "a"], version)
        x = normal(*SHAPE)
        found, given = runtime(proto, {"x": x})
        network = read_model(proto)
        repeats = np.array_equal(found, given.repeat(factor, axis=2))
        assert any(isinstance(entry.layer, Upsampling) for entry in network.nodes) == repeats, factor
        assert (network.after is None) == repeats


def test_several_outputs_keep_their_order():
    proto = model([CONV, RELU, node("GlobalAveragePool", "r", "g")], {"w": W}, SHAPE, ["g", "a"])
    network = read_model(proto)
    x = normal(*SHAPE)
    assert network.after is None and len(network.outputs) == 2
    for got, wanted in zip(run_float(network, x), runtime(proto, {"x": x}), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=3e-5)


def test_open_sizes():
    proto = model([CONV, node("Flatten", "a", "b"), node("Gemm", "b g", "y")], {"w": W, "g": normal(6 * 72, 3)},
                  ["n", 4, "h", "w"])
    with pytest.raises(OnnxError, match=r"input 'x' must have a known shape, not \[1, 4, 0, 0\]"):
        read_model(proto)
    network = read_model(proto, "net", (1, 4, 9, 8))
    assert network.name == "net" and network.shape == (1, 4, 9, 8)
    x = normal(3, 4, 9, 8)  # more images than the network was read with
    np.testing.assert_allclose(run_float(network, x)[0], runtime(proto, {"x": x})[0], rtol=1e-5, atol=3e-5)


def test_several_images():
    proto = model([CONV, node("ReduceMean", "a", "b", axes=[2, 3], keepdims=0), node("MatMul", "b g", "y")],
                  {"w": W, "g": normal(6, 3)}, [2, 4, 9, 8])
    network = read_model(proto)
    assert network.shape[0] == 2
    x = normal(2, 4, 9, 8)
    np.testing.assert_allclose(run_float(network, x)[0], runtime(proto, {"x": x})[0], rtol=1e-5, atol=3e-5)


def test_a_positive_scale_goes_into_the_layer_whose_relu_it_follows():
    nodes = [CONV, RELU, node("Mul", "r s", "b"), node("Add", "b o", "c"), node("Conv", "c k", "y")]
    constants = {"w": W, "k": V, "s": np.float32([[[1e-4]], *[[[1]]] * 4, [[1e4]]]), "o": normal(6, 1, 1)}
    first, second = (entry.layer for entry in read_model(model(nodes, constants, SHAPE)).nodes)
    np.testing.assert_allclose(first.weights, W * constants["s"][..., None], rtol=1e-6)
    np.testing.assert_array_equal(second.weights, V)


def test_clipping_ranges():
    nodes = [CONV, node("Clip", "a lo hi", "b"), node("Conv", "b k", "c"), node("Relu", "c", "y")]
    network = read_model(model(nodes, {"w": W, "k": V, "lo": F(0), "hi": F(6)}, SHAPE))
    assert [(entry.layer.low, entry.layer.high) for entry in network.nodes] == [(0, 6), (0, math.inf)]


def test_host_partitions_run_without_onnx_runtime(monkeypatch):
    proto = model([node("Mul", "x f", "a"), node("Conv", "a w", "b"), node("Softmax", "b", "y", axis=1)],
                  {"w": W, "f": F(2)}, SHAPE)
    network = read_model(proto)
    x = normal(*SHAPE)
    with_runtime = run_host(network.before, x)[0]
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    np.testing.assert_allclose(run_host(network.before, x)[0], with_runtime)


ONE = {"w": W, "k": V, "g": normal(3, 3), "t": normal(6, 4, 3), "f": normal(9, 8), "q": ints(1, 1, 0, 0, 0, 0, 0, 0),
       "half": ints(1, 2, -1), "d": normal(4, 3, 3, 3), "s2": F([1, 1, 2, 2]), "s15": F([1, 1, 1.5, 1]),
       "sc": F([1, 2, 1, 1])}


@pytest.mark.parametrize(("nodes", "message"), [
    ([node("Sin", "x", "y")], "the network has no layer"),
    ([CONV, node("Sin", "a", "s"), node("Conv", "s k", "y")],
     r"node 'sin_s' \(Sin\): operator not supported; between layers there may be Add, AveragePool, .*Unsqueeze"),
    ([CONV, node("Sigmoid", "a", "s"), node("Mul", "a s", "m"), node("Conv", "m k", "y")],
     r"node 'sigmoid_s' \(Sigmoid\): operator not supported; between"),
    ([node("Conv", "x x", "y")], r"node 'conv_y' \(Conv\): weights must be constants"),
    ([node("Conv", "x t", "y")], "weights must have 4 axes, not 3"),
    ([node("Conv", "x k", "y")], "must have 6 channels"),
    ([node("ConvTranspose", "x w", "y")], r"node 'convtranspose_y' \(ConvTranspose\): must have 6 channels"),
    ([node("ConvTranspose", "x t", "y")], "weights must have 4 axes, not 3"),
    ([node("ConvTranspose", "x d", "y", group=3)], "group must divide the 4 channels of the weights, not 3"),
    ([node("ConvTranspose", "x d", "y", output_padding=[2, 0])], "output_padding must be below"),
    ([node("ConvTranspose", "x d", "y", output_shape=[20, 8])], "output_padding must be below"),
    ([node("ConvTranspose", "x d", "y", pads=[6, 1, 6, 1])], "padding must leave a part of the output"),
    ([CONV, node("Concat", "x a", "b", axis=2), node("Conv", "b k", "y")],
     r"node 'concat_b' \(Concat\): must be along the channels, not along axis 2 of \(1, 4, 9, 8\); between"),
    ([CONV, node("Concat", "a a", "b", axis=0), node("Conv", "b k", "y")], "not along axis 0"),
    ([CONV, node("Concat", "a f", "b", axis=1), node("Conv", "b k", "y")], "input 2 must not be a constant"),
    ([CONV, node("Transpose", "a", "t", perm=[0, 1, 3, 2]), node("Concat", "a t", "b", axis=1),
      node("Conv", "b k", "y")], "all inputs must have the same order of axes"),
    ([CONV, node("GlobalMaxPool", "a", "g"), node("Concat", "a g", "b", axis=1), node("Conv", "b k", "y")],
     r"all inputs must have the same order of axes, not \(1, 6, 9, 8\) and \(1, 6, 1, 1\)"),
    ([node("Conv", "x w", "a"), node("Concat", "a x", "b", axis=1), node("Conv", "b k", "y")],
     r"all inputs must have the same images, rows and columns, not \(1, 6, 7, 6\), \(1, 4, 9, 8\)"),
    ([CONV, node("Resize", "a  s2", "b", mode="linear"), node("Conv", "b k", "y")], "mode must be nearest, not linear"),
    ([CONV, node("Resize", "a  s15", "b", mode="nearest"), node("Conv", "b k", "y")],
     r"must enlarge by integers, not by 1\.0, 1\.0, 1\.5, 1\.0"),
    ([CONV, node("Resize", "a  sc", "b", mode="nearest"), node("Conv", "b k", "y")],
     r"must enlarge rows and columns, not \(1, 6, 9, 8\) by 1\.0, 2\.0, 1\.0, 1\.0"),
    ([CONV, node("Resize", "a  s2", "b", mode="nearest", coordinate_transformation_mode="align_corners",
                 nearest_mode="floor"), node("Conv", "b k", "y")],
     "must repeat positions, which coordinate_transformation_mode 'align_corners' with"),
    ([CONV, node("Resize", "a  s2", "b", mode="nearest", coordinate_transformation_mode="tf_crop_and_resize"),
      node("Conv", "b k", "y")], "coordinate_transformation_mode 'tf_crop_and_resize' is not supported"),
    ([CONV, node("Resize", "a", "b", mode="nearest"), node("Conv", "b k", "y")], "scales or sizes must be given"),
    ([node("MatMul", "g x", "y")], "constant matrix from the right"),
    ([node("Gemm", "x g", "y", transA=1)], "transA is not supported"),
    ([node("Gemm", "x g", "y")], "needs weights of 8 inputs, not 3"),
    ([CONV, node("Reshape", "a half", "b"), node("Gemm", "b g", "y")],
     r"must keep the images and the axes whole or merge them, not \(1, 6, 9, 8\) to \(1, 2, 216\)"),
    ([CONV, node("Transpose", "a", "b", perm=[0, 2, 3, 1]), node("Conv", "b k", "y")], "in another order"),
    ([CONV, node("Transpose", "a", "b", perm=[1, 0, 2, 3]), node("Conv", "b k", "y")], "must keep the images first"),
    ([CONV, node("ReduceMean", "a", "b", axes=[1]), node("Conv", "b k", "y")], "must be the mean of rows and columns"),
    ([CONV, RELU, node("Mul", "r f", "b"), node("Conv", "b k", "y")], "constants must be the same in all of a channel"),
    ([CONV, node("Pad", "a q", "b"), node("Conv", "b k", "y")], "must pad rows and columns"),
    ([CONV, node("Conv", "x w", "b"), node("Add", "a b", "c"), node("Conv", "c k", "y")],
     r"the same shape and order of axes, not \(1, 6, 9, 8\) and \(1, 6, 7, 6\)"),
    ([node("Mul", "x x", "a"), node("Conv", "a w", "b"), node("Conv", "x w", "c"), node("Add", "b c", "y")],
     "the layers must read one form of the input, not a, x"),
    ([node("Reshape", "g half", "b"), node("Conv", "x w", "y")], r"node 'reshape_b' \(Reshape\): cannot be computed"),
    ([node("Conv", "z w", "y")], "reads 'z', which no node before it gives"),
])
def test_networks_that_are_refused(nodes, message):
    with pytest.raises(OnnxError, match=message) as caught:
        read_model(model(nodes, ONE, SHAPE))
    assert "\n" not in str(caught.value)


def test_inputs_that_are_refused():
    with pytest.raises(OnnxError, match="the network must have 1 input, not 0"):
        read_model(model([node("Relu", "w", "y")], {"w": W, "x": W}, SHAPE))
    with pytest.raises(OnnxError, match=r"input 'x' must have 2 to 4 axes, not shape \(1, 2, 3, 4, 5\)"):
        read_model(model([node("Relu", "x", "y")], {}, [1, 2, 3, 4, 5]))
    with pytest.raises(OnnxError, match="the input goes to an output, or past all layers"):
        read_model(model([CONV, node("Identity", "x", "z")], {"w": W}, SHAPE, ["a", "z"]))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(OnnxError, match=r"cannot read '/nowhere.onnx': No such file"):
        read_onnx("/nowhere.onnx")
    (tmp_path / "text.onnx").write_bytes(b"\xffnot a model")
    with pytest.raises(OnnxError, match="is not an ONNX file"):
        read_onnx(tmp_path / "text.onnx")
    onnx.save(model([CONV], {"w": W}, SHAPE, ["a"]), tmp_path / "small.onnx")
    assert read_onnx(tmp_path / "small.onnx").name == "small"
