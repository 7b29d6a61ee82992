"""Whose objects are: the bucket's owner's, always. So there are no ACLs but the one that says so.

Source: "Controlling ownership of objects and disabling ACLs for your bucket", S3 user guide.
"""

from __future__ import annotations

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.gateway.service import Call, Output, Service
from dryport.s3.api.common import ENFORCED, Json, bucket_of, no_acls, object_of, owner, version_of
from dryport.s3.model import Bucket


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("GetBucketOwnershipControls")(get)
    service.operation("PutBucketOwnershipControls")(put)
    service.operation("GetBucketAcl")(bucket_acl)
    service.operation("GetObjectAcl")(object_acl)
    service.operation("PutBucketAcl")(put_bucket_acl)
    service.operation("PutObjectAcl")(put_object_acl)


def get(call: Call, request: Json) -> Output:
    bucket_of(call.tx, call, request)
    return {"OwnershipControls": {"Rules": [{"ObjectOwnership": ENFORCED}]}}


def put(call: Call, request: Json) -> Output:
    bucket_of(call.tx, call, request)
    asked = [rule["ObjectOwnership"] for rule in request["OwnershipControls"]["Rules"]]
    if len(asked) != 1:
        message = "The XML you provided was not well-formed or did not validate against our published schema"
        raise ServiceError("MalformedXML", message, 400)
    if asked[0] != ENFORCED:
        raise unsupported_parameter("s3", call.operation, f"ObjectOwnership {asked[0]}")
    return None


def bucket_acl(call: Call, request: Json) -> Output:
    return _full_control(bucket_of(call.tx, call, request))


def object_acl(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    object_of(call.tx, bucket.name, request["Key"], version_of(request))
    return _full_control(bucket)


def _full_control(bucket: Bucket) -> Json:
    who = owner(bucket.account)
    return {"Owner": who, "Grants": [{"Grantee": {**who, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]}


def put_bucket_acl(call: Call, request: Json) -> Output:
    bucket_of(call.tx, call, request)
    raise no_acls()


def put_object_acl(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    object_of(call.tx, bucket.name, request["Key"], version_of(request))
    raise no_acls()
