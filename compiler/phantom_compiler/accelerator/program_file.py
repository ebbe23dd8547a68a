"""Programs as files: a zip archive of arrays and a JSON manifest, sealed with a checksum of all of it.

The archive's comment, its last bytes, is the SHA-256 of everything before it. Members:

======================  ==============================================================================================
``manifest.json``       versions, configuration, layers, tensors, where the commands are
``memory.bin``          the constant data and the commands, segment after segment
``segments.npy``        address and size of each segment
``layers/N.NAME.npy``   ``weights``, ``bias``, ``mult``, ``shift``, ``density`` of layer N
``before.onnx``         what the host does with the input, if anything
``after.onnx``          what the host does with the outputs, if anything
======================  ==============================================================================================
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import ConfigError, PhantomConfig
from phantom_hw.soc.isa import ISA_VERSION

from phantom_compiler.accelerator.facts import LayerFacts
from phantom_compiler.accelerator.image import MemoryImage
from phantom_compiler.accelerator.job import Job
from phantom_compiler.accelerator.node_records import node_from_record, node_record
from phantom_compiler.accelerator.program import Pixels, Program, ProgramError
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.accelerator.whole_file import whole_file

__all__ = ["FORMAT_VERSION", "read_program", "write_program"]

FORMAT, FORMAT_VERSION = "phantom program", 6
SEAL = b"sha256:"
SEAL_BYTES = len(SEAL) + 64
BLOCK = 1 << 20
BEGINNING = (1980, 1, 1, 0, 0, 0)
"""The time of all members: the same program is the same file."""


# --- writing ----------------------------------------------------------------------------------------------

def write_program(program: Program, path: str | Path) -> None:
    """Write a program; the file is there as a whole or as before.

    Raises
    ------
    ProgramError
        If the file cannot be written.
    """
    try:
        with whole_file(path) as file:
            _write_members(program, file)
            _seal(file)
    except OSError as error:
        raise ProgramError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def _write_members(program: Program, file: IO[bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        def add(name: str, content: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(name, BEGINNING), content, zipfile.ZIP_DEFLATED, 1)

        records = []
        for number, node in enumerate(program.nodes):
            record, arrays = node_record(node)
            records.append(record | {"arrays": sorted(arrays)})
            for name, array in arrays.items():
                add(_array_name(number, name), _npy(array))
        segments = program.job.image.segments
        add("manifest.json", json.dumps(_manifest(program, records), indent=1).encode())
        add("segments.npy", _npy(np.array([[address, len(data)] for address, data in segments], np.uint64)))
        add("memory.bin", b"".join(data.tobytes() for _, data in segments))
        for name in ("before", "after"):
            content = getattr(program, name)
            if content is not None:
                add(f"{name}.onnx", content)
        archive.comment = b" " * SEAL_BYTES


def _seal(file: IO[bytes]) -> None:
    """Write the checksum of all that is before it over the comment."""
    size = file.seek(0, os.SEEK_END) - SEAL_BYTES
    digest = _digest(file, size)
    file.seek(size)
    file.write(digest)


def _digest(file: IO[bytes], size: int) -> bytes:
    file.seek(0)
    found = hashlib.sha256()
    while size > 0:
        block = file.read(min(BLOCK, size))
        if not block:
            break
        found.update(block)
        size -= len(block)
    return SEAL + found.hexdigest().encode()


def _array_name(number: int, name: str) -> str:
    return f"layers/{number}.{name}.npy"


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def _manifest(program: Program, records: list[dict[str, Any]]) -> dict[str, Any]:
    job = program.job
    return {
        "format": FORMAT, "version": FORMAT_VERSION, "isa_version": ISA_VERSION, "name": program.name,
        "config": job.config.to_dict(), "memory": {
            "base": job.image.base, "bytes": job.image.size, "tensor_bytes": job.tensor_bytes},
        "commands": {"address": job.commands, "count": job.count, "starts": list(job.starts),
                     "ahead": [list(part) for part in job.ahead]},
        "input": {"tensor": _tensor(job.input), "scale": program.input_scale, "pixels": asdict(program.pixels)},
        "outputs": list(program.outputs), "output_scales": list(program.output_scales),
        "labels": list(program.labels), "tensors": [_tensor(form) for form in job.outputs],
        "layers": records, "facts": [asdict(facts) for facts in program.layers],
        "host": [name for name in ("before", "after") if getattr(program, name) is not None],
    }


def _tensor(form: TensorFormat) -> dict[str, Any]:
    return {one.name: getattr(form, one.name) for one in fields(form) if one.name != "config"}


# --- reading ----------------------------------------------------------------------------------------------

def read_program(path: str | Path, config: PhantomConfig | None = None) -> Program:
    """Read a program.

    Parameters
    ----------
    path : str or Path
    config : PhantomConfig, optional
        What it must be compiled for.

    Raises
    ------
    ProgramError
        If the file cannot be read, is none, is damaged, or is of another version or for another configuration.
    """
    try:
        with open(path, "rb") as file:
            _check_seal(file, str(path))
            with zipfile.ZipFile(file) as archive:
                program = _Reader(archive, str(path)).program()
    except OSError as error:
        raise ProgramError(f"cannot read {str(path)!r}: {error.strerror}") from None
    except zipfile.BadZipFile:
        raise ProgramError(f"{path}: not a program") from None
    if config is not None:
        program.check(config)
    return program


def _check_seal(file: IO[bytes], path: str) -> None:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(2) != b"PK":
        raise ProgramError(f"{path}: not a program")
    file.seek(max(0, size - SEAL_BYTES))
    seal = file.read()
    if not seal.startswith(SEAL) or seal != _digest(file, size - SEAL_BYTES):
        raise ProgramError(f"{path}: not a program, or damaged: its checksum is wrong")
    file.seek(0)


class _Reader:
    """Takes a program out of an archive."""

    def __init__(self, archive: zipfile.ZipFile, path: str):
        self.archive, self.path = archive, path

    def program(self) -> Program:
        """The program, or one line about what is wrong."""
        try:
            manifest = json.loads(self.archive.read("manifest.json"))
            self._versions(manifest)
            return self._program(manifest)
        except (ProgramError, ConfigError) as error:
            raise ProgramError(f"{self.path}: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            text = " ".join(str(error).split())
            raise ProgramError(f"{self.path}: not a program: {type(error).__name__} {text}") from None

    @staticmethod
    def _versions(manifest: dict[str, Any]) -> None:
        if manifest["format"] != FORMAT:
            raise ProgramError("not a program")
        for name, meaning, own in (("version", "version of the file format", FORMAT_VERSION),
                                   ("isa_version", "version of the command set", ISA_VERSION)):
            if manifest[name] != own:
                raise ProgramError(f"the {meaning} is {manifest[name]!r}, it must be {own}")

    def _program(self, manifest: dict[str, Any]) -> Program:
        config = PhantomConfig.from_dict(manifest["config"])
        commands, facts = manifest["commands"], manifest["facts"]
        nodes = tuple(
            node_from_record(record, {name: self._array(_array_name(number, name)) for name in record["arrays"]})
            for number, record in enumerate(manifest["layers"]))
        forms = [_form(config, record) for record in manifest["tensors"]]
        job = Job(config, self._image(manifest["memory"]), commands["address"], commands["count"],
                  _form(config, manifest["input"]["tensor"]), forms, [one["tiling"] for one in facts],
                  commands["starts"], manifest["memory"]["tensor_bytes"],
                  [(first, end) for first, end in commands["ahead"]],
                  [one["expected_cycles"] for one in facts])
        host = {name: self.archive.read(f"{name}.onnx") for name in manifest["host"]}
        return Program(
            manifest["name"], nodes, job, tuple(
                LayerFacts(**one | {name: tuple(one[name]) for name in ("inputs", "shape")}) for one in facts),
            tuple(manifest["outputs"]), manifest["input"]["scale"], tuple(manifest["output_scales"]),
            labels=tuple(manifest["labels"]), pixels=Pixels(**manifest["input"]["pixels"]), **host)

    def _array(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(self.archive.read(name)), allow_pickle=False)
        return array

    def _image(self, memory: dict[str, int]) -> MemoryImage:
        content = np.frombuffer(self.archive.read("memory.bin"), np.uint8)
        image, at = MemoryImage(memory["base"], memory["bytes"]), 0
        for address, size in self._array("segments.npy").tolist():
            if not image.base <= address <= image.base + image.size - size or at + size > len(content):
                raise ProgramError(f"a segment of {size} bytes at {address:#x} is not within the program's memory")
            image.segments.append((address, content[at:at + size]))
            at += size
        return image


def _form(config: PhantomConfig, record: dict[str, Any]) -> TensorFormat:
    return TensorFormat(config, **record | {"shape": tuple(record["shape"])})
