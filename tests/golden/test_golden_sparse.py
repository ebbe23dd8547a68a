"""The sparse-mask format against its definition, position by position and bit by bit."""

import numpy as np
import phantom_golden as golden
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

SPARSE_VALUES = st.one_of(st.just(0), st.just(0), st.integers(-128, 127))
TENSORS = arrays.arrays(np.int8, arrays.array_shapes(max_dims=4, max_side=12), elements=SPARSE_VALUES, fill=st.just(0))
CHUNKS = st.integers(1, 20)


@given(TENSORS, CHUNKS)
def test_decode_inverts_encode(array, chunk):
    tensor = golden.encode(array, chunk)
    assert tensor.shape == array.shape
    assert tensor.nonzeros == np.count_nonzero(array)
    assert tensor.density == np.count_nonzero(array) / array.size
    assert tensor.chunks_per_row == -(-array.shape[-1] // chunk)
    decoded = golden.decode(tensor)
    assert decoded.dtype == np.int64
    np.testing.assert_array_equal(decoded, array)


@given(TENSORS, CHUNKS, st.data())
def test_slice_equals_the_dense_slice(array, chunk, data):
    start = data.draw(st.integers(0, array.shape[-1] - 1))
    stop = data.draw(st.integers(start + 1, array.shape[-1]))
    assert golden.encode(array, chunk).slice(start, stop) == golden.encode(array[..., start:stop], chunk)


@given(TENSORS, CHUNKS, st.data())
def test_slice_rows_equals_the_dense_slice(array, chunk, data):
    rows = array.reshape(-1, array.shape[-1])
    start = data.draw(st.integers(0, len(rows) - 1))
    stop = data.draw(st.integers(start + 1, len(rows)))
    assert golden.encode(array, chunk).slice_rows(start, stop) == golden.encode(rows[start:stop], chunk)


def slot_as_integer(values, chunk, width):
    """Write one slot as a big integer, straight from the definition."""
    slot, place = 0, 8 * -(-chunk // 8)
    for position, value in enumerate(values):
        if value:
            slot |= 1 << position | (int(value) % 2**width) << place
            place += width
    return slot


@given(TENSORS, CHUNKS, st.sampled_from(golden.VALUE_WIDTHS), st.booleans(), st.sampled_from([1, 4, 8, 32]))
def test_bytes_follow_the_definition(array, chunk, width, signed, align):
    low, high = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
    array = np.clip(array.astype(np.int64) * 2 ** max(0, width - 8), low, high)
    tensor = golden.encode(array, chunk)
    slots = golden.to_bytes(tensor, width, signed=signed, align=align)
    size = golden.slot_bytes(chunk, width, align)
    assert slots.dtype == np.uint8 and size % align == 0
    rows = array.reshape(-1, array.shape[-1])
    expected = [
        slot_as_integer(row[start : start + chunk], chunk, width).to_bytes(size, "little")
        for row in rows
        for start in range(0, rows.shape[1], chunk)
    ]
    assert [slot.tobytes() for slot in slots] == expected
    assert golden.from_bytes(slots, array.shape, chunk, width, signed=signed, align=align) == tensor


@pytest.mark.parametrize(
    "chunk, width, align, size",
    [(8, 8, 1, 9), (9, 4, 1, 7), (32, 8, 1, 36), (32, 8, 64, 64), (3, 16, 8, 8), (1, 32, 1, 5)],
)
def test_slot_bytes(chunk, width, align, size):
    assert golden.slot_bytes(chunk, width, align) == size


def test_reader_ignores_what_follows_the_values():
    tensor = golden.encode(np.array([[0, 3, 0, -2]]), 4)
    slots = golden.to_bytes(tensor, 8)
    slots[:, 3:] = 0xFF
    assert golden.from_bytes(slots, (1, 4), 4, 8) == tensor


@pytest.mark.parametrize(
    "slot, reason",
    [
        ([0b10001, 1, 1, 0, 0], "beyond the chunk of 4"),
        ([0b1000, 1, 0, 0, 0], "beyond the 3 positions"),
        ([0b0011, 1, 0, 0, 0], "nonzero"),
    ],
)
def test_malformed_slot_is_rejected(slot, reason):
    with pytest.raises(ValueError, match=reason):
        golden.from_bytes(np.array(slot, np.uint8), (1, 3), 4, 8)


def test_tensor_is_immutable_and_compares_by_value():
    tensor = golden.encode(np.array([1, 0, 2]), 2)
    with pytest.raises(ValueError, match="read-only"):
        tensor.values[0] = 5
    assert tensor == golden.encode(np.array([1, 0, 2]), 2)
    assert tensor != golden.encode(np.array([1, 0, 2]), 3)
    assert tensor != golden.encode(np.array([1, 0, 3]), 2)
    assert tensor != "tensor"
    assert tensor.offsets.tolist() == [0, 1, 2]
