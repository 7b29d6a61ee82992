"""The rules of the OCI distribution specification's conformance suite for blobs, over plain HTTP.

What the suite asks ("conformance/" of opencontainers/distribution-spec, 1.1: pull, push, content management; and the
blob part of its successor), with both algorithms.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.ecr.conftest import Registry, relative, sha256, sha512

ALGORITHMS = [pytest.param(sha256, id="sha256"), pytest.param(sha512, id="sha512")]
Digest = Callable[[bytes], str]
OCTETS = {"Content-Type": "application/octet-stream"}
CHUNK = 1024


def assert_held(registry: Registry, name: str, content: bytes, digest: str) -> None:
    head = registry.http("HEAD", f"/v2/{name}/blobs/{digest}")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(content))
    assert head.headers["docker-content-digest"] == digest
    got = registry.http("GET", f"/v2/{name}/blobs/{digest}")
    assert (got.status, got.body) == (200, content)
    assert got.headers["content-length"] == str(len(content))


def assert_created(registry: Registry, name: str, answer: object, content: bytes, digest: str) -> None:
    assert answer.status == 201, answer  # type: ignore[attr-defined]
    headers = answer.headers  # type: ignore[attr-defined]
    assert headers["docker-content-digest"] == digest
    assert registry.http("GET", relative(headers["location"])).body == content
    assert_held(registry, name, content, digest)


def test_base(registry: Registry) -> None:
    answer = registry.http("GET", "/v2/")
    assert answer.status == 200
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"


@pytest.mark.parametrize("digest_of", ALGORITHMS)
def test_missing(registry: Registry, repository: str, digest_of: Digest) -> None:
    digest = digest_of(os.urandom(16))
    assert registry.http("GET", f"/v2/{repository}/blobs/{digest}").error == (404, "BLOB_UNKNOWN")
    head = registry.http("HEAD", f"/v2/{repository}/blobs/{digest}")
    assert (head.status, head.body) == (404, b"")
    assert registry.http("DELETE", f"/v2/{repository}/blobs/{digest}").error == (404, "BLOB_UNKNOWN")


@pytest.mark.parametrize("digest_of", ALGORITHMS)
@pytest.mark.parametrize("content", [os.urandom(512), b"", b"{}"], ids=["random", "empty", "empty JSON"])
def test_post_only(registry: Registry, repository: str, digest_of: Digest, content: bytes) -> None:
    digest = digest_of(content)
    answer = registry.http("POST", f"/v2/{repository}/blobs/uploads/", content, OCTETS, digest=digest)
    assert_created(registry, repository, answer, content, digest)


@pytest.mark.parametrize("digest_of", ALGORITHMS)
@pytest.mark.parametrize("content", [os.urandom(512), b"", b"{}"], ids=["random", "empty", "empty JSON"])
def test_post_and_put(registry: Registry, repository: str, digest_of: Digest, content: bytes) -> None:
    digest = digest_of(content)
    answer = registry.http("PUT", registry.start_upload(repository), content, OCTETS, digest=digest)
    assert_created(registry, repository, answer, content, digest)


@pytest.mark.parametrize("digest_of", ALGORITHMS)
def test_streamed(registry: Registry, repository: str, digest_of: Digest) -> None:
    content = os.urandom(3 << 20)
    digest = digest_of(content)
    sent = registry.http("PATCH", registry.start_upload(repository), content, OCTETS)
    assert sent.status == 202
    assert sent.headers["range"] == f"0-{len(content) - 1}"
    done = registry.http("PUT", relative(sent.headers["location"]), b"", OCTETS, digest=digest)
    assert_created(registry, repository, done, content, digest)


@pytest.mark.parametrize("digest_of", ALGORITHMS)
@pytest.mark.parametrize("last_in_put", [False, True])
@pytest.mark.parametrize("out_of_order", [False, True])
def test_chunked(registry: Registry, repository: str, digest_of: Digest, last_in_put: bool, out_of_order: bool) -> None:
    content = os.urandom(CHUNK * 3 - 5)
    digest = digest_of(content)
    location = registry.start_upload(repository)
    starts = list(range(0, len(content), CHUNK))
    for start in starts:
        end = min(start + CHUNK, len(content))
        if out_of_order:
            wrong = start + CHUNK if start + CHUNK < len(content) else 0
            body = content[wrong : wrong + CHUNK]
            header = {**OCTETS, "Content-Range": f"{wrong}-{wrong + len(body) - 1}"}
            refused = registry.http("PATCH", location, body, header)
            assert refused.error == (416, "BLOB_UPLOAD_INVALID")
            assert refused.headers["location"]
            status = registry.http("GET", location)
            assert (status.status, status.headers["range"]) == (204, f"0-{max(0, start - 1)}")
            location = relative(status.headers["location"])
        header = {**OCTETS, "Content-Range": f"{start}-{end - 1}"}
        if last_in_put and start == starts[-1]:
            done = registry.http("PUT", location, content[start:end], header, digest=digest)
        else:
            sent = registry.http("PATCH", location, content[start:end], header)
            assert (sent.status, sent.headers["range"]) == (202, f"0-{end - 1}")
            location = relative(sent.headers["location"])
    if not last_in_put:
        done = registry.http("PUT", location, b"", digest=digest)
    assert_created(registry, repository, done, content, digest)


def test_content_range_is_minded(registry: Registry, repository: str) -> None:
    location = registry.start_upload(repository)
    for header in ("5-3", "x", "-5", "1-"):
        refused = registry.http("PATCH", location, b"12345", {"Content-Range": header})
        assert refused.error == (400, "BLOB_UPLOAD_INVALID"), header
    assert registry.http("PATCH", location, b"12345", {"Content-Range": "0-9"}).error == (400, "SIZE_INVALID")
    assert registry.http("PATCH", location, b"12345", {"Content-Range": "0-4"}).headers["range"] == "0-4"


def test_a_refused_body_does_not_break_the_connection(registry: Registry, repository: str) -> None:
    large = bytes(8 << 20)
    location = registry.start_upload(repository)
    late = registry.http("PATCH", location, large, {"Content-Range": f"5-{len(large) + 4}"})
    assert late.error == (416, "BLOB_UPLOAD_INVALID")
    assert registry.http("PUT", f"{location}x", large, digest=sha256(large)).error == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("digest_of", ALGORITHMS)
@pytest.mark.parametrize("way", ["post only", "post and put", "stream", "chunked"])
def test_bad_digest(registry: Registry, repository: str, digest_of: Digest, way: str) -> None:
    content = os.urandom(512)
    digest = digest_of(content + b"oh no")
    if way == "post only":
        answer = registry.http("POST", f"/v2/{repository}/blobs/uploads/", content, digest=digest)
    else:
        location, body = registry.start_upload(repository), content
        if way != "post and put":
            headers = {"Content-Range": "0-511"} if way == "chunked" else {}
            location = relative(registry.http("PATCH", location, content, headers).headers["location"])
            body = b""
        answer = registry.http("PUT", location, body, digest=digest)
    assert answer.error == (400, "DIGEST_INVALID")
    assert registry.http("HEAD", f"/v2/{repository}/blobs/{digest}").status == 404
    assert registry.http("HEAD", f"/v2/{repository}/blobs/{digest_of(content)}").status == 404


@pytest.mark.parametrize("digest", ["", "sha256:short", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:" + "G" * 64])
def test_malformed_digest(registry: Registry, repository: str, digest: str) -> None:
    put = registry.http("PUT", registry.start_upload(repository), b"x", digest=digest)
    assert put.error == (400, "DIGEST_INVALID")
    if digest:
        assert registry.http("GET", f"/v2/{repository}/blobs/{digest}").error == (400, "DIGEST_INVALID")


def test_cancel(registry: Registry, repository: str) -> None:
    location = registry.start_upload(repository)
    registry.http("PATCH", location, b"some")
    assert registry.http("DELETE", location).status == 204
    for method in ("GET", "PATCH", "DELETE"):
        assert registry.http(method, location, b"").status == 404
    assert registry.http("PUT", location, b"", digest=sha256(b"some")).error == (404, "BLOB_UPLOAD_UNKNOWN")


def mounting(digest: str, source: str) -> dict[str, Any]:
    """The query that asks for another repository's blob."""
    return {"mount": digest, "from": source}


