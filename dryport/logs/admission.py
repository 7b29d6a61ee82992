"""Which events of a PutLogEvents batch are taken in. Pure.

Source: API reference of PutLogEvents, "The batch of events must satisfy the following constraints".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from dryport.aws.errors import ServiceError

MAX_BATCH_BYTES = 1_048_576
MAX_EVENT_BYTES = 1_048_576
EVENT_OVERHEAD = 26  # bytes that an event counts beyond its message
HOUR = 3_600_000
DAY = 24 * HOUR
_OLDEST = 14 * DAY
_NEWEST = 2 * HOUR


@dataclass(frozen=True, slots=True)
class Admission:
    """Events ``start`` to ``end`` (exclusive) are taken in; ``rejected`` is AWS's ``RejectedLogEventsInfo``."""

    start: int
    end: int
    rejected: dict[str, int] = field(default_factory=dict)


def _refuse(message: str) -> ServiceError:
    return ServiceError("InvalidParameterException", message)


def admit(timestamps: Sequence[int], sizes: Sequence[int], now: int, retention: int | None) -> Admission:
    """Decide on a batch, given its events' time stamps (ms) and the sizes of their messages in UTF-8 bytes.

    ``now`` is in milliseconds, ``retention`` in days. Raises ServiceError where AWS refuses the whole batch.
    """
    total = sum(sizes) + EVENT_OVERHEAD * len(sizes)
    largest = max(sizes)
    if largest > MAX_EVENT_BYTES - EVENT_OVERHEAD:
        raise _refuse(f"Log event too large: {largest + EVENT_OVERHEAD} bytes exceeds limit of {MAX_EVENT_BYTES}")
    if total > MAX_BATCH_BYTES:
        raise _refuse(f"Upload too large: {total} bytes exceeds limit of {MAX_BATCH_BYTES}")
    if any(later < earlier for earlier, later in pairwise(timestamps)):
        raise _refuse("Log events in a single PutLogEvents request must be in chronological order.")
    rejected: dict[str, int] = {}
    too_old = sum(1 for stamp in timestamps if stamp < now - _OLDEST)
    expired = 0 if retention is None else sum(1 for stamp in timestamps if stamp < now - retention * DAY)
    new_start = next((at for at, stamp in enumerate(timestamps) if stamp > now + _NEWEST), len(timestamps))
    # An event that is both is reported as too old: expiry is named where the retention is the nearer limit.
    if too_old:
        rejected["tooOldLogEventEndIndex"] = too_old
    if expired > too_old:
        rejected["expiredLogEventEndIndex"] = expired
    if new_start < len(timestamps):
        rejected["tooNewLogEventStartIndex"] = new_start
    start = max(too_old, expired)
    if start < new_start and timestamps[new_start - 1] - timestamps[start] > DAY:
        raise _refuse("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
    return Admission(start, max(start, new_start), rejected)
