"""Program files: what is written is read, and everything that is wrong with a file is one line."""

import hashlib
import json
import zipfile
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from phantom_compiler.accelerator import program_file
from phantom_compiler.accelerator.network import INPUT, Node
from phantom_compiler.accelerator.program import Pixels, ProgramError, compile_program
from phantom_compiler.accelerator.program_file import FORMAT_VERSION, read_program, write_program
from phantom_compiler.accelerator.random_network import random_activations, residual_network
from phantom_compiler.accelerator.vector_layers import Concat, Upsample2d, VectorLayer
from phantom_compiler.quantized import QuantizedLayer
from phantom_compiler.transposed import TransposedConv2d
from phantom_hw.config import PhantomConfig

TINY = PhantomConfig.preset("tiny")
SHAPE = (1, 2, 13, 12)


@dataclass(frozen=True)
class Network:
    """A quantized network."""

    nodes: Any
    name: str = "small"
    shape: tuple[int, int, int, int] = SHAPE
    signed: bool = False
    input_scale: float = 1 / 255
    output_scales: tuple[float, ...] = ()
    before: bytes | None = None
    after: bytes | None = b"model"
    labels: tuple[str, ...] | None = ("a", "b", "ä", "d", "e")


@pytest.fixture(scope="module")
def program():
    """With every kind of layer that a file can hold."""
    rng = np.random.default_rng(3)
    nodes = residual_network(SHAPE, TINY, rng)
    up = TransposedConv2d(rng.integers(-5, 6, (6, 2, 2, 2)), name="up", stride=(2, 2))
    quantized = QuantizedLayer(up, np.zeros(2, np.int64), np.full(2, 1 << 23), np.full(2, 25), -128, 127)
    nodes.append(Node(quantized, (3,), True, 0.25))
    nodes.append(Node(Upsample2d("near", factor=(3, 2)), (2,), False))
    nodes.append(Node(Concat("both"), (2, 3), False))
    network = Network(nodes, output_scales=tuple(0.1 * i for i in range(len(nodes))))
    return compile_program(network, TINY, base=4096, pixels=Pixels(2 / 255, -1.0))


@pytest.fixture
def path(program, tmp_path):
    """The program in a file."""
    write_program(program, tmp_path / "small.phantom")
    return tmp_path / "small.phantom"


def refusal(path, config=None) -> str:
    with pytest.raises(ProgramError) as caught:
        read_program(path, config)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 600
    return text


def same(one, other):
    """Two layers, field by field."""
    assert type(one) is type(other)
    for field in fields(one):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, np.ndarray):
            assert np.array_equal(left, right)
        elif hasattr(left, "__dataclass_fields__"):
            same(left, right)
        else:
            assert left == right


def test_there_and_back(program, path):
    found = read_program(path, TINY)
    for name in ("name", "layers", "outputs", "input_scale", "output_scales", "before", "after", "labels", "pixels",
                 "config", "shape", "signed", "memory_bytes"):
        assert getattr(found, name) == getattr(program, name), name
    for left, right in zip(program.nodes, found.nodes, strict=True):
        same(left, right)
    job, own = found.job, program.job
    for name in ("config", "commands", "count", "input", "outputs", "tilings", "starts", "tensor_bytes"):
        assert getattr(job, name) == getattr(own, name), name
    assert (job.image.base, job.image.size) == (own.image.base, own.image.size)
    for (address, data), (place, content) in zip(own.image.segments, job.image.segments, strict=True):
        assert address == place and np.array_equal(data, content)
    activations = random_activations(SHAPE, TINY, np.random.default_rng(4))
    for left, right in zip(program.golden(activations), found.golden(activations), strict=True):
        assert np.array_equal(left, right)


def test_the_same_program_is_the_same_file(program, path, tmp_path):
    write_program(read_program(path), tmp_path / "again.phantom")
    assert (tmp_path / "again.phantom").read_bytes() == path.read_bytes()


def test_is_a_zip_archive(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("manifest.json"))["config"]["name"] == "tiny"
    assert path.read_bytes().endswith(hashlib.sha256(path.read_bytes()[:-71]).hexdigest().encode())


def test_the_facts(program):
    """What is told of the layers, counted in another way."""
    activations = random_activations(SHAPE, TINY, np.random.default_rng(4))
    outputs = program.golden(activations)
    for number, (node, facts, form) in enumerate(zip(program.nodes, program.layers, program.job.outputs, strict=True)):
        assert facts.name == node.name and facts.shape == outputs[number].shape == form.shape
        if isinstance(node.operation, QuantizedLayer) and facts.kind == "Conv2d":
            weights = node.operation.layer.weights
            assert facts.dense_macs == outputs[number].size * weights[0].size
            assert 0 < facts.expected_macs < facts.dense_macs
            assert (facts.weights, facts.nonzero_weights) == (weights.size, np.count_nonzero(weights))
        if facts.kind == "Concat":  # where nothing is to be done
            assert facts.tiling == "in place"
            assert facts.read_bytes == facts.written_bytes == facts.compulsory_bytes == 0
            continue
        assert facts.read_bytes >= facts.constant_bytes > 0
        assert facts.compulsory_bytes > facts.written_bytes > 0
    assert sum(facts.commands for facts in program.layers) == program.job.count - 2
    assert program.layers[0].inputs == (INPUT,)


