"""What the command line asks of load balancing."""

from __future__ import annotations

from typing import NamedTuple
from xml.etree import ElementTree

from dryport.client.client import Client, Credentials

_VERSION, _CLASSIC = "2015-12-01", "2012-06-01"
_PAGE = "400"


class Balancer(NamedTuple):
    """A load balancer; ``type`` is ``application``, ``network`` or ``classic``, whose API tells of no ``state``."""

    name: str
    type: str
    scheme: str
    state: str
    dns_name: str


async def balancers(client: Client, credentials: Credentials) -> list[Balancer]:
    """The account's load balancers in the client's region (DescribeLoadBalancers of both APIs).

    Raises ApiError, Unreachable.
    """
    names = ("LoadBalancerName", "Type", "Scheme", "State/{*}Code", "DNSName")
    found = [
        Balancer(*(_text(each, name) for name in names))
        for each in await _described(client, credentials, _VERSION, "LoadBalancers")
    ]
    for each in await _described(client, credentials, _CLASSIC, "LoadBalancerDescriptions"):
        found.append(
            Balancer(_text(each, "LoadBalancerName"), "classic", _text(each, "Scheme"), "", _text(each, "DNSName"))
        )
    return found


async def _described(client: Client, credentials: Credentials, version: str, members: str) -> list[ElementTree.Element]:
    found: list[ElementTree.Element] = []
    asked = {"Version": version, "Action": "DescribeLoadBalancers", "PageSize": _PAGE}
    while True:
        page = await client.query("elasticloadbalancing", asked, credentials)
        found += page.iterfind(f"{{*}}DescribeLoadBalancersResult/{{*}}{members}/{{*}}member")
        if not (marker := _text(page, "DescribeLoadBalancersResult/{*}NextMarker")):
            return found
        asked["Marker"] = marker


def _text(element: ElementTree.Element, name: str) -> str:
    return element.findtext(f"{{*}}{name}") or ""
