"""A task as the agent reads it in a PayloadMessage. Pure.

AWS's agent is handed ready-made Docker configuration by ECS's backend; so is Dryport's. Members and their make:
the agent protocol page; ``ecs-agent/acs/model`` in AWS's published agent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from dryport.aws import arn
from dryport.ecs.acs import docker_config
from dryport.ecs.connect import message
from dryport.ecs.model import Task, TaskDefinition

Json = dict[str, Any]

# The repository addresses that Dryport's ECR gives out.
_ECR_IMAGE = re.compile(r"^(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.localhost(:\d+)?/")
_PASSED_ON = ("dependsOn", "restartPolicy", "startTimeout", "stopTimeout")


class Credentials(NamedTuple):
    """The keys of a role's session; ``expires`` in seconds since the epoch."""

    credentials_id: str
    role_arn: str
    access_key_id: str
    secret_access_key: str
    session_token: str
    expires: float

    def __repr__(self) -> str:
        return f"Credentials({self.credentials_id!r}, …)"


class Interface(NamedTuple):
    """A task's network interface. ``gateway`` has the subnet's prefix length (``10.0.1.1/24``)."""

    attachment_arn: str
    id: str
    mac_address: str
    private_ip: str
    private_dns_name: str
    gateway: str
    name_servers: Sequence[str]


class BlockVolume(NamedTuple):
    """An EBS volume that is on a task's instance. ``device`` is where, ``name`` what the definition calls it."""

    attachment_arn: str
    id: str
    name: str
    gib: int
    device: str
    file_system: str
    task_id: str


class Source(NamedTuple):
    """All that the message says of one task. ``endpoint`` is the platform's URL as the agent reaches it."""

    task: Task
    definition: TaskDefinition
    endpoint: str
    task_role: Credentials | None = None
    execution_role: Credentials | None = None
    interface: Interface | None = None
    access_points: Mapping[str, Json] = {}  # what the agent is told of those that the volumes name, by their ids
    block_volume: BlockVolume | None = None
    reached: Mapping[str, Sequence[Any]] = {}  # where its proxy reaches the services that it leads to


def credentials_json(credentials: Credentials) -> Json:
    """Credentials as ACS messages hold them."""
    expiration = datetime.fromtimestamp(credentials.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "credentialsId": credentials.credentials_id,
        "roleArn": credentials.role_arn,
        "accessKeyId": credentials.access_key_id,
        "secretAccessKey": credentials.secret_access_key,
        "sessionToken": credentials.session_token,
        "expiration": expiration,
    }


def interface_json(interface: Interface) -> Json:
    """An elastic network interface as ACS messages hold it."""
    return {
        "attachmentArn": interface.attachment_arn,
        "ec2Id": interface.id,
        "macAddress": interface.mac_address,
        "ipv4Addresses": [{"primary": True, "privateAddress": interface.private_ip}],
        "subnetGatewayIpv4Address": interface.gateway,
        "privateDnsName": interface.private_dns_name,
        "domainNameServers": list(interface.name_servers),
        "interfaceAssociationProtocol": "default",
    }


def attachment_json(volume: BlockVolume) -> Json:
    """An EBS volume as ACS messages hold it. Names: ``ecs-agent/api/attachment/resource`` in AWS's agent."""
    properties = {
        "volumeId": volume.id,
        "volumeSizeGib": str(volume.gib),
        "deviceName": volume.device,
        "sourceVolumeHostPath": f"{volume.task_id}_{volume.id}",
        "volumeName": volume.name,
        "fileSystem": volume.file_system,
    }
    return {
        "attachmentArn": volume.attachment_arn,
        "attachmentType": "amazonebs",
        "attachmentProperties": [{"name": name, "value": value} for name, value in properties.items()],
    }


