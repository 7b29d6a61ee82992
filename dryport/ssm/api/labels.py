"""Labels of versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.ssm.api.common import named, version, versions
from dryport.ssm.model import VERSIONS
from dryport.ssm.names import is_label

if TYPE_CHECKING:
    from types_boto3_ssm import type_defs as shapes

_MOST = 10


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("LabelParameterVersion")(label)
    service.operation("UnlabelParameterVersion")(unlabel)


def label(call: Call, request: shapes.LabelParameterVersionRequestTypeDef) -> Output:
    parameter = named(call.tx, call, request["Name"])
    chosen = version(call.tx, parameter, request.get("ParameterVersion", parameter.latest))
    invalid = [text for text in request["Labels"] if not is_label(text)]
    wanted = [text for text in request["Labels"] if text not in invalid]
    labels = list(dict.fromkeys([*chosen.labels, *wanted]))
    if len(labels) > _MOST:
        raise ServiceError(
            "ParameterVersionLabelLimitExceeded",
            "An error occurred (ParameterVersionLabelLimitExceeded) when calling the LabelParameterVersion operation: "
            "A parameter version can have maximum 10 labels."
            "Move one or more labels to another version and try again.",
        )
    for other in versions(call.tx, parameter):
        if other.number != chosen.number and set(other.labels) & set(wanted):
            left = [text for text in other.labels if text not in wanted]
            call.tx.put(VERSIONS, msgspec.structs.replace(other, labels=left))
    call.tx.put(VERSIONS, msgspec.structs.replace(chosen, labels=labels))
    return {"InvalidLabels": invalid, "ParameterVersion": chosen.number}


def unlabel(call: Call, request: shapes.UnlabelParameterVersionRequestTypeDef) -> Output:
    parameter = named(call.tx, call, request["Name"])
    chosen = version(call.tx, parameter, request["ParameterVersion"])
    removed = [text for text in request["Labels"] if text in chosen.labels]
    invalid = [text for text in request["Labels"] if text not in chosen.labels]
    left = [text for text in chosen.labels if text not in removed]
    call.tx.put(VERSIONS, msgspec.structs.replace(chosen, labels=left))
    return {"RemovedLabels": removed, "InvalidLabels": invalid}
