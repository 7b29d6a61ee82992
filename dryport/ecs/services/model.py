"""What is stored of services. Times are seconds since the epoch; ARNs are keys."""

from __future__ import annotations

from dryport.cloudwatch.published import alarm_arn
from dryport.ecs.model import Json, Record
from dryport.store import Table

ACTIVE, DRAINING, INACTIVE = "ACTIVE", "DRAINING", "INACTIVE"
PRIMARY = "PRIMARY"
ECS, EXTERNAL = "ECS", "EXTERNAL"  # deployment controllers
IN_PROGRESS, COMPLETED, FAILED = "IN_PROGRESS", "COMPLETED", "FAILED"
OVER = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")  # states of a service deployment
STABILIZING, STEADY_STATE = "STABILIZING", "STEADY_STATE"  # of task sets
INACTIVE_SECONDS = 3600.0  # for how long a deleted service can be seen


class ServiceRevision(Record, frozen=True, kw_only=True):
    """What the tasks of a service are at one time; never changed, but for ``resolved`` when it is deployed again."""

    arn: str
    service_arn: str
    cluster_arn: str
    account: str
    region: str
    task_definition_arn: str
    launch_type: str | None = None  # None where a capacity provider strategy says it
    capacity_provider_strategy: list[Json] = []
    platform_version: str | None = None  # as it was asked for
    network_configuration: Json = {}  # awsvpcConfiguration, empty for other network modes
    volume_configurations: list[Json] = []  # AWS's ServiceVolumeConfiguration
    service_registries: list[Json] = []  # AWS's ServiceRegistry
    load_balancers: list[Json] = []  # AWS's LoadBalancer
    service_connect: Json = {}  # AWS's ServiceConnectConfiguration
    connect_namespace: str = ""  # the ARN of its namespace, "" where it is not enabled
    connect_resources: list[Json] = []  # AWS's ServiceConnectServiceResource
    resolved: list[Json] = []  # the same with the target groups that its tasks are in, where they take turns
    created_at: float


class AlarmWatch(Record, frozen=True, kw_only=True):
    """CloudWatch alarms that can end a deployment, by name. ``bake_until`` is 0 until its tasks are all there."""

    names: list[str]
    rollback: bool = False
    triggered: list[str] = []
    bake_until: float = 0.0


class Hook(Record, frozen=True, kw_only=True):
    """A run of a lifecycle hook. ``role_arn``, ``execution_id``, ``details`` and ``next_at``, when its function is
    asked (again), are those of Lambda functions; ``reason`` is why it failed."""

    id: str
    stage: str
    step: int = 0
    target_type: str = "AWS_LAMBDA"
    target_arn: str = ""
    role_arn: str = ""
    execution_id: str = ""
    details: Json = {}
    status: str = IN_PROGRESS
    expires_at: float
    timeout_action: str = "ROLLBACK"
    next_at: float = 0.0
    reason: str = ""


class Back(Record, frozen=True, kw_only=True):
    """The deployment that a rollback leaves."""

    service_deployment_arn: str
    revision_arn: str


class Progress(Record, frozen=True, kw_only=True):
    """How far a deployment that shifts traffic has come, and what is left, as it was when it began.

    ``blue`` is the id of the deployment that serves until then, "" where there is none; ``since`` is when the stage
    (or its step) began; ``production`` and ``test`` are green's shares of the traffic. ``pause`` is between the shifts
    to ``shares``, ``settle`` is what balancers are given for a shift. Shares are percents, times seconds.
    """

    strategy: str
    stage: str
    since: float
    blue: str = ""
    step: int = 0
    production: float = 0.0
    test: float = 0.0
    shares: list[float]
    pause: float = 0.0
    bake: float = 0.0
    settle: float = 0.0
    configured: list[Json] = []  # AWS's DeploymentLifecycleHook
    hooks: list[Hook] = []  # those that have been run, and are
    back: Back | None = None  # this is the progress of blue, to which all traffic has gone back


class Deployment(Record, frozen=True, kw_only=True):
    """A service on its way to a revision, or there.

    ``failed_tasks`` are those that failed one after the other; ``retry_at`` is when the next one may be started.
    """

    id: str
    revision_arn: str
    service_deployment_arn: str
    task_definition_arn: str
    status: str = PRIMARY
    desired_count: int = 0
    failed_tasks: int = 0
    breaker_failures: int = 0  # what the circuit breaker has counted
    reached_running: bool = False  # one of its tasks has
    cleaning: bool = False  # enough of its tasks are there: those of earlier ones go
    failed_at: float = 0.0  # when the last of them did
    retry_at: float = 0.0
    rollout_state: str = IN_PROGRESS
    rollout_reason: str = ""
    alarms: AlarmWatch | None = None  # while they are watched, and after
    progress: Progress | None = None  # of one that shifts traffic
    created_at: float
    updated_at: float


