"""What the operations share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dryport.acm import model, published
from dryport.acm.model import Certificate
from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call

_MOST_TAGS = 50


def certificate(call: Call, certificate_arn: str) -> Certificate:
    """The certificate of an ARN. Raises ServiceError."""
    found = published.certificate(call.tx, call.account, call.region, certificate_arn)
    if found is None:
        raise ServiceError("ResourceNotFoundException", f"Could not find certificate {certificate_arn}.")
    return found


def with_tags(old: Mapping[str, str], added: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The old tags with the new ones on top. Raises ServiceError (InvalidTagException, TooManyTagsException)."""
    found = dict(old)
    for each in added:
        if each["Key"].lower().startswith("aws:"):
            message = f'Invalid Tag Key: "{each["Key"]}". AWS internal tags cannot be changed with this API'
            raise ServiceError("InvalidTagException", message)
        found[each["Key"]] = each.get("Value", "")
    if len(found) > _MOST_TAGS:
        listed = ", ".join(f"{key}={value}" for key, value in found.items())
        raise ServiceError("TooManyTagsException", f"the TagSet: '{{{listed}}}' contains too many Tags")
    return found


def check_limit(call: Call) -> None:
    """Refuse one certificate more than AWS lets an account have. Raises ServiceError."""
    most = 2500
    if call.tx.count(model.CERTIFICATES, "scope", model.scope(call.account, call.region)) >= most:
        message = f"Error: you have reached your limit of {most} certificates in the last year."
        raise ServiceError("LimitExceededException", message)
