"""AWS Signature Version 2, as S3 still takes it: presigned URLs, and the ``Authorization: AWS …`` header. Pure.

boto3 signs URLs so wherever it is given an endpoint. Source: "Signing and authenticating REST requests (AWS signature
version 2)", S3 user guide (appendix).
"""

from __future__ import annotations

import base64
import hmac
from calendar import timegm
from collections.abc import Callable, Mapping
from email.utils import parsedate
from urllib.parse import unquote_plus

from dryport.aws.sigv4 import IncompleteSignature, Signature, format_time

PREFIX = "AWS "
_WANTED = ("AWSAccessKeyId", "Signature", "Expires")
# Parameters of the query that are part of what a request is about.
_SUBRESOURCES = frozenset(
    (
        "accelerate", "acl", "analytics", "attributes", "cors", "defaultObjectAcl", "delete",
        "intelligent-tiering", "inventory", "legal-hold", "lifecycle", "location", "logging", "metrics",
        "notification", "object-lock", "ownershipControls", "partNumber", "policy", "policyStatus",
        "publicAccessBlock", "encryption", "replication", "requestPayment", "restore", "retention", "select",
        "select-type", "storageClass", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning",
        "versions", "website", "response-cache-control", "response-content-disposition",
        "response-content-encoding", "response-content-language", "response-content-type", "response-expires",
    )
)  # fmt: skip
_PLAIN = ("content-md5", "content-type")


def is_presigned(query: str) -> bool:
    """Whether a query has this version's parameters."""
    return "AWSAccessKeyId=" in query and "Signature=" in query and "X-Amz-Signature=" not in query


def from_query(parameters: Mapping[str, str], region: str) -> Signature:
    """Read the parameters of a presigned URL; such a signature names no region. Raises IncompleteSignature."""
    if any(not parameters.get(name) for name in _WANTED):
        raise IncompleteSignature(
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
        )
    expires = parameters["Expires"]
    if not expires.isascii() or not expires.isdigit() or len(expires) > 12:
        raise IncompleteSignature(f"Invalid date (should be seconds since epoch): {expires}")
    token = parameters.get("x-amz-security-token")
    return _signature(parameters["AWSAccessKeyId"], region, parameters["Signature"], int(expires), token)


def from_header(authorization: str, date: str | None, token: str | None, region: str) -> Signature:
    """Read an ``Authorization`` header; ``date`` is the time as HTTP writes it. Raises IncompleteSignature."""
    access_key_id, colon, signature = authorization[len(PREFIX) :].strip().partition(":")
    parsed = parsedate(date) if date else None
    if not colon or not access_key_id or not signature:
        raise IncompleteSignature("AWS authorization header is invalid.  Expected AwsAccessKeyId:signature")
    if parsed is None:
        raise IncompleteSignature("AWS authentication requires a valid Date or x-amz-date header")
    return _signature(access_key_id, region, signature, timegm(parsed), token, expires=None)


def _signature(
    access_key_id: str, region: str, signature: str, seconds: int, token: str | None, expires: int | None = 0
) -> Signature:
    """As ``sigv4`` has signatures: a URL's ``time`` is when it ends, so that it lives no second longer."""
    stamp = format_time(seconds)
    return Signature(access_key_id, stamp[:8], region, "s3", (), signature, stamp, token, expires, version=2)


def calculate(
    signature: Signature, secret: str, method: str, path: str, query: str, header: Callable[[str], str | None],
    amz_headers: Mapping[str, str], bucket: str = "",
) -> str:  # fmt: skip
    """The signature that a request should have: Base64 of HMAC-SHA1.

    ``path`` and ``query`` are percent-encoded; ``amz_headers`` are the ``x-amz-`` headers by lower-case name.
    ``bucket`` is what the host names, for addresses of the virtual-hosted style.
    """
    pairs = [part.partition("=") for part in query.split("&") if part]
    given = {name.lower(): unquote_plus(value) for name, _, value in pairs}
    plain = [header(name) or given.get(name, "") for name in _PLAIN]
    if signature.expires is not None:
        plain.append(given.get("expires", ""))
        custom = {name: value for name, value in given.items() if name.startswith("x-amz-")} | dict(amz_headers)
    else:
        plain.append("" if "x-amz-date" in amz_headers else header("date") or "")
        custom = dict(amz_headers)
    resource = f"/{bucket}{path}" if bucket else path
    if resource.count("/") == 1 and len(resource) > 1:
        resource += "/"  # a bucket's own
    named = sorted((unquote_plus(n), n, eq, value) for n, eq, value in pairs if unquote_plus(n) in _SUBRESOURCES)
    if named:
        resource += "?" + "&".join(f"{n}{eq}{unquote_plus(value)}" for n, _, eq, value in named)
    lines = [method, *plain, *(f"{name}:{custom[name].strip()}" for name in sorted(custom)), resource]
    digest = hmac.digest(secret.encode(), "\n".join(lines).encode("utf-8", "surrogateescape"), "sha1")
    return base64.b64encode(digest).decode()
