"""The pure parts: names, references, ranges, routes, manifests, mutability, tokens, pages."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.aws.errors import ServiceError
from dryport.ecr import manifest, mutability, names, ranges, tokens
from dryport.ecr.api.pages import page
from dryport.ecr.model import Repository
from dryport.ecr.registry import routes

HEX = "0123456789abcdef"
digests = st.one_of(
    st.text(HEX, min_size=64, max_size=64).map("sha256:{}".format),
    st.text(HEX, min_size=128, max_size=128).map("sha512:{}".format),
)
repository_names = st.from_regex(r"\A[a-z0-9]{2,8}([._-][a-z0-9]{1,5})?(/[a-z0-9]{1,8}(__[a-z0-9]{1,5})?){0,3}\Z")
tags = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9._-]{0,40}\Z")


@given(repository_names, tags, digests)
def test_references(name: str, tag: str, digest: str) -> None:
    host = names.registry_host("123456789012", "us-gov-west-1", 4566)
    assert names.parse_host(host) == ("123456789012", "us-gov-west-1")
    assert names.parse_reference(f"{host}/{name}") == (host, name, "latest", "")
    assert names.parse_reference(f"{host}/{name}:{tag}") == (host, name, tag, "")
    assert names.parse_reference(f"{host}/{name}@{digest}") == (host, name, "", digest)
    assert names.parse_reference(f"{host}/{name}:{tag}@{digest}") == (host, name, tag, digest)
    assert names.parse_reference(name) is None or "." in name.partition("/")[0]


@given(st.text())
def test_references_of_any_text(text: str) -> None:
    reference = names.parse_reference(text)
    assert reference is None or (names.is_repository_name(reference.name) and text.startswith(reference.host))
    assert not names.is_digest(text)


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:4566", "12345.dkr.ecr.us-east-1.localhost:1", "123456789012.dkr.ecr..localhost:1", ""],
)
def test_other_hosts(host: str) -> None:
    assert names.parse_host(host) is None


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_content_range(first: int, length: int) -> None:
    for form in ("{}-{}", "bytes {}-{}", "bytes={}-{}", "bytes {}-{}/*", " {}-{} "):
        assert ranges.parse_content_range(form.format(first, first + length)) == (first, first + length + 1)
    if length:
        with pytest.raises(ValueError, match="ends before"):
            ranges.parse_content_range(f"{first + length}-{first}")


@given(st.text())
def test_ranges_of_any_text(text: str) -> None:
    try:
        span = ranges.parse_content_range(text)
        assert 0 <= span.start < span.end
    except ValueError:
        pass
    try:
        part = ranges.parse_range(text, 100)
        assert part is None or 0 <= part.start < part.end <= 100
    except ranges.Unsatisfiable:
        pass


@given(st.binary(min_size=1, max_size=50), st.integers(0, 60), st.integers(0, 60))
def test_ranges_are_slices(content: bytes, a: int, b: int) -> None:
    size = len(content)

    def part(header: str) -> bytes | None:
        try:
            span = ranges.parse_range(header, size)
        except ranges.Unsatisfiable:
            return b""
        return None if span is None else content[span.start : span.end]

    assert part(f"bytes={a}-{b}") == (content[a : b + 1] if a <= b else b"")
    assert part(f"bytes={a}-") == content[a:]
    assert part(f"bytes=-{a}") == (content[-a:] if a else b"")


@given(repository_names, digests, tags)
def test_routes(name: str, digest: str, tag: str) -> None:
    assert routes.parse(f"/v2/{name}/manifests/{tag}") == ("manifests", name, tag)
    assert routes.parse(f"/v2/{name}/manifests/{quote(digest, safe='')}") == ("manifests", name, digest)
    assert routes.parse(f"/v2/{name}/blobs/{digest}") == ("blobs", name, digest)
    assert routes.parse(f"/v2/{name}/blobs/uploads/") == ("uploads", name, "")
    assert routes.parse(f"/v2/{name}/blobs/uploads") == ("uploads", name, "")
    assert routes.parse(f"/v2/{name}/blobs/uploads/{tag}") == ("uploads", name, tag)
    assert routes.parse(f"/v2/{name}/tags/list") == ("tags", name, "")
    assert routes.parse(f"/v2/{name}/referrers/{digest}") == ("referrers", name, digest)
    assert routes.parse(f"/v2/{name}/elsewhere") is None


@pytest.mark.parametrize("word", ["manifests", "blobs", "uploads", "tags", "list", "referrers"])
def test_routes_of_repositories_with_the_apis_words(word: str) -> None:
    assert routes.parse(f"/v2/a/{word}/b/tags/list") == ("tags", f"a/{word}/b", "")
    assert routes.parse(f"/v2/{word}/{word}/manifests/{word}") == ("manifests", f"{word}/{word}", word)


@given(st.text())
def test_routes_of_any_path(text: str) -> None:
    for path in (text, f"/v2/{text}", quote(f"/v2/{text}/tags/list")):
        routes.parse(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
members = ["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "annotations", "artifactType"]


@given(st.dictionaries(st.sampled_from(members), json_values), st.sampled_from(sorted(manifest.MEDIA_TYPES)))
def test_manifests_of_any_json(document: dict[str, object], kind: str) -> None:
    for body in (document, {**document, "schemaVersion": 2}):
        try:
            parsed = manifest.parse(json.dumps(body).encode(), kind)
        except manifest.InvalidManifest:
            continue
        assert parsed.media_type == kind
        assert all(names.is_digest(reference.digest) for reference in [*parsed.blobs, *parsed.children])


@given(st.binary())
def test_manifests_of_any_bytes(content: bytes) -> None:
    with pytest.raises(manifest.InvalidManifest):
        manifest.parse(content)


def test_mutability() -> None:
    def made(setting: str) -> Repository:
        return Repository(
            arn="",
            name="r",
            account="",
            region="",
            created_at=0.0,
            tag_mutability=setting,
            tag_exclusions=["dev-*", "*rc*", "exact", "a.b"],
        )

    excluded, others = ["dev-", "dev-1", "1rc2", "rc", "exact", "a.b"], ["v1", "xdev-1", "exact1", "axb"]
    for tag in excluded + others:
        assert not mutability.is_immutable(made("MUTABLE"), tag)
        assert mutability.is_immutable(made("IMMUTABLE"), tag)
        assert mutability.is_immutable(made("MUTABLE_WITH_EXCLUSION"), tag) == (tag in excluded)
        assert mutability.is_immutable(made("IMMUTABLE_WITH_EXCLUSION"), tag) == (tag in others)


CLAIMS = tokens.Claims(
    account="123456789012", region="us-east-1", principal_arn="arn", user_id="u", access_key_id="k", expires=100.0
)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_tokens(secret: bytes, other: bytes) -> None:
    password = tokens.issue(secret, CLAIMS)
    assert tokens.read(secret, password, 99.0) == CLAIMS
    with pytest.raises(tokens.ExpiredToken):
        tokens.read(secret, password, 100.0)
    if other != secret:
        with pytest.raises(tokens.InvalidToken):
            tokens.read(other, password, 99.0)
    basic = "Basic " + base64.b64encode(f"AWS:{password}".encode()).decode()
    assert tokens.parse_basic(basic) == ("AWS", password)


@given(st.text())
def test_tokens_of_any_text(text: str) -> None:
    for attempt in (text, base64.b64encode(text.encode("utf-8", "replace")).decode()):
        with pytest.raises(tokens.InvalidToken):
            tokens.read(b"secret", attempt, 0.0)
    with pytest.raises(tokens.InvalidToken):
        tokens.parse_basic(f"Bearer {text}")


@given(digests, digests, st.integers(1, 10**10), st.integers(1, 10**10))
def test_download_signatures(digest: str, other: str, expires: int, later: int) -> None:
    signature = tokens.sign_download(b"s", "arn", digest, expires)
    assert tokens.may_download(b"s", "arn", digest, expires, signature, expires - 1.0)
    assert not tokens.may_download(b"s", "arn", digest, expires, signature, float(expires))
    assert tokens.may_download(b"s", "arn", other, expires, signature, 0.0) == (other == digest)
    assert tokens.may_download(b"s", "arn", digest, later, signature, 0.0) == (later == expires)
    assert not tokens.may_download(b"s", "arn", digest, expires, "ü", 0.0)


@given(st.sets(st.text(min_size=1)), st.integers(1, 7))
def test_pages_are_the_whole(items: set[str], size: int) -> None:
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        chosen, token = page(list(items), str, {"maxResults": size, **token}, 100)
        assert len(chosen) <= size
        seen += chosen
        if not token:
            break
        assert len(chosen) == size
    assert seen == sorted(items)
    with pytest.raises(ServiceError):
        page([], str, {"nextToken": "*"}, 1)
