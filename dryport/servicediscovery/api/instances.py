"""Instances of a service, and what somebody tells of their health."""

from __future__ import annotations

from typing import Any

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.servicediscovery import model, registering
from dryport.servicediscovery.api.common import duplicate, instance, page, service


def register(handlers: Service) -> None:
    """Add the operations of this module."""
    handlers.operation("RegisterInstance")(register_instance)
    handlers.operation("DeregisterInstance")(deregister_instance)
    handlers.operation("GetInstance")(get)
    handlers.operation("ListInstances")(list_all)
    handlers.operation("GetInstancesHealthStatus")(health)
    handlers.operation("UpdateInstanceCustomHealthStatus")(set_health)


def register_instance(call: Call, request: Any) -> Output:
    """Have an instance discovered; one of that id becomes what it is now."""
    found = service(call, request["ServiceId"])
    instance_id, attributes = request["InstanceId"], request["Attributes"]
    registering.check(found, instance_id, attributes)
    request_id = request.get("CreatorRequestId", "")
    key = model.instance_key(found.id, instance_id)
    known = call.tx.get(model.INSTANCES, key)
    going = [each for each in call.tx.find(model.OPERATIONS, "instance", key) if each.type == "REGISTER_INSTANCE"]
    if going and known is not None and known.attributes == attributes and known.creator_request_id == request_id:
        return {"OperationId": going[-1].id}
    made = registering.register(call.tx, call.random, call.now, found, instance_id, attributes, request_id)
    return {"OperationId": made.id}


def deregister_instance(call: Call, request: Any) -> Output:
    """Have an instance discovered no more."""
    found = service(call, request["ServiceId"])
    instance_id = request["InstanceId"]
    key = model.instance_key(found.id, instance_id)
    if call.tx.get(model.INSTANCES, key) is None:
        for each in call.tx.find(model.OPERATIONS, "instance", key):
            if each.type == "DEREGISTER_INSTANCE":
                raise duplicate("The instance is being deregistered.", each.id)
    instance(call, found, instance_id)
    return {"OperationId": registering.deregister(call.tx, call.random, call.now, found, instance_id).id}


def get(call: Call, request: Any) -> Output:
    """An instance."""
    found = service(call, request["ServiceId"])
    one = instance(call, found, request["InstanceId"])
    described: dict[str, Any] = {"Id": one.id, "Attributes": one.attributes, "CreatedByAccount": one.account}
    if one.creator_request_id:
        described["CreatorRequestId"] = one.creator_request_id
    return {"ResourceOwner": found.account, "Instance": described}


def list_all(call: Call, request: Any) -> Output:
    """A service's instances."""
    found = service(call, request["ServiceId"])
    shown, more = page(call.tx.find(model.INSTANCES, "service", found.id), request)
    described = [{"Id": one.id, "Attributes": one.attributes, "CreatedByAccount": one.account} for one in shown]
    return {"ResourceOwner": found.account, "Instances": described, **more}


def health(call: Call, request: Any) -> Output:
    """The health of a service's instances, or of some of them."""
    found = service(call, request["ServiceId"])
    if "Instances" in request:
        chosen = [instance(call, found, each) for each in request["Instances"]]
    else:
        chosen = call.tx.find(model.INSTANCES, "service", found.id)
    shown, more = page(chosen, request)
    return {"Status": {one.id: status_of(found, one) for one in shown}, **more}


def status_of(of: model.Service, one: model.Instance) -> str:
    """AWS's ``HealthStatus`` of an instance."""
    return one.health if of.custom_health else model.UNKNOWN


def set_health(call: Call, request: Any) -> Output:
    """Tell the health of an instance. It holds at once, where AWS waits for 30 seconds."""
    found = service(call, request["ServiceId"])
    if not found.custom_health:
        raise ServiceError("CustomHealthNotFound", f"Service {found.id} has no custom health check.")
    registering.set_health(call.tx, instance(call, found, request["InstanceId"]), request["Status"])
    return {}
