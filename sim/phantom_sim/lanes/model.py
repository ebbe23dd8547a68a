"""Read what Verilator wrote for a class, and write a class of many lanes beside it."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from phantom_sim.lanes.expressions import Unsupported, Variable
from phantom_sim.lanes.halves import as_words
from phantom_sim.lanes.parser import Call, Statement, parse_body, parse_type
from phantom_sim.lanes.statements import function_text

__all__ = ["write_lanes"]

FILE_CHARACTERS = 400_000
"""Source files of about this size."""

PART_STATEMENTS = 40
"""Statements that are not calls make a part of so many."""

_MEMBER = re.compile(r"^ +((?:[CSIQ]Data|VlWide<\d+>)/\*\d+:0\*/) (\w+);$", re.MULTILINE)
_MEMORY = re.compile(r"^ +VlUnpacked<((?:[CSIQ]Data|VlWide<\d+>)/\*\d+:0\*/), (\d+)> (\w+);$", re.MULTILINE)
_PORT = re.compile(r"^ +VL_(?:IN|OUT)(8|16|64|W|)\((\w+),(\d+),0(?:,(\d+))?\);$", re.MULTILINE)
_TABLE = re.compile(r"^extern const VlUnpacked<([CSIQ]Data/\*\d+:0\*/), (\d+)> (\w+__ConstPool__\w+);$", re.MULTILINE)
_HEAD = re.compile(r"^void (\w+)\(\w+\* vlSelf\) \{$", re.MULTILINE)
_EDGE = re.compile(r" *if \(\(1ULL & vlSelfRef\.__VnbaTriggered\[0U\]\)\) \{\n(.*)\n    \}\n", re.DOTALL)
_INPUTS = re.compile(r" *if \(\(1ULL & vlSelfRef\.__VicoTriggered\[0U\]\)\) \{\n(.*)\n    \}\n", re.DOTALL)


def write_lanes(folder: Path, prefix: str) -> None:
    """Write a class of many lanes for a Verilated class with one clock, and empty the latter's work at the clock edge.

    The header ``<prefix>_lanes.h`` declares the object ``<prefix>_lanes::Lanes`` with a member for each variable, and
    the functions ``copy`` (of an instance of the Verilated class into a lane) and ``inputs`` (let the inputs arrive),
    and ``parts``, an array of ``part_count`` functions: what happens, in their order and after ``inputs``, when the
    clock rises. They are added to the class's makefile; the compiler
    must find ``lanes.h``, and know how many lanes there are as ``PHANTOM_LANES``.

    Parameters
    ----------
    folder : Path
        What Verilator wrote.
    prefix : str
        The class.

    Raises
    ------
    ValueError
        If there is something that is not translated; nothing was written.
    """
    _Model(folder, prefix).write()


class _Model:
    def __init__(self, folder: Path, prefix: str):
        self._folder, self._prefix = folder, prefix
        self._root = f"{prefix}___024root"
        self._texts = {path: path.read_text(encoding="utf-8") for path in sorted(folder.glob(f"{self._root}__*.cpp"))}
        header = (folder / f"{self._root}.h").read_text(encoding="utf-8")
        self._variables = {one.name: one for one in _variables(header)}
        self._tables: dict[str, Variable] = {}
        self._left: list[Variable] = []
        self._bodies: dict[str, str] = {}
        pattern = re.compile(rf"^(?:VL_ATTR_COLD )?\w+ ({self._root}___\w+)\([^;{{]*\) \{{\n(.*?)^\}}\n", re.M | re.S)
        for text in self._texts.values():
            self._bodies |= {found[1]: found[2] for found in pattern.finditer(text)}
            for kind, depth, name in _TABLE.findall(text):
                storage, bits, _ = parse_type(kind)
                self._tables[name] = Variable(name, storage, bits, int(depth))

    def _lookup(self, name: str) -> Variable:
        if found := self._variables.get(name) or self._tables.get(name):
            return found
        raise Unsupported(f"unknown name {name}")

    def write(self) -> None:
        functions: dict[str, str] = {}
        entries = {"edge": self._entry("nba", _EDGE), "inputs": self._entry("ico", _INPUTS)}
        self._translate(entries["inputs"], "inputs", functions)
        # what a part leaves for another one must be in the object of all lanes
        self._left, statements = parse_body(self._bodies[entries["edge"]], self._lookup, members="left")
        parts = self._parts(statements, functions)
        self._write(functions, parts)
        self._empty(entries["edge"])

    def _parts(self, statements: list[Statement], functions: dict[str, str]) -> list[str]:
        """The functions that do the work at the clock edge one after another; translates them."""
        parts: list[str] = []
        for alone, group in groupby(statements, lambda one: isinstance(one, Call)):
            if alone:
                for call in group:
                    assert isinstance(call, Call)
                    parts.append(self._short(call.name))
                    self._translate(call.name, parts[-1], functions)
                continue
            some = list(group)
            for start in range(0, len(some), PART_STATEMENTS):
                parts.append(f"edge__{len(parts)}")
                functions[parts[-1]] = function_text(parts[-1], [], some[start:start + PART_STATEMENTS], {})
        return parts

    def _short(self, name: str) -> str:
        return name.removeprefix(f"{self._root}___")

    def _empty(self, edge: str) -> None:
        """Take the work at the clock edge out of the Verilated class."""
        called = {name: set(re.findall(rf"\b{self._root}___\w+(?=\(vlSelf\);)", body))
                  for name, body in self._bodies.items()}
        gone = _reached(called, [edge])
        called[edge] = set()
        gone -= _reached(called, [name for name in self._bodies if name not in gone])
        for path, text in self._texts.items():
            for name in {found for found in _HEAD.findall(text) if found in gone | {edge}}:
                start = text.index(f"void {name}({self._root}* vlSelf) {{\n")
                end = text.index("\n}\n", start) + 3
                text = text[:start] + (f"void {name}({self._root}*) {{}}\n" if name == edge else "") + text[end:]
            path.write_text(text, encoding="utf-8")

    def _entry(self, kind: str, pattern: re.Pattern[str]) -> str:
        """The function that has all work of a kind under one trigger; its body becomes what is within."""
        names = [f"{self._root}___eval_{kind}{suffix}" for suffix in ("__0", "")]
        for name in names:
            head, separator, body = self._bodies.get(name, "").partition("    // Body\n")
            if found := pattern.fullmatch(body):
                self._bodies[name] = head.replace("    // Locals\n", "") + separator + found[1] + "\n"
                return name
        raise Unsupported(f"no function {names[0]} with one trigger")

    def _translate(self, name: str, new: str, functions: dict[str, str]) -> None:
        """Translate a function and all that it calls."""
        if new in functions:
            return
        if name not in self._bodies:
            raise Unsupported(f"no function {name}")
        local, statements = parse_body(self._bodies[name], self._lookup)
        called = {one.name: self._short(one.name) for one in statements if isinstance(one, Call)}
        functions[new] = ""
        for callee, short in called.items():
            self._translate(callee, short, functions)
        functions[new] = function_text(new, local, statements, called)

    def _write(self, functions: dict[str, str], parts: list[str]) -> None:
        space = f"{self._prefix}_lanes"
        tables = "".join(f"extern const VlUnpacked<{_ELEMENTS[one.storage]}, {one.depth}> {one.name};\n"
                         for one in self._tables.values())
        copies = "".join(f"    {_copy(one)}\n" for one in self._variables.values())
        files = [f"void (*const parts[])(Lanes&) = {{{', '.join(parts)}}};\n\n"
                 f"void copy(Lanes& S, size_t lane, const {self._root}& from) {{\n{copies}}}\n", ""]
        for text in functions.values():
            if files[-1] and len(files[-1]) + len(text) > FILE_CHARACTERS:
                files.append("")
            files[-1] += text + "\n"
        names = [f"{space}__{number}" for number in range(len(files))]
        written = {f"{self._prefix}_classes.mk": self._makefile(names), f"{space}.h": self._header(functions, parts)}
        for name, text in zip(names, files, strict=True):
            written[f"{name}.cpp"] = f'#include "{space}.h"\n\n{tables}\nnamespace {space} {{\n\n{text}\n}}\n'
        for name, text in written.items():
            (self._folder / name).write_text(text, encoding="utf-8")

    def _makefile(self, names: list[str]) -> str:
        """The list of source files with more of them; the first is compiled without care for its speed."""
        text = (self._folder / f"{self._prefix}_classes.mk").read_text(encoding="utf-8")
        for kind, added in (("SLOW", names[:1]), ("FAST", names[1:])):
            head = f"VM_CLASSES_{kind} += \\\n"
            if head not in text:
                raise Unsupported(f"no VM_CLASSES_{kind} in the makefile")
            text = text.replace(head, head + "".join(f"  {name} \\\n" for name in added))
        return text

    def _header(self, functions: dict[str, str], parts: list[str]) -> str:
        space = f"{self._prefix}_lanes"
        members = "".join(f"    {_member(one)}\n" for one in [*self._variables.values(), *self._left])
        declared = "".join(f"void {name}(Lanes& S);\n" for name in functions)
        return (f'#pragma once\n\n#include "{self._prefix}.h"\n#include "{self._root}.h"\n#include "lanes.h"\n\n'
                f"namespace {space} {{\n\nusing namespace phantom::lanes;\n\n"
                f"struct alignas(64) Lanes {{\n{members}}};\n\n"
                f"void copy(Lanes& S, size_t lane, const {self._root}& from);\n{declared}"
                f"extern void (*const parts[])(Lanes&);\nconstexpr size_t part_count = {len(parts)};\n\n}}\n")


def _reached(called: dict[str, set[str]], start: list[str]) -> set[str]:
    """All functions that are called from ``start`` on, without these."""
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        new = called.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


_ELEMENTS = {8: "CData", 16: "SData", 32: "IData", 64: "QData"}


def _variables(header: str) -> list[Variable]:
    """Ports and other variables of a class."""
    found = []
    for storage, name, top, words in _PORT.findall(header):
        wide = int(words) if storage == "W" else 0
        bits = 32 if storage in ("W", "") else int(storage)
        found.append(Variable(name, bits, 32 if wide else int(top) + 1, 0, wide))
    for kind, name in _MEMBER.findall(header):
        storage, bits, wide = parse_type(kind)
        found.append(Variable(name, storage, bits, 0, wide))
    for kind, depth, name in _MEMORY.findall(header):
        storage, bits, wide = parse_type(kind)
        found.append(Variable(name, storage, bits, int(depth), wide))
    return found


def _member(one: Variable) -> str:
    one = as_words(one)
    sizes = "".join(f"[{size}]" for size in (one.depth, one.words) if size)
    return f"u{one.storage} {one.name}{sizes};"


def _copy(one: Variable) -> str:
    if one.storage == 64:
        loop, place = (f"for (size_t i = 0; i < {one.depth}; ++i) ", "[i]") if one.depth else ("", "")
        return (f"{loop}for (size_t w = 0; w < 2; ++w) S.{one.name}{place}[w][lane] = "
                f"uint32_t(from.{one.name}{place} >> 32 * w);")
    if not one.depth and not one.words:
        return f"S.{one.name}[lane] = from.{one.name};"
    loops, places = "", ""
    for letter, size in (("i", one.depth), ("w", one.words)):
        if size:
            loops += f"for (size_t {letter} = 0; {letter} < {size}; ++{letter}) "
            places += f"[{letter}]"
    return f"{loops}S.{one.name}{places}[lane] = from.{one.name}{places};"
