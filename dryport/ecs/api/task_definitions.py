"""Task definitions and their revisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dryport.ecs import lookup, tags
from dryport.ecs.api import SERVICE, pages, shapes
from dryport.ecs.lookup import client_error, invalid
from dryport.ecs.model import TASK_DEFINITIONS, Json, TaskDefinition, scope
from dryport.ecs.taskdef import register
from dryport.gateway.service import Call, Output

if TYPE_CHECKING:
    from types_boto3_ecs import type_defs as types

_MAX_DELETED = 10
_STATUSES = ("ACTIVE", "INACTIVE", "DELETE_IN_PROGRESS")


@SERVICE.operation(
    "RegisterTaskDefinition",
    unsupported=(
        "inferenceAccelerators",
        "proxyConfiguration",
        "enableFaultInjection",
        "trustedExecutionConfiguration",
        "containerDefinitions.credentialSpecs",
        "containerDefinitions.disableNetworking",
        "containerDefinitions.firelensConfiguration",
        "containerDefinitions.resourceRequirements.sharingStrategy",
        "volumes.dockerVolumeConfiguration",
        "volumes.s3filesVolumeConfiguration",
        "volumes.fsxWindowsFileServerVolumeConfiguration",
    ),
)
def register_task_definition(call: Call, request: types.RegisterTaskDefinitionRequestTypeDef) -> Output:
    """Make the next revision of a family."""
    if request.get("tags") == []:
        raise client_error("Tags can not be empty.")
    given = tags.given(request)
    body = register.normalize(request)
    family = body["family"]
    revision = call.tx.next(f"ecs.task_definition/{scope(call.account, call.region, family)}")
    definition = TaskDefinition(
        arn=lookup.task_definition_arn(call, family, revision),
        family=family,
        revision=revision,
        account=call.account,
        region=call.region,
        body=body,
        registered_at=call.now,
        registered_by=call.principal.arn,
        tags=given,
    )
    call.tx.put(TASK_DEFINITIONS, definition)
    answer: Json = {"taskDefinition": shapes.task_definition(definition)}
    if given:
        answer["tags"] = given
    return answer


@SERVICE.operation("DescribeTaskDefinition")
def describe_task_definition(call: Call, request: types.DescribeTaskDefinitionRequestTypeDef) -> Output:
    """Describe a revision, or a family's latest active one."""
    definition = lookup.task_definition(call, request["taskDefinition"])
    if definition is None:
        raise client_error("Unable to describe task definition.")
    return {
        "taskDefinition": shapes.TASK_DEFINITIONS_JSON.get(definition.arn, definition),
        "tags": definition.tags if "TAGS" in request.get("include", ()) else [],
    }


@SERVICE.operation("DeregisterTaskDefinition")
def deregister_task_definition(call: Call, request: types.DeregisterTaskDefinitionRequestTypeDef) -> Output:
    """Make a revision inactive: what runs stays, nothing new is started from it."""
    definition = _revision(call, request["taskDefinition"])
    if definition is None:
        raise client_error("The specified task definition does not exist.")
    if definition.status == "ACTIVE":
        definition = replace(definition, status="INACTIVE", deregistered_at=call.now)
        call.tx.put(TASK_DEFINITIONS, definition)
    return {"taskDefinition": shapes.TASK_DEFINITIONS_JSON.get(definition.arn, definition)}


@SERVICE.operation("DeleteTaskDefinitions")
def delete_task_definitions(call: Call, request: types.DeleteTaskDefinitionsRequestTypeDef) -> Output:
    """Have inactive revisions deleted: they go once no task uses them any more."""
    identifiers = request["taskDefinitions"]
    if not identifiers:
        raise invalid("size of TaskDefinition references list must be greater than 0")
    if len(identifiers) > _MAX_DELETED:
        raise invalid(f"Size of TaskDefinition references list cannot exceed {_MAX_DELETED}")
    deleted: list[Any] = []
    failures: list[Json] = []
    for identifier in identifiers:
        definition = _revision(call, identifier)
        if definition is None:
            failures.append({"arn": identifier, "reason": "The specified task definition does not exist."})
        elif definition.status == "ACTIVE":
            reason = (
                "The specified task definition is still in ACTIVE status. Please deregister the target and try again."
            )
            failures.append({"arn": definition.arn, "reason": reason})
        else:
            if definition.status == "INACTIVE":
                definition = replace(definition, status="DELETE_IN_PROGRESS", delete_requested_at=call.now)
                call.tx.put(TASK_DEFINITIONS, definition)
            deleted.append(shapes.TASK_DEFINITIONS_JSON.get(definition.arn, definition))
    return {"taskDefinitions": deleted, "failures": failures}


@SERVICE.operation("ListTaskDefinitions")
def list_task_definitions(call: Call, request: types.ListTaskDefinitionsRequestTypeDef) -> Output:
    """The revisions of a status, by family and revision."""
    keys = call.tx.keys(TASK_DEFINITIONS, "status", scope(call.account, call.region, request.get("status") or "ACTIVE"))
    family = request.get("familyPrefix")
    named = [(*_name(key), key) for key in keys]
    named = sorted(each for each in named if family in (None, each[0]))
    if request.get("sort") == "DESC":
        named.reverse()
    return pages.answer("taskDefinitionArns", [key for _, _, key in named], request)


@SERVICE.operation("ListTaskDefinitionFamilies")
def list_task_definition_families(call: Call, request: types.ListTaskDefinitionFamiliesRequestTypeDef) -> Output:
    """The families, those with an active revision, or those without one."""
    by_status = {status: _families(call, status) for status in _STATUSES}
    active = by_status["ACTIVE"]
    wanted = request.get("status") or "ALL"
    found = set(active) if wanted == "ACTIVE" else active.union(*by_status.values())
    if wanted == "INACTIVE":
        found -= active
    prefix = request.get("familyPrefix") or ""
    return pages.answer("families", sorted(family for family in found if family.startswith(prefix)), request)


def _revision(call: Call, identifier: str) -> TaskDefinition | None:
    if ":" not in identifier.rpartition("/")[2]:
        raise client_error("Revision is missing.")
    return lookup.task_definition(call, identifier)


def _families(call: Call, status: str) -> set[str]:
    keys = call.tx.keys(TASK_DEFINITIONS, "status", scope(call.account, call.region, status))
    return {_name(key)[0] for key in keys}


def _name(key: str) -> tuple[str, int]:
    family, _, revision = key.rpartition("/")[2].partition(":")
    return family, int(revision)
