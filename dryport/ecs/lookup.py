"""From what requests call things (a name, an id, an ARN) to the things, with ECS's refusals."""

from __future__ import annotations

import re

from dryport.aws import arn
from dryport.aws.errors import ServiceError
from dryport.ecs.model import (
    CLUSTERS,
    CONTAINER_INSTANCES,
    TASK_DEFINITIONS,
    TASKS,
    Cluster,
    ContainerInstance,
    Task,
    TaskDefinition,
    scope,
)
from dryport.ecs.services.model import ACTIVE, SERVICES, Service
from dryport.gateway.service import Call

DEFAULT_CLUSTER = "default"
_INSTANCE_ID = re.compile(r"[A-Za-z0-9-]{1,36}")


def invalid(message: str) -> ServiceError:
    """An InvalidParameterException."""
    return ServiceError("InvalidParameterException", message)


def client_error(message: str) -> ServiceError:
    """A ClientException."""
    return ServiceError("ClientException", message)


def cluster_arn(call: Call, identifier: str | None) -> str:
    """The ARN of a cluster that is called by its name, its ARN or (the default one) not at all."""
    if identifier and identifier.startswith("arn:"):
        return identifier
    return arn.make("ecs", call.region, call.account, f"cluster/{identifier or DEFAULT_CLUSTER}")


def cluster(call: Call, identifier: str | None, *, hidden: bool = False) -> Cluster:
    """The active cluster of this name or ARN, ``default`` where neither is given.

    The platform's hidden clusters are found with ``hidden`` only. Raises ServiceError (ClusterNotFoundException).
    """
    found = call.tx.get(CLUSTERS, cluster_arn(call, identifier))
    if found is None or (found.hidden and not hidden) or not _ours(call, found):
        raise ServiceError("ClusterNotFoundException", "Cluster not found.")
    if found.status == "INACTIVE":
        raise ServiceError("ClusterNotFoundException", "The referenced cluster was inactive.")
    return found


def task_arn(cluster: Cluster, identifier: str) -> str:
    """The ARN of a cluster's task that is called by its id or its ARN. Raises ServiceError where it is neither."""
    prefix = cluster.arn.replace(":cluster/", ":task/", 1) + "/"
    if identifier.startswith(prefix):
        return identifier
    if identifier.startswith("arn:"):
        parsed = arn.parse(identifier)
        parts = parsed.resource.split("/") if parsed is not None else []
        if len(parts) != 3 or parts[0] != "task":
            raise invalid("Invalid identifier: Unexpected number of separators")
        if parts[1] != cluster.name:
            raise invalid(f"Invalid identifier: Identifier is for cluster {parts[1]}. Your cluster is {cluster.name}")
        return identifier
    if "/" in identifier:
        raise invalid("Invalid identifier: Unexpected number of separators")
    if len(identifier) > 36:
        raise invalid("taskId longer than 36.")
    if len(identifier) not in (32, 36):
        raise invalid("taskId length should be one of [32,36]")
    return prefix + identifier


def task(call: Call, cluster: Cluster, identifier: str) -> Task | None:
    """A cluster's task, ``None`` where there is none of this id or ARN."""
    found = call.tx.get(TASKS, task_arn(cluster, identifier))
    return found if found is not None and found.cluster_arn == cluster.arn else None


def container_instance_arn(cluster: Cluster, identifier: str) -> str:
    """The ARN of a cluster's instance that is called by its id or its ARN. Raises ServiceError where it is neither."""
    if identifier.startswith("arn:"):
        parsed = arn.parse(identifier)
        parts = parsed.resource.split("/") if parsed is not None else []
        if len(parts) != 3 or parts[0] != "container-instance":
            raise invalid("Invalid identifier: Unexpected number of separators")
        if parts[1] != cluster.name:
            raise invalid(f"Invalid identifier: Identifier is for cluster {parts[1]}. Your cluster is {cluster.name}")
        return identifier
    if not _INSTANCE_ID.fullmatch(identifier):
        raise invalid("Invalid container instance id.")
    return arn.make("ecs", cluster.region, cluster.account, f"container-instance/{cluster.name}/{identifier}")


def container_instance(call: Call, cluster: Cluster, identifier: str) -> ContainerInstance | None:
    """A cluster's instance by its id or ARN, inactive ones too. Raises ServiceError where it is of another cluster."""
    found = call.tx.get(CONTAINER_INSTANCES, container_instance_arn(cluster, identifier))
    return found if found is not None and found.cluster_arn == cluster.arn else None


def existing_instance(call: Call, cluster: Cluster, identifier: str) -> ContainerInstance:
    """A cluster's instance that is not inactive. Raises ServiceError where there is none."""
    found = container_instance(call, cluster, identifier)
    if found is None or found.status == "INACTIVE":
        raise invalid("Referenced container instance {} not found.".format(identifier.rpartition("/")[2]))
    return found


def service_arn(cluster: Cluster, identifier: str) -> str:
    """The ARN of a cluster's service that is called by its name or its ARN, with the cluster in it or (old) without."""
    name = identifier
    if identifier.startswith("arn:"):
        parsed = arn.parse(identifier)
        parts = parsed.resource.split("/") if parsed is not None else []
        if len(parts) not in (2, 3) or parts[0] != "service":
            raise invalid("Invalid identifier: Unexpected number of separators")
        if len(parts) == 3 and parts[1] != cluster.name:
            raise invalid(f"Invalid identifier: Identifier is for cluster {parts[1]}. Your cluster is {cluster.name}")
        name = parts[-1]
    return arn.make("ecs", cluster.region, cluster.account, f"service/{cluster.name}/{name}")


def service(call: Call, cluster: Cluster, identifier: str) -> Service | None:
    """A cluster's service by its name or ARN, inactive ones too. Raises ServiceError where it is of another cluster."""
    return call.tx.get(SERVICES, service_arn(cluster, identifier))


def active_service(call: Call, cluster: Cluster, identifier: str) -> Service:
    """A cluster's service that is neither deleted nor about to be. Raises ServiceError where there is none."""
    found = service(call, cluster, identifier)
    if found is None:
        raise ServiceError("ServiceNotFoundException", "Service not found.")
    if found.status != ACTIVE:
        raise ServiceError("ServiceNotActiveException", "Service was not ACTIVE.")
    return found


def task_definition(call: Call, identifier: str) -> TaskDefinition | None:
    """A revision by its ARN or ``family:revision``, or a family's latest active one; ``None`` where there is none.

    Raises ServiceError (InvalidParameterException) where the revision is no number.
    """
    name = identifier
    if identifier.startswith("arn:"):
        parsed = arn.parse(identifier)
        if parsed is None or (parsed.account, parsed.region) != (call.account, call.region):
            return None
        name = parsed.resource.rpartition("/")[2]
    family, _, revision = name.partition(":")
    if revision:
        if not revision.isdecimal():
            raise invalid(f"Invalid revision number. Number: {revision}")
        return call.tx.get(TASK_DEFINITIONS, task_definition_arn(call, family, int(revision)))
    # Oldest first, and a revision is never active again: the last one is the latest.
    keys = call.tx.keys(TASK_DEFINITIONS, "active", scope(call.account, call.region, family))
    return call.tx.get(TASK_DEFINITIONS, keys[-1]) if keys else None


def task_definition_arn(call: Call, family: str, revision: int) -> str:
    """The ARN of a revision of the caller's."""
    return arn.make("ecs", call.region, call.account, f"task-definition/{family}:{revision}")


def _ours(call: Call, found: Cluster) -> bool:
    return (found.account, found.region) == (call.account, call.region)
