"""From quantized layers to what the accelerator's links carry."""

from phantom_compiler.packing import pack, payload_words, unpack

__all__ = ["pack", "payload_words", "unpack"]
