"""What the command line asks of load balancing."""

from __future__ import annotations

from typing import NamedTuple
from xml.etree import ElementTree

from dryport.client.client import Client, Credentials

_VERSION = "2015-12-01"
_PAGE = "400"


class Balancer(NamedTuple):
    """A load balancer; ``type`` is ``application`` or ``network``."""

    name: str
    type: str
    scheme: str
    state: str
    dns_name: str


async def balancers(client: Client, credentials: Credentials) -> list[Balancer]:
    """The account's load balancers in the client's region (DescribeLoadBalancers). Raises ApiError, Unreachable."""
    found: list[Balancer] = []
    asked = {"Version": _VERSION, "Action": "DescribeLoadBalancers", "PageSize": _PAGE}
    while True:
        page = await client.query("elasticloadbalancing", asked, credentials)
        for item in page.iterfind("{*}DescribeLoadBalancersResult/{*}LoadBalancers/{*}member"):
            names = ("LoadBalancerName", "Type", "Scheme", "State/{*}Code", "DNSName")
            found.append(Balancer(*(_text(item, name) for name in names)))
        if not (marker := _text(page, "DescribeLoadBalancersResult/{*}NextMarker")):
            return found
        asked["Marker"] = marker


def _text(element: ElementTree.Element, name: str) -> str:
    return element.findtext(f"{{*}}{name}") or ""
