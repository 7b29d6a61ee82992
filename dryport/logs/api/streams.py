"""Log streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.logs import streams
from dryport.logs.api.common import bad_token, identified, invalid, milliseconds, missing_stream, named
from dryport.logs.model import LogGroup
from dryport.logs.storage import LogStorage
from dryport.logs.streams import Stream
from dryport.logs.tokens import Position, event_id, opaque, parse_opaque

if TYPE_CHECKING:
    from types_boto3_logs import type_defs as shapes

_PAGE = 50


def register(service: Service, storage: LogStorage) -> None:
    """Add the operations of this module."""
    handlers = _Streams(storage)
    service.operation("CreateLogStream")(handlers.create)
    service.operation("DeleteLogStream")(handlers.delete)
    service.operation("DescribeLogStreams")(handlers.describe)


class _Streams:
    def __init__(self, storage: LogStorage) -> None:
        self._storage = storage

    async def create(self, call: Call, request: shapes.CreateLogStreamRequestTypeDef) -> Output:
        group = named(call.store.reader, call, request["logGroupName"])
        await call.store.settled()
        name, now = request["logStreamName"], milliseconds(call)
        if not await self._storage.write(lambda connection: streams.create(connection, group.number, name, now)):
            raise ServiceError("ResourceAlreadyExistsException", "The specified log stream already exists")
        return None

    async def delete(self, call: Call, request: shapes.DeleteLogStreamRequestTypeDef) -> Output:
        group = named(call.store.reader, call, request["logGroupName"])
        name = request["logStreamName"]
        if not await self._storage.write(lambda connection: streams.delete(connection, group.number, name)):
            raise missing_stream()
        return None

    async def describe(self, call: Call, request: shapes.DescribeLogStreamsRequestTypeDef) -> Output:
        group = identified(call.store.reader, call, request)
        by_time = request.get("orderBy", "LogStreamName") == "LastEventTime"
        prefix = request.get("logStreamNamePrefix", "")
        if by_time and prefix:
            raise invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
        descending = request.get("descending", False)
        limit = request.get("limit", _PAGE)
        after = _after(request.get("nextToken"))
        if by_time:
            page = await self._storage.read(
                lambda c: streams.by_last_event(c, group.number, after, descending, limit + 1)
            )
        else:
            name = None if after is None else after[1]
            page = await self._storage.read(
                lambda c: streams.by_name(c, group.number, prefix, name, descending, limit + 1)
            )
        answer: dict[str, Any] = {"logStreams": [_described(group, stream) for stream in page[:limit]]}
        if len(page) > limit:
            last = page[limit - 1]
            answer["nextToken"] = opaque(str(last.last or 0), last.name)
        return answer


def _after(token: str | None) -> tuple[int, str] | None:
    if token is None:
        return None
    parts = parse_opaque(token, 2)
    if parts is None or not parts[0].isdecimal():
        raise bad_token()
    return int(parts[0]), parts[1]


def _described(group: LogGroup, stream: Stream) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "logStreamName": stream.name,
        "creationTime": stream.created,
        "arn": f"{group.arn}:log-stream:{stream.name}",
        # "no longer supported for log streams, and is always reported as zero", says AWS since 2019.
        "storedBytes": 0,
    }
    if stream.last is not None and stream.ingested is not None:
        if stream.first is not None:
            shape["firstEventTimestamp"] = stream.first
        shape["lastEventTimestamp"] = stream.last
        shape["lastIngestionTime"] = stream.ingested
        shape["uploadSequenceToken"] = event_id(Position(stream.ingested, stream.id))
    return shape
