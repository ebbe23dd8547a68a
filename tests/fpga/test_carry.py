"""Logic that moves into carry cells: the sums and carries of every such cell stay the same."""

import json
from itertools import product

import pytest
from phantom_fpga.carry import absorb_into_carry

CELL_OUTPUTS = {"LUT4": ("Z",), "CCU2C": ("S0", "S1", "COUT")}
A, X, Y, Z, CARRY, F, FREE, SUM, OUT, SUM1 = range(2, 12)


def cell(kind, parameters, **pins):
    return {
        "type": kind, "parameters": parameters, "connections": {pin: [bit] for pin, bit in pins.items()},
        "port_directions": {pin: "output" if pin in CELL_OUTPUTS[kind] else "input" for pin in pins},
    }


def adder(first, second, inverted=False, third=FREE):
    """An adder as Yosys makes it of the lowest bit of two summands; the upper half adds two free bits."""
    return cell("CCU2C", {"INIT0": "1001011010101010", "INIT1": "1001011010101010", "INJECT1_0": "NO"},
                A0=first, B0=second, C0="01"[inverted], D0="1", A1=third, B1="0", C1="0", D1="1",
                CIN=CARRY, S0=SUM, S1=SUM1, COUT=OUT)


def module(**cells):
    ports = {"in": {"direction": "input", "bits": [A, X, Y, Z, CARRY, FREE]},
             "out": {"direction": "output", "bits": [SUM, SUM1, OUT]}}
    return {"ports": ports, "cells": cells, "netnames": {}}


def run(design, path):
    """The netlist behind the pass, and how many LUTs it says are gone."""
    path.write_text(json.dumps({"modules": {"top": design}}), encoding="utf-8")
    gone = absorb_into_carry(path)
    return json.loads(path.read_text(encoding="utf-8"))["modules"]["top"], gone


def look_up(table, bits):
    return int(table, 2) >> sum(bit << place for place, bit in enumerate(bits)) & 1


def evaluate(design, inputs):
    """Values of the nets, after what Lattice says that a LUT4 and a CCU2C do (with INJECT off)."""
    known = {"0": 0, "1": 1, **inputs}
    cells = sorted(design["cells"].values(), key=lambda cell: cell["type"], reverse=True)
    assert {cell["type"] for cell in cells} <= {"LUT4", "CCU2C"}
    for one in cells:
        pins = {pin: known.get(bits[0]) for pin, bits in one["connections"].items()}
        if one["type"] == "LUT4":
            known[one["connections"]["Z"][0]] = look_up(one["parameters"]["INIT"], [pins[pin] for pin in "ABCD"])
            continue
        carry = pins["CIN"]
        for half in "01":
            table, bits = one["parameters"]["INIT" + half], [pins[pin + half] for pin in "ABCD"]
            propagate, generate = look_up(table, bits), look_up(table, [*bits[:2], 0, 0])
            known[one["connections"]["S" + half][0]] = propagate ^ carry
            carry = carry if propagate else generate
        known[one["connections"]["COUT"][0]] = carry
    return [known[net] for net in (SUM, SUM1, OUT)]


def compare(before, after, what):
    for bits in product((0, 1), repeat=6):
        inputs = dict(zip((A, X, Y, Z, CARRY, FREE), bits, strict=True))
        assert evaluate(before, inputs) == evaluate(after, inputs), (what, inputs)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("swapped", [False, True])
def test_every_function_of_three_nets(tmp_path, inverted, swapped):
    went = 0
    for function in range(256):
        table = f"{function:08b}" * 2  # D does not count
        lut = cell("LUT4", {"INIT": table}, A=X, B=Y, C=Z, D="0", Z=F)
        design = module(lut=lut, adder=adder(*((F, A) if swapped else (A, F)), inverted=inverted))
        after, gone = run(design, tmp_path / "netlist.json")
        compare(design, after, f"{function:02x}")
        assert gone == ("lut" not in after["cells"])
        # of the two functions' values at one place of one net, for both of which the others are 0
        pairs = ((0, 1), (0, 2), (0, 4))
        legal = any(function >> low & 1 == function >> high & 1 == inverted for low, high in pairs)
        assert gone == (legal and not (swapped and inverted)), f"{function:02x}"
        went += gone
    assert went == (0 if swapped and inverted else 112)


@pytest.mark.parametrize("table", ["0000000000000000", "1100101011001010", "1111111100000000", "0110100110010110"])
def test_fixed_and_repeated_inputs(tmp_path, table):
    for pins in product((X, Y, "0", "1"), repeat=4):
        design = module(lut=cell("LUT4", {"INIT": table}, **dict(zip("ABCD", pins, strict=True)), Z=F),
                        adder=adder(A, F))
        after, _ = run(design, tmp_path / "netlist.json")
        compare(design, after, pins)


def test_both_summands_of_logic(tmp_path):
    lut = cell("LUT4", {"INIT": f"{0xCA:08b}" * 2}, A=X, B=Y, C=Z, D="0", Z=F)
    other = cell("LUT4", {"INIT": f"{0x08:04b}" * 4}, A=A, B=X, C="0", D="0", Z=FREE + 100)
    design = module(lut=lut, other=other, adder=adder(FREE + 100, F))
    after, gone = run(design, tmp_path / "netlist.json")
    compare(design, after, "both")
    assert gone == 1 and set(after["cells"]) in ({"adder", "lut"}, {"adder", "other"})


def test_what_others_use_stays(tmp_path):
    def lut(out=F):
        return cell("LUT4", {"INIT": "1000" * 4}, A=X, B=Y, C="0", D="0", Z=out)
    twice = module(lut=lut(), adder=adder(A, F, third=F))
    port = module(lut=lut(SUM), adder=adder(A, SUM))
    port["cells"]["adder"]["connections"]["S0"] = [F]
    other_table = module(lut=lut(), adder=adder(A, F))
    other_table["cells"]["adder"]["parameters"]["INIT0"] = "0101010110101010"
    for design in (twice, port, other_table):
        after, gone = run(design, tmp_path / "netlist.json")
        assert gone == 0 and after["cells"] == design["cells"]
