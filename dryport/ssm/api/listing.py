"""DescribeParameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dryport.gateway.service import Call, Output, Service
from dryport.ssm import filters, model
from dryport.ssm.api.common import page
from dryport.ssm.api.reading import described
from dryport.ssm.model import PARAMETERS
from dryport.ssm.names import validation

if TYPE_CHECKING:
    from types_boto3_ssm import type_defs as shapes

_PAGE = 10


def register(service: Service) -> None:
    """Add the operation of this module."""
    service.operation("DescribeParameters", unsupported=("Shared",))(describe)


def describe(call: Call, request: shapes.DescribeParametersRequestTypeDef) -> Output:
    old, new = request.get("Filters", []), request.get("ParameterFilters", [])
    if old and new:
        raise validation("You can use either Filters or ParameterFilters in a single request.")
    wanted = filters.for_old_listing(old) if old else filters.for_listing(new)
    found = []
    for parameter in call.tx.find(PARAMETERS, "scope", model.scope(call.account, call.region)):
        version = model.latest(call.tx, parameter)
        if wanted(parameter, version):
            found.append(described(parameter, version))
    found.sort(key=lambda shape: str(shape["Name"]))
    shapes_found, more = page(found, request.get("NextToken"), request.get("MaxResults", _PAGE))
    return {"Parameters": shapes_found, **more}
