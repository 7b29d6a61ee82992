"""The store: what it acknowledges stays, what it undoes is gone, whatever happens in between."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dryport.store import Change, StoreUnavailable, Table, Transaction, View, memory
from dryport.store.sqlite import SqliteStore


class Item(msgspec.Struct, frozen=True):
    id: str
    color: str
    tags: list[str] = []


ITEMS = Table("item", Item, key=lambda i: i.id, indexes={"color": lambda i: i.color, "tag": lambda i: i.tags})


def put(item: Item) -> Callable[[Transaction], None]:
    """The work of a transaction that puts one item."""
    return lambda tx: tx.put(ITEMS, item)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore.open(tmp_path / "a.db")
    yield opened
    await opened.close()


async def test_the_file_is_the_owners_alone(store: SqliteStore, tmp_path: Path) -> None:
    await store.transact(lambda tx: tx.put(ITEMS, Item("a", "red")))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


async def test_a_second_process_is_refused(store: SqliteStore, tmp_path: Path) -> None:
    await store.transact(lambda tx: tx.put(ITEMS, Item("a", "red")))
    with pytest.raises(StoreUnavailable, match="locked"):
        SqliteStore.open(tmp_path / "a.db")


async def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.db").write_bytes(b"something else entirely" * 100)
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        SqliteStore.open(tmp_path / "b.db")


async def test_find_keeps_the_order_of_birth_across_a_restart(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "a.db")
    for name in "cab":
        await store.transact(put(Item(name, "red")))
    await store.transact(lambda tx: tx.put(ITEMS, Item("c", "red", ["changed"])))
    assert store.reader.keys(ITEMS, "color", "red") == ["c", "a", "b"]
    await store.close()
    store = SqliteStore.open(tmp_path / "a.db")
    assert store.reader.keys(ITEMS, "color", "red") == ["c", "a", "b"]
    assert store.reader.find(ITEMS, "tag", "changed") == [Item("c", "red", ["changed"])]
    await store.close()


async def test_a_raising_transaction_leaves_nothing(store: SqliteStore) -> None:
    await store.transact(lambda tx: tx.put(ITEMS, Item("a", "red")))

    def work(tx: Transaction) -> None:
        tx.put(ITEMS, Item("a", "blue"))
        tx.put(ITEMS, Item("b", "blue"))
        tx.delete(ITEMS, "a")
        raise LookupError

    with pytest.raises(LookupError):
        await store.transact(work)
    assert store.reader.get(ITEMS, "a") == Item("a", "red")
    assert store.reader.find(ITEMS, "color", "blue") == []
    assert store.reader.count(ITEMS) == 1


async def test_watches_see_durable_changes_in_order(store: SqliteStore) -> None:
    async with store.watch(ITEMS) as watch:
        await asyncio.gather(*(store.transact(put(Item("a", str(n)))) for n in range(5)))
        await store.transact(lambda tx: tx.delete(ITEMS, "a"))
        seen = []
        async for changes in watch:
            seen += changes
            if len(seen) == 6:
                break
    assert [change.new and change.new.color for change in seen] == ["0", "1", "2", "3", "4", None]
    assert [change.old and change.old.color for change in seen] == [None, "0", "1", "2", "3", "4"]


async def test_a_full_disk_refuses_and_undoes(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "a.db")
    await store.transact(lambda tx: tx.put(ITEMS, Item("before", "red")))
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count={pages}")  # SQLite then answers as on a full disk
    results = await asyncio.gather(
        *(store.transact(put(Item(f"{n}", "x" * 5000))) for n in range(20)),
        return_exceptions=True,
    )
    assert all(isinstance(result, StoreUnavailable) for result in results)
    assert "full" in str(results[0])
    assert [item.id for item in store.reader.all(ITEMS)] == ["before"]
    store._connection.execute("PRAGMA max_page_count=1000000")
    await store.transact(lambda tx: tx.put(ITEMS, Item("after", "red")))
    await store.close()
    store = SqliteStore.open(tmp_path / "a.db")
    assert [item.id for item in store.reader.all(ITEMS)] == ["before", "after"]
    await store.close()


async def test_an_older_stores_numbers_go_on(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.executescript(
        "CREATE TABLE rows (born INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL);"
        "CREATE TABLE sequences (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
        "INSERT INTO sequences VALUES ('a', 41);"
    )
    connection.close()
    for expected in (42, 43):
        store = SqliteStore.open(tmp_path / "a.db")
        assert await store.transact(lambda tx: tx.next("a")) == expected
        await store.close()


async def test_numbers_are_never_given_twice(tmp_path: Path) -> None:
    given_out = []
    for _ in range(3):
        store = SqliteStore.open(tmp_path / "a.db")
        given_out += [await store.transact(lambda tx: tx.next("revision")) for _ in range(3)]
        await store.close()
    assert given_out == list(range(1, 10))


Step = st.tuples(
    st.sampled_from("abcd"), st.sampled_from(["red", "blue", "fail", "delete"]), st.lists(st.sampled_from("xyz"))
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(Step, max_size=4), max_size=12))
def test_any_history_reads_as_a_dictionary_would(history: list[list[tuple[str, str, list[str]]]]) -> None:
    async def live() -> None:
        with tempfile.TemporaryDirectory() as directory:
            store = SqliteStore.open(Path(directory) / "a.db")
            model: dict[str, Item] = {}
            for steps in history:
                tried = dict(model)

                def work(tx: Transaction, steps: list[tuple[str, str, list[str]]] = steps) -> None:
                    for name, color, tags in steps:
                        if color == "fail":
                            raise LookupError
                        if color == "delete":
                            tx.delete(ITEMS, name)
                            tried.pop(name, None)  # noqa: B023
                        else:
                            tx.put(ITEMS, Item(name, color, tags))
                            tried[name] = Item(name, color, tags)  # noqa: B023

                try:
                    await store.transact(work)
                    model = tried
                except LookupError:
                    pass
                _same(store, model)
            await store.close()
            store = SqliteStore.open(Path(directory) / "a.db")
            _same(store, model)
            await store.close()

    asyncio.run(live())


def _same(store: SqliteStore, model: dict[str, Item]) -> None:
    reader = store.reader
    assert {item.id: item for item in reader.all(ITEMS)} == model
    for color in ("red", "blue"):
        assert set(reader.keys(ITEMS, "color", color)) == {i.id for i in model.values() if i.color == color}
    for tag in "xyz":
        assert set(reader.keys(ITEMS, "tag", tag)) == {i.id for i in model.values() if tag in i.tags}


WRITER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_sqlite import ITEMS, Item
from dryport.store.sqlite import SqliteStore

async def main():
    store = SqliteStore.open(Path(sys.argv[1]))
    async def write(worker):
        number = 0
        while True:
            await store.transact(lambda tx: tx.put(ITEMS, Item(f"{worker}-{number}", "red")))
            print(f"{worker}-{number}", flush=True)
            number += 1
    await asyncio.gather(*(write(worker) for worker in range(8)))

asyncio.run(main())
"""


