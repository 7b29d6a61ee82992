"""Does what ``decisions`` decided: plain functions inside one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import uuid4
from dryport.ec2 import published as ec2
from dryport.ec2.model import NETWORK_INTERFACES, NetworkInterface
from dryport.ecs import attributes, ebs, file_systems, lifecycle
from dryport.ecs.acs.model import TASK_GRANTS, RoleGrant, TaskGrant
from dryport.ecs.acs.sources import detail, interface_attachment
from dryport.ecs.controllers import decisions
from dryport.ecs.model import (
    CONTAINER_INSTANCES,
    INSTANCE_MOUNTS,
    TASK_DEFINITIONS,
    TASKS,
    Attachment,
    Container,
    ContainerInstance,
    Json,
    Task,
)
from dryport.ecs.roles import role_arn
from dryport.iam import credentials as iam
from dryport.store import Reader, Transaction

_REQUESTER = "amazon-ecs"


def connected_fargate_host(reader: Reader) -> ContainerInstance | None:
    """The connected host of the platform's own capacity that has the fewest tasks."""
    hosts = [each for each in reader.find(CONTAINER_INSTANCES, "capacity", "FARGATE/ACTIVE") if each.agent_connected]
    return min(hosts, key=lambda host: reader.count(TASKS, "unstopped", host.arn), default=None)


def subnets_of(task: Task) -> list[str]:
    """The subnets that a task's interface may be in: the one that was chosen for it, or those that were asked for."""
    attachment = interface_attachment(task)
    chosen = detail(attachment, "subnetId") if attachment else None
    return [chosen] if chosen else list(_awsvpc(task).get("subnets") or ())


def provision(
    tx: Transaction, random: Random, task: Task, subnet_id: str, now: float, namespace_of: Callable[[str], str]
) -> Task:
    """Make the interface, issue the credentials, and on Fargate choose the host.

    ``namespace_of`` gives the network namespace of an EC2 instance. Raises ServiceError where there is no interface.
    """
    host = tx.get(CONTAINER_INSTANCES, task.instance_arn) if task.instance_arn else connected_fargate_host(tx)
    if host is None:
        return task
    settings = _awsvpc(task)
    attachment = interface_attachment(task) or Attachment(id=uuid4(random))
    interface = ec2.create_network_interface(
        tx,
        random,
        now=now,
        account=task.account,
        region=task.region,
        subnet_id=subnet_id,
        group_ids=list(settings.get("securityGroups") or ()),
        description=f"arn:aws:ecs:{task.region}:{task.account}:attachment/{attachment.id}",
        assign_public_ip=settings.get("assignPublicIp") == "ENABLED",
        owner=task.arn,
        namespace=namespace_of(host.ec2_instance_id) if host.ec2_instance_id else "",
        task_of=host.ec2_instance_id or "",
        requester_id=_REQUESTER,
        # Those of ECS alone: the task's others are not its interface's.
        tags={each["key"]: each["value"] for each in task.tags if each["key"].startswith("aws:ecs:")},
    )
    attachment = replace(attachment, status="ATTACHING", details=interface_details(interface))
    others = [each for each in task.attachments if each.id != attachment.id]
    task = replace(
        task,
        attachments=[attachment, *others],
        instance_arn=host.arn,
        availability_zone=interface.availability_zone,
        version=task.version + 1,
    )
    return grant(tx, random, task, now)


def interface_details(interface: NetworkInterface) -> list[Json]:
    """An interface in the words of a task's attachment."""
    return [
        {"name": "subnetId", "value": interface.subnet_id},
        {"name": "networkInterfaceId", "value": interface.id},
        {"name": "macAddress", "value": interface.mac_address},
        {"name": "privateDnsName", "value": interface.private_dns_name},
        {"name": "privateIPv4Address", "value": interface.private_ip},
    ]


def grant(tx: Transaction, random: Random, task: Task, now: float) -> Task:
    """Issue sessions of the task's roles, have its volume made, note whether it has file systems, and store it all."""
    task = ebs.request(tx, random, task, now)
    if file_systems.of_task(tx, task):
        task = replace(task, file_systems="wanted")
    granted = TaskGrant(
        task_arn=task.arn,
        task=_issue(tx, random, task, "task", now),
        execution=_issue(tx, random, task, "execution", now),
    )
    tx.put(TASK_GRANTS, granted)
    tx.put(TASKS, task)
    return task


def renew(tx: Transaction, random: Random, task: Task, now: float) -> None:
    """Issue new keys under the old credentials ids. The old ones stay good until their end: programs hold them."""
    old = tx.get(TASK_GRANTS, task.arn)
    if old is None:
        return
    iam.revoke_expired(tx, task.arn, now)
    renewed = TaskGrant(
        task_arn=task.arn,
        task=_issue(tx, random, task, "task", now, old.task),
        execution=_issue(tx, random, task, "execution", now, old.execution),
        renewals=old.renewals + 1,
    )
    tx.put(TASK_GRANTS, renewed)


