"""Uploads of layers: in one request, in two, in chunks, or none at all where another repository has the layer.

Source: OCI distribution specification 1.1, "Pushing blobs", "Mounting a blob from another repository".
"""

from __future__ import annotations

from dryport.ecr import images, ranges
from dryport.ecr.registry.errors import RegistryError, digest_invalid
from dryport.ecr.registry.request import Headers, Request
from dryport.ecr.storage import DigestMismatch, StorageFull


async def serve(request: Request) -> None:
    """POST starts an upload; GET, PATCH, PUT and DELETE go on with one."""
    if request.method == "POST":
        await _start(request)
        return
    upload = request.route.target
    await request.contents.upload(request.repository, upload)  # is it this client's to ask for?
    async with request.contents.turn(upload):
        _, size = await request.contents.upload(request.repository, upload)
        match request.method:
            case "GET" | "HEAD":
                request.respond(204, _status(request, upload, size))
            case "PATCH":
                size = await _receive(request, upload, size)
                request.respond(202, [*_status(request, upload, size), ("content-length", "0")])
            case "PUT":
                digest = request.digest(request.parameters.get("digest", ""))
                await _receive(request, upload, size)
                await _finish(request, upload, digest)
            case _:
                await request.contents.cancel_upload(upload)
                request.respond(204, [])


def _status(request: Request, upload: str, size: int) -> Headers:
    return [
        request.location("blobs/uploads", upload),
        ("range", ranges.received(size)),
        ("docker-upload-uuid", upload),
    ]


async def _start(request: Request) -> None:
    contents, repository = request.contents, request.repository
    if request.route.target:
        raise RegistryError(404, "BLOB_UPLOAD_UNKNOWN", "An upload is started without an identifier")
    wanted = request.parameters.get("mount")
    if wanted is not None:
        digest, source = request.digest(wanted), request.parameters.get("from")
        now = contents.now()
        if await contents.store.transact(lambda tx: images.mount_layer(tx, repository, source, digest, now)):
            _created(request, digest)
            return
    digest = request.digest(request.parameters["digest"]) if "digest" in request.parameters else ""
    upload = await contents.begin_upload(repository)
    if not digest:
        request.respond(202, [*_status(request, upload.id, 0), ("content-length", "0")])
        return
    async with contents.turn(upload.id):
        try:
            await _receive(request, upload.id, 0)
            await _finish(request, upload.id, digest)
        except BaseException:
            # Nobody was told of this upload, so nobody can go on with it.
            await contents.cancel_upload(upload.id)
            raise


def _created(request: Request, digest: str) -> None:
    headers = [request.location("blobs", digest), ("docker-content-digest", digest), ("content-length", "0")]
    request.respond(201, headers)


def _check_announcement(request: Request, upload: str, size: int) -> None:
    """Raise RegistryError unless the body is what comes next in an upload of ``size`` bytes, or says nothing of it."""
    announced, length = request.header("content-range"), request.header("content-length")
    if not announced:
        return
    try:
        span = ranges.parse_content_range(announced)
    except ValueError as error:
        raise RegistryError(400, "BLOB_UPLOAD_INVALID", f"Content-Range: {error}") from None
    if span.start != size:
        message = f"The next byte of the upload is {size}, not {span.start}"
        raise RegistryError(416, "BLOB_UPLOAD_INVALID", message, _status(request, upload, size))
    if length and int(length) != span.length:
        raise RegistryError(400, "SIZE_INVALID", f"Content-Range {announced} and Content-Length {length} differ")


async def _receive(request: Request, upload: str, size: int) -> int:
    """Append the request's body to an upload of ``size`` bytes and return what it has then."""
    _check_announcement(request, upload, size)
    if request.header("content-length") == "0":
        return size
    try:
        async with request.contents.blobs.append(upload) as writer:
            with request.contents.receiving(upload):
                async for chunk in request.body:
                    await writer.write(chunk)
    except StorageFull:
        await request.contents.cancel_upload(upload)
        raise
    return writer.size


async def _finish(request: Request, upload: str, digest: str) -> None:
    try:
        await request.contents.finish_upload(request.repository, upload, digest)
    except DigestMismatch as error:
        raise digest_invalid(f"The {error}") from None
    _created(request, digest)
