"""What is stored of ECS. Times are seconds since the epoch; ARNs are keys.

Shapes that ECS only hands back (container definitions, overrides, tags) are kept as AWS's JSON has them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dryport.store import Table

Json = dict[str, Any]

RESERVED_CLUSTER = "dryport-fargate"  # the platform's own, hidden: its serverless capacity


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what is stored: frozen, new members have defaults so that old rows still decode."""


class Cluster(Record, frozen=True, kw_only=True):
    arn: str
    name: str
    account: str
    region: str
    status: str = "ACTIVE"  # PROVISIONING, ACTIVE, DEPROVISIONING, FAILED, INACTIVE
    settings: list[Json] = []
    capacity_providers: list[str] = []
    default_capacity_provider_strategy: list[Json] = []
    tags: list[Json] = []
    connect_namespace: str = ""  # the ARN of Cloud Map's that services with Service Connect are in by default
    hidden: bool = False  # the platform's own, for its serverless capacity: in no user's list


class TaskDefinition(Record, frozen=True, kw_only=True):
    """A revision. ``body`` holds AWS's ``TaskDefinition`` shape as it is described, less status and revision."""

    arn: str
    family: str
    revision: int
    account: str
    region: str
    body: Json
    status: str = "ACTIVE"  # ACTIVE, INACTIVE, DELETE_IN_PROGRESS
    registered_at: float = 0.0
    deregistered_at: float | None = None
    delete_requested_at: float | None = None
    registered_by: str = ""
    tags: list[Json] = []


class Container(Record, frozen=True, kw_only=True):
    """A container of a task as the agent last reported it."""

    arn: str
    name: str
    image: str
    last_status: str = "PENDING"
    runtime_id: str | None = None
    image_digest: str | None = None
    exit_code: int | None = None
    reason: str | None = None
    health_status: str | None = None  # UNKNOWN, HEALTHY, UNHEALTHY; None: not reported
    network_bindings: list[Json] = []
    network_interfaces: list[Json] = []
    managed_agents: list[Json] = []
    cpu: str | None = None
    memory: str | None = None
    memory_reservation: str | None = None
    gpu_ids: list[str] = []


class Attachment(Record, frozen=True, kw_only=True):
    """An interface (or volume) of a task. ``details`` are AWS's name-value pairs."""

    id: str
    type: str = "ElasticNetworkInterface"
    status: str = "PRECREATED"  # PRECREATED, CREATED, ATTACHING, ATTACHED, DETACHING, DETACHED, DELETED, FAILED
    details: list[Json] = []


class TaskTarget(Record, frozen=True, kw_only=True):
    """What a task is in a target group: an address or an instance's id, and a port."""

    group: str  # the target group's ARN
    id: str
    port: int

    @property
    def key(self) -> str:
        return f"{self.group}|{self.id}|{self.port}"


