"""What other services may ask of Secrets Manager: plain functions inside their own transactions."""

from __future__ import annotations

from dryport.secretsmanager import model
from dryport.store import Reader


def secret_arn(reader: Reader, account: str, region: str, identifier: str) -> str | None:
    """The whole ARN of a secret that is called by its name or its ARN, also without the ARN's last characters."""
    found = model.find(reader, account, region, identifier)
    return found.arn if found is not None else None
