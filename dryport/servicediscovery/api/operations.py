"""Operations: what became of requests that are done after they are answered."""

from __future__ import annotations

from typing import Any

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.servicediscovery import model
from dryport.servicediscovery.api.common import filtered, owned, page


def register(handlers: Service) -> None:
    """Add the operations of this module."""
    handlers.operation("GetOperation")(get)
    handlers.operation("ListOperations")(list_all)


def get(call: Call, request: Any) -> Output:
    """An operation."""
    found = call.tx.get(model.OPERATIONS, request["OperationId"])
    mine = found is not None and (found.account, found.region) == (call.account, call.region)
    if found is None or not mine or not owned(call, request):
        raise ServiceError("OperationNotFound", f"Operation {request['OperationId']} does not exist.")
    described: dict[str, Any] = {
        "Id": found.id,
        "OwnerAccount": found.account,
        "Type": found.type,
        "Status": found.status,
        "CreateDate": found.created_at,
        "UpdateDate": found.updated_at,
        "Targets": found.targets,
    }
    if found.error_code:
        described |= {"ErrorCode": found.error_code, "ErrorMessage": found.error_message}
    return {"Operation": described}


def list_all(call: Call, request: Any) -> Output:
    """The operations that pass the filters, the latest first."""
    there = call.tx.find(model.OPERATIONS, "scope", model.scope(call.account, call.region))
    found = filtered(
        reversed(there),
        request.get("Filters", ()),
        {
            "NAMESPACE_ID": lambda each: each.targets.get("NAMESPACE", ""),
            "SERVICE_ID": lambda each: each.targets.get("SERVICE", ""),
            "STATUS": lambda each: each.status,
            "TYPE": lambda each: each.type,
            "UPDATE_DATE": lambda each: str(each.updated_at),
        },
        {"STATUS": "EQ IN", "TYPE": "EQ IN", "UPDATE_DATE": "BETWEEN"},
    )
    shown, more = page(found, request)
    return {"Operations": [{"Id": each.id, "Status": each.status} for each in shown], **more}
