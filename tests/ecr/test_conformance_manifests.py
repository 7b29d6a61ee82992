"""The rules of the OCI distribution specification's conformance suite for manifests, tags and referrers."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.ecr.conftest import (
    EMPTY_JSON,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Image,
    Registry,
    descriptor,
    make_image,
    relative,
    sha256,
    sha512,
)

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
ARTIFACT_A, ARTIFACT_B = "application/vnd.dryport.test.a", "application/vnd.dryport.test.b"


def assert_served(registry: Registry, name: str, reference: str, image: Image, digest: str = "") -> None:
    path = f"/v2/{name}/manifests/{reference}"
    accept = {"Accept": f"{OCI_INDEX}, {image.media_type}"}
    got = registry.http("GET", path, headers=accept)
    assert (got.status, got.body) == (200, image.manifest)
    head = registry.http("HEAD", path, headers=accept)
    assert (head.status, head.body) == (200, b"")
    for answer in (got, head):
        assert answer.headers["content-type"] == image.media_type
        assert answer.headers["content-length"] == str(len(image.manifest))
        assert answer.headers["docker-content-digest"] == (digest or image.digest)


def make_index(children: list[Image], media_type: str = OCI_INDEX, **members: Any) -> Image:
    listed = [descriptor(child.manifest, child.media_type) for child in children]
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": listed, **members}
    return Image({}, json.dumps(document).encode(), media_type)


def make_artifact(subject: Image | None = None, artifact_type: str = ARTIFACT_A, **members: Any) -> Image:
    payload = os.urandom(64)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": descriptor(b"{}", EMPTY_JSON),
        "layers": [descriptor(payload, artifact_type)],
        **members,
    }
    if subject is not None:
        document["subject"] = descriptor(subject.manifest, subject.media_type)
    return Image({sha256(b"{}"): b"{}", sha256(payload): payload}, json.dumps(document).encode())


def test_missing(registry: Registry, repository: str) -> None:
    for reference in (".INVALID_MANIFEST_NAME", "missing-tag", sha256(os.urandom(9))):
        path = f"/v2/{repository}/manifests/{reference}"
        assert registry.http("GET", path).error == (404, "MANIFEST_UNKNOWN")
        assert registry.http("HEAD", path).status == 404
        assert registry.http("DELETE", path).error == (404, "MANIFEST_UNKNOWN")


def test_push_by_tag_and_by_digest(registry: Registry, repository: str) -> None:
    image = make_image(2)
    by_digest = registry.push(repository, image)
    assert by_digest.status == 201
    assert registry.http("GET", relative(by_digest.headers["location"])).body == image.manifest
    for tag in ("test0", "test1", "A.b_c-9", "_" + "x" * 127):
        by_tag = registry.put_manifest(repository, image, tag)
        assert (by_tag.status, by_tag.headers["docker-content-digest"]) == (201, image.digest)
        assert registry.http("GET", relative(by_tag.headers["location"])).body == image.manifest
        assert_served(registry, repository, tag, image)
    assert_served(registry, repository, image.digest, image)


def test_push_again(registry: Registry, repository: str) -> None:
    first, second = make_image(), make_image()
    for image in (first, first, second):
        assert registry.push(repository, image, "latest").status == 201
    assert_served(registry, repository, "latest", second)
    assert_served(registry, repository, first.digest, first)


def test_sha512(registry: Registry, repository: str) -> None:
    image = make_image()
    digest = sha512(image.manifest)
    pushed = registry.push(repository, image, digest)
    assert (pushed.status, pushed.headers["docker-content-digest"]) == (201, digest)
    assert_served(registry, repository, digest, image, digest)


@pytest.mark.parametrize(
    "changes",
    [
        {"artifactType": ARTIFACT_A},
        {"annotations": {"org.example.note": "hello"}},
        {"org.example.unknown": {"deep": [1, {"x": None}]}},
    ],
    ids=["artifact type", "annotations", "unknown fields"],
)
def test_kinds_of_manifests(registry: Registry, repository: str, changes: dict[str, Any]) -> None:
    image = make_image(1, **changes)
    assert registry.push(repository, image, "kind").status == 201
    assert_served(registry, repository, "kind", image)


def test_no_layers(registry: Registry, repository: str) -> None:
    image = make_image(0)
    assert registry.push(repository, image, "bare").status == 201
    assert_served(registry, repository, "bare", image)


def test_content_type_is_taken_from_the_header(registry: Registry, repository: str) -> None:
    image = make_image()
    document = json.loads(image.manifest)
    del document["mediaType"]
    image.manifest = json.dumps(document).encode()
    assert registry.push(repository, image, "plain").status == 201
    assert_served(registry, repository, "plain", image)


def test_docker_manifest_and_list(registry: Registry, repository: str) -> None:
    image = make_image(mediaType=DOCKER_MANIFEST)
    image.media_type = DOCKER_MANIFEST
    assert registry.push(repository, image).status == 201
    index = make_index([image], DOCKER_LIST)
    assert registry.push(repository, index, "list").status == 201
    assert_served(registry, repository, "list", index)


def test_indexes(registry: Registry, repository: str) -> None:
    amd64, arm64 = make_image(), make_image()
    for image in (amd64, arm64):
        registry.push(repository, image)
    index = make_index([amd64, arm64])
    outer, empty = make_index([index]), make_index([])
    for reference, pushed in (("index", index), ("outer", outer), ("empty", empty)):
        assert registry.push(repository, pushed, reference).status == 201
        assert_served(registry, repository, reference, pushed)
    # What an index refers to stays; from the outside in all of it can be deleted.
    refused = registry.http("DELETE", f"/v2/{repository}/manifests/{amd64.digest}")
    assert refused.error == (405, "UNSUPPORTED")
    assert refused.json()["errors"][0]["message"] == f"Requested image referenced by manifest list: [{index.digest}]"
    for image in (outer, index, arm64, amd64):
        assert registry.http("DELETE", f"/v2/{repository}/manifests/{image.digest}").status == 202


def test_what_a_manifest_needs_must_be_there(registry: Registry, repository: str) -> None:
    image = make_image()
    config, layer = image.blobs
    registry.push_blob(repository, image.blobs[config])
    refused = registry.put_manifest(repository, image, "latest")
    assert refused.error == (400, "MANIFEST_BLOB_UNKNOWN")
    assert layer in refused.json()["errors"][0]["message"]
    assert registry.put_manifest(repository, make_index([image]), "i").error == (400, "MANIFEST_BLOB_UNKNOWN")
    # Another repository's layers do not count.
    registry.push(registry.repository(), image)
    assert registry.put_manifest(repository, image, "latest").error == (400, "MANIFEST_BLOB_UNKNOWN")
    assert registry.http("GET", f"/v2/{repository}/tags/list").json()["tags"] == []


def test_non_distributable_layers_need_not_be_there(registry: Registry, repository: str) -> None:
    foreign = {**descriptor(os.urandom(9), OCI_LAYER), "urls": ["https://store.example.com/layer"]}
    image = make_image(layers=0)
    document = json.loads(image.manifest)
    document["layers"] = [foreign]
    image.manifest = json.dumps(document).encode()
    assert registry.push(repository, image, "foreign").status == 201


@pytest.mark.parametrize(
    ("reference", "body", "media_type", "code"),
    [
        ("sha256:totallywrong", b"blablabla", OCI_MANIFEST, "DIGEST_INVALID"),
        ("sha256:baddigeststring", b"{}", OCI_MANIFEST, "DIGEST_INVALID"),
        (sha256(b"other"), make_image(0, "x").manifest, OCI_MANIFEST, "DIGEST_INVALID"),
        ("tag", b"blablabla", OCI_MANIFEST, "MANIFEST_INVALID"),
        ("tag", b"{}", OCI_MANIFEST, "MANIFEST_INVALID"),
        ("tag", b'{"schemaVersion": 1}', OCI_MANIFEST, "MANIFEST_INVALID"),
        ("tag", b"\xff\xfe", OCI_MANIFEST, "MANIFEST_INVALID"),
        ("tag", b"[" * 100_000, OCI_MANIFEST, "MANIFEST_INVALID"),
        ("tag", make_image(0, "x").manifest, OCI_INDEX, "MANIFEST_INVALID"),
        ("tag", make_image(0, "x").manifest, "text/plain", "MANIFEST_INVALID"),
        ("-tag", make_image(0, "x").manifest, OCI_MANIFEST, "TAG_INVALID"),
        ("x" * 129, make_image(0, "x").manifest, OCI_MANIFEST, "TAG_INVALID"),
    ],
)
def test_invalid(registry: Registry, repository: str, reference: str, body: bytes, media_type: str, code: str) -> None:
    headers = {"Content-Type": media_type}
    assert registry.http("PUT", f"/v2/{repository}/manifests/{reference}", body, headers).error == (400, code)


def test_size_limit(registry: Registry, repository: str) -> None:
    fits = make_image(annotations={f"large-{number}": "A" * 10_000 for number in range(390)})
    assert registry.push(repository, fits, "large").status == 201
    assert_served(registry, repository, "large", fits)
    too_large = make_image(annotations={f"large-{number}": "A" * 10_000 for number in range(430)})
    assert registry.put_manifest(repository, too_large, "larger").error == (413, "MANIFEST_INVALID")


def test_accept(registry: Registry, repository: str) -> None:
    image = make_image()
    registry.push(repository, image, "it")
    path = f"/v2/{repository}/manifests/it"
    for accept in ("*/*", f"text/plain, {OCI_MANIFEST};q=0.5", "application/json", ""):
        assert registry.http("GET", path, headers={"Accept": accept}).status == 200, accept
    assert registry.http("GET", path, headers={"Accept": DOCKER_MANIFEST}).error == (404, "MANIFEST_UNKNOWN")


def test_delete_tag_then_manifest_then_blobs(registry: Registry, repository: str) -> None:
    image = make_image()
    registry.push(repository, image, "one")
    registry.put_manifest(repository, image, "two")
    blob = next(iter(image.blobs))
    assert registry.http("DELETE", f"/v2/{repository}/blobs/{blob}").error == (405, "UNSUPPORTED")
    assert registry.http("DELETE", f"/v2/{repository}/manifests/one").status == 202
    assert registry.http("HEAD", f"/v2/{repository}/manifests/one").status == 404
    assert_served(registry, repository, "two", image)
    assert registry.http("GET", f"/v2/{repository}/tags/list").json()["tags"] == ["two"]
    assert registry.http("DELETE", f"/v2/{repository}/manifests/{image.digest}").status == 202
    for reference in ("two", image.digest):
        assert registry.http("HEAD", f"/v2/{repository}/manifests/{reference}").status == 404
    assert registry.http("GET", f"/v2/{repository}/tags/list").json()["tags"] == []
    for digest in image.blobs:
        assert registry.http("DELETE", f"/v2/{repository}/blobs/{digest}").status == 202


def test_tags_list(registry: Registry, repository: str) -> None:
    path = f"/v2/{repository}/tags/list"
    assert registry.http("GET", path).json() == {"name": repository, "tags": []}
    image = make_image()
    registry.push(repository, image)
    tags = ["A", "Z", "a", "b", "c0", "c1", "z"]
    for tag in reversed(tags):
        registry.put_manifest(repository, image, tag)
    assert registry.http("GET", path).json() == {"name": repository, "tags": tags}
    assert registry.http("GET", path, n="0").json()["tags"] == []
    assert registry.http("GET", path, last="b").json()["tags"] == ["c0", "c1", "z"]
    assert registry.http("GET", path, last="bb", n="1").json()["tags"] == ["c0"]
    assert registry.http("GET", path, n="x").error == (400, "PAGINATION_NUMBER_INVALID")
    seen, answer = [], registry.http("GET", path, n="3")
    while True:
        page = answer.json()["tags"]
        assert 1 <= len(page) <= 3
        seen += page
        if "link" not in answer.headers:
            break
        link, relation = answer.headers["link"].split("; ")
        assert relation == 'rel="next"'
        answer = registry.http("GET", link.strip("<>"))
    assert seen == tags


def test_catalog(registry: Registry, repository: str) -> None:
    names = registry.http("GET", "/v2/_catalog").json()["repositories"]
    assert repository in names
    assert names == sorted(names)
    after = registry.http("GET", "/v2/_catalog", n="1", last=names[0]).json()["repositories"]
    assert after == names[1:2]


def referrers(registry: Registry, name: str, digest: str, **query: Any) -> Any:
    answer = registry.http("GET", f"/v2/{name}/referrers/{digest}", **query)
    assert (answer.status, answer.headers["content-type"]) == (200, OCI_INDEX)
    index = answer.json()
    assert (index["schemaVersion"], index["mediaType"]) == (2, OCI_INDEX)
    assert answer.headers.get("oci-filters-applied") == ("artifactType" if query else None)
    return index["manifests"]


def test_referrers(registry: Registry, repository: str) -> None:
    subject = make_image()
    assert referrers(registry, repository, subject.digest) == []
    by_config = make_image(
        0,
        subject=descriptor(subject.manifest, OCI_MANIFEST),
        config=descriptor(b"config", ARTIFACT_A),
        annotations={"n": "by config"},
    )
    by_config.blobs[sha256(b"config")] = b"config"
    first = make_artifact(subject, ARTIFACT_A, annotations={"n": "first"})
    second = make_artifact(subject, ARTIFACT_B, annotations={"n": "second"})
    index = make_index(
        [], subject=descriptor(subject.manifest, OCI_MANIFEST), artifactType=ARTIFACT_B, annotations={"n": "index"}
    )
    # Some before, some after what they refer to.
    for image in (by_config, first):
        pushed = registry.push(repository, image)
        assert (pushed.status, pushed.headers["oci-subject"]) == (201, subject.digest)
    assert "oci-subject" not in registry.push(repository, subject, "subject").headers
    for image in (second, index):
        assert registry.push(repository, image).headers["oci-subject"] == subject.digest
    listed = {entry["digest"]: entry for entry in referrers(registry, repository, subject.digest)}
    wanted = {
        by_config.digest: (by_config, ARTIFACT_A, "by config"),
        first.digest: (first, ARTIFACT_A, "first"),
        second.digest: (second, ARTIFACT_B, "second"),
        index.digest: (index, ARTIFACT_B, "index"),
    }
    assert listed == {
        digest: {
            "mediaType": image.media_type,
            "digest": digest,
            "size": len(image.manifest),
            "artifactType": kind,
            "annotations": {"n": note},
        }
        for digest, (image, kind, note) in wanted.items()
    }
    only_a = referrers(registry, repository, subject.digest, artifactType=ARTIFACT_A)
    assert {entry["digest"] for entry in only_a} == {by_config.digest, first.digest}
    assert referrers(registry, repository, subject.digest, artifactType="none/such") == []
    registry.http("DELETE", f"/v2/{repository}/manifests/{first.digest}")
    assert first.digest not in {entry["digest"] for entry in referrers(registry, repository, subject.digest)}
    assert registry.http("GET", f"/v2/{repository}/referrers/wrong").error == (400, "DIGEST_INVALID")


def test_config_media_type_is_the_artifact_type_of_an_image(registry: Registry, repository: str) -> None:
    subject = make_image()
    image = make_image(0, subject=descriptor(subject.manifest, OCI_MANIFEST))
    registry.push(repository, image)
    assert referrers(registry, repository, subject.digest)[0]["artifactType"] == OCI_CONFIG
