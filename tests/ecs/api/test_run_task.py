"""RunTask, with boto3."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dryport.ecs.placement.capacity import distribute
from tests.ecs.api.conftest import Ecs
from tests.served import refusal

INVALID = "InvalidParameterException"


def test_a_new_task_on_fargate(ecs: Ecs) -> None:
    definition = ecs.define(containerDefinitions=[{"name": "app", "image": "busybox", "cpu": 10, "memory": 64}])
    subnet = ecs.subnets()[0]
    answer = ecs.run(networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet]}}, startedBy="me", group="mine")
    assert answer["failures"] == []
    task = answer["tasks"][0]
    task_id = task["taskArn"].rsplit("/", 1)[1]
    attachment, container = task["attachments"][0], task["containers"][0]
    assert task == {
        "attachments": [
            {
                "id": attachment["id"],
                "type": "ElasticNetworkInterface",
                "status": "PRECREATED",
                "details": [{"name": "subnetId", "value": subnet}],
            }
        ],
        "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
        "availabilityZone": "us-east-1a",
        "clusterArn": ecs.cluster_arn,
        "containers": [
            {
                "containerArn": container["containerArn"],
                "taskArn": task["taskArn"],
                "name": "app",
                "image": "busybox",
                "lastStatus": "PENDING",
                "networkInterfaces": [],
                "cpu": "10",
                "memory": "64",
            }
        ],
        "cpu": "256",
        "createdAt": task["createdAt"],
        "desiredStatus": "RUNNING",
        "enableExecuteCommand": False,
        "ephemeralStorage": {"sizeInGiB": 20},
        "fargateEphemeralStorage": {"sizeInGiB": 20},
        "group": "mine",
        "lastStatus": "PROVISIONING",
        "launchType": "FARGATE",
        "memory": "512",
        "overrides": {"containerOverrides": [{"name": "app"}], "inferenceAcceleratorOverrides": []},
        "platformFamily": "Linux",
        "platformVersion": "1.4.0",
        "startedBy": "me",
        "tags": [],
        "taskArn": f"arn:aws:ecs:us-east-1:000000000000:task/{ecs.name}/{task_id}",
        "taskDefinitionArn": definition,
        "version": 1,
    }
    assert container["containerArn"].startswith(f"arn:aws:ecs:us-east-1:000000000000:container/{ecs.name}/{task_id}/")
    assert len(task_id) == 32


def test_many_tasks_spread_over_the_subnets(ecs: Ecs) -> None:
    ecs.define()
    tasks = ecs.run(count=6)["tasks"]
    zones = sorted(task["availabilityZone"] for task in tasks)
    assert zones == ["us-east-1a", "us-east-1a", "us-east-1b", "us-east-1b", "us-east-1c", "us-east-1c"]
    assert ecs.cluster()["pendingTasksCount"] == 6


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"cluster": "nowhere"}, ("ClusterNotFoundException", "Cluster not found.")),
        ({"taskDefinition": "nothing"}, ("ClientException", "TaskDefinition not found.")),
        ({"count": 11}, (INVALID, "count must be between 1 and 10.")),
        (
            {"capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}]},
            (
                INVALID,
                "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try "
                "again.",
            ),
        ),
        (
            {"networkConfiguration": None},
            (INVALID, "Network Configuration must be provided when networkMode 'awsvpc' is specified."),
        ),
        (
            {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}},
            (
                INVALID,
                "Error retrieving subnet information for [subnet-1]: The subnet ID 'subnet-1' does not exist "
                "(ErrorCode: InvalidSubnetID.NotFound)",
            ),
        ),
        ({"platformVersion": "0.9"}, ("PlatformUnknownException", "The specified platform does not exist.")),
        ({"launchType": "EXTERNAL"}, (INVALID, "Task definition does not support launch_type EXTERNAL.")),
        (
            {"overrides": {"containerOverrides": [{"name": "no", "cpu": 1}]}},
            (INVALID, "Override for container named no is not a container in the TaskDefinition."),
        ),
        (
            {"overrides": {"containerOverrides": [{"name": "app", "command": ["x" * 8192]}]}},
            (INVALID, "Container Overrides length must be at most 8192"),
        ),
        (
            {"overrides": {"memory": "4096"}},
            (
                "ClientException",
                "No Fargate configuration exists for given values: 256 CPU, 4096 memory. See the Amazon ECS "
                "documentation for the valid values.",
            ),
        ),
        ({"launchType": "EC2"}, (INVALID, "No Container Instances were found in your cluster.")),
    ],
)
def test_refusals(ecs: Ecs, change: dict[str, Any], refused: tuple[str, str]) -> None:
    ecs.define()
    assert refusal(ecs.run, **change) == refused
    assert ecs.client.list_tasks(cluster=ecs.name)["taskArns"] == []


def test_what_nothing_acts_on_is_refused_by_name(ecs: Ecs) -> None:
    ecs.define()
    for change in ({"enableExecuteCommand": True}, {"referenceId": "a"}):
        code, message = refusal(ecs.run, **change)
        assert code == "NotImplemented"
        assert next(iter(change)) in message


CONFIGURED = {
    "containerDefinitions": [
        {"name": "app", "image": "busybox", "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}]}
    ],
    "volumes": [{"name": "data", "configuredAtLaunch": True}],
}
ROLE = "arn:aws:iam::000000000000:role/ecsInfrastructureRole"


def configuration(name: str = "data", **volume: Any) -> dict[str, Any]:
    return {"volumeConfigurations": [{"name": name, "managedEBSVolume": {"roleArn": ROLE, **volume}}]}


def test_a_task_with_an_ebs_volume(ecs: Ecs) -> None:
    ecs.define(**CONFIGURED)
    policy: dict[str, Any] = {"terminationPolicy": {"deleteOnTermination": False}}
    task = ecs.run(**configuration(sizeInGiB=10, **policy))["tasks"][0]
    found = [each for each in task["attachments"] if each["type"] == "AmazonElasticBlockStorage"]
    assert [each["status"] for each in found] == ["PRECREATED"]
    assert {each["name"]: each["value"] for each in found[0]["details"]} == {
        "volumeName": "data",
        "roleArn": ROLE,
        "deleteOnTermination": "false",
    }


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({}, (INVALID, "Volumes ['data'] of the task definition must be configured at launch.")),
        (
            configuration("other", sizeInGiB=1),
            (INVALID, "Volume configurations ['other'] do not match a volume of the task definition."),
        ),
        (
            configuration(),
            (INVALID, "Either sizeInGiB or snapshotId must be specified for a managed EBS volume."),
        ),
        (
            configuration(sizeInGiB=124, volumeType="st1"),
            (INVALID, "Volume of 124GiB is too small for volume type st1; minimum is 125GiB."),
        ),
        (
            configuration(sizeInGiB=1, filesystemType="ntfs"),
            (INVALID, "Invalid filesystemType ntfs of a Linux task."),
        ),
    ],
)
def test_ebs_volumes_that_are_refused(ecs: Ecs, change: dict[str, Any], refused: tuple[str, str]) -> None:
    ecs.define(**CONFIGURED)
    assert refusal(ecs.run, **change) == refused


def test_what_of_ebs_volumes_nothing_acts_on_is_refused_by_name(ecs: Ecs) -> None:
    ecs.define(**CONFIGURED, requiresCompatibilities=["FARGATE", "EC2"])
    for change in ({"encrypted": True}, {"kmsKeyId": "a"}, {"volumeInitializationRate": 100}):
        assert refusal(ecs.run, **configuration(sizeInGiB=1, **change))[0] == "NotImplemented"


def test_other_network_modes_have_no_network_configuration(ecs: Ecs) -> None:
    ecs.client.register_task_definition(
        family=f"bridge-{ecs.number}", containerDefinitions=[{"name": "a", "image": "b", "memory": 64}]
    )
    assert refusal(ecs.run, taskDefinition=f"bridge-{ecs.number}", launchType="EC2") == (
        INVALID,
        "Network Configuration is not valid for the given networkMode of this task definition.",
    )
    code, message = refusal(ecs.run, taskDefinition=f"bridge-{ecs.number}")
    assert (code, message) == (INVALID, "Task definition does not support launch_type FARGATE.")


def test_overrides(ecs: Ecs) -> None:
    container = {"name": "app", "image": "busybox", "cpu": 10}
    ecs.define(containerDefinitions=[container, {"name": "b", "image": "c"}])
    override = {"name": "b", "command": ["true"], "environment": [{"name": "A", "value": "1"}], "memory": 100}
    task = ecs.run(
        overrides={
            "cpu": "1 vCPU",
            "memory": "2GB",
            "containerOverrides": [override],
            "taskRoleArn": "arn:aws:iam::000000000000:role/task",
            "ephemeralStorage": {"sizeInGiB": 30},
        }
    )["tasks"][0]
    assert task["overrides"] == {
        "containerOverrides": [{"name": "app"}, override],
        "inferenceAcceleratorOverrides": [],
        "cpu": "1024",
        "memory": "2048",
        "taskRoleArn": "arn:aws:iam::000000000000:role/task",
        "ephemeralStorage": {"sizeInGiB": 30},
    }
    assert (task["cpu"], task["memory"], task["ephemeralStorage"]) == ("1024", "2048", {"sizeInGiB": 30})
    assert [(each["cpu"], each.get("memory")) for each in task["containers"]] == [("10", None), ("0", "100")]


def test_tags_of_tasks(ecs: Ecs) -> None:
    ecs.define(tags=[{"key": "from", "value": "definition"}, {"key": "both", "value": "definition"}])
    tags = [{"key": "both", "value": "request"}]
    task = ecs.run(tags=tags, propagateTags="TASK_DEFINITION", enableECSManagedTags=True)["tasks"][0]
    expected = [
        {"key": "aws:ecs:clusterName", "value": ecs.name},
        {"key": "from", "value": "definition"},
        {"key": "both", "value": "request"},
    ]
    assert task["tags"] == expected
    described = ecs.client.describe_tasks(cluster=ecs.name, tasks=[task["taskArn"]])["tasks"][0]
    assert described["tags"] == []
    included = ecs.client.describe_tasks(cluster=ecs.name, tasks=[task["taskArn"]], include=["TAGS"])["tasks"][0]
    assert included["tags"] == expected
    assert ecs.run(tags=tags)["tasks"][0]["tags"] == tags


def test_a_client_token_starts_tasks_once(ecs: Ecs) -> None:
    ecs.define()
    first = ecs.run(clientToken="token", count=2)
    again = ecs.run(clientToken="token", count=2)
    assert again["tasks"] == first["tasks"]
    assert len(ecs.client.list_tasks(cluster=ecs.name)["taskArns"]) == 2
    with pytest.raises(ecs.client.exceptions.ConflictException) as conflict:
        ecs.run(clientToken="token", count=3)
    assert conflict.value.response["resourceIds"] == [task["taskArn"] for task in first["tasks"]]
    assert ecs.run(clientToken="another", count=2)["tasks"][0]["taskArn"] != first["tasks"][0]["taskArn"]


def test_capacity_provider_strategies(ecs: Ecs) -> None:
    ecs.define()
    spot = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    code, _ = refusal(ecs.run, launchType=None, capacityProviderStrategy=spot)
    assert code == INVALID  # not associated with the cluster
    ecs.client.put_cluster_capacity_providers(
        cluster=ecs.name, capacityProviders=["FARGATE", "FARGATE_SPOT"], defaultCapacityProviderStrategy=spot
    )
    task = ecs.run(launchType=None)["tasks"][0]
    assert (task["launchType"], task["capacityProviderName"]) == ("FARGATE", "FARGATE_SPOT")
    strategy = [
        {"capacityProvider": "FARGATE", "base": 2, "weight": 1},
        {"capacityProvider": "FARGATE_SPOT", "weight": 3},
    ]
    tasks = ecs.run(launchType=None, capacityProviderStrategy=strategy, count=10)["tasks"]
    names = [task["capacityProviderName"] for task in tasks]
    assert (names.count("FARGATE"), names.count("FARGATE_SPOT")) == (4, 6)
    assert "capacityProviderName" not in ecs.run()["tasks"][0]


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 10), st.integers(0, 5), st.integers(0, 5), st.integers(0, 4))
def test_a_strategy_gives_bases_first_and_then_each_its_share(count: int, first: int, second: int, base: int) -> None:
    strategy = [
        {"capacityProvider": "a", "weight": first, "base": base},
        {"capacityProvider": "b", "weight": second},
    ]
    names = distribute(count, strategy)
    rest = names[base:]
    assert names[:base] == ["a"] * min(base, count)
    if first + second:
        assert len(names) == count
        # Within one task of the exact share.
        assert abs(rest.count("b") - len(rest) * second / (first + second)) <= 1
    else:
        assert rest == []
