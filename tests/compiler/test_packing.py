"""Payloads to words and back, against Amaranth's own constants."""

import numpy as np
import pytest
from amaranth.hdl import signed
from amaranth.lib import data
from hypothesis import given
from hypothesis import strategies as st
from phantom_compiler.packing import pack, payload_words, unpack
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import layer_layout, moving_layout, result_layout, stationary_layout

LAYOUTS = (layer_layout, moving_layout, result_layout, stationary_layout)


def _random_shape(draw, depth):
    kind = draw(st.integers(0, 3 if depth else 1))
    if kind <= 1:
        width = draw(st.integers(0, 64))
        return signed(max(1, width)) if kind else width
    if kind == 2:
        return data.ArrayLayout(_random_shape(draw, depth - 1), draw(st.integers(1, 4)))
    count = draw(st.integers(1, 4))
    return data.StructLayout({f"f{i}": _random_shape(draw, depth - 1) for i in range(count)})


@st.composite
def struct_layouts(draw):
    count = draw(st.integers(1, 4))
    return data.StructLayout({f"f{i}": _random_shape(draw, 2) for i in range(count)})


def random_fields(layout, n, rng, lead=()):
    """Nested fields for `pack`, by an own walk over the layout."""
    if isinstance(layout, data.ArrayLayout):
        return random_fields(layout.elem_shape, n, rng, (*lead, layout.length))
    if isinstance(layout, data.StructLayout):
        return {key: random_fields(field.shape, n, rng, lead) for key, field in layout}
    from amaranth.hdl import Shape
    shape = Shape.cast(layout)
    raw = rng.integers(0, 1 << 64, (n, *lead), np.uint64)
    if shape.signed:
        return raw.astype(np.int64) >> (64 - shape.width)
    return raw >> np.uint64(64 - shape.width) if shape.width else np.zeros((n, *lead), int)


def constant(layout, fields, index):
    """The init value that Amaranth takes: nested dicts and lists."""
    if isinstance(layout, data.ArrayLayout):
        return [constant(layout.elem_shape, fields, (*index, i)) for i in range(layout.length)]
    if isinstance(layout, data.StructLayout):
        return {key: constant(field.shape, fields[key], index) for key, field in layout}
    return int(fields[index])


def as_int(words):
    return sum(int(word) << 32 * i for i, word in enumerate(words))


def assert_same(left, right):
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            assert_same(left[key], right[key])
    else:
        np.testing.assert_array_equal(left, right)


@given(struct_layouts(), st.integers(0, 2**32))
def test_pack_gives_amaranths_bits_and_unpack_the_fields(layout, seed):
    rng = np.random.default_rng(seed)
    fields = random_fields(layout, 3, rng)
    words = pack(layout, fields)
    assert words.dtype == np.uint32 and words.shape == (3, payload_words(layout))
    for i in range(3):
        assert as_int(words[i]) == layout.const(constant(layout, fields, (i,))).as_bits()
    assert_same(unpack(layout, words), fields)


@pytest.mark.parametrize("make", LAYOUTS)
@pytest.mark.parametrize("preset", PhantomConfig.presets())
def test_port_layouts_round_trip(make, preset):
    layout = make(PhantomConfig.preset(preset))
    fields = random_fields(layout, 20_000, np.random.default_rng(1))
    assert_same(unpack(layout, pack(layout, fields)), fields)


def test_negative_values_are_masked_to_the_width():
    layout = data.StructLayout({"a": 3, "b": data.ArrayLayout(5, 2)})
    words = pack(layout, {"a": [-1], "b": [[-16, 31]]})
    assert words.tolist() == [[0b11111_10000_111]]


def test_scalars_stand_for_all_payloads():
    layout = data.StructLayout({"a": 4, "b": 4})
    assert pack(layout, {"a": 3, "b": [1, 2]}).tolist() == [[0x13], [0x23]]
    assert pack(layout, {"a": 3, "b": 1}).tolist() == [[0x13]]
    assert pack(layout, {"a": np.zeros(0, int), "b": 1}).shape == (0, 1)


@pytest.mark.parametrize(("fields", "message"), [
    ({"a": [1]}, "field s is missing"),
    ({"a": [1], "s": {}}, "field s.b is missing"),
    ({"a": [1], "s": {"b": [[1, 2]]}, "c": 1}, "unknown field 'c'; legal fields: a, s"),
    ({"a": [1], "s": {"b": [[1, 2]], "x": 0}}, "unknown field 's.x'; legal fields: b"),
    ({"a": [16], "s": {"b": [[1, 2]]}}, "a must be in -8..15, not 16"),
    ({"a": [-9], "s": {"b": [[1, 2]]}}, "a must be in -8..15, not -9"),
    ({"a": [1.0], "s": {"b": [[1, 2]]}}, "a must hold integers, not float64"),
    ({"a": [1], "s": {"b": [[1, 2, 3]]}}, r"s.b must have shape \(1, 2\), not \(1, 3\)"),
    ({"a": [1, 2], "s": {"b": [[1, 2]]}}, r"fields must have one length, not \[1, 2\]"),
])
def test_illegal_fields_are_refused(fields, message):
    layout = data.StructLayout({"a": 4, "s": data.StructLayout({"b": data.ArrayLayout(8, 2)})})
    with pytest.raises(ValueError, match=message):
        pack(layout, fields)


def test_illegal_words_and_layouts_are_refused():
    layout = data.StructLayout({"a": 33})
    with pytest.raises(ValueError, match=r"words must have shape \(n, 2\), not \(3, 1\)"):
        unpack(layout, np.zeros((3, 1), np.uint32))
    with pytest.raises(ValueError, match=r"a must have 0..64 bits, not 65"):
        pack(data.StructLayout({"a": 65}), {"a": [0]})
    with pytest.raises(ValueError, match="a must be a struct or an array, not a union"):
        pack(data.StructLayout({"a": data.UnionLayout({"x": 1})}), {"a": [0]})
