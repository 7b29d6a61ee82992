"""Tasks of services with Service Connect: each begins with a proxy, which knows the aliases of that moment.

"Only new Amazon ECS tasks that […] start running after this deployment can resolve and connect to this endpoint"
(developer guide): aliases that come later are for later tasks. Where an alias is reached is told while the task runs.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws import arn
from dryport.aws.identifiers import uuid4
from dryport.ecs.connect import cloud_map, message, proxy, traffic
from dryport.ecs.connect.proxy import Offered
from dryport.ecs.model import TASK_DEFINITIONS, Attachment, Container, Json, Task
from dryport.ecs.services.model import SERVICE_REVISIONS, Service, ServiceRevision
from dryport.gateway.service import Call
from dryport.store import Reader


def connected(call: Call, service: Service, revision: ServiceRevision, task: Task) -> Task:
    """A new task of a service with its proxy, where its revision has Service Connect."""
    definition = call.tx.get(TASK_DEFINITIONS, revision.task_definition_arn)
    if not revision.connect_namespace or definition is None:
        return task
    own = _offered(call.tx, revision)
    others = [
        each
        for other in cloud_map.members(call.tx, revision.connect_namespace)
        if other.arn != service.arn and (found := call.tx.get(SERVICE_REVISIONS, other.revision_arn)) is not None
        for each in _offered(call.tx, found)
    ]
    name = proxy.container_name(call.random)
    number = int(task.arn.rpartition("/")[2][:8], 16)
    plan = proxy.plan(name, revision.connect_namespace, own, [*others, *own], definition.body, number)
    if revision.service_connect.get("logConfiguration"):
        plan["log"] = revision.service_connect["logConfiguration"]
    arns = {cloud_map.ids([each])[0]: each["discoveryArn"] for each in revision.connect_resources}
    cluster, task_id = task.arn.split("/")[1:]
    resource = f"container/{cluster}/{task_id}/{uuid4(call.random)}"
    container = Container(
        arn=arn.make("ecs", task.region, task.account, resource), name=name, image=proxy.IMAGE, cpu="0"
    )
    shown = Attachment(
        id=uuid4(call.random),
        type=message.SHOWN_TYPE,
        status="ATTACHED",
        details=[{"name": "ContainerName", "value": name}],
    )
    return replace(
        task,
        connect=plan,
        containers=[*task.containers, container],
        attachments=[*task.attachments, shown],
        registries=[*task.registries, *proxy.registries(plan, arns)],
    )


def _offered(reader: Reader, revision: ServiceRevision) -> list[Offered]:
    by_name = {each["discoveryName"]: cloud_map.ids([each])[0] for each in revision.connect_resources}
    found = cloud_map.of_revision(reader, revision)
    return [Offered(each, by_name[each.discovery_name]) for each in found]


def reached(reader: Reader, task: Task) -> dict[str, list[list[Any]]]:
    """Where a task's proxy reaches each of the services that it leads to, and who of them is tested."""
    found: dict[str, list[list[Any]]] = {}
    for each in message.services(task.connect):
        places, service = cloud_map.places(reader, each), cloud_map.owner(reader, each)
        found[each] = traffic.weighed(places, traffic.shares(service, test=False))
        found[f"{each}{message.TEST}"] = traffic.weighed(places, traffic.shares(service, test=True))
    return found


def attributes(task: Task, address: str, port: int | None) -> dict[str, str]:
    """What a running task is registered as in Cloud Map."""
    found: Json = {
        "AWS_INSTANCE_IPV4": address,
        "AWS_INSTANCE_PORT": str(port) if port else "",
        "AvailabilityZone": task.availability_zone or "",
        "DeploymentId": (task.started_by or "").rpartition("/")[2],
    }
    return {name: value for name, value in found.items() if value}
