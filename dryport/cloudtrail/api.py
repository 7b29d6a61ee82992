"""CloudTrail's operations: LookupEvents, and the trails that there are not."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from dryport.aws.errors import ServiceError
from dryport.cloudtrail import events, resources
from dryport.cloudtrail.recorder import Found, Place, Recorder, Search
from dryport.gateway.service import Call, Output, Service

_MOST = 50  # events of a page


def service(recorder: Recorder) -> Service:
    """The service; ``recorder`` has the events."""
    made = Service("cloudtrail")

    async def lookup_events(call: Call, request: Any) -> Output:
        return await _lookup(call, request, recorder)

    made.operation("LookupEvents", unsupported=("EventCategory",))(lookup_events)
    made.operation("DescribeTrails", unsupported=("trailNameList",))(describe_trails)
    made.operation("ListTrails", unsupported=("NextToken",))(list_trails)
    return made


async def _lookup(call: Call, request: Any, recorder: Recorder) -> Output:
    """Events of the last 90 days in this region, the newest first."""
    attributes = request.get("LookupAttributes") or ()
    if len(attributes) > 1:
        raise ServiceError("InvalidLookupAttributesException", "You can specify only one lookup attribute.")
    attribute, value = (attributes[0]["AttributeKey"], attributes[0]["AttributeValue"]) if attributes else (None, "")
    start, end = request.get("StartTime", 0.0), request.get("EndTime", call.now)
    if start > end:
        message = "The specified time range is not valid: the start time is after the end time."
        raise ServiceError("InvalidTimeRangeException", message)
    limit = request.get("MaxResults", _MOST)
    wanted = Search(call.account, call.region, start, end, attribute, value, _position(request), limit + 1)
    found = await recorder.search(wanted)
    shown = found[:limit]
    more = {"NextToken": _token(shown[-1])} if len(found) > limit else {}
    return {"Events": [_summary(each) for each in shown], **more}


def _position(request: Any) -> Place | None:
    token = request.get("NextToken")
    if token is None:
        return None
    try:
        return Place(*msgspec.json.decode(base64.b64decode(token, validate=True), type=tuple[str, int]))
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise ServiceError("InvalidNextTokenException", "The next token is not valid.") from error


def _token(last: Found) -> str:
    return base64.b64encode(msgspec.json.encode(last.place)).decode()


def _summary(found: Found) -> dict[str, Any]:
    record = found.record
    return {
        "EventId": events.event_id(record),
        "EventName": record.operation,
        "ReadOnly": "true" if events.is_read_only(record.operation) else "false",
        "AccessKeyId": record.principal.access_key_id,
        "EventTime": float(int(record.time)),
        "EventSource": events.source(record),
        "Username": events.user_name(record.principal),
        "Resources": [{"ResourceType": one.type, "ResourceName": one.name} for one in resources.of(record)],
        "CloudTrailEvent": msgspec.json.encode(events.event(record)).decode(),
    }


def describe_trails(call: Call, request: Any) -> Output:
    """There are no trails: every event is in the history, none goes to a bucket."""
    return {"trailList": []}


def list_trails(call: Call, request: Any) -> Output:
    """There are no trails."""
    return {"Trails": []}
