"""Tags of repositories (those of AWS's resources, not of images)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from dryport.aws import arn
from dryport.aws.errors import ServiceError
from dryport.ecr import errors, images
from dryport.ecr.api.operations import Request, operation
from dryport.ecr.contents import Contents
from dryport.ecr.model import REPOSITORIES, Repository
from dryport.gateway.service import Call, Output

_MOST = 50


def checked_tags(held: Mapping[str, str], added: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The tags ``held`` with those ``added``. Raises InvalidTagParameterException and TooManyTagsException."""
    merged = dict(held)
    for tag in added:
        key, value = tag["Key"], tag["Value"]
        if not 1 <= len(key) <= 128 or len(value) > 256:
            message = "Tag keys can have a maximum character length of 128 characters, and tag values 256 characters."
            raise ServiceError("InvalidTagParameterException", message)
        if key.lower().startswith("aws:"):
            message = "Tag keys that start with 'aws:' are reserved for system use."
            raise ServiceError("InvalidTagParameterException", message)
        merged[key] = value
    if len(merged) > _MOST:
        raise ServiceError("TooManyTagsException", f"A repository can have at most {_MOST} tags.")
    return [{"Key": key, "Value": value} for key, value in merged.items()]


def _repository(call: Call, request: Request) -> Repository:
    named = arn.parse(request["resourceArn"])
    if named is None or named.service != "ecr" or not named.resource.startswith("repository/"):
        raise errors.invalid_parameter("resourceArn", "Invalid ARN")
    if named.account != call.account:
        raise errors.not_authorized(call.principal.arn, f"ecr:{call.operation}", request["resourceArn"])
    return images.repository(call.tx, named.account, named.region, named.resource.removeprefix("repository/"))


@operation("TagResource")
def tag_resource(contents: Contents, call: Call, request: Request) -> Output:
    repository = _repository(call, request)
    held = {tag["Key"]: tag["Value"] for tag in repository.tags}
    call.tx.put(REPOSITORIES, replace(repository, tags=checked_tags(held, request["tags"])))
    return {}


@operation("UntagResource")
def untag_resource(contents: Contents, call: Call, request: Request) -> Output:
    repository = _repository(call, request)
    gone = set(request["tagKeys"])
    call.tx.put(REPOSITORIES, replace(repository, tags=[tag for tag in repository.tags if tag["Key"] not in gone]))
    return {}


@operation("ListTagsForResource")
def list_tags_for_resource(contents: Contents, call: Call, request: Request) -> Output:
    return {"tags": _repository(call, request).tags}
