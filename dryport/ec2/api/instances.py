"""Instances: launched, found, started, stopped, rebooted, terminated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ec2 import launch_templates, lifecycle, model, releases
from dryport.ec2.api import filters, instance_shapes
from dryport.ec2.api.instance_filters import FIELDS, Described
from dryport.ec2.api.launch_unsupported import LAUNCH
from dryport.ec2.api.service import Request, get_instances, operation, tags_by_type
from dryport.ec2.launch import Caller, launch
from dryport.ec2.model import Instance
from dryport.gateway.service import Call, Output
from dryport.store import Reader

_TAGGED = ("instance", "volume", "network-interface")


@operation(
    "RunInstances",
    unsupported=(
        *LAUNCH,
        "ElasticGpuSpecification",
        "EnablePrimaryIpv6",
        "Ipv6AddressCount",
        "Ipv6Addresses",
        "RamdiskId",
    ),
)
def run_instances(call: Call, request: Request) -> Output:
    if "LaunchTemplate" in request:
        found = launch_templates.specified(call.tx, call.account, call.region, request["LaunchTemplate"])
        request = launch_templates.launch_parameters(found.data, request)
    caller = Caller(call.account, call.region, call.principal.user_id)
    made = launch(call.tx, call.random, caller, request, tags_by_type(request, _TAGGED), call.now)
    return _reservation(made, lambda each: instance_shapes.launched(call.tx, each))


def _reservation(instances: list[Instance], describe: Callable[[Instance], dict[str, Any]]) -> dict[str, Any]:
    return {
        "ReservationId": instances[0].reservation_id,
        "OwnerId": instances[0].account,
        "Groups": [],
        "Instances": [describe(each) for each in instances],
    }


@operation("DescribeInstances", unsupported=("IncludeManagedResources",))
def describe_instances(call: Call, request: Request) -> Output:
    """A page is of instances: those of one reservation that come together are answered together."""
    found = _matching(call.tx, request, get_instances(call, request.get("InstanceIds")))
    page = filters.page(request, "Instances", found, lambda each: each, "InstanceIds")
    reservations: dict[str, list[Instance]] = {}
    for each in page.pop("Instances"):
        reservations.setdefault(each.reservation_id, []).append(each)

    def describe(instance: Instance) -> dict[str, Any]:
        return instance_shapes.describe(call.tx, instance)

    return {"Reservations": [_reservation(each, describe) for each in reservations.values()], **page}


def _matching(reader: Reader, request: Request, instances: list[Instance]) -> list[Instance]:
    if not request.get("Filters"):
        return instances
    described = [
        Described(each, instance_shapes.interfaces_of(reader, each), instance_shapes.describe(reader, each))
        for each in instances
    ]
    return [each.instance for each in filters.apply(request, described, FIELDS)]


@operation("StartInstances", unsupported=("AdditionalInfo",))
def start_instances(call: Call, request: Request) -> Output:
    def start(instance: Instance) -> Instance:
        if instance.state in (lifecycle.PENDING, lifecycle.RUNNING):
            return instance
        if instance.state != lifecycle.STOPPED:
            raise _incorrect(f"The instance '{instance.id}' is not in a state from which it can be started.")
        if not any(each.root for each in call.tx.find(model.VOLUMES, "instance", instance.id)):
            raise ServiceError(
                "InvalidParameterValue",
                f"Invalid value '{instance.id}' for instanceId. Instance does not have a volume attached at root "
                f"({instance.root_device_name})",
            )
        return lifecycle.start(instance, call.now)

    return {"StartingInstances": _change(call, request, start)}


@operation("StopInstances", unsupported=("Hibernate",))
def stop_instances(call: Call, request: Request) -> Output:
    """``Force`` and ``SkipOsShutdown`` do the same here: the instance is not shut down, but killed."""
    force = bool(request.get("Force") or request.get("SkipOsShutdown"))

    def stop(instance: Instance) -> Instance:
        if instance.state == lifecycle.STOPPED:
            return instance
        if instance.state == lifecycle.PENDING and not lifecycle.has_run(instance):
            raise _incorrect(f"Instance '{instance.id}' cannot be stopped as it has never reached the 'running' state.")
        if lifecycle.is_gone(instance):
            raise _incorrect(f"This instance '{instance.id}' is not in a state from which it can be stopped.")
        if instance.disable_api_stop:
            raise _protected(instance, "stopped", "disableApiStop")
        return lifecycle.stop(instance, call.now, force=force)

    return {"StoppingInstances": _change(call, request, stop)}


@operation("RebootInstances")
def reboot_instances(call: Call, request: Request) -> Output:
    """Those that are terminated are passed over."""

    def reboot(instance: Instance) -> Instance:
        if lifecycle.is_gone(instance):
            return instance
        if instance.state != lifecycle.RUNNING:
            raise _incorrect(f"The instance '{instance.id}' is not in a state from which it can be rebooted.")
        return lifecycle.reboot(instance)

    _change(call, request, reboot)
    return None


@operation("TerminateInstances")
def terminate_instances(call: Call, request: Request) -> Output:
    """``Force`` and ``SkipOsShutdown`` do the same here: the instance is not shut down, but killed."""
    force = bool(request.get("Force") or request.get("SkipOsShutdown"))

    def terminate(instance: Instance) -> Instance:
        if instance.state == lifecycle.TERMINATED:
            return instance
        if instance.disable_api_termination and not lifecycle.is_gone(instance):
            raise _protected(instance, "terminated", "disableApiTermination")
        gone = lifecycle.terminate(instance, call.now, force=force)
        if gone.state == lifecycle.TERMINATED:
            releases.let_go(call.tx, gone.id)
        return gone

    return {"TerminatingInstances": _change(call, request, terminate)}


def _change(call: Call, request: Request, change: Callable[[Instance], Instance]) -> list[dict[str, Any]]:
    """Change the instances that are named; all of them, or none where one refuses."""
    changes = [(each, change(each)) for each in _named(call, request["InstanceIds"])]
    for before, after in changes:
        if after is not before:
            call.tx.put(model.INSTANCES, after)
    return [instance_shapes.state_change(before, after) for before, after in changes]


def _named(call: Call, ids: Iterable[str]) -> list[Instance]:
    wanted = list(ids)
    if not wanted:
        raise ServiceError("MissingParameter", "The request must contain the parameter InstanceId")
    return get_instances(call, wanted)


def _incorrect(text: str) -> ServiceError:
    return ServiceError("IncorrectInstanceState", text)


def _protected(instance: Instance, what: str, attribute: str) -> ServiceError:
    return ServiceError(
        "OperationNotPermitted",
        f"The instance '{instance.id}' may not be {what}. Modify its '{attribute}' instance attribute and try again.",
    )
