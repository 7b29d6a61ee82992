"""ListObjects and ListObjectsV2."""

from __future__ import annotations

import base64

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.s3 import listing
from dryport.s3.api.common import Json, bucket_of, owner, quoted, url_encoder
from dryport.s3.listing import Page
from dryport.s3.model import OBJECTS, Bucket, object_key

_MOST = 1000


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("ListObjectsV2", unsupported=("OptionalObjectAttributes",))(list_second)
    service.operation("ListObjects", unsupported=("OptionalObjectAttributes",))(list_first)


def list_second(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    after = request.get("StartAfter", "")
    if "ContinuationToken" in request:
        try:
            after = base64.urlsafe_b64decode(request["ContinuationToken"]).decode()
        except ValueError as error:
            raise ServiceError("InvalidArgument", "The continuation token provided is incorrect", 400) from error
    page = _page(call, bucket, request, after)
    answer = _answer(call, bucket, request, page, bool(request.get("FetchOwner", False)))
    answer["KeyCount"] = page.count
    spell = url_encoder(request)
    if "StartAfter" in request:
        answer["StartAfter"] = spell(request["StartAfter"])
    if "ContinuationToken" in request:
        answer["ContinuationToken"] = request["ContinuationToken"]
    if page.last is not None:
        answer["NextContinuationToken"] = base64.urlsafe_b64encode(page.last.encode()).decode()
    return answer


def list_first(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    page = _page(call, bucket, request, request.get("Marker", ""))
    answer = _answer(call, bucket, request, page, owned=True)
    spell = url_encoder(request)
    answer["Marker"] = spell(request.get("Marker", ""))
    if page.last is not None and request.get("Delimiter"):
        answer["NextMarker"] = spell(page.last)
    return answer


def _page(call: Call, bucket: Bucket, request: Json, after: str) -> Page:
    limit = request.get("MaxKeys", _MOST)
    if limit < 0:
        raise ServiceError("InvalidArgument", "Argument maxKeys must be an integer between 0 and 2147483647", 400)
    if limit == 0:
        return Page()
    start = len(bucket.name) + 1
    keys = (key[start:] for key in call.tx.keys(OBJECTS, "bucket", bucket.name))
    return listing.page(keys, request.get("Prefix", ""), request.get("Delimiter", ""), after, min(limit, _MOST))


def _answer(call: Call, bucket: Bucket, request: Json, page: Page, owned: bool) -> Json:
    spell = url_encoder(request)
    answer: Json = {
        "Name": bucket.name,
        "Prefix": spell(request.get("Prefix", "")),
        "MaxKeys": min(request.get("MaxKeys", _MOST), _MOST),
        "IsTruncated": page.last is not None,
    }
    if page.keys:
        answer["Contents"] = [_content(call, bucket, key, spell(key), owned) for key in page.keys]
    if page.prefixes:
        answer["CommonPrefixes"] = [{"Prefix": spell(prefix)} for prefix in page.prefixes]
    if "Delimiter" in request:
        answer["Delimiter"] = spell(request["Delimiter"])
    if "EncodingType" in request:
        answer["EncodingType"] = request["EncodingType"]
    return answer


def _content(call: Call, bucket: Bucket, key: str, spelled: str, owned: bool) -> Json:
    item = call.tx.get(OBJECTS, object_key(bucket.name, key))
    assert item is not None, "an index lists what is there"
    content: Json = {
        "Key": spelled,
        "LastModified": item.modified_at,
        "ETag": quoted(item.etag),
        "ChecksumAlgorithm": [item.checksum.algorithm],
        "ChecksumType": item.checksum.type,
        "Size": item.size,
        "StorageClass": "STANDARD",
    }
    if owned:
        content["Owner"] = owner(bucket.account)
    return content
