"""Dryport's own modules compiled for instances, which could not keep them: they have the package to read only.

Where whoever installed Dryport had it compiled there is nothing to do; a checkout usually is not.
"""

from __future__ import annotations

import importlib.util
import py_compile
import struct
from pathlib import Path

_RUNS_INSIDE = ("agent", "aws", "client", "control", "host", "instance")


def layer(package: Path, into: Path) -> bool:
    """Compile what an instance runs of a package and is not compiled beside it, to be laid over it.

    Blocks, a second the first time. Whether there is anything in ``into``.
    """
    for part in _RUNS_INSIDE:
        for source in (package / part).rglob("*.py"):
            beside = Path(importlib.util.cache_from_source(str(source)))
            ours = into / beside.relative_to(package)
            if not _is_of(beside, source) and not _is_of(ours, source):
                py_compile.compile(str(source), str(ours), doraise=False, quiet=2)
    return into.is_dir()


def _is_of(compiled: Path, source: Path) -> bool:
    """Whether a compiled module is of its source as it is now (PEP 552)."""
    try:
        with compiled.open("rb") as file:
            magic, flags, time, size = struct.unpack("<4sIII", file.read(16))
        status = source.stat()
    except (OSError, struct.error):
        return False
    return bool(
        magic == importlib.util.MAGIC_NUMBER
        and not flags
        and time == int(status.st_mtime) & 0xFFFFFFFF
        and size == status.st_size & 0xFFFFFFFF
    )
