"""The commands and constant data of a layer that is planned."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.results.layouts import SLOT_UNIT
from phantom_hw.stationary.layouts import WORD_BYTES

from phantom_compiler.accelerator.bands import Share
from phantom_compiler.accelerator.commands import CommandStream
from phantom_compiler.accelerator.entries import base_entries
from phantom_compiler.accelerator.image import MemoryImage
from phantom_compiler.accelerator.lane_parameters import lane_parameters
from phantom_compiler.accelerator.loads import BandLoader
from phantom_compiler.accelerator.packets import PackedPackets, needs_wide, pack_layer
from phantom_compiler.accelerator.pieces import Piece, pieces_of, sizes_of
from phantom_compiler.accelerator.placement import Held, Placement
from phantom_compiler.accelerator.plan import LayerPlan, channels_of_set
from phantom_compiler.accelerator.tensor import TensorFormat

__all__ = ["LayerEmitter"]

Bytes = NDArray[np.uint8]
NOTHING = 15
"""The pattern without any position; those before are of the tiles in the middle and at the edges."""


class LayerEmitter:
    """Writes the commands of a plan.

    Parameters
    ----------
    plan : LayerPlan
    output : TensorFormat
        With its address.
    image : MemoryImage
    stream : CommandStream
    """

    def __init__(self, plan: LayerPlan, output: TensorFormat, image: MemoryImage, stream: CommandStream):
        self.plan, self.output, self.image, self.stream = plan, output, image, stream
        self.config = plan.config
        self.everyone = (1 << self.config.mesh_rows) - 1
        self.patterns = self._patterns()
        self.loader = BandLoader(self.config, plan.input, plan.bands, stream)
        self.layer_packet, self.pieces = self._layer_packet(), pieces_of(self.plan)
        self.bases = [self._base_entries(piece) for piece in self.pieces]
        self.addresses: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
        self.program_loaded = self.packets_loaded = False

    def load_ahead(self, held: Held, *, program: bool) -> None:
        """Load what the first piece needs beside activations, if there is room, while the layer before is sent.

        Parameters
        ----------
        held : Held
            What that one still reads.
        program : bool
            The row program's memory is not used in between.
        """
        self._place(held)
        if self.placement.packets_early:
            self._load_layer_packet()
            self._load_packets(0)
            self.packets_loaded = True
            if program and self.placement.program_early:
                self._load_program(0)
                self.program_loaded = True

    def run(self) -> Held:
        """Emit everything else, behind all that was done before; returns what the last piece reads."""
        self.stream.fence()
        if not self.packets_loaded:
            self._place(Held())
            self._load_layer_packet()
        self._settings()
        self._send_layer_packet()
        self._load(0)
        self._load_parameters(list(range(len(self.plan.sets))) if self._all_parameters else [self.pieces[0].number])
        for i, piece in enumerate(self.pieces):
            self.stream.fence("load_program", "load_moving", "load_stationary", "stream_stationary",
                              *(["results"] if i == 0 else []))
            if i and not self._all_parameters and piece.segment == 0:
                self.stream.fence("stream_moving", "results")
                self._load_parameters([piece.number])
                self.stream.fence("results")
            self._send(i)
            if i + 1 < len(self.pieces):
                self._load(i + 1)
        return self.placement.held

    # --- pieces: what is loaded while the piece before is sent ----------------------------------------------

    def _place(self, held: Held) -> None:
        """Decide what lies where."""
        self.placement = Placement(self.config, sizes_of(self.plan, self.pieces), self.layer_packet.words, held)

    def _load(self, i: int) -> None:
        """Load what a piece needs; what the piece before the one that is sent now needed may be overwritten."""
        piece, before = self.pieces[i], self.pieces[i - 1] if i else None
        fresh = before is None or piece.band != before.band
        ahead = self.placement.alternates and (self.plan.bands.ahead or not fresh)
        if i and not ahead:
            self.stream.fence("stream_moving", "stream_stationary")
        if fresh:
            self.loader.fill(piece.band)
        if i or not self.program_loaded:
            self._load_program(i)
        if i or not self.packets_loaded:
            self._load_packets(i)
        if fresh:
            # a loader that writes zeros takes no activations, and its data would block whatever is read behind them
            self.stream.fence("load_moving")
            self.loader.load(piece.band)

    def _load_program(self, i: int) -> None:
        program = np.concatenate([self.bases[i], self.pieces[i].of(self.plan).rows])
        self.stream.add("LOAD_PROGRAM", address=self.image.add(program), count=len(program),
                        offset=self.placement.program(i).start)

    def _load_packets(self, i: int) -> None:
        """Load the packets of a piece, unless they are there; columns with the same packets get them together."""
        key, loads = (self.pieces[i].number, self.pieces[i].segment), self.pieces[i].of(self.plan).loads
        if key in self.addresses and self.placement.resident:
            return
        if key not in self.addresses:
            self.addresses[key] = [(self.image.add(content), len(content) // WORD_BYTES, mask)
                                   for content, mask in loads.items()]
        for address, words, mask in self.addresses[key]:
            self.stream.add("LOAD_STATIONARY", address=address, count=words, offset=self.placement.packets(i).start,
                            columns=mask)

    def _send(self, i: int) -> None:
        piece, start, bases = self.pieces[i], self.placement.program(i).start, len(self.bases[i])
        segment, per_step = piece.of(self.plan), bases // piece.steps
        for first, count, mesh_rows in self._runs(self.plan.bands.bands[piece.band].shares, piece):
            for column, packets in enumerate(segment.packets):
                if packets.count:
                    self.stream.add("STREAM_STATIONARY", offset=self.placement.packets(i).start, count=packets.count,
                                    repeats=count, columns=1 << column, rows=mesh_rows)
            self.stream.add("STREAM_MOVING", bases=start + (first - piece.first) * per_step, base_count=per_step,
                            start=start + bases, count=len(segment.rows), steps=count, rows=mesh_rows)

    @staticmethod
    def _runs(shares: tuple[Share, ...], piece: Piece) -> list[tuple[int, int, int]]:
        """Steps of a piece that the same mesh rows take part in: the first, how many, which rows."""
        runs, first = [], piece.first
        for end in sorted({len(share.blocks) for share in shares if len(share.blocks) > piece.first}):
            last = min(end, piece.first + piece.steps)
            if last > first:
                rows = sum(1 << r for r, share in enumerate(shares) if len(share.blocks) >= end)
                runs.append((first, last - first, rows))
                first = last
        return runs

    # --- what is the same for the whole layer ---------------------------------------------------------------

    def _settings(self) -> None:
        plan, config, geometry = self.plan, self.config, self.plan.tiling.geometry
        steps, lengths = plan.bands.layout.planes()
        unused = [0] * (config.threads - len(steps))
        groups = -(-geometry.positions // config.group)
        beats = max(-(-geometry.row_values // config.moving_link), -(-groups // config.mask_groups))
        self.stream.add("ROWS", planes=len(steps), beats=beats, plane_length=tuple(lengths + [1] * len(unused)),
                        tap_base=tuple(int(b) for b in geometry.tap_base(config.threads)),
                        plane_step=tuple(steps + unused))
        stretch, place = geometry.outputs()
        for (high, wide), index in self.patterns.items():
            there = (stretch >= 0) & (stretch < high) & (place < wide)
            self._pattern(index, sum(1 << int(i) for i in np.flatnonzero(there)))
        self._pattern(NOTHING, 0)

    def _patterns(self) -> dict[tuple[int, int], int]:
        """The pattern of blocks of each height and width, in the middle and at the edges."""
        geometry, (rows, columns) = self.plan.tiling.geometry, self.plan.source.problem.out_size
        heights = {geometry.height, rows - (rows - 1) // geometry.height * geometry.height}
        widths = {min(geometry.width, columns), columns - (columns - 1) // geometry.width * geometry.width}
        return {size: index for index, size in enumerate(product(sorted(heights), sorted(widths)))}

    def _pattern(self, index: int, bits: int) -> None:
        self.stream.add("PATTERN", index=index, bits=(bits & 0xFFFFFFFF, bits >> 32))

    def _layer_packet(self) -> PackedPackets:
        """The packet that sets up the cores."""
        plan, config, geometry = self.plan, self.config, self.plan.tiling.geometry
        problem = plan.source.problem
        return pack_layer(config, {
            "groups": -(-geometry.positions // config.group), "outputs": plan.tiling.outputs,
            "span": geometry.positions, "moving_signed": int(problem.moving_signed),
            "stationary_signed": int(problem.stationary_signed), "tap_base": geometry.tap_base(config.threads),
        }, wide=needs_wide(plan.tiling.outputs, geometry.positions))

    def _load_layer_packet(self) -> None:
        self.stream.add("LOAD_STATIONARY", address=self.image.add(self.layer_packet.content),
                        count=self.layer_packet.words, offset=self.placement.header,
                        columns=(1 << self.config.mesh_cols) - 1)

    def _send_layer_packet(self) -> None:
        """Set up all cores."""
        self.stream.fence("load_stationary")
        self.stream.add("STREAM_STATIONARY", offset=self.placement.header, count=1, repeats=1,
                        columns=(1 << self.config.mesh_cols) - 1, rows=self.everyone)
        self.stream.fence("stream_stationary")

    # --- parameters -----------------------------------------------------------------------------------------

    @property
    def _all_parameters(self) -> bool:
        """All sets' parameters fit into the lanes."""
        return len(self.plan.sets) * channels_of_set(self.config, self.plan.tiling) <= self.config.lane_channels

    def _load_parameters(self, numbers: list[int]) -> None:
        """Load the parameters of sets that follow each other."""
        for lane in range(self.config.drain_lanes):
            table = np.concatenate([lane_parameters(self.plan, self.output, self.plan.sets[number], lane)
                                    for number in numbers])
            self.stream.add("PARAMETERS", address=self.image.add(table), count=len(table), first=0,
                            rows=self.everyone, lanes=1 << lane, clamp=0, lo=self.plan.quantized.lo,
                            hi=self.plan.quantized.hi)

    # --- base entries ---------------------------------------------------------------------------------------

    def _base_entries(self, piece: Piece) -> Bytes:
        """Base entries of a piece: where the blocks of each step lie; only a first segment begins tiles."""
        plan, config = self.plan, self.config
        band, streams = plan.bands.bands[piece.band], plan.streams
        fields: dict[str, list[Any]] = {name: [] for name in ("place", "rows", "cols", "pattern", "write", "offset")}
        for step in range(piece.first, piece.first + piece.steps):
            for r, share in enumerate(band.shares):
                for s in range(streams):
                    block = int(share.blocks[step, s]) if step < len(share.blocks) else -1
                    place, pattern, offset = self._block(band.image, block)
                    origin = plan.bands.origin(config, piece.band, r) if block >= 0 else 0
                    cols = (1 << config.mesh_cols) - 1 if streams == 1 else 1 << s
                    fields["place"].append((origin + place) % config.moving_positions)
                    fields["rows"].append(1 << r if piece.segment == 0 else 0)
                    fields["cols"].append(cols if piece.segment == 0 else 0)
                    fields["pattern"].append(pattern)
                    fields["write"].append(int(block >= 0))
                    fields["offset"].append(offset)
        first = piece.number * channels_of_set(config, plan.tiling) if self._all_parameters else 0
        count = len(fields["place"])
        return base_entries(config, {
            "place": np.array(fields["place"]), "rows": np.array(fields["rows"]), "cols": np.array(fields["cols"]),
            "tile": {"first": np.full(count, first), "clamp": np.zeros(count, np.int64),
                     "pattern": np.array(fields["pattern"]), "write": np.array(fields["write"]),
                     "offset": np.array(fields["offset"])}})

    def _block(self, image: int, block: int) -> tuple[int, int, int]:
        """Place of a block in the buffer, pattern of its positions, offset of its slots."""
        plan, geometry, source = self.plan, self.plan.tiling.geometry, self.plan.source
        if block < 0:
            return 0, NOTHING, 0
        rows, columns = source.problem.out_size
        line, slot = divmod(block, -(-columns // geometry.width))
        top, left = line * geometry.height, slot * geometry.width
        place = plan.bands.layout.place(top * source.stride[0], left * source.stride[1] + source.cut)
        pattern = self.patterns[min(geometry.height, rows - top), min(geometry.width, columns - left)]
        offset = image * self.output.image_pitch + line * self.output.line_pitch + slot * self.output.slot_pitch
        return int(place), pattern, offset // SLOT_UNIT
