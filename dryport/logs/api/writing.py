"""PutLogEvents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dryport.gateway.service import Call, Output, Service
from dryport.logs import events
from dryport.logs.admission import EVENT_OVERHEAD, admit
from dryport.logs.api.common import milliseconds, missing_stream, named
from dryport.logs.storage import LogStorage
from dryport.logs.tokens import Position, event_id

if TYPE_CHECKING:
    from types_boto3_logs import type_defs as shapes


def register(service: Service, storage: LogStorage) -> None:
    """Add the operation of this module. Its ``sequenceToken`` is ignored, as AWS does since 2023."""
    service.operation("PutLogEvents", unsupported=("entity",))(_Writing(storage).put)


class _Writing:
    def __init__(self, storage: LogStorage) -> None:
        self._storage = storage

    async def put(self, call: Call, request: shapes.PutLogEventsRequestTypeDef) -> Output:
        group = named(call.store.reader, call, request["logGroupName"])
        name, now = request["logStreamName"], milliseconds(call)
        batch = [(event["timestamp"], event["message"]) for event in request["logEvents"]]
        sizes = [_size(text) for _, text in batch]
        admission = admit([stamp for stamp, _ in batch], sizes, now, group.retention)
        taken = slice(admission.start, admission.end)
        accepted = batch[taken]
        size = sum(sizes[taken]) + EVENT_OVERHEAD * len(accepted)
        sequence = await self._storage.write(
            lambda connection: events.append(connection, group.number, name, accepted, size, now)
        )
        if sequence is None:
            raise missing_stream()
        answer: dict[str, Any] = {"nextSequenceToken": event_id(Position(now, sequence))}
        if admission.rejected:
            answer["rejectedLogEventsInfo"] = admission.rejected
        return answer


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
