"""Who calls: the signature of a request held against the credentials that the store knows."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

import msgspec

from dryport.aws import sigv2, sigv4
from dryport.aws.errors import ServiceError
from dryport.control.config import DEFAULT_REGION, Config
from dryport.gateway.rest_paths import virtual_bucket
from dryport.iam import credentials
from dryport.iam.model import Credential
from dryport.store import Reader

SKEW_SECONDS = 300.0
_REGION = re.compile(r"[a-z]{2}[a-z0-9-]{0,30}\Z")
_DEV_KEY = "test"

# The families of answers: the JSON and CBOR protocols, the query protocol, EC2's, S3's.
_Family = tuple[str, int, str | None]  # code, HTTP status, message where it replaces the problem's own
_ERRORS: dict[str, dict[str, _Family]] = {
    "json": {
        "missing": ("MissingAuthenticationTokenException", 400, "Missing Authentication Token"),
        "incomplete": ("IncompleteSignatureException", 400, None),
        "unknown": ("UnrecognizedClientException", 400, "The security token included in the request is invalid."),
        "mismatch": ("InvalidSignatureException", 400, None),
        "skewed": ("InvalidSignatureException", 400, None),
        "presigned": ("InvalidSignatureException", 400, None),
        "expired": ("ExpiredTokenException", 400, "The security token included in the request is expired"),
    },
    "query": {
        "missing": ("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
        "incomplete": ("IncompleteSignature", 400, None),
        "unknown": ("InvalidClientTokenId", 403, "The security token included in the request is invalid."),
        "mismatch": ("SignatureDoesNotMatch", 403, None),
        "skewed": ("SignatureDoesNotMatch", 403, None),
        "presigned": ("SignatureDoesNotMatch", 403, None),
        "expired": ("ExpiredToken", 403, "The security token included in the request is expired"),
    },
    "ec2": {
        "missing": ("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
        "incomplete": ("IncompleteSignature", 400, None),
        "unknown": ("AuthFailure", 401, "AWS was not able to validate the provided access credentials"),
        "mismatch": ("SignatureDoesNotMatch", 403, None),
        "skewed": ("RequestExpired", 400, "Request has expired."),
        "presigned": ("RequestExpired", 400, "Request has expired."),
        "expired": ("RequestExpired", 400, "Request has expired."),
    },
    "s3": {
        "missing": ("AccessDenied", 403, "Access Denied"),
        "incomplete": ("AuthorizationHeaderMalformed", 400, None),
        "unknown": ("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."),
        "mismatch": (
            "SignatureDoesNotMatch",
            403,
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
        ),
        "skewed": (
            "RequestTimeTooSkewed",
            403,
            "The difference between the request time and the current time is too large.",
        ),
        "presigned": ("AccessDenied", 403, "Request has expired"),
        "expired": ("ExpiredToken", 400, "The provided token has expired."),
    },
}
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


class Signed(msgspec.Struct, frozen=True):
    """What a signature covers besides the body."""

    method: str
    path: str  # percent-encoded, as it came
    query: str
    header: Callable[[str], str | None]
    source_ip: str
    headers: Mapping[str, str]


class Claim(msgspec.Struct, frozen=True):
    """A signature that was read, with the credential it claims; not yet checked."""

    signature: sigv4.Signature
    credential: Credential


class Problem(Exception):
    """Why a request is not believed: a key of the tables above, and the text where the table has none."""

    def __init__(self, kind: str, message: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message

    def error(self, family: str) -> ServiceError:
        """AWS's error for it."""
        code, status, message = _ERRORS[family][self.kind]
        return ServiceError(code, message or self.message, status)


def stated_signature(signed: Signed) -> sigv4.Signature | None:
    """The signature that a request states, or ``None``. Raises Problem."""
    authorization = signed.header("authorization")
    try:
        if authorization is not None:
            date = signed.header("x-amz-date") or signed.header("date")
            if authorization.startswith(sigv2.PREFIX):
                return sigv2.from_header(authorization, date, signed.header("x-amz-security-token"), DEFAULT_REGION)
            return sigv4.from_header(authorization, date, signed.header("x-amz-security-token"))
        if "X-Amz-Signature=" in signed.query or "X-Amz-Credential=" in signed.query:
            return sigv4.from_query(dict(parse_qsl(signed.query, keep_blank_values=True)))
        if sigv2.is_presigned(signed.query):
            return sigv2.from_query(dict(parse_qsl(signed.query, keep_blank_values=True)), DEFAULT_REGION)
    except sigv4.IncompleteSignature as error:
        raise Problem("incomplete", str(error)) from None
    return None


