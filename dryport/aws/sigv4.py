"""AWS Signature Version 4: signing requests, and checking signed ones. Pure.

Source: "AWS Signature Version 4 for API requests", IAM user guide; for S3's chunked bodies "Signature calculations for
the Authorization header: transferring payload in multiple chunks", S3 API reference.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from calendar import timegm
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from urllib.parse import quote, unquote_plus

import msgspec

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
MAX_PRESIGNED_SECONDS = 7 * 24 * 3600
_BLOCK = 64  # bytes, SHA-256's
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
_UNRESERVED = "-_.~"  # quote() leaves letters and digits alone too
_SPACES = re.compile(r"\s+")


class IncompleteSignature(ValueError):
    """The request's signature cannot be read: parts are missing or malformed. The text says which."""


class Signature(msgspec.Struct, frozen=True):
    """A signature as a request states it, not yet checked.

    ``time`` is the signing time as written (``20150830T123600Z``). ``expires`` is the life in seconds of a presigned
    URL, ``None`` for a signature in the header. ``version`` 2 is what ``sigv2`` reads.
    """

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    time: str
    token: str | None
    expires: int | None = None
    version: int = 4

    @property
    def scope(self) -> str:
        """The credential scope: date, region, service and terminator."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"

    @property
    def seconds(self) -> float:
        """The signing time in seconds since the epoch."""
        return parse_time(self.time)


def format_time(seconds: float) -> str:
    """Seconds since the epoch as ``20150830T123600Z``."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


@lru_cache(maxsize=64)
def parse_time(text: str) -> float:
    """``20150830T123600Z`` as seconds since the epoch. Raises IncompleteSignature for anything else."""
    try:
        return float(timegm(time.strptime(text, "%Y%m%dT%H%M%SZ")))
    except ValueError:
        raise IncompleteSignature(
            f"Date must be in ISO-8601 'basic format'. Got '{text}'. See http://en.wikipedia.org/wiki/ISO_8601"
        ) from None


def _scope(credential: str) -> list[str]:
    # An access key id holds no slash; counting from the right would accept one.
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request" or not all(parts):
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, "
            f"e.g. keyid/date/region/service/term, got '{credential}'"
        )
    return parts


def _authorization(value: str) -> tuple[list[str], tuple[str, ...], str]:
    fields: dict[str, str] = {}
    for part in value[len(ALGORITHM) :].split(","):
        name, equals, text = part.strip().partition("=")
        if not equals:
            raise IncompleteSignature(
                f"'{part.strip()}' not a valid key=value pair (missing equal-sign) in Authorization header"
            )
        fields[name] = text
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not fields.get(name)]
    if missing:
        raise IncompleteSignature(" ".join(f"Authorization header requires '{name}' parameter." for name in missing))
    return _scope(fields["Credential"]), tuple(fields["SignedHeaders"].split(";")), fields["Signature"]


# As every SDK writes it. A day's requests of a client differ in the signature alone.
_USUAL = re.compile(
    rf"{ALGORITHM} Credential=([^\s,=]{{1,256}}), ?SignedHeaders=([a-z0-9;:_-]{{1,512}}), ?Signature=([0-9a-f]{{64}})"
)


@lru_cache(maxsize=256)
def _usual(credential: str, signed_headers: str) -> tuple[list[str], tuple[str, ...]]:
    return _scope(credential), tuple(signed_headers.split(";"))


