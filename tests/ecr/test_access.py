"""Who comes in: tokens, their absence, their end, other accounts' registries, and repositories that are not there."""

from __future__ import annotations

import base64

import pytest

from tests.ecr.conftest import ACCOUNT, Registry, make_image, sha256
from tests.ecr.server import OTHER_ACCESS_KEY, OTHER_ACCOUNT


def test_without_a_token(registry: Registry) -> None:
    answer = registry.http("GET", "/v2/", password="")
    assert (answer.status, answer.body) == (401, b"Not Authorized\n")
    assert answer.headers["www-authenticate"] == f'Basic realm="http://{registry.host}/",service="ecr.amazonaws.com"'


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic " + base64.b64encode(b"AWS:wrong").decode(),
        "Basic " + base64.b64encode(b"AWS").decode(),
        "Basic %%%",
        "Bearer x",
        "Basic",
    ],
)
def test_with_a_wrong_token(registry: Registry, authorization: str) -> None:
    answer = registry.http("GET", "/v2/", headers={"Authorization": authorization})
    assert answer.error == (400, "DENIED")


def test_with_another_user(registry: Registry) -> None:
    encoded = base64.b64encode(f"root:{registry.password}".encode()).decode()
    assert registry.http("GET", "/v2/", headers={"Authorization": f"Basic {encoded}"}).error == (400, "DENIED")


def test_with_a_changed_token(registry: Registry) -> None:
    outer = base64.b64decode(registry.password)
    forged = base64.b64encode(outer.replace(b'"expiration":1', b'"expiration":2')).decode()
    assert forged != registry.password
    # What is outside of the signature is only a hint to clients; what is inside counts.
    assert registry.http("GET", "/v2/", password=forged).status == 200
    payload = outer.index(b'"payload":"') + 15
    changed = bytearray(outer)
    changed[payload] ^= 1
    broken = base64.b64encode(bytes(changed)).decode()
    assert registry.http("GET", "/v2/", password=broken).error == (400, "DENIED")


def test_the_plain_host_is_the_tokens_own_registry(registry: Registry, repository: str) -> None:
    for host in (f"localhost:{registry.port}", f"127.0.0.1:{registry.port}"):
        assert registry.http("GET", f"/v2/{repository}/tags/list", host=host).status == 200


def test_regions_have_registries_of_their_own(registry: Registry, repository: str) -> None:
    there = f"{ACCOUNT}.dkr.ecr.eu-west-1.localhost:{registry.port}"
    answer = registry.http("GET", f"/v2/{repository}/tags/list", host=there)
    assert answer.error == (404, "NAME_UNKNOWN")
    registry.client(region="eu-west-1").create_repository(repositoryName=repository)
    assert registry.http("GET", f"/v2/{repository}/tags/list", host=there).status == 200


def test_other_accounts_are_denied(registry: Registry, repository: str) -> None:
    password = registry.login(registry.client(OTHER_ACCESS_KEY))
    answer = registry.http("GET", f"/v2/{repository}/manifests/latest", password=password)
    assert answer.error == (403, "DENIED")
    arn = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{repository}"
    assert answer.json()["errors"][0]["message"] == (
        f"User: arn:aws:iam::{OTHER_ACCOUNT}:root is not authorized to perform: ecr:BatchGetImage on resource: {arn} "
        "because no resource-based policy allows the ecr:BatchGetImage action"
    )
    own = f"{OTHER_ACCOUNT}.dkr.ecr.us-east-1.localhost:{registry.port}"
    assert registry.http("GET", "/v2/", password=password, host=own).status == 200
    # As in AWS a token opens any registry's door; what is behind it is asked about one by one.
    assert registry.http("GET", "/v2/", host=own).status == 200
    assert registry.http("GET", f"/v2/{repository}/tags/list", host=own).error == (403, "DENIED")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "blobs/uploads/"),
        ("GET", f"blobs/{sha256(b'')}"),
        ("GET", "manifests/latest"),
        ("GET", "tags/list"),
        ("GET", f"referrers/{sha256(b'')}"),
    ],
)
def test_no_such_repository(registry: Registry, method: str, path: str) -> None:
    answer = registry.http(method, f"/v2/not/there/{path}")
    assert answer.error == (404, "NAME_UNKNOWN")
    message = f"The repository with name 'not/there' does not exist in the registry with id '{ACCOUNT}'"
    assert answer.json()["errors"][0]["message"] == message
    assert registry.put_manifest("not/there", make_image(), "x").error == (404, "NAME_UNKNOWN")


def test_immutable_tags(registry: Registry) -> None:
    name = registry.repository(imageTagMutability="IMMUTABLE")
    first, second = make_image(), make_image()
    assert registry.push(name, first, "v1").status == 201
    registry.push(name, second)
    for image in (first, second):
        refused = registry.put_manifest(name, image, "v1")
        assert refused.error == (400, "TAG_INVALID")
        assert refused.json()["errors"][0]["message"] == (
            f"The image tag 'v1' already exists in the '{name}' repository "
            "and cannot be overwritten because the tag is immutable."
        )
    assert registry.put_manifest(name, second, "v2").status == 201
