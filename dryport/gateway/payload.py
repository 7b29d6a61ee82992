"""Streamed request bodies: plain or in S3's chunks, checked against what was signed while they pass through.

Source: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", S3 API reference, with its
parts on transferring the payload in multiple chunks and on trailing headers.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from dryport.aws import sigv4
from dryport.aws.errors import ServiceError

SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_CHUNKS_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_CHUNKS_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
CHUNKED = (SIGNED_CHUNKS, SIGNED_CHUNKS_TRAILER, UNSIGNED_CHUNKS_TRAILER)
_MAX_LINE = 8 * 1024
_MAX_TRAILERS = 16
_MAX_CHUNK = 64 * 1024 * 1024
_SIZE = re.compile(rb"([0-9a-fA-F]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?\Z")


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


_CHECKSUMS: dict[str, Callable[[], _Digest]] = {
    "x-amz-checksum-crc32": _Crc32,
    "x-amz-checksum-sha1": hashlib.sha1,
    "x-amz-checksum-sha256": hashlib.sha256,
}


def _incomplete() -> ServiceError:
    return ServiceError("IncompleteBody", "The request body terminated unexpectedly", 400)


def _mismatch() -> ServiceError:
    return ServiceError(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
        403,
    )


class BodyPayload:
    """Implements ``service.Payload``. ``trailers`` are the trailing headers, known once everything was read.

    ``sha256`` is the hash that the signature covers, ``None`` for an unsigned body.
    """

    def __init__(self, source: Callable[[], AsyncIterator[bytes]], size: int | None, sha256: str | None) -> None:
        self._source = source
        self._sha256 = sha256
        self.size = size
        self.received = 0
        self.trailers: dict[str, str] = {}

    async def chunks(self) -> AsyncIterator[bytes]:
        digest = hashlib.sha256() if self._sha256 is not None else None
        async for part in self._source():
            self.received += len(part)
            if digest is not None:
                digest.update(part)
            yield part
        if self.size is not None and self.received != self.size:
            raise _incomplete()
        if digest is not None and digest.hexdigest() != self._sha256:
            raise ServiceError(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                400,
            )

    async def read(self) -> bytes:
        return b"".join([part async for part in self.chunks()])


class ChunkedPayload:
    """Implements ``service.Payload`` for aws-chunked bodies.

    A chunk's signature is checked before the chunk is handed on. ``signer`` is ``None`` for unsigned chunks.
    """

    def __init__(
        self,
        source: Callable[[], AsyncIterator[bytes]],
        size: int | None,
        signer: sigv4.ChunkSigner | None,
        trailing: bool,
        announced: str = "",
    ) -> None:
        self._source = source
        self._signer = signer
        self._trailing = trailing
        self._checksums = {n: _CHECKSUMS[n]() for n in announced.lower().split(",") if n.strip() in _CHECKSUMS}
        self.size = size
        self.received = 0
        self.trailers: dict[str, str] = {}

    async def chunks(self) -> AsyncIterator[bytes]:
        reader = _Buffered(self._source())
        while True:
            head = _SIZE.match(await reader.line())
            if head is None or (head[2] is None) != (self._signer is None):
                raise _incomplete() if head is None else _mismatch()
            length = int(head[1], 16)
            if length > _MAX_CHUNK:
                raise ServiceError("InvalidChunkSizeError", "Chunk size is too large.", 400)
            data = await reader.exactly(length)
            if self._signer is not None and not sigv4.matches(
                self._signer.chunk(hashlib.sha256(data).hexdigest()), head[2].decode()
            ):
                raise _mismatch()
            if length == 0:
                break
            if await reader.line():
                raise _incomplete()
            self.received += length
            for checksum in self._checksums.values():
                checksum.update(data)
            yield data
        await self._finish(reader)

    async def _finish(self, reader: _Buffered) -> None:
        if self._trailing:
            await self._read_trailers(reader)
        if self.size is not None and self.received != self.size:
            raise _incomplete()
        for name, checksum in self._checksums.items():
            if self.trailers.get(name) != base64.b64encode(checksum.digest()).decode():
                kind = name.removeprefix("x-amz-checksum-").upper()
                raise ServiceError("BadDigest", f"The {kind} you specified did not match the calculated checksum.", 400)

    async def _read_trailers(self, reader: _Buffered) -> None:
        signature = None
        for _ in range(_MAX_TRAILERS):
            line = (await reader.line(at_end=True)).decode("latin-1")
            if not line:
                break
            name, _, value = line.partition(":")
            if name.strip().lower() == "x-amz-trailer-signature":
                signature = value.strip()
            else:
                self.trailers[name.strip().lower()] = value.strip()
        if self._signer is not None:
            canonical = "".join(f"{name}:{value}\n" for name, value in sorted(self.trailers.items()))
            calculated = self._signer.trailer(hashlib.sha256(canonical.encode()).hexdigest())
            if signature is None or not sigv4.matches(calculated, signature):
                raise _mismatch()

    async def read(self) -> bytes:
        return b"".join([part async for part in self.chunks()])


class _Buffered:
    """Lines and exact lengths out of a stream of arbitrary pieces."""

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source
        self._waiting = bytearray()

    async def _more(self) -> bool:
        try:
            self._waiting += await anext(self._source)
        except StopAsyncIteration:
            return False
        return True

    async def line(self, at_end: bool = False) -> bytes:
        """What stands before the next CRLF; with ``at_end`` an ended stream is an empty line."""
        while (place := self._waiting.find(b"\r\n")) < 0:
            if len(self._waiting) > _MAX_LINE:
                raise _incomplete()
            if not await self._more():
                if at_end and not self._waiting:
                    return b""
                raise _incomplete()
        line = bytes(self._waiting[:place])
        del self._waiting[: place + 2]
        return line

    async def exactly(self, length: int) -> bytes:
        while len(self._waiting) < length:
            if not await self._more():
                raise _incomplete()
        data = bytes(self._waiting[:length])
        del self._waiting[:length]
        return data
