"""The current state in memory: encoded objects, their indexes, and an undo log for transactions.

Objects are held encoded and decoded on use through a bounded cache: a hundred thousand of them then take the
memory of their bytes, not of their Python objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from dryport.store.interface import Change, IndexValue, T, Table, V, View

_CACHE_BYTES = 512 * 1024  # of encoded objects, whose decoded forms (about eight times as large) are kept a table


def _values(value: IndexValue) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    return tuple(value)


class _Rows:
    """One table's rows and indexes."""

    __slots__ = ("cache", "cached", "decoder", "encoded", "indexes", "table")

    def __init__(self, table: Table[Any]) -> None:
        self.table = table
        self.encoded: dict[str, bytes] = {}
        self.cache: dict[str, Any] = {}
        self.cached = 0  # bytes that the cache's objects have, encoded; an estimate where they changed in size
        self.decoder = msgspec.msgpack.Decoder(table.type)
        # Dictionaries with no values stand in for ordered sets.
        self.indexes: dict[str, dict[str, dict[str, None]]] = {name: {} for name in table.indexes}

    def get(self, key: str) -> Any | None:
        item = self.cache.get(key)
        if item is None:
            encoded = self.encoded.get(key)
            if encoded is None:
                return None
            item = self.decoder.decode(encoded)
            self._remember(key, item, encoded)
        return item

    def _remember(self, key: str, item: Any, encoded: bytes) -> None:
        cache = self.cache
        if key not in cache:
            self.cached += len(encoded)
            if self.cached > _CACHE_BYTES:
                self._make_room()
        cache[key] = item

    def _make_room(self) -> None:
        # The oldest quarter makes way at once, so that the cost a call stays constant.
        for old in list(self.cache)[: len(self.cache) // 4 + 1]:
            del self.cache[old]
        self.cached = sum(len(self.encoded[key]) for key in self.cache)

    def set(self, key: str, before: Any | None, item: Any, encoded: bytes) -> None:
        """Replace ``before``, which is what ``get`` gives, or ``None`` for a new row."""
        for name, extract in self.table.indexes.items():
            found = extract(item)
            old = None if before is None else extract(before)
            if found == old:
                continue
            index = self.indexes[name]
            if old is not None:
                self._unlist(name, _values(old), key)
            for value in (found,) if type(found) is str else _values(found):
                keys = index.get(value)
                if keys is None:
                    index[value] = {key: None}
                else:
                    keys[key] = None
        self.encoded[key] = encoded
        # Not a new row: what is made may never be read, and would push out what is.
        if key in self.cache:
            self.cache[key] = item

    def remove(self, key: str) -> None:
        before = self.get(key)
        for name, extract in self.table.indexes.items():
            self._unlist(name, _values(extract(before)), key)
        del self.encoded[key]
        self.cache.pop(key, None)

    def _unlist(self, name: str, values: tuple[str, ...], key: str) -> None:
        index = self.indexes[name]
        for value in values:
            keys = index.get(value)
            if keys is not None:
                keys.pop(key, None)
                if not keys:
                    del index[value]


class MemoryState:
    """Every table's rows; reads, writes, and the changes of the transaction under way.

    Implements ``interface.Transaction``. ``load`` fills a table the first time it is touched.
    """

    def __init__(self, stored: dict[str, dict[str, bytes]], sequences: dict[str, int]) -> None:
        self._stored = stored
        self._tables: dict[str, _Rows] = {}
        self._views: dict[str, Any] = {}
        self._followers: dict[str, list[tuple[Callable[[Any, Change[Any]], None], Any]]] = {}  # of views, by table
        self._encoder = msgspec.msgpack.Encoder()
        self.sequences = sequences
        self.changes: list[tuple[Change[Any], bytes | None, bytes | None]] = []
        self.advanced: dict[str, int] = {}

    def _rows(self, table: Table[Any]) -> _Rows:
        rows = self._tables.get(table.name)
        if rows is None:
            rows = self._tables[table.name] = _Rows(table)
            for key, encoded in self._stored.pop(table.name, {}).items():
                rows.set(key, None, rows.decoder.decode(encoded), encoded)
        return rows

    def get(self, table: Table[T], key: str) -> T | None:
        item: T | None = self._rows(table).get(key)
        return item

    def find(self, table: Table[T], index: str, value: str) -> list[T]:
        rows = self._rows(table)
        return [rows.get(key) for key in rows.indexes[index].get(value, ())]  # type: ignore[misc]

    def keys(self, table: Table[T], index: str, value: str) -> list[str]:
        return list(self._rows(table).indexes[index].get(value, ()))

    def count(self, table: Table[T], index: str | None = None, value: str = "") -> int:
        rows = self._rows(table)
        return len(rows.encoded) if index is None else len(rows.indexes[index].get(value, ()))

    def all(self, table: Table[T]) -> Iterator[T]:
        rows = self._rows(table)
        for key in list(rows.encoded):
            item = rows.get(key)
            if item is not None:
                yield item

    def view(self, view: View[V]) -> V:
        made: V | None = self._views.get(view.name)
        if made is None:
            made = view.make()
            for table in view.tables:
                for item in self.all(table):
                    view.apply(made, Change(table, table.key(item), None, item))
            self._views[view.name] = made
            for table in view.tables:
                self._followers.setdefault(table.name, []).append((view.apply, made))
        return made

    def _tell(self, change: Change[Any]) -> None:
        for apply, view in self._followers.get(change.table.name, ()):
            apply(view, change)

    def put(self, table: Table[T], item: T) -> None:
        rows = self._rows(table)
        key = table.key(item)
        old_encoded = rows.encoded.get(key)
        old = None if old_encoded is None else rows.get(key)
        encoded = self._encoder.encode(item)
        if encoded == old_encoded:
            return
        rows.set(key, old, item, encoded)
        change = Change(table, key, old, item)
        self.changes.append((change, old_encoded, encoded))
        self._tell(change)

    def delete(self, table: Table[T], key: str) -> None:
        rows = self._rows(table)
        old, old_encoded = rows.get(key), rows.encoded.get(key)
        if old is not None:
            rows.remove(key)
            change = Change(table, key, old, None)
            self.changes.append((change, old_encoded, None))
            self._tell(change)

    def next(self, sequence: str) -> int:
        number = self.sequences.get(sequence, 0) + 1
        # An undone transaction leaves a gap: numbers are never given twice, gaps are harmless.
        self.sequences[sequence] = self.advanced[sequence] = number
        return number

    def undo(self, changes: list[tuple[Change[Any], bytes | None, bytes | None]]) -> None:
        """Put back what these changes, the newest last, replaced."""
        for change, old_encoded, _ in reversed(changes):
            rows = self._rows(change.table)
            if old_encoded is None:
                rows.remove(change.key)
            else:
                rows.set(change.key, rows.get(change.key), change.old, old_encoded)
            self._tell(Change(change.table, change.key, change.new, change.old))
