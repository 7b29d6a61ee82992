"""Repositories: create, describe, delete, tag mutability, scanning configuration."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import unsupported_parameter
from dryport.ecr import errors, images, mutability
from dryport.ecr.api.operations import Request, identity, operation, registry_id, repository_of
from dryport.ecr.api.pages import page
from dryport.ecr.api.tags import checked_tags
from dryport.ecr.contents import Contents
from dryport.ecr.model import IMAGES, REPOSITORIES, Repository
from dryport.ecr.names import is_repository_name, registry_host, repository_arn
from dryport.gateway.service import Call, Output

_PAGE = 100
_NAME_RULE = (
    "must satisfy regular expression '[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*'"
)
_FILTERS = "imageTagMutabilityExclusionFilters"
_SCANNING = "imageScanningConfiguration.scanOnPush"


def describe(contents: Contents, repository: Repository) -> dict[str, Any]:
    """A repository as ECR describes it."""
    port = contents.context.config.port
    described = {
        "repositoryArn": repository.arn,
        "registryId": repository.account,
        "repositoryName": repository.name,
        "repositoryUri": f"{registry_host(repository.account, repository.region, port)}/{repository.name}",
        "createdAt": repository.created_at,
        "imageTagMutability": repository.tag_mutability,
        "imageScanningConfiguration": {"scanOnPush": False},
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }
    if repository.tag_exclusions:
        described[_FILTERS] = _filters(repository)
    return described


def _filters(repository: Repository) -> list[dict[str, str]]:
    return [{"filterType": "WILDCARD", "filter": pattern} for pattern in repository.tag_exclusions]


def _checked_exclusions(request: Request, setting: str) -> list[str]:
    """The exclusion filters of a request for a mutability setting. Raises InvalidParameterException."""
    filters = request.get(_FILTERS)
    if setting.endswith("_WITH_EXCLUSION") != (filters is not None):
        state = "be null" if filters is None else "be specified"
        constraint = f"ImageTagMutabilityExclusionFilters can't {state} when imageTagMutability is set as {setting}"
        raise errors.invalid_parameter(_FILTERS, constraint)
    patterns: list[str] = [entry["filter"] for entry in filters or []]
    for pattern in patterns:
        if pattern.count("*") > mutability.MAX_WILDCARDS:
            raise errors.invalid_parameter(
                _FILTERS, f"the filter {pattern} has more than {mutability.MAX_WILDCARDS} wildcards"
            )
    return patterns


@operation("CreateRepository", unsupported=("encryptionConfiguration.kmsKey", _SCANNING))
def create_repository(contents: Contents, call: Call, request: Request) -> Output:
    account, name = registry_id(call, request), request["repositoryName"]
    if not is_repository_name(name):
        raise errors.invalid_parameter("repositoryName", _NAME_RULE)
    if request.get("encryptionConfiguration", {}).get("encryptionType", "AES256") != "AES256":
        raise unsupported_parameter("ecr", "CreateRepository", "encryptionConfiguration.encryptionType")
    setting = request.get("imageTagMutability", "MUTABLE")
    repository = Repository(
        arn=repository_arn(account, call.region, name),
        name=name,
        account=account,
        region=call.region,
        created_at=call.now,
        tag_mutability=setting,
        tag_exclusions=_checked_exclusions(request, setting),
        tags=checked_tags({}, request.get("tags", [])),
    )
    if call.tx.get(REPOSITORIES, repository.arn) is not None:
        raise errors.repository_exists(name, account)
    call.tx.put(REPOSITORIES, repository)
    return {"repository": describe(contents, repository)}


@operation("DescribeRepositories")
def describe_repositories(contents: Contents, call: Call, request: Request) -> Output:
    account = registry_id(call, request)
    if "repositoryNames" in request:
        if "maxResults" in request or "nextToken" in request:
            raise errors.invalid_parameter("maxResults", "must not be given together with repositoryNames")
        wanted = dict.fromkeys(request["repositoryNames"])
        named = [images.repository(call.tx, account, call.region, name) for name in wanted]
        return {"repositories": [describe(contents, repository) for repository in named]}
    found = call.tx.find(REPOSITORIES, "registry", f"{account}/{call.region}")
    chosen, token = page(found, lambda repository: repository.name, request, _PAGE)
    return {"repositories": [describe(contents, repository) for repository in chosen], **token}


@operation("DeleteRepository")
def delete_repository(contents: Contents, call: Call, request: Request) -> Output:
    repository = repository_of(call, request)
    if not request.get("force") and call.tx.count(IMAGES, "repository", repository.arn):
        raise errors.repository_not_empty(repository.name, repository.account)
    images.delete_repository(call.tx, repository)
    described = describe(contents, repository)
    # The answer to a deletion says nothing of these.
    del described["imageScanningConfiguration"], described["encryptionConfiguration"]
    return {"repository": described}


@operation("PutImageTagMutability")
def put_image_tag_mutability(contents: Contents, call: Call, request: Request) -> Output:
    repository, setting = repository_of(call, request), request["imageTagMutability"]
    changed = replace(repository, tag_mutability=setting, tag_exclusions=_checked_exclusions(request, setting))
    call.tx.put(REPOSITORIES, changed)
    answer: dict[str, Any] = {**identity(changed), "imageTagMutability": setting}
    if changed.tag_exclusions:
        answer[_FILTERS] = _filters(changed)
    return answer


@operation("PutImageScanningConfiguration", unsupported=(_SCANNING,))
def put_image_scanning_configuration(contents: Contents, call: Call, request: Request) -> Output:
    repository = repository_of(call, request)
    return {**identity(repository), "imageScanningConfiguration": {"scanOnPush": False}}
