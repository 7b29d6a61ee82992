"""Clusters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dryport.aws import arn
from dryport.aws.errors import ServiceError
from dryport.ecs import lookup, published, tags
from dryport.ecs.api import SERVICE, pages, shapes
from dryport.ecs.connect import cloud_map
from dryport.ecs.lookup import invalid
from dryport.ecs.model import CLUSTERS, CONTAINER_INSTANCES, RESERVED_CLUSTER, TASKS, Cluster, Json, scope
from dryport.ecs.services.model import ACTIVE, DRAINING, INACTIVE, SERVICE_REVISIONS, SERVICES
from dryport.ecs.settings import check
from dryport.gateway.service import Call, Output
from dryport.iam import published as iam

if TYPE_CHECKING:
    from types_boto3_ecs import type_defs as types

CAPACITY_PROVIDERS = ("FARGATE", "FARGATE_SPOT")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_AFTER_CREATION = frozenset(("SETTINGS", "TAGS"))
_PENDING = ("PROVISIONING", "PENDING", "ACTIVATING")
_LAUNCH_TYPES = {"EC2": "EC2", "FARGATE": "Fargate", "EXTERNAL": "External"}
_MAX_DESCRIBED = 100
# There is no ExecuteCommand to configure, and no key to encrypt storage with.
_UNSUPPORTED = ("configuration",)


@SERVICE.operation("CreateCluster", unsupported=_UNSUPPORTED)
def create_cluster(call: Call, request: types.CreateClusterRequestTypeDef) -> Output:
    """Make a cluster, or find the active one of this name that was made alike."""
    name = request.get("clusterName") or lookup.DEFAULT_CLUSTER
    if not _NAME.fullmatch(name):
        raise invalid("Cluster name contains invalid characters.")
    if name == RESERVED_CLUSTER:
        raise invalid(f"The cluster name {RESERVED_CLUSTER} is reserved for Dryport's own capacity.")
    wanted = Cluster(
        arn=arn.make("ecs", call.region, call.account, f"cluster/{name}"),
        name=name,
        account=call.account,
        region=call.region,
        settings=_settings(call, request.get("settings", ())),
        capacity_providers=_providers(request.get("capacityProviders", ())),
        default_capacity_provider_strategy=check_strategy(
            request.get("defaultCapacityProviderStrategy", ()), request.get("capacityProviders", ())
        ),
        tags=tags.given(request),
    )
    if "serviceConnectDefaults" in request:
        wanted = replace(wanted, connect_namespace=cloud_map.default_namespace(call, request["serviceConnectDefaults"]))
    existing = call.tx.get(CLUSTERS, wanted.arn)
    if existing is not None and existing.status == "ACTIVE":
        _check_alike(request, existing, wanted)
        wanted = existing
    call.tx.put(CLUSTERS, wanted)
    iam.ensure_linked_role(call, "ecs.amazonaws.com")
    return {"cluster": shape(call, wanted, _AFTER_CREATION)}


@SERVICE.operation("DescribeClusters")
def describe_clusters(call: Call, request: types.DescribeClustersRequestTypeDef) -> Output:
    """Describe clusters by name or ARN, inactive ones too; those that are not there are failures."""
    identifiers = request.get("clusters") or [lookup.DEFAULT_CLUSTER]
    if len(identifiers) > _MAX_DESCRIBED:
        raise invalid(f"Clusters cannot be more than {_MAX_DESCRIBED}.")
    include = frozenset(request.get("include", ()))
    found, failures = [], []
    for key in dict.fromkeys(lookup.cluster_arn(call, identifier) for identifier in identifiers):
        cluster = call.tx.get(CLUSTERS, key)
        if cluster is None or cluster.hidden or (cluster.account, cluster.region) != (call.account, call.region):
            failures.append({"arn": key, "reason": "MISSING"})
        else:
            found.append(shape(call, cluster, include))
    return {"clusters": found, "failures": failures}


@SERVICE.operation("ListClusters")
def list_clusters(call: Call, request: types.ListClustersRequestTypeDef) -> Output:
    """The active clusters' ARNs."""
    clusters = call.tx.find(CLUSTERS, "scope", scope(call.account, call.region))
    arns = [cluster.arn for cluster in clusters if cluster.status != "INACTIVE" and not cluster.hidden]
    return pages.answer("clusterArns", arns, request)


