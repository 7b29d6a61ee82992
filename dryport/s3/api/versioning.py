"""The versions of a bucket: whether it keeps any, and which there are."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.gateway.service import Call, Output, Service
from dryport.s3 import versions
from dryport.s3.api.common import Json, bucket_of, owner, quoted, url_encoder
from dryport.s3.model import BUCKETS, OBJECTS, VERSIONS, Bucket, Object

_MOST = 1000


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("PutBucketVersioning", unsupported=("MFA",))(put)
    service.operation("GetBucketVersioning")(get)
    service.operation("ListObjectVersions", unsupported=("OptionalObjectAttributes",))(list_versions)


def put(call: Call, request: Json) -> Output:
    bucket, asked = bucket_of(call.tx, call, request), request["VersioningConfiguration"]
    if asked.get("MFADelete") == "Enabled":
        raise unsupported_parameter("s3", call.operation, "VersioningConfiguration.MFADelete")
    status = asked.get("Status")
    if status is None:
        raise ServiceError("IllegalVersioningConfigurationException", "The Versioning element must be specified", 400)
    if status not in (versions.ENABLED, versions.SUSPENDED):
        message = "The XML you provided was not well-formed or did not validate against our published schema"
        raise ServiceError("MalformedXML", message, 400)
    call.tx.put(BUCKETS, msgspec.structs.replace(bucket, versioning=status))
    return None


def get(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    return {"Status": bucket.versioning} if bucket.versioning else {}


def list_versions(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    limit = request.get("MaxKeys", _MOST)
    if limit < 0:
        raise ServiceError("InvalidArgument", "Argument maxKeys must be an integer between 0 and 2147483647", 400)
    limit = min(limit, _MOST)
    if "VersionIdMarker" in request and "KeyMarker" not in request:
        raise ServiceError("InvalidArgument", "A version-id marker cannot be specified without a key marker.", 400)
    spell = url_encoder(request)
    answer: Json = {
        "Name": bucket.name,
        "Prefix": spell(request.get("Prefix", "")),
        "KeyMarker": spell(request.get("KeyMarker", "")),
        "VersionIdMarker": request.get("VersionIdMarker", ""),
        "MaxKeys": limit,
        "IsTruncated": False,
    }
    answer |= {name: request[name] for name in ("EncodingType",) if name in request}
    if "Delimiter" in request:
        answer["Delimiter"] = spell(request["Delimiter"])
    found: dict[str, list[Json]] = {"Versions": [], "DeleteMarkers": [], "CommonPrefixes": []}
    last = ("", "")
    for count, entry in enumerate(_entries(call, bucket, request) if limit else ()):
        if count >= limit:
            answer |= {"IsTruncated": True, "NextKeyMarker": spell(last[0])}
            answer |= {"NextVersionIdMarker": last[1]} if last[1] else {}
            break
        if isinstance(entry, str):
            found["CommonPrefixes"].append({"Prefix": spell(entry)})
            last = (entry, "")
        else:
            item, latest = entry
            found["DeleteMarkers" if item.marker else "Versions"].append(_entry(bucket, item, latest, spell(item.key)))
            last = (item.key, versions.named(item))
    return answer | {name: entries for name, entries in found.items() if entries}


def _entries(call: Call, bucket: Bucket, request: Json) -> Iterator[str | tuple[Object, bool]]:
    """Common prefixes and versions (with whether they are the latest), keys by their bytes and the newest first."""
    prefix, delimiter = request.get("Prefix", ""), request.get("Delimiter", "")
    after, version = request.get("KeyMarker", ""), request.get("VersionIdMarker")
    every = [*call.tx.find(OBJECTS, "bucket", bucket.name), *call.tx.find(VERSIONS, "bucket", bucket.name)]
    every = [item for item in every if item.key.startswith(prefix)]
    every.sort(key=lambda item: (item.key.encode(), -item.order))
    key, rolled = None, after if delimiter and after.endswith(delimiter) else None
    # Every version of the marked key that came later has been listed; without a version, all of them.
    last = versions.order_of(call.tx, bucket.name, after, version) if version is not None else -1
    for item in every:
        latest, key = item.key != key, item.key
        if item.key.encode() < after.encode():
            continue
        if after and item.key == after and item.order >= last:
            continue
        end = item.key.find(delimiter, len(prefix)) if delimiter else -1
        if end < 0:
            yield item, latest
        elif (entry := item.key[: end + len(delimiter)]) != rolled:
            rolled = entry
            yield entry


def _entry(bucket: Bucket, item: Object, latest: bool, spelled: str) -> Json:
    shared: Json = {
        "Key": spelled,
        "VersionId": versions.named(item),
        "IsLatest": latest,
        "LastModified": item.modified_at,
        "Owner": owner(bucket.account),
    }
    if item.marker:
        return shared
    return shared | {
        "ETag": quoted(item.etag),
        "ChecksumAlgorithm": [item.checksum.algorithm],
        "ChecksumType": item.checksum.type,
        "Size": item.size,
        "StorageClass": "STANDARD",
    }
