"""The compiler's packets against a decoder of packed packets: what is decoded are the items that were encoded."""

import numpy as np
import pytest
from amaranth.hdl import Value
from packed_reference import Decoder, Shape
from phantom_compiler.accelerator.packets import needs_wide, pack_items, pack_layer
from phantom_compiler.packing import unpack
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import layer_layout, stationary_layout
from phantom_hw.stationary.layouts import WORD_BYTES, words_at_once

CONFIGURATIONS = {
    "tiny": PhantomConfig.preset("tiny"),
    "paper": PhantomConfig.preset("paper"),
    "nibbles": PhantomConfig(act_width=4, weight_width=4, pe_cols=5, bus_width=256),
    "halves": PhantomConfig(act_width=4, weight_width=16, threads=5),
}


def layer_fields(config, rng, span):
    return {"groups": 1, "outputs": config.acc_depth, "span": span, "moving_signed": 1, "stationary_signed": 0,
            "tap_base": rng.integers(0, config.row_width, config.threads)}


def random_beats(config, rng, count, span, *, wide):
    shape = (count, config.pe_cols)
    values = rng.integers(-(1 << config.operand_width - 1), 1 << config.operand_width - 1, (*shape, config.threads))
    values[rng.random(values.shape) < 0.5] = 0
    row_last = rng.random(shape) < 0.5
    mask = ((values != 0) << np.arange(config.threads)).sum(axis=2)
    valid = (row_last | (mask != 0)) & (rng.random(shape) < 0.8)
    dest = rng.integers(0, config.acc_depth, shape) if wide else span * rng.integers(0, 8, shape)
    return {"pe_row": rng.integers(0, config.pe_rows, count), "items": {
        "valid": valid.astype(np.uint8), "row_last": row_last.astype(np.uint8), "mask": mask.astype(np.uint8),
        "tile_last": (row_last & (rng.random(shape) < 0.4)).astype(np.uint8), "dest": dest, "values": values}}


def items_of(config, beats):
    """Each PE's items in their order."""
    items = beats["items"]
    found = {}
    for beat, column in zip(*np.nonzero(items["valid"]), strict=True):
        there = items["mask"][beat, column] >> np.arange(config.threads) & 1
        values = np.where(there, items["values"][beat, column], 0)
        found.setdefault((int(beats["pe_row"][beat]), int(column)), []).append((
            *(int(items[name][beat, column]) for name in ("row_last", "tile_last", "mask", "dest")),
            *(values & (1 << config.operand_width) - 1).tolist()))
    return found


def decoded(config, layer, items):
    """What a decoder makes of the packets of a layer and its items: the layer, and beats."""
    decoder, words = Decoder(Shape.of(config)), []
    for packets in (layer, items):
        at, content = 0, packets.content
        assert len(content) == packets.words * WORD_BYTES
        assert packets.words % words_at_once(config) == 0
        for _ in range(packets.count):
            packet, at = decoder.packet(lambda i, content=content: int(content[i]), at)
            words.append(packet)
        assert 0 <= len(content) - at < WORD_BYTES * words_at_once(config)
        assert not content[at:].any()
    assert words[0] & 1 and not any(word & 1 for word in words[1:])
    size = -(-stationary_layout(config).size // 32)
    raw = np.array([[word >> 1 >> 32 * i & 0xFFFFFFFF for i in range(size)] for word in words[1:]], np.uint32)
    return words[0] >> 1, unpack(stationary_layout(config), raw.reshape(-1, size))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_random_beats(name, wide):
    config, seed = CONFIGURATIONS[name], 5
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    span = int(rng.integers(1, min(config.chunk, config.acc_depth // 8) + 1))
    fields = layer_fields(config, rng, span)
    beats = random_beats(config, rng, 200, span, wide=wide)
    items = pack_items(config, beats, span, wide=wide)
    assert items.count > 200  # some beats were split
    setup, got = decoded(config, pack_layer(config, fields, wide=wide), items)
    assert setup == Value.cast(layer_layout(config).const(
        {**fields, "tap_base": [int(b) for b in fields["tap_base"]]})).value
    assert items_of(config, got) == items_of(config, beats)


def test_no_beats():
    config = CONFIGURATIONS["tiny"]
    beats = random_beats(config, np.random.default_rng(1), 0, 4, wide=False)
    items = pack_items(config, beats, 4, wide=False)
    assert items.count == items.words == 0


def test_wide_is_for_places_beyond_narrow_ones():
    assert not needs_wide(8 * 12, 12)
    assert needs_wide(8 * 12 + 1, 12)


def test_rejects_what_has_no_form():
    config = CONFIGURATIONS["tiny"]
    beats = random_beats(config, np.random.default_rng(2), 20, 4, wide=False)
    beats["items"]["valid"][:], beats["items"]["row_last"][:], beats["items"]["dest"][3, 1] = 1, 1, 5
    with pytest.raises(ValueError, match="multiples of the span 4"):
        pack_items(config, beats, 4, wide=False)
    beats["items"]["dest"][3, 1] = 8 * 4
    with pytest.raises(ValueError, match="place must be in"):
        pack_items(config, beats, 4, wide=False)
    beats["items"]["tile_last"][3, 1], beats["items"]["row_last"][3, 1] = 1, 0
    with pytest.raises(ValueError, match="must end its row"):
        pack_items(config, beats, 4, wide=True)
