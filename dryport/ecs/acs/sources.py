"""Gathers from the store what a task's messages are made of."""

from __future__ import annotations

from typing import NamedTuple

from dryport.aws import arn
from dryport.ec2 import published as ec2
from dryport.ec2.model import NETWORK_INTERFACES
from dryport.ecs import ebs, file_systems
from dryport.ecs.acs.model import TASK_GRANTS, RoleGrant, TaskGrant
from dryport.ecs.acs.payload import BlockVolume, Credentials, Interface, Source
from dryport.ecs.connect import tasks
from dryport.ecs.model import TASK_DEFINITIONS, Attachment, Task
from dryport.iam import credentials as iam
from dryport.store import Reader


class RoleKeys(NamedTuple):
    """The present keys of a task's roles."""

    task: Credentials | None
    execution: Credentials | None


def source_of(reader: Reader, task: Task, endpoint: str) -> Source | None:
    """What a task's payload is made of; ``None`` where it is not ready to be sent.

    ``endpoint`` is the platform's URL as the instance reaches it.
    """
    definition = reader.get(TASK_DEFINITIONS, task.task_definition_arn)
    keys = keys_of(reader, task.arn)
    if definition is None or keys is None:
        return None
    points = file_systems.access_points(reader, definition.body)
    interface, volume = _interface(reader, task), _block_volume(reader, task)
    reached = tasks.reached(reader, task)
    return Source(task, definition, endpoint, keys.task, keys.execution, interface, points, volume, reached)


def keys_of(reader: Reader, task_arn: str) -> RoleKeys | None:
    """The keys that a task was granted; ``None`` where nothing was decided yet."""
    grant: TaskGrant | None = reader.get(TASK_GRANTS, task_arn)
    if grant is None:
        return None
    return RoleKeys(_keys(reader, grant.task), _keys(reader, grant.execution))


def interface_attachment(task: Task) -> Attachment | None:
    """The attachment of a task that is its network interface."""
    return next((each for each in task.attachments if each.type == "ElasticNetworkInterface"), None)


def detail(attachment: Attachment, name: str) -> str | None:
    """The value of one of an attachment's details."""
    return next((pair["value"] for pair in attachment.details if pair["name"] == name), None)


def _keys(reader: Reader, grant: RoleGrant | None) -> Credentials | None:
    found = iam.find(reader, grant.access_key_id) if grant else None
    if grant is None or found is None:
        return None
    return Credentials(
        credentials_id=grant.credentials_id,
        role_arn=grant.role_arn,
        access_key_id=found.access_key_id,
        secret_access_key=found.secret_access_key,
        session_token=found.session_token or "",
        expires=grant.expires,
    )


def _block_volume(reader: Reader, task: Task) -> BlockVolume | None:
    """The volume that the agent mounts; on Fargate it is mounted for it."""
    made = ebs.attachment(task)
    volume = ec2.task_volume(reader, task.arn) if made is not None else None
    if made is None or volume is None or volume.attachment is None or volume.attachment.on_fargate:
        return None
    return BlockVolume(
        attachment_arn=arn.make("ecs", task.region, task.account, f"attachment/{made.id}"),
        id=volume.id,
        name=task.volume["name"],
        gib=volume.size,
        device=volume.attachment.device,
        file_system=volume.attachment.file_system,
        task_id=task.arn.rpartition("/")[2],
    )


def _interface(reader: Reader, task: Task) -> Interface | None:
    attachment = interface_attachment(task)
    interface_id = detail(attachment, "networkInterfaceId") if attachment else None
    interface = reader.get(NETWORK_INTERFACES, interface_id) if interface_id else None
    if attachment is None or interface is None:
        return None
    subnet = ec2.subnet(reader, task.account, task.region, interface.subnet_id)
    if subnet is None:
        return None
    prefix_length = subnet.cidr_block.partition("/")[2]
    return Interface(
        attachment_arn=arn.make("ecs", task.region, task.account, f"attachment/{attachment.id}"),
        id=interface.id,
        mac_address=interface.mac_address,
        private_ip=interface.private_ip,
        private_dns_name=interface.private_dns_name,
        gateway=f"{ec2.gateway_address(subnet)}/{prefix_length}",
        name_servers=[ec2.resolver_address(reader, interface.vpc_id)],
    )
