"""CopyObject: the copy shares the file of its source."""

from __future__ import annotations

from urllib.parse import unquote

import msgspec

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.gateway.service import Call, Output, Service
from dryport.s3 import checksums, conditions
from dryport.s3.api.common import (
    WRITE_UNSUPPORTED,
    Json,
    bucket_of,
    check_storage_class,
    checksum_members,
    described,
    object_of,
    quoted,
)
from dryport.s3.api.objects import check_key
from dryport.s3.model import OBJECTS, Object, object_key


def register(service: Service) -> None:
    """Add the operation of this module."""
    service.operation(
        "CopyObject",
        unsupported=(
            *WRITE_UNSUPPORTED,
            "CopySourceSSECustomerAlgorithm",
            "CopySourceSSECustomerKey",
            "CopySourceSSECustomerKeyMD5",
            "TaggingDirective",
            "AnnotationDirective",
        ),
    )(copy)


def source_of(call: Call, request: Json) -> Object:
    """The object that ``CopySource`` names. Raises ServiceError where there is none or its conditions do not hold."""
    text, _, version = request["CopySource"].partition("?versionId=")
    if version:
        raise unsupported_parameter("s3", call.operation, "CopySource with a versionId")
    name, _, key = unquote(text).removeprefix("/").partition("/")
    named: Json = {"Bucket": name}
    if "ExpectedSourceBucketOwner" in request:
        named["ExpectedBucketOwner"] = request["ExpectedSourceBucketOwner"]
    reader = call.store.reader
    item = object_of(reader, bucket_of(reader, call, named).name, key)
    conditions.check_read(request, item, "CopySource")
    return item


def copy(call: Call, request: Json) -> Output:
    bucket, key = bucket_of(call.tx, call, request), request["Key"]
    check_storage_class(call, request)
    source = source_of(call, request)
    replace = request.get("MetadataDirective", "COPY") == "REPLACE"
    if not replace and (source.bucket, source.key) == (bucket.name, key):
        raise ServiceError(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes.",
            400,
        )
    algorithm = request.get("ChecksumAlgorithm", source.checksum.algorithm)
    if algorithm not in checksums.ALGORITHMS or algorithm != source.checksum.algorithm:
        raise unsupported_parameter("s3", call.operation, f"ChecksumAlgorithm {algorithm}, other than the source's")
    conditions.check_write(request, call.tx.get(OBJECTS, object_key(bucket.name, key)))
    about = described(request) if replace else {}
    item = msgspec.structs.replace(source, bucket=bucket.name, key=key, modified_at=call.now, **about)
    check_key(key, item.metadata)
    call.tx.put(OBJECTS, item)
    return {
        "CopyObjectResult": {
            "ETag": quoted(item.etag),
            "LastModified": item.modified_at,
            **checksum_members(item.checksum),
        }
    }
