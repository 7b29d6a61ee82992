"""What the agent asks of EC2."""

from __future__ import annotations

from xml.etree import ElementTree

from dryport.client.client import Client, Credentials

_VERSION = "2016-11-15"
_PAGE = "1000"


async def instance_tags(client: Client, credentials: Credentials, instance_id: str) -> dict[str, str]:
    """An instance's tags but for AWS's own (DescribeTags). Raises ApiError, Unreachable."""
    form = {
        "Action": "DescribeTags",
        "Version": _VERSION,
        "MaxResults": _PAGE,
        "Filter.1.Name": "resource-id",
        "Filter.1.Value.1": instance_id,
    }
    found: dict[str, str] = {}
    while True:
        root = await client.query("ec2", form, credentials)
        for item in root.iterfind("{*}tagSet/{*}item"):
            if (key := _text(item, "key")) and not key.startswith("aws:"):
                found[key] = _text(item, "value")
        if not (token := _text(root, "nextToken")):
            return found
        form["NextToken"] = token


def _text(element: ElementTree.Element, name: str) -> str:
    return element.findtext(f"{{*}}{name}") or ""
