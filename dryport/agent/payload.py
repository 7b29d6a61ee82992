"""The task as the control plane sends it, in a PayloadMessage.

Members are as the agent protocol names them; what Docker's API expresses travels as JSON text in ``dockerConfig``.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of what arrives: unknown members are ignored, ``null`` reads as the default."""


class Credentials(Wire, frozen=True, kw_only=True):
    """Credentials of a role. ``expiration`` is ISO 8601 as it is to be handed on. Never logged."""

    credentials_id: str
    access_key_id: str = ""
    secret_access_key: str = ""
    session_token: str = ""
    role_arn: str = ""
    expiration: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.credentials_id!r}, …)"


class Address(Wire, frozen=True, kw_only=True):
    private_address: str
    primary: bool = False


class NetworkInterface(Wire, frozen=True, kw_only=True):
    """An elastic network interface: the device with this MAC. ``subnet_gateway_ipv4_address`` has a prefix length."""

    mac_address: str
    ec2_id: str = ""
    attachment_arn: str = ""
    ipv4_addresses: list[Address] = []
    subnet_gateway_ipv4_address: str = ""
    private_dns_name: str = ""
    domain_name_servers: list[str] = []
    domain_name: list[str] = []

    @property
    def address(self) -> str:
        """The primary private address."""
        primary = [a for a in self.ipv4_addresses if a.primary] or self.ipv4_addresses
        return primary[0].private_address if primary else ""

    @property
    def gateway(self) -> str:
        """The subnet's gateway, without prefix length."""
        return self.subnet_gateway_ipv4_address.partition("/")[0]

    @property
    def prefix(self) -> int:
        """The subnet's prefix length."""
        return int(self.subnet_gateway_ipv4_address.partition("/")[2] or 24)


class PortMapping(Wire, frozen=True, kw_only=True):
    container_port: int = 0
    host_port: int = 0
    protocol: str = "tcp"
    container_port_range: str | None = None
    bind_ip: str | None = None
    name: str | None = None


class MountPoint(Wire, frozen=True, kw_only=True):
    source_volume: str = ""
    container_path: str = ""
    read_only: bool | None = None


class VolumeFrom(Wire, frozen=True, kw_only=True):
    source_container: str
    read_only: bool | None = None


class DependsOn(Wire, frozen=True, kw_only=True):
    container_name: str
    condition: str  # START, COMPLETE, SUCCESS, HEALTHY


class RestartPolicy(Wire, frozen=True, kw_only=True):
    """``restart_attempt_period`` is seconds that a container must have run before it is started again."""

    enabled: bool = False
    ignored_exit_codes: list[int] | None = None
    restart_attempt_period: int | None = None


class Secret(Wire, frozen=True, kw_only=True):
    """A value to fetch. ``target`` LOG_DRIVER: an option of the log driver, else an environment variable."""

    name: str
    value_from: str
    region: str = ""
    provider: str = "ssm"  # ssm, asm
    type: str = "ENVIRONMENT_VARIABLE"
    target: str | None = None


class EnvironmentFile(Wire, frozen=True, kw_only=True):
    value: str  # an S3 object's ARN
    type: str = "s3"


class EcrAuth(Wire, frozen=True, kw_only=True):
    registry_id: str = ""
    region: str = ""
    endpoint_override: str = ""
    use_execution_role: bool = False


class AsmAuth(Wire, frozen=True, kw_only=True):
    credentials_parameter: str = ""
    region: str = ""


class RegistryAuthentication(Wire, frozen=True, kw_only=True):
    type: str = ""  # ecr, asm
    ecr_auth_data: EcrAuth | None = None
    asm_auth_data: AsmAuth | None = None


class DockerConfig(Wire, frozen=True, kw_only=True):
    """``config`` and ``host_config`` are Docker's container configuration and host configuration as JSON text."""

    config: str | None = None
    host_config: str | None = None
    version: str | None = None


class Container(Wire, frozen=True, kw_only=True):
    """A container of a task. ``cpu`` is CPU units (1024 a vCPU), ``memory`` MiB, timeouts seconds."""

    name: str
    image: str
    essential: bool | None = True
    cpu: int | None = 0
    memory: int | None = 0
    command: list[str] | None = None
    entry_point: list[str] | None = None
    environment: dict[str, str] | None = None
    environment_files: list[EnvironmentFile] | None = None
    overrides: str | None = None
    port_mappings: list[PortMapping] | None = None
    mount_points: list[MountPoint] | None = None
    volumes_from: list[VolumeFrom] | None = None
    links: list[str] | None = None
    depends_on: list[DependsOn] | None = None
    restart_policy: RestartPolicy | None = None
    secrets: list[Secret] | None = None
    start_timeout: int | None = None
    stop_timeout: int | None = None
    health_check_type: str | None = None
    logs_auth_strategy: str | None = None
    registry_authentication: RegistryAuthentication | None = None
    docker_config: DockerConfig | None = None

    def config(self) -> dict[str, Any]:
        """Docker's container configuration. Raises msgspec.DecodeError where it is no JSON object."""
        return _object(self.docker_config.config if self.docker_config else None)

    def host_config(self) -> dict[str, Any]:
        """Docker's host configuration. Raises msgspec.DecodeError where it is no JSON object."""
        return _object(self.docker_config.host_config if self.docker_config else None)

    def override_command(self) -> list[str] | None:
        """The command in ``overrides``, which is itself JSON text."""
        command = _object(self.overrides).get("command")
        return [str(word) for word in command] if command else None


