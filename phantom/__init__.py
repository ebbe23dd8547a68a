"""Phantom: an open generator for a sparse neural-network accelerator."""

from importlib import metadata

from phantom_hw.config import ConfigError, PhantomConfig

__all__ = ["ConfigError", "PhantomConfig", "__version__"]

__version__ = metadata.version("phantom-accelerator")