def start(source: Source) -> Json:
    """The task that the agent is to run."""
    task, body = source.task, source.definition.body
    found: Json = {
        "arn": task.arn,
        "taskClusterArn": task.cluster_arn,
        "family": task.family,
        "version": str(source.definition.revision),
        "desiredStatus": "RUNNING",
        "overrides": "{}",
        "networkMode": network_mode(source.definition),
        "launchType": task.launch_type,
        "taskDefinitionAccountId": source.definition.account,
        "volumes": [_volume(volume, source) for volume in body.get("volumes") or ()],
        "containers": [_container(source, container) for container in _definitions(source)],
    }
    cpu, memory = cpu_units(task.cpu), memory_mib(task.memory)
    if cpu:
        found["cpu"] = cpu / 1024
    if memory:
        found["memory"] = memory
    for name in ("pidMode", "ipcMode"):
        if body.get(name):
            found[name] = body[name]
    if task.launch_type == "FARGATE" and task.availability_zone:
        found["availabilityZone"] = task.availability_zone  # what a container instance knows by itself
    if task.ephemeral_storage:
        found["ephemeralStorage"] = task.ephemeral_storage
    gpus = [_gpu(gpu, container.name) for container in task.containers for gpu in container.gpu_ids]
    if gpus:
        found["associations"] = gpus
    if source.interface:
        found["elasticNetworkInterfaces"] = [interface_json(source.interface)]
    attachments = [attachment_json(source.block_volume)] if source.block_volume else []
    if task.connect:
        attachments.append(message.attachment(task, source.reached))
    if attachments:
        found["attachments"] = attachments
    if source.task_role:
        found["roleCredentials"] = credentials_json(source.task_role)
    if source.execution_role:
        found["executionRoleCredentials"] = credentials_json(source.execution_role)
    return found


def _definitions(source: Source) -> list[Json]:
    """The definitions of a task's containers, its proxy's first."""
    own: Sequence[Json] = source.definition.body["containerDefinitions"]
    if not source.task.connect:
        return list(own)
    return [message.definition(source.task), *(message.depending(source.task.connect, each) for each in own)]


def stop(task: Task, definition_version: str) -> Json:
    """The task that the agent is to stop."""
    return {
        "arn": task.arn,
        "taskClusterArn": task.cluster_arn,
        "desiredStatus": "STOPPED",
        "family": task.family,
        "version": definition_version,
        "containers": [],
        "volumes": [],
    }


def network_mode(definition: TaskDefinition) -> str:
    """The network mode of a task definition; ECS's default on Linux is bridge."""
    return str(definition.body.get("networkMode") or "bridge")


def cpu_units(text: str | None) -> int:
    """CPU units of a task's size (``256``, ``.25 vCPU``); 0 where there is none."""
    if not text:
        return 0
    number, unit = _size(text)
    return round(number * 1024) if unit == "vcpu" else int(number)


def memory_mib(text: str | None) -> int:
    """MiB of a task's size (``512``, ``1 GB``); 0 where there is none."""
    if not text:
        return 0
    number, unit = _size(text)
    return round(number * 1024) if unit == "gb" else int(number)


def _size(text: str) -> tuple[float, str]:
    found = re.fullmatch(r"\s*([0-9.]+)\s*([a-zA-Z]*)\s*", text)
    if found is None:
        raise ValueError(f"{text!r} is no size of a task")
    return float(found[1]), found[2].lower()


def _override(task: Task, name: str) -> Mapping[str, Any]:
    overrides: Sequence[Mapping[str, Any]] = task.overrides.get("containerOverrides") or ()
    return next((each for each in overrides if each.get("name") == name), {})


def _container(source: Source, definition: Mapping[str, Any]) -> Json:
    override = _override(source.task, definition["name"])
    mode = network_mode(source.definition)
    memory = override.get("memory") or definition.get("memory") or 0
    found: Json = {
        "name": definition["name"],
        "image": definition["image"],
        "essential": definition.get("essential", True),
        "cpu": override.get("cpu") or definition.get("cpu") or 0,
        "memory": memory,
        "command": definition.get("command") or None,
        "entryPoint": definition.get("entryPoint") or None,
        "environment": _environment(definition, override),
        "overrides": _text({"command": override["command"]} if override.get("command") else {}),
        # In awsvpc mode nothing is published: the port is the interface's own.
        "portMappings": [] if mode == "awsvpc" else [_port(port) for port in definition.get("portMappings") or ()],
        "mountPoints": list(definition.get("mountPoints") or ()),
        "volumesFrom": list(definition.get("volumesFrom") or ()),
        "links": list(definition.get("links") or ()),
    }
    found.update({name: definition[name] for name in _PASSED_ON if definition.get(name) is not None})
    if definition.get("healthCheck"):
        found["healthCheckType"] = "docker"
    files = override.get("environmentFiles") or definition.get("environmentFiles")
    if files:
        found["environmentFiles"] = list(files)
    secrets = _secrets(source.task.region, definition)
    if secrets:
        found["secrets"] = secrets
    authentication = _registry_authentication(source, definition)
    if authentication:
        found["registryAuthentication"] = authentication
    log_config = _log_config(source, definition)
    if log_config["Type"] == "awslogs" and source.execution_role:
        found["logsAuthStrategy"] = "ExecutionRole"
    found["dockerConfig"] = {
        "version": "1.24",
        "config": _text(docker_config.config(definition)),
        "hostConfig": _text(
            docker_config.host_config(
                definition,
                network_mode=mode,
                memory=memory,
                memory_reservation=override.get("memoryReservation") or definition.get("memoryReservation"),
                log_config=log_config,
            )
        ),
    }
    return found


