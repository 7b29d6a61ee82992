"""Layers: look, fetch, delete. OCI distribution specification 1.1, "Pulling blobs", "Deleting Blobs"."""

from __future__ import annotations

from dryport.ecr import images, ranges
from dryport.ecr.model import LAYERS, Blob, member
from dryport.ecr.registry.errors import RegistryError, unsupported
from dryport.ecr.registry.request import Headers, Request
from dryport.gateway.file_parts import FilePart


async def serve(request: Request) -> None:
    """GET and HEAD, in whole or a range; DELETE."""
    digest = request.digest(request.route.target)
    if request.method == "DELETE":
        await _delete(request, digest)
        return
    blob = await request.contents.find_layer(request.repository, digest)
    if blob is None:
        raise RegistryError(404, "BLOB_UNKNOWN", f"The blob '{digest}' is unknown to the repository")
    await request.settled()
    _send(request, blob)


def _send(request: Request, blob: Blob) -> None:
    headers: Headers = [
        ("content-type", "application/octet-stream"),
        ("docker-content-digest", blob.digest),
        ("accept-ranges", "bytes"),
    ]
    if request.method == "HEAD":
        request.respond(200, [*headers, ("content-length", str(blob.size))])
        return
    try:
        part = ranges.parse_range(request.header("range"), blob.size) if request.header("range") else None
    except ranges.Unsatisfiable:
        raise RegistryError(
            416,
            "SIZE_INVALID",
            f"The blob has {blob.size} bytes",
            [("content-range", f"bytes */{blob.size}")],
        ) from None
    path = request.contents.blobs.path(blob.digest)
    status, start, end = 200, 0, blob.size
    if part is not None:
        status, start, end = 206, part.start, part.end
        headers.append(("content-range", f"bytes {start}-{end - 1}/{blob.size}"))
    headers.append(("content-length", str(end - start)))
    if start == end:
        request.respond(status, headers)
    else:
        request.exchange.respond_file(status, headers, FilePart(path, start, end))


async def _delete(request: Request, digest: str) -> None:
    repository = request.repository
    key = member(repository.arn, digest)
    if request.reader.get(LAYERS, key) is None:
        raise RegistryError(404, "BLOB_UNKNOWN", f"The blob '{digest}' is unknown to the repository")
    if images.is_used(request.reader, repository.arn, digest):
        raise unsupported(f"The blob '{digest}' is part of an image of the repository: delete that first")
    await request.contents.store.transact(lambda tx: tx.delete(LAYERS, key))
    request.respond(202, [("content-length", "0")])
