"""Resources with policies of their own: whose they are, and what they say. So far S3's buckets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dryport.store import Reader

if TYPE_CHECKING:
    from dryport.s3.published import Access

_NAME = ":s3:::"
_MAKING = ("s3:CreateBucket", "s3:ListAllMyBuckets")  # of buckets that others may have
_POLICIES = ("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy")


def access(reader: Reader, action: str, resource: str) -> Access | None:
    """Who decides about an S3 resource besides the caller's account; ``None`` for all others."""
    if not action.startswith("s3:") or action in _MAKING:
        return None
    _, mark, name = resource.partition(_NAME)
    if not mark:
        return None
    from dryport.s3 import published

    return published.access(reader, name.partition("/")[0])


def concerns(reader: Reader, account: str, given: Mapping[str, Any]) -> bool:
    """Whether a root user's request names a bucket of another account, or one that has a policy."""
    from dryport.s3 import published

    names = [str(given.get("Bucket", ""))]
    if "CopySource" in given:
        names.append(copied(given["CopySource"]).partition("/")[0])
    found = [one for name in names if (one := published.access(reader, name)) is not None]
    return any(one.account != account or one.policy for one in found)


def copied(source: str) -> str:
    """Bucket and key that a ``CopySource`` names."""
    return unquote(source.partition("?versionId=")[0]).removeprefix("/")


def always(action: str) -> bool:
    """Whether the root user of a bucket's account may do this whatever its policy says, so that it can be mended."""
    return action in _POLICIES