class Authenticator:
    """Finds credentials and checks signatures."""

    def __init__(self, config: Config) -> None:
        account = config.account
        self._dev = Credential(
            access_key_id=_DEV_KEY,
            secret_access_key=_DEV_KEY,
            account=account,
            principal_arn=f"arn:aws:iam::{account}:root",
            user_id=account,
        )
        self._dev_allowed = config.dev_credentials

    def claim(self, signature: sigv4.Signature, reader: Reader, source_ip: str, now: float) -> Claim:
        """The credential behind a signature. Raises Problem."""
        credential = credentials.find(reader, signature.access_key_id)
        if credential is None and self._dev_allowed and signature.access_key_id == _DEV_KEY and _is_loopback(source_ip):
            credential = self._dev
            signature_token = None  # whatever a development set-up sends along
        else:
            signature_token = signature.token
        if credential is None or credential.inactive or not _same(credential.session_token, signature_token):
            raise Problem("unknown")
        if credential.expires is not None and credential.expires <= now:
            raise Problem("expired")
        return Claim(signature, credential)

    def check(self, claim: Claim, signed: Signed, service: str, payload_hash: str, now: float) -> None:
        """Check time, scope and signature. Raises Problem."""
        signature = claim.signature
        _check_time(signature, now)
        if signature.date != signature.time[:8]:
            raise Problem(
                "mismatch",
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                f"'{signature.date}' != '{signature.time[:8]}', from '{signature.time}'.",
            )
        if signature.service != service:
            raise Problem("mismatch", f"Credential should be scoped to correct service: '{service}'. ")
        if not _REGION.match(signature.region):
            raise Problem("mismatch", "Credential should be scoped to a valid region. ")
        secret = claim.credential.secret_access_key
        if signature.version == 2:
            calculated = _calculate_v2(signature, secret, signed)
        else:
            calculated = sigv4.calculate(
                signature, secret, signed.method, signed.path, signed.query, signed.header, payload_hash
            )
        if not sigv4.matches(calculated, signature.signature):
            raise Problem("mismatch", _MISMATCH)


def _calculate_v2(signature: sigv4.Signature, secret: str, signed: Signed) -> str:
    named = {name: value for name, value in signed.headers.items() if name.startswith("x-amz-")}
    bucket = virtual_bucket(signed.header("host") or "")
    return sigv2.calculate(signature, secret, signed.method, signed.path, signed.query, signed.header, named, bucket)


def _same(expected: str | None, given: str | None) -> bool:
    if expected is None or given is None:
        return expected == given
    return sigv4.matches(expected, given)


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def _check_time(signature: sigv4.Signature, now: float) -> None:
    try:
        seconds = signature.seconds
    except sigv4.IncompleteSignature as error:
        raise Problem("incomplete", str(error)) from None
    stamp = sigv4.format_time
    if signature.version == 2 and signature.expires is not None:
        if seconds < now:
            raise Problem("presigned")
        return
    if seconds > now + SKEW_SECONDS:
        raise Problem(
            "skewed",
            f"Signature not yet current: {signature.time} is still later than {stamp(now + SKEW_SECONDS)} "
            f"({stamp(now)} + 5 min.)",
        )
    if signature.expires is not None:
        if seconds + signature.expires < now:
            raise Problem(
                "presigned",
                f"Signature expired: {signature.time} is now earlier than {stamp(now - signature.expires)} "
                f"({stamp(now)} - {signature.expires} sec.)",
            )
    elif seconds < now - SKEW_SECONDS:
        raise Problem(
            "skewed",
            f"Signature expired: {signature.time} is now earlier than {stamp(now - SKEW_SECONDS)} "
            f"({stamp(now)} - 5 min.)",
        )
