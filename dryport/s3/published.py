"""What other services may ask of S3: plain functions inside their own transactions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from dryport.s3.model import BUCKETS, Checksum, Object
from dryport.store import Reader, Transaction

if TYPE_CHECKING:
    from dryport.s3.disk import Written


async def write(root: Path, random: Random, content: bytes) -> Written:
    """Write the bytes of an object to be (``put``) into a file of ``<state>/s3``; durable when this returns."""
    from dryport.s3 import checksums
    from dryport.s3.disk import Disk

    async def whole() -> AsyncIterator[bytes]:
        yield content

    return await Disk(root, random, tidy=False).write(whole(), checksums.DEFAULT)


def put(tx: Transaction, random: Random, now: float, bucket: str, key: str, written: Written) -> None:
    """Have a file be an object, where its bucket is there: what a service of AWS's delivers."""
    from dryport.s3 import checksums, versions

    found = tx.get(BUCKETS, bucket)
    if found is not None:
        checksum = Checksum(algorithm=checksums.DEFAULT, value=checksums.encoded(written.checksum))
        etag = written.md5.hex()
        made = Object(
            bucket=bucket, key=key, file=written.file, size=written.size, etag=etag, modified_at=now, checksum=checksum
        )
        versions.put(tx, random, found, made)


def region(reader: Reader, bucket: str) -> str:
    """The region of a bucket, "" where there is no such one."""
    found = reader.get(BUCKETS, bucket)
    return found.region if found is not None else ""


class Access(NamedTuple):
    """Whose a bucket is, its policy (empty where it has none), and whether that is kept from all other accounts."""

    account: str
    policy: str
    restricted: bool


def access(reader: Reader, bucket: str) -> Access | None:
    """Who decides about a bucket; ``None`` where there is no such one."""
    found = reader.get(BUCKETS, bucket)
    if found is None:
        return None
    restricted = False
    if found.policy and (found.public_access_block or {}).get("RestrictPublicBuckets"):
        from dryport.s3 import publicity

        restricted = publicity.is_public(found.policy)
    return Access(found.account, found.policy, restricted)
