"""Which class speaks which protocol, and what sets services' answers apart."""

from __future__ import annotations

from dryport.aws.errors import ServiceError
from dryport.gateway.json_rpc import JsonRpc
from dryport.gateway.models import ServiceModel
from dryport.gateway.query import Ec2, Query
from dryport.gateway.rest import RestJson, RestXml
from dryport.gateway.wire import WireProtocol


def make(name: str, model: ServiceModel) -> WireProtocol:
    """A service's side of a protocol, by botocore's name; JSON's with its version (``json-1.1``)."""
    if name.startswith("json-"):
        return JsonRpc(model, name.removeprefix("json-"))
    if name == "query":
        return Query(model)
    if name == "ec2":
        return Ec2(model)
    if name == "rest-json":
        return RestJson(model)
    if name == "rest-xml":
        return RestXml(model)
    if name == "smithy-rpc-v2-cbor":
        from dryport.gateway.cbor_rpc import CborRpc  # only where a service speaks it: cbor2 takes memory

        return CborRpc(model)
    raise LookupError(f"no protocol {name}")


def error_family(model: ServiceModel) -> str:
    """The family of authentication errors that a service answers with (``auth`` has the tables)."""
    if model.name in ("ec2", "s3"):
        return model.name
    return "query" if {"query", "rest-xml"} & set(model.protocols) else "json"


def unknown_operation(model: ServiceModel, protocol: str, operation: str) -> ServiceError:
    """What an operation that AWS does not have answers."""
    if protocol in ("query", "ec2"):
        version = model.metadata.apiVersion
        return ServiceError("InvalidAction", f"Could not find operation {operation} for version {version}", 400)
    return ServiceError("UnknownOperationException", "", 404 if protocol == "smithy-rpc-v2-cbor" else 400)
