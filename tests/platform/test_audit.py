"""The account of calls has also what does not come by the API: docker's pushes and pulls, and the agents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Platform
from tests.platform.support import docker, eventually, push

pytestmark = pytest.mark.platform


def events(platform: Platform, key: str, value: str) -> list[dict[str, Any]]:
    asked = [{"AttributeKey": key, "AttributeValue": value}]
    pages = platform.client("cloudtrail").get_paginator("lookup_events").paginate(LookupAttributes=asked)
    return [json.loads(each["CloudTrailEvent"]) for page in pages for each in page["Events"]]


def test_docker_pushes_and_pulls(platform: Platform, busybox: str) -> None:
    name = push(platform, busybox, "tests/audit")
    password = platform.cli("ecr", "get-login-password").strip()
    docker("login", "--username", "AWS", "--password-stdin", name.split("/")[0], stdin=password)
    docker("pull", "-q", name)
    docker("rmi", name)
    docker("logout", name.split("/")[0])
    told = events(platform, "ResourceName", "audit")
    by_name = {event["eventName"]: event for event in told}
    assert {"CreateRepository", "InitiateLayerUpload", "CompleteLayerUpload", "PutImage", "BatchGetImage"} <= set(
        by_name
    )
    put = by_name["PutImage"]
    assert (put["eventSource"], put["userIdentity"]["type"], put["readOnly"]) == ("ecr.amazonaws.com", "Root", False)
    assert put["requestParameters"] == {
        "registryId": "000000000000",
        "repositoryName": "tests/audit",
        "imageIds": [{"imageTag": "latest"}],
    }
    assert "docker" in put["userAgent"]


def test_a_refused_pull(platform: Platform) -> None:
    host = f"000000000000.dkr.ecr.us-east-1.localhost:{platform.port}"
    password = platform.cli("ecr", "get-login-password").strip()
    docker("login", "--username", "AWS", "--password-stdin", host, stdin=password)
    with pytest.raises(AssertionError):
        docker("pull", "-q", f"{host}/tests/no-such-thing:latest")
    docker("logout", host)
    told = events(platform, "ResourceName", "no-such-thing")
    assert told and told[0]["errorCode"] == "RepositoryNotFoundException"


def test_agents_that_connect(platform: Platform) -> None:
    assert eventually(lambda: events(platform, "EventName", "Poll"))
    event = events(platform, "EventName", "Poll")[0]
    assert event["eventSource"] == "ecs.amazonaws.com"
    assert ":container-instance/" in event["requestParameters"]["containerInstance"]
