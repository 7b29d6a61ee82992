"""The default encryption of a bucket. Every object is encrypted with keys of S3's own (AES256); KMS is not there."""

from __future__ import annotations

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.gateway.service import Call, Output, Service
from dryport.s3.api.common import Json, bucket_of
from dryport.s3.enciphering import ALGORITHM

_RULES = "ServerSideEncryptionConfiguration.Rules"


def register(service: Service) -> None:
    """Add the operations of this module."""
    unsupported = (f"{_RULES}.ApplyServerSideEncryptionByDefault.KMSMasterKeyID", f"{_RULES}.BlockedEncryptionTypes")
    service.operation("PutBucketEncryption", unsupported=unsupported)(put)
    service.operation("GetBucketEncryption")(get)
    service.operation("DeleteBucketEncryption")(delete)


def put(call: Call, request: Json) -> Output:
    bucket_of(call.tx, call, request)
    rules = request["ServerSideEncryptionConfiguration"]["Rules"]
    if len(rules) != 1 or "ApplyServerSideEncryptionByDefault" not in rules[0]:
        message = "The XML you provided was not well-formed or did not validate against our published schema"
        raise ServiceError("MalformedXML", message, 400)
    asked = rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]
    if asked != ALGORITHM:
        raise unsupported_parameter("s3", call.operation, f"SSEAlgorithm {asked}")
    if rules[0].get("BucketKeyEnabled"):  # for keys of KMS alone
        raise unsupported_parameter("s3", call.operation, "BucketKeyEnabled")
    return {}


def get(call: Call, request: Json) -> Output:
    bucket_of(call.tx, call, request)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": ALGORITHM}, "BucketKeyEnabled": False}
    return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}


def delete(call: Call, request: Json) -> Output:
    """The default of all buckets is what there is; it has no other to give up."""
    bucket_of(call.tx, call, request)
    return None
