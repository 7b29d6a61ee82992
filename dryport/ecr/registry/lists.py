"""What there is: repositories, tags, referrers. OCI distribution specification 1.1, "Content Discovery"."""

from __future__ import annotations

import bisect
from typing import Any

import msgspec

from dryport.ecr import images, manifest
from dryport.ecr.model import REPOSITORIES, TAGS, Image
from dryport.ecr.registry.errors import RegistryError
from dryport.ecr.registry.request import Headers, Request

_PAGE = 1000  # names at most in one answer, as in ECR


def _page(request: Request, path: str, items: list[str]) -> tuple[list[str], Headers]:
    """The page of sorted names that ``n`` and ``last`` ask for, and the link to the next one."""
    text = request.parameters.get("n", "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RegistryError(400, "PAGINATION_NUMBER_INVALID", f"n={text} is not a number of results")
    count = min(int(text), _PAGE) if text else _PAGE
    last = request.parameters.get("last", "")
    start = bisect.bisect_right(items, last) if last else 0
    page = items[start : start + count]
    more = page and start + count < len(items)
    return page, [request.next_page(path, count, page[-1])] if more else []


async def tags(request: Request) -> None:
    """A repository's tags, in lexical order."""
    repository = request.repository
    held = sorted(tag.name for tag in request.reader.find(TAGS, "repository", repository.arn))
    page, link = _page(request, f"/v2/{repository.name}/tags/list", held)
    await request.settled()
    request.respond_json(msgspec.json.encode({"name": repository.name, "tags": page}), link)


async def catalog(request: Request) -> None:
    """The registry's repositories, in lexical order."""
    found = request.reader.find(REPOSITORIES, "registry", f"{request.account}/{request.region}")
    page, link = _page(request, "/v2/_catalog", sorted(repository.name for repository in found))
    await request.settled()
    request.respond_json(msgspec.json.encode({"repositories": page}), link)


def descriptor(image: Image) -> dict[str, Any]:
    """A referrer as the index of referrers lists it."""
    entry: dict[str, Any] = {"mediaType": image.media_type, "digest": image.digest, "size": image.size}
    if kind := images.artifact_type(image):
        entry["artifactType"] = kind
    if image.annotations:
        entry["annotations"] = image.annotations
    return entry


async def referrers(request: Request) -> None:
    """The manifests whose subject a digest is; an empty index where there is none."""
    subject = request.digest(request.route.target)
    wanted = request.parameters.get("artifactType")
    found = images.referrers(request.reader, request.repository.arn, subject, [wanted] if wanted else [])
    index = {
        "schemaVersion": 2,
        "mediaType": manifest.OCI_INDEX,
        "manifests": [descriptor(image) for image in found],
    }
    headers: Headers = [("oci-filters-applied", "artifactType")] if wanted else []
    await request.settled()
    request.respond_json(msgspec.json.encode(index), headers, manifest.OCI_INDEX)