@pytest.mark.parametrize("digest_of", ALGORITHMS)
def test_mount(registry: Registry, repository: str, digest_of: Digest) -> None:
    source, content = registry.repository(), os.urandom(512)
    digest = digest_of(content)
    uploads = f"/v2/{repository}/blobs/uploads/"
    missing = registry.http("POST", uploads, **mounting(digest, source))
    assert missing.status == 202
    registry.push_blob(source, content, digest)
    mounted = registry.http("POST", uploads, **mounting(digest, source))
    assert_created(registry, repository, mounted, content, digest)
    anywhere = registry.repository()
    assert_created(
        registry, anywhere, registry.http("POST", f"/v2/{anywhere}/blobs/uploads/", mount=digest), content, digest
    )
    # What one repository lets go, the others keep.
    assert registry.http("DELETE", f"/v2/{source}/blobs/{digest}").status == 202
    assert_held(registry, repository, content, digest)
    assert registry.http("POST", uploads, **mounting(sha256(os.urandom(9)), "not/there")).status == 202


def test_delete(registry: Registry, repository: str) -> None:
    digest = registry.push_blob(repository, os.urandom(512))
    assert registry.http("DELETE", f"/v2/{repository}/blobs/{digest}").status == 202
    assert registry.http("HEAD", f"/v2/{repository}/blobs/{digest}").status == 404


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=500-1499", 500, 1500),
        ("bytes=500-", 500, 2048),
        ("bytes=-500", 1548, 2048),
        ("bytes=2000-5000", 2000, 2048),
        ("bytes=0-0", 0, 1),
        ("bytes=-5000", 0, 2048),
    ],
)
@pytest.mark.parametrize("digest_of", ALGORITHMS)
def test_ranges(registry: Registry, repository: str, digest_of: Digest, header: str, start: int, end: int) -> None:
    content = os.urandom(2048)
    digest = registry.push_blob(repository, content, digest_of(content))
    answer = registry.http("GET", f"/v2/{repository}/blobs/{digest}", headers={"Range": header})
    assert (answer.status, answer.body) == (206, content[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/2048"
    assert answer.headers["content-length"] == str(end - start)


def test_unsatisfiable_and_ignored_ranges(registry: Registry, repository: str) -> None:
    content = os.urandom(2048)
    path = f"/v2/{repository}/blobs/{registry.push_blob(repository, content)}"
    for header in ("bytes=500-0", "bytes=5000-10000", "bytes=-0"):
        assert registry.http("GET", path, headers={"Range": header}).status == 416, header
    for header in ("bytes=0-1,4-5", "items=0-1", "bytes=-"):
        assert registry.http("GET", path, headers={"Range": header}).body == content, header


def test_methods_and_paths(registry: Registry, repository: str) -> None:
    assert registry.http("PUT", f"/v2/{repository}/tags/list").error == (405, "UNSUPPORTED")
    assert registry.http("POST", f"/v2/{repository}/blobs/{sha256(b'')}").error == (405, "UNSUPPORTED")
    assert registry.http("GET", f"/v2/{repository}/nothing").status == 404
    assert registry.http("GET", "/v2/UPPER/tags/list").error == (400, "NAME_INVALID")
    encoded = registry.push_blob(repository, b"x").replace(":", "%3A")
    assert registry.http("GET", f"/v2/{repository}/blobs/{encoded}").body == b"x"
