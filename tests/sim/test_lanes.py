"""Verilated C++ translated to vectors gives in every lane what the scalar code gives."""

import ctypes
import subprocess

import numpy as np
import phantom_sim.tiles as tiles
import phantom_sim.verilator as verilator
import pytest
from phantom_hw import PhantomConfig
from phantom_sim.lanes.expressions import Unsupported, Variable
from phantom_sim.lanes.halves import as_words
from phantom_sim.lanes.parser import If, parse_body
from phantom_sim.lanes.statements import function_text
from phantom_sim.tiles import TILE_HEADERS
from phantom_sim.verilator import FAST_FLAGS, LANE_FLAGS, find_verilator

HARNESS = TILE_HEADERS[0].parent
STORAGE = {8: "CData", 16: "SData", 32: "IData", 64: "QData"}
WIDTHS = ((8, 1), (8, 5), (8, 8), (16, 13), (32, 27), (32, 32), (64, 40), (64, 64))
VARIABLES = [Variable(f"{letter}{bits}", storage, bits) for letter in "ab" for storage, bits in WIDTHS]
VARIABLES += [Variable("wide", 32, 32, 0, 3), Variable("memory", 8, 8, 6), Variable("words", 64, 40, 16)]
TABLE = Variable("V__ConstPool__TABLE_h1_0", 8, 3, 16)
LARGE = Variable("V__ConstPool__TABLE_h2_0", 16, 16, 64)
BY_NAME = {one.name: one for one in [*VARIABLES, TABLE, LARGE]}


def lookup(name):
    if name not in BY_NAME:
        raise Unsupported(f"unknown name {name}")
    return BY_NAME[name]


class Writer:
    """Writes random statements as Verilator would: variables stay within their bits."""

    def __init__(self, rng):
        self._rng = rng

    def _one(self, choices):
        return choices[self._rng.integers(len(choices))]

    def _leaf(self):
        """An expression of type IData, or QData, and whether it is the latter."""
        one = self._one([*VARIABLES[:16], BY_NAME["wide"], BY_NAME["memory"], BY_NAME["words"], TABLE, LARGE, None])
        if one is None:
            return self._one([("0U", 0), ("1U", 0), ("0x0000ffffU", 0), ("0xffffffffU", 0), ("0x123456789aULL", 1)])
        if one is TABLE or one is LARGE:
            return f"(IData)({one.name}[{self.narrow(one.depth)}])", 0
        text = f"vlSelfRef.{one.name}"
        if one.words:
            text += f"[{self._rng.integers(one.words)}U]"
        if one.depth:
            text += f"[{self.narrow(one.depth)}]"
        return (text, 1) if one.storage == 64 else (f"(IData)({text})", 0)

    def narrow(self, size):
        """An index that may be used in a memory or table of ``size`` elements."""
        bits = size.bit_length() - 1
        mask = f"({(1 << bits) - 1}U & (IData)({self.value(1)[0]}))"
        return mask if size == 1 << bits else f"(({size}U > {mask}) ? {mask} : 0U)"

    def _operand(self, depth, wide):
        text, is_wide = self.value(depth)
        return text if is_wide == wide else f"({'QData' if wide else 'IData'})({text})"

    def value(self, depth):
        """An expression, and whether it has 64 bits."""
        kind = self._rng.integers(12) if depth else 0
        if kind < 2:
            return self._leaf()
        wide = int(self._rng.integers(4) == 0)
        left, right = self._operand(depth - 1, wide), self._operand(depth - 1, wide)
        shift = self._rng.integers(64 if wide else 32)
        mask = f"{(1 << int(self._rng.integers(1, 65 if wide else 33))) - 1}U{'LL' * wide}"
        if kind == 2:
            return f"(({self.condition(depth - 1)}) ? {left} : {right})", wide
        if kind == 3:
            return f"({left} {self._one(['<<', '>>'])} {shift}U)", wide
        if kind == 4:
            return f"({self._one('~-')} {left})", wide
        if kind == 5:
            return f"(IData)(({self.condition(depth - 1)}))", 0
        if kind == 6:
            return f"({mask} & ({left} >> {shift}U))", wide
        if kind == 7:
            bits = int(self._rng.integers(1, 33))
            return f"VL_EXTENDS_II(32,{bits}, ({(1 << bits) - 1}U & {self._operand(depth - 1, 0)}))", 0
        if kind == 8:
            return (f"VL_MULS_III(18, (0x3ffffU & {self._operand(depth - 1, 0)}), "
                    f"(0x3ffffU & {self._operand(depth - 1, 0)}))"), 0
        if kind == 9:
            return f"({mask} & ({left} {self._one('+-*|^&')} {right}))", wide
        return f"({left} {self._one('&|^+-*')} {right})", wide

    def condition(self, depth):
        """An expression of type int."""
        wide = int(self._rng.integers(4) == 0)
        left, right = self._operand(depth, wide), self._operand(depth, wide)
        kind = self._rng.integers(5)
        if kind == 0:
            return f"({left} {self._one(['<', '<=', '>', '>='])} {right})"
        if kind == 1:
            return f"({left} {self._one(['==', '!='])} {right})"
        if kind == 2:
            return f"((0U != {left}) {self._one(['&&', '||'])} (! {right}))"
        if kind == 3:
            return f"(1U & (~ (IData)({left})))"
        return f"(1U & (IData)({left}))"

    def _assignment(self):
        one = self._one([*VARIABLES[:16], *VARIABLES[16:]])
        text = f"vlSelfRef.{one.name}"
        if one.words:
            text += f"[{self._rng.integers(one.words)}U]"
        if one.depth:
            text += f"[{self.narrow(one.depth)}]"
        value = self._operand(3, int(one.storage == 64))
        mask = f"0x{(1 << one.bits) - 1:x}U{'LL' * (one.storage == 64)}"
        return f"{text}\n = ({mask} & {value});\n"

    def block(self, count, depth):
        """Statements."""
        text = ""
        for _ in range(count):
            if depth and self._rng.integers(4) == 0:
                text += f"if ({self.condition(2)}) {{\n{self.block(2, depth - 1)}}}"
                if self._rng.integers(2):
                    text += f" else if ({self.condition(2)}) {{\n{self.block(1, depth - 1)}}}"
                text += f" else {{\n{self.block(1, depth - 1)}}}\n" if self._rng.integers(2) else "\n"
            else:
                text += self._assignment()
        return text


