"""CopyObject: the copy shares the file of its source."""

from __future__ import annotations

from urllib.parse import unquote

import msgspec

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.gateway.service import Call, Output, Service
from dryport.s3 import checksums, conditions, versions
from dryport.s3.api.common import (
    WRITE_UNSUPPORTED,
    Json,
    bucket_of,
    check_encryption,
    check_storage_class,
    checksum_members,
    described,
    encryption_member,
    object_of,
    quoted,
    version_member,
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
            "AnnotationDirective",
        ),
    )(copy)


def source_of(call: Call, request: Json) -> tuple[Object, Json]:
    """The object, or version, that ``CopySource`` names, and how the answer names its version.

    Raises ServiceError where there is none or its conditions do not hold.
    """
    text, mark, version = request["CopySource"].partition("?versionId=")
    name, _, key = unquote(text).removeprefix("/").partition("/")
    named: Json = {"Bucket": name}
    if "ExpectedSourceBucketOwner" in request:
        named["ExpectedBucketOwner"] = request["ExpectedSourceBucketOwner"]
    reader = call.store.reader
    bucket = bucket_of(reader, call, named)
    item = object_of(reader, bucket.name, key, unquote(version) if mark else None)
    conditions.check_read(request, item, "CopySource")
    return item, {"CopySourceVersionId": versions.named(item)} if bucket.versioning else {}


def copy(call: Call, request: Json) -> Output:
    bucket, key = bucket_of(call.tx, call, request), request["Key"]
    check_storage_class(call, request)
    check_encryption(call, request)
    source, copied = source_of(call, request)
    older = "?versionId=" in request["CopySource"]
    replace = request.get("MetadataDirective", "COPY") == "REPLACE"
    changes = replace or older or "ServerSideEncryption" in request
    if not changes and (source.bucket, source.key) == (bucket.name, key):
        raise ServiceError(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes.",
            400,
        )
    if "ServerSideEncryption" in request and not encryption_member(source.file):
        what = "ServerSideEncryption of a copy, whose source an older Dryport has written in the clear"
        raise unsupported_parameter("s3", call.operation, what)
    algorithm = request.get("ChecksumAlgorithm", source.checksum.algorithm)
    if algorithm not in checksums.ALGORITHMS or algorithm != source.checksum.algorithm:
        raise unsupported_parameter("s3", call.operation, f"ChecksumAlgorithm {algorithm}, other than the source's")
    conditions.check_write(request, call.tx.get(OBJECTS, object_key(bucket.name, key)))
    about = described(request)
    if request.get("TaggingDirective", "COPY") == "COPY":
        about["tags"] = source.tags
    if not replace:
        about = {"tags": about["tags"]}
    item = msgspec.structs.replace(source, bucket=bucket.name, key=key, modified_at=call.now, **about)
    check_key(key, item.metadata)
    item = versions.put(call.tx, call.random, bucket, item)
    return {
        **copied,
        **version_member(bucket, item),
        **encryption_member(item.file),
        "CopyObjectResult": {
            "ETag": quoted(item.etag),
            "LastModified": item.modified_at,
            **checksum_members(item.checksum),
        },
    }
