"""What a signature says of a body, and the stream that a handler reads it from."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import AsyncIterator

import msgspec

from dryport.aws import sigv2, sigv4
from dryport.aws.errors import ServiceError
from dryport.gateway import payload as payloads
from dryport.gateway.auth import Signed
from dryport.gateway.http1.exchange import HttpExchange
from dryport.gateway.payload import BodyPayload, ChunkedPayload

_MOST_UNPACKED = 8 * 1024 * 1024  # bytes; a small body may claim any size
_HASH = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)


class Content(msgspec.Struct, frozen=True):
    """``signed_hash`` is what the signature covers; ``stated`` what the client says of the body, where that counts."""

    signed_hash: str
    stated: str | None


def content(signed: Signed, body: bytes | None, *, unsigned: bool) -> Content:
    """What the signature covers in the body's place.

    Where the operation allows bodies that are not signed (``unsigned``: S3's, and few others'), the client says which
    it is; elsewhere it is the hash of the body, whatever the client says. Raises ServiceError.
    """
    if not unsigned:
        return Content(hashlib.sha256(body).hexdigest() if body else sigv4.EMPTY_SHA256, None)
    stated = signed.header("x-amz-content-sha256")
    if stated is None:
        authorization = signed.header("authorization")
        if authorization is not None and not authorization.startswith(sigv2.PREFIX):
            raise ServiceError("InvalidRequest", "Missing required header for this request: x-amz-content-sha256", 400)
        return Content(sigv4.UNSIGNED_PAYLOAD, None)
    if stated != sigv4.UNSIGNED_PAYLOAD and stated not in payloads.CHUNKED and not _HASH.match(stated):
        raise ServiceError(
            "InvalidArgument",
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
            400,
        )
    return Content(stated, stated)


def unpacked(body: bytes, encoding: str | None) -> bytes:
    """A body as it was before the client compressed it ("Smithy request compression"). Raises ServiceError."""
    if encoding is None or encoding.strip().lower() != "gzip" or not body:
        return body
    reader = zlib.decompressobj(wbits=31)
    try:
        found = reader.decompress(body, _MOST_UNPACKED)
    except zlib.error:
        raise ServiceError("SerializationException", "The request body is not valid gzip.", 400) from None
    if reader.unconsumed_tail:
        raise ServiceError("RequestEntityTooLargeException", "Request size exceeded the limit.", 413)
    if not reader.eof:
        raise ServiceError("SerializationException", "The request body is not valid gzip.", 400)
    return found


def payload(
    content: Content, exchange: HttpExchange, body: bytes | None, signature: sigv4.Signature | None, secret: str | None
) -> BodyPayload | ChunkedPayload | None:
    """The body as a stream; ``None`` where ``body`` holds it as it is and it needs no further check."""
    stated = content.stated
    if body is not None and stated in (None, sigv4.UNSIGNED_PAYLOAD):
        return None
    source = exchange.chunks if body is None else _Once(body).chunks
    if stated in payloads.CHUNKED:
        signer = None
        if stated != payloads.UNSIGNED_CHUNKS_TRAILER:
            if signature is None or secret is None:
                raise ServiceError("AccessDenied", "Access Denied", 403)
            signer = sigv4.ChunkSigner(signature, secret)
        size = _size(exchange.header("x-amz-decoded-content-length"))
        trailing = stated != payloads.SIGNED_CHUNKS
        return ChunkedPayload(source, size, signer, trailing, exchange.header("x-amz-trailer") or "")
    sha256 = stated if stated is not None and _HASH.match(stated) else None
    return BodyPayload(source, _size(exchange.header("content-length")), sha256)


def _size(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 16 else None


class _Once:
    """A body that was read already, as a stream."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body
