"""What the operations share: finding buckets and objects, refusals, members that come back as they were given."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from dryport.aws import arn as arns
from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.gateway.service import Call
from dryport.s3 import enciphering, tags, versions
from dryport.s3.checksums import UNSUPPORTED as OTHER_CHECKSUMS
from dryport.s3.model import BUCKETS, OBJECTS, PARTS, UPLOADS, Bucket, Checksum, Object, Part, Upload, object_key
from dryport.store import Reader, Transaction

Json = dict[str, Any]
_VERSION = re.compile(r"[A-Za-z0-9._]{32}", re.ASCII)
HEADERS = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "WebsiteRedirectLocation",
)
GRANTS = ("ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")
_CUSTOMER_KEYS = ("SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5")
_LOCKS = (
    "ObjectLockMode",
    "ObjectLockRetainUntilDate",
    "ObjectLockLegalHoldStatus",
    "ObjectLockEventHold",
    "ObjectLockEventHoldDurationDays",
    "ObjectLockEventHoldDurationYears",
)
# What no operation acts on yet: encryption with keys of others, locks.
WRITE_UNSUPPORTED = (
    *_CUSTOMER_KEYS, "SSEKMSKeyId", "SSEKMSEncryptionContext", "BucketKeyEnabled", *_LOCKS,
)  # fmt: skip
READ_UNSUPPORTED = _CUSTOMER_KEYS
BODY_UNSUPPORTED = (*_CUSTOMER_KEYS, *OTHER_CHECKSUMS)


ENFORCED = "BucketOwnerEnforced"  # what every bucket's objects are
_ALLOWED_ACL = "bucket-owner-full-control"


def no_acls() -> ServiceError:
    """What a request that sets an ACL is told."""
    return ServiceError("AccessControlListNotSupported", "The bucket does not allow ACLs", 400)


def check_acl(request: Mapping[str, Any]) -> None:
    """Raise ServiceError for an ACL other than the one that all objects have."""
    if request.get("ACL", _ALLOWED_ACL) != _ALLOWED_ACL or any(name in request for name in GRANTS[1:]):
        raise no_acls()


def version_of(request: Mapping[str, Any]) -> str | None:
    """The version that a request names."""
    return request.get("VersionId")


def denied() -> ServiceError:
    """What a caller who may not do this is told."""
    return ServiceError("AccessDenied", "Access Denied", 403)


def no_such_key(key: str) -> ServiceError:
    """What an object that isn't there answers."""
    return ServiceError("NoSuchKey", "The specified key does not exist.", 404, Key=key)


def bucket_of(reader: Reader, call: Call, request: Mapping[str, Any]) -> Bucket:
    """The bucket of a request. Raises ServiceError where there is none.

    Who is of another account, or nobody, comes so far only if the bucket's policy lets him (``iam.enforcement``).
    """
    found = reader.get(BUCKETS, request["Bucket"])
    if found is None:
        raise ServiceError("NoSuchBucket", "The specified bucket does not exist", 404, BucketName=request["Bucket"])
    if arns.partition_of(call.region) != arns.partition_of(found.region):
        raise denied()  # signed for another partition, whose ARNs no policy of this bucket means
    foreign = not call.principal.arn or found.account != call.account
    if (foreign and not found.policy) or request.get("ExpectedBucketOwner", found.account) != found.account:
        raise denied()
    return found


def object_of(reader: Reader, bucket: str, key: str, version: str | None = None, method: str = "GET") -> Object:
    """The object of a key, or a version of it. Raises ServiceError where there is none."""
    if version is None:
        found = reader.get(OBJECTS, object_key(bucket, key))
        if found is None:
            refused = no_such_key(key)
            if (marker := versions.latest_marker(reader, bucket, key)) is not None:
                refused.headers = _marked(marker)
            raise refused
        return found
    check_version(version)
    found = versions.find(reader, bucket, key, version)
    if found is None:
        raise ServiceError("NoSuchVersion", "The specified version does not exist.", 404, Key=key, VersionId=version)
    if found.marker:
        refused = ServiceError(
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
            405,
            Method=method,
            ResourceType="DeleteMarker",
        )
        changed = formatdate(found.modified_at, usegmt=True)
        refused.headers = (*_marked(found), ("Allow", "DELETE"), ("Last-Modified", changed))
        raise refused
    return found


