"""The store as everything else sees it.

Objects are frozen ``msgspec.Struct``s: an update puts a changed copy (``msgspec.structs.replace``), so whoever
holds an object holds a snapshot of it. A transaction is a plain function without waits, so that a backend with
several writers may run it again after a conflict.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import msgspec

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")
V = TypeVar("V")

IndexValue = str | Iterable[str] | None


class StoreUnavailable(Exception):
    """The write could not be made durable (the disk is full, say); nothing of it is kept."""


@dataclass(frozen=True, eq=False)
class Table(Generic[T]):
    """A kind of object: what it is called on disk, its type, its key and its secondary indexes.

    An index is a function from the object to the value it is found by: a string, several, or ``None`` for
    an object that this index does not list.
    """

    name: str
    type: type[T]
    key: Callable[[T], str]
    indexes: Mapping[str, Callable[[T], IndexValue]] = field(default_factory=dict)


class Change(msgspec.Struct, Generic[T], frozen=True):
    """One object's change: ``old`` is ``None`` where it was made, ``new`` is ``None`` where it was deleted."""

    table: Table[T]
    key: str
    old: T | None
    new: T | None


@dataclass(frozen=True, eq=False)
class View(Generic[V]):
    """What is worked out of tables and kept in memory: an index of one's own making.

    ``make`` gives an empty one, ``apply`` tells it of one change at a time, from the first use on: at the very write,
    and again backwards where the write is undone. So it has to be a function of what the tables hold, whatever came
    before. A writer sees its own writes in it; whoever reads it must not keep it across an ``await``.
    """

    name: str
    tables: tuple[Table[Any], ...]
    make: Callable[[], V]
    apply: Callable[[V, Change[Any]], None]


class Reader(Protocol):
    """Reads the present state. Never hold one across an ``await``: take a new one."""

    def get(self, table: Table[T], key: str) -> T | None:
        """The object of this key, or ``None``."""
        ...

    def find(self, table: Table[T], index: str, value: str) -> list[T]:
        """The objects that an index lists under a value, oldest first."""
        ...

    def keys(self, table: Table[T], index: str, value: str) -> list[str]:
        """The keys of what ``find`` would return, without decoding the objects."""
        ...

    def count(self, table: Table[T], index: str | None = None, value: str = "") -> int:
        """How many objects a table holds, or an index lists under a value."""
        ...

    def all(self, table: Table[T]) -> Iterator[T]:
        """Every object of a table, oldest first."""
        ...

    def view(self, view: View[V]) -> V:
        """A view of the present state."""
        ...


class Transaction(Reader, Protocol):
    """Reads and writes; it sees its own writes. All of it becomes durable, or none of it."""

    def put(self, table: Table[T], item: T) -> None:
        """Insert the object, or replace the one with its key."""
        ...

    def delete(self, table: Table[T], key: str) -> None:
        """Delete the object of this key, if there is one."""
        ...

    def next(self, sequence: str) -> int:
        """The next number, from 1, of a durable named sequence; no number is ever given twice."""
        ...


class Watch(Protocol):
    """Durable changes, in order, as batches; ends when closed. Use as an async context manager."""

    def __aiter__(self) -> AsyncIterator[list[Change[Any]]]: ...

    async def __aenter__(self) -> Watch: ...

    async def __aexit__(self, *exc: object) -> None: ...


class Store(Protocol):
    """Where state is kept."""

    @property
    def reader(self) -> Reader:
        """The present state."""
        ...

    async def transact(self, work: Callable[[Transaction], R]) -> R:
        """Run ``work`` in a transaction and return its result once that is durable.

        An exception from ``work`` undoes what it wrote. Raises StoreUnavailable where the write cannot be kept.
        """
        ...

    async def settled(self) -> None:
        """Wait until everything that can be read now is durable: an answer may then be given."""
        ...

    def watch(self, *tables: Table[Any]) -> Watch:
        """Changes to these tables from now on; list what is there first, in the same step, then follow."""
        ...

    async def close(self) -> None:
        """Make durable what is waiting, then let go of the files."""
        ...


Settled = Callable[[StoreUnavailable | None], None]


@runtime_checkable
class GroupingStore(Store, Protocol):
    """A store where many writers share a flush: a transaction is over before it is durable."""

    def apply(self, work: Callable[[Transaction], R]) -> R:
        """Run ``work`` now without waiting for the disk: nobody may be told of it before ``settled``."""
        ...

    def once_settled(self, told: Settled) -> None:
        """``settled`` without a task: calls ``told`` once everything that can be read now is durable (at once, where
        it is), with the StoreUnavailable where that cannot be. It may raise nothing."""
        ...
