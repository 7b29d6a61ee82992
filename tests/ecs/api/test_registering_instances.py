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
        ({"totalResources": [{"name": "CPU", "type": "FLOAT"}]}, "InvalidParameterException"),
        ({"totalResources": [{"name": "CPU", "type": "INTEGER"}] * 2}, "InvalidParameterException"),
        ({"platformDevices": [{"id": "0", "type": "NEURON_DEVICE"}]}, "InvalidParameterException"),
        ({"attributes": [{"name": "a b"}]}, "InvalidParameterException"),
        ({"attributes": [{"name": f"a{number}"} for number in range(11)]}, "InvalidParameterException"),
        ({"tags": [{"key": "aws:x", "value": "y"}]}, "InvalidParameterException"),
        ({"instanceIdentityDocument": "{"}, "ClientException"),
        ({"attributes": [{"name": "a", "targetId": "i"}]}, "NotImplemented"),
        ({"containerInstanceArn": "nothing"}, "InvalidParameterException"),
    ]
    for request, code in wrong:
        assert refusal(ecs.client.register_container_instance, cluster=ecs.name, **request)[0] == code


def test_an_agent_s_errors_are_those_that_it_gives_up_by(ecs: Ecs) -> None:
    register = ecs.client.register_container_instance
    assert refusal(register, cluster="nowhere") == ("ClientException", "Cluster not found.")
    ecs.client.delete_cluster(cluster=ecs.name)
    assert refusal(register, cluster=ecs.name) == ("ClientException", "The referenced cluster was inactive.")


def test_gpus_are_a_resource(ecs: Ecs) -> None:
    devices = [{"id": "GPU-1", "type": "GPU"}, {"id": "GPU-2", "type": "GPU"}]
    made = ecs.client.register_container_instance(cluster=ecs.name, platformDevices=devices)["containerInstance"]
    assert made["registeredResources"] == [
        {
            "name": "GPU",
            "type": "STRINGSET",
            "stringSetValue": ["GPU-1", "GPU-2"],
            "doubleValue": 0.0,
            "longValue": 0,
            "integerValue": 0,
        }
    ]


def test_agents_are_not_updated_from_here(ecs: Ecs) -> None:
    register = ecs.client.register_container_instance
    old = register(cluster=ecs.name)["containerInstance"]["containerInstanceArn"]
    new = register(cluster=ecs.name, versionInfo=VERSIONS)["containerInstance"]["containerInstanceArn"]
    update = ecs.client.update_container_agent
    assert refusal(update, cluster=ecs.name, containerInstance=old)[0] == "MissingVersionException"
    assert refusal(update, cluster=ecs.name, containerInstance=new) == (
        "NoUpdateAvailableException",
        "There is no update available for your container agent.",
    )


def test_what_is_registered_again_keeps_what_users_put(ecs: Ecs) -> None:
    register = ecs.client.register_container_instance
    capability = {"name": "ecs.capability.old"}
    made = register(cluster=ecs.name, attributes=[capability, {"name": "rack", "value": "7"}])["containerInstance"]
    arn = made["containerInstanceArn"]
    ecs.client.put_attributes(cluster=ecs.name, attributes=[{"name": "color", "value": "red", "targetId": arn}])
    again = register(cluster=ecs.name, containerInstanceArn=arn, attributes=[{"name": "ecs.capability.new"}])
    assert again["containerInstance"]["attributes"] == [
        {"name": "ecs.capability.new"},
        {"name": "rack", "value": "7"},
        {"name": "color", "value": "red"},
    ]
    assert again["containerInstance"]["version"] == 3
    other = ecs.client.create_cluster(clusterName=f"other-{ecs.number}")["cluster"]["clusterName"]
    assert refusal(register, cluster=other, containerInstanceArn=arn)[0] == "InvalidParameterException"
