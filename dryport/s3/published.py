"""What other services may ask of S3: plain functions inside their own transactions."""

from __future__ import annotations

from typing import NamedTuple

from dryport.s3.model import BUCKETS
from dryport.store import Reader


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
