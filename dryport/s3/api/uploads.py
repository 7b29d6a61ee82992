"""Multipart uploads."""

from __future__ import annotations

import re

from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import hexadecimal
from dryport.gateway.service import Call, Output, Service
from dryport.s3 import assembly, checksums, conditions, versions
from dryport.s3.api.common import (
    BODY_UNSUPPORTED,
    WRITE_UNSUPPORTED,
    Json,
    bucket_of,
    check_encryption,
    check_storage_class,
    checksum_members,
    described,
    encryption_member,
    forget_upload,
    owner,
    parts_of,
    quoted,
    upload_of,
    url_encoder,
    version_member,
)
from dryport.s3.api.copying import source_of
from dryport.s3.api.objects import check_key, reads_its_body, receive
from dryport.s3.disk import Disk, Written
from dryport.s3.enciphering import ALGORITHM
from dryport.s3.model import OBJECTS, PARTS, UPLOADS, Checksum, Object, Part, Upload, object_key
from dryport.store import Transaction

_PAGE = 1000
_MOST_PARTS = 10_000
_RANGE = re.compile(r"bytes=(\d+)-(\d+)", re.ASCII)


def register(service: Service, disk: Disk) -> None:
    """Add the operations of this module."""
    handlers = _Uploads(disk)
    service.operation("CreateMultipartUpload", unsupported=WRITE_UNSUPPORTED)(create)
    service.operation("UploadPart", unsupported=BODY_UNSUPPORTED)(reads_its_body(handlers.upload))
    copied = ("SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5")
    service.operation("UploadPartCopy", unsupported=(*copied, *(f"CopySource{name}" for name in copied)))(
        handlers.upload_copy
    )
    of_parts = (f"MultipartUpload.Parts.{name}" for name in checksums.UNSUPPORTED)
    service.operation("CompleteMultipartUpload", unsupported=(*BODY_UNSUPPORTED, *of_parts))(handlers.complete)
    service.operation("AbortMultipartUpload", unsupported=("IfMatchInitiatedTime",))(abort)
    service.operation("ListParts", unsupported=copied)(list_parts)
    service.operation("ListMultipartUploads", unsupported=("Delimiter",))(list_uploads)


def create(call: Call, request: Json) -> Output:
    bucket, key = bucket_of(call.tx, call, request), request["Key"]
    check_storage_class(call, request)
    check_encryption(call, request)
    about = described(request)
    check_key(key, about["metadata"])
    algorithm = request.get("ChecksumAlgorithm")
    if algorithm is not None and algorithm not in checksums.ALGORITHMS:
        raise ServiceError("InvalidRequest", f"Dryport does not compute {algorithm} checksums.", 400)
    upload = Upload(
        id=hexadecimal(call.random, 64),
        bucket=bucket.name,
        key=key,
        initiated_at=call.now,
        algorithm=algorithm,
        checksum_type=assembly.checksum_type(algorithm, request.get("ChecksumType")) if algorithm else None,
        **about,
    )
    call.tx.put(UPLOADS, upload)
    answer: Json = {"Bucket": bucket.name, "Key": key, "UploadId": upload.id, "ServerSideEncryption": ALGORITHM}
    if upload.algorithm:
        answer |= {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.checksum_type}
    return answer


class _Uploads:
    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def upload(self, call: Call, request: Json) -> Output:
        upload = upload_of(call.store.reader, call, request)
        number = _number(request)
        written, checksum = await receive(self._disk, call, request, upload.algorithm or checksums.DEFAULT)
        if upload.algorithm not in (None, checksum.algorithm):
            raise ServiceError(
                "InvalidRequest",
                f"Checksum Type mismatch occurred, expected checksum Type: {str(upload.algorithm).lower()}, "
                f"actual checksum Type: {checksum.algorithm.lower()}",
                400,
            )
        part = _part(call, upload, number, written, checksum)
        await self._keep(call, request, part)
        return {
            "ETag": quoted(part.etag),
            f"Checksum{checksum.algorithm}": checksum.value,
            **encryption_member(part.file),
        }

    async def upload_copy(self, call: Call, request: Json) -> Output:
        upload = upload_of(call.store.reader, call, request)
        number, (source, copied) = _number(request), source_of(call, request)
        start, end = 0, source.size
        if "CopySourceRange" in request:
            match = _RANGE.fullmatch(request["CopySourceRange"])
            if match is None or not int(match[1]) <= int(match[2]) < source.size:
                raise ServiceError(
                    "InvalidArgument", "The x-amz-copy-source-range value must be of the form bytes=first-last", 400
                )
            start, end = int(match[1]), int(match[2]) + 1
        algorithm = upload.algorithm or checksums.DEFAULT
        written = await self._disk.write(self._disk.read(source.file, start, end), algorithm)
        checksum = Checksum(algorithm=algorithm, value=checksums.encoded(written.checksum))
        part = _part(call, upload, number, written, checksum)
        await self._keep(call, request, part)
        result = {"ETag": quoted(part.etag), "LastModified": part.modified_at, f"Checksum{algorithm}": checksum.value}
        return {**copied, **encryption_member(part.file), "CopyPartResult": result}

    async def _keep(self, call: Call, request: Json, part: Part) -> None:
        def store(tx: Transaction) -> None:
            upload_of(tx, call, request)  # it may have ended meanwhile
            tx.put(PARTS, part)

        await call.store.transact(store)

    async def complete(self, call: Call, request: Json) -> Output:
        reader = call.store.reader
        upload = upload_of(reader, call, request)
        listed = (request.get("MultipartUpload") or {}).get("Parts", [])
        parts = assembly.chosen(listed, {part.number: part for part in parts_of(reader, upload)})
        size = sum(part.size for part in parts)
        if request.get("MpuObjectSize", size) != size:
            raise ServiceError("InvalidRequest", "The provided 'x-amz-mp-object-size' header value did not match.", 400)
        algorithm = upload.algorithm or checksums.DEFAULT
        kind = upload.checksum_type or "FULL_OBJECT"
        written = await self._disk.write(self._disk.joined(part.file for part in parts), algorithm)
        checksum = (
            Checksum(algorithm=algorithm, value=checksums.encoded(written.checksum))
            if kind == "FULL_OBJECT"
            else assembly.composite(algorithm, parts)
        )
        given = checksums.given(request) if kind == "FULL_OBJECT" else None
        if given is not None and given != (algorithm, checksum.value):
            raise checksums.mismatch(given[0])
        item = Object(
            bucket=upload.bucket,
            key=upload.key,
            file=written.file,
            size=written.size,
            etag=assembly.etag(parts),
            modified_at=call.now,
            headers=upload.headers,
            expires=upload.expires,
            metadata=upload.metadata,
            tags=upload.tags,
            checksum=checksum,
            parts=[part.size for part in parts],
        )

        def store(tx: Transaction) -> Json:
            forget_upload(tx, upload_of(tx, call, request))
            conditions.check_write(request, tx.get(OBJECTS, object_key(item.bucket, item.key)))
            bucket = bucket_of(tx, call, request)
            return version_member(bucket, versions.put(tx, call.random, bucket, item))

        version = await call.store.transact(store)
        return {
            **version,
            **encryption_member(item.file),
            "Location": f"http://{call.host}/{item.bucket}/{item.key}",
            "Bucket": item.bucket,
            "Key": item.key,
            "ETag": quoted(item.etag),
            **checksum_members(checksum),
        }


