"""Objects written and read: PutObject, GetObject, HeadObject."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Payload, Service
from dryport.s3 import checksums, conditions, lifecycle, versions
from dryport.s3.api.common import (
    BODY_UNSUPPORTED,
    HEADERS,
    READ_UNSUPPORTED,
    WRITE_UNSUPPORTED,
    Json,
    bucket_of,
    check_encryption,
    check_storage_class,
    checksum_members,
    described,
    encryption_member,
    object_of,
    quoted,
    version_member,
)
from dryport.s3.disk import Disk, Written
from dryport.s3.model import OBJECTS, Checksum, Object, object_key
from dryport.store import Transaction

_OVERRIDES = (*HEADERS[:5], "Expires")
_MOST_METADATA = 2048  # bytes of names and values
_LONGEST_KEY = 1024
_DRAINED = 1 << 20  # bytes of a refused body
Receiver = Callable[[Call, Json], Awaitable[Output]]


def register(service: Service, disk: Disk) -> None:
    """Add the operations of this module."""
    handlers = _Objects(disk)
    unsupported = tuple(dict.fromkeys((*WRITE_UNSUPPORTED, *BODY_UNSUPPORTED, "WriteOffsetBytes")))
    service.operation("PutObject", unsupported=unsupported)(reads_its_body(handlers.put))
    service.operation("GetObject", unsupported=READ_UNSUPPORTED)(handlers.get)
    service.operation("HeadObject", unsupported=READ_UNSUPPORTED)(head)


def check_key(key: str, metadata: Mapping[str, str]) -> None:
    """Raise ServiceError where a key, or an object's metadata, is too long."""
    size = len(key.encode())
    if size > _LONGEST_KEY:
        raise ServiceError(
            "KeyTooLongError", "Your key is too long", 400, Size=str(size), MaxSizeAllowed=str(_LONGEST_KEY)
        )
    if sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items()) > _MOST_METADATA:
        raise ServiceError("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size", 400)


async def receive(disk: Disk, call: Call, request: Json, default: str) -> tuple[Written, Checksum]:
    """Write a request's body to a file, and check it against whatever the request says of it.

    ``default`` is the algorithm where the client chose none. Raises ServiceError where a check fails.
    """
    given = checksums.given(request)
    algorithm = given[0] if given else _announced(call, request) or default
    body: Payload | bytes = request.pop("Body", b"")
    written = await disk.write(_chunks(body), algorithm)
    value = checksums.encoded(written.checksum)
    if given is None:
        trailers: Mapping[str, str] = getattr(body, "trailers", {})
        trailing = trailers.get(f"x-amz-checksum-{algorithm.lower()}")
        given = None if trailing is None else (algorithm, trailing)
    try:
        if given is not None and given[1] != value:
            checksums.check_form(*given)
            raise checksums.mismatch(algorithm)
        _check_md5(request.get("ContentMD5"), written)
    except ServiceError:
        disk.delete(written.file)
        raise
    return written, Checksum(algorithm=algorithm, value=value)


def reads_its_body(handler: Receiver) -> Receiver:
    """A handler that, where it refuses before it has taken the body, lets a small one come in all the same.

    A client that still sends when the connection closes would not see the refusal.
    """

    async def run(call: Call, request: Json) -> Output:
        try:
            return await handler(call, request)
        except ServiceError:
            body, left = request.get("Body", b""), _DRAINED
            if not isinstance(body, bytes):
                with contextlib.suppress(ServiceError, OSError):
                    async for chunk in body.chunks():
                        left -= len(chunk)
                        if left < 0:
                            break
            raise

    return run


async def _chunks(body: Payload | bytes) -> Any:
    if isinstance(body, bytes):
        yield body
    else:
        async for chunk in body.chunks():
            yield chunk


def _announced(call: Call, request: Json) -> str | None:
    """The algorithm that a request names without a value, or whose value comes in the trailer."""
    name = request.get("ChecksumAlgorithm")
    trailer = call.headers.get("x-amz-trailer", "").strip().lower()
    if trailer.startswith("x-amz-checksum-"):
        name = trailer.removeprefix("x-amz-checksum-").upper()
    if name is not None and name not in checksums.ALGORITHMS:
        raise ServiceError("InvalidRequest", f"Dryport does not compute {name} checksums.", 400)
    return name