class Task(Record, frozen=True, kw_only=True):
    arn: str
    cluster_arn: str
    account: str
    region: str
    task_definition_arn: str
    family: str
    launch_type: str = "FARGATE"  # EC2, FARGATE, EXTERNAL
    capacity_provider: str | None = None
    last_status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    version: int = 1
    containers: list[Container] = []
    attachments: list[Attachment] = []
    instance_arn: str | None = None  # where it runs; on Fargate the platform's own host, shown to no user
    availability_zone: str | None = None
    cpu: str | None = None
    memory: str | None = None
    connectivity: str | None = None
    health_status: str = "UNKNOWN"
    group: str | None = None
    started_by: str | None = None
    client_token: str | None = None
    overrides: Json = {}
    network_configuration: Json = {}  # awsvpcConfiguration as it was asked for
    platform_version: str | None = None
    platform_family: str | None = None
    ephemeral_storage: Json | None = None
    attributes: list[Json] = []
    enable_execute_command: bool = False
    tags: list[Json] = []
    stop_code: str | None = None
    stopped_reason: str | None = None
    created_at: float = 0.0
    connectivity_at: float | None = None
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    started_at: float | None = None
    stopping_at: float | None = None
    execution_stopped_at: float | None = None
    stopped_at: float | None = None
    log_driver_mode: str | None = None  # of the account settings: blocking or non-blocking, where nothing else says so
    protected_until: float | None = None  # not to be scaled in before (UpdateTaskProtection)
    # Inside only:
    placement: Json = {}  # placementConstraints and placementStrategy of its RunTask
    resources: Json = {}  # what it takes of its instance, as ``controllers.resources`` says it
    sent: bool = False  # its agent has acknowledged the payload
    noted: bool = False  # its service knows of its end
    registries: list[Json] = []  # AWS's ServiceRegistry: what it is registered in while it runs
    load_balancers: list[Json] = []  # AWS's LoadBalancer: whose target it is while it runs
    registration: str = ""  # "" not yet, registered, leaving (somebody may still be led to it), gone
    targets: list[TaskTarget] = []  # as what it was registered
    left_at: float | None = None  # when it was deregistered
    served: bool = False  # all of its targets have been healthy
    connect: Json = {}  # its Service Connect proxy, as ``connect.proxy`` plans it
    volume: Json = {}  # its EBS volume: the name, what was asked for (managedEBSVolume), tags, path where it is mounted
    file_systems: str = ""  # its EFS volumes: "" none, wanted, mounting (on its instance), mounted


class ContainerInstance(Record, frozen=True, kw_only=True):
    arn: str
    cluster_arn: str
    account: str
    region: str
    ec2_instance_id: str | None = None
    status: str = "ACTIVE"  # REGISTERING, REGISTRATION_FAILED, ACTIVE, DRAINING, DEREGISTERING, INACTIVE
    status_reason: str | None = None
    agent_connected: bool = False
    agent_version: str = ""
    agent_hash: str = ""
    docker_version: str = ""
    version: int = 1
    registered_resources: list[Json] = []
    attributes: list[Json] = []
    capacity: str = "EC2"  # EC2, EXTERNAL, FARGATE
    registered_at: float = 0.0
    deregistered_at: float | None = None
    client_token: str | None = None
    tags: list[Json] = []
    manifest_timeline: int = 0


class InstanceMount(Record, frozen=True, kw_only=True):
    """A file system that is mounted on an EC2 instance, or is to be, for tasks there."""

    instance_id: str
    file_system_id: str

    @property
    def key(self) -> str:
        return f"{self.instance_id}/{self.file_system_id}"


class InstanceHealth(Record, frozen=True, kw_only=True):
    """What an instance's agent last said of the machine. ``results`` are AWS's ``InstanceHealthCheckResult``."""

    instance_arn: str
    results: list[Json]


class AccountSetting(Record, frozen=True, kw_only=True):
    """A setting of a principal, or with ``principal_arn`` "" the account's default."""

    account: str
    region: str
    name: str
    principal_arn: str
    value: str


class IdempotentRequest(Record, frozen=True, kw_only=True):
    """What a ``clientToken`` was used for: ``digest`` of the request's parameters, and the tasks it started."""

    key: str
    digest: str
    task_arns: list[str]
    failures: list[Json] = []
    at: float


def scope(account: str, region: str, name: str = "") -> str:
    """The index value for what belongs to an account in a region, or to a name within it."""
    return f"{account}/{region}/{name}"


def _of_service(task: Task) -> str | None:
    if task.group is None or not task.group.startswith("service:") or (task.last_status == "STOPPED" and task.noted):
        return None
    return f"{task.cluster_arn}/{task.group}"


def registration_due(task: Task) -> str:
    """What is next of a task's registrations: to ``register`` it, to ``deregister`` it, to see whether somebody may
    still be led to it (``leave``); "" for nothing."""
    if not task.registries and not task.load_balancers:
        return ""
    wanted = task.desired_status == "RUNNING" and task.last_status in ("ACTIVATING", "RUNNING")
    match task.registration:
        case "":
            return "register" if wanted else ""
        case "registered":
            return "" if wanted else "deregister"
        case "leaving":
            return "leave"
    return ""


