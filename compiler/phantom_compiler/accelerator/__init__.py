"""Layers to jobs of the whole accelerator: tensors in memory, buffers, row programs, commands."""