def sizes(one):
    return "".join(f"[{size}]" for size in (one.depth, one.words) if size)


def elements(one):
    return max(one.depth, 1) * max(one.words, 1)


def build(tmp_path, body, lanes, rng):
    """A library with the scalar function and with the one over all lanes."""
    _, statements = parse_body(body, lookup)
    members = "\n".join(f"{STORAGE[one.storage]} {one.name}{sizes(one)};" for one in VARIABLES)
    vectors = "\n".join(f"u{one.storage} {one.name}{sizes(one)};" for one in map(as_words, VARIABLES))
    tables = "\n".join(
        f"static const VlUnpacked<{STORAGE[one.storage]}, {one.depth}> {one.name} = {{{{"
        + ", ".join(f"{value}U" for value in rng.integers(0, 1 << one.bits, one.depth)) + "}};"
        for one in (TABLE, LARGE))
    moves = "\n".join(
        f"for (size_t i = 0; i < {elements(one)}; ++i) {{ auto* v = (u{one.storage}*)&S->{one.name} + i;"
        f" auto* p = (uint{one.storage}_t*)&s->{one.name} + i; if (into) (*v)[lane] = *p; else *p = (*v)[lane]; }}"
        for one in map(as_words, VARIABLES))
    source = tmp_path / "both.cpp"
    source.write_text(f"""#include "verilated.h"
#include "lanes.h"
using namespace phantom::lanes;
{tables}
struct Scalar {{ {members} }};
struct alignas(64) Lanes {{ {vectors} }};
static void scalar(Scalar& vlSelfRef) {{ {body} }}
static {function_text("vector", [], statements, {})}
#define SHOWN extern "C" __attribute__((visibility("default")))
SHOWN size_t size() {{ return sizeof(Scalar); }}
SHOWN size_t lanes_size() {{ return sizeof(Lanes); }}
SHOWN void run_scalar(Scalar* s) {{ scalar(*s); }}
SHOWN void run_vector(Lanes* S) {{ vector(*S); }}
SHOWN void move(Lanes* S, Scalar* s, size_t lane, int into) {{ {moves} }}
""")
    library = tmp_path / "both.so"
    include = find_verilator().root / "include"
    macros = [f"-DVM_{name}=0" for name in (
        "COVERAGE", "SC", "TIMING", "TRACE", "TRACE_FST", "TRACE_SAIF", "TRACE_VCD")]
    subprocess.run(
        ["g++", *FAST_FLAGS, *LANE_FLAGS, "-fno-strict-aliasing", "-shared", f"-DPHANTOM_LANES={lanes}",
         "-DVERILATOR=1", *macros, f"-I{HARNESS}", f"-I{include}", f"-I{include / 'vltstd'}", str(source), "-o",
         str(library)], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.size.restype = loaded.lanes_size.restype = ctypes.c_size_t
    return loaded


def fill(rng, size):
    """Random contents of the scalar variables within their bits; zeros and ones more often than others."""
    data = np.zeros(size, np.uint8)
    at = 0
    for one in VARIABLES:
        step = one.storage // 8
        at = -(-at // step) * step
        for _ in range(elements(one)):
            value = int(rng.integers(0, 1 << 63)) * 2 + int(rng.integers(2))
            value = (0, (1 << 64) - 1, value, value)[rng.integers(4)] & ((1 << one.bits) - 1)
            data[at:at + step] = np.frombuffer(value.to_bytes(step, "little"), np.uint8)
            at += step
    return data


@pytest.mark.parametrize(("lanes", "seed"), [(4, 1), (16, 2), (32, 3)])
def test_same_as_the_scalar_code(tmp_path, lanes, seed):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    library = build(tmp_path, Writer(rng).block(60, 2), lanes, rng)
    place = np.zeros(library.lanes_size() + 64, np.uint8)
    vector = place[-place.ctypes.data % 64:].ctypes.data
    changed = 0
    for _ in range(50):
        scalars = [fill(rng, library.size()) for _ in range(lanes)]
        before = [data.copy() for data in scalars]
        for lane, data in enumerate(scalars):
            library.move(ctypes.c_void_p(vector), ctypes.c_void_p(data.ctypes.data), ctypes.c_size_t(lane), 1)
            library.run_scalar(ctypes.c_void_p(data.ctypes.data))
        library.run_vector(ctypes.c_void_p(vector))
        for lane, expected in enumerate(scalars):
            found = before[lane].copy()
            library.move(ctypes.c_void_p(vector), ctypes.c_void_p(found.ctypes.data), ctypes.c_size_t(lane), 0)
            np.testing.assert_array_equal(found, expected, err_msg=f"lane {lane}")
            changed += int((expected != before[lane]).any())
    assert changed > 40 * lanes


def test_precedence_and_nesting():
    _, (statement,) = parse_body("if (a) {\nvlSelfRef.a8 = 1U | 2U << 3U & 4U;\n} else if (a) {\n} \n".replace(
        "(a)", "((1U == vlSelfRef.a5))"), lookup)
    assert isinstance(statement, If) and isinstance(statement.other[0], If)
    assert statement.then[0].value.value == 1 | 2 << 3 & 4


@pytest.mark.parametrize(("text", "match"), [
    ("vlSelfRef.a8 = VL_DIV_III(32, vlSelfRef.a32, vlSelfRef.b32);", "function VL_DIV_III"),
    ("vlSelfRef.a8 = vlSelfRef.a32 / vlSelfRef.b32;", "operator '/'"),
    ("vlSelfRef.a64 = (QData)((~ vlSelfRef.a8));", "negative"),
    ("vlSelfRef.a8 = ((~ vlSelfRef.a8) >> 3U);", "negative"),
    ("vlSelfRef.a8 = ((~ vlSelfRef.a8) < 3U);", "negative"),
    ("vlSelfRef.a8 = vlSelfRef.unknown;", "unknown name unknown"),
    ("vlSelfRef.a8 = vlSelfRef.wide;", "0 indices"),
    ("vlSelfRef.a8 = vlSelfRef.wide[vlSelfRef.b8];", "variable word"),
    ("do { vlSelfRef.a8 = 1U; } while (1U);", "unknown name do|expected"),
    ("vlSelfRef.a8 = 1U", "expected"),
])
def test_unknown_code_is_refused(text, match):
    with pytest.raises(Unsupported, match=match):
        parse_body(text + "\n", lookup)


def test_what_cannot_be_translated_is_simulated_without_lanes(tmp_path, monkeypatch, caplog):
    def fail(*_arguments):
        raise Unsupported("function VL_DIV_III")

    cut = []
    monkeypatch.setattr(verilator, "write_lanes", fail)
    monkeypatch.setattr(verilator, "cut_evaluation", lambda *arguments: cut.append(arguments))
    build = verilator._Build(find_verilator(), "tile", HARNESS / "mesh.cpp", tmp_path, False, False, (), "tile", 16)
    assert build._divide(tmp_path, "Vtile") == []
    assert cut == [(tmp_path, "Vtile")]
    assert "tile is simulated without lanes: function VL_DIV_III" in caplog.text


def test_lanes_where_they_are_worth_it(monkeypatch):
    monkeypatch.setattr(tiles, "processor", lambda: "flags : sse avx512f avx512bw avx512vl")
    tiles._fast_vectors.cache_clear()
    paper, tiny = PhantomConfig.preset("paper"), PhantomConfig.preset("tiny")
    assert [tiles.lanes_for(paper, threads) for threads in (1, 2, 4, 100)] == [16] * 4
    assert tiles.lanes_for(tiny, 1) == 0
    monkeypatch.setattr(tiles, "processor", lambda: "flags : sse avx2")
    tiles._fast_vectors.cache_clear()
    assert tiles.lanes_for(paper, 1) == 0
    monkeypatch.undo()
    tiles._fast_vectors.cache_clear()
