"""Log groups and their retention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.gateway.service import Call, Output, Service
from dryport.logs import model, streams
from dryport.logs.api.common import bad_token, identified, invalid, milliseconds, missing_group, name_of, named
from dryport.logs.api.tags import check_tags
from dryport.logs.model import LOG_GROUPS, LogGroup
from dryport.logs.storage import LogStorage
from dryport.logs.tokens import opaque, parse_opaque

if TYPE_CHECKING:
    from types_boto3_logs import type_defs as shapes

_PAGE = 50
# API reference of PutRetentionPolicy, retentionInDays.
RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip
_WITHOUT_PATTERN = ("storedBytes", "retentionInDays", "deletionProtectionEnabled")
_OTHER_ACCOUNTS = ("accountIdentifiers", "includeLinkedAccounts")


def register(service: Service, storage: LogStorage) -> None:
    """Add the operations of this module."""
    groups = _Groups(storage)
    service.operation("CreateLogGroup", unsupported=("kmsKeyId",))(create)
    service.operation("DeleteLogGroup")(groups.delete)
    service.operation("DescribeLogGroups", unsupported=_OTHER_ACCOUNTS)(groups.describe)
    service.operation(
        "ListLogGroups", unsupported=(*_OTHER_ACCOUNTS, "dataSources", "fieldIndexNames", "logGroupTags")
    )(list_groups)
    service.operation("PutRetentionPolicy")(put_retention)
    service.operation("DeleteRetentionPolicy")(delete_retention)
    service.operation("PutLogGroupDeletionProtection")(put_deletion_protection)


def create(call: Call, request: shapes.CreateLogGroupRequestTypeDef) -> Output:
    name = request["logGroupName"]
    log_class = request.get("logGroupClass", "STANDARD")
    if log_class != "STANDARD":
        raise unsupported_parameter("logs", "CreateLogGroup", f"logGroupClass {log_class}")
    if name.lower().startswith("aws/"):
        raise invalid("Log groups starting with AWS/ are reserved for AWS.")
    tags = dict(request.get("tags", {}))
    check_tags({}, tags)
    if model.find(call.tx, call.account, call.region, name) is not None:
        raise ServiceError("ResourceAlreadyExistsException", "The specified log group already exists")
    call.tx.put(
        LOG_GROUPS,
        LogGroup(
            account=call.account,
            region=call.region,
            name=name,
            number=call.tx.next("logs.group"),
            created=milliseconds(call),
            tags=tags,
            deletion_protection=request.get("deletionProtectionEnabled", False),
        ),
    )
    return None


def list_groups(call: Call, request: shapes.ListLogGroupsRequestTypeDef) -> Output:
    found = _in_region(call)
    if request.get("logGroupClass", "STANDARD") != "STANDARD":
        found = []
    alternatives = request.get("logGroupNamePattern", "").split("|")
    page, more = _page(
        [group for group in found if any(_resembles(group.name, wanted) for wanted in alternatives)],
        request.get("nextToken"),
        request.get("limit", _PAGE),
    )
    summaries = [{"logGroupName": group.name, "logGroupArn": group.arn, "logGroupClass": "STANDARD"} for group in page]
    return {"logGroups": summaries, **more}


def _resembles(name: str, wanted: str) -> bool:
    return name.startswith(wanted[1:]) if wanted.startswith("^") else wanted in name


def put_retention(call: Call, request: shapes.PutRetentionPolicyRequestTypeDef) -> Output:
    days = request["retentionInDays"]
    if days not in RETENTION_DAYS:
        raise invalid(
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(map(str, RETENTION_DAYS))}]"
        )
    _change(call, named(call.tx, call, request["logGroupName"]), retention=days)
    return None


def delete_retention(call: Call, request: shapes.DeleteRetentionPolicyRequestTypeDef) -> Output:
    _change(call, named(call.tx, call, request["logGroupName"]), retention=None)
    return None


def put_deletion_protection(call: Call, request: dict[str, Any]) -> Output:
    group = identified(call.tx, call, {"logGroupIdentifier": request["logGroupIdentifier"]})
    _change(call, group, deletion_protection=request["deletionProtectionEnabled"])
    return None


def _change(call: Call, group: LogGroup, **members: Any) -> None:
    call.tx.put(LOG_GROUPS, msgspec.structs.replace(group, **members))


def _in_region(call: Call) -> list[LogGroup]:
    found = call.store.reader.find(LOG_GROUPS, "scope", model.scope(call.account, call.region))
    return sorted(found, key=lambda group: group.name)


def _page(groups: list[LogGroup], token: str | None, limit: int) -> tuple[list[LogGroup], dict[str, str]]:
    """A page of groups in order of their names, and the ``nextToken`` member where there are more."""
    if token is not None:
        parts = parse_opaque(token, 1)
        if parts is None:
            raise bad_token()
        groups = [group for group in groups if group.name > parts[0]]
    page = groups[:limit]
    return page, {"nextToken": opaque(page[-1].name)} if len(groups) > limit else {}


class _Groups:
    """The operations that look into the event storage too."""

    def __init__(self, storage: LogStorage) -> None:
        self._storage = storage

    async def delete(self, call: Call, request: shapes.DeleteLogGroupRequestTypeDef) -> Output:
        group = named(call.store.reader, call, request["logGroupName"])
        if group.deletion_protection:
            raise ServiceError(
                "ValidationException",
                f"Log group {group.name} cannot be deleted because deletion protection is enabled.",
            )
        await call.store.transact(lambda tx: tx.delete(LOG_GROUPS, LOG_GROUPS.key(group)))
        # Killed here, the next sweep finds events without a group and does the same.
        await self._storage.write(lambda connection: streams.delete_group(connection, group.number))
        return None

    async def describe(self, call: Call, request: shapes.DescribeLogGroupsRequestTypeDef) -> Output:
        found = _in_region(call)
        prefix, pattern = request.get("logGroupNamePrefix"), request.get("logGroupNamePattern")
        identifiers = request.get("logGroupIdentifiers")
        if prefix is not None and pattern is not None:
            raise invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
        if identifiers is not None:
            if prefix is not None or pattern is not None or "logGroupClass" in request:
                raise invalid("logGroupIdentifiers cannot be combined with other filters.")
            names = {name_of(call, identifier) for identifier in identifiers}
            if names - {group.name for group in found}:
                raise missing_group()
            found = [group for group in found if group.name in names]
        if request.get("logGroupClass", "STANDARD") != "STANDARD":
            found = []
        found = [group for group in found if group.name.startswith(prefix or "") and (pattern or "") in group.name]
        page, more = _page(found, request.get("nextToken"), request.get("limit", _PAGE))
        sizes = await self._storage.read(lambda c: streams.group_bytes(c, [group.number for group in page]))
        await call.store.settled()
        shapes_found = [_described(group, sizes.get(group.number, 0)) for group in page]
        if pattern is not None:
            # As AWS's answers to a logGroupNamePattern are.
            shapes_found = [
                {name: value for name, value in shape.items() if name not in _WITHOUT_PATTERN} for shape in shapes_found
            ]
        return {"logGroups": shapes_found, **more}


def _described(group: LogGroup, size: int) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "logGroupName": group.name,
        "creationTime": group.created,
        "metricFilterCount": 0,
        "arn": f"{group.arn}:*",
        "storedBytes": size,
        "logGroupClass": "STANDARD",
        "logGroupArn": group.arn,
        "deletionProtectionEnabled": group.deletion_protection,
    }
    if group.retention is not None:
        shape["retentionInDays"] = group.retention
    return shape
