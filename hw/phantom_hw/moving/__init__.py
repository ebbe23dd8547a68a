"""The moving operand: from memory into the moving buffers, and out of them as rows."""
