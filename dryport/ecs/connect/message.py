"""How an agent is told of a task's proxy. Pure.

AWS's agent gets an attachment of the type ``serviceconnectdetail`` (``ecs-agent/api/attachment``): the container that
is the proxy, its listeners, the names in each container's hosts file. What its proxy then asks of ECS is told to ours:
the property ``DryportProxy`` has the proxy's ways, and where each service is reached; a message of Dryport's own tells
whenever that is elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from dryport.aws import arn
from dryport.ecs.connect.proxy import IMAGE
from dryport.ecs.model import Json, Task

TYPE = "serviceconnectdetail"
SHOWN_TYPE = "Service Connect"  # of the attachment in DescribeTasks
ENDPOINTS_MESSAGE = "DryportServiceConnectEndpointsMessage"
_VIP = "127.255.0.0/16"
TEST = "/test"  # behind a service's id: where its test traffic goes
Reached = Mapping[str, Sequence[Any]]  # by Cloud Map's service ids: address, port and weight


def services(connect: Json) -> list[str]:
    """The ids of the Cloud Map services that a proxy leads to."""
    return sorted({each["service"] for each in connect.get("egress", ())})


def attachment(task: Task, reached: Reached) -> Json:
    """The attachment of a task's payload."""
    connect = task.connect
    made = next(each for each in task.attachments if each.type == SHOWN_TYPE)
    config = {
        "egressConfig": {"listenerName": "egress", "listenerPort": 0, "vip": {"ipv4Cidr": _VIP, "ipv6Cidr": ""}},
        "dnsConfig": [
            {"hostName": name, "address": address}
            for name, address in {each["alias"]: each["address"] for each in connect["egress"]}.items()
        ],
        "ingressConfig": [
            {
                "interceptPort": each["port"] if each["intercepted"] else None,
                "listenerName": each["name"],
                "listenerPort": each["listener"],
            }
            for each in connect["ingress"]
        ],
    }
    ways = {name: connect[name] for name in ("ingress", "egress")} | {"reached": reached}
    properties = {
        "ContainerName": connect["container"],
        "ServiceConnectConfig": msgspec.json.encode(config).decode(),
        "DryportProxy": msgspec.json.encode(ways).decode(),
    }
    return {
        "attachmentArn": arn.make("ecs", task.region, task.account, f"attachment/{made.id}"),
        "attachmentType": TYPE,
        "attachmentProperties": [{"name": name, "value": value} for name, value in properties.items()],
    }


def definition(task: Task) -> Json:
    """The proxy as a container definition."""
    connect = task.connect
    made: Json = {
        "name": connect["container"],
        "image": IMAGE,
        "essential": True,
        "portMappings": [
            {"containerPort": each["listener"], "hostPort": each["host_port"], "protocol": "tcp"}
            for each in connect["ingress"]
        ],
    }
    if connect.get("log"):
        made["logConfiguration"] = connect["log"]
    return made


def depending(connect: Json, container: Mapping[str, Any]) -> Json:
    """A container definition whose container finds the aliases, and starts once the proxy does."""
    needs = [*(container.get("dependsOn") or ()), {"containerName": connect["container"], "condition": "START"}]
    hosts = {each["alias"]: each["address"] for each in connect["egress"]}
    added = [{"hostname": name, "ipAddress": address} for name, address in hosts.items()]
    return {**container, "dependsOn": needs, "extraHosts": [*(container.get("extraHosts") or ()), *added]}


def endpoints(message_id: str, task_arn: str, reached: Reached) -> tuple[str, Json]:
    """The message that tells where a task's proxy reaches its services now: its type and body."""
    return ENDPOINTS_MESSAGE, {"messageId": message_id, "taskArn": task_arn, "reached": reached}
