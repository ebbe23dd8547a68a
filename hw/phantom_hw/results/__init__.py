"""The results: post-processing lanes, and the slots that they write to memory."""
