"""DeleteObject and DeleteObjects."""

from __future__ import annotations

from dryport.gateway.service import Call, Output, Service
from dryport.s3 import conditions
from dryport.s3.api.common import Json, bucket_of
from dryport.s3.model import OBJECTS, object_key

_UNSUPPORTED = ("MFA", "BypassGovernanceRetention")


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation(
        "DeleteObject", unsupported=(*_UNSUPPORTED, "VersionId", "IfMatchLastModifiedTime", "IfMatchSize")
    )(delete)
    versions = ("VersionId", "ETag", "LastModifiedTime", "Size")
    service.operation("DeleteObjects", unsupported=(*_UNSUPPORTED, *(f"Delete.Objects.{name}" for name in versions)))(
        delete_several
    )


def delete(call: Call, request: Json) -> Output:
    key = object_key(bucket_of(call.tx, call, request).name, request["Key"])
    if "IfMatch" in request:
        conditions.check_write(request, call.tx.get(OBJECTS, key))
    call.tx.delete(OBJECTS, key)
    return {}


def delete_several(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    keys = [item["Key"] for item in request["Delete"]["Objects"]]
    for key in keys:
        call.tx.delete(OBJECTS, object_key(bucket.name, key))
    if request["Delete"].get("Quiet", False):
        return {}
    return {"Deleted": [{"Key": key} for key in keys]}
