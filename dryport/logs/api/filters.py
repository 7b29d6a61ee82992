"""TestMetricFilter: what a filter pattern makes of sample messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dryport.gateway.service import Call, Output, Service
from dryport.logs import pattern

if TYPE_CHECKING:
    from types_boto3_logs import type_defs as shapes


def register(service: Service) -> None:
    """Add the operation of this module."""
    service.operation("TestMetricFilter")(test_metric_filter)


def test_metric_filter(call: Call, request: shapes.TestMetricFilterRequestTypeDef) -> Output:
    parsed = pattern.parse(request["filterPattern"])
    matches = []
    for number, message in enumerate(request["logEventMessages"], 1):
        extracted = {} if parsed is None else parsed.extract(message)
        if extracted is not None:
            matches.append({"eventNumber": number, "eventMessage": message, "extractedValues": extracted})
    return {"matches": matches}