def check_version(version: str) -> None:
    """Raise ServiceError for what cannot be a version's id."""
    if not version:
        raise ServiceError("InvalidArgument", "Version id cannot be the empty string", 400)
    if version != versions.NULL and not _VERSION.fullmatch(version):
        raise ServiceError(
            "InvalidArgument",
            "Invalid version id specified",
            400,
            ArgumentName="versionId",
            ArgumentValue=version,
        )


def _marked(marker: Object) -> tuple[tuple[str, str], ...]:
    return ("x-amz-delete-marker", "true"), ("x-amz-version-id", versions.named(marker))


def version_member(bucket: Bucket, item: Object) -> Json:
    """The version that was written, where the bucket keeps versions."""
    return {"VersionId": item.version} if item.version and bucket.versioning else {}


def upload_of(reader: Reader, call: Call, request: Mapping[str, Any]) -> Upload:
    """The upload of a request. Raises ServiceError where there is none."""
    bucket = bucket_of(reader, call, request)
    found = reader.get(UPLOADS, request["UploadId"])
    if found is None or (found.bucket, found.key) != (bucket.name, request["Key"]):
        raise ServiceError(
            "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
            "completed.",
            404,
            UploadId=request["UploadId"],
        )
    return found


def parts_of(reader: Reader, upload: Upload) -> list[Part]:
    """The parts of an upload, by their numbers."""
    return sorted(reader.find(PARTS, "upload", upload.id), key=lambda part: part.number)


def forget_upload(tx: Transaction, upload: Upload) -> None:
    """End an upload; its parts' files are the sweeper's."""
    for key in tx.keys(PARTS, "upload", upload.id):
        tx.delete(PARTS, key)
    tx.delete(UPLOADS, upload.id)


def owner(account: str) -> Json:
    """An account as S3 names it, by a canonical id of 64 hexadecimal digits."""
    return {"ID": hashlib.sha256(account.encode()).hexdigest()}


def check_storage_class(call: Call, request: Mapping[str, Any]) -> None:
    """Raise ServiceError for a storage class other than STANDARD."""
    if request.get("StorageClass", "STANDARD") != "STANDARD":
        raise unsupported_parameter("s3", call.operation, f"StorageClass {request['StorageClass']}")


def check_encryption(call: Call, request: Mapping[str, Any]) -> None:
    """Raise ServiceError for an encryption other than the one that every object has."""
    asked = request.get("ServerSideEncryption", enciphering.ALGORITHM)
    if asked != enciphering.ALGORITHM:
        raise unsupported_parameter("s3", call.operation, f"ServerSideEncryption {asked}")


def encryption_member(file: str) -> Json:
    """How an object, whose bytes are in a file, is encrypted."""
    algorithm = enciphering.algorithm(file)
    return {"ServerSideEncryption": algorithm} if algorithm else {}


def described(request: Mapping[str, Any]) -> Json:
    """What a request says of an object, as members of ``model.Object``. Raises ServiceError."""
    check_acl(request)
    return {
        "tags": tags.of_header(request.get("Tagging", "")),
        "headers": {name: request[name] for name in HEADERS if name in request},
        "expires": request.get("Expires"),
        "metadata": dict(request.get("Metadata", {})),
    }


def quoted(etag: str) -> str:
    """An entity tag as headers hold it."""
    return f'"{etag}"'


def checksum_members(checksum: Checksum) -> Json:
    """A checksum as members of an answer."""
    return {f"Checksum{checksum.algorithm}": checksum.value, "ChecksumType": checksum.type}


def url_encoder(request: Mapping[str, Any]) -> Any:
    """How an answer spells keys: as they are, or with ``EncodingType`` as in URLs."""
    return (lambda text: quote(text, safe="/*-._~")) if "EncodingType" in request else str
