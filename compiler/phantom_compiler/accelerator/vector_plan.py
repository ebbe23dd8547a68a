"""How a layer of the vector unit is cut: channels dealt to mesh rows, bands of the image, places in the buffers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from phantom_hw.config import PhantomConfig
from phantom_hw.vector.layouts import Operation, value_bits

from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.accelerator.vector_layers import Add, VectorLayer

__all__ = ["Strip", "VectorPlan", "most_positions", "natural_slots", "plan_vector"]


@dataclass(frozen=True)
class Strip:
    """A band of an image: lines of output slots, and the rows of the padded input that they need.

    Parameters
    ----------
    lines : (first, last)
        ``last`` not included, here and below.
    rows : (first, last)
        As whole lines of slots of the inputs.
    loads : tuple of (first, last)
        Lines of slots of each input.
    """

    lines: tuple[int, int]
    rows: tuple[int, int]
    loads: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class VectorPlan:
    """A layer with all decisions taken.

    All mesh rows do the same, each on ``channels`` channels of its own; there are ``groups`` times as many.

    Parameters
    ----------
    config : PhantomConfig
    layer : VectorLayer
    inputs : tuple of TensorFormat
    output : TensorFormat
    channels, groups : int
    lines : int
        Lines of output slots that a band has.
    ahead : bool
        The buffers hold a band and the one behind it.
    """

    config: PhantomConfig
    layer: VectorLayer
    inputs: tuple[TensorFormat, ...]
    output: TensorFormat
    channels: int
    groups: int
    lines: int
    ahead: bool

    # --- results --------------------------------------------------------------------------------------------

    @property
    def fold(self) -> bool:
        """A whole channel becomes one sum."""
        window, (_, _, rows, columns) = self.layer.window, self.inputs[0].shape
        return (self.layer.operation is Operation.SUM and window.kernel == (rows, columns)
                and self.config.moving_link <= self.config.chunk and not any(window.padding)
                and window.dilation == (1, 1))

    @property
    def count(self) -> int:
        """Results of a tile for each lane."""
        return -(-self.channels // self.config.drain_lanes)

    def lane_place(self, lane: int, number: int) -> int:
        """Where in a lane the parameters of its result ``number`` are, counted from the tile's first ones."""
        columns = self.config.pe_cols
        cores = [self.config.lane_of(c) for c in range(self.config.mesh_cols)].count(lane)
        return number // columns * cores * columns + number % columns

    @cached_property
    def lane_places(self) -> int:
        """Places that the parameters of a group take in a lane."""
        return max(self.lane_place(lane, self.count - 1) for lane in range(self.config.drain_lanes)) + 1

    @property
    def all_parameters(self) -> bool:
        """The parameters of all groups fit into the lanes."""
        return self.groups * self.lane_places <= self.config.lane_channels

    def owned(self, group: int, mesh_row: int) -> tuple[int, int]:
        """The channels of a mesh row in a group: the first, how many."""
        first = (group * self.config.mesh_rows + mesh_row) * self.channels
        return first, max(0, min(self.channels, self.output.shape[1] - first))

    # --- the buffers ----------------------------------------------------------------------------------------

    @cached_property
    def strips(self) -> list[Strip]:
        """The bands of an image."""
        return [self._strip(first, min(first + self.lines, self.output.lines))
                for first in range(0, self.output.lines, self.lines)]

    def _strip(self, first: int, last: int) -> Strip:
        window, (top, _, _, _), repeats = self.layer.window, self.layer.window.padding, self.layer.repeats[0]
        start = first * self.output.height * window.stride[0] // repeats
        stop = start + window.reach(0, (last - first) * self.output.height)
        if repeats > 1:
            stop = -(-min(last * self.output.height, self.output.shape[2]) // repeats)
        rows, loads = [start, stop], []
        for form in self.inputs:
            height, hold = form.shape[2], form.height
            begin = max(0, start - top) // hold
            end = (min(height, stop - top) - 1) // hold + 1
            loads.append((begin, end))
            rows = [min(rows[0], top + begin * hold), max(rows[1], top + min(end * hold, height))]
        return Strip((first, last), (rows[0], rows[1]), tuple(loads))

    @cached_property
    def rows(self) -> int:
        """Rows of the input in a buffer."""
        return max(strip.rows[1] - strip.rows[0] for strip in self.strips)

    @property
    def stride(self) -> int:
        """Phases of the columns."""
        return 1 if self.fold else self.layer.window.stride[1]

    @cached_property
    def columns(self) -> int:
        """Places of one phase of a row."""
        loaded = self.layer.window.padding[1] + self.inputs[0].shape[3] * self.layer.repeats[1]
        return -(-max(self.layer.window.reach(1, self.output.shape[3]), loaded) // self.stride)

    @property
    def phase_step(self) -> int:
        """Places from a phase of the columns to the next."""
        return self.rows * self.columns

    @cached_property
    def fold_part(self) -> tuple[int, int]:
        """Positions of a part of a channel that becomes one sum, whole beats; how many such parts."""
        link, size = self.config.moving_link, self.rows * self.columns
        parts = -(-size // self.config.row_width)
        length = -(-size // parts)
        return -(-length // link) * link, parts

    @property
    def channel_step(self) -> int:
        """Places from a channel to the next."""
        return self.fold_part[0] * self.fold_part[1] if self.fold else self.stride * self.phase_step

    @property
    def input_step(self) -> int:
        """Places from an input to the next."""
        return self.channels * self.channel_step

    @property
    def size(self) -> int:
        """Places of a band."""
        return len(self.inputs) * self.input_step

    @cached_property
    def padded(self) -> bool:
        """Something is read that no input has."""
        window, output, given = self.layer.window, self.output, self.inputs[0]
        return any(window.padding[axis] or window.reach(axis, output.shape[2 + axis])
                   > given.shape[2 + axis] * self.layer.repeats[axis] for axis in (0, 1))

    @property
    def replicates(self) -> bool:
        """What lies around an input is its edge, not zero: of signed activations a zero could be the greatest."""
        return self.layer.operation is Operation.MAX and self.inputs[0].signed and self.padded

    def repeated_rows(self, strip: Strip) -> tuple[int, int]:
        """Rows above and below the input that a band needs for positions of the output that are there."""
        window, height, top = self.layer.window, self.inputs[0].shape[2], self.layer.window.padding[0]
        stop = min(strip.rows[1], window.reach(0, self.output.shape[2]))
        return max(0, top - strip.rows[0]), max(0, stop - top - height)

    @property
    def repeated_columns(self) -> tuple[int, int]:
        """Columns left and right of the input that are read."""
        window, left = self.layer.window, self.layer.window.padding[1]
        return left, max(0, window.reach(1, self.output.shape[3]) - left - self.inputs[0].shape[3])

    def place(self, row: int, column: int) -> int:
        """Place of a row and a column of a band in a channel."""
        return column % self.stride * self.phase_step + row * self.columns + column // self.stride

    def block(self, strip: Strip, top: int, left: int) -> int:
        """Place in a channel of what the output's positions from a row and a column on are made of."""
        stride, repeats = self.layer.window.stride, self.layer.repeats[0]
        return self.place(top * stride[0] // repeats - strip.rows[0], left * stride[1])

    # --- rows -----------------------------------------------------------------------------------------------

    @property
    def positions(self) -> int:
        """Positions of a result before they are folded."""
        return self.config.moving_link if self.fold else self.output.width * self.output.height

    @cached_property
    def planes(self) -> tuple[int, int, int]:
        """Planes of a part, their length and distance: rows of an output slot, one if they follow each other."""
        height, width, step = self.output.height, self.output.width, self.layer.window.stride[0] * self.columns
        if self.fold:
            return 1, self.fold_part[0], 0
        if height > 1 and self.layer.repeats[0] > 1:
            return 1, width, 0
        if height == 1 or step == width:
            return 1, height * width, 0
        planes = max(n for n in range(1, self.config.threads + 1) if height % n == 0)
        return planes, width, step

    @property
    def beats(self) -> int:
        """Beats of a row."""
        return -(-(self.planes[1] if self.fold else self.positions) // self.config.moving_link)

    @cached_property
    def parts(self) -> list[tuple[int, bool]]:
        """The parts of a channel's rows: their places from the block's own, and whether they end a row."""
        planes, length, step = self.planes
        if self.fold:
            return [(number * length, True) for number in range(self.fold_part[1])]
        if self.output.height > 1 and self.layer.repeats[0] > 1:
            rows = range(self.output.height)
            return [(row // self.layer.repeats[0] * self.columns, row == rows[-1]) for row in rows]
        window, result = self.layer.window, []
        parts = self.output.height // planes if planes > 1 or length == self.output.width else 1
        for tensor in range(len(self.inputs)):
            for y in range(window.kernel[0]):
                for x in range(window.kernel[1]):
                    place = tensor * self.input_step + self.place(y * window.dilation[0], x * window.dilation[1])
                    result += [(place + part * planes * step, part == parts - 1) for part in range(parts)]
        return result

    @property
    def operands(self) -> int:
        """Operands of a result."""
        if self.fold:
            return self.channel_step // self.config.moving_link
        return len(self.inputs) * self.layer.window.kernel[0] * self.layer.window.kernel[1]

    @property
    def row_entries(self) -> int:
        """Row entries of a step."""
        return self.count * self.config.drain_lanes * len(self.parts)

    @property
    def base_entries(self) -> int:
        """Base entries of a band."""
        return self.lines * self.output.slots

    def missing(self) -> str:
        """The parameter of the configuration that is too small, or nothing."""
        config = self.config
        if self.lane_places > config.lane_channels:
            return "lane_channels"
        if self.count > config.acc_depth * config.pe_cols:
            return "acc_depth"
        if self.row_entries + self.base_entries * (2 if self.ahead else 1) > config.program_words:
            return "program_words"
        return "moving_words" if self.size * (2 if self.ahead else 1) > config.moving_positions else ""


def most_positions(config: PhantomConfig) -> int:
    """Positions of the largest slot that the vector unit can write."""
    return min(config.chunk, config.vector_beats * config.moving_link)


def natural_slots(config: PhantomConfig, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the slots with which an image has the fewest of those that the vector unit can write."""
    rows, columns = size
    most = most_positions(config)
    cuts = -(-columns // most)
    width = -(-columns // cuts)
    return width, max(1, min(rows, most // width)) if cuts == 1 else 1


def _output_forms(
    layer: VectorLayer, form: TensorFormat, signed: bool, slots: tuple[int, int] | None
) -> list[TensorFormat]:
    """Formats that the output may have, the one of the fewest slots first."""
    config, (images, channels, _, _) = form.config, form.shape
    rows, columns = layer.size((form.shape[2], form.shape[3]))
    width, highest = slots or natural_slots(config, (rows, columns))
    if width * highest > most_positions(config):
        raise layer.error(f"its slots must have at most {most_positions(config)} positions, not {width} x {highest}")
    heights = [highest] if slots else range(highest, 0, -1)
    return [TensorFormat(config, (images, channels, rows, columns), signed, width, height) for height in heights
            if height >= rows or not (height % layer.repeats[0] and layer.repeats[0] % height)]


def _check_values(layer: VectorLayer, inputs: tuple[TensorFormat, ...], config: PhantomConfig) -> int:
    """Refuse what no cut can compute; returns the largest absolute value of an input."""
    most = max(1 << config.act_width - 1 if form.signed else (1 << config.act_width) - 1 for form in inputs)
    taps = layer.window.kernel[0] * layer.window.kernel[1]
    if isinstance(layer, Add):
        bits = layer.multiplier_bits(config)
        if max(layer.mult_a, layer.mult_b) >> bits:
            raise layer.error(f"multipliers must have at most {bits} bits")
    if layer.operation is Operation.SUM and taps * most >> config.acc_width - 1:
        raise layer.error(f"the sum of {taps} activations may overflow")
    return most


def _cut(
    layer: VectorLayer, inputs: tuple[TensorFormat, ...], output: TensorFormat, ahead: bool, problems: set[str]
) -> VectorPlan | None:
    """The best cut for an output format, if there is any; what was too small is added to ``problems``."""
    config = output.config
    images, channels, _, _ = output.shape
    share = -(-channels // config.mesh_rows)
    best: tuple[tuple[int, int], VectorPlan] | None = None
    for each in sorted({-(-share // groups) for groups in range(1, share + 1)}, reverse=True):
        groups = -(-share // each)
        for bands in range(1, output.lines + 1):
            plan = VectorPlan(config, layer, inputs, output, each, groups, -(-output.lines // bands),
                              ahead and images * groups * bands > 1)
            missing = plan.missing()
            if missing:
                problems.add(missing)
                continue
            loads = groups * each * sum(strip.rows[1] - strip.rows[0] for strip in plan.strips)
            cost = loads, groups * len(plan.strips)
            if best is None or cost < best[0]:
                best = cost, plan
            if bands == 1:
                return best[1]
            break
    return None if best is None else best[1]


def plan_vector(
    layer: VectorLayer, inputs: tuple[TensorFormat, ...], config: PhantomConfig, out_signed: bool,
    slots: tuple[int, int] | None = None,
) -> VectorPlan:
    """Choose the cut that loads the fewest rows, then the one with the fewest steps.

    Parameters
    ----------
    layer : VectorLayer
    inputs : tuple of TensorFormat
    config : PhantomConfig
    out_signed : bool
        Whether the results use the signed range.
    slots : (width, height), optional
        That the output's slots must have.

    Raises
    ------
    LayerError
        If the inputs do not fit the layer, a result could be wrong, or the configuration's memories are too small.
    """
    if len(inputs) != layer.inputs:
        raise layer.error(f"there must be {layer.inputs} inputs, not {len(inputs)}")
    for form in inputs:
        if form.shape != inputs[0].shape:
            raise layer.error(f"all inputs must have shape {inputs[0].shape}, not {form.shape}")
    most = _check_values(layer, inputs, config)
    problems: set[str] = set()
    for ahead in (True, False):
        for output in _output_forms(layer, inputs[0], out_signed, slots):
            plan = _cut(layer, inputs, output, ahead, problems)
            if plan is None:
                continue
            if plan.replicates and layer.window.dilation != (1, 1):
                raise layer.error("max pooling of signed activations with padding must have a dilation of 1")
            if layer.operation is Operation.SUM and plan.operands * most >> value_bits(config) - 1:
                raise layer.error(f"the sum of {plan.operands} operands may overflow")
            return plan
    why = f"; too small: {', '.join(sorted(problems))}" if problems else ""
    raise layer.error(f"does not fit the memories of configuration {config.name!r}{why}")