@pytest.mark.parametrize("after", [50, 400, 1500])
async def test_kill_9_loses_nothing_acknowledged(tmp_path: Path, after: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "a.db"), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(after)]
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    process.wait()
    store = SqliteStore.open(tmp_path / "a.db")
    kept = {item.id for item in store.reader.all(ITEMS)}
    assert set(acknowledged) <= kept
    await store.close()
    assert sqlite3.connect(tmp_path / "a.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_closed_store_refuses_at_once(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "a.db")
    writing = asyncio.create_task(store.transact(lambda tx: tx.put(ITEMS, Item("a", "red"))))
    await asyncio.sleep(0)
    await store.close()
    await writing  # what was under way is kept
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.transact(lambda tx: tx.put(ITEMS, Item("b", "red")))
    again = SqliteStore.open(tmp_path / "a.db")
    assert [item.id for item in again.reader.all(ITEMS)] == ["a"]
    await again.close()


async def test_a_waiter_that_goes_away_takes_nobody_with_it(store: SqliteStore) -> None:
    writes = [asyncio.create_task(store.transact(put(Item(n, "red")))) for n in "abc"]
    await asyncio.sleep(0)
    writes[1].cancel()
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), asyncio.CancelledError, type(None)]
    assert store.reader.count(ITEMS) == 3


async def test_more_than_the_caches_hold(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CACHE_BYTES", 500)

    def work(tx: Transaction) -> None:
        for number in range(100):
            tx.put(ITEMS, Item(f"{number:02}", "red" * (number % 7)))

    await store.transact(work)

    def delete(tx: Transaction) -> None:
        for number in range(50):
            tx.delete(ITEMS, f"{number:02}")

    await store.transact(delete)
    assert [item.id for item in store.reader.all(ITEMS)] == [f"{n:02}" for n in range(50, 100)]
    assert [item.id for item in store.reader.find(ITEMS, "color", "red")] == [
        "50",
        "57",
        "64",
        "71",
        "78",
        "85",
        "92",
        "99",
    ]


async def test_a_key_that_comes_back_is_the_youngest(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "a.db")
    for name in "ab":
        await store.transact(put(Item(name, "red")))
    await store.transact(lambda tx: tx.delete(ITEMS, "a"))
    await store.transact(lambda tx: tx.put(ITEMS, Item("a", "red")))
    await store.close()
    store = SqliteStore.open(tmp_path / "a.db")
    assert [item.id for item in store.reader.all(ITEMS)] == ["b", "a"]
    await store.close()


def _count(colors: dict[str, int], change: Change[Item]) -> None:
    for item, by in ((change.old, -1), (change.new, 1)):
        if item is not None:
            colors[item.color] = colors.get(item.color, 0) + by


COLORS: View[dict[str, int]] = View("colors", (ITEMS,), dict, _count)


async def test_a_view_is_of_now_also_inside_a_transaction_and_after_it_was_undone(store: SqliteStore) -> None:
    await store.transact(lambda tx: tx.put(ITEMS, Item("a", "red")))
    assert store.reader.view(COLORS) == {"red": 1}

    def work(tx: Transaction) -> None:
        tx.put(ITEMS, Item("a", "blue"))
        tx.put(ITEMS, Item("b", "red"))
        tx.put(ITEMS, Item("b", "red"))
        assert tx.view(COLORS) == {"red": 1, "blue": 1}
        tx.delete(ITEMS, "a")
        assert tx.view(COLORS) == {"red": 1, "blue": 0}
        raise KeyError

    with pytest.raises(KeyError):
        await store.transact(work)
    assert store.reader.view(COLORS) == {"red": 1, "blue": 0}


async def test_a_view_that_is_first_looked_at_in_an_undone_transaction_is_undone_too(store: SqliteStore) -> None:
    def work(tx: Transaction) -> None:
        tx.put(ITEMS, Item("a", "red"))
        assert tx.view(COLORS) == {"red": 1}
        raise KeyError

    with pytest.raises(KeyError):
        await store.transact(work)
    assert store.reader.view(COLORS) == {"red": 0}
