"""The commands that bring a band of the input into the moving buffers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from phantom_hw.config import PhantomConfig

from phantom_compiler.accelerator.bands import Bands, Share
from phantom_compiler.accelerator.commands import CommandStream
from phantom_compiler.accelerator.tensor import TensorFormat

__all__ = ["BandLoader"]

FILL_COUNT = 65535


@dataclass(frozen=True)
class BandLoader:
    """Emits the loads of a layer's input.

    Parameters
    ----------
    config : PhantomConfig
    form : TensorFormat
        Of the input.
    bands : Bands
    stream : CommandStream
    """

    config: PhantomConfig
    form: TensorFormat
    bands: Bands
    stream: CommandStream

    def fill(self, number: int) -> None:
        """Write zeros where a band needs them; before its activations are loaded."""
        source, hold = self.bands.layout.source, self.form.height
        top, spacing = source.origin[0], source.spacing[0]
        for r, share in self._shares(number):
            first, last = self._needed(share)
            rows = (top + first * hold * spacing, top + (min(last * hold, self.form.shape[2]) - 1) * spacing + 1)
            if first == last:
                rows = share.rows[1], share.rows[1]
            origin = self.bands.origin(self.config, number, r)
            if self._has_margins(number, r):
                self._missing_rows(share, rows, origin, 1 << r)
            else:
                self._zeros(share, rows, origin, 1 << r)

    def _has_margins(self, number: int, row: int) -> bool:
        """An earlier band left zeros at both ends of the rows, in the same places."""
        layout, source = self.bands.layout, self.bands.layout.source
        earlier = number - (2 if self.bands.ahead else 1)
        simple = layout.stacked and source.stride == (1, 1) and source.spacing == (1, 1)
        return simple and earlier >= 0 and self.bands.bands[earlier].shares[row].blocks.size > 0

    def _missing_rows(self, share: Share, loaded: tuple[int, int], origin: int, mesh_rows: int) -> None:
        """Zeros in the rows of a stacked layout that are not loaded."""
        layout = self.bands.layout
        for begin, end in ((share.rows[0], loaded[0]), (loaded[1], share.rows[0] + layout.rows)):
            if begin < end:
                self._fill(origin + int(layout.place(begin, 0)), (end - begin) * layout.row_step,
                           layout.source.shape[1], layout.channel_step, mesh_rows)

    def load(self, number: int) -> None:
        """Load the activations that a band needs and the buffers do not hold."""
        phases = self.bands.layout.row_phases  # if there are several, a line is a row
        for r, share in self._shares(number):
            first, last = self._needed(share)
            whole = max(first, min(last, self.form.shape[2] // self.form.height))  # lines without missing rows
            for begin, end in ((first, whole), (whole, last)):
                for line in range(begin, min(begin + phases, end)):
                    self._lines(self.bands.bands[number].image, line, -(-(end - line) // phases), phases,
                                self.bands.origin(self.config, number, r), 1 << r)

    def _shares(self, number: int) -> Iterator[tuple[int, Share]]:
        """The mesh rows whose buffers do not hold all that a band needs."""
        for r, share in enumerate(self.bands.bands[number].shares):
            if share.blocks.size and share.fresh < share.rows[1]:
                yield r, share

    def _needed(self, share: Share) -> tuple[int, int]:
        """Lines of slots that are missing, from the first one to before the last one."""
        source, form = self.bands.layout.source, self.form
        top, spacing, hold = source.origin[0], source.spacing[0], form.height
        row = max(0, -((top - share.fresh) // spacing))  # of the input; lines hold those that there are
        first = row // hold if row < form.shape[2] else form.lines
        return first, max(first, min(form.lines, ((share.rows[1] - 1 - top) // spacing) // hold + 1))

    def _zeros(self, share: Share, loaded: tuple[int, int], origin: int, mesh_rows: int) -> None:
        """Zeros wherever something may be read that is not loaded."""
        layout, source = self.bands.layout, self.bands.layout.source
        channels, stride = source.shape[1], source.stride[1]
        column = source.origin[1] + source.cut
        # of each phase the columns before and behind the loaded ones
        before = max(max(0, -(-(column - phase) // stride)) for phase in range(stride))
        behind = min((column + (source.shape[3] - 1) * source.spacing[1] - phase) // stride + 1
                     for phase in range(stride))
        if layout.stacked or source.spacing != (1, 1) or behind < before:
            rows = layout.rows if layout.stacked else share.rows[1] - share.fresh
            self._fill(origin + int(layout.place(share.rows[0] if layout.stacked else share.fresh, 0)),
                       layout.size if layout.stacked else rows * layout.row_step, 1, 0, mesh_rows)
            return
        for begin, end in ((share.fresh, min(loaded[0], share.rows[1])), (max(loaded[1], share.fresh), share.rows[1])):
            if begin < end:
                self._fill(origin + int(layout.place(begin, 0)), (end - begin) * layout.row_step, 1, 0, mesh_rows)
        runs = max(0, loaded[1] - loaded[0]) * channels * stride
        if runs:
            self._margins(origin + int(layout.place(loaded[0], 0)), runs, before, behind, mesh_rows)

    def _margins(self, start: int, runs: int, before: int, behind: int, mesh_rows: int) -> None:
        """Zeros in front of and behind what is loaded of rows that follow each other."""
        columns, link = self.bands.layout.columns, self.config.moving_link
        margin = columns - behind + before
        if not margin:
            return
        if 1 + (margin - 1) / link > columns / link:  # words that are written of each row
            self._fill(start, runs * columns, 1, 0, mesh_rows)
            return
        # what is behind a row and in front of the next one lies side by side
        for place, length, count in ((0, before, 1), (behind, margin, runs - 1),
                                     ((runs - 1) * columns + behind, columns - behind, 1)):
            if length and count:
                self._fill(start + place, length, count, columns, mesh_rows)

    def _fill(self, offset: int, length: int, count: int, step: int, mesh_rows: int) -> None:
        size = self.config.moving_positions
        while count > 0:
            part = min(count, FILL_COUNT)
            self.stream.add("FILL_MOVING", offset=offset % size, length=min(length, size), count=part,
                            step=step % size, rows=mesh_rows)
            offset, count = offset + part * step, count - part

    def _lines(self, image: int, line: int, lines: int, step: int, origin: int, mesh_rows: int) -> None:
        """Load every ``step``-th of the lines from ``line`` on."""
        form, layout, size = self.form, self.bands.layout, self.config.moving_positions
        source = layout.source
        row = source.origin[0] + line * form.height * source.spacing[0]
        column = source.origin[1] + source.cut
        stuffed = source.spacing[1] > 1
        offset = origin + int(layout.place(row, 0)) + (column if stuffed else 0)
        between = layout.row_step if layout.row_phases > 1 else layout.row_step * source.spacing[0]
        self.stream.add(
            "LOAD_MOVING", address=form.address + image * form.image_pitch + line * form.line_pitch,
            channel_pitch=form.channel_pitch, line_pitch=form.line_pitch * step, slot_pitch=form.slot_pitch,
            channels=form.shape[1], lines=lines, slots=form.slots, positions=form.positions(line, 0),
            last_positions=form.positions(line, form.slots - 1), width=min(form.width, form.shape[3]),
            stride=form.shape[3] if stuffed else source.stride[1], signed=int(form.signed), rows=mesh_rows,
            x=0 if stuffed else column, offset=offset % size, channel_step=layout.channel_step % size,
            row_step=between % size, phase_step=(source.spacing[1] if stuffed else layout.phase_step) % size)
