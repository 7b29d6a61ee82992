"""Registration as a container instance: what the agent can do, and what the machine has to offer."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import uuid
from collections.abc import Iterable
from typing import Any

import msgspec

from dryport.agent.ec2 import NotThere
from dryport.agent.gpus import NONE, Gpus
from dryport.agent.identity import Identity
from dryport.agent.settings import Settings
from dryport.agent.state import State
from dryport.client import ApiError, Client, Unreachable
from dryport.client.ec2 import instance_tags

VERSION = "1.105.1"  # the agent that this one does the work of: task definitions may require what it can
HASH = "dryport0"
log = logging.getLogger("dryport.agent")

_CAPABILITIES = (
    "ecs.capability.private-registry-authentication.secretsmanager",
    "ecs.capability.secrets.ssm.environment-variables",
    "ecs.capability.secrets.ssm.bootstrap.log-driver",
    "ecs.capability.ecr-endpoint",
    "ecs.capability.secrets.asm.environment-variables",
    "ecs.capability.secrets.asm.bootstrap.log-driver",
    "ecs.capability.container-ordering",
    "ecs.capability.full-sync",
    "ecs.capability.env-files.s3",
    "ecs.capability.container-restart-policy",
    "ecs.capability.network.container-port-range",
    *(f"com.amazonaws.ecs.capability.docker-remote-api.1.{n}" for n in (*range(17, 26), 28, 29, 30, 32)),
    "com.amazonaws.ecs.capability.ecr-auth",
    "ecs.capability.execution-role-ecr-pull",
    "ecs.capability.container-health-check",
    "ecs.capability.pid-ipc-namespace-sharing",
)
_BY_SETTING = {
    "task_roles": "com.amazonaws.ecs.capability.task-iam-role",
    "task_roles_network_host": "com.amazonaws.ecs.capability.task-iam-role-network-host",
    "awslogs_execution_role": "ecs.capability.execution-role-awslogs",
    "task_limits": "ecs.capability.task-cpu-mem-limit",
    "selinux": "com.amazonaws.ecs.capability.selinux",
    "apparmor": "com.amazonaws.ecs.capability.apparmor",
}
_FOR_GOOD = ("ClientException", "InvalidParameterException")
_FIRST_RETRY, _LAST_RETRY = 0.25, 30.0  # seconds
_MEBIBYTE = 1 << 20


class RegistrationRefused(Exception):
    """The control plane will not have this agent; the text is its reason."""


def capabilities(settings: Settings, *, on_ec2: bool = False) -> list[dict[str, str]]:
    """The agent's capability attributes, and what the machine is."""
    drivers = settings.logging_drivers if settings.runtime == "docker" else ("json-file", "none", "awslogs")
    names = [*_CAPABILITIES, *(f"com.amazonaws.ecs.capability.logging-driver.{driver}" for driver in drivers)]
    # Interfaces come from the platform: to its own capacity and to EC2 instances.
    interfaces = settings.runtime == "containerd" or (on_ec2 and settings.task_eni)
    if interfaces:
        names.append("ecs.capability.task-eni")
    if interfaces and (settings.runtime == "containerd" or settings.block_instance_metadata):
        names.append("ecs.capability.task-eni-block-instance-metadata")
    if on_ec2 and settings.ebs_volumes:
        names.append("ecs.capability.storage.ebs-task-volume-attach")
    if settings.file_systems.is_dir():
        names += ["ecs.capability.efs", "ecs.capability.efsAuth"]
    if not settings.disable_privileged:
        names.append("com.amazonaws.ecs.capability.privileged-container")
    names += [name for setting, name in _BY_SETTING.items() if getattr(settings, setting)]
    machine = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    values = {
        "ecs.os-type": "linux",
        "ecs.os-family": "LINUX",
        "ecs.os-type-detailed": "LINUX",
        "ecs.cpu-architecture": machine,
    }
    if settings.availability_zone:
        values["ecs.availability-zone"] = settings.availability_zone
    return [*({"name": name} for name in names), *({"name": n, "value": v} for n, v in values.items())]


def total_resources(settings: Settings, gpus: Gpus) -> list[dict[str, Any]]:
    """CPU units, MiB of memory, reserved ports and GPUs of the machine, as far as they are offered."""
    cpu = settings.cpu or (os.cpu_count() or 1) * 1024
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MEBIBYTE
    memory = max(0, (settings.memory or physical) - settings.reserved_memory)

    def ports(name: str, numbers: Iterable[int]) -> dict[str, Any]:
        return {"name": name, "type": "STRINGSET", "stringSetValue": [str(n) for n in numbers]}

    return [
        {"name": "CPU", "type": "INTEGER", "integerValue": cpu},
        {"name": "MEMORY", "type": "INTEGER", "integerValue": memory},
        ports("PORTS", settings.reserved_ports),
        ports("PORTS_UDP", settings.reserved_ports_udp),
        *([{"name": "GPU", "type": "STRINGSET", "stringSetValue": gpus.ids}] if gpus.ids else ()),
    ]


