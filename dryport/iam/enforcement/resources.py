"""Resources with policies of their own: whose they are, and what they say. S3's buckets and ECR's repositories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import unquote

from dryport.aws import arn as arns
from dryport.store import Reader

SERVICES = ("s3", "ecr")  # whose resources have policies: what these say can change whatever its callers' do
_PREFIXES = tuple(f"{service}:" for service in SERVICES)
_NAME = ":s3:::"
_MAKING = ("s3:CreateBucket", "s3:ListAllMyBuckets")  # of buckets that others may have
_POLICIES = ("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy")


class Access(Protocol):
    """Whose a resource is, its policy (empty where it has none), and whether that is kept from all other accounts."""

    @property
    def account(self) -> str: ...
    @property
    def policy(self) -> str: ...
    @property
    def restricted(self) -> bool: ...


def governed(action: str) -> bool:
    """Whether an action is about resources that can have policies."""
    return action.startswith(_PREFIXES)


def access(reader: Reader, action: str, resource: str) -> Access | None:
    """Who decides about a resource besides the caller's account; ``None`` where nobody does."""
    if not governed(action) or action in _MAKING:
        return None
    if action.startswith("s3:"):
        return _bucket(reader, resource)
    parts = arns.parse(resource)
    if parts is None or parts.service != "ecr" or "*" in parts.resource:
        return None
    from dryport.ecr import published

    return published.access(reader, parts)


def _bucket(reader: Reader, resource: str) -> Access | None:
    _, mark, name = resource.partition(_NAME)
    if not mark:
        return None
    from dryport.s3 import published

    return published.access(reader, name.partition("/")[0])


def concerns(reader: Reader, service: str, account: str, region: str, given: Mapping[str, Any]) -> bool:
    """Whether a root user's request names a resource of another account, or one that has a policy."""
    if service == "ecr":
        return _concerns_repositories(reader, account, region, given)
    from dryport.s3 import published

    names = [str(given.get("Bucket", ""))]
    if "CopySource" in given:
        names.append(copied(given["CopySource"]).partition("/")[0])
    found = [one for name in names if (one := published.access(reader, name)) is not None]
    return any(one.account != account or one.policy for one in found)


def _concerns_repositories(reader: Reader, account: str, region: str, given: Mapping[str, Any]) -> bool:
    from dryport.ecr import published

    if given.get("registryId", account) != account:
        return True
    names = [given.get("repositoryName"), *(given.get("repositoryNames") or ())]
    named = [arns.make("ecr", region, account, f"repository/{name}") for name in names if name]
    every = [parts for arn in (*named, str(given.get("resourceArn"))) if (parts := arns.parse(arn)) is not None]
    return any(parts.account != account or published.access(reader, parts).policy for parts in every)


def copied(source: str) -> str:
    """Bucket and key that a ``CopySource`` names."""
    return unquote(source.partition("?versionId=")[0]).removeprefix("/")


def always(action: str) -> bool:
    """Whether the root user of a bucket's account may do this whatever its policy says, so that it can be mended."""
    return action in _POLICIES
