"""The lifecycle configuration of a bucket; ``expiry`` does what it says."""

from __future__ import annotations

import msgspec

from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import uuid4
from dryport.gateway.service import Call, Output, Service
from dryport.s3 import lifecycle
from dryport.s3.api.common import Json, bucket_of
from dryport.s3.model import BUCKETS

_TRANSITIONS = ("Transitions", "NoncurrentVersionTransitions")


def register(service: Service) -> None:
    """Add the operations of this module."""
    unsupported = (f"LifecycleConfiguration.Rules.{name}" for name in _TRANSITIONS)
    service.operation(
        "PutBucketLifecycleConfiguration", unsupported=(*unsupported, "TransitionDefaultMinimumObjectSize")
    )(put)
    service.operation("GetBucketLifecycleConfiguration")(get)
    service.operation("DeleteBucketLifecycle")(delete)


def put(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    rules = (request.get("LifecycleConfiguration") or {}).get("Rules") or []
    lifecycle.check(rules)
    named = [{**rule, "ID": rule.get("ID") or uuid4(call.random)} for rule in rules]
    call.tx.put(BUCKETS, msgspec.structs.replace(bucket, lifecycle=named))
    return {}


def get(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    if not bucket.lifecycle:
        message = "The lifecycle configuration does not exist"
        raise ServiceError("NoSuchLifecycleConfiguration", message, 404, BucketName=bucket.name)
    return {"Rules": bucket.lifecycle}


def delete(call: Call, request: Json) -> Output:
    call.tx.put(BUCKETS, msgspec.structs.replace(bucket_of(call.tx, call, request), lifecycle=[]))
    return None
