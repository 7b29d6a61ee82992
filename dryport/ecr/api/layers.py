"""Layers through the API: are they here, where to fetch them, upload in parts."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ecr import errors, images, names, published, tokens
from dryport.ecr.api.operations import Request, identity, operation, repository_of
from dryport.ecr.contents import Contents
from dryport.ecr.model import BLOBS, IMAGES, LAYERS, UPLOADS, Repository, Upload, member
from dryport.ecr.storage import DigestMismatch, StorageFull
from dryport.gateway.service import Call, Output
from dryport.store import Reader, Transaction

_PART_SIZE = 20 * 1024 * 1024  # bytes that a part should have, and at most may
_LEAST_PART = 5 * 1024 * 1024  # bytes that every part but the last must have


def _out_of_storage() -> ServiceError:
    return ServiceError("ServerException", "The registry's disk is full: free some space and try again", 500)


def _media_type(reader: Reader, repository: Repository, digest: str) -> str:
    for image in reader.find(IMAGES, "blob", member(repository.arn, digest)):
        for blob in image.blobs:
            if blob.digest == digest:
                return blob.media_type
    return ""


@operation("BatchCheckLayerAvailability")
def batch_check_layer_availability(contents: Contents, call: Call, request: Request) -> Output:
    repository = repository_of(call, request)
    layers, failures = [], []
    for digest in request["layerDigests"]:
        if not names.is_digest(digest):
            reason = "Invalid request parameters: layer digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"
            failures.append({"layerDigest": digest, "failureCode": "InvalidLayerDigest", "failureReason": reason})
            continue
        held = call.tx.get(LAYERS, member(repository.arn, digest))
        blob = call.tx.get(BLOBS, digest) if held else None
        layer: dict[str, Any] = {"layerDigest": digest, "layerAvailability": "AVAILABLE" if blob else "UNAVAILABLE"}
        if blob is not None:
            images.add_layer(call.tx, repository, digest, call.now)  # who asks may count on it for a while
            layer["layerSize"] = blob.size
            if media_type := _media_type(call.tx, repository, digest):
                layer["mediaType"] = media_type
        layers.append(layer)
    return {"layers": layers, "failures": failures}


@operation("GetDownloadUrlForLayer")
def get_download_url_for_layer(contents: Contents, call: Call, request: Request) -> Output:
    repository, digest = repository_of(call, request), request["layerDigest"]
    if call.tx.get(LAYERS, member(repository.arn, digest)) is None:
        raise errors.layer_not_found(digest, repository.name, repository.account)
    if not images.is_used(call.tx, repository.arn, digest):
        raise ServiceError(
            "LayerInaccessibleException",
            f"The layer with digest '{digest}' is not available because it is not associated with an image",
        )
    expires = int(call.now + tokens.DOWNLOAD_SECONDS)
    secret = published.signing_secret(call.tx, call.random)
    query = {"expires": expires, "signature": tokens.sign_download(secret, repository.arn, digest, expires)}
    host = names.registry_host(repository.account, repository.region, contents.context.config.port)
    url = f"http://{host}/v2/{repository.name}/blobs/{digest}?{urlencode(query)}"
    return {"downloadUrl": url, "layerDigest": digest}


@operation("InitiateLayerUpload")
async def initiate_layer_upload(contents: Contents, call: Call, request: Request) -> Output:
    try:
        upload = await contents.begin_upload(repository_of(call, request))
    except StorageFull:
        raise _out_of_storage() from None
    return {"uploadId": upload.id, "partSize": _PART_SIZE}


@operation("UploadLayerPart")
async def upload_layer_part(contents: Contents, call: Call, request: Request) -> Output:
    repository, id = repository_of(call, request), request["uploadId"].lower()
    first, last, part = request["partFirstByte"], request["partLastByte"], request["layerPartBlob"]
    async with contents.turn(id):
        upload, size = await contents.upload(repository, id)
        if first != size or last - first + 1 != len(part):
            raise ServiceError(
                "InvalidLayerPartException",
                f"The part must start with byte {size} of the upload, and have the bytes that it says it has",
                **identity(repository),
                uploadId=id,
                lastValidByteReceived=max(0, size - 1),
            )
        try:
            async with contents.blobs.append(id) as writer:
                await writer.write(part)
        except StorageFull:
            await contents.cancel_upload(id)
            raise _out_of_storage() from None
        await call.store.transact(lambda tx: _note_part(tx, upload, len(part)))
    return {**identity(repository), "uploadId": id, "lastByteReceived": last}


def _note_part(tx: Transaction, upload: Upload, size: int) -> None:
    short = upload.short_part or 0 < upload.last_part < _LEAST_PART
    tx.put(UPLOADS, replace(upload, last_part=size, short_part=short))


@operation("CompleteLayerUpload")
async def complete_layer_upload(contents: Contents, call: Call, request: Request) -> Output:
    repository, id = repository_of(call, request), request["uploadId"].lower()
    digest = next((digest for digest in request["layerDigests"] if names.is_digest(digest)), None)
    if digest is None:
        raise errors.invalid_parameter("layerDigests", "must have a digest of SHA-256")
    async with contents.turn(id):
        upload, size = await contents.upload(repository, id)
        if size == 0:
            raise ServiceError("EmptyUploadException", "The specified layer upload does not contain any layer parts")
        if upload.short_part:
            raise ServiceError("LayerPartTooSmallException", "Layer parts must be at least 5 MiB in size")
        if call.store.reader.get(LAYERS, member(repository.arn, digest)) is not None:
            raise errors.layer_exists(digest, repository.name, repository.account)
        try:
            await contents.finish_upload(repository, id, digest)
        except DigestMismatch as error:
            raise errors.invalid_layer(error.expected, error.actual) from None
        except StorageFull:
            await contents.cancel_upload(id)
            raise _out_of_storage() from None
    return {**identity(repository), "uploadId": id, "layerDigest": digest}