class ServiceDeployment(Record, frozen=True, kw_only=True):
    """A deployment as it is remembered: where it came from, what became of it."""

    arn: str
    service_arn: str
    cluster_arn: str
    account: str
    region: str
    deployment_id: str
    target_revision_arn: str
    source_revisions: list[Json] = []  # AWS's ServiceRevisionSummary, as of the beginning
    requested: int = 0
    running: int = 0  # as of its end
    pending: int = 0
    configuration: Json = {}
    status: str = "IN_PROGRESS"
    status_reason: str = ""
    # Of one that shifts traffic; ``production`` and ``test`` are its percents of it, the blue revision has the rest.
    stage: str = ""
    balanced: bool = False
    blue_revision_arn: str = ""
    production: float = 0.0
    test: float = 0.0
    hooks: list[Hook] = []
    breaker: Json = {}  # AWS's ServiceDeploymentCircuitBreaker
    rollback: Json = {}  # AWS's Rollback
    alarms: Json = {}  # AWS's ServiceDeploymentAlarms
    created_at: float
    updated_at: float
    started_at: float | None = None
    finished_at: float | None = None
    stopped_at: float | None = None


class Service(Record, frozen=True, kw_only=True):
    """``deployments`` has the primary one first; ``events`` the latest first. One that is controlled elsewhere has a
    deployment for each of its task sets, perhaps no primary one, and then no ``revision_arn``."""

    arn: str
    name: str
    cluster_arn: str
    account: str
    region: str
    status: str = ACTIVE
    desired_count: int = 0
    scheduling_strategy: str = "REPLICA"
    controller: str = ECS
    revision_arn: str
    deployments: list[Deployment] = []
    completed_revision_arn: str = ""  # the latest one that a deployment came to, which a rollback goes back to
    deployment_configuration: Json = {}
    placement_constraints: list[Json] = []
    placement_strategy: list[Json] = []
    zone_rebalancing: str = "DISABLED"
    balancing: bool = False  # tasks are being moved between zones
    balance_after: float = 0.0  # not before
    grace_seconds: int = 0
    propagate_tags: str = "NONE"
    managed_tags: bool = False
    tags: list[Json] = []
    events: list[Json] = []
    steady_at: float | None = None  # when it was last said to be steady, while it is
    waiting: bool = False  # a task could not be placed
    connect_namespace: str = ""  # the ARN of the one that it is in by Service Connect, "" for none
    connect_services: list[str] = []  # ids of Cloud Map's services that are made for it
    role_arn: str = ""
    created_by: str = ""
    created_at: float = 0.0
    deleted_at: float | None = None
    client_token: str | None = None
    request_digest: str = ""

    @property
    def group(self) -> str:
        """The group of its tasks."""
        return f"service:{self.name}"

    @property
    def primary(self) -> Deployment:
        """The latest deployment."""
        return self.deployments[0]


class TaskSet(Record, frozen=True, kw_only=True):
    """``scale`` is the percentage of its service's tasks that it has."""

    arn: str
    id: str
    service_arn: str
    cluster_arn: str
    account: str
    region: str
    scale: float = 0.0
    external_id: str | None = None
    tags: list[Json] = []
    stability: str = STABILIZING
    stability_at: float
    client_token: str | None = None
    request_digest: str = ""


class Functions(Record, frozen=True, kw_only=True):
    """Whether the control plane that runs can invoke functions."""

    name: str = "lambda"
    configured: bool


def tasks_key(service: Service) -> str:
    """The value that the index ``service`` of tasks has for a service's."""
    return f"{service.cluster_arn}/{service.group}"


def _watched(service: Service) -> list[str]:
    watches = [each.alarms for each in service.deployments[:1] if each.alarms and each.rollout_state == IN_PROGRESS]
    return [alarm_arn(service.account, service.region, name) for watch in watches for name in watch.names]


SERVICES = Table(
    "ecs.service",
    Service,
    key=lambda s: s.arn,
    indexes={
        "cluster": lambda s: s.cluster_arn,
        "tasks": tasks_key,
        "connect": lambda s: s.connect_namespace or None,
        "connect_service": lambda s: s.connect_services,
        # Whom an instance that comes, or room on one, concerns.
        "alarm": lambda s: _watched(s),
        "waiting": lambda s: s.cluster_arn if s.waiting or s.scheduling_strategy == "DAEMON" else None,
    },
)
SERVICE_REVISIONS = Table(
    "ecs.service_revision",
    ServiceRevision,
    key=lambda r: r.arn,
    indexes={"service": lambda r: r.service_arn},
)
SERVICE_DEPLOYMENTS = Table(
    "ecs.service_deployment",
    ServiceDeployment,
    key=lambda d: d.arn,
    indexes={
        "service": lambda d: d.service_arn,
        "open": lambda d: d.service_arn if d.status not in OVER else None,
    },
)
TASK_SETS = Table("ecs.task_set", TaskSet, key=lambda s: s.arn, indexes={"service": lambda s: s.service_arn})
FUNCTIONS = Table("ecs.functions", Functions, key=lambda f: f.name)
