"""Bytes of a file as (a part of) an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Decipher = Callable[[bytes | memoryview], bytes]
"""The content of the next bytes of a file, as many as they are."""
Opener = Callable[[int], Decipher]
"""Deciphers from an offset in the file on."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """Bytes ``start`` to ``end`` (exclusive; ``None``: all) of a file, which ``opener`` deciphers where it is given."""

    path: Path
    start: int = 0
    end: int | None = None
    opener: Opener | None = None
