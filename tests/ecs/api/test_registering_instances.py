"""RegisterContainerInstance, with boto3: what it keeps and what it refuses. Connected agents: tests/ecs/control."""

from __future__ import annotations

from typing import Any

from tests.ecs.api.conftest import Ecs
from tests.served import refusal

VERSIONS = {"agentVersion": "1.105.1", "agentHash": "a8b3e7d3", "dockerVersion": "DockerVersion: 28.0.1"}


def test_versions_are_known_before_the_agent_connects(ecs: Ecs) -> None:
    register = ecs.client.register_container_instance
    made = register(cluster=ecs.name, versionInfo=VERSIONS)["containerInstance"]
    assert made["versionInfo"] == VERSIONS
    newer = {**VERSIONS, "agentVersion": "1.106.0"}
    again = register(cluster=ecs.name, containerInstanceArn=made["containerInstanceArn"], versionInfo=newer)
    assert again["containerInstance"]["versionInfo"] == newer


def test_what_cannot_be_registered(ecs: Ecs) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"totalResources": [{"type": "INTEGER", "integerValue": 1}]}, "InvalidParameterException"),
        ({"tags": [{"key": "aws:x", "value": "y"}]}, "InvalidParameterException"),
        ({"instanceIdentityDocument": "{"}, "ClientException"),
        ({"attributes": [{"name": "a", "targetId": "i"}]}, "NotImplemented"),
        ({"containerInstanceArn": "nothing"}, "InvalidParameterException"),
    ]
    for request, code in wrong:
        assert refusal(ecs.client.register_container_instance, cluster=ecs.name, **request)[0] == code
