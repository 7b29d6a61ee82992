"""The account of calls on disk: files of JSON lines, one after the other, searched from their ends.

A call costs its encoding: lines are written together, twice a second. What came in the last half second is lost where
the process is killed.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from dryport.cloudtrail import events, resources
from dryport.cloudtrail.events import Record
from dryport.control.clock import Clock
from dryport.gateway.service import Occurrence

_FLUSH_SECONDS = 0.5
_FLUSH_BYTES = 64 * 1024
_FILE_BYTES = 16 << 20
_MOST_BYTES = 1 << 30  # of all files, before the oldest events go early
_KEPT = 90 * 86_400.0  # seconds for which an event is found, as on AWS
_LITERAL = ("EventName", "AccessKeyId")  # whose values stand in the line as they are
_SWEEP = 3600.0  # seconds between looks at what is too old
log = logging.getLogger("dryport.cloudtrail")


class Place(NamedTuple):
    """Where an event stands: its file's name, and the first byte of its line."""

    file: str
    start: int


class Search(NamedTuple):
    """What is looked for: events of an account in a region, between two times (seconds since the epoch), with an
    attribute (one of AWS's names, and its value), the newest first, before a place."""

    account: str
    region: str
    start: float
    end: float
    attribute: str | None
    value: str
    before: Place | None
    limit: int


class Found(NamedTuple):
    place: Place
    record: Record


class Recorder:
    """An ``Auditor``. Its files are named by when they were begun, so that their order is that of their names."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._buffer = bytearray()
        self._encode = msgspec.json.Encoder(enc_hook=_left_out).encode_into
        self._timer: asyncio.TimerHandle | None = None
        self._file: Path | None = None
        self._size = 0

    def wants(self, service: str, operation: str) -> bool:
        """Whether a call is a management event."""
        return events.is_management(service, operation)

    def changes(self, operation: str) -> bool:
        """Whether an event tells what was answered."""
        return events.is_answered(operation)

    def note(self, occurrence: Occurrence) -> None:
        """Keep account of a call."""
        buffer = self._buffer
        self._encode(occurrence, buffer, len(buffer))
        buffer += b"\n"
        if len(buffer) >= _FLUSH_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what is waiting. An account that cannot be written (a full disk) stops no request."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._buffer:
            return
        data, self._buffer = self._buffer, bytearray()
        try:
            handle = os.open(self._current(), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with open(handle, "ab") as file:
                file.write(data)
            self._size += len(data)
        except OSError as error:
            log.error("%d bytes of events could not be recorded: %s", len(data), error)

    def _current(self) -> Path:
        if self._file is None or self._size >= _FILE_BYTES:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            self._file = self._directory / f"{int(self._clock.time() * 1e6):017d}.jsonl"
            self._size = 0
        return self._file

    def _files(self) -> list[Path]:
        """The oldest first."""
        return sorted(self._directory.glob("*.jsonl")) if self._directory.is_dir() else []

    async def search(self, wanted: Search) -> list[Found]:
        """The events that are looked for, at most ``limit``; also those that happened just now."""
        self.flush()
        return await asyncio.to_thread(self._search, wanted)

    def _search(self, wanted: Search) -> list[Found]:
        found: list[Found] = []
        decoder = msgspec.json.Decoder(Record)
        needle = wanted.value.encode() if wanted.attribute in _LITERAL else b""
        for place, line in self._lines(wanted.before):
            if needle not in line:
                continue
            try:
                record = decoder.decode(line)
            except msgspec.MsgspecError:
                continue  # half a line, of a process that was killed
            if record.time < min(wanted.start, self._clock.time()) - _KEPT:
                break
            if _matches(record, wanted):
                found.append(Found(place, record))
                if len(found) == wanted.limit:
                    break
        return found

    def _lines(self, before: Place | None) -> Iterator[tuple[Place, bytes]]:
        """Every line, the last one first."""
        for path in reversed(self._files()):
            if before is not None and path.name > before.file:
                continue
            end = before.start if before is not None and path.name == before.file else path.stat().st_size
            if not end:
                continue
            with path.open("rb") as file, mmap.mmap(file.fileno(), end, prot=mmap.PROT_READ) as text:
                while end > 0:
                    start = text.rfind(b"\n", 0, end - 1) + 1
                    yield Place(path.name, start), text[start:end]
                    end = start

    async def run(self) -> None:
        """Let old events go until cancelled; then write what is waiting."""
        try:
            while True:
                await asyncio.to_thread(self._sweep, self._clock.time() - _KEPT)
                await self._clock.sleep(_SWEEP)
        finally:
            self.flush()

    def _sweep(self, before: float) -> None:
        files = self._files()
        total = sum(path.stat().st_size for path in files)
        for path in files[:-1]:
            if path.stat().st_mtime >= before and total <= _MOST_BYTES:
                break
            total -= path.stat().st_size
            path.unlink()


def _matches(record: Record, wanted: Search) -> bool:
    if (record.principal.account, record.region) != (wanted.account, wanted.region):
        return False
    if not wanted.start <= record.time <= wanted.end:
        return False
    match wanted.attribute:
        case None:
            return True
        case "EventId":
            return events.event_id(record) == wanted.value
        case "EventName":
            return record.operation == wanted.value
        case "EventSource":
            return events.source(record) == wanted.value
        case "Username":
            return events.user_name(record.principal) == wanted.value
        case "AccessKeyId":
            return record.principal.access_key_id == wanted.value
        case "ReadOnly":
            return events.is_read_only(record.operation) == (wanted.value == "true")
        case "ResourceName":
            return any(one.name == wanted.value for one in resources.of(record))
        case "ResourceType":
            return any(one.type == wanted.value for one in resources.of(record))
        case other:
            raise ValueError(f"no attribute: {other}")


def _left_out(value: object) -> None:
    """What JSON cannot hold of a request: a streamed payload."""
