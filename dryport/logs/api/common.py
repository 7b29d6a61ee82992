"""What the operations share: finding the group that a request names, refusals, milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dryport.aws import arn
from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call
from dryport.logs import model
from dryport.logs.model import LogGroup
from dryport.store import Reader


def invalid(message: str) -> ServiceError:
    """An InvalidParameterException."""
    return ServiceError("InvalidParameterException", message)


def missing_group() -> ServiceError:
    """What a group that isn't there answers."""
    return ServiceError("ResourceNotFoundException", "The specified log group does not exist.")


def missing_stream() -> ServiceError:
    """What a stream that isn't there answers."""
    return ServiceError("ResourceNotFoundException", "The specified log stream does not exist.")


def bad_token() -> ServiceError:
    """What a token that we did not give out answers."""
    return invalid("The specified nextToken is invalid.")


def milliseconds(call: Call) -> int:
    """The call's time."""
    return int(call.now * 1000)


def named(reader: Reader, call: Call, name: str) -> LogGroup:
    """The group of this name in the caller's account and region. Raises ServiceError where there is none."""
    group = model.find(reader, call.account, call.region, name)
    if group is None:
        raise missing_group()
    return group


def name_of(call: Call, identifier: str) -> str | None:
    """The name in a group's ARN (with or without ``:*``) or name; ``None`` for another account's or region's."""
    parsed = arn.parse(identifier)
    if parsed is None:
        return identifier
    kind, _, name = parsed.resource.partition(":")
    if (parsed.service, parsed.region, parsed.account, kind) != ("logs", call.region, call.account, "log-group"):
        return None
    return name.removesuffix(":*")


def identified(reader: Reader, call: Call, request: Mapping[str, Any]) -> LogGroup:
    """The group that ``logGroupName`` or ``logGroupIdentifier`` names. Raises ServiceError where there is none."""
    name, identifier = request.get("logGroupName"), request.get("logGroupIdentifier")
    if name is not None and identifier is not None:
        raise ServiceError("ValidationException", "LogGroup name and LogGroup ARN are mutually exclusive parameters.")
    if name is None and identifier is None:
        raise invalid("You must specify either logGroupName or logGroupIdentifier.")
    if name is None:
        name = name_of(call, str(identifier))
    if name is None:
        raise missing_group()
    return named(reader, call, name)