# --- files that are wrong ---------------------------------------------------------------------------------

@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(share=some.floats(0, 1, exclude_max=True))
def test_truncated(path, share):
    cut = path.with_name("cut.phantom")
    content = path.read_bytes()
    cut.write_bytes(content[:int(len(content) * share)])
    assert refusal(cut) in (f"{cut}: not a program", f"{cut}: not a program, or damaged: its checksum is wrong")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(share=some.floats(0, 1, exclude_max=True), flip=some.integers(1, 255))
def test_corrupted(path, share, flip):
    bad = path.with_name("bad.phantom")
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= flip
    bad.write_bytes(content)
    assert refusal(bad) in (f"{bad}: not a program", f"{bad}: not a program, or damaged: its checksum is wrong")


@pytest.mark.parametrize("content", [b"", b"P", b"PK", b"hello " * 100, b"PK" + bytes(500)])
def test_other_files(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    assert refusal(tmp_path / "x").startswith(f"{tmp_path / 'x'}: not a program")


def test_files_that_are_not_there(tmp_path, program):
    assert refusal(tmp_path / "x") == f"cannot read '{tmp_path / 'x'}': No such file or directory"
    assert refusal(tmp_path) == f"cannot read '{tmp_path}': Is a directory"
    with pytest.raises(ProgramError, match=r"cannot write '.*/no/x': No such file or directory"):
        write_program(program, tmp_path / "no" / "x")


def changed(path, change, drop=()):
    """A file of the right form with another manifest."""
    target = path.with_name("changed.phantom")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as other:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "manifest.json":
                manifest = json.loads(content)
                change(manifest)
                content = json.dumps(manifest).encode()
            if name not in drop:
                other.writestr(name, content)
        other.comment = b" " * program_file.SEAL_BYTES
    with open(target, "r+b") as file:
        program_file._seal(file)
    return target


def test_unchanged_is_good(path):
    assert read_program(changed(path, lambda manifest: None)).name == "small"


def put(*keys_and_value):
    *keys, last, value = keys_and_value

    def change(manifest):
        for key in keys:
            manifest = manifest[key]
        manifest[last] = value
    return change


@pytest.mark.parametrize(("change", "message"), [
    (put("version", 1), f"the version of the file format is 1, it must be {FORMAT_VERSION}"),
    (put("isa_version", 0), "the version of the command set is 0, it must be 1"),
    (put("format", "x"), "not a program"),
    (put("config", "threads", 99), "configuration: threads must be an integer in 1..8, not 99"),
    (put("config", "color", 1), "configuration: unknown key 'color'; legal keys:"),
    (put("layers", 0, "kind", "Conv9d"), "not a program: KeyError 'Conv9d'"),
    (put("tensors", 0, "width", 0), "not a program: ValueError a slot must have 1..16 positions, not 0 x"),
    (put("tensors", 3, None), "not a program: TypeError"),
    (put("memory", "bytes", 640), "is not within the program's memory"),
    (lambda manifest: manifest.pop("commands"), "not a program: KeyError 'commands'"),
])
def test_manifests_that_are_wrong(path, change, message):
    bad = changed(path, change)
    text = refusal(bad)
    assert text.startswith(f"{bad}: ") and message in text


@pytest.mark.parametrize("name", ["memory.bin", "segments.npy", "layers/0.weights.npy", "after.onnx", "manifest.json"])
def test_members_that_are_missing(path, name):
    assert name in refusal(changed(path, lambda manifest: None, [name]))


def test_another_configuration(path):
    assert refusal(path, replace(TINY, acc_depth=512)) == (
        f"program 'small' is compiled for acc_depth = {TINY.acc_depth!r}, not 512")
    assert read_program(path, replace(TINY, name="other")).config == TINY


def test_the_old_file_stays_when_writing_fails(program, path, monkeypatch):
    before = path.read_bytes()

    def full(file):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(program_file, "_seal", full)
    with pytest.raises(ProgramError, match=r"cannot write '.*small\.phantom': No space left on device"):
        write_program(program, path)
    assert path.read_bytes() == before and [one.name for one in path.parent.iterdir()] == [path.name]


def test_kinds_that_cannot_be_written(program, tmp_path):
    other = replace(program, nodes=(*program.nodes[:-1], Node(VectorLayer("strange"), (0,), False)))
    with pytest.raises(ValueError, match="layer 'strange': a layer of kind VectorLayer cannot be written"):
        write_program(other, tmp_path / "x")
    assert not list(tmp_path.iterdir())
