"""Versions of objects: which one is current, what a write, a deletion, the end of a version make of the others.

``OBJECTS`` has what is current and no delete marker; ``VERSIONS`` has all others, and every delete marker, by the order
in which they came. The null version, of a bucket without versions or with suspended ones, has an empty ``version``.

Source: "Retaining multiple versions of objects with S3 Versioning", S3 user guide.
"""

from __future__ import annotations

from random import Random

import msgspec

from dryport.s3.model import OBJECTS, VERSIONS, Bucket, Checksum, Object, object_key, version_key
from dryport.store import Reader, Transaction

ENABLED, SUSPENDED = "Enabled", "Suspended"
NULL = "null"  # what the API calls the version whose id is empty
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._"
_LENGTH, _DIGITS = 32, 8
_LAST: int = len(_LETTERS) ** _DIGITS  # beyond every order


def named(item: Object) -> str:
    """A version's id in the API's words."""
    return item.version or NULL


def put(tx: Transaction, random: Random, bucket: Bucket, item: Object) -> Object:
    """Make an object the current version of its key. Returns it with its version's id."""
    item = _numbered(tx, random, bucket, item)
    _make_way(tx, item)
    tx.put(OBJECTS, item)
    return item


def mark_deleted(tx: Transaction, random: Random, bucket: Bucket, key: str, now: float) -> Object | None:
    """Delete a key: its object, or with versions by a delete marker, which is returned. ``now`` in epoch seconds."""
    if not bucket.versioning:
        tx.delete(OBJECTS, object_key(bucket.name, key))
        return None
    nothing = Checksum(algorithm="", value="")
    marker = Object(
        bucket=bucket.name, key=key, file="", size=0, etag="", modified_at=now, checksum=nothing, marker=True
    )
    marker = _numbered(tx, random, bucket, marker)
    _make_way(tx, marker)
    tx.delete(OBJECTS, object_key(bucket.name, key))
    tx.put(VERSIONS, marker)
    return marker


def find(reader: Reader, bucket: str, key: str, version: str) -> Object | None:
    """The version of an id in the API's words, which may be a delete marker."""
    version = "" if version == NULL else version
    current = reader.get(OBJECTS, object_key(bucket, key))
    if current is not None and current.version == version:
        return current
    return reader.get(VERSIONS, version_key(bucket, key, version))


def latest_marker(reader: Reader, bucket: str, key: str) -> Object | None:
    """The delete marker that hides a key, if one does."""
    if reader.get(OBJECTS, object_key(bucket, key)) is not None:
        return None
    return _newest(reader, bucket, key)


def change(tx: Transaction, item: Object) -> None:
    """Replace a version by one that tells otherwise of itself (its tags), in its place."""
    current = tx.get(OBJECTS, object_key(item.bucket, item.key))
    tx.put(OBJECTS if current is not None and current.version == item.version else VERSIONS, item)


def end(tx: Transaction, item: Object) -> None:
    """Delete one version for good; of those that are left the newest is current."""
    current = tx.get(OBJECTS, object_key(item.bucket, item.key))
    if current is not None and current.version == item.version:
        tx.delete(OBJECTS, object_key(item.bucket, item.key))
    else:
        tx.delete(VERSIONS, version_key(item.bucket, item.key, item.version))
        if current is not None:
            return
    newest = _newest(tx, item.bucket, item.key)
    if newest is not None and not newest.marker:
        tx.delete(VERSIONS, version_key(item.bucket, item.key, newest.version))
        tx.put(OBJECTS, newest)


def order_of(reader: Reader, bucket: str, key: str, version: str) -> int:
    """When a version came among those of its key: also one that is no more, for who deletes as he lists."""
    if (item := find(reader, bucket, key, version)) is not None:
        return item.order
    if version == NULL or any(letter not in _LETTERS for letter in version[:_DIGITS]):
        return _LAST
    order: int = 0
    for letter in version[:_DIGITS]:
        order = order * len(_LETTERS) + _LETTERS.index(letter)
    return order


def _id(random: Random, order: int) -> str:
    """A version's id: its order, and what nobody guesses."""
    digits = [order // len(_LETTERS) ** place % len(_LETTERS) for place in reversed(range(_DIGITS))]
    return "".join(_LETTERS[digit] for digit in digits) + "".join(random.choices(_LETTERS, k=_LENGTH - _DIGITS))


def _numbered(tx: Transaction, random: Random, bucket: Bucket, item: Object) -> Object:
    order = tx.next("s3.version") if bucket.versioning else 0
    version = _id(random, order) if bucket.versioning == ENABLED else ""
    return msgspec.structs.replace(item, version=version, order=order)


def _make_way(tx: Transaction, item: Object) -> None:
    """Keep what was current, but for the null version where another one comes."""
    current = tx.get(OBJECTS, object_key(item.bucket, item.key))
    if not item.version:
        tx.delete(VERSIONS, version_key(item.bucket, item.key, ""))
    if current is not None and (current.version or item.version):
        tx.put(VERSIONS, current)


def _newest(reader: Reader, bucket: str, key: str) -> Object | None:
    others = reader.find(VERSIONS, "object", object_key(bucket, key))
    return max(others, key=lambda item: item.order, default=None)
