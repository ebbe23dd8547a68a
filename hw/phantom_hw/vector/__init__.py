"""The vector unit: pooling and addition of what the row streamers read."""
