"""Cycle model of the accelerator around the mesh: what decides the time in each unit, none of the values."""
