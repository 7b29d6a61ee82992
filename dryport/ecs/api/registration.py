"""How a machine becomes a container instance, and stops being one.

Source: the agent protocol page; "RegisterContainerInstance", Amazon ECS API reference. An agent goes on or gives up by
an error's code: the codes are AWS's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dryport.aws import arn
from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import hexadecimal
from dryport.control.config import DEFAULT_ACCOUNT
from dryport.ecs import attributes, lifecycle, lookup, tags
from dryport.ecs.api import SERVICE, hosts
from dryport.ecs.api.hosts import Host
from dryport.ecs.api.instances import container_instance_json
from dryport.ecs.controllers.instances import retire
from dryport.ecs.controllers.steps import unstopped_tasks
from dryport.ecs.model import CLUSTERS, CONTAINER_INSTANCES, RESERVED_CLUSTER, Cluster, ContainerInstance, Json
from dryport.gateway.service import Call, Output

if TYPE_CHECKING:
    from types_boto3_ecs import type_defs as types

FORCED = "Container instance deregistration forced by user"
REPLACED = "Container instance registered anew"
_RESOURCE_TYPES = ("INTEGER", "DOUBLE", "LONG", "STRINGSET")


@SERVICE.operation("RegisterContainerInstance", unsupported=("attributes.targetType", "attributes.targetId"))
def register_container_instance(call: Call, request: types.RegisterContainerInstanceRequestTypeDef) -> Output:
    """Add a machine to a cluster, or renew what is known of one that was there before."""
    cluster = _cluster(call, request.get("cluster") or "")
    host = hosts.of_request(call, request, hidden=cluster.hidden)
    if request.get("containerInstanceArn"):
        instance = _register_again(call, cluster, host, request)
    else:
        instance = _registered_with_token(call, cluster, request) or _register(call, cluster, host, request)
    call.tx.put(CONTAINER_INSTANCES, instance)
    return {"containerInstance": container_instance_json(call.tx, instance, tags=True)}


@SERVICE.operation("DeregisterContainerInstance")
def deregister_container_instance(call: Call, request: types.DeregisterContainerInstanceRequestTypeDef) -> Output:
    """Take a machine out of its cluster; with ``force`` its tasks are given up."""
    cluster = lookup.cluster(call, request.get("cluster"), hidden=True)
    instance = lookup.existing_instance(call, cluster, request["containerInstance"])
    if unstopped_tasks(call.tx, instance.arn) and not request.get("force"):
        raise ServiceError("InvalidParameterException", "Found running tasks on the instance.")
    instance = retire(call.tx, instance, lifecycle.USER_INITIATED, FORCED, call.now)
    return {"containerInstance": container_instance_json(call.tx, instance, tags=True)}


@SERVICE.operation("UpdateContainerAgent")
def update_container_agent(call: Call, request: types.UpdateContainerAgentRequestTypeDef) -> Output:
    """Refuse: agents are as new as the Dryport that their machine has, and nothing newer can be sent to them."""
    cluster = lookup.cluster(call, request.get("cluster"))
    instance = lookup.existing_instance(call, cluster, request["containerInstance"])
    if not instance.agent_version:
        raise ServiceError(
            "MissingVersionException",
            "Amazon ECS can't determine the current version of the Amazon ECS container agent on the container "
            "instance and doesn't have enough information to proceed with an update.",
        )
    raise ServiceError("NoUpdateAvailableException", "There is no update available for your container agent.")


def _cluster(call: Call, identifier: str) -> Cluster:
    """The cluster that an agent names. ``default`` and the platform's own one are made where they are missing."""
    name = lookup.cluster_arn(call, identifier).rpartition("/")[2]
    ours = name == RESERVED_CLUSTER and call.account == DEFAULT_ACCOUNT
    known = call.tx.get(CLUSTERS, lookup.cluster_arn(call, identifier))
    if (known is None or known.status == "INACTIVE") and (ours or name == lookup.DEFAULT_CLUSTER):
        made = Cluster(
            arn=arn.make("ecs", call.region, call.account, f"cluster/{name}"),
            name=name,
            account=call.account,
            region=call.region,
            settings=[{"name": "containerInsights", "value": "disabled"}],
            hidden=ours,
        )
        call.tx.put(CLUSTERS, made)
    try:
        return lookup.cluster(call, identifier, hidden=True)
    except ServiceError as error:
        # By this code and these words agents know that they may give up.
        raise lookup.client_error(error.message) from None


