"""What container agents call: registration, where to connect, and what became of their tasks.

Source: the agent protocol page; Amazon ECS API reference. An agent goes on or gives up by an error's code: the codes
are AWS's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from dryport.aws import arn
from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import hexadecimal, uuid4
from dryport.ecs import lifecycle
from dryport.ecs.acs.sources import interface_attachment
from dryport.ecs.api import SERVICE, lookup, tags
from dryport.ecs.api.instances import container_instance_json, existing_instance, registering_cluster
from dryport.ecs.controllers import steps
from dryport.ecs.model import CONTAINER_INSTANCES, TASKS, Cluster, ContainerInstance, Task
from dryport.gateway.service import Call, Output

Json = dict[str, Any]

# Attributes that say what the machine is: a registration may not change them.
_INSTANCE_TYPE = "ecs.instance-type"


@SERVICE.operation(
    "RegisterContainerInstance", unsupported=("platformDevices", "attributes.targetType", "attributes.targetId")
)
def register_container_instance(call: Call, request: Json) -> Output:
    """Add a machine to a cluster, or renew what is known of one that was there before."""
    cluster = registering_cluster(call, request.get("cluster") or "")
    if request.get("containerInstanceArn"):
        instance = _register_again(call, cluster, request)
    else:
        instance = _registered_with_token(call, cluster, request) or _register(call, cluster, request)
    call.tx.put(CONTAINER_INSTANCES, instance)
    return {"containerInstance": container_instance_json(call.tx, instance, tags=True)}


@SERVICE.operation("DeregisterContainerInstance")
def deregister_container_instance(call: Call, request: Json) -> Output:
    """Take a machine out of its cluster; with ``force`` its tasks are given up."""
    cluster = lookup.cluster(call, request.get("cluster"), hidden=True)
    instance = existing_instance(call, cluster, request["containerInstance"])
    if steps.unstopped_tasks(call.tx, instance.arn) and not request.get("force"):
        raise ServiceError("InvalidParameterException", "Found running tasks on the instance.")
    instance = replace(instance, status="INACTIVE", agent_connected=False, version=instance.version + 1)
    call.tx.put(CONTAINER_INSTANCES, instance)
    return {"containerInstance": container_instance_json(call.tx, instance, tags=True)}


@SERVICE.operation("DiscoverPollEndpoint")
def discover_poll_endpoint(call: Call, request: Json) -> Output:
    """Where the agent opens its websockets: at the address by which it reached us."""
    base = f"http://{call.host}"
    return {"endpoint": f"{base}/acs", "telemetryEndpoint": f"{base}/tcs"}


@SERVICE.operation("SubmitTaskStateChange")
def submit_task_state_change(call: Call, request: Json) -> Output:
    """Take an agent's report of a task, as often and as late as it comes."""
    task = _reported_task(call, request.get("task") or "")
    for change in request.get("attachments") or ():
        task = _apply_attachment(call, task, change)
    report = lifecycle.TaskReport(
        status=_status(request.get("status")),
        reason=request.get("reason") or None,
        containers=_container_reports(request),
        pull_started_at=request.get("pullStartedAt"),
        pull_stopped_at=request.get("pullStoppedAt"),
        execution_stopped_at=request.get("executionStoppedAt"),
    )
    return _apply(call, task, report)


@SERVICE.operation("SubmitContainerStateChange")
def submit_container_state_change(call: Call, request: Json) -> Output:
    """Take an agent's report of one container."""
    task = _reported_task(call, request.get("task") or "")
    return _apply(call, task, lifecycle.TaskReport(containers=[_container_report(request, None)]))


@SERVICE.operation("SubmitAttachmentStateChanges")
def submit_attachment_state_changes(call: Call, request: Json) -> Output:
    """Take an agent's report of interfaces that have come up."""
    for change in request["attachments"]:
        for task in _tasks_with_attachment(call, change["attachmentArn"]):
            _apply_attachment(call, task, change)
    return {"acknowledgment": uuid4(call.random)}


def _register(call: Call, cluster: Cluster, request: Mapping[str, Any]) -> ContainerInstance:
    identity = _identity(request.get("instanceIdentityDocument") or "")
    name = f"container-instance/{cluster.name}/{hexadecimal(call.random, 32)}"
    capacity = "FARGATE" if cluster.hidden else "EC2" if identity.get("instanceId") else "EXTERNAL"
    return ContainerInstance(
        arn=arn.make("ecs", call.region, call.account, name),
        cluster_arn=cluster.arn,
        account=call.account,
        region=call.region,
        ec2_instance_id=identity.get("instanceId"),
        registered_resources=[_resource(each) for each in request.get("totalResources") or ()],
        attributes=_with_zone(_attributes(request), identity),
        capacity=capacity,
        registered_at=call.now,
        client_token=request.get("clientToken"),
        tags=tags.given(request),
        **_versions(request),
    )