class HostVolume(Wire, frozen=True, kw_only=True):
    source_path: str | None = ""


class PosixUser(Wire, frozen=True, kw_only=True):
    """Who everything through an access point is done as."""

    uid: int
    gid: int
    secondary_gids: list[int] = []


class CreationInfo(Wire, frozen=True, kw_only=True):
    """What an access point's root directory is made with; ``permissions`` is octal."""

    owner_uid: int
    owner_gid: int
    permissions: str


class AccessPoint(Wire, frozen=True, kw_only=True):
    """Dryport's own member: what AWS's file servers know of an access point, this agent has to be told."""

    path: str = "/"
    posix_user: PosixUser | None = None
    creation_info: CreationInfo | None = None


class EfsAuthorization(Wire, frozen=True, kw_only=True):
    access_point_id: str = ""
    iam: str = ""


class EfsVolume(Wire, frozen=True, kw_only=True):
    """A file system, or its directory ``root_directory``, or what an access point shows of it."""

    file_system_id: str
    root_directory: str = "/"
    authorization_config: EfsAuthorization | None = None
    access_point: AccessPoint | None = msgspec.field(default=None, name="dryportAccessPoint")

    @property
    def path(self) -> str:
        """The directory that is mounted."""
        return self.access_point.path if self.access_point else self.root_directory

    @property
    def user(self) -> PosixUser | None:
        """Who everything is done as, where that is not who does it."""
        return self.access_point.posix_user if self.access_point else None


class Volume(Wire, frozen=True, kw_only=True):
    """A volume of the task; an empty ``source_path`` is a new directory that lives as long as the task."""

    name: str
    type: str | None = "host"
    host: HostVolume | None = None
    efs_volume_configuration: EfsVolume | None = None


class AttachmentProperty(Wire, frozen=True, kw_only=True):
    name: str
    value: str = ""


class Attachment(Wire, frozen=True, kw_only=True):
    """What is attached to the instance for a task: of type ``amazonebs``, a volume."""

    attachment_arn: str
    attachment_type: str = ""
    attachment_properties: list[AttachmentProperty] = []


class EphemeralStorage(Wire, frozen=True, kw_only=True):
    size_in_gib: int = msgspec.field(default=20, name="sizeInGiB")


class Association(Wire, frozen=True, kw_only=True):
    """What some of a task's containers are given: of type ``gpu``, the GPU of this id."""

    type: str
    name: str
    containers: list[str] = []


class Task(Wire, frozen=True, kw_only=True):
    """A task that should run, or end where ``desired_status`` is STOPPED. ``cpu`` is vCPUs, ``memory`` MiB."""

    arn: str
    desired_status: str = "RUNNING"
    task_cluster_arn: str = ""
    family: str = ""
    version: str = ""
    network_mode: str | None = None
    launch_type: str | None = None
    cpu: float | None = None
    memory: int | None = None
    pid_mode: str | None = None
    ipc_mode: str | None = None
    volumes: list[Volume] | None = None
    containers: list[Container] | None = None
    role_credentials: Credentials | None = None
    execution_role_credentials: Credentials | None = None
    elastic_network_interfaces: list[NetworkInterface] | None = None
    ephemeral_storage: EphemeralStorage | None = None
    associations: list[Association] | None = None
    attachments: list[Attachment] | None = None
    service_name: str | None = None
    task_definition_account_id: str | None = None
    availability_zone: str = ""  # of a Fargate task; others are in their instance's

    @property
    def id(self) -> str:
        """The last part of the ARN."""
        return self.arn.rpartition("/")[2]

    def gpus(self, container: str) -> list[str]:
        """The ids of the GPUs that a container is given."""
        return [each.name for each in self.associations or () if each.type == "gpu" and container in each.containers]

    @property
    def fargate(self) -> bool:
        """Whether it has Fargate's rules."""
        return self.launch_type == "FARGATE"

    @property
    def awsvpc(self) -> bool:
        """Whether it has a network interface of its own."""
        return self.network_mode == "awsvpc"


class Payload(Wire, frozen=True, kw_only=True):
    """A PayloadMessage."""

    message_id: str
    cluster_arn: str
    container_instance_arn: str
    tasks: list[msgspec.Raw] = []
    seq_num: int | None = None
    generated_at: float | None = None


def _object(text: str | None) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any]) if text else {}


def decode_task(raw: bytes | msgspec.Raw) -> Task:
    """A task from its JSON. Raises msgspec.DecodeError or ValidationError with the path of what is wrong.

    Members that are ``null`` are left out first, so that they read as their defaults.
    """
    return msgspec.convert(_without_nulls(msgspec.json.decode(raw)), Task, strict=False)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
