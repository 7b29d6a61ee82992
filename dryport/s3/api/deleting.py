"""DeleteObject and DeleteObjects."""

from __future__ import annotations

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.s3 import conditions, versions
from dryport.s3.api.common import Json, bucket_of, check_version
from dryport.s3.model import OBJECTS, Bucket, object_key

_UNSUPPORTED = ("MFA", "BypassGovernanceRetention")
_MOST = 1000


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("DeleteObject", unsupported=(*_UNSUPPORTED, "IfMatchLastModifiedTime", "IfMatchSize"))(delete)
    members = ("ETag", "LastModifiedTime", "Size")
    service.operation("DeleteObjects", unsupported=(*_UNSUPPORTED, *(f"Delete.Objects.{name}" for name in members)))(
        delete_several
    )


def delete(call: Call, request: Json) -> Output:
    bucket, key = bucket_of(call.tx, call, request), request["Key"]
    if "IfMatch" in request:
        conditions.check_write(request, call.tx.get(OBJECTS, object_key(bucket.name, key)))
    return _delete(call, bucket, key, request.get("VersionId"))


def _delete(call: Call, bucket: Bucket, key: str, version: str | None) -> Json:
    """Delete a key, or a version for good; what the answer says of it. Raises ServiceError."""
    if version is None:
        marker = versions.mark_deleted(call.tx, call.random, bucket, key, call.now)
        return {} if marker is None else {"DeleteMarker": True, "VersionId": versions.named(marker)}
    check_version(version)
    item = versions.find(call.tx, bucket.name, key, version)
    if item is not None:
        versions.end(call.tx, item)
    answer: Json = {"VersionId": version} if bucket.versioning else {}
    if item is not None and item.marker:
        answer["DeleteMarker"] = True
    return answer


def delete_several(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    objects = request["Delete"]["Objects"]
    if not 1 <= len(objects) <= _MOST:
        message = "The XML you provided was not well-formed or did not validate against our published schema"
        raise ServiceError("MalformedXML", message, 400)
    deleted: list[Json] = []
    errors: list[Json] = []
    for one in objects:
        key, version = one["Key"], one.get("VersionId")
        try:
            said = _delete(call, bucket, key, version)
        except ServiceError as refused:
            errors.append({"Key": key, "VersionId": version, "Code": "NoSuchVersion", "Message": refused.message})
            continue
        answer: Json = {"Key": key}
        if version is not None and "VersionId" in said:
            answer["VersionId"] = version
        if said.get("DeleteMarker"):
            answer |= {"DeleteMarker": True, "DeleteMarkerVersionId": said["VersionId"]}
        deleted.append(answer)
    answer = {"Errors": errors} if errors else {}
    return answer if request["Delete"].get("Quiet", False) else {"Deleted": deleted, **answer}
