"""Tags of buckets and objects."""

from __future__ import annotations

import msgspec

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.s3 import tags, versions
from dryport.s3.api.common import Json, bucket_of, object_of, version_of
from dryport.s3.model import BUCKETS, Bucket, Object


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("PutBucketTagging")(put_bucket)
    service.operation("GetBucketTagging")(get_bucket)
    service.operation("DeleteBucketTagging")(delete_bucket)
    service.operation("PutObjectTagging")(put_object)
    service.operation("GetObjectTagging")(get_object)
    service.operation("DeleteObjectTagging")(delete_object)


def _listed(given: dict[str, str]) -> Json:
    return {"TagSet": [{"Key": key, "Value": value} for key, value in given.items()]}


def put_bucket(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    given = tags.given(request["Tagging"]["TagSet"], tags.OF_BUCKET)
    call.tx.put(BUCKETS, msgspec.structs.replace(bucket, tags=given))
    return None


def get_bucket(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    if not bucket.tags:
        raise ServiceError("NoSuchTagSet", "The TagSet does not exist", 404, BucketName=bucket.name)
    return _listed(bucket.tags)


def delete_bucket(call: Call, request: Json) -> Output:
    call.tx.put(BUCKETS, msgspec.structs.replace(bucket_of(call.tx, call, request), tags={}))
    return None


def _item(call: Call, request: Json) -> tuple[Object, Json]:
    """The object of a request, and how the answer names its version."""
    bucket = bucket_of(call.tx, call, request)
    item = object_of(call.tx, bucket.name, request["Key"], version_of(request))
    return item, _version(bucket, item)


def _version(bucket: Bucket, item: Object) -> Json:
    return {"VersionId": versions.named(item)} if bucket.versioning else {}


def put_object(call: Call, request: Json) -> Output:
    item, version = _item(call, request)
    given = tags.given(request["Tagging"]["TagSet"], tags.OF_OBJECT)
    versions.change(call.tx, msgspec.structs.replace(item, tags=given))
    return version


def get_object(call: Call, request: Json) -> Output:
    item, version = _item(call, request)
    return {**_listed(item.tags), **version}


def delete_object(call: Call, request: Json) -> Output:
    item, version = _item(call, request)
    versions.change(call.tx, msgspec.structs.replace(item, tags={}))
    return version
