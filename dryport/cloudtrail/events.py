"""Calls in CloudTrail's event format. Pure.

Source: "CloudTrail record contents for management, data, network activity, and Insights events", CloudTrail user guide.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

import msgspec

from dryport.aws import arn
from dryport.gateway.service import Principal

_VERSION = "1.11"
_EVENTS = uuid.UUID("5d3c7a52-7c0f-4d5e-9c54-6f1d0f6c6a11")  # the namespace of events' ids
_READING = "Describe Get List Lookup Search Simulate Filter Head Discover BatchGet BatchCheck"
_READS = tuple(_READING.split())
_SESSIONS = frozenset(("AssumeRole", "AssumeRoleWithWebIdentity", "GetFederationToken", "GetSessionToken"))
_OBJECTS = """
    GetObject HeadObject PutObject DeleteObject DeleteObjects CopyObject ListObjects ListObjectsV2 ListObjectVersions
    CreateMultipartUpload UploadPart UploadPartCopy CompleteMultipartUpload AbortMultipartUpload ListParts
    ListMultipartUploads GetObjectTagging PutObjectTagging DeleteObjectTagging GetObjectAcl PutObjectAcl
    GetObjectAttributes
"""
# Calls that move data, by botocore's name of the service.
_DATA = {
    "s3": frozenset(_OBJECTS.split()),
    "cloudwatch": frozenset(("PutMetricData", "GetMetricData", "GetMetricStatistics", "ListMetrics")),
    "logs": frozenset(("PutLogEvents", "GetLogEvents")),
    "servicediscovery": frozenset(("DiscoverInstances", "DiscoverInstancesRevision")),
}


class Record(msgspec.Struct, frozen=True):
    """A call as it was kept: an ``Occurrence``, read again."""

    time: float
    request_id: str
    source: str
    operation: str
    principal: Principal
    role_arn: str | None
    issued: float | None
    region: str
    source_ip: str
    user_agent: str
    error: str
    message: str
    given: Any
    output: Any


def event_id(record: Record) -> str:
    """The id of an event: it follows from its request's."""
    return str(uuid.uuid5(_EVENTS, record.request_id))


def source(record: Record) -> str:
    """The service that was called, as events name it."""
    return f"{record.source}.amazonaws.com"


def is_management(service: str, operation: str) -> bool:
    """Whether a call is a management event."""
    return operation not in _DATA.get(service, ())


def is_read_only(operation: str) -> bool:
    """Whether a call changes nothing."""
    return operation.startswith(_READS) or operation in _SESSIONS


def is_answered(operation: str) -> bool:
    """Whether an event tells what was answered: for what changes something, and for sessions."""
    return not is_read_only(operation) or operation in _SESSIONS


def user_name(principal: Principal) -> str:
    """The name that LookupEvents has for a caller: a user's, a session's, ``root``."""
    parsed = arn.parse(principal.arn)
    return parsed.resource.rpartition("/")[2] if parsed is not None else ""


def identity(record: Record) -> dict[str, Any]:
    """``userIdentity``: who called."""
    principal = record.principal
    parsed = arn.parse(principal.arn)
    kind = parsed.resource.partition("/")[0] if parsed is not None else "root"
    types = {"user": "IAMUser", "assumed-role": "AssumedRole", "federated-user": "FederatedUser"}
    shown: dict[str, Any] = {
        "type": types.get(kind, "Root"),
        "principalId": principal.user_id,
        "arn": principal.arn,
        "accountId": principal.account,
        "accessKeyId": principal.access_key_id,
    }
    if kind == "user":
        shown["userName"] = user_name(principal)
    if record.issued is not None:
        context: dict[str, Any] = {
            "attributes": {"creationDate": timestamp(record.issued), "mfaAuthenticated": "false"}
        }
        role = arn.parse(record.role_arn or "")
        if role is not None:
            context["sessionIssuer"] = {
                "type": "Role",
                "principalId": principal.user_id.partition(":")[0],
                "arn": record.role_arn,
                "accountId": role.account,
                "userName": role.resource.rpartition("/")[2],
            }
        shown["sessionContext"] = context
    return shown


def timestamp(seconds: float) -> str:
    """A time as events have it: ``2026-11-26T21:05:00Z``."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def event(record: Record) -> dict[str, Any]:
    """A call as an event, its members in CloudTrail's order."""
    shown: dict[str, Any] = {
        "eventVersion": _VERSION,
        "userIdentity": identity(record),
        "eventTime": timestamp(record.time),
        "eventSource": source(record),
        "eventName": record.operation,
        "awsRegion": record.region,
        "sourceIPAddress": record.source_ip,
        "userAgent": record.user_agent,
    }
    if record.error:
        shown |= {"errorCode": record.error, "errorMessage": record.message}
    return shown | {
        "requestParameters": _lowered(record.given) or None,
        "responseElements": _lowered(record.output) or None,
        "requestID": record.request_id,
        "eventID": event_id(record),
        "readOnly": is_read_only(record.operation),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": record.principal.account,
        "eventCategory": "Management",
    }


def _lowered(value: Any) -> Any:
    """Members as CloudTrail spells them: ``roleName`` for ``RoleName``."""
    if isinstance(value, dict):
        return {_lower(name): _lowered(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_lowered(each) for each in value]
    return value


def _lower(name: str) -> str:
    """The first letter small; an abbreviation at the beginning (``DNSName``) stays."""
    return name if name[:2].isupper() else name[:1].lower() + name[1:]
