"""PutParameter, DeleteParameter, DeleteParameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.ssm import model
from dryport.ssm.api.common import named, versions
from dryport.ssm.api.tags import checked_tags
from dryport.ssm.model import PARAMETERS, VERSIONS, Parameter, Version, version_key
from dryport.ssm.names import check_new_name, validation
from dryport.ssm.values import check_data_type, check_pattern, key_of, tier_of
from dryport.store import Transaction
from dryport.store.sealing import Sealer

if TYPE_CHECKING:
    from types_boto3_ssm import type_defs as shapes

_MOST_VERSIONS = 100


def register(service: Service, sealer: Sealer) -> None:
    """Add the operations of this module."""
    service.operation("PutParameter", unsupported=("Policies",))(_Writing(sealer).put)
    service.operation("DeleteParameter")(delete)
    service.operation("DeleteParameters")(delete_several)


class _Writing:
    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def put(self, call: Call, request: shapes.PutParameterRequestTypeDef) -> Output:
        name, value = request["Name"].strip(), request["Value"]
        if not value:
            raise validation(
                "1 validation error detected: Value '' at 'value' failed to satisfy constraint: "
                "Member must have length greater than or equal to 1."
            )
        check_new_name(name)
        overwrite = request.get("Overwrite", False)
        if overwrite and request.get("Tags"):
            raise validation(
                "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please "
                "remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or "
                "RemoveTagsFromResource."
            )
        parameter = call.tx.get(PARAMETERS, model.key(call.account, call.region, name))
        if parameter is not None and not overwrite:
            raise ServiceError(
                "ParameterAlreadyExists",
                "The parameter already exists. To overwrite this value, set the overwrite option in the request to "
                "true.",
            )
        before = None if parameter is None else model.latest(call.tx, parameter)
        if parameter is None:
            tags = checked_tags({}, request.get("Tags", []))
            parameter = Parameter(account=call.account, region=call.region, name=name, latest=1, tags=tags)
        else:
            _make_room(call.tx, parameter)
            parameter = msgspec.structs.replace(parameter, latest=parameter.latest + 1)
        version = self._version(call, request, parameter, before)
        call.tx.put(PARAMETERS, parameter)
        call.tx.put(VERSIONS, version)
        return {"Version": version.number, "Tier": version.tier}

    def _version(
        self,
        call: Call,
        request: shapes.PutParameterRequestTypeDef,
        parameter: Parameter,
        before: Version | None,
    ) -> Version:
        """The version that a request makes; what it leaves out is as in the version before."""
        value = request["Value"]
        kind = request.get("Type") or (before.type if before else None)
        if kind is None:
            raise validation("A parameter type is required when you create a parameter.")
        tier = tier_of(request.get("Tier"), before.tier if before else None, value)
        data_type = request.get("DataType") or (before.data_type if before else "text")
        check_data_type(data_type)
        pattern = request.get("AllowedPattern", before.allowed_pattern if before else None)
        if pattern:
            check_pattern(value, pattern)
        key_id = key_of(kind, request.get("KeyId"))
        place = version_key(parameter.key, parameter.latest)
        secret = kind == "SecureString"
        return Version(
            parameter=parameter.key,
            number=parameter.latest,
            type=kind,
            value="" if secret else value,
            sealed=self._sealer.seal(value.encode(), place) if secret else b"",
            modified_at=call.now,
            modified_by=call.principal.arn,
            tier=tier,
            data_type=data_type,
            description=request.get("Description", before.description if before else None),
            allowed_pattern=pattern,
            key_id=key_id,
        )


def _make_room(tx: Transaction, parameter: Parameter) -> None:
    """Let go of the oldest version where there are as many as may be."""
    kept = versions(tx, parameter)
    if len(kept) < _MOST_VERSIONS:
        return
    oldest = kept[0]
    if oldest.labels:
        raise ServiceError(
            "ParameterMaxVersionLimitExceeded",
            f"You attempted to create a new version of {parameter.name} by calling the PutParameter API with the "
            f"overwrite flag. Version {oldest.number}, the oldest version, can't be deleted because it has a label "
            "associated with it. Move the label to another version of the parameter, and try again.",
        )
    tx.delete(VERSIONS, version_key(parameter.key, oldest.number))


def delete(call: Call, request: shapes.DeleteParameterRequestTypeDef) -> Output:
    _delete(call.tx, named(call.tx, call, request["Name"]))
    return {}


def delete_several(call: Call, request: shapes.DeleteParametersRequestTypeDef) -> Output:
    deleted: list[str] = []
    invalid: list[str] = []
    for name in dict.fromkeys(request["Names"]):
        parameter = call.tx.get(PARAMETERS, model.key(call.account, call.region, name))
        if parameter is None:
            invalid.append(name)
        else:
            _delete(call.tx, parameter)
            deleted.append(name)
    return {"DeletedParameters": deleted, "InvalidParameters": invalid}


def _delete(tx: Transaction, parameter: Parameter) -> None:
    for key in tx.keys(VERSIONS, "parameter", parameter.key):
        tx.delete(VERSIONS, key)
    tx.delete(PARAMETERS, parameter.key)
