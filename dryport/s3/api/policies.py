"""Bucket policies, and what blocks public ones. Who may do what is decided before a handler, by ``iam.enforcement``."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.s3 import publicity
from dryport.s3.api.common import Json, bucket_of
from dryport.s3.model import BLOCKS, BUCKETS, Bucket

_MOST = 20 * 1024  # bytes


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("PutBucketPolicy", unsupported=("ConfirmRemoveSelfBucketAccess",))(put)
    service.operation("GetBucketPolicy")(get)
    service.operation("GetBucketPolicyStatus")(status)
    service.operation("DeleteBucketPolicy")(delete)
    service.operation("PutPublicAccessBlock")(put_block)
    service.operation("GetPublicAccessBlock")(get_block)
    service.operation("DeletePublicAccessBlock")(delete_block)


def put(call: Call, request: Json) -> Output:
    bucket, document = bucket_of(call.tx, call, request), request["Policy"]
    _check(bucket, document)
    if (bucket.public_access_block or {}).get("BlockPublicPolicy") and publicity.is_public(document):
        raise ServiceError(
            "AccessDenied",
            f'User: {call.principal.arn} is not authorized to perform: s3:PutBucketPolicy on resource: "{bucket.arn}" '
            "because public policies are blocked by the BlockPublicPolicy block public access setting.",
            403,
        )
    call.tx.put(BUCKETS, msgspec.structs.replace(bucket, policy=document))
    return None


def _check(bucket: Bucket, document: str) -> None:
    from dryport.iam import published  # with the engine: a megabyte

    if not document.startswith("{"):
        raise _malformed("Policies must be valid JSON and the first byte must be '{'")
    if len(document.encode()) > _MOST:
        raise ServiceError("PolicyTooLarge", f"Policy exceeds the maximum allowed document size of {_MOST} bytes", 400)
    problem = published.resource_policy_problem(document)
    if problem is not None:
        raise _malformed(problem)
    listed = json.loads(document)["Statement"]
    for body in listed if isinstance(listed, list) else [listed]:
        for action in _texts(body.get("Action", body.get("NotAction"))):
            if action != "*" and not action.lower().startswith("s3:"):
                raise _malformed("Policy has invalid action")
        for resource in _texts(body.get("Resource", body.get("NotResource"))):
            if resource != bucket.arn and not resource.startswith((f"{bucket.arn}/", f"{bucket.arn}*")):
                raise _malformed("Policy has invalid resource")


def _malformed(message: str) -> ServiceError:
    return ServiceError("MalformedPolicy", message, 400)


def _texts(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def _of(call: Call, request: Json) -> Bucket:
    bucket = bucket_of(call.tx, call, request)
    if not bucket.policy:
        raise ServiceError("NoSuchBucketPolicy", "The bucket policy does not exist", 404, BucketName=bucket.name)
    return bucket


def get(call: Call, request: Json) -> Output:
    return {"Policy": _of(call, request).policy}


def status(call: Call, request: Json) -> Output:
    return {"PolicyStatus": {"IsPublic": publicity.is_public(_of(call, request).policy)}}


def delete(call: Call, request: Json) -> Output:
    call.tx.put(BUCKETS, msgspec.structs.replace(bucket_of(call.tx, call, request), policy=""))
    return None


def put_block(call: Call, request: Json) -> Output:
    asked = request["PublicAccessBlockConfiguration"]
    block = {name: bool(asked.get(name, False)) for name in BLOCKS}
    call.tx.put(BUCKETS, msgspec.structs.replace(bucket_of(call.tx, call, request), public_access_block=block))
    return None


def get_block(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    if bucket.public_access_block is None:
        raise ServiceError(
            "NoSuchPublicAccessBlockConfiguration",
            "The public access block configuration was not found",
            404,
            BucketName=bucket.name,
        )
    return {"PublicAccessBlockConfiguration": dict(bucket.public_access_block)}


def delete_block(call: Call, request: Json) -> Output:
    call.tx.put(BUCKETS, msgspec.structs.replace(bucket_of(call.tx, call, request), public_access_block=None))
    return None
