"""Tags of secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from dryport.gateway.service import Call, Output, Service
from dryport.secretsmanager.api.common import invalid_parameter, usable
from dryport.secretsmanager.model import SECRETS

if TYPE_CHECKING:
    from types_boto3_secretsmanager import type_defs as shapes

_MOST = 50


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("TagResource")(tag)
    service.operation("UntagResource")(untag)


def checked_tags(old: Mapping[str, str], new: Iterable[Any]) -> dict[str, str]:
    """The old tags with the new ones (``Key``, ``Value``) on top. Raises ServiceError where AWS refuses them."""
    added = {tag["Key"]: tag.get("Value", "") for tag in new if "Key" in tag}
    if any(key.lower().startswith("aws:") for key in added):
        raise invalid_parameter("Tag keys starting with aws: are reserved for AWS.")
    tags = {**old, **added}
    if len(tags) > _MOST:
        raise invalid_parameter("A secret can have no more than 50 tags.")
    return tags


def tag(call: Call, request: shapes.TagResourceRequestTypeDef) -> Output:
    secret = usable(call, request["SecretId"])
    tags = checked_tags(secret.tags, request["Tags"])
    call.tx.put(SECRETS, msgspec.structs.replace(secret, tags=tags, changed_at=call.now))
    return None


def untag(call: Call, request: shapes.UntagResourceRequestTypeDef) -> Output:
    secret = usable(call, request["SecretId"])
    left = {key: value for key, value in secret.tags.items() if key not in request["TagKeys"]}
    call.tx.put(SECRETS, msgspec.structs.replace(secret, tags=left, changed_at=call.now))
    return None
