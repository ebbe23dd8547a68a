"""``phantom layer``: figures of one layer, and one line for every layer that cannot be computed."""

import re

import numpy as np
import pytest

from phantom.cli import main


@pytest.fixture
def file(tmp_path):
    """Write the arrays of a layer; returns a function that gives the path."""
    rng = np.random.default_rng(7)
    weights = rng.integers(-128, 128, (6, 4, 3, 3)) * (rng.random((6, 4, 3, 3)) < 0.4)
    activations = rng.integers(0, 256, (1, 4, 9, 9)) * (rng.random((1, 4, 9, 9)) < 0.5)

    def write(**arrays):
        path = tmp_path / "conv.npz"
        np.savez(path, **{"weights": weights, "activations": activations, **arrays})
        return path
    return write


def run(capsys, *arguments) -> str:
    assert main(["layer", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def wrong(capsys, *arguments) -> str:
    assert main(["layer", *map(str, arguments)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("phantom: error: ") and said.count("\n") == 1
    return said.removeprefix("phantom: error: ").strip()


def test_figures_and_sums(capsys, file, tmp_path):
    from phantom_golden import conv2d

    path = file()
    shown = run(capsys, path, "--preset", "tiny", "--padding", "1,1,0,0", "--stride", 2, "--output", tmp_path / "o.npz")
    arrays = np.load(path)
    expected = conv2d(arrays["activations"], arrays["weights"], stride=(2, 2), padding=(1, 1, 0, 0))
    np.testing.assert_array_equal(np.load(tmp_path / "o.npz")["sums"], expected)
    ones = conv2d((arrays["activations"] != 0) * 1, (arrays["weights"] != 0) * 1, stride=(2, 2), padding=(1, 1, 0, 0))
    effectual = int(ones.sum())
    dense = expected.size * 4 * 9
    cells = [cell.strip() for cell in re.split("[│|]", shown.splitlines()[-2]) if cell.strip()]
    assert cells[:4] == ["conv", "1 x 6 x 4 x 4", f"{dense:,}", f"{effectual:,}"]
    cycles = int(cells[4].replace(",", ""))
    assert cells[5:] == [f"{effectual / cycles / 12:.1%}", f"{dense / cycles / 12:.2f} x", "not run"]


@pytest.mark.parametrize(("weights", "activations", "options"), [
    ((5, 12), (3, 12), []),
    ((5, 4, 3), (1, 4, 11), ["--padding", "1", "--dilation", "2"]),
    ((4, 5, 3, 3), (1, 4, 5, 5), ["--transposed", "--stride", "2"]),
    ((4, 1, 3, 3), (1, 4, 7, 7), ["--groups", "4", "--signed"]),
])
def test_kinds(capsys, file, weights, activations, options):
    path = file(weights=np.ones(weights, np.int8), activations=np.ones(activations, np.int8))
    assert "conv" in run(capsys, path, "--preset", "tiny", *options)


def test_rtl(capsys, file):
    assert "same sums, same cycles" in run(capsys, file(), "--preset", "tiny", "--rtl")


@pytest.mark.parametrize(("arrays", "options", "message"), [
    ({"weights": np.full((1, 4, 3, 3), 128)}, [],
     "layer 'conv': weights must be in -128..127 (weight_width 8), not 128"),
    ({"activations": np.full((1, 4, 9, 9), -1)}, [],
     "layer 'conv': activations must be in 0..255 (unsigned act_width 8), not -1"),
    ({"weights": np.ones((1, 4, 3, 3))}, [], "layer 'conv': weights must be an integer array, not float64"),
    ({"weights": np.ones((1, 4, 3, 3, 3), int)}, [],
     "layer 'conv': weights must have 2, 3 or 4 axes, not shape (1, 4, 3, 3, 3)"),
    ({"activations": np.ones((1, 3, 9, 9), int)}, [],
     "layer 'conv': activations must have 4 channels, not shape (1, 3, 9, 9)"),
    ({"weights": np.full((1, 4, 3, 3), 127)}, ["--set", "acc_width=16"],
     "layer 'conv': products of output channel 0 can reach 1165860, outside the 16-bit accumulator's -32768..32767"),
    ({}, ["--groups", "4"], "layer 'conv': groups must divide the 6 filters, not 4"),
    ({}, ["--stride", "1,2,3"], "--stride must be one integer or 2 with commas between them, not '1,2,3'"),
    ({}, ["--padding", "x"], "--padding must be one integer or 4 with commas between them, not 'x'"),
    ({}, ["--stride", "0"], "layer 'conv': stride must be 2 integers of at least 1, not (0, 0)"),
    ({"weights": np.ones((2, 4, 10, 1), int)}, [],
     "layer 'conv': dilated kernel must be at most the padded input of 9, not 10"),
    ({}, ["--output", "/dev/null/sums.npz"], "cannot write '/dev/null/sums.npz': Not a directory"),
])
def test_wrong_layers(capsys, file, arrays, options, message):
    assert wrong(capsys, file(**arrays), "--preset", "tiny", *options) == message


def test_wrong_files(capsys, tmp_path):
    path = tmp_path / "x.npz"
    preset = ("--preset", "tiny")
    assert wrong(capsys, path, *preset) == f"cannot read '{path}': No such file or directory"
    assert wrong(capsys, tmp_path, *preset) == f"cannot read '{tmp_path}': Is a directory"
    path.write_bytes(b"no archive")
    assert wrong(capsys, path, *preset) == f"{path}: not an .npz file"
    np.savez(path, weights=np.array([{}]), activations=np.ones(1))
    assert wrong(capsys, path, *preset) == f"{path}: not an .npz file of integer arrays"
    np.savez(path, weights=np.ones(1))
    assert wrong(capsys, path, *preset) == f"{path}: array 'activations' is missing; arrays: weights"
    path.write_bytes(path.read_bytes()[:-30])
    assert wrong(capsys, path, *preset).startswith(f"{path}: not an .npz file")
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.npz"]
