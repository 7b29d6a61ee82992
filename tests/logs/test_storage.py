"""The event storage: what it acknowledges stays, what is deleted is gone from the disk, a full disk is said."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.aws.errors import ServiceError
from dryport.logs import admission, events, purge, streams
from dryport.logs.storage import LogStorage
from dryport.logs.tokens import END, Position, directed, event_id, parse_directed, position_of
from dryport.store import StoreUnavailable

START = Position(0, 0)


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[LogStorage]:
    opened = LogStorage.open(tmp_path / "logs.db")
    await opened.write(lambda c: streams.create(c, 1, "s", 0))
    yield opened
    await opened.close()


async def append(storage: LogStorage, first: int, count: int, text: str = "m") -> int | None:
    batch = [(first + number, text) for number in range(count)]
    return await storage.write(lambda c: events.append(c, 1, "s", batch, count * (len(text) + 26), 0))


async def stored(storage: LogStorage) -> list[int]:
    def work(connection: sqlite3.Connection) -> list[int]:
        stream = streams.find(connection, 1, "s")
        assert stream is not None
        return [event.timestamp for event in events.page(connection, stream.id, START, END, 10_000, False)]

    return await storage.read(work)


async def test_the_file_is_the_owners_alone(storage: LogStorage, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "logs.db").stat().st_mode) == 0o600


async def test_writers_share_a_flush_and_keep_their_results_apart(storage: LogStorage) -> None:
    async def fail() -> None:
        def work(connection: sqlite3.Connection) -> None:
            events.append(connection, 1, "s", [(5, "undone")], 10, 0)
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await storage.write(work)

    results = await asyncio.gather(*(append(storage, 100 * number, 3) for number in range(1, 20)), fail())
    assert len(set(results)) == 20
    assert len(await stored(storage)) == 57
    assert 5 not in await stored(storage)


async def test_a_full_disk_is_said_and_gets_over(storage: LogStorage) -> None:
    await append(storage, 1, 1)
    (pages,) = await storage.write(lambda c: c.execute("PRAGMA page_count").fetchone())
    await storage.write(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    with pytest.raises(StoreUnavailable):
        await append(storage, 100, 1000, "x" * 1000)
    assert await stored(storage) == [1]
    await storage.write(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchone())
    await append(storage, 2, 1)
    assert await stored(storage) == [1, 2]


async def test_what_is_deleted_leaves_the_disk(storage: LogStorage, tmp_path: Path) -> None:
    for number in range(30):
        await append(storage, number, 1000, "x" * 1000)
    await storage.write(lambda c: streams.delete(c, 1, "s"))
    assert await storage.read(lambda c: streams.group_bytes(c, [1])) == {1: 0}
    while await storage.write(purge.purge):
        pass
    await storage.write(lambda c: None)
    remaining, pages = await storage.read(
        lambda c: (
            c.execute("SELECT count(*) FROM events").fetchone()[0],
            c.execute("PRAGMA page_count").fetchone()[0],
        )
    )
    assert remaining == 0
    assert pages < 1200  # of nearly four thousand


async def test_expiry_counts_bytes_down(storage: LogStorage) -> None:
    await append(storage, 1000, 12_000, "é")
    before = await storage.read(lambda c: streams.group_bytes(c, [1]))
    while await storage.write(lambda c: purge.expire(c, 1, 11_000)):
        pass
    after = await storage.read(lambda c: streams.group_bytes(c, [1]))
    assert (await stored(storage))[0] == 11_000
    assert before[1] - after[1] == 10_000 * (2 + 26)


WRITER = """
import asyncio, sys
from pathlib import Path
from dryport.logs import events, streams
from dryport.logs.storage import LogStorage

async def main():
    storage = LogStorage.open(Path(sys.argv[1]))
    await storage.write(lambda c: streams.create(c, 1, "s", 0))
    async def write(start):
        for number in range(start, start + 100_000):
            await storage.write(lambda c: events.append(c, 1, "s", [(number, "m")], 27, 0))
            print(number, flush=True)
    await asyncio.gather(*(write(1_000_000 * one) for one in range(1, 5)))

asyncio.run(main())
"""


async def test_a_killed_process_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "logs.db"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(300)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
    storage = LogStorage.open(path)
    try:
        assert set(acknowledged) <= set(await stored(storage))
        first = await append(storage, 1, 1)
        assert first is not None
        assert first > len(acknowledged)
    finally:
        await storage.close()


POSITIONS = st.builds(Position, st.integers(0, 4 * 10**12), st.integers(0, 2**63 - 1))


@given(POSITIONS, POSITIONS, st.sampled_from(["f", "b"]))
def test_event_ids_are_in_the_order_of_events(one: Position, other: Position, direction: str) -> None:
    assert (event_id(one) < event_id(other)) == (one < other)
    assert position_of(event_id(one)) == one
    assert parse_directed(directed(direction, one)) == (direction, one)  # type: ignore[arg-type]


@given(st.text())
def test_any_token_is_read_or_refused(text: str) -> None:
    parsed = parse_directed(text)
    assert parsed is None or directed(*parsed) == text


NOW = 1_700_000_000_000
STAMPS = st.lists(st.integers(NOW - 20 * admission.DAY, NOW + admission.DAY), min_size=1, max_size=20).map(sorted)


@given(STAMPS, st.none() | st.sampled_from([1, 7, 14, 30]))
def test_a_batch_is_split_where_it_says(stamps: list[int], retention: int | None) -> None:
    try:
        decided = admission.admit(stamps, [1] * len(stamps), NOW, retention)
    except ServiceError as refused:
        assert "24 hours" in refused.message
        return
    oldest = NOW - min(14, retention or 14) * admission.DAY
    newest = NOW + 2 * admission.HOUR
    assert stamps[decided.start : decided.end] == [stamp for stamp in stamps if oldest <= stamp <= newest]
    info = decided.rejected
    assert max(info.get("tooOldLogEventEndIndex", 0), info.get("expiredLogEventEndIndex", 0)) == decided.start
    assert info.get("tooNewLogEventStartIndex", len(stamps)) == max(decided.end, sum(s <= newest for s in stamps))
