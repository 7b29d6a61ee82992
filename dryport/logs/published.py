"""What other services may ask of CloudWatch Logs: plain functions inside their own transactions."""

from __future__ import annotations

from dryport.aws.arn import Arn
from dryport.logs import model
from dryport.store import Reader


def resource_tags(reader: Reader, parts: Arn) -> dict[str, str] | None:
    """The tags of the resource of an ARN, none of one that does not exist; ``None`` where its kind has none."""
    name = parts.resource.removeprefix("log-group:").partition(":")[0]
    found = model.find(reader, parts.account, parts.region, name)
    return found.tags if found is not None else {}
