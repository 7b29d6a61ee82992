"""Signatures, against botocore's own signer and AWS's published example."""

from __future__ import annotations

import hashlib
import string
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from dryport.aws import sigv4
from dryport.control.config import Config
from dryport.gateway.auth import Authenticator, Problem, Signed, stated_signature
from dryport.iam.model import Credential

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
CREDENTIAL = Credential(
    access_key_id="AKIDEXAMPLE",
    secret_access_key=SECRET,
    account="000000000000",
    principal_arn="arn:aws:iam::000000000000:root",
    user_id="000000000000",
    session_token=None,
)
texts = st.text(string.printable + "äß漢", max_size=12)


def botocore_signed(method: str, url: str, body: bytes, service: str, token: str | None = None) -> AWSRequest:
    request = AWSRequest(
        method=method, url=url, data=body, headers={"Content-Type": "text/x;  a=b", "X-Amz-Meta": " a  b "}
    )
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(Credentials("AKIDEXAMPLE", SECRET, token), service, "eu-west-3").add_auth(request)
    if "Host" not in request.headers:
        request.headers["Host"] = urlsplit(url).netloc
    return request


def recalculated(request: AWSRequest, service: str) -> tuple[str, str]:
    assert request.method is not None and request.url is not None
    parts = urlsplit(request.url)
    headers = {name.lower(): value for name, value in request.headers.items()}
    stated = sigv4.from_header(headers["authorization"], headers["x-amz-date"], headers.get("x-amz-security-token"))
    payload_hash = headers.get("x-amz-content-sha256") or hashlib.sha256(request.data or b"").hexdigest()
    ours = sigv4.calculate(stated, SECRET, request.method, parts.path, parts.query, headers.get, payload_hash)
    return ours, stated.signature


@given(
    method=st.sampled_from(["GET", "POST", "PUT"]),
    segments=st.lists(texts, max_size=4),
    pairs=st.lists(st.tuples(texts, texts), max_size=4),
    body=st.binary(max_size=20),
    service=st.sampled_from(["ecs", "s3", "lambda"]),
    token=st.none() | st.just("tok/en+="),
)
@settings(deadline=None)
def test_agrees_with_botocore(
    method: str, segments: list[str], pairs: list[tuple[str, str]], body: bytes, service: str, token: str | None
) -> None:
    path = "/" + "/".join(quote(s, safe="-_.~") for s in segments)
    query = "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in pairs)
    request = botocore_signed(
        method, f"http://localhost:4566{path}{'?' + query if query else ''}", body, service, token
    )
    ours, theirs = recalculated(request, service)
    assert ours == theirs