@SERVICE.operation("UpdateCluster", unsupported=_UNSUPPORTED)
def update_cluster(call: Call, request: types.UpdateClusterRequestTypeDef) -> Output:
    """Change the settings, where some are given, and the namespace of Service Connect, where one is."""
    cluster = lookup.cluster(call, request["cluster"])
    if "serviceConnectDefaults" in request:
        space = cloud_map.default_namespace(call, request["serviceConnectDefaults"])
        cluster = replace(cluster, connect_namespace=space)
    if "settings" in request:
        cluster = replace(cluster, settings=_settings(call, request["settings"]))
    call.tx.put(CLUSTERS, cluster)
    return {"cluster": shape(call, cluster, _AFTER_CREATION)}


@SERVICE.operation("UpdateClusterSettings")
def update_cluster_settings(call: Call, request: types.UpdateClusterSettingsRequestTypeDef) -> Output:
    """Change the settings."""
    cluster = replace(lookup.cluster(call, request["cluster"]), settings=_settings(call, request["settings"]))
    call.tx.put(CLUSTERS, cluster)
    return {"cluster": shape(call, cluster, _AFTER_CREATION)}


@SERVICE.operation("PutClusterCapacityProviders")
def put_cluster_capacity_providers(call: Call, request: types.PutClusterCapacityProvidersRequestTypeDef) -> Output:
    """Set the cluster's capacity providers and its default strategy."""
    cluster = lookup.cluster(call, request["cluster"])
    providers = _providers(request["capacityProviders"])
    used = set(cluster.capacity_providers).difference(providers)
    if any(task.capacity_provider in used and task.last_status != "STOPPED" for task in _tasks(call, cluster, used)):
        raise ServiceError(
            "ResourceInUseException",
            "The specified capacity provider is in use and cannot be removed.",
        )
    strategy = check_strategy(request["defaultCapacityProviderStrategy"], providers)
    cluster = replace(cluster, capacity_providers=providers, default_capacity_provider_strategy=strategy)
    call.tx.put(CLUSTERS, cluster)
    return {"cluster": shape(call, cluster, _AFTER_CREATION | {"ATTACHMENTS"})}


