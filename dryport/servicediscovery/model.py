"""What is stored of namespaces, services, instances and operations. Times are seconds since the epoch."""

from __future__ import annotations

from random import Random

import msgspec

from dryport.aws import arn
from dryport.store import Table

HTTP, PRIVATE = "HTTP", "DNS_PRIVATE"
HEALTHY, UNHEALTHY, UNKNOWN = "HEALTHY", "UNHEALTHY", "UNKNOWN"
SUBMITTED, PENDING, SUCCESS, FAIL = "SUBMITTED", "PENDING", "SUCCESS", "FAIL"
_SERVICE = "servicediscovery"
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what is stored."""


class Namespace(Record, frozen=True, kw_only=True):
    """``state`` is ``creating`` until the name servers know it, ``active``, or ``deleting`` until they do no more.

    ``vpc_id``, ``zone_id`` and ``soa_ttl`` (seconds) are a private one's.
    """

    id: str
    account: str
    region: str
    name: str
    type: str
    created_at: float
    state: str = "creating"
    vpc_id: str = ""
    zone_id: str = ""
    soa_ttl: int = 0
    description: str = ""
    creator_request_id: str = ""
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        return arn.make(_SERVICE, self.region, self.account, f"namespace/{self.id}")


class Service(Record, frozen=True, kw_only=True):
    """``ttls``: the seconds of each type of record that it has in the order given, empty where only the API knows it.

    ``custom_health``: whether its instances have a health that somebody tells. ``revision`` grows with each change of
    what DiscoverInstances answers.
    """

    id: str
    namespace_id: str
    account: str
    region: str
    name: str
    created_at: float
    routing_policy: str = ""
    ttls: dict[str, int] = {}
    custom_health: bool = False
    description: str = ""
    creator_request_id: str = ""
    tags: dict[str, str] = {}
    attributes: dict[str, str] = {}
    revision: int = 1

    @property
    def arn(self) -> str:
        return arn.make(_SERVICE, self.region, self.account, f"service/{self.id}")

    @property
    def type(self) -> str:
        """AWS's ``ServiceType``."""
        return "DNS_HTTP" if self.ttls else "HTTP"


class Instance(Record, frozen=True, kw_only=True):
    """``health`` counts where its service has custom health."""

    id: str
    service_id: str
    account: str
    attributes: dict[str, str]
    creator_request_id: str = ""
    health: str = HEALTHY

    @property
    def key(self) -> str:
        return instance_key(self.service_id, self.id)


class Operation(Record, frozen=True, kw_only=True):
    """What is done once the name servers know. ``request`` is the operation and request id that it was asked by."""

    id: str
    account: str
    region: str
    type: str
    targets: dict[str, str]
    namespace_id: str
    created_at: float
    updated_at: float
    status: str = SUBMITTED
    error_code: str = ""
    error_message: str = ""
    request: str = ""
    digest: str = ""

    @property
    def open(self) -> bool:
        return self.status in (SUBMITTED, PENDING)


def instance_key(service_id: str, instance_id: str) -> str:
    """The key of an instance."""
    return f"{service_id}/{instance_id}"


def scope(account: str, region: str, *more: str) -> str:
    """The index value for what an account has in a region."""
    return "/".join((account, region, *more))


def new_id(random: Random, prefix: str) -> str:
    """An id such as ``srv-e4anhexampleabcd``."""
    return f"{prefix}-{''.join(random.choices(_ALPHABET, k=16))}"


def operation_id(random: Random) -> str:
    """An id such as ``gv4g5meo7ndmeh4fqskygvk23d2fijwa-k9302yzd``."""
    first, second = ("".join(random.choices(_ALPHABET, k=count)) for count in (32, 8))
    return f"{first}-{second}"


NAMESPACES = Table(
    "servicediscovery.namespace",
    Namespace,
    key=lambda n: n.id,
    indexes={
        "scope": lambda n: scope(n.account, n.region),
        "name": lambda n: scope(n.account, n.region, n.name),
        "vpc": lambda n: n.vpc_id or None,
    },
)
SERVICES = Table(
    "servicediscovery.service",
    Service,
    key=lambda s: s.id,
    indexes={
        "scope": lambda s: scope(s.account, s.region),
        "namespace": lambda s: s.namespace_id,
        "name": lambda s: f"{s.namespace_id}/{s.name.lower()}",
        "request": lambda s: scope(s.account, s.region, s.creator_request_id) if s.creator_request_id else None,
    },
)
INSTANCES = Table(
    "servicediscovery.instance",
    Instance,
    key=lambda i: i.key,
    indexes={"service": lambda i: i.service_id},
)
OPERATIONS = Table(
    "servicediscovery.operation",
    Operation,
    key=lambda o: o.id,
    indexes={
        "scope": lambda o: scope(o.account, o.region),
        "open": lambda o: o.namespace_id if o.open else None,
        "instance": lambda o: (
            instance_key(o.targets["SERVICE"], o.targets["INSTANCE"]) if o.open and "INSTANCE" in o.targets else None
        ),
        "request": lambda o: scope(o.account, o.region, o.request) if o.request else None,
    },
)