def test_published_example() -> None:
    # "Create a signed AWS API request", IAM user guide: ListUsers on 2015-08-30.
    headers = {
        "host": "iam.amazonaws.com",
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
    }
    added = sigv4.sign(
        "GET", "/", "Action=ListUsers&Version=2010-05-08", headers, b"",
        access_key_id="AKIDEXAMPLE", secret="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        token=None, region="us-east-1", service="iam", now=1440938160.0,
    )  # fmt: skip
    assert added["authorization"].endswith(
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


@given(st.dictionaries(texts.filter(bool), texts, max_size=3))
def test_presigned_urls_agree_with_botocore(parameters: dict[str, str]) -> None:
    pairs, service = list(parameters.items()), "sts"
    request = AWSRequest(
        method="GET", url=f"http://localhost:4566/?{sigv4.encode_query(pairs)}", headers={"host": "localhost:4566"}
    )
    SigV4QueryAuth(Credentials("AKIDEXAMPLE", SECRET), service, "eu-west-3", expires=60).add_auth(request)
    assert request.url is not None
    signed = dict(part.split("=", 1) for part in urlsplit(request.url).query.split("&"))
    now = sigv4.parse_time(signed["X-Amz-Date"])
    ours = sigv4.presign(
        "GET", "/", pairs, "localhost:4566", access_key_id="AKIDEXAMPLE", secret=SECRET, token=None,
        region="eu-west-3", service=service, now=now, expires=60,
    )  # fmt: skip
    assert ours.endswith(signed["X-Amz-Signature"])


class Known:
    """Implements as much of ``store.Reader`` as finding a credential needs."""

    def __init__(self, credential: Credential) -> None:
        self.credential = credential

    def get(self, table: object, key: str) -> Credential | None:
        return self.credential if key == self.credential.access_key_id else None


def checked(headers: dict[str, str], *, now: float, credential: Credential = CREDENTIAL, query: str = "",
            source_ip: str = "127.0.0.1", dev: bool = False, service: str = "ecs") -> str | None:  # fmt: skip
    """The kind of problem that a request with these headers has, ``None`` for none."""
    authenticator = Authenticator(Config(state_dir=Path("/nowhere"), dev_credentials=dev))
    signed = Signed("POST", "/", query, headers.get, source_ip, headers)
    try:
        stated = stated_signature(signed)
        if stated is None:
            return "missing"
        claim = authenticator.claim(stated, Known(credential), source_ip, now)  # type: ignore[arg-type]
        authenticator.check(claim, signed, service, sigv4.EMPTY_SHA256, now)
    except Problem as problem:
        return problem.kind
    return None


def ours(now: float, **changed: Any) -> dict[str, str]:
    facts = SimpleNamespace(access_key_id="AKIDEXAMPLE", secret=SECRET, token=None, region="eu-west-3", service="ecs")
    vars(facts).update(changed)
    headers = {"host": "localhost"}
    return headers | sigv4.sign("POST", "/", "", headers, b"", now=now, **vars(facts))


NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("changed", "later", "kind"),
    [
        ({}, 0, None),
        ({}, 299, None),
        ({}, -299, None),
        ({}, 301, "skewed"),
        ({}, -301, "skewed"),
        ({"secret": "other"}, 0, "mismatch"),
        ({"service": "ecr"}, 0, "mismatch"),
        ({"region": "NOT A REGION"}, 0, "mismatch"),
        ({"access_key_id": "AKIDOTHER"}, 0, "unknown"),
        ({"token": "nobody's"}, 0, "unknown"),
    ],
)
def test_problems(changed: dict[str, Any], later: int, kind: str | None) -> None:
    assert checked(ours(NOW, **changed), now=NOW + later) == kind


def test_sessions() -> None:
    from msgspec.structs import replace

    session = replace(CREDENTIAL, session_token="token", expires=NOW + 60)
    assert checked(ours(NOW, token="token"), now=NOW, credential=session) is None
    assert checked(ours(NOW, token="other"), now=NOW, credential=session) == "unknown"
    assert checked(ours(NOW), now=NOW, credential=session) == "unknown"
    assert checked(ours(NOW, token="token"), now=NOW + 61, credential=session) == "expired"


@pytest.mark.parametrize(("address", "dev", "kind"), [
    ("127.0.0.1", True, None), ("::1", True, None), ("::ffff:127.0.0.1", True, None),
    ("10.0.0.1", True, "unknown"), ("127.0.0.1", False, "unknown"), ("", True, "unknown"),
])  # fmt: skip
def test_development_credentials_on_loopback_only(address: str, dev: bool, kind: str | None) -> None:
    headers = ours(NOW, access_key_id="test", secret="test")
    assert checked(headers, now=NOW, source_ip=address, dev=dev) == kind


@pytest.mark.parametrize("header", [
    "Basic x", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a/b/c", "AWS4-HMAC-SHA256 ,,,",
    "AWS4-HMAC-SHA256 Credential=a/20230101/r/s/aws4_request, SignedHeaders=x, Signature=y",
    "AWS4-HMAC-SHA256 Credential=a/20230101/r/s/aws4_request, SignedHeaders=host, Signature=",
])  # fmt: skip
def test_incomplete(header: str) -> None:
    assert checked({"authorization": header, "x-amz-date": "20230101T000000Z"}, now=NOW) == "incomplete"


@given(st.text(max_size=80), st.text(max_size=20))
def test_headers_of_any_text_are_refused_without_surprise(rest: str, date: str) -> None:
    headers = {"authorization": f"AWS4-HMAC-SHA256 {rest}", "x-amz-date": date}
    assert checked(headers, now=NOW) in ("incomplete", "unknown")
