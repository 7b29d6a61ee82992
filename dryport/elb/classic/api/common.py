"""What the operations share: look-up by name, pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from dryport.aws import pages
from dryport.aws.errors import ServiceError
from dryport.elb import model, published
from dryport.elb.api import carrying
from dryport.elb.model import Classic, LoadBalancer
from dryport.elb.names import invalid
from dryport.gateway.service import Call

T = TypeVar("T")
_PAGE = 400


def balancer(call: Call, name: str) -> tuple[LoadBalancer, Classic]:
    """A classic load balancer of the caller's, with what only such have. Raises ServiceError."""
    found = published.classic(call.tx, call.account, call.region, name)
    if found is None or found.classic is None:
        raise ServiceError("LoadBalancerNotFound", f"There is no ACTIVE Load Balancer named '{name}'")
    return found, found.classic


def put(call: Call, changed: LoadBalancer, **classic: Any) -> LoadBalancer:
    """Store a balancer, with changes of what only classic ones have. Raises ServiceError for what is not carried."""
    if classic and changed.classic is not None:
        changed = replace(changed, classic=replace(changed.classic, **classic))
    call.tx.put(model.LOAD_BALANCERS, changed)
    carrying.check(call, changed.arn)
    return changed


def page(items: Sequence[T], request: Mapping[str, Any]) -> tuple[Sequence[T], dict[str, str]]:
    """A page by ``PageSize`` and ``Marker``, and the member that tells of more. Raises ServiceError."""
    refusal = invalid(f"'{request.get('Marker')}' is not a valid marker")
    shown, more = pages.page(items, request.get("Marker"), request.get("PageSize") or _PAGE, refusal)
    return shown, {"NextMarker": more["NextToken"]} if more else {}