@SERVICE.operation("DeleteCluster")
def delete_cluster(call: Call, request: types.DeleteClusterRequestTypeDef) -> Output:
    """Make a cluster inactive; it must be empty."""
    cluster = lookup.cluster(call, request["cluster"])
    if _registered(call, cluster):
        raise ServiceError(
            "ClusterContainsContainerInstancesException",
            "The Cluster cannot be deleted while Container Instances are active or draining.",
        )
    if any(service.status != INACTIVE for service in call.tx.find(SERVICES, "cluster", cluster.arn)):
        raise ServiceError(
            "ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active."
        )
    if call.tx.count(TASKS, "cluster", cluster.arn) > _count(call, cluster, *_LAUNCH_TYPES, statuses=("STOPPED",)):
        raise ServiceError("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
    cluster = replace(cluster, status="INACTIVE")
    call.tx.put(CLUSTERS, cluster)
    return {"cluster": shape(call, cluster, _AFTER_CREATION)}


def check_strategy(strategy: Sequence[Any], providers: Sequence[str]) -> list[Json]:
    """A capacity provider strategy over a cluster's providers, as it is stored. Raises ServiceError."""
    items = [{"weight": 0, "base": 0, **item} for item in strategy]
    if len(items) > 20:
        raise invalid("A capacity provider strategy can contain a maximum of 20 capacity providers.")
    names = [item["capacityProvider"] for item in items]
    if len(set(names)) != len(names):
        raise invalid("The capacity provider strategy cannot contain duplicate capacity providers.")
    for name in names:
        if name not in providers:
            raise invalid(
                "The specified capacity provider strategy cannot contain a capacity provider that is not associated "
                "with the cluster. Associate the capacity provider with the cluster and try again."
            )
    if sum(item["base"] > 0 for item in items) > 1:
        raise invalid("Only one capacity provider in a capacity provider strategy can have a base value defined.")
    if items and not any(item["weight"] for item in items):
        raise invalid(
            "The specified capacity provider strategy must contain at least one capacity provider with a weight "
            "greater than 0."
        )
    return items


def shape(call: Call, cluster: Cluster, include: frozenset[str]) -> Json:
    """AWS's ``Cluster`` with its present counts."""
    return shapes.cluster(cluster, _counts(call, cluster, "STATISTICS" in include), include)


def _counts(call: Call, cluster: Cluster, statistics: bool) -> Json:
    counts: Json = {
        "registeredContainerInstancesCount": _registered(call, cluster),
        "runningTasksCount": _count(call, cluster, *_LAUNCH_TYPES, statuses=("RUNNING",)),
        "pendingTasksCount": _count(call, cluster, *_LAUNCH_TYPES, statuses=_PENDING),
        "activeServicesCount": len(_services(call, cluster, ACTIVE)),
    }
    if statistics:
        counts["statistics"] = [
            {"name": f"{state}{word}TasksCount", "value": str(_count(call, cluster, launch_type, statuses=statuses))}
            for launch_type, word in _LAUNCH_TYPES.items()
            for state, statuses in (("running", ("RUNNING",)), ("pending", _PENDING))
        ] + [
            {"name": f"{state.lower()}{word}ServiceCount", "value": str(services.count(launch_type))}
            for state in (ACTIVE, DRAINING)
            for services in (_services(call, cluster, state),)
            for launch_type, word in _LAUNCH_TYPES.items()
        ]
    return counts


def _services(call: Call, cluster: Cluster, status: str) -> list[str]:
    """The launch type of each service of a status."""
    found = [each for each in call.tx.find(SERVICES, "cluster", cluster.arn) if each.status == status]
    revisions = [call.tx.get(SERVICE_REVISIONS, each.revision_arn) for each in found]
    return ["EC2" if each is None else each.launch_type or "FARGATE" for each in revisions]


def _registered(call: Call, cluster: Cluster) -> int:
    return sum(
        call.tx.count(CONTAINER_INSTANCES, "status", f"{cluster.arn}/{status}") for status in ("ACTIVE", "DRAINING")
    )


def _count(call: Call, cluster: Cluster, *launch_types: str, statuses: Sequence[str]) -> int:
    return sum(
        call.tx.count(TASKS, "launch", f"{cluster.arn}/{launch_type}/{status}")
        for launch_type in launch_types
        for status in statuses
    )


def _tasks(call: Call, cluster: Cluster, providers: set[str]) -> Sequence[Any]:
    return call.tx.find(TASKS, "cluster", cluster.arn) if providers else ()


def _settings(call: Call, given: Sequence[Any]) -> list[Json]:
    settings = {
        "containerInsights": published.account_setting(
            call.tx, call.account, call.region, call.principal.arn, "containerInsights"
        )
    }
    for setting in given:
        if "name" not in setting:
            raise invalid("Cluster setting name must be specified.")
        check(call.service, call.operation, setting["name"], setting.get("value", ""))
        settings[setting["name"]] = setting["value"]
    return [{"name": name, "value": value} for name, value in settings.items()]


def _providers(names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in CAPACITY_PROVIDERS:
            raise invalid(
                "The specified capacity provider is not in an ACTIVE state. Specify a valid capacity provider and try "
                "again."
            )
    return list(dict.fromkeys(names))


def _check_alike(request: Any, existing: Cluster, wanted: Cluster) -> None:
    given = {
        "settings": (existing.settings, wanted.settings),
        "capacityProviders": (sorted(existing.capacity_providers), sorted(wanted.capacity_providers)),
        "defaultCapacityProviderStrategy": (
            existing.default_capacity_provider_strategy,
            wanted.default_capacity_provider_strategy,
        ),
        "serviceConnectDefaults": (existing.connect_namespace, wanted.connect_namespace),
    }
    if any(member in request and old != new for member, (old, new) in given.items()):
        raise invalid(
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."
        )