def _register(call: Call, cluster: Cluster, host: Host, request: Mapping[str, Any]) -> ContainerInstance:
    name = f"container-instance/{cluster.name}/{hexadecimal(call.random, 32)}"
    instance = ContainerInstance(
        arn=arn.make("ecs", call.region, call.account, name),
        cluster_arn=cluster.arn,
        account=call.account,
        region=call.region,
        ec2_instance_id=host.instance_id,
        capacity=host.capacity,
        registered_at=call.now,
        client_token=request.get("clientToken"),
        tags=tags.given(request),
        **_described(host, request, []),
    )
    _replace_lost(call, instance)
    return instance


def _register_again(call: Call, cluster: Cluster, host: Host, request: Mapping[str, Any]) -> ContainerInstance:
    known = call.tx.get(CONTAINER_INSTANCES, request["containerInstanceArn"])
    if known is None or known.account != call.account or known.cluster_arn != cluster.arn:
        raise lookup.invalid("The referenced container instance was not found.")
    if known.ec2_instance_id != host.instance_id or known.capacity != host.capacity:
        raise lookup.invalid("The container instance is registered for another machine.")
    described = _described(host, request, known.attributes)
    types = {attributes.value(each, attributes.INSTANCE_TYPE) for each in (known.attributes, described["attributes"])}
    if len(types - {None}) > 1:
        raise lookup.invalid("Container instance type changes are not supported.")
    again = replace(
        known,
        status="ACTIVE" if known.status == "INACTIVE" else known.status,
        deregistered_at=None,
        version=known.version + 1,
        **described,
    )
    _replace_lost(call, again)
    return again


def _registered_with_token(call: Call, cluster: Cluster, request: Mapping[str, Any]) -> ContainerInstance | None:
    token = request.get("clientToken")
    found = call.tx.find(CONTAINER_INSTANCES, "token", f"{cluster.arn}/{token}") if token else []
    return next((each for each in found if each.status != "INACTIVE"), None)


def _replace_lost(call: Call, instance: ContainerInstance) -> None:
    """End the other registrations of an EC2 instance: its agent has lost its memory, or joined another cluster."""
    if instance.ec2_instance_id is None:
        return
    for other in call.tx.find(CONTAINER_INSTANCES, "ec2_instance", instance.ec2_instance_id):
        if other.arn != instance.arn:
            retire(call.tx, other, lifecycle.TERMINATION_NOTICE, REPLACED, call.now)


def _described(host: Host, request: Mapping[str, Any], known: list[Json]) -> dict[str, Any]:
    """What a registration says of the machine, as members of ``ContainerInstance``.

    ``known`` are attributes from before: the agent leaves its custom ones out the second time, and does not know those
    that users put.
    """
    sent = [attributes.checked(each) for each in request.get("attributes") or ()]
    kept = [each for each in known if attributes.is_custom(each["name"])]
    merged = attributes.merged(attributes.merged(sent, host.attributes), kept)
    if attributes.too_many(merged):
        raise lookup.invalid(f"You can apply up to {attributes.MAX_CUSTOM} custom attributes for each resource.")
    members = {"agentVersion": "agent_version", "agentHash": "agent_hash", "dockerVersion": "docker_version"}
    versions = {members[name]: value for name, value in (request.get("versionInfo") or {}).items()}
    return {
        "attributes": merged,
        "registered_resources": _resources(request),
        **versions,
    }


def _resources(request: Mapping[str, Any]) -> list[Json]:
    resources = [_resource(each) for each in request.get("totalResources") or ()]
    names = [each["name"] for each in resources]
    if len(set(names)) != len(names):
        raise lookup.invalid("Resource names must be unique.")
    gpus = [each["id"] for each in request.get("platformDevices") or () if each["type"] == "GPU"]
    if len(gpus) != len(request.get("platformDevices") or ()):
        raise lookup.invalid("Platform devices other than GPUs are not supported.")
    if gpus and "GPU" not in names:
        resources.append(_resource({"name": "GPU", "type": "STRINGSET", "stringSetValue": gpus}))
    return resources


def _resource(resource: Mapping[str, Any]) -> Json:
    if not resource.get("name"):
        raise lookup.invalid("Resource.name should not be null or empty.")
    if resource.get("type") not in _RESOURCE_TYPES:
        raise lookup.invalid(f"Resource.type should be one of [{','.join(_RESOURCE_TYPES)}].")
    return {"doubleValue": 0.0, "longValue": 0, "integerValue": 0, **resource}
