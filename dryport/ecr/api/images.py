"""Images: list, describe, get, put, delete, and who refers to them."""

from __future__ import annotations

from functools import partial
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ecr import errors, images, manifest, names
from dryport.ecr.api.operations import Request, identity, operation, repository_of
from dryport.ecr.api.pages import page
from dryport.ecr.contents import Contents, digest_of
from dryport.ecr.model import IMAGES, TAGS, Image, Repository, member
from dryport.gateway.service import Call, Output
from dryport.store import Reader, Transaction

_PAGE = 100
_REFERRERS_PAGE = 20
_STATUS = "ACTIVE"  # nothing is archived here


def _wants_active(status: str) -> bool:
    return status in (_STATUS, "ANY")


def _wants(request: Request, tags: list[str]) -> bool:
    chosen = request.get("filter", {})
    status = chosen.get("tagStatus", "ANY")
    by_tag = status == "ANY" or (status == "TAGGED") == bool(tags)
    return by_tag and _wants_active(chosen.get("imageStatus", _STATUS))


@operation("ListImages")
def list_images(contents: Contents, call: Call, request: Request) -> Output:
    repository = repository_of(call, request)
    found: list[dict[str, str]] = []
    for image in call.tx.find(IMAGES, "repository", repository.arn):
        tags = images.tags_of(call.tx, image)
        if _wants(request, tags):
            found.extend({"imageDigest": image.digest, "imageTag": tag} for tag in tags)
            if not tags:
                found.append({"imageDigest": image.digest})
    key = "{0[imageDigest]}/{1}".format
    chosen, token = page(found, lambda item: key(item, item.get("imageTag", "")), request, _PAGE)
    return {"imageIds": chosen, **token}


def _detail(reader: Reader, repository: Repository, image: Image) -> dict[str, Any]:
    detail: dict[str, Any] = {
        **identity(repository),
        "imageDigest": image.digest,
        "imageSizeInBytes": images.image_size(reader, image),
        "imagePushedAt": image.pushed_at,
        "imageManifestMediaType": image.media_type,
        "imageStatus": _STATUS,
    }
    if tags := images.tags_of(reader, image):
        detail["imageTags"] = tags
    if kind := images.artifact_type(image):
        detail["artifactMediaType"] = kind
    if image.pulled_at is not None:
        detail["lastRecordedPullTime"] = image.pulled_at
    if image.subject:
        detail["subjectManifestDigest"] = image.subject
    return detail


@operation("DescribeImages")
def describe_images(contents: Contents, call: Call, request: Request) -> Output:
    repository = repository_of(call, request)
    if "imageIds" not in request:
        found = [
            image
            for image in call.tx.find(IMAGES, "repository", repository.arn)
            if _wants(request, images.tags_of(call.tx, image))
        ]
        chosen, token = page(found, lambda image: image.digest, request, _PAGE)
        return {"imageDetails": [_detail(call.tx, repository, image) for image in chosen], **token}
    if "maxResults" in request or "nextToken" in request:
        raise errors.invalid_parameter("maxResults", "must not be given together with imageIds")
    named: dict[str, Image] = {}
    for identifier in request["imageIds"]:
        digest, tag = identifier.get("imageDigest"), identifier.get("imageTag")
        image = images.find_image(call.tx, repository.arn, digest=digest, tag=tag)
        if image is None:
            raise errors.image_not_found(repository.name, repository.account, digest=digest, tag=tag)
        named[image.digest] = image
    return {"imageDetails": [_detail(call.tx, repository, image) for image in named.values()]}


def _failure(identifier: dict[str, str], code: str, reason: str) -> dict[str, Any]:
    return {"imageId": identifier, "failureCode": code, "failureReason": reason}


def _identified(
    reader: Reader, repository: Repository, identifier: dict[str, str]
) -> tuple[Image | None, dict[str, Any]]:
    """The image of an identifier, or the failure that a batch operation answers for it."""
    digest, tag = identifier.get("imageDigest"), identifier.get("imageTag")
    if digest is None and tag is None:
        reason = "Invalid request parameters: both tag and digest cannot be null"
        return None, _failure({}, "MissingDigestAndTag", reason)
    if digest is not None and not names.is_digest(digest):
        rule = "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+"
        reason = f"Invalid request parameters: image digest should satisfy the regex '{rule}'"
        return None, _failure({"imageDigest": digest}, "InvalidImageDigest", reason)
    image = images.find_image(reader, repository.arn, digest=digest, tag=tag)
    if image is not None:
        return image, {}
    if digest is not None and tag is not None and images.find_image(reader, repository.arn, tag=tag) is not None:
        return None, _failure(identifier, "ImageTagDoesNotMatchDigest", "Requested image tag does not match the digest")
    return None, _failure(identifier, "ImageNotFound", "Requested image not found")


