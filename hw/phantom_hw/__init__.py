"""Phantom in Amaranth: the configuration and every hardware block."""

from phantom_hw.config import ConfigError, PhantomConfig

__all__ = ["ConfigError", "PhantomConfig"]