class Registration:
    """Registers once a process; the instance's ARN is kept, so that it stays the same instance."""

    def __init__(self, settings: Settings, state: State, client: Client, identity: Identity, gpus: Gpus = NONE) -> None:
        self._gpus = gpus
        self._settings = settings
        self._state = state
        self._client = client
        self._identity = identity
        saved = state.load("registration")
        self._cluster = saved.get("cluster", b"").decode()
        self._arn = saved.get("arn", b"").decode()

    def remembered(self) -> None:
        """Be who the earlier agent was, until the control plane confirms it."""
        self._identity.cluster = self._cluster or self._settings.cluster
        self._identity.instance_arn = self._arn

    async def register(self) -> None:
        """Register, trying until the control plane is there. Raises RegistrationRefused."""
        delay = _FIRST_RETRY
        token = str(uuid.uuid4())
        while True:
            try:
                await self._once(token)
                return
            except ApiError as error:
                if error.code in _FOR_GOOD:
                    if not self._arn:
                        raise RegistrationRefused(str(error)) from error
                    # The instance was deregistered meanwhile, or belongs to another cluster: be a new one.
                    log.warning("registering again as %s was refused (%s)", self._arn, error)
                    self._arn, token = "", str(uuid.uuid4())
                why: Exception = error
            except Unreachable as error:
                why = error
            log.info("not registered yet: %s", why)
            await asyncio.sleep(delay)
            delay = min(_LAST_RETRY, delay * 2)

    async def _once(self, token: str) -> None:
        settings = self._settings
        request: dict[str, Any] = {
            "cluster": settings.cluster,
            "clientToken": token,
            "attributes": capabilities(settings, on_ec2=self._identity.instance is not None),
            "totalResources": total_resources(settings, self._gpus),
            "instanceIdentityDocument": "",
            "instanceIdentityDocumentSignature": "",
        }
        if self._gpus.ids:
            request["platformDevices"] = [{"id": each, "type": "GPU"} for each in self._gpus.ids]
            driver = f"ecs.capability.nvidia-driver-version.{self._gpus.driver_version}"
            request["attributes"] += [{"name": driver}] if self._gpus.driver_version else []
        if self._identity.instance is not None:
            try:
                document, signature = self._identity.instance.identity()
            except NotThere as error:
                raise Unreachable(str(error)) from error
            request["instanceIdentityDocument"] = document
            request["instanceIdentityDocumentSignature"] = signature
        if self._arn and self._cluster in ("", settings.cluster):
            request["containerInstanceArn"] = self._arn
        else:
            request["attributes"] += [{"name": n, "value": v} for n, v in settings.attributes.items()]
        if tags := await self._tags():
            request["tags"] = [{"key": k, "value": v} for k, v in tags.items()]
        answer = await self._client.call(
            "ecs", "RegisterContainerInstance", request, self._identity.credentials(), timeout=30
        )
        instance = answer["containerInstance"]
        echoed = {(a["name"], a.get("value", "")) for a in instance.get("attributes", ())}
        missing = [a["name"] for a in request["attributes"] if (a["name"], a.get("value", "")) not in echoed]
        if missing:
            log.warning("the control plane did not take these attributes: %s", ", ".join(missing))
        self._arn = instance["containerInstanceArn"]
        self._cluster = settings.cluster
        self._identity.cluster, self._identity.instance_arn = settings.cluster, self._arn
        zones = [a.get("value", "") for a in instance.get("attributes", ()) if a["name"] == "ecs.availability-zone"]
        self._identity.availability_zone = zones[0] if zones else settings.availability_zone
        self._state.put("registration", "arn", self._arn.encode())
        self._state.put("registration", "cluster", self._cluster.encode())
        await self._state.flushed()
        log.info("registered as %s", self._arn)

    async def _tags(self) -> dict[str, str]:
        """The container instance's tags: those of the EC2 instance where they are wanted, and the settings' own."""
        instance, own = self._identity.instance, self._settings.instance_tags
        if self._settings.propagate_tags_from != "ec2_instance" or instance is None:
            return own
        try:
            instance_id = instance.get("meta-data/instance-id")
        except NotThere as error:
            raise Unreachable(str(error)) from error
        return await instance_tags(self._client, self._identity.credentials(), instance_id) | own

    async def poll_endpoints(self) -> tuple[str, str]:
        """The URLs of ACS and TCS. Raises ApiError, Unreachable."""
        request = {
            "containerInstance": self._identity.instance_arn,
            "cluster": self._identity.cluster,
            "zoneId": "",
        }
        answer = await self._client.call("ecs", "DiscoverPollEndpoint", request, self._identity.credentials())
        try:
            return str(answer["endpoint"]), str(answer["telemetryEndpoint"])
        except KeyError as error:
            raise Unreachable(f"DiscoverPollEndpoint left out {error}") from error


def decoded(text: str) -> dict[str, Any] | None:
    """A websocket frame as a JSON object, or ``None`` where it is none."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        return None