@operation("BatchGetImage")
async def batch_get_image(contents: Contents, call: Call, request: Request) -> Output:
    repository = repository_of(call, request)
    accepted = request.get("acceptedMediaTypes", [])
    found: list[dict[str, Any]] = []
    failures = []
    for identifier in request["imageIds"]:
        image, failure = _identified(call.store.reader, repository, identifier)
        if image is not None and not manifest.accepts(accepted, image.media_type):
            image, failure = None, _failure(identifier, "ImageNotFound", "Requested image not found")
        if image is None:
            failures.append(failure)
            continue
        content = await contents.blobs.read(image.digest)
        found.append(_answer(repository, image, content, identifier.get("imageTag")))
        if images.needs_pull_time(image, call.now):
            await call.store.transact(partial(images.record_pull, image=image, now=call.now))
    return {"images": found, "failures": failures}


def _answer(repository: Repository, image: Image, content: bytes, tag: str | None) -> dict[str, Any]:
    return {
        **identity(repository),
        "imageId": {"imageDigest": image.digest, **({"imageTag": tag} if tag else {})},
        "imageManifest": content.decode(),
        "imageManifestMediaType": image.media_type,
    }


@operation("PutImage")
async def put_image(contents: Contents, call: Call, request: Request) -> Output:
    repository = repository_of(call, request)
    content, tag = request["imageManifest"].encode(), request.get("imageTag")
    if tag is not None and not names.is_tag(tag):
        raise errors.invalid_parameter("imageTag", "must satisfy regular expression '[a-zA-Z0-9_][a-zA-Z0-9._-]*'")
    try:
        parsed = manifest.parse(content, request.get("imageManifestMediaType", ""))
    except manifest.InvalidManifest as error:
        raise errors.invalid_parameter("ImageManifest", str(error)) from None
    digest = digest_of(content)
    if request.get("imageDigest", digest) != digest:
        raise errors.image_digest_differs(request["imageDigest"], digest)
    held = images.find_image(call.store.reader, repository.arn, digest=digest)
    if held is not None and (tag is None or tag in images.tags_of(call.store.reader, held)):
        raise errors.image_exists(repository.name, repository.account, digest, tag)
    image = await contents.put_manifest(repository, content, parsed, digest, tag)
    return {"image": _answer(repository, image, content, tag)}


def _delete(tx: Transaction, image: Image, identifier: dict[str, str], now: float) -> list[dict[str, str]]:
    """Delete an image, or of one with several tags the tag alone that was asked for; what is gone by that."""
    tag, tags = identifier.get("imageTag"), images.tags_of(tx, image)
    if tag is not None and "imageDigest" not in identifier and len(tags) > 1:
        tx.delete(TAGS, member(image.repository_arn, tag))
        return [{"imageDigest": image.digest, "imageTag": tag}]
    gone = images.delete_image(tx, image, now)
    return [{"imageDigest": image.digest, "imageTag": tag} for tag in gone] or [{"imageDigest": image.digest}]


@operation("BatchDeleteImage")
def batch_delete_image(contents: Contents, call: Call, request: Request) -> Output:
    repository = repository_of(call, request)
    deleted: list[dict[str, str]] = []
    failures = []
    for identifier in request["imageIds"]:
        image, failure = _identified(call.tx, repository, identifier)
        if image is None:
            failures.append(failure)
            continue
        try:
            deleted.extend(_delete(call.tx, image, identifier, call.now))
        except ServiceError as error:
            failures.append(_failure(identifier, error.code, error.message))
    return {"imageIds": deleted, "failures": failures}


@operation("ListImageReferrers")
def list_image_referrers(contents: Contents, call: Call, request: Request) -> Output:
    repository = repository_of(call, request)
    chosen = request.get("filter", {})
    subject, types = request["subjectId"]["imageDigest"], chosen.get("artifactTypes", [])
    found = images.referrers(call.tx, repository.arn, subject, types)
    if not _wants_active(chosen.get("artifactStatus", _STATUS)):
        found = []
    listed, token = page(found, lambda image: image.digest, request, _REFERRERS_PAGE)
    return {"referrers": [_referrer(image) for image in listed], **token}


def _referrer(image: Image) -> dict[str, Any]:
    referrer: dict[str, Any] = {
        "digest": image.digest,
        "mediaType": image.media_type,
        "size": image.size,
        "artifactStatus": _STATUS,
    }
    if kind := images.artifact_type(image):
        referrer["artifactType"] = kind
    if image.annotations:
        referrer["annotations"] = image.annotations
    return referrer
