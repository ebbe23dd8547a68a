"""What layers refuse, and how they say it."""

import re

import numpy as np
import pytest
from phantom_compiler import Conv1d, Conv2d, FullyConnected, LayerError, Selection, TransposedConv2d, lower
from phantom_compiler.random_layers import random_layer
from phantom_hw.config import PhantomConfig

CONFIG = PhantomConfig.preset("tiny")
ONES = np.ones((4, 2, 3, 3), int)
X = np.ones((1, 2, 6, 6), int)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Conv2d(ONES[0], name="c"), "layer 'c': weights must have 4 axes and not be empty, not shape (2, 3, 3)"),
    (lambda: Conv2d(ONES * 1.0), "layer 'layer': weights must be an integer array, not float64"),
    (lambda: Conv2d(ONES.tolist()), "weights must be an integer array, not list"),
    (lambda: Conv2d(ONES, stride=(1, 0)), "stride must be 2 integers of at least 1, not (1, 0)"),
    (lambda: Conv2d(ONES, padding=(1, 1)), "padding must be 4 integers of at least 0, not (1, 1)"),
    (lambda: Conv2d(ONES, dilation=(0, 1)), "dilation must be 2 integers of at least 1, not (0, 1)"),
    (lambda: Conv2d(ONES, groups=3), "groups must divide the 4 filters, not 3"),
    (lambda: Conv1d(ONES[..., 0], stride=0), "stride must be 2 integers of at least 1, not (1, 0)"),
    (lambda: Conv1d(ONES), "weights must have 3 axes"),
    (lambda: TransposedConv2d(ONES, groups=0), "groups must divide the 4 filters, not 0"),
    (lambda: FullyConnected(ONES), "weights must have 2 axes"),
])
def test_illegal_layers(make, message):
    with pytest.raises(LayerError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(("layer", "activations", "message"), [
    (Conv2d(ONES * 128), X, "weights must be in -128..127 (weight_width 8), not 128"),
    (Conv2d(-ONES * 129), X, "weights must be in -128..127 (weight_width 8), not -129"),
    (Conv2d(ONES), X * 256, "activations must be in 0..255 (unsigned act_width 8), not 256"),
    (Conv2d(ONES), -X, "activations must be in 0..255 (unsigned act_width 8), not -1"),
    (Conv2d(ONES, act_signed=True), X * 128, "activations must be in -128..127 (signed act_width 8), not 128"),
    (Conv2d(ONES), X[:, :1], "activations must have 2 channels, not shape (1, 1, 6, 6)"),
    (Conv2d(ONES), X[0], "activations must have 4 axes"),
    (Conv2d(ONES), X[..., :2], "dilated kernel must be at most the padded input of 2, not 3"),
    (Conv1d(ONES[..., 0]), X, "activations must have 3 axes"),
    (TransposedConv2d(ONES), X, "activations must have 4 channels, not shape (1, 2, 6, 6)"),
    (TransposedConv2d(ONES, padding=(4, 4, 4, 4)), np.ones((1, 4, 6, 6), int), "padding must leave a part"),
    (FullyConnected(ONES[0, 0]), np.ones((1, 4), int), "activations must have 3 inputs, not shape (1, 4)"),
])
def test_what_the_configuration_cannot_compute(layer, activations, message):
    with pytest.raises(LayerError, match=re.escape(message)) as caught:
        lower(layer, activations, CONFIG)
    assert str(caught.value).startswith("layer 'layer': ") and "\n" not in str(caught.value)


def test_an_accumulator_that_could_overflow_names_layer_bound_and_width():
    config = PhantomConfig(acc_width=16)
    with pytest.raises(LayerError, match=r"^layer 'big': .*582930.*16-bit"):
        lower(Conv2d(ONES * 127, name="big"), X, config)


@pytest.mark.parametrize(("select", "message"), [
    (Selection(rows=(0, 5)), r"select.rows must be a range within 0..4, not \(0, 5\)"),
    (Selection(rows=(2, 2)), r"select.rows must be a range within 0..4"),
    (Selection(channels=(-1, 2)), r"select.channels must be a range within 0..4"),
])
def test_illegal_selections(select, message):
    with pytest.raises(ValueError, match=message):
        lower(Conv2d(ONES), X, CONFIG, select=select)


def test_selected_channels_of_a_grouped_layer_are_whole_groups():
    with pytest.raises(LayerError, match=r"select.channels must be whole groups of 2, not \(1, 3\)"):
        lower(Conv2d(ONES[:, :1], groups=2), X, CONFIG, select=Selection(channels=(1, 3)))


def test_unknown_kind():
    with pytest.raises(ValueError, match=r"kind must be one of conv3x3, .*, not 'conv9x9'"):
        random_layer(np.random.default_rng(0), CONFIG, "conv9x9")
