"""Phantom under simulation: Verilated cores, the cycle model, streams to drive them with."""
