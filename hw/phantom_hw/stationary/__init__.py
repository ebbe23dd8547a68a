"""The stationary operand: from memory into the stationary buffers, and out of them as packets."""
