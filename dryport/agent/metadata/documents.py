"""The metadata documents of tasks and containers, as JSON values: pure functions of the task's record.

Source: "Amazon ECS task metadata endpoint version 4 JSON response", developer guide, and its examples.
"""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from dryport.agent.model import ContainerRecord, ContainerStatus, TaskRecord, TaskStatus
from dryport.agent.payload import Container, NetworkInterface
from dryport.agent.runtime import ContainerStats

Json = dict[str, Any]
_STATUS = {ContainerStatus.NONE: "NONE", ContainerStatus.PULLED: "PULLED", ContainerStatus.CREATED: "CREATED"}
_MILLIS = 1000


def instant(at: float | None) -> str | None:
    """A time as the endpoint writes it: UTC with a fraction (RFC 3339)."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def container(record: TaskRecord, state: ContainerRecord, *, version: int = 4) -> Json:
    """One container. Versions 2 and 3 know less of networks and nothing of logs and ARNs."""
    definition = next(c for c in record.payload.containers or () if c.name == state.name)
    fargate = record.payload.fargate
    document: Json = {
        "DockerId": state.id,
        "Name": state.name,
        "DockerName": state.name if fargate else state.id,
        "Image": definition.image,
        "ImageID": state.image_digest,
        "Ports": _ports(definition),
        "Labels": state.labels,
        "DesiredStatus": state.desired.name,
        "KnownStatus": _STATUS.get(state.known, state.known.name),
        "ExitCode": state.exit_code,
        "Limits": {"CPU": definition.cpu or 2, "Memory": definition.memory or None},
        "CreatedAt": instant(state.created_at),
        "StartedAt": instant(state.started_at),
        "FinishedAt": instant(state.finished_at),
        "Type": "NORMAL",
        "Networks": _networks(record, version),
        "Health": _health(state),
    }
    if version >= 4:
        log_config = definition.host_config().get("LogConfig") or {}
        document |= {
            "LogDriver": log_config.get("Type"),
            "LogOptions": _log_options(state, log_config),
            "RestartCount": state.restarts if definition.restart_policy else None,
            "Snapshotter": "overlayfs" if fargate else None,
        }
    return _present(document)


def _sandbox(record: TaskRecord, state: ContainerRecord, version: int) -> Json:
    """The container that holds the task's network, as AWS's agent shows it."""
    ready = "RESOURCES_PROVISIONED" if state.known is ContainerStatus.RUNNING else _STATUS.get(state.known, "STOPPED")
    return _present(
        {
            "DockerId": state.id,
            "Name": state.name,
            "DockerName": state.id,
            "Labels": state.labels,
            "DesiredStatus": "RESOURCES_PROVISIONED" if state.desired is ContainerStatus.RUNNING else "STOPPED",
            "KnownStatus": ready,
            "StartedAt": instant(state.started_at),
            "Type": "CNI_PAUSE",
            "Networks": _networks(record, version),
        }
    )


def task(record: TaskRecord, zone: str, *, version: int = 4) -> Json:
    """A task with its containers."""
    payload = record.payload
    known = {TaskStatus.NONE: "NONE", TaskStatus.PENDING: "CREATED"}.get(record.known, record.known.name)
    document: Json = {
        "Cluster": payload.task_cluster_arn,
        "TaskARN": record.arn,
        "Family": payload.family,
        "Revision": payload.version,
        "DesiredStatus": record.desired.name,
        "KnownStatus": known,
        "Limits": _present({"CPU": payload.cpu, "Memory": payload.memory}),
        "PullStartedAt": instant(record.pull_started_at),
        "PullStoppedAt": instant(record.pull_stopped_at),
        "ExecutionStoppedAt": instant(record.execution_stopped_at),
        "AvailabilityZone": payload.availability_zone or zone,
        "Containers": [
            *([_sandbox(record, record.sandbox, version)] if record.sandbox else ()),
            *(container(record, c, version=version) for c in record.containers.values()),
        ],
    }
    if version >= 4:
        document |= {"LaunchType": payload.launch_type, "ServiceName": payload.service_name}
    return _present(document)


def stats(now: ContainerStats, before: ContainerStats | None, name: str, state: ContainerRecord) -> Json:
    """A container's counters in the shape of Docker's stats."""
    network = {
        "rx_bytes": now.received_bytes,
        "rx_packets": now.received_packets,
        "rx_errors": 0,
        "rx_dropped": 0,
        "tx_bytes": now.sent_bytes,
        "tx_packets": now.sent_packets,
        "tx_errors": 0,
        "tx_dropped": 0,
    }
    document: Json = {
        "read": instant(now.at),
        "preread": instant(before.at) if before else "0001-01-01T00:00:00Z",
        "name": name,
        "id": state.id,
        "memory_stats": {"usage": now.memory, "limit": now.memory_limit, "stats": {}},
        "cpu_stats": _cpu(now),
        "precpu_stats": _cpu(before) if before else {"cpu_usage": {"total_usage": 0}},
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"major": 0, "minor": 0, "op": "Read", "value": now.read_bytes},
                {"major": 0, "minor": 0, "op": "Write", "value": now.written_bytes},
            ]
        },
        "networks": {"eth0": network},
    }
    if before is not None and now.at > before.at:
        seconds = now.at - before.at
        document["network_rate_stats"] = {
            "rx_bytes_per_sec": (now.received_bytes - before.received_bytes) / seconds,
            "tx_bytes_per_sec": (now.sent_bytes - before.sent_bytes) / seconds,
        }
    return document


def _cpu(stats: ContainerStats) -> Json:
    total = round(stats.cpu_seconds * 1e9)
    return {
        "cpu_usage": {"total_usage": total},
        "system_cpu_usage": round(stats.at * stats.online_cpus * 1e9),
        "online_cpus": stats.online_cpus,
    }


def _present(document: Json) -> Json:
    return {name: value for name, value in document.items() if value not in (None, "", [], {})}


def _ports(definition: Container) -> list[Json]:
    ports = [p for p in definition.port_mappings or () if p.container_port]
    return [
        _present({"ContainerPort": p.container_port, "Protocol": p.protocol, "HostPort": p.host_port}) for p in ports
    ]


def _networks(record: TaskRecord, version: int) -> list[Json]:
    interfaces = record.payload.elastic_network_interfaces or []
    if not interfaces:
        return [{"NetworkMode": record.payload.network_mode or "bridge", "IPv4Addresses": []}] if version >= 4 else []
    return [_network(interface, index, version) for index, interface in enumerate(interfaces)]


def _network(interface: NetworkInterface, index: int, version: int) -> Json:
    document: Json = {"NetworkMode": "awsvpc", "IPv4Addresses": [a.private_address for a in interface.ipv4_addresses]}
    if version < 4:
        return document
    block = ip_network(f"{interface.gateway or interface.address}/{interface.prefix}", strict=False)
    return document | {
        "AttachmentIndex": index,
        "MACAddress": interface.mac_address,
        "IPv4SubnetCIDRBlock": str(block),
        "DomainNameServers": interface.domain_name_servers,
        "PrivateDNSName": interface.private_dns_name,
        "SubnetGatewayIpv4Address": interface.subnet_gateway_ipv4_address,
    }


def _health(state: ContainerRecord) -> Json | None:
    if state.health is None:
        return None
    health = state.health
    return _present(
        {
            "status": health.status,
            "statusSince": instant(health.since),
            "exitCode": health.exit_code or None,
            "output": health.output,
        }
    )


def _log_options(state: ContainerRecord, log_config: Json) -> Json:
    options = dict(log_config.get("Config") or {})
    if log_config.get("Type") == "awslogs" and state.log_stream:
        options["awslogs-stream"] = state.log_stream
    wanted = ("awslogs-group", "awslogs-region", "awslogs-stream", "awslogs-create-group")
    return {name: options[name] for name in wanted if name in options}
