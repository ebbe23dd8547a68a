"""The one exception of the FPGA flows."""

__all__ = ["FpgaError"]


class FpgaError(ValueError):
    """A flow that cannot go on: one line that says what is wrong and, where there is one, the cure."""
