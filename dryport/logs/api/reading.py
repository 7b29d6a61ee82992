"""GetLogEvents and FilterLogEvents."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dryport.gateway.service import Call, Output, Service
from dryport.logs import events, pattern, streams
from dryport.logs.admission import DAY
from dryport.logs.api.common import bad_token, identified, invalid, milliseconds, missing_stream
from dryport.logs.events import PAGE_EVENTS, Event, Found
from dryport.logs.model import LogGroup
from dryport.logs.storage import LogStorage
from dryport.logs.tokens import END, Direction, Position, directed, event_id, opaque, parse_directed, parse_opaque

if TYPE_CHECKING:
    from types_boto3_logs import type_defs as shapes

_SEARCHABLE_BACKWARD = 1_704_067_200_000  # 2024-01-01T00:00:00Z, see startFromHead of FilterLogEvents


def register(service: Service, storage: LogStorage) -> None:
    """Add the operations of this module. ``unmask`` has nothing to do: no data is ever masked here."""
    handlers = _Reading(storage)
    service.operation("GetLogEvents")(handlers.get)
    service.operation("FilterLogEvents")(handlers.filter)


class _Reading:
    def __init__(self, storage: LogStorage) -> None:
        self._storage = storage

    async def get(self, call: Call, request: shapes.GetLogEventsRequestTypeDef) -> Output:
        group = identified(call.store.reader, call, request)
        after = _from(call, group, request.get("startTime"))
        before = Position(request.get("endTime", END.timestamp), 0)
        token = request.get("nextToken")
        direction: Direction = "f" if request.get("startFromHead", False) else "b"
        if token is not None:
            parsed = parse_directed(token)
            if parsed is None:
                raise bad_token()
            direction, at = parsed
            if direction == "f":
                after = max(after, at)
            else:
                before = min(before, at)
        limit = request.get("limit", PAGE_EVENTS)

        def work(connection: sqlite3.Connection) -> list[Event]:
            stream = streams.find(connection, group.number, request["logStreamName"])
            if stream is None:
                raise missing_stream()
            return events.page(connection, stream.id, after, before, limit, direction == "b")

        found = await self._storage.read(work)
        forward, backward = _tokens(found, after, before, direction, token)
        return {
            "events": [
                {"timestamp": event.timestamp, "message": event.message, "ingestionTime": event.ingested}
                for event in found
            ],
            "nextForwardToken": forward,
            "nextBackwardToken": backward,
        }

    async def filter(self, call: Call, request: shapes.FilterLogEventsRequestTypeDef) -> Output:
        group = identified(call.store.reader, call, request)
        names, prefix = request.get("logStreamNames"), request.get("logStreamNamePrefix", "")
        if names is not None and prefix:
            raise invalid("Cannot specify both logStreamNames and logStreamNamePrefix.")
        after = _from(call, group, request.get("startTime"))
        before = Position(
            min(request.get("endTime", END.timestamp), END.timestamp - 1) + 1, 0
        )  # endTime itself is included
        backward = _backward(request)
        token = request.get("nextToken")
        if token is not None:
            backward, at = _search_token(token)
            if backward:
                before = min(before, at)
            else:
                after = max(after, at)
        matches = _matcher(request.get("filterPattern", ""))
        limit = request.get("limit", PAGE_EVENTS)

        def work(connection: sqlite3.Connection) -> Found:
            for name in names or ():
                if streams.find(connection, group.number, name) is None:
                    raise missing_stream()
            wanted = streams.with_events(connection, group.number, names, prefix, after.timestamp, before.timestamp)
            return events.search(connection, wanted, after, before, limit, backward, matches)

        found = await self._storage.read(work)
        answer: dict[str, Any] = {"events": [_filtered(event) for event in found.events], "searchedLogStreams": []}
        if found.next is not None:
            answer["nextToken"] = opaque("b" if backward else "f", event_id(found.next))
        return answer


def _from(call: Call, group: LogGroup, start: int | None) -> Position:
    """The position before the first event that may be seen: by ``startTime``, and by what has expired."""
    first = start or 0
    if group.retention is not None:
        first = max(first, milliseconds(call) - group.retention * DAY)
    return Position(first, 0)  # sequence numbers start at 1


def _tokens(
    found: list[Event], after: Position, before: Position, direction: Direction, token: str | None
) -> tuple[str, str]:
    """The forward and the backward token of a page. At an end, they repeat the token that was given."""
    if found:
        return directed("f", found[-1].position), directed("b", found[0].position)
    if token is None:
        return directed("f", after), directed("b", after)
    if direction == "f":
        # Backwards from here comes what lies up to this position, itself included.
        return token, directed("b", Position(after.timestamp, after.sequence + 1))
    return directed("f", Position(before.timestamp, max(before.sequence - 1, 0))), token


def _backward(request: shapes.FilterLogEventsRequestTypeDef) -> bool:
    if request.get("startFromHead", True):
        return False
    if request.get("startTime", _SEARCHABLE_BACKWARD) < _SEARCHABLE_BACKWARD:
        raise invalid("startFromHead can be false only if startTime is on or after Jan 1, 2024 00:00:00 UTC.")
    return True


def _search_token(token: str) -> tuple[bool, Position]:
    parts = parse_opaque(token, 2)
    at = None if parts is None else parse_directed(f"{parts[0]}/{parts[1]}/s")
    if at is None:
        raise bad_token()
    return at[0] == "b", at[1]


def _matcher(text: str) -> Callable[[str], bool] | None:
    parsed = pattern.parse(text)
    return None if parsed is None else parsed.matches


def _filtered(event: Event) -> dict[str, Any]:
    return {
        "logStreamName": event.stream,
        "timestamp": event.timestamp,
        "message": event.message,
        "ingestionTime": event.ingested,
        "eventId": event_id(event.position),
    }
