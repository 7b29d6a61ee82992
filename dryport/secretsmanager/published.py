"""What other services may ask of Secrets Manager: plain functions inside their own transactions."""

from __future__ import annotations

from dryport.aws.arn import Arn
from dryport.secretsmanager import model
from dryport.store import Reader


def secret_arn(reader: Reader, account: str, region: str, identifier: str) -> str | None:
    """The whole ARN of a secret that is called by its name or its ARN, also without the ARN's last characters."""
    found = model.find(reader, account, region, identifier)
    return found.arn if found is not None else None


def resource_tags(reader: Reader, parts: Arn) -> dict[str, str] | None:
    """The tags of the resource of an ARN, none of one that does not exist; ``None`` where its kind has none."""
    found = model.find(reader, parts.account, parts.region, str(parts))
    return found.tags if found is not None else {}