def from_header(authorization: str, date: str | None, token: str | None) -> Signature:
    """Read an ``Authorization`` header; ``date`` is ``X-Amz-Date``'s value, ``token`` ``X-Amz-Security-Token``'s.

    Raises IncompleteSignature.
    """
    if not authorization.startswith(ALGORITHM + " "):
        raise IncompleteSignature(f"Authorization header requires '{ALGORITHM}' algorithm.")
    usual = _USUAL.fullmatch(authorization)
    if usual is not None:
        scope, signed_headers = _usual(usual[1], usual[2])
        signature = usual[3]
    else:
        scope, signed_headers, signature = _authorization(authorization)
    if not date:
        raise IncompleteSignature(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    if "host" not in signed_headers and ":authority" not in signed_headers:
        raise IncompleteSignature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    return Signature(scope[0], scope[1], scope[2], scope[3], signed_headers, signature, date, token)


def from_query(parameters: Mapping[str, str]) -> Signature:
    """Read the parameters of a presigned URL. Raises IncompleteSignature."""
    wanted = ("X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature")
    missing = [name for name in wanted if not parameters.get(name)]
    if missing:
        raise IncompleteSignature(" ".join(f"AWS query-string parameters must include '{name}'." for name in missing))
    if parameters.get("X-Amz-Algorithm") != ALGORITHM:
        raise IncompleteSignature(f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    expires = parameters.get("X-Amz-Expires", "300")
    if not expires.isascii() or not expires.isdigit() or not 0 < int(expires[:9]) <= MAX_PRESIGNED_SECONDS:
        raise IncompleteSignature(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given "
            "X-Amz-Expires must be less than 604800 seconds"
        )
    scope = _scope(parameters["X-Amz-Credential"])
    return Signature(
        scope[0], scope[1], scope[2], scope[3],
        tuple(parameters["X-Amz-SignedHeaders"].split(";")),
        parameters["X-Amz-Signature"],
        parameters["X-Amz-Date"],
        parameters.get("X-Amz-Security-Token"),
        int(expires),
    )  # fmt: skip


def canonical_query(query: str) -> str:
    """A query string in canonical form, without the signature itself."""
    if not query:
        return ""
    pairs = []
    for part in query.split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        name = quote(unquote_plus(name), safe=_UNRESERVED)
        if name != "X-Amz-Signature":
            pairs.append(f"{name}={quote(unquote_plus(value), safe=_UNRESERVED)}")
    # By encoded name, then encoded value; "=" must not take part in the comparison.
    pairs.sort(key=lambda pair: pair.split("=", 1))
    return "&".join(pairs)


@lru_cache(maxsize=1024)
def canonical_path(path: str, service: str) -> str:
    """A percent-encoded path in canonical form: S3's as it came, other services' normalized and encoded once more."""
    if service in ("s3", "s3-outposts", "s3-object-lambda", "s3express"):
        return path or "/"
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment and segment != ".":
            kept.append(segment)
    normal = "/" + "/".join(kept)
    if kept and path.endswith("/"):
        normal += "/"
    return quote(normal, safe="/~")


def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key that a day's requests to a service in a region are signed with."""
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _headers(names: Iterable[str], header: Callable[[str], str | None]) -> str:
    """The canonical headers: values without spaces around them, and with single ones within."""
    text = "\n".join([f"{name}:{header(name) or ''}" for name in names])
    if "  " not in text and "\t" not in text and ": " not in text and " \n" not in text and text[-1:] != " ":
        return text
    return "\n".join([f"{name}:{_SPACES.sub(' ', (header(name) or '').strip())}" for name in names])


def calculate(
    signature: Signature,
    secret: str,
    method: str,
    path: str,
    query: str,
    header: Callable[[str], str | None],
    payload_hash: str,
) -> str:
    """The signature that the request should have: 64 hexadecimal digits.

    ``path`` is percent-encoded, ``query`` as it came; ``header`` gives a header's value by lower-case name.
    """
    names = signature.signed_headers
    canonical = "\n".join(
        (
            method,
            "/" if path == "/" else canonical_path(path, signature.service),
            canonical_query(query),
            _headers(names, header),
            "",
            ";".join(names),
            payload_hash,
        )
    )
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return _sign_text(signature, secret, f"{ALGORITHM}\n{signature.time}\n{signature.scope}\n{digest}")


def _sign_text(signature: Signature, secret: str, text: str) -> str:
    inner, outer = (each.copy() for each in _keyed(secret, signature.date, signature.region, signature.service))
    inner.update(text.encode())
    outer.update(inner.digest())
    return outer.hexdigest()


@lru_cache(maxsize=512)
def _keyed(secret: str, date: str, region: str, service: str) -> tuple[hashlib._Hash, hashlib._Hash]:
    """The two hashes of HMAC (RFC 2104 section 4), keyed: copies of them are a third of the price of a new one."""
    key = signing_key(secret, date, region, service).ljust(_BLOCK, b"\0")
    return hashlib.sha256(key.translate(_INNER)), hashlib.sha256(key.translate(_OUTER))


def matches(calculated: str, stated: str) -> bool:
    """Compare signatures in constant time."""
    return hmac.compare_digest(calculated.encode(), stated.encode("utf-8", "surrogateescape"))


class ChunkSigner:
    """The chain of signatures over a chunked body: every chunk's signature covers the one before it."""

    def __init__(self, signature: Signature, secret: str) -> None:
        self._signature = signature
        self._secret = secret
        self.previous = signature.signature

    def chunk(self, payload_hash: str) -> str:
        """The signature of the next chunk, whose SHA-256 is given; the empty chunk ends the body."""
        return self._next("PAYLOAD", f"{EMPTY_SHA256}\n{payload_hash}")

    def trailer(self, trailer_hash: str) -> str:
        """The signature of the trailing headers, whose canonical form has the given SHA-256."""
        return self._next("TRAILER", trailer_hash)

    def _next(self, kind: str, rest: str) -> str:
        text = f"{ALGORITHM}-{kind}\n{self._signature.time}\n{self._signature.scope}\n{self.previous}\n{rest}"
        self.previous = _sign_text(self._signature, self._secret, text)
        return self.previous


def sign(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    payload: bytes | str,
    *,
    access_key_id: str,
    secret: str,
    token: str | None,
    region: str,
    service: str,
    now: float,
) -> dict[str, str]:
    """The headers, in lower case, to add to a request so that it is signed.

    ``headers`` must hold ``host``; every one of them is signed. ``payload`` is the body, or what stands for its hash
    (``UNSIGNED-PAYLOAD``).
    """
    added = {"x-amz-date": format_time(now)}
    if token is not None:
        added["x-amz-security-token"] = token
    payload_hash = payload if isinstance(payload, str) else hashlib.sha256(payload).hexdigest()
    if service == "s3" or isinstance(payload, str):
        added["x-amz-content-sha256"] = payload_hash
    signed = {name.lower(): value for name, value in headers.items()} | added
    names = tuple(sorted(signed))
    stated = Signature(access_key_id, added["x-amz-date"][:8], region, service, names, "", added["x-amz-date"], token)
    value = calculate(stated, secret, method, path, query, signed.get, payload_hash)
    added["authorization"] = (
        f"{ALGORITHM} Credential={access_key_id}/{stated.scope}, SignedHeaders={';'.join(names)}, Signature={value}"
    )
    return added


def encode_query(pairs: Iterable[tuple[str, str]]) -> str:
    """A query string in canonical form from names and values."""
    return "&".join(sorted(f"{quote(n, safe=_UNRESERVED)}={quote(v, safe=_UNRESERVED)}" for n, v in pairs))


def presign(
    method: str,
    path: str,
    query: Iterable[tuple[str, str]],
    host: str,
    *,
    access_key_id: str,
    secret: str,
    token: str | None,
    region: str,
    service: str,
    now: float,
    expires: int,
) -> str:
    """The query string of a URL that is good for ``expires`` seconds from ``now``."""
    stamp = format_time(now)
    stated = Signature(access_key_id, stamp[:8], region, service, ("host",), "", stamp, token, expires)
    pairs = [*query, ("X-Amz-Algorithm", ALGORITHM), ("X-Amz-Credential", f"{access_key_id}/{stated.scope}"),
             ("X-Amz-Date", stamp), ("X-Amz-Expires", str(expires)), ("X-Amz-SignedHeaders", "host")]  # fmt: skip
    if token is not None:
        pairs.append(("X-Amz-Security-Token", token))
    text = encode_query(pairs)
    payload_hash = UNSIGNED_PAYLOAD if service == "s3" else EMPTY_SHA256
    value = calculate(stated, secret, method, path, text, {"host": host}.get, payload_hash)
    return f"{text}&X-Amz-Signature={value}"
