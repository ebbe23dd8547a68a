"""What the processor is that simulations run on."""

from __future__ import annotations

import platform
import re
from functools import lru_cache
from pathlib import Path

__all__ = ["processor"]

_CPUINFO = Path("/proc/cpuinfo")


@lru_cache(maxsize=1)
def processor() -> str:
    """Its kind and what it can do: code that was compiled for it alone may not run on another kind."""
    text = _CPUINFO.read_text(encoding="utf-8") if _CPUINFO.is_file() else platform.processor()
    kinds = re.findall(r"^(?:vendor_id|cpu family|model|model name|flags)\s*:.*$", text, re.MULTILINE)
    return "\n".join(sorted(set(kinds))) or text
