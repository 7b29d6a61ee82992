"""The blob driver: bytes by digest, and uploads that become such bytes. Nothing here knows repositories.

A driver is durable: what ``commit`` and ``put`` have returned from survives a power cut, what a ``Writer`` has
flushed survives the end of this process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class StorageFull(Exception):
    """There is no room for more bytes."""


class DigestMismatch(ValueError):
    """The bytes are not those of the digest. ``actual`` is theirs."""

    def __init__(self, expected: str, actual: str) -> None:
        super().__init__(f"the content has the digest {actual}, not {expected}")
        self.expected = expected
        self.actual = actual


class Writer(Protocol):
    """Appends to one upload; use as an async context manager, which flushes and lets go of the file."""

    size: int  # bytes of the upload, those not yet flushed included

    async def write(self, chunk: bytes) -> None:
        """Append. Memory in use stays constant. Raises StorageFull."""
        ...

    async def flush(self) -> None:
        """Wait until everything is out of this process. Raises StorageFull."""
        ...

    async def __aenter__(self) -> Writer: ...

    async def __aexit__(self, *exc: object) -> None: ...


class Blobs(Protocol):
    """Keeps blobs and uploads. One writer an upload at a time; one committer or deleter a digest at a time."""

    async def begin(self, upload: str) -> None:
        """Start an empty upload. Raises StorageFull."""
        ...

    async def received(self, upload: str) -> int | None:
        """How many bytes of an upload are here; ``None`` where there is no such upload."""
        ...

    def append(self, upload: str) -> Writer:
        """Go on with an upload."""
        ...

    async def verify(self, upload: str, digest: str) -> int:
        """The size of an upload whose bytes are those of the digest. Raises DigestMismatch."""
        ...

    async def commit(self, upload: str, digest: str) -> None:
        """Make a verified upload the blob of its digest, durably and atomically; the upload is gone then.

        Raises StorageFull.
        """
        ...

    async def discard(self, upload: str) -> None:
        """Forget an upload, if there is one."""
        ...

    async def put(self, digest: str, content: bytes) -> None:
        """Keep a small blob whose digest the caller has verified. Raises StorageFull."""
        ...

    async def read(self, digest: str) -> bytes:
        """A small blob's bytes. Raises FileNotFoundError."""
        ...

    def path(self, digest: str) -> Path:
        """The file from which a blob is served."""
        ...

    async def delete(self, digest: str) -> None:
        """Forget a blob, if there is one."""
        ...

    async def digests(self) -> list[str]:
        """Every blob that is here."""
        ...

    async def uploads(self) -> list[str]:
        """Every upload that is here."""
        ...
