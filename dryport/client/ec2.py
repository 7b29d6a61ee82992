"""What the agent and the command line ask of EC2."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple
from xml.etree import ElementTree

from dryport.client.client import Client, Credentials

_VERSION = "2016-11-15"
_PAGE = "1000"


class Instance(NamedTuple):
    """An EC2 instance; ``address`` is its private one, ``public_address`` "" where it has none."""

    id: str
    type: str
    state: str
    address: str
    public_address: str


async def instances(client: Client, credentials: Credentials) -> list[Instance]:
    """The account's instances in the client's region (DescribeInstances). Raises ApiError, Unreachable."""
    return [
        Instance(
            _text(item, "instanceId"),
            _text(item, "instanceType"),
            _text(item, "instanceState/{*}name"),
            _text(item, "privateIpAddress"),
            _text(item, "ipAddress"),
        )
        async for page in _pages(client, credentials, {"Action": "DescribeInstances"})
        for item in page.iterfind("{*}reservationSet/{*}item/{*}instancesSet/{*}item")
    ]


async def instance_tags(client: Client, credentials: Credentials, instance_id: str) -> dict[str, str]:
    """An instance's tags but for AWS's own (DescribeTags). Raises ApiError, Unreachable."""
    form = {"Action": "DescribeTags", "Filter.1.Name": "resource-id", "Filter.1.Value.1": instance_id}
    return {
        key: _text(item, "value")
        async for page in _pages(client, credentials, form)
        for item in page.iterfind("{*}tagSet/{*}item")
        if (key := _text(item, "key")) and not key.startswith("aws:")
    }


async def _pages(
    client: Client, credentials: Credentials, form: Mapping[str, str]
) -> AsyncIterator[ElementTree.Element]:
    asked = {"Version": _VERSION, "MaxResults": _PAGE, **form}
    while True:
        page = await client.query("ec2", asked, credentials)
        yield page
        if not (token := _text(page, "nextToken")):
            return
        asked["NextToken"] = token


def _text(element: ElementTree.Element, name: str) -> str:
    return element.findtext(f"{{*}}{name}") or ""