def connect(tx: Transaction, task: Task, now: float) -> None:
    """The task's interface is up."""
    attachment = interface_attachment(task)
    interface_id = detail(attachment, "networkInterfaceId") if attachment else None
    interface = tx.get(NETWORK_INTERFACES, interface_id) if interface_id else None
    if attachment is None or interface is None:
        return
    task = lifecycle.apply_attachment_status(task, attachment.id, "ATTACHED", interface_details(interface))
    shown = {"attachmentId": attachment.id, "privateIpv4Address": interface.private_ip}
    containers = [replace(container, network_interfaces=[shown]) for container in task.containers]
    task = replace(task, containers=containers, connectivity="CONNECTED", connectivity_at=task.connectivity_at or now)
    tx.put(TASKS, lifecycle.advance(task, lifecycle.PENDING, now))


def place(tx: Transaction, random: Random, task: Task, now: float) -> None:
    """Prepare a task that was placed on a container instance: credentials, zone, PENDING."""
    instance = tx.get(CONTAINER_INSTANCES, task.instance_arn or "")
    zone = attributes.value(instance.attributes, attributes.ZONE) if instance else None
    task = replace(
        task,
        availability_zone=task.availability_zone or zone,
        connectivity="CONNECTED",
        connectivity_at=task.connectivity_at or now,
    )
    grant(tx, random, lifecycle.advance(task, lifecycle.PENDING, now), now)


def mount(tx: Transaction, task: Task) -> None:
    """Have the task's file systems mounted on its instance; on Fargate they are where its agent is."""
    wanted = file_systems.mounts(tx, task)
    for each in wanted:
        tx.put(INSTANCE_MOUNTS, each)
    tx.put(TASKS, replace(task, file_systems="mounting" if wanted else "mounted"))


def use_volume(tx: Transaction, task: Task, place: str = "") -> None:
    """The task's volume is mounted: on Fargate at ``place``."""
    tx.put(TASKS, ebs.use(task, place))


def fail_volume(tx: Transaction, task: Task, reason: str, now: float) -> None:
    """The task cannot have its volume, so it ends."""
    failed = ebs.fail(task, reason)
    tx.put(TASKS, lifecycle.request_stop(failed, lifecycle.TASK_FAILED_TO_START, reason, now))


def abandon(tx: Transaction, task: Task, now: float) -> None:
    """End a task that no agent will report on."""
    containers: list[Container] = [replace(each, last_status="STOPPED") for each in task.containers]
    tx.put(TASKS, lifecycle.advance(replace(task, containers=containers), lifecycle.DEPROVISIONING, now))


def release(tx: Transaction, task: Task) -> None:
    """Delete the task's interfaces and end its sessions."""
    for interface_id in tx.keys(NETWORK_INTERFACES, "owner", task.arn):
        ec2.delete_network_interface(tx, interface_id)
    ec2.release_task_volume(tx, task.arn)
    iam.revoke_sessions(tx, task.arn)
    tx.delete(TASK_GRANTS, task.arn)
    for attachment in task.attachments:
        task = lifecycle.apply_attachment_status(task, attachment.id, "DETACHING")
    tx.put(TASKS, task)


def finish(tx: Transaction, task: Task, now: float) -> None:
    """The task has nothing left: STOPPED."""
    for attachment in task.attachments:
        task = lifecycle.apply_attachment_status(task, attachment.id, "DELETED")
    tx.put(TASKS, lifecycle.advance(task, lifecycle.STOPPED, now))


def interface_refused(task: Task, subnet_id: str, error: ServiceError) -> decisions.Fail:
    """Why a task without an interface fails, in ECS's words."""
    public = "with public IP assignment enabled " if _awsvpc(task).get("assignPublicIp") == "ENABLED" else ""
    reason = f"Unexpected EC2 error while attempting to Create Network Interface {public}in subnet '{subnet_id}'"
    return decisions.Fail(lifecycle.TASK_FAILED_TO_START, f"{reason}: {error.code}")


def _awsvpc(task: Task) -> Json:
    # Kept as RunTask had it: with or without its outer member.
    found: Json = task.network_configuration.get("awsvpcConfiguration", task.network_configuration)
    return found


def _role_arn(reader: Reader, task: Task, kind: str) -> str | None:
    member = f"{kind}RoleArn"
    definition = reader.get(TASK_DEFINITIONS, task.task_definition_arn)
    named = task.overrides.get(member) or (definition.body.get(member) if definition else None)
    return role_arn(task.account, str(named)) if named else None


def _issue(
    tx: Transaction, random: Random, task: Task, kind: str, now: float, old: RoleGrant | None = None
) -> RoleGrant | None:
    role = _role_arn(tx, task, kind)
    if role is None:
        return None
    session = iam.issue_session(
        tx, random, role_arn=role, session_name=task.arn.rsplit("/", 1)[-1], now=now, owner=task.arn
    )
    return RoleGrant(
        credentials_id=old.credentials_id if old else uuid4(random),
        role_arn=role,
        access_key_id=session.access_key_id,
        expires=session.expires or now + iam.SESSION_SECONDS,
    )


def unstopped_tasks(reader: Reader, instance_arn: str) -> Sequence[str]:
    """The tasks of an instance that are not over."""
    return reader.keys(TASKS, "unstopped", instance_arn)