def _check_md5(text: str | None, written: Written) -> None:
    if text is None:
        return
    try:
        digest = base64.b64decode(text, validate=True)
    except ValueError:
        digest = b""
    if len(digest) != len(written.md5):
        raise ServiceError("InvalidDigest", "The Content-MD5 you specified was invalid.", 400)
    if digest != written.md5:
        raise ServiceError("BadDigest", "The Content-MD5 you specified did not match what we received.", 400)


class _Objects:
    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def put(self, call: Call, request: Json) -> Output:
        bucket, key = bucket_of(call.store.reader, call, request), request["Key"]
        check_storage_class(call, request)
        check_encryption(call, request)
        about = described(request)
        check_key(key, about["metadata"])
        written, checksum = await receive(self._disk, call, request, checksums.DEFAULT)
        item = Object(
            bucket=bucket.name,
            key=key,
            file=written.file,
            size=written.size,
            etag=written.md5.hex(),
            modified_at=call.now,
            checksum=checksum,
            **about,
        )

        def store(tx: Transaction) -> Json:
            now = bucket_of(tx, call, request)  # it may be gone by now, or keep versions
            conditions.check_write(request, tx.get(OBJECTS, object_key(bucket.name, key)))
            return version_member(now, versions.put(tx, call.random, now, item))

        # A file whose object is refused here, or that a kill leaves alone, is the sweeper's.
        version = await call.store.transact(store)
        return {"ETag": quoted(item.etag), **checksum_members(checksum), **encryption_member(item.file), **version}

    def get(self, call: Call, request: Json) -> Output:
        item, answer, (start, end) = _read(call, request)
        answer["Body"] = self._disk.part(item.file, start, end) if end > start else b""
        return answer


def head(call: Call, request: Json) -> Output:
    return _read(call, request)[1]


def _read(call: Call, request: Json) -> tuple[Object, Json, tuple[int, int]]:
    """The object that is read, the members that describe it, and which of its bytes are wanted."""
    bucket = bucket_of(call.tx, call, request)
    method = "HEAD" if call.operation == "HeadObject" else "GET"
    item = object_of(call.tx, bucket.name, request["Key"], request.get("VersionId"), method)
    conditions.check_read(request, item)
    wanted = _part(request["PartNumber"], item) if "PartNumber" in request else None
    wanted = wanted or conditions.byte_range(request.get("Range"), item.size)
    start, end = wanted or (0, item.size)
    answer: Json = {
        "AcceptRanges": "bytes",
        "LastModified": item.modified_at,
        "ContentLength": end - start,
        "ETag": quoted(item.etag),
        "ContentType": "binary/octet-stream",
        "Metadata": item.metadata,
        **encryption_member(item.file),
        **item.headers,
    }
    if "VersionId" not in request:
        answer |= lifecycle.header(bucket.lifecycle, item)
    if item.tags:
        answer["TagCount"] = len(item.tags)
    if bucket.versioning:
        answer["VersionId"] = versions.named(item)
    if item.expires is not None:
        answer["Expires"] = item.expires
    if wanted is not None:
        answer["ContentRange"] = f"bytes {start}-{end - 1}/{item.size}"
    if "PartNumber" in request and item.parts:
        answer["PartsCount"] = len(item.parts)
    if request.get("ChecksumMode") == "ENABLED" and (start, end) == (0, item.size):
        answer |= checksum_members(item.checksum)
    for name in _OVERRIDES:
        if f"Response{name}" in request:
            answer[name] = request[f"Response{name}"]
    return item, answer, (start, end)


def _part(number: int, item: Object) -> tuple[int, int] | None:
    sizes = item.parts or [item.size]
    if not 1 <= number <= len(sizes):
        raise ServiceError("InvalidPartNumber", "The requested partnumber is not satisfiable", 416)
    start = sum(sizes[: number - 1])
    end = start + sizes[number - 1]
    return (start, end) if end > start else None
