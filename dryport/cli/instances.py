"""The instances of an account in a region: EC2's, and the machines that have joined a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import aiohttp

from dryport.client import Client, Credentials, ec2

_MOST = 100  # of one DescribeContainerInstances
Json = Mapping[str, Any]


class Row(NamedTuple):
    """One line of the table; what does not apply is ""."""

    id: str
    type: str
    state: str
    cluster: str = ""
    agent: str = ""
    tasks: str = ""
    address: str = ""


def rows(instances: Iterable[ec2.Instance], registered: Iterable[Json]) -> list[Row]:
    """The lines: EC2's instances with what their clusters know of them, then the other machines of clusters. Pure."""
    others = list(registered)
    by_id = {each["ec2InstanceId"]: each for each in others if each.get("ec2InstanceId")}
    made, known = [], set()
    for instance in instances:
        known.add(instance.id)
        if instance.state != "terminated":
            address = instance.public_address or instance.address
            made.append(_row(instance.id, instance.type, instance.state, address, by_id.get(instance.id)))
    for each in others:
        # Keys may have joined it, without an activation that would have given it an id.
        name = each.get("ec2InstanceId") or each["containerInstanceArn"].rpartition("/")[2]
        if name not in known:
            made.append(_row(name, "external", each["status"].lower(), "", each))
    return made


def _row(id: str, kind: str, state: str, address: str, container_instance: Json | None) -> Row:
    if container_instance is None:
        return Row(id, kind, state, address=address)
    cluster = container_instance["containerInstanceArn"].split("/")[-2]
    draining = " (draining)" if container_instance["status"] == "DRAINING" and kind != "external" else ""
    agent = "connected" if container_instance["agentConnected"] else "away"
    running = str(container_instance["runningTasksCount"])
    return Row(id, kind, state + draining, cluster, agent, running, address)


async def fetch(endpoint: str, region: str, credentials: Credentials) -> list[Row]:
    """Ask the API for them. Raises ApiError, Unreachable."""
    async with aiohttp.ClientSession() as session:
        client = Client(session, endpoint, region)
        found = asyncio.create_task(ec2.instances(client, credentials))
        clusters = await _all(client, credentials, "ListClusters", "clusterArns", {})
        registered: list[Json] = []
        for cluster in clusters:
            arns = await _all(
                client, credentials, "ListContainerInstances", "containerInstanceArns", {"cluster": cluster}
            )
            for start in range(0, len(arns), _MOST):
                request = {"cluster": cluster, "containerInstances": arns[start : start + _MOST]}
                answer = await client.call("ecs", "DescribeContainerInstances", request, credentials)
                registered += answer["containerInstances"]
        return rows(await found, registered)


async def _all(client: Client, credentials: Credentials, operation: str, member: str, request: Json) -> list[str]:
    found: list[str] = []
    token = None
    while True:
        answer = await client.call("ecs", operation, {**request, "nextToken": token} if token else request, credentials)
        found += answer[member]
        if not (token := answer.get("nextToken")):
            return found
