"""``phantom compile``, ``run`` and ``inspect``: from an ONNX file to figures, and one line for what is wrong."""

import csv
import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from phantom_compiler.accelerator.program_file import read_program
from PIL import Image

import phantom.program_compile
import phantom.program_run
from phantom.cli import main

SETTINGS = ["--preset", "tiny", "--set", "stationary_words=16", "--set", "lane_channels=16"]
"""A configuration that other tests simulate, too."""
SHAPE = (1, 3, 14, 13)
SEED = 5


def say(capsys, *arguments) -> str:
    assert main([str(argument) for argument in arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def wrong(capsys, *arguments, status=2) -> str:
    assert main([str(argument) for argument in arguments]) == status
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    return captured.err.removeprefix("phantom: error: ").strip()


def make_model() -> onnx.ModelProto:
    """A residual network with a softmax at the end; NHWC at the input."""
    rng = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    constants, nodes = [], []

    def constant(name, values):
        constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def node(kind, inputs, out, **attributes):
        nodes.append(helper.make_node(kind, inputs, [out], name=out, **attributes))
        return out

    def convolution(source, name, channels, filters):
        weights = constant(f"{name}.w", rng.normal(0, 0.4, (filters, channels, 3, 3)))
        out = node("Conv", [source, weights, constant(f"{name}.b", rng.normal(0, 0.1, filters))], name,
                   pads=[1, 1, 1, 1])
        return node("Relu", [out], f"{name}.relu")

    turned = node("Transpose", ["image"], "turned", perm=[0, 3, 1, 2])
    stem = node("MaxPool", [convolution(turned, "stem", 3, 5)], "pool", kernel_shape=[2, 2], strides=[2, 2])
    both = node("Add", [convolution(stem, "block", 5, 5), stem], "sum")
    mean = node("GlobalAveragePool", [both], "mean")
    flat = node("Flatten", [mean], "flat")
    scores = node("Gemm", [flat, constant("fc.w", rng.normal(0, 1, (4, 5))), constant("fc.b", rng.normal(0, 1, 4))],
                  "fc", transB=1)
    node("Softmax", [scores], "classes")
    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 14, 13, 3])],
        [helper.make_tensor_value_info("classes", TensorProto.FLOAT, [1, 4])], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The model, an image, the same as an array, names of classes."""
    folder = tmp_path_factory.mktemp("program")
    onnx.save(make_model(), folder / "small.onnx")
    pixels = np.random.default_rng(SEED).integers(0, 256, (14, 13, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "photo.png")
    np.save(folder / "photo.npy", (pixels[None] / np.float32(255)).astype(np.float32))
    (folder / "names.txt").write_text("cat\ndog\nespresso\ntripod\n")
    return folder


@pytest.fixture(scope="module")
def program(files):
    path = files / "small.phantom"
    assert main([str(part) for part in ("compile", files / "small.onnx", "-o", path, *SETTINGS, "--calibration",
                                        files / "photo.png", "--labels", files / "names.txt")]) == 0
    return path


def test_compile(capsys, files, program):
    said = say(capsys, "compile", files / "small.onnx", "-o", files / "again.phantom", *SETTINGS, "--calibration",
               files / "photo.npy", "--labels", files / "names.txt")
    found = read_program(program)
    assert said.splitlines()[-1] == (
        f"{files / 'again.phantom'}: {len(found.nodes)} layers, {found.memory_bytes:,} bytes of memory, "
        f"{program.stat().st_size:,} bytes")
    assert (files / "again.phantom").read_bytes() == program.read_bytes()  # the image is the array


def test_golden_and_rtl(capsys, files, program):
    """The same classes as the float network, on both backends."""
    [expected] = ReferenceEvaluator(make_model()).run(None, {"image": np.load(files / "photo.npy")})
    for backend in ("golden", "rtl"):
        said = say(capsys, "run", program, "--input", files / "photo.png", "--backend", backend, "--json",
                   files / f"{backend}.json", "--csv", files / f"{backend}.csv")
        assert "espresso" in said and "tripod" in said
    golden, rtl = (json.loads((files / f"{backend}.json").read_text()) for backend in ("golden", "rtl"))
    assert golden["outputs"] == rtl["outputs"] and golden["classes"] == rtl["classes"]
    assert np.abs(np.array(rtl["outputs"][0]["values"]) - expected.ravel()).max() < 0.05
    assert rtl["compared_layers"] == len(rtl["layers"]) and rtl["difference"] == ""
    assert f"{len(rtl['layers'])} layers compared with the golden model, every value the same" in said
    rows = list(csv.reader((files / "rtl.csv").read_text().splitlines()))
    assert sum(int(row[4]) for row in rows[2:-1]) == int(rows[-1][4]) == rtl["total"]["cycles"]


def test_ranges_of_layers(capsys, files, program):
    said = say(capsys, "run", program, "-i", files / "photo.npy", "-b", "rtl", "--layers", "sum-4", "--latency", "7",
               "--bandwidth", "0.5")
    assert "memory of 7 cycles latency, 4 bytes a cycle each way" in said and "2 layers compared" in said
    assert "stem" not in said


@pytest.mark.parametrize("recorder", ["golden", "rtl"])
def test_layers_from_recorded_tensors(capsys, files, program, recorder):
    """What one backend recorded is what layers begin with on both."""
    tensors, first, second = (files / f"{recorder}.{part}.npz" for part in ("all", "golden", "rtl"))
    say(capsys, "run", program, "-i", files / "photo.png", "-b", recorder, "--record", tensors)
    with np.load(tensors) as file:
        assert file.files == ["input", *(f"{number}.{facts.name}" for number, facts in
                                         enumerate(read_program(program).layers))]
        everything = {name: file[name] for name in file.files}
    for backend, path in (("golden", first), ("rtl", second)):
        said = say(capsys, "run", program, "-i", tensors, "-b", backend, "--layers", "sum-mean", "--record", path)
        assert "sum" in said and "mean" in said and "stem" not in said and "fc" not in said
        with np.load(path) as file:
            assert file.files == ["1.pool", "2.block", "3.sum", "4.mean"]
            for name in file.files:
                assert file[name].dtype == everything[name].dtype == np.uint8
                np.testing.assert_array_equal(file[name], everything[name])
        # what these layers read is enough for them, and for no layer before them
        say(capsys, "run", program, "-i", path, "-b", backend, "--layers", "3-4")
        assert wrong(capsys, "run", program, "-i", path, "-b", backend) == (
            "the input is not among the recorded tensors, and is needed from layer 'stem' on")
        assert wrong(capsys, "run", program, "-i", path, "-b", backend, "--layers", "pool-sum") == (
            "the output of layer 'stem' is not among the recorded tensors, and is needed from layer 'pool' on")


@pytest.mark.parametrize(("arrays", "message"), [
    ({"7.fc": np.zeros(4, int)}, "'7.fc' is no tensor of program 'small'"),
    ({"input": np.zeros((1, 14, 13, 3), int)}, "'input' must have shape (1, 3, 14, 13), not (1, 14, 13, 3)"),
    ({"input": np.full(SHAPE, -1)}, "'input' must hold integers in 0..255, not -1"),
    ({"input": np.zeros(SHAPE)}, "'input' must be an array of integers, not float64"),
])
def test_wrong_tensors(capsys, files, program, arrays, message):
    np.savez(files / "x.npz", **arrays)
    assert wrong(capsys, "run", program, "-i", files / "x.npz") == f"{files / 'x.npz'}: {message}"


def test_the_host_is_listed_before_the_run(capsys, files, program):
    lines = ["on the host, before the layers: turned (Transpose)", "on the host, after the layers: classes (Softmax)"]
    said = say(capsys, "run", program, "-i", files / "photo.png")
    assert said.splitlines()[:2] == lines and said.splitlines()[2].startswith("by ")
    assert all(line in say(capsys, "inspect", program) for line in lines)


def test_outputs_are_tried_before_the_run(capsys, files, program, monkeypatch):
    monkeypatch.setattr(phantom.program_run, "run_golden", lambda *arguments: pytest.fail("it ran"))
    for option in ("--json", "--csv", "--record"):
        said = wrong(capsys, "run", program, "-i", files / "photo.png", option, files)
        assert said == f"cannot write {str(files)!r}: Is a directory"
    monkeypatch.setattr(phantom.program_compile, "read_network", lambda *arguments: pytest.fail("it was read"))
    said = wrong(capsys, "compile", files / "small.onnx", "-o", files / "no" / "x.phantom", *SETTINGS)
    assert said == f"cannot write {str(files / 'no' / 'x.phantom')!r}: No such file or directory"


def test_figures_into_a_pipe(files, program):
    said = subprocess.run([sys.executable, "-m", "phantom", "run", program, "-i", files / "photo.png", "--csv",
                           "/dev/stdout"], capture_output=True, text=True, check=True).stdout
    assert "cycles,utilization" in said and "\nfc,Conv2d,16,20," in said and "espresso" in said


@pytest.mark.parametrize("level", ["inter-core", "intra-core", "none"])
def test_load_balancing_levels(capsys, files, program, level):
    """Other programs for the same values; all filters run together here, so that their order decides little."""
    other = files / f"{level}.phantom"
    say(capsys, "compile", files / "small.onnx", "-o", other, *SETTINGS, "--calibration", files / "photo.png",
        "--labels", files / "names.txt", "--balance", level)
    assert level == "intra-core" or other.read_bytes() != program.read_bytes()
    say(capsys, "run", other, "-i", files / "photo.png", "-b", "rtl", "--record", files / "other.npz")
    say(capsys, "run", program, "-i", files / "photo.png", "--record", files / "own.npz")
    with np.load(files / "other.npz") as found, np.load(files / "own.npz") as expected:
        assert found.files == expected.files
        for name in found.files:
            np.testing.assert_array_equal(found[name], expected[name])


def test_inspect(capsys, program):
    said, found = say(capsys, "inspect", program), read_program(program)
    for facts in found.layers:
        assert facts.name in said and facts.tiling.split(",")[0] in said
        assert facts.expected_cycles > 0 and f"{facts.expected_cycles:,.0f}" in said
    assert f"expected: {sum(facts.expected_cycles for facts in found.layers):,.0f} cycles" in said
    assert f"{found.job.tensor_bytes:,}" in said and "host, after the layers" in said and "4 classes" in said


def test_inspect_tells_what_stays_on_the_chip(capsys, files, program):
    assert "on the chip" not in say(capsys, "inspect", program)
    chip = files / "chip.phantom"
    say(capsys, "compile", files / "small.onnx", "-o", chip, *SETTINGS, "--set", "on_chip_words=512")
    said, job = say(capsys, "inspect", chip), read_program(chip).job
    [(first, size), (base, _)] = job.tensor_ranges
    assert (first, base) == (0, 4096) and f"{size:,}" in said and "on the chip" in said and "of 4,096;" in said


def test_compile_options(capsys, files):
    for option, same in ((["--density", "0.5"], False), (["--density", "1,0.5,1"], False), (["--keep"], False),
                         (["--pixels", "0.5,-1"], False), ([], True)):
        said = say(capsys, "compile", files / "small.onnx", "-o", files / "x.phantom", *SETTINGS, *option)
        assert "layers" in said
        content = (files / "x.phantom").read_bytes()
        plain = files / "plain.phantom"
        if not plain.exists():
            say(capsys, "compile", files / "small.onnx", "-o", plain, *SETTINGS)
        assert (content == plain.read_bytes()) is same, option


# --- what is wrong ----------------------------------------------------------------------------------------

@pytest.mark.parametrize(("arguments", "message"), [
    (["missing.onnx"], "cannot read 'missing.onnx': No such file or directory"),
    (["{names}"], "'{names}' is not an ONNX file"),
    (["{model}", "--density", "0"], "--density must be a number over 0, up to 1, or 3 of them, not '0'"),
    (["{model}", "--density", "1,x"], "--density must be real numbers with commas between them, not '1,x'"),
    (["{model}", "--pixels", "1"], "--pixels must be SCALE,OFFSET, not '1'"),
    (["{model}", "--labels", "nothing"], "cannot read 'nothing': No such file or directory"),
    (["{model}", "--calibration", "{names}"], "{names}: neither an image nor an array in the format .npy"),
    (["{model}", "--balance", "all"], "--balance must be one of both, inter-core, intra-core, none, not 'all'"),
    (["{model}", "--shape", "1,x"], "--shape must be positive integers with commas between them, not '1,x'"),
])
def test_wrong_compile(capsys, files, arguments, message):
    names = {"names": files / "names.txt", "model": files / "small.onnx"}
    said = wrong(capsys, "compile", *(one.format(**names) for one in arguments), "-o", files / "no.phantom", *SETTINGS)
    assert said == message.format(**names) and not (files / "no.phantom").exists()


def test_memory_that_is_too_small(capsys, files):
    said = wrong(capsys, "compile", files / "small.onnx", "-o", files / "no.phantom", *SETTINGS, "--memory", "4096")
    assert "here the memory of 4,096 bytes is full; the network needs" in said


@pytest.mark.parametrize(("arguments", "message"), [
    (["-i", "{image}", "-b", "tpu"], "--backend must be one of golden, rtl, not 'tpu'"),
    (["-i", "{image}", "--wave", "x.vcd"], "--wave is for --backend rtl"),
    (["-i", "{image}", "-b", "rtl", "--layers", "4-99"], "--layers must be A-B, numbers in 0..5 or names of layers, "
     "not '4-99'"),
    (["-i", "{image}", "-b", "rtl", "--wave-window", "9:3"], "--wave-window must be A:B with A < B, cycles, not '9:3'"),
    (["-i", "{model}"], "{model}: neither an image nor an array in the format .npy"),
    (["-i", "missing.npy"], "cannot read 'missing.npy': No such file or directory"),
    *((["-i", "{image}", option, "/dev/null/x"], "cannot write '/dev/null/x': Not a directory")
      for option in ("--json", "--csv", "--record")),
    (["-i", "{image}", "-b", "rtl", "--wave", "no/x.vcd"], "cannot write 'no/x.vcd': No such file or directory"),
    (["-i", "{names}.npz"], "cannot read '{names}.npz': No such file or directory"),
    (["-i", "{fake}"], "{fake}: not a file of recorded tensors"),
    (["-i", "{array}"], "{array}: not a file of recorded tensors"),
    (["-i", "{image}", "-b", "rtl", "--wave", "/dev/null"], "cannot write '/dev/null': a waveform must be a regular "
     "file"),
])
def test_wrong_run(capsys, files, program, arguments, message):
    names = {"image": files / "photo.png", "model": files / "small.onnx", "names": files / "names",
             "fake": files / "fake.npz", "array": files / "array.npz"}
    names["fake"].write_text("no archive")
    with names["array"].open("wb") as file:
        np.save(file, np.zeros(3))
    said = wrong(capsys, "run", program, *(one.format(**names) for one in arguments))
    assert said == message.format(**names)


@pytest.mark.parametrize(("array", "message"), [
    (np.zeros((1, 3, 14, 13), np.float32), "must have shape (1, 14, 13, 3), not (1, 3, 14, 13)"),
    (np.zeros((2, 14, 13, 3), np.float32), "must have 1 images, not 2"),
    (np.full((14, 13, 3), np.nan), "real numbers must be finite"),
    (np.zeros((1, 14, 13, 3), np.int64), "must have shape (1, 3, 14, 13), not (1, 14, 13, 3)"),
    (np.full(SHAPE, 256), "integers must be in 0..255, not 256"),
    (np.zeros(SHAPE, bool), "must be an array of integers or real numbers, not bool"),
])
def test_wrong_arrays(capsys, files, program, array, message):
    np.save(files / "x.npy", array)
    assert wrong(capsys, "run", program, "-i", files / "x.npy") == f"{files / 'x.npy'}: {message}"


def test_damaged_programs(capsys, files, program):
    damaged = files / "damaged.phantom"
    damaged.write_bytes(program.read_bytes()[:-5])
    for command in (["inspect", damaged], ["run", damaged, "-i", files / "photo.png"]):
        assert wrong(capsys, *command) == f"{damaged}: not a program, or damaged: its checksum is wrong"


def test_no_waveform_of_large_meshes(capsys, files):
    say(capsys, "compile", files / "small.onnx", "-o", files / "paper.phantom", "--preset", "paper")
    said = wrong(capsys, "run", files / "paper.phantom", "-i", files / "photo.png", "-b", "rtl", "--no-compare",
                 "--wave", files / "x.vcd")
    assert said.startswith("there is no waveform of 28 cores")
