"""What the operations share: look-up by id or ARN, requests that come twice, filters, tags, pages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from dryport.aws import pages
from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call
from dryport.servicediscovery import model
from dryport.servicediscovery.model import Instance, Namespace, Operation, Service
from dryport.servicediscovery.registering import invalid

T = TypeVar("T")
MAX_TAGS = 50  # a resource
_PAGE = 100


def plain_id(text: str) -> str:
    """The id in what may be an ARN."""
    return text.rpartition("/")[2] if text.startswith("arn:") else text


def namespace(call: Call, text: str) -> Namespace:
    """A namespace of the caller's account and region that is made. Raises ServiceError."""
    found = call.tx.get(model.NAMESPACES, plain_id(text))
    if found is None or (found.account, found.region) != (call.account, call.region) or found.state == "creating":
        raise ServiceError("NamespaceNotFound", f"Namespace {text} does not exist.")
    return found


def service(call: Call, text: str) -> Service:
    """A service of the caller's account and region. Raises ServiceError."""
    found = call.tx.get(model.SERVICES, plain_id(text))
    if found is None or (found.account, found.region) != (call.account, call.region):
        raise ServiceError("ServiceNotFound", f"Service {text} does not exist.")
    return found


def instance(call: Call, of: Service, instance_id: str) -> Instance:
    """An instance of a service. Raises ServiceError."""
    found = call.tx.get(model.INSTANCES, model.instance_key(of.id, instance_id))
    if found is None:
        raise ServiceError("InstanceNotFound", f"Instance {instance_id} does not exist in service {of.id}.")
    return found


def duplicate(message: str, operation_id: str) -> ServiceError:
    """The refusal of what is being done already."""
    return ServiceError("DuplicateRequest", message, DuplicateOperationId=operation_id)


def asked_before(call: Call, request_id: str | None, request: Mapping[str, Any]) -> Operation | None:
    """The operation that this request has made before, by its request id.

    Raises ServiceError where that id was used for another request.
    """
    if not request_id:
        return None
    key = model.scope(call.account, call.region, call.operation, request_id)
    found = call.tx.find(model.OPERATIONS, "request", key)
    if not found:
        return None
    if found[-1].digest != digest(request):
        raise duplicate("The request ID was used for another request.", found[-1].id)
    return found[-1]


def digest(request: Mapping[str, Any]) -> str:
    """What tells requests apart."""
    return hashlib.sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()


def begin(
    call: Call,
    kind: str,
    namespace_id: str,
    request_id: str | None = None,
    request: Mapping[str, Any] | None = None,
    **targets: str,
) -> dict[str, str]:
    """Note an operation that is to be done, and answer its id."""
    made = Operation(
        id=model.operation_id(call.random),
        account=call.account,
        region=call.region,
        type=kind,
        targets=targets,
        namespace_id=namespace_id,
        created_at=call.now,
        updated_at=call.now,
        request=f"{call.operation}/{request_id}" if request_id else "",
        digest=digest(request) if request_id and request is not None else "",
    )
    call.tx.put(model.OPERATIONS, made)
    return {"OperationId": made.id}


def open_operation(call: Call, namespace_id: str, kind: str, **targets: str) -> Operation | None:
    """One of a kind that is not done yet."""
    found = call.tx.find(model.OPERATIONS, "open", namespace_id)
    return next((each for each in found if each.type == kind and targets.items() <= each.targets.items()), None)


def page(items: Sequence[T], request: Mapping[str, Any]) -> tuple[Sequence[T], dict[str, str]]:
    """A page by ``MaxResults`` and ``NextToken``, and the member that tells of more. Raises ServiceError."""
    limit = request.get("MaxResults") or _PAGE
    return pages.page(items, request.get("NextToken"), limit, invalid("The value of NextToken is not valid."))


def filtered(
    items: Iterable[T], filters: Iterable[Any], values: Mapping[str, Callable[[T], str]], conditions: Mapping[str, str]
) -> list[T]:
    """The items that pass every filter; ``values`` is what a filter's name compares, ``conditions`` what it knows.

    Raises ServiceError.
    """
    found = list(items)
    for each in filters:
        name, wanted, condition = each["Name"], each["Values"], each.get("Condition", "EQ")
        if name not in values:
            raise invalid(f"Filter name {name} is not supported.")
        if condition not in conditions.get(name, "EQ").split():
            raise invalid(f"Condition {condition} is not supported for filter {name}.")
        if condition in ("EQ", "BEGINS_WITH") and len(wanted) != 1:
            raise invalid(f"Condition {condition} needs exactly one value.")
        passes = _test(condition, wanted)
        found = [item for item in found if passes(values[name](item))]
    return found


def _test(condition: str, wanted: Sequence[str]) -> Callable[[str], bool]:
    if condition == "BEGINS_WITH":
        return lambda value: value.startswith(wanted[0])
    if condition == "BETWEEN":
        try:
            first, last = (float(each) for each in wanted)
        except ValueError:
            raise invalid("Condition BETWEEN needs two values: times in seconds since 1970.") from None
        return lambda value: first <= float(value) <= last
    return lambda value: value in wanted


def with_tags(old: Mapping[str, str], new: Iterable[Any], arn: str) -> dict[str, str]:
    """The old tags with the new ones (``Key``, ``Value``) on top. Raises ServiceError where there are too many."""
    tags = {**old, **{tag["Key"]: tag["Value"] for tag in new}}
    if any(key.lower().startswith("aws:") for key in tags):
        raise invalid("Tag keys cannot begin with aws:.")
    if len(tags) > MAX_TAGS:
        message = f"The list of tags on the resource is over the limit. The maximum number of tags is {MAX_TAGS}."
        raise ServiceError("TooManyTagsException", message, ResourceName=arn)
    return tags


def owned(call: Call, request: Mapping[str, Any]) -> bool:
    """Whether what is asked for is the caller's own: nothing is shared between accounts."""
    return bool(request.get("OwnerAccount", call.account) == call.account)
