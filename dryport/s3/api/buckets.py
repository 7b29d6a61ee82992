"""Buckets."""

from __future__ import annotations

import re

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.gateway.service import Call, Output, Service
from dryport.s3 import tags
from dryport.s3.api.common import ENFORCED, GRANTS, Json, bucket_of, denied, forget_upload, owner
from dryport.s3.model import BUCKETS, OBJECTS, UPLOADS, VERSIONS, Bucket

_NAME = re.compile(r"(?!xn--|sthree-)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?<!-s3alias)(?<!--ol-s3)", re.ASCII)
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+", re.ASCII)
_HOME = "us-east-1"  # the region that has no location constraint
_PAGE = 10_000


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation(
        "CreateBucket",
        unsupported=(
            *GRANTS[1:],
            "ObjectLockEnabledForBucket",
            "BucketNamespace",
            "CreateBucketConfiguration.Location",
            "CreateBucketConfiguration.Bucket",
        ),
    )(create)
    service.operation("DeleteBucket")(delete)
    service.operation("HeadBucket")(head)
    service.operation("ListBuckets")(list_buckets)
    service.operation("GetBucketLocation")(location)


def create(call: Call, request: Json) -> Output:
    name = request["Bucket"]
    if not call.principal.arn:
        raise denied()
    if not _NAME.fullmatch(name) or _ADDRESS.fullmatch(name):
        raise ServiceError("InvalidBucketName", "The specified bucket is not valid.", 400, BucketName=name)
    if request.get("ACL", "private") != "private":
        message = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
        raise ServiceError("InvalidBucketAclWithObjectOwnership", message, 400)
    if request.get("ObjectOwnership", ENFORCED) != ENFORCED:
        raise unsupported_parameter("s3", call.operation, f"ObjectOwnership {request['ObjectOwnership']}")
    tagged = tags.given((request.get("CreateBucketConfiguration") or {}).get("Tags") or (), tags.OF_BUCKET)
    constraint = (request.get("CreateBucketConfiguration") or {}).get("LocationConstraint")
    region = "eu-west-1" if constraint == "EU" else constraint or _HOME
    if call.region not in (_HOME, region):
        raise ServiceError(
            "IllegalLocationConstraintException",
            f"The {constraint or 'unspecified'} location constraint is incompatible for the region specific endpoint "
            "this request was sent to.",
            400,
        )
    existing = call.tx.get(BUCKETS, name)
    if existing is not None and existing.account != call.account:
        raise ServiceError(
            "BucketAlreadyExists",
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
            "Please select a different name and try again.",
            409,
            BucketName=name,
        )
    if existing is not None and region != _HOME:
        raise ServiceError(
            "BucketAlreadyOwnedByYou",
            "Your previous request to create the named bucket succeeded and you already own it.",
            409,
            BucketName=name,
        )
    if existing is None:
        existing = Bucket(name=name, account=call.account, region=region, created_at=call.now, tags=tagged)
        call.tx.put(BUCKETS, existing)
    return {"Location": f"/{name}", "BucketArn": existing.arn}


def delete(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    if call.tx.count(OBJECTS, "bucket", bucket.name) or call.tx.count(VERSIONS, "bucket", bucket.name):
        message = "The bucket you tried to delete is not empty"
        if bucket.versioning:
            message += ". You must delete all versions in the bucket."
        raise ServiceError("BucketNotEmpty", message, 409, BucketName=bucket.name)
    for upload in call.tx.find(UPLOADS, "bucket", bucket.name):
        forget_upload(call.tx, upload)
    call.tx.delete(BUCKETS, bucket.name)
    return None


def head(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    return {"BucketArn": bucket.arn, "BucketRegion": bucket.region, "AccessPointAlias": False}


def list_buckets(call: Call, request: Json) -> Output:
    if not call.principal.arn:
        raise denied()
    prefix, region = request.get("Prefix", ""), request.get("BucketRegion")
    after, limit = request.get("ContinuationToken", ""), request.get("MaxBuckets", _PAGE)
    found = [
        bucket
        for bucket in call.tx.find(BUCKETS, "account", call.account)
        if bucket.name.startswith(prefix) and bucket.name > after and region in (None, bucket.region)
    ]
    found.sort(key=lambda bucket: bucket.name)
    answer: Json = {
        "Buckets": [
            {"Name": b.name, "CreationDate": b.created_at, "BucketArn": b.arn, **_region(b, request)}
            for b in found[:limit]
        ],
        "Owner": owner(call.account),
    }
    if "Prefix" in request:
        answer["Prefix"] = prefix
    if len(found) > limit:
        answer["ContinuationToken"] = found[limit - 1].name
    return answer


def _region(bucket: Bucket, request: Json) -> Json:
    return {"BucketRegion": bucket.region} if request else {}  # S3 tells it where a request says anything at all


def location(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    return {} if bucket.region == _HOME else {"LocationConstraint": bucket.region}
