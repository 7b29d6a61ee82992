"""Manifests: fetch, put, delete. OCI distribution specification 1.1, "Pulling manifests", "Pushing Manifests"."""

from __future__ import annotations

from dryport.ecr import errors, images, manifest, names
from dryport.ecr.contents import digest_of
from dryport.ecr.model import TAGS, Image, member
from dryport.ecr.registry.errors import RegistryError, digest_invalid
from dryport.ecr.registry.request import Request


async def serve(request: Request) -> None:
    """GET and HEAD, PUT, DELETE, by tag or by digest."""
    reference = request.route.target
    if ":" in reference:
        request.digest(reference)
    match request.method:
        case "PUT":
            await _put(request, reference)
        case "DELETE":
            await _delete(request, reference)
        case _:
            await _get(request, reference)


def _find(request: Request, reference: str) -> Image:
    repository = request.repository
    named = {"digest": reference} if names.is_digest(reference) else {"tag": reference}
    image = images.find_image(request.reader, repository.arn, **named)
    if image is None:
        raise errors.image_not_found(repository.name, repository.account, **named)
    return image


async def _get(request: Request, reference: str) -> None:
    image = _find(request, reference)
    await request.settled()
    accept = request.header("accept")
    if not manifest.accepts([accept], image.media_type):
        message = f"The manifest is of the media type {image.media_type}, which the Accept header does not name"
        raise RegistryError(404, "MANIFEST_UNKNOWN", message)
    headers = [
        ("content-type", image.media_type),
        ("content-length", str(image.size)),
        ("docker-content-digest", image.digest),
    ]
    if request.method == "HEAD":
        request.respond(200, headers)
        return
    contents = request.contents
    content = await contents.blobs.read(image.digest)
    now = contents.now()
    if images.needs_pull_time(image, now):
        await contents.store.transact(lambda tx: images.record_pull(tx, image, now))
    request.respond(200, headers, content)


async def _body(request: Request) -> bytes:
    announced = request.header("content-length")
    if announced.isdigit() and int(announced) > manifest.MAX_SIZE:
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    async for chunk in request.body:
        size += len(chunk)
        if size > manifest.MAX_SIZE:
            raise _too_large()
        parts.append(chunk)
    return b"".join(parts)


def _too_large() -> RegistryError:
    return RegistryError(413, "MANIFEST_INVALID", f"A manifest has at most {manifest.MAX_SIZE} bytes")


async def _put(request: Request, reference: str) -> None:
    by_digest = names.is_digest(reference)
    if not by_digest and not names.is_tag(reference):
        raise RegistryError(400, "TAG_INVALID", f"'{reference}' is not a tag")
    repository = request.repository
    content = await _body(request)
    try:
        parsed = manifest.parse(content, request.header("content-type").split(";", 1)[0].strip())
    except manifest.InvalidManifest as error:
        refusal = errors.invalid_parameter("ImageManifest", str(error))
        raise RegistryError(400, "MANIFEST_INVALID", refusal.message) from None
    digest = digest_of(content, reference.partition(":")[0] if by_digest else "sha256")
    if by_digest and digest != reference:
        raise digest_invalid(errors.image_digest_differs(reference, digest).message)
    await request.contents.put_manifest(repository, content, parsed, digest, None if by_digest else reference)
    headers = [
        request.location("manifests", reference),
        ("docker-content-digest", digest),
        ("content-length", "0"),
    ]
    if parsed.subject:
        headers.append(("oci-subject", parsed.subject))
    request.respond(201, headers)


async def _delete(request: Request, reference: str) -> None:
    image = _find(request, reference)
    contents = request.contents
    now = contents.now()
    if names.is_digest(reference):
        await contents.store.transact(lambda tx: images.delete_image(tx, image, now))
    else:
        await contents.store.transact(lambda tx: tx.delete(TAGS, member(image.repository_arn, reference)))
    request.respond(202, [("content-length", "0")])