def _register_again(call: Call, cluster: Cluster, request: Mapping[str, Any]) -> ContainerInstance:
    known = call.tx.get(CONTAINER_INSTANCES, request["containerInstanceArn"])
    if known is None or known.account != call.account or known.cluster_arn != cluster.arn:
        raise ServiceError("InvalidParameterException", "The referenced container instance was not found.")
    sent = _attributes(request)
    types = {each.get("value") for each in [*known.attributes, *sent] if each["name"] == _INSTANCE_TYPE}
    if len(types) > 1:
        raise ServiceError("InvalidParameterException", "Container instance type changes are not supported.")
    # The agent leaves its custom attributes out, and those that were put by users it does not know.
    names = {each["name"] for each in sent}
    kept = [each for each in known.attributes if each["name"] not in names]
    return replace(
        known,
        status="ACTIVE" if known.status == "INACTIVE" else known.status,
        attributes=[*sent, *kept],
        registered_resources=[_resource(each) for each in request.get("totalResources") or ()],
        version=known.version + 1,
        **_versions(request),
    )


def _registered_with_token(call: Call, cluster: Cluster, request: Mapping[str, Any]) -> ContainerInstance | None:
    token = request.get("clientToken")
    if not token:
        return None
    instances = call.tx.find(CONTAINER_INSTANCES, "cluster", cluster.arn)
    return next((each for each in instances if each.client_token == token), None)


def _identity(document: str) -> dict[str, str]:
    if not document:
        return {}
    try:
        return msgspec.json.decode(document, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise ServiceError("ClientException", "The instance identity document is not valid.") from None


def _versions(request: Mapping[str, Any]) -> dict[str, Any]:
    members = {"agentVersion": "agent_version", "agentHash": "agent_hash", "dockerVersion": "docker_version"}
    return {members[name]: value for name, value in (request.get("versionInfo") or {}).items()}


def _attributes(request: Mapping[str, Any]) -> list[Json]:
    return [dict(each) for each in request.get("attributes") or ()]


def _with_zone(attributes: list[Json], identity: Mapping[str, str]) -> list[Json]:
    names = {each["name"] for each in attributes}
    built_in = {
        "ecs.ami-id": identity.get("imageId"),
        "ecs.availability-zone": identity.get("availabilityZone"),
        "ecs.instance-type": identity.get("instanceType"),
    }
    added = [{"name": name, "value": value} for name, value in built_in.items() if value and name not in names]
    return [*attributes, *added]


def _resource(resource: Mapping[str, Any]) -> Json:
    if not resource.get("name"):
        raise ServiceError("InvalidParameterException", "Resource.name should not be null or empty.")
    return {"doubleValue": 0.0, "longValue": 0, "integerValue": 0, **resource}


def _reported_task(call: Call, task_arn: str) -> Task:
    task = call.tx.get(TASKS, task_arn)
    host = call.tx.get(CONTAINER_INSTANCES, task.instance_arn or "") if task else None
    # Only the machine that runs a task may speak of it; on the platform's own hosts that is not the task's account.
    if task is None or host is None or host.account != call.account:
        raise ServiceError("InvalidParameterException", "The referenced task was not found.")
    return task


def _tasks_with_attachment(call: Call, attachment_arn: str) -> Iterable[Task]:
    for instance in call.tx.all(CONTAINER_INSTANCES):
        if instance.account == call.account:
            for task in call.tx.find(TASKS, "unstopped", instance.arn):
                if any(attachment_arn.endswith(f"/{each.id}") for each in task.attachments):
                    yield task


def _apply_attachment(call: Call, task: Task, change: Mapping[str, Any]) -> Task:
    attachment = interface_attachment(task)
    ours = attachment is not None and change["attachmentArn"].endswith(f"/{attachment.id}")
    if ours and change["status"] == "ATTACHED":
        steps.connect(call.tx, task, call.now)
    return call.tx.get(TASKS, task.arn) or task


def _apply(call: Call, task: Task, report: lifecycle.TaskReport) -> Output:
    changed = lifecycle.apply_task_report(task, report, call.now)
    if changed is not task:
        call.tx.put(TASKS, changed)
    return {"acknowledgment": uuid4(call.random)}


def _status(status: str | None) -> str | None:
    return status if status in (lifecycle.PENDING, lifecycle.RUNNING, lifecycle.STOPPED) else None


def _container_reports(request: Mapping[str, Any]) -> Sequence[lifecycle.ContainerReport]:
    managed: dict[str, list[Json]] = {}
    for each in request.get("managedAgents") or ():
        agent = {"name": each["managedAgentName"], "lastStatus": each["status"]}
        managed.setdefault(each["containerName"], []).append(
            agent | ({"reason": each["reason"]} if each.get("reason") else {})
        )
    reports = [
        _container_report(each, managed.pop(each.get("containerName") or "", None))
        for each in request.get("containers") or ()
    ]
    reports += [lifecycle.ContainerReport(name=name, managed_agents=agents) for name, agents in managed.items()]
    return reports


def _container_report(each: Mapping[str, Any], managed_agents: Sequence[Json] | None) -> lifecycle.ContainerReport:
    return lifecycle.ContainerReport(
        name=each.get("containerName") or "",
        status=each.get("status") or None,
        runtime_id=each.get("runtimeId") or None,
        image_digest=each.get("imageDigest") or None,
        exit_code=each.get("exitCode"),
        reason=each.get("reason") or None,
        network_bindings=each.get("networkBindings"),
        managed_agents=managed_agents,
    )
