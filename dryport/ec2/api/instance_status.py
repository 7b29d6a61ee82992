"""Status checks of instances, and their consoles."""

from __future__ import annotations

import base64
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ec2 import addressing, instance_types, lifecycle, model
from dryport.ec2.api import filters
from dryport.ec2.api.instance_shapes import state
from dryport.ec2.api.service import Request, check_dry_run, find_instances, get_instances, operation, waiting
from dryport.ec2.drivers import InstanceDriver
from dryport.ec2.model import Instance
from dryport.gateway.service import Call, Output, Service
from dryport.host.client import HostError

_MOST_IDS = 100


def _check(instance: Instance) -> dict[str, Any]:
    """One of the checks: whether the instance can be reached, which it can once its boot is complete."""
    if instance.state != lifecycle.RUNNING:
        return {"Status": "not-applicable"}
    passed = instance.ready
    details = [{"Name": "reachability", "Status": "passed" if passed else "initializing"}]
    return {"Details": details, "Status": "ok" if passed else "initializing"}


def describe(instance: Instance) -> dict[str, Any]:
    """An instance as DescribeInstanceStatus has it. Its system is this machine, which answers."""
    kind = instance_types.get(instance.instance_type)
    check = _check(instance)
    described = {
        "AvailabilityZone": instance.availability_zone,
        "AvailabilityZoneId": addressing.zone_id(instance.availability_zone),
        "Operator": {"Managed": False},
        "InstanceId": instance.id,
        "InstanceState": state(instance.state),
        "InstanceStatus": check,
        "SystemStatus": check,
    }
    nitro = kind is None or kind.hypervisor != "xen"
    return described | ({"AttachedEbsStatus": check} if nitro else {})


def _reachability(instance: Instance) -> list[str]:
    return [each["Status"] for each in _check(instance).get("Details", [])]


_FILTERS: filters.Fields[Instance] = {
    "application-status.status": lambda i: [],
    "attached-ebs-status.status": lambda i: [_check(i)["Status"]],
    "availability-zone": lambda i: [i.availability_zone],
    "availability-zone-id": lambda i: [addressing.zone_id(i.availability_zone)],
    "event.code": lambda i: [],
    "event.description": lambda i: [],
    "event.instance-event-id": lambda i: [],
    "event.not-after": lambda i: [],
    "event.not-before": lambda i: [],
    "event.not-before-deadline": lambda i: [],
    "instance-state-code": lambda i: [lifecycle.CODES[i.state]],
    "instance-state-name": lambda i: [i.state],
    "instance-status.reachability": _reachability,
    "instance-status.status": lambda i: [_check(i)["Status"]],
    "operator.managed": lambda i: [False],
    "operator.principal": lambda i: [],
    "system-status.reachability": _reachability,
    "system-status.status": lambda i: [_check(i)["Status"]],
}


@operation("DescribeInstanceStatus", unsupported=("IncludeManagedResources",))
def describe_instance_status(call: Call, request: Request) -> Output:
    ids = request.get("InstanceIds", [])
    if len(ids) > _MOST_IDS:
        raise ServiceError("InvalidParameterValue", f"At most {_MOST_IDS} instance IDs may be specified.")
    found = get_instances(call, ids)
    if not request.get("IncludeAllInstances"):
        found = [each for each in found if each.state == lifecycle.RUNNING]
    found = filters.apply(request, found, _FILTERS)
    return filters.page(request, "InstanceStatuses", found, describe, "InstanceIds")


def register(service: Service, driver: InstanceDriver) -> None:
    """Have a service answer GetConsoleOutput, for which the host driver has to be asked."""

    @waiting("GetConsoleOutput", service=service)
    async def get_console_output(call: Call, request: Request) -> Output:
        """``Latest`` makes no difference: the output is always that of now."""
        check_dry_run(request)
        instance = find_instances(call.store.reader, call.account, call.region, [request["InstanceId"]])[0]
        answer: dict[str, Any] = {"InstanceId": instance.id, "Timestamp": call.now}
        final = call.store.reader.get(model.FINAL_CONSOLES, instance.id)
        if final is not None:
            output, at = final.output, final.at
        else:
            try:
                console = await driver.console(instance.id)
            except HostError:
                return answer  # it has not come up yet
            output, at = console.output, console.at
        return answer | {"Timestamp": at, "Output": base64.b64encode(output).decode()}
