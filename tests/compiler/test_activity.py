"""What rows are taken to meet: drawn by a density, or seen in a calibration."""

import itertools

import numpy as np
import pytest
from phantom_compiler import Conv2d
from phantom_compiler.activity import Activity
from phantom_compiler.geometry import RowGeometry

THREADS = 3
GEOMETRIES = {
    "taps": RowGeometry(3, 1, 1, 3, 1, 7, 1, True), "segments": RowGeometry(3, 1, 1, 1, 3, 5, 1, True),
    "two taps": RowGeometry(3, 1, 1, 2, 1, 13, 1, True), "stretches": RowGeometry(3, 1, 1, 3, 1, 13, 2, True),
    "stride": RowGeometry(3, 2, 1, 3, 1, 4, 1, True), "planes": RowGeometry(3, 2, 1, 3, 1, 4, 1, False),
    "dilation": RowGeometry(3, 1, 2, 2, 1, 6, 1, True),
}


def problem_of(geometry, seen, groups=1):
    """A layer of the geometry's kernel, with a calibration's nonzeros as its activations."""
    filters = 2 * groups
    layer = Conv2d(np.ones((filters, seen.shape[1] // groups, 3, geometry.kernel_width), int), padding=(1,) * 4,
                   stride=(geometry.stride,) * 2, dilation=(geometry.dilation,) * 2, groups=groups)
    return layer.problem(seen.astype(np.int8))


def all_hits(geometry, problem, moving, row):
    """What a row meets at all places, one after another, ``[places, positions, T]``: by the definition."""
    images, channels = moving.shape[0], problem.stationary.shape[1]
    rows, columns = problem.out_size
    parts = list(itertools.product(range(channels), range(3), range(geometry.segments)))
    stretch, place = geometry.outputs()
    found = []
    for image, group, top, left in itertools.product(
            range(images), range(problem.groups), range(0, rows, geometry.height), range(0, columns, geometry.width)):
        hits = np.zeros((geometry.positions, THREADS), bool)
        for position, part, tap in itertools.product(range(geometry.positions), range(geometry.parts),
                                                     range(geometry.taps)):
            number, y, x = row * geometry.parts + part, top + stretch[position], left + place[position]
            if number >= len(parts) or stretch[position] < 0 or y >= rows or x >= columns:
                continue
            channel, line, segment = parts[number]
            y = y * problem.stride[0] + line * problem.dilation[0]
            x = x * problem.stride[1] + (segment * geometry.taps + tap) * problem.dilation[1]
            if y < moving.shape[2] and x < moving.shape[3]:
                hits[position, part * geometry.taps + tap] = moving[image, group * channels + channel, y, x]
        found.append(hits)
    return np.array(found)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_seen_rows_are_rows_of_the_calibration(name, groups):
    geometry, rng = GEOMETRIES[name], np.random.default_rng(list(GEOMETRIES).index(name))
    seen = rng.random((2, 2 * groups, 11, 13)) < 0.4
    problem = problem_of(geometry, seen, groups)
    moving = problem.moving != 0
    activity = Activity(problem, 0.9, moving)
    rows = geometry.arrange(problem.stationary, THREADS).shape[1]
    drawn = np.repeat(np.arange(rows), 60)
    hits, met = activity.hits(geometry, drawn, THREADS)
    assert hits.shape == (len(drawn), geometry.positions, THREADS)
    everything = []
    for row in range(rows):
        legal = all_hits(geometry, problem, moving, row)
        everything.append(legal)
        known = {one.tobytes() for one in legal}
        of_row = {one.tobytes() for one in hits[drawn == row]}
        assert of_row <= known and len(of_row) > min(3, len(known) - 1)
    # how many a tap meets, over all taps that there are
    filled = geometry.arrange(problem.stationary, THREADS)[0] != 0  # [rows, T]
    counted = np.mean([legal.sum(axis=1).mean(axis=0)[taps].mean()
                       for legal, taps in zip(everything, filled, strict=True)])
    assert met == pytest.approx(counted, rel=0.12)


def test_met_counts_what_the_taps_meet():
    """Exactly, padding and stride included."""
    seen = np.random.default_rng(2).random((3, 4, 9, 8)) < 0.5
    for name in ("taps", "stride", "dilation"):
        problem = problem_of(GEOMETRIES[name], seen)
        ones = Conv2d(np.ones((1, 4, 3, 3), int), padding=(1,) * 4, stride=problem.stride, dilation=problem.dilation)
        sums = ones.golden(seen.astype(np.int64))
        activity = Activity(problem, 0.1, problem.moving != 0)
        assert activity.met == pytest.approx(sums.sum() / (sums.size * 4 * 9))


def test_drawn_rows_have_the_density():
    problem = problem_of(GEOMETRIES["taps"], np.zeros((1, 2, 11, 13), bool))
    for density in (0.0, 0.1, 0.7):
        hits, met = Activity(problem, density).hits(GEOMETRIES["taps"], np.zeros(4000, np.int64), THREADS)
        assert met == pytest.approx(7 * density) and hits.mean() == pytest.approx(density, abs=0.02)
    gaps, _ = Activity(problem, 1.0).hits(GEOMETRIES["stretches"], np.zeros(9, np.int64), THREADS)
    np.testing.assert_array_equal(gaps[:, GEOMETRIES["stretches"].outputs()[0] < 0], False)


def test_nonzeros_of_the_moving_operand():
    problem = problem_of(GEOMETRIES["taps"], np.ones((1, 2, 11, 13), bool))
    assert Activity.of_moving(problem).density == pytest.approx(11 * 13 / (13 * 15))
