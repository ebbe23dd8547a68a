"""A mesh put together from Verilated tiles is the mesh that Verilator sees as a whole, cycle for cycle."""

from dataclasses import replace

import numpy as np
import pytest
from phantom_compiler.mesh_lowering import lower_to_mesh
from phantom_compiler.random_layers import random_layer
from phantom_hw import PhantomConfig
from phantom_sim.core_simulator import SimulationError
from phantom_sim.evaluation_parts import cut_evaluation
from phantom_sim.mesh_exactness import compare_mesh, random_mesh_stalls
from phantom_sim.mesh_simulator import MeshSimulator

TINY = PhantomConfig.preset("tiny")
MESHES = {
    "lanes": replace(TINY, mesh_rows=2, mesh_cols=3, drain_lanes=2, pe_cols=1, item_slots=8),
    "column": replace(TINY, mesh_rows=3, mesh_cols=1, drain_lanes=1),
}
FIELDS = ("cycles", "results", "result_cycles", "result_links", "tiles", "products", "activity")


@pytest.fixture(scope="module", params=MESHES)
def simulators(request):
    """The whole mesh; tiles in one thread; tiles in more threads than the machine may have; tiles in lanes."""
    config = MESHES[request.param]
    opened = [MeshSimulator(config, tiled=False), *(
        MeshSimulator(config, tiled=True, threads=threads, lanes=lanes)
        for threads, lanes in ((1, 0), (3, 0), (1, 4), (2, 4)))]  # 6 tiles are 4 and 2 in lanes, or 3 and 3
    yield opened
    for simulator in opened:
        simulator.close()


@pytest.mark.parametrize("kind", ["conv3x3", "depthwise", "matmul", "very_sparse"])
def test_same_in_every_cycle(simulators, kind):
    config, seed = simulators[0].config, 11
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    layer, activations = random_layer(rng, config, kind, (200, 1500))
    program = lower_to_mesh(layer, activations, config)
    for number in range(2):  # the second run goes on from the first
        stalls = random_mesh_stalls(rng, program)
        whole, *tiled = [
            simulator.run(program.moving, program.stationary, program.tiles, trace=True, reset=number == 0,
                          moving_gaps=stalls.moving_gaps, stationary_gaps=stalls.stationary_gaps, ready=stalls.ready)
            for simulator in simulators]
        assert whole.products == program.effectual_macs
        for run in tiled:
            for name in FIELDS:
                np.testing.assert_array_equal(getattr(run, name), getattr(whole, name), err_msg=name)


@pytest.mark.parametrize("number", [2, 4])
def test_reset_in_the_middle_leaves_no_trace(simulators, number):
    rng = np.random.default_rng(12)
    simulator = simulators[number]
    layer, activations = random_layer(rng, simulator.config, "conv3x3", (200, 1500))
    program = lower_to_mesh(layer, activations, simulator.config)
    with pytest.raises(SimulationError, match="not finished in time"):
        simulator.run(program.moving, program.stationary, program.tiles, max_cycles=60)
    assert compare_mesh(simulator, program, layer.golden(activations)) == []


ROOT = "Vtile___024root"
CODE = f"""#include "Vtile.h"
void {ROOT}___eval_nba__0({ROOT}* vlSelf);

void {ROOT}___eval_nba__0({ROOT}* vlSelf) {{
    VL_DEBUG_IF(VL_DBG_MSGF("+"); );
    Vtile__Syms* const __restrict vlSymsp VL_ATTR_UNUSED = vlSelf->vlSymsp;
    auto& vlSelfRef = std::ref(*vlSelf).get();
    // Locals
    VlWide<3>/*95:0*/ __Vtemp_1;
    // Body
    if ((1ULL & vlSelfRef.__VnbaTriggered[0U])) {{
        first(vlSelf);
        __Vtemp_1[0U] = vlSelfRef.a;
        if (vlSelfRef.b) {{
            vlSelfRef.c = 1U;
        }}
        second(vlSelf);
        vlSelfRef.a = (1U
                       + __Vtemp_1[0U]);
        third(vlSelf);
    }}
}}

void {ROOT}___after({ROOT}* vlSelf) {{
}}
"""


def test_parts_keep_what_shares_a_local_variable_together(tmp_path):
    path = tmp_path / f"{ROOT}__0.cpp"
    path.write_text(CODE)
    assert cut_evaluation(tmp_path, "Vtile") == 3
    text = path.read_text()
    assert text.count("__Vtemp_1;") == 1 and f"{ROOT}___eval_nba__0({ROOT}*) {{}}\n" in text
    bodies = [part.split("}\nextern")[0] for part in text.split("static void part_")[1:]]
    assert [[name in body for body in bodies] for name in ("first(", "c = 1U", "second(", "+ __Vtemp_1", "third(")] == [
        [True, False, False], *[[False, True, False]] * 3, [False, False, True]]
    assert text.endswith(f"void {ROOT}___after({ROOT}* vlSelf) {{\n}}\n")


@pytest.mark.parametrize("change", [("(1ULL & ", "(2ULL & "), ("        third", "      third"), ("eval_nba", "other")])
def test_code_of_another_form_is_refused(tmp_path, change):
    (tmp_path / f"{ROOT}__0.cpp").write_text(CODE.replace(*change))
    with pytest.raises(ValueError, match=r"no evaluation of Vtile|statements of another form"):
        cut_evaluation(tmp_path, "Vtile")
