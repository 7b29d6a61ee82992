"""Reading values: GetParameter, GetParameters, GetParametersByPath, GetParameterHistory."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from dryport.aws import arn
from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.ssm import filters, model, published
from dryport.ssm.api.common import find, named, no_version, not_found, page, version, versions
from dryport.ssm.model import PARAMETERS, Parameter, Version, version_key
from dryport.ssm.names import Reference, check_path, reference, under
from dryport.ssm.published import PublicParameter
from dryport.store.sealing import Sealer

if TYPE_CHECKING:
    from types_boto3_ssm import type_defs as shapes

_PATH_PAGE = 10
_HISTORY_PAGE = 50
_PUBLIC = "/aws/service/"
Json = dict[str, Any]


def register(service: Service, sealer: Sealer) -> None:
    """Add the operations of this module."""
    handlers = _Reading(sealer)
    service.operation("GetParameter")(handlers.get)
    service.operation("GetParameters")(handlers.get_several)
    service.operation("GetParametersByPath")(handlers.get_by_path)
    service.operation("GetParameterHistory")(handlers.history)


class _Reading:
    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def get(self, call: Call, request: shapes.GetParameterRequestTypeDef) -> Output:
        shape = self._referenced(call, request["Name"], request.get("WithDecryption", False))
        if shape is None:
            raise not_found()
        return {"Parameter": shape}

    def get_several(self, call: Call, request: shapes.GetParametersRequestTypeDef) -> Output:
        found: list[Json] = []
        invalid: list[str] = []
        for name in dict.fromkeys(request["Names"]):
            try:
                shape = self._referenced(call, name, request.get("WithDecryption", False))
            except ServiceError:  # no such version
                shape = None
            if shape is None:
                invalid.append(name)
            else:
                found.append(shape)
        return {"Parameters": found, "InvalidParameters": invalid}

    def get_by_path(self, call: Call, request: shapes.GetParametersByPathRequestTypeDef) -> Output:
        path, recursive = request["Path"], request.get("Recursive", False)
        decrypt = request.get("WithDecryption", False)
        check_path(path)
        if path.startswith(_PUBLIC):
            offered = published.public_under(call.tx, call.region, path)
            shapes_found = [_public_shape(call, one) for one in offered if under(one.name, path, recursive)]
        else:
            wanted, label = filters.for_path(request.get("ParameterFilters", []))
            shapes_found = []
            for parameter in call.tx.find(PARAMETERS, "scope", model.scope(call.account, call.region)):
                if not under(parameter.name, path, recursive):
                    continue
                chosen = _labelled(call, parameter, label) if label else model.latest(call.tx, parameter)
                if chosen is not None and wanted(parameter, chosen):
                    shapes_found.append(self._shape(parameter, chosen, decrypt))
        shapes_found.sort(key=lambda shape: shape["Name"])
        chosen_page, more = page(shapes_found, request.get("NextToken"), request.get("MaxResults", _PATH_PAGE))
        return {"Parameters": chosen_page, **more}

    def history(self, call: Call, request: shapes.GetParameterHistoryRequestTypeDef) -> Output:
        parameter = named(call.tx, call, request["Name"])
        kept, more = page(
            versions(call.tx, parameter), request.get("NextToken"), request.get("MaxResults", _HISTORY_PAGE)
        )
        decrypt = request.get("WithDecryption", False)
        return {"Parameters": [self._past(parameter, version, decrypt) for version in kept], **more}

    def _referenced(self, call: Call, text: str, decrypt: bool) -> Json | None:
        wanted = reference(text)
        if wanted.name.startswith(_PUBLIC):
            offered = published.public(call.tx, call.region, wanted.name)
            return None if offered is None else _public_shape(call, offered)
        parameter = find(call.tx, call, wanted)
        if parameter is None:
            return None
        shape = self._shape(parameter, _selected(call, parameter, wanted), decrypt)
        if wanted.selector:
            shape["Selector"] = f":{wanted.selector}"
        return shape

    def _shape(self, parameter: Parameter, version: Version, decrypt: bool) -> Json:
        return {
            "Name": parameter.name,
            "Type": version.type,
            "Value": self._value(version, decrypt),
            "Version": version.number,
            "LastModifiedDate": version.modified_at,
            "ARN": parameter.arn,
            "DataType": version.data_type,
        }

    def _past(self, parameter: Parameter, version: Version, decrypt: bool) -> Json:
        shape = described(parameter, version)
        del shape["ARN"]
        shape |= {"Value": self._value(version, decrypt), "Labels": version.labels}
        return shape

    def _value(self, version: Version, decrypt: bool) -> str:
        if version.type != "SecureString":
            return version.value
        if not decrypt:
            return base64.b64encode(version.sealed).decode()
        return self._sealer.open(version.sealed, version_key(version.parameter, version.number)).decode()


def described(parameter: Parameter, version: Version) -> Json:
    """A version's ``ParameterMetadata``."""
    shape: Json = {
        "Name": parameter.name,
        "ARN": parameter.arn,
        "Type": version.type,
        "LastModifiedDate": version.modified_at,
        "LastModifiedUser": version.modified_by,
        "Version": version.number,
        "Tier": version.tier,
        "Policies": [],
        "DataType": version.data_type,
    }
    if version.key_id:
        shape["KeyId"] = version.key_id
    if version.description:
        shape["Description"] = version.description
    if version.allowed_pattern:
        shape["AllowedPattern"] = version.allowed_pattern
    return shape


def _selected(call: Call, parameter: Parameter, wanted: Reference) -> Version:
    selector = wanted.selector
    if not selector:
        return model.latest(call.tx, parameter)
    if selector.isdecimal():
        return version(call.tx, parameter, int(selector))
    found = _labelled(call, parameter, [selector])
    if found is None:
        raise no_version(parameter.name, selector)
    return found


def _labelled(call: Call, parameter: Parameter, labels: list[str]) -> Version | None:
    return next((one for one in versions(call.tx, parameter) if set(labels) & set(one.labels)), None)


def _public_shape(call: Call, offered: PublicParameter) -> Json:
    return {
        "Name": offered.name,
        "Type": offered.type,
        "Value": offered.value,
        "Version": offered.version,
        "LastModifiedDate": offered.modified_at,
        "ARN": arn.make("ssm", call.region, "", f"parameter{offered.name}"),
        "DataType": offered.data_type,
    }