def _part(call: Call, upload: Upload, number: int, written: Written, checksum: Checksum) -> Part:
    return Part(
        upload=upload.id,
        number=number,
        file=written.file,
        size=written.size,
        etag=written.md5.hex(),
        modified_at=call.now,
        checksum=checksum,
    )


def _number(request: Json) -> int:
    number: int = request["PartNumber"]
    if not 1 <= number <= _MOST_PARTS:
        raise ServiceError("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive", 400)
    return number


def abort(call: Call, request: Json) -> Output:
    forget_upload(call.tx, upload_of(call.tx, call, request))
    return {}


def list_parts(call: Call, request: Json) -> Output:
    upload, account = upload_of(call.tx, call, request), bucket_of(call.tx, call, request).account
    after, limit = request.get("PartNumberMarker", 0), min(request.get("MaxParts", _PAGE), _PAGE)
    found = [part for part in parts_of(call.tx, upload) if part.number > after]
    kept = found[:limit]
    answer: Json = {
        "Bucket": upload.bucket,
        "Key": upload.key,
        "UploadId": upload.id,
        "PartNumberMarker": after,
        "MaxParts": limit,
        "IsTruncated": len(found) > limit,
        "Parts": [
            {
                "PartNumber": part.number,
                "LastModified": part.modified_at,
                "ETag": quoted(part.etag),
                "Size": part.size,
                f"Checksum{part.checksum.algorithm}": part.checksum.value,
            }
            for part in kept
        ],
        "Owner": owner(account),
        "Initiator": owner(account),
        "StorageClass": "STANDARD",
    }
    if kept:
        answer["NextPartNumberMarker"] = kept[-1].number
    if upload.algorithm:
        answer |= {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.checksum_type}
    return answer


def list_uploads(call: Call, request: Json) -> Output:
    bucket = bucket_of(call.tx, call, request)
    prefix, limit = request.get("Prefix", ""), min(request.get("MaxUploads", _PAGE), _PAGE)
    after = (request.get("KeyMarker", ""), request.get("UploadIdMarker", "\U0010ffff"))
    found = [
        upload
        for upload in call.tx.find(UPLOADS, "bucket", bucket.name)
        if upload.key.startswith(prefix) and (upload.key, upload.id) > after
    ]
    found.sort(key=lambda upload: (upload.key, upload.id))
    kept = found[:limit]
    spell = url_encoder(request)
    answer: Json = {
        "Bucket": bucket.name,
        "KeyMarker": spell(request.get("KeyMarker", "")),
        "UploadIdMarker": request.get("UploadIdMarker", ""),
        "Prefix": spell(prefix),
        "MaxUploads": limit,
        "IsTruncated": len(found) > limit,
        "Uploads": [
            {
                "UploadId": upload.id,
                "Key": spell(upload.key),
                "Initiated": upload.initiated_at,
                "StorageClass": "STANDARD",
                "Owner": owner(bucket.account),
                "Initiator": owner(bucket.account),
            }
            for upload in kept
        ],
    }
    if len(found) > limit:
        answer |= {"NextKeyMarker": spell(kept[-1].key), "NextUploadIdMarker": kept[-1].id}
    if "EncodingType" in request:
        answer["EncodingType"] = request["EncodingType"]
    return answer