def _environment(definition: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, str]:
    pairs = [*(definition.get("environment") or ()), *(override.get("environment") or ())]
    return {pair["name"]: pair.get("value", "") for pair in pairs if pair.get("name")}


def _port(port: Mapping[str, Any]) -> Json:
    found: Json = {"protocol": port.get("protocol") or "tcp"}
    if port.get("containerPortRange"):
        return {"containerPortRange": port["containerPortRange"], **found}
    return {"containerPort": port["containerPort"], "hostPort": port.get("hostPort") or 0, **found}


def _volume(volume: Mapping[str, Any], source: Source) -> Json:
    if volume.get("dockerVolumeConfiguration"):
        return {
            "name": volume["name"],
            "type": "docker",
            "dockerVolumeConfiguration": volume["dockerVolumeConfiguration"],
        }
    efs = volume.get("efsVolumeConfiguration")
    if efs:
        point = source.access_points.get(efs.get("authorizationConfig", {}).get("accessPointId", ""))
        more = {"dryportAccessPoint": point} if point is not None else {}
        return {"name": volume["name"], "type": "efs", "efsVolumeConfiguration": {**efs, **more}}
    if volume.get("configuredAtLaunch") and source.block_volume is not None:
        return {"name": volume["name"], "type": "attachment"}
    if volume.get("configuredAtLaunch"):  # what is on it is mounted where the agent is
        return {"name": volume["name"], "type": "host", "host": {"sourcePath": source.task.volume.get("path", "")}}
    path = (volume.get("host") or {}).get("sourcePath") or ""
    return {"name": volume["name"], "type": "host", "host": {"sourcePath": path}}


def _gpu(gpu_id: str, container: str) -> Json:
    return {"type": "gpu", "name": gpu_id, "containers": [container], "content": {"encoding": "base64", "value": ""}}


def _secrets(region: str, definition: Mapping[str, Any]) -> list[Json]:
    log_options = (definition.get("logConfiguration") or {}).get("secretOptions") or ()
    return [
        *(_secret(region, each, "ENVIRONMENT_VARIABLE", "CONTAINER") for each in definition.get("secrets") or ()),
        *(_secret(region, each, "BOOTSTRAP", "LOG_DRIVER") for each in log_options),
    ]


def _secret(region: str, secret: Mapping[str, Any], kind: str, target: str) -> Json:
    # A bare name is a parameter of the task's region; an ARN says where it is.
    named = arn.parse(secret["valueFrom"])
    return {
        "name": secret["name"],
        "valueFrom": secret["valueFrom"],
        "region": named.region if named and named.region else region,
        "provider": "asm" if named and named.service == "secretsmanager" else "ssm",
        "type": kind,
        "target": target,
    }


def _registry_authentication(source: Source, definition: Mapping[str, Any]) -> Json | None:
    parameter = (definition.get("repositoryCredentials") or {}).get("credentialsParameter")
    if parameter:
        named = arn.parse(parameter)
        region = named.region if named and named.region else source.task.region
        return {"type": "asm", "asmAuthData": {"credentialsParameter": parameter, "region": region}}
    ours = _ECR_IMAGE.match(definition["image"])
    if ours is None:
        return None
    return {
        "type": "ecr",
        "ecrAuthData": {
            "registryId": ours["account"],
            "region": ours["region"],
            "endpointOverride": source.endpoint,
            "useExecutionRole": source.execution_role is not None,
        },
    }


def _log_config(source: Source, definition: Mapping[str, Any]) -> Json:
    configuration = definition.get("logConfiguration")
    if not configuration:
        return {"Type": "json-file", "Config": {}}
    options = dict(configuration.get("options") or {})
    if configuration["logDriver"] == "awslogs":
        prefix = options.pop("awslogs-stream-prefix", None)
        if prefix is not None:
            # Docker's driver knows no prefix: ECS makes the stream's name out of it.
            task_id = source.task.arn.rsplit("/", 1)[-1]
            options["awslogs-stream"] = f"{prefix}/{definition['name']}/{task_id}"
        options.setdefault("awslogs-region", source.task.region)
        options["awslogs-endpoint"] = source.endpoint
    if source.task.log_driver_mode is not None:
        options.setdefault("mode", source.task.log_driver_mode)
    return {"Type": configuration["logDriver"], "Config": options}


def _text(value: Json) -> str:
    return msgspec.json.encode(value).decode()
