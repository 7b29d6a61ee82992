"""From a checked launch to its tasks. RunTask and StartTask (and services) share it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Any

from dryport.aws import arn
from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import hexadecimal, uuid4
from dryport.ec2.model import Subnet
from dryport.ecs import attributes, ebs, tags
from dryport.ecs.controllers import resources
from dryport.ecs.launching import network, overrides, volumes
from dryport.ecs.lifecycle import PENDING, PROVISIONING
from dryport.ecs.lookup import client_error, invalid, task_definition
from dryport.ecs.model import (
    CONTAINER_INSTANCES,
    Attachment,
    Cluster,
    Container,
    ContainerInstance,
    Json,
    Task,
    TaskDefinition,
)
from dryport.ecs.placement.board import Board
from dryport.ecs.published import chosen_setting
from dryport.ecs.roles import role_arn
from dryport.gateway.service import Call
from dryport.iam import published as iam

PLATFORM_VERSION = "1.4.0"  # what LATEST means
UNSUPPORTED = (
    "enableExecuteCommand",
    "referenceId",
    "overrides.inferenceAcceleratorOverrides",
    "overrides.containerOverrides.resourceRequirements.sharingStrategy",
)
_ASSUMING = "ecs-tasks.amazonaws.com"  # whom a task's roles must trust
_EPHEMERAL_GIB = 20  # Fargate's default
_STARTED_BY = re.compile(r"[A-Za-z0-9/_-]{1,128}")
ARCHITECTURES = {"X86_64": "x86_64", "ARM64": "arm64"}


@dataclass(frozen=True)
class Launch:
    """What the tasks of one launch have in common."""

    cluster: Cluster
    definition: TaskDefinition
    launch_type: str
    overrides: Json
    network: Json  # awsvpcConfiguration, empty for other network modes
    group: str
    started_by: str | None = None
    client_token: str | None = None
    log_driver_mode: str | None = None
    placement: Json = field(default_factory=dict)  # constraints and strategies of the request, for those who ask later
    tags: list[Json] = field(default_factory=list)
    volume: Json = field(default_factory=dict)  # that is configured at launch

    @property
    def needs(self) -> Json:
        """What each task takes of its instance."""
        return resources.needs(self.definition, self.overrides)


def runnable_definition(call: Call, identifier: str) -> TaskDefinition:
    """The active revision of this name. Raises ServiceError (ClientException)."""
    definition = task_definition(call, identifier)
    if definition is None:
        raise client_error("TaskDefinition not found.")
    if definition.status != "ACTIVE":
        raise client_error("TaskDefinition is inactive")
    return definition


def prepare(
    call: Call,
    request: Any,
    cluster: Cluster,
    definition: TaskDefinition,
    launch_type: str,
    service_tags: list[Json] | None = None,
) -> Launch:
    """Check what RunTask, StartTask and services have in common; ``service_tags`` are a service's.

    Raises ServiceError.
    """
    if launch_type not in definition.body["compatibilities"]:
        raise invalid(f"Task definition does not support launch_type {launch_type}.")
    started_by = request.get("startedBy") or None
    if started_by is not None and not _STARTED_BY.fullmatch(started_by):
        raise invalid("startedBy contains invalid characters or is longer than 128 characters.")
    group = request.get("group") or f"family:{definition.family}"
    if group.startswith("service:"):
        raise invalid("Task groups of the namespace service: are for services only.")
    if request.get("propagateTags") == "SERVICE":
        raise invalid("The SERVICE option of propagateTags is not supported when running a task.")
    if launch_type == "FARGATE":
        _check_platform(call, request, definition)
    elif request.get("platformVersion"):
        raise invalid("The platform version must be null when specifying an EC2 launch type.")
    over = overrides.normalize(request.get("overrides", {}), definition.body, on_fargate=launch_type == "FARGATE")
    _check_roles(call, definition, over)
    return Launch(
        cluster=cluster,
        definition=definition,
        launch_type=launch_type,
        overrides=over,
        network=network.check(call, request, definition.body.get("networkMode", "bridge"), launch_type),
        group=group,
        started_by=started_by,
        client_token=request.get("clientToken"),
        # Where nobody has set it, the agent's own way is better than either: no container waits, and no line is lost.
        log_driver_mode=chosen_setting(call.tx, call.account, call.region, call.principal.arn, "defaultLogDriverMode"),
        placement={
            member: request[member] for member in ("placementConstraints", "placementStrategy") if request.get(member)
        },
        tags=_tags(request, cluster, definition),
        volume=volumes.check(call, request, definition, launch_type, service_tags),
    )


def _check_roles(call: Call, definition: TaskDefinition, over: Json) -> None:
    """Refuse roles that there are not, or that ECS may not assume."""
    for member in ("taskRoleArn", "executionRoleArn"):
        role = over.get(member) or definition.body.get(member)
        if role and iam.refuses(call.tx, role_arn(call.account, role), _ASSUMING):
            raise client_error(
                f"ECS was unable to assume the role '{role}' that was provided for this task. Please verify that the "
                "role being passed has the proper trust relationship and permissions and that your IAM user has "
                "permissions to pass this role."
            )


def task(
    call: Call,
    launch: Launch,
    *,
    subnet: Subnet | None = None,
    instance: ContainerInstance | None = None,
    provider: str | None = None,
    gpus: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Task:
    """A new task, not yet stored.

    ``subnet`` for awsvpc; ``instance`` on capacity that the user sees; ``gpus`` are those of each container.
    """
    body, cluster = launch.definition.body, launch.cluster
    task_id = hexadecimal(call.random, 32)
    on_fargate = launch.launch_type == "FARGATE"
    if instance is not None:
        architecture = _architecture(instance)
    else:
        architecture = ARCHITECTURES[body.get("runtimePlatform", {}).get("cpuArchitecture", "X86_64")]
    return Task(
        arn=arn.make("ecs", cluster.region, cluster.account, f"task/{cluster.name}/{task_id}"),
        cluster_arn=cluster.arn,
        account=cluster.account,
        region=cluster.region,
        task_definition_arn=launch.definition.arn,
        family=launch.definition.family,
        launch_type=launch.launch_type,
        capacity_provider=provider,
        last_status=PROVISIONING if subnet is not None else PENDING,
        containers=[
            _container(call, launch, task_id, container, gpus.get(container["name"], ()))
            for container in body["containerDefinitions"]
        ],
        attachments=_attachments(call, launch, subnet),
        volume=launch.volume,
        attributes=[{"name": attributes.ARCHITECTURE, "value": architecture}],
        instance_arn=instance.arn if instance is not None else None,
        availability_zone=subnet.availability_zone if subnet is not None else _zone(instance),
        cpu=overrides.task_size(body, launch.overrides, "cpu"),
        memory=overrides.task_size(body, launch.overrides, "memory"),
        group=launch.group,
        started_by=launch.started_by,
        client_token=launch.client_token,
        overrides=launch.overrides,
        network_configuration=launch.network,
        platform_version=PLATFORM_VERSION if on_fargate else None,
        platform_family="Linux" if on_fargate else None,
        ephemeral_storage=_ephemeral_storage(body, launch.overrides) if on_fargate else None,
        tags=launch.tags,
        created_at=call.now,
        log_driver_mode=launch.log_driver_mode,
        placement=launch.placement,
        resources=launch.needs,
    )


def task_on(call: Call, launch: Launch, instance_arn: str, board: Board) -> Task:
    """A new task on a container instance, which has room for it. Not yet stored."""
    free = iter(board.free_gpus(instance_arn))
    gpus = {name: list(islice(free, count)) for name, count in launch.needs.get("gpus", {}).items()}
    instance = call.tx.get(CONTAINER_INSTANCES, instance_arn)
    # Placement has seen to it that there is a subnet in the instance's zone.
    near = [each for each in network.subnets(call, launch.network) if each.availability_zone == _zone(instance)]
    subnet = call.random.choice(near) if near else None
    return task(call, launch, subnet=subnet, instance=instance, gpus=gpus)


def _container(call: Call, launch: Launch, task_id: str, definition: Json, gpus: Sequence[str]) -> Container:
    cluster, name = launch.cluster, definition["name"]

    def size(member: str) -> str | None:
        found = overrides.container_size(launch.definition.body, launch.overrides, name, member)
        return None if found is None else str(found)

    resource = f"container/{cluster.name}/{task_id}/{uuid4(call.random)}"
    return Container(
        arn=arn.make("ecs", cluster.region, cluster.account, resource),
        name=name,
        image=definition["image"],
        cpu=size("cpu"),
        memory=size("memory"),
        memory_reservation=size("memoryReservation"),
        gpu_ids=list(gpus),
    )


def _attachments(call: Call, launch: Launch, subnet: Subnet | None) -> list[Attachment]:
    found = [_interface(call, subnet)] if subnet is not None else []
    if launch.volume:
        found.append(ebs.new_attachment(call.random, launch.volume["name"], launch.volume["managedEBSVolume"]))
    return found


def _interface(call: Call, subnet: Subnet) -> Attachment:
    return Attachment(id=uuid4(call.random), details=[{"name": "subnetId", "value": subnet.id}])


def _zone(instance: ContainerInstance | None) -> str | None:
    return attributes.value(instance.attributes, attributes.ZONE) if instance is not None else None


def _ephemeral_storage(body: Json, override: Json) -> Json:
    storage: Json = override.get("ephemeralStorage") or body.get("ephemeralStorage") or {"sizeInGiB": _EPHEMERAL_GIB}
    return storage


def _tags(request: Any, cluster: Cluster, definition: TaskDefinition) -> list[Json]:
    propagated = definition.tags if request.get("propagateTags") == "TASK_DEFINITION" else []
    merged = tags.merge(propagated, tags.given(request))
    if request.get("enableECSManagedTags"):
        merged = tags.merge([{"key": "aws:ecs:clusterName", "value": cluster.name}], merged)
    return merged


def _check_platform(call: Call, request: Any, definition: TaskDefinition) -> None:
    if request.get("platformVersion", "LATEST") not in ("LATEST", PLATFORM_VERSION):
        raise ServiceError("PlatformUnknownException", "The specified platform does not exist.")
    platform = definition.body.get("runtimePlatform", {})
    linux = platform.get("operatingSystemFamily", "LINUX") == "LINUX"
    wanted = ARCHITECTURES[platform.get("cpuArchitecture", "X86_64")]
    # Hosts that are not up yet may come; those that are up must fit.
    hosts = call.tx.find(CONTAINER_INSTANCES, "capacity", "FARGATE/ACTIVE")
    if not linux or (hosts and not any(_architecture(host) == wanted for host in hosts)):
        raise client_error(
            "Capacity is unavailable at this time. Please try again later or in a different availability zone"
        )


def _architecture(host: ContainerInstance) -> str:
    return attributes.value(host.attributes, attributes.ARCHITECTURE) or "x86_64"