def _due(task: Task) -> str | None:
    due = registration_due(task)
    return f"{task.cluster_arn}/{task.group}/{due}" if due in ("register", "deregister") else None


CLUSTERS = Table("ecs.cluster", Cluster, key=lambda c: c.arn, indexes={"scope": lambda c: scope(c.account, c.region)})
TASK_DEFINITIONS = Table(
    "ecs.task_definition",
    TaskDefinition,
    key=lambda t: t.arn,
    indexes={
        "family": lambda t: scope(t.account, t.region, t.family),
        "active": lambda t: scope(t.account, t.region, t.family) if t.status == "ACTIVE" else None,
        "status": lambda t: scope(t.account, t.region, t.status),
    },
)
TASKS = Table(
    "ecs.task",
    Task,
    key=lambda t: t.arn,
    indexes={
        "cluster": lambda t: t.cluster_arn,
        # What list calls page through: a cluster's tasks that want to run, or that want to stop.
        "desired": lambda t: f"{t.cluster_arn}/{t.desired_status}",
        "instance": lambda t: t.instance_arn,
        "unstopped": lambda t: t.instance_arn if t.last_status != "STOPPED" else None,
        "group": lambda t: f"{t.cluster_arn}/{t.group}",
        "task_definition": lambda t: t.task_definition_arn,
        "status": lambda t: t.last_status,
        "family": lambda t: f"{t.cluster_arn}/{t.desired_status}/{t.family}",
        "started_by": lambda t: f"{t.cluster_arn}/{t.desired_status}/{t.started_by}" if t.started_by else None,
        # What a service looks at: its tasks that have not stopped, and those of which it does not know it yet.
        "service": _of_service,
        "attachment": lambda t: [each.id for each in t.attachments] or None,
        # Whom an instance of Cloud Map's concerns, by its id; and a target, by its key.
        "registered": lambda t: t.arn.rpartition("/")[2] if t.registration else None,
        "due": _due,  # those of a service that are to be registered, or deregistered
        "target": lambda t: [each.key for each in t.targets] if t.registration in ("registered", "leaving") else None,
        # Whose proxies a change of a Cloud Map service concerns, by its id.
        "connect": lambda t: sorted({each["service"] for each in t.connect["egress"]}) or None if t.connect else None,
        # What a cluster's statistics count.
        "launch": lambda t: f"{t.cluster_arn}/{t.launch_type}/{t.last_status}",
    },
)
CONTAINER_INSTANCES = Table(
    "ecs.container_instance",
    ContainerInstance,
    key=lambda i: i.arn,
    indexes={
        "cluster": lambda i: i.cluster_arn,
        "capacity": lambda i: f"{i.capacity}/{i.status}",
        "ec2_instance": lambda i: i.ec2_instance_id if i.status != "INACTIVE" else None,
        # What a cluster's counts and lists need.
        "status": lambda i: f"{i.cluster_arn}/{i.status}",
        "token": lambda i: f"{i.cluster_arn}/{i.client_token}" if i.client_token else None,
        "connected": lambda i: "yes" if i.agent_connected else None,
    },
)
INSTANCE_MOUNTS = Table("ecs.instance_mount", InstanceMount, key=lambda m: m.key)
INSTANCE_HEALTH = Table("ecs.instance_health", InstanceHealth, key=lambda h: h.instance_arn)
ACCOUNT_SETTINGS = Table(
    "ecs.account_setting",
    AccountSetting,
    key=lambda s: f"{scope(s.account, s.region, s.name)}/{s.principal_arn}",
    indexes={
        "scope": lambda s: scope(s.account, s.region),
        "principal": lambda s: f"{scope(s.account, s.region)}{s.principal_arn}",
    },
)
IDEMPOTENT_REQUESTS = Table("ecs.idempotent_request", IdempotentRequest, key=lambda r: r.key)
