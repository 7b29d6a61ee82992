"""Placement as RunTask, StartTask and ListContainerInstances have it, with boto3."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace

from dryport.ec2 import published as ec2
from dryport.ecs.model import CONTAINER_INSTANCES, ContainerInstance
from tests.ecs.api.conftest import Ecs
from tests.served import refusal

INVALID = "InvalidParameterException"
ZONE = "attribute:ecs.availability-zone"


def register_instance(ecs: Ecs, name: str, attributes: dict[str, str] | None = None, **settings: Any) -> str:
    """A connected instance with 1024 CPU units and 1000 MiB; its ARN."""
    instance = ContainerInstance(
        arn=f"arn:aws:ecs:us-east-1:000000000000:container-instance/{ecs.name}/{name}",
        cluster_arn=ecs.cluster_arn,
        account="000000000000",
        region="us-east-1",
        agent_connected=True,
        registered_resources=[
            {"name": "CPU", "type": "INTEGER", "integerValue": 1024},
            {"name": "MEMORY", "type": "INTEGER", "integerValue": 1000},
            {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22"]},
            {"name": "GPU", "type": "STRINGSET", "stringSetValue": ["GPU-0", "GPU-1", "GPU-2"]},
        ],
        attributes=[{"name": each, "value": value} for each, value in (attributes or {}).items()],
    )
    instance = replace(instance, **settings)
    ecs.write(lambda tx: tx.put(CONTAINER_INSTANCES, instance))
    return instance.arn


def define(ecs: Ecs, task: dict[str, Any] | None = None, **container: Any) -> str:
    """A task definition for instances, of one container of 100 MiB; its ARN."""
    containers = [{"name": "a", "image": "b", "memory": 100, **container}]
    answer = ecs.client.register_task_definition(
        family=f"ec2-{ecs.number}", containerDefinitions=containers, **(task or {})
    )
    arn: str = answer["taskDefinition"]["taskDefinitionArn"]
    return arn


def run(ecs: Ecs, definition: str, **request: Any) -> tuple[list[str], list[dict[str, str]]]:
    """RunTask: on which instances the tasks are, and the failures."""
    answer = ecs.client.run_task(cluster=ecs.name, taskDefinition=definition, **request)
    return [task["containerInstanceArn"] for task in answer["tasks"]], answer["failures"]


def test_tasks_go_where_there_is_room(ecs: Ecs) -> None:
    definition = define(ecs, memory=400)
    one, two = register_instance(ecs, "one"), register_instance(ecs, "two")
    answer = ecs.client.run_task(cluster=ecs.name, taskDefinition=definition, count=5)
    assert Counter(task["containerInstanceArn"] for task in answer["tasks"]) == {one: 2, two: 2}
    assert answer["failures"] == [{"arn": arn, "reason": "RESOURCE:MEMORY"} for arn in (one, two)]
    task = answer["tasks"][0]
    assert (task["launchType"], task["lastStatus"], task["attachments"]) == ("EC2", "PENDING", [])
    assert "platformVersion" not in task and "cpu" not in task
    listed = ecs.client.list_tasks(cluster=ecs.name, containerInstance="one")["taskArns"]
    assert len(listed) == 2


@pytest.mark.parametrize(
    ("container", "instance", "reason"),
    [
        ({"portMappings": [{"containerPort": 80, "hostPort": 22}]}, {}, "RESOURCE:PORTS"),
        ({"cpu": 1025}, {}, "RESOURCE:CPU"),
        ({"resourceRequirements": [{"type": "GPU", "value": "4"}]}, {}, "RESOURCE:GPU"),
        ({"privileged": True}, {}, "ATTRIBUTE"),
        ({}, {"agent_connected": False}, "AGENT"),
    ],
)
def test_why_a_task_finds_no_place(ecs: Ecs, container: dict[str, Any], instance: dict[str, Any], reason: str) -> None:
    arn = register_instance(ecs, "one", **instance)
    definition = define(ecs, **container)
    failures = [{"arn": arn, "reason": reason}]
    assert run(ecs, definition) == ([], failures)
    started = ecs.client.start_task(cluster=ecs.name, taskDefinition=definition, containerInstances=["one"])
    assert (started["tasks"], started["failures"]) == ([], failures)


def test_a_cluster_without_active_instances(ecs: Ecs) -> None:
    definition = define(ecs)
    nobody = (INVALID, "No Container Instances were found in your cluster.")
    assert refusal(ecs.client.run_task, cluster=ecs.name, taskDefinition=definition) == nobody
    register_instance(ecs, "one", status="DRAINING")
    register_instance(ecs, "two", capacity="EXTERNAL")
    assert refusal(ecs.client.run_task, cluster=ecs.name, taskDefinition=definition) == nobody
    register_instance(ecs, "three")
    assert (
        run(ecs, definition, count=10)[0]
        == [f"{ecs.cluster_arn.replace('cluster/', 'container-instance/')}/three"] * 10
    )


def test_constraints_bind_the_definitions_and_the_requests(ecs: Ecs) -> None:
    blue, red = register_instance(ecs, "blue", {"color": "blue"}), register_instance(ecs, "red", {"color": "red"})
    plain = register_instance(ecs, "plain")
    colored = {"placementConstraints": [{"type": "memberOf", "expression": "attribute:color exists"}]}
    definition = define(ecs, colored)
    not_red = {"type": "memberOf", "expression": "attribute:color != red"}
    member_of = "MemberOf placement constraint unsatisfied."
    by_host = {"type": "spread", "field": "host"}  # not at random: one instance could be full afterwards
    assert Counter(run(ecs, definition, count=8, placementStrategy=[by_host])[0]) == {blue: 4, red: 4}
    assert run(ecs, definition, placementConstraints=[not_red]) == ([blue], [])
    distinct = {"type": "distinctInstance"}
    places, failures = run(ecs, definition, group="mine", count=3, placementConstraints=[distinct])
    assert sorted(places) == sorted([blue, red])
    taken = "DistinctInstance placement constraint unsatisfied."
    assert {each["arn"]: each["reason"] for each in failures} == {blue: taken, red: taken, plain: member_of}
    away = {"type": "memberOf", "expression": "not(task:group == mine)"}
    assert run(ecs, define(ecs), placementConstraints=[away])[0] == [plain]


def test_strategies_alone_and_chained(ecs: Ecs) -> None:
    small = {"name": "MEMORY", "type": "INTEGER", "integerValue": 500}
    cpu = {"name": "CPU", "type": "INTEGER", "integerValue": 1024}
    arns = {}
    for zone in "ab":
        for size in ("small", "large"):
            settings = {"registered_resources": [cpu, small]} if size == "small" else {}
            arns[zone, size] = register_instance(ecs, zone + size, {"ecs.availability-zone": zone}, **settings)
    by_zone, by_memory = {"type": "spread", "field": ZONE}, {"type": "binpack", "field": "memory"}
    definition = define(ecs)
    places, _ = run(ecs, definition, count=10, placementStrategy=[by_zone, by_memory])
    assert Counter(places) == {arns["a", "small"]: 5, arns["b", "small"]: 5}
    by_host = {"type": "spread", "field": "host"}
    places, _ = run(ecs, definition, count=4, group="spread", placementStrategy=[by_host, {"type": "random"}])
    assert Counter(places) == {arns["a", "large"]: 2, arns["b", "large"]: 2}
    places, _ = run(ecs, definition, count=5, placementStrategy=[by_memory])
    assert len(set(places)) == 1


def test_what_placement_parameters_are_refused(ecs: Ecs) -> None:
    register_instance(ecs, "one")
    definition = define(ecs, {"placementConstraints": [{"type": "memberOf", "expression": "attribute:a exists"}]})
    member = {"type": "memberOf", "expression": "attribute:a exists"}
    for request, message in (
        ({"placementConstraints": [member] * 10}, "Maximum number of constraints is 10."),
        (
            {"placementConstraints": [{"type": "distinctInstance", "expression": ""}]},
            "distinctInstance expression should not be specified.",
        ),
        ({"placementConstraints": [{"type": "memberOf"}]}, "memberOf expression should be specified."),
        (
            {"placementConstraints": [{"type": "memberOf", "expression": "attribute:a = b"}]},
            "Invalid expression 'attribute:a = b': expected an operator at position 13.",
        ),
        ({"placementStrategy": [{"type": "random"}] * 6}, "Maximum number of placement strategies is 5."),
        (
            {"placementStrategy": [{"type": "binpack", "field": "disk"}]},
            "The field of a binpack strategy should be one of [cpu,memory], not 'disk'.",
        ),
        (
            {"placementStrategy": [{"type": "spread", "field": "zone"}]},
            "The field of a spread strategy should be instanceId, host or attribute:NAME, not 'zone'.",
        ),
    ):
        answered = refusal(ecs.client.run_task, cluster=ecs.name, taskDefinition=definition, **request)
        assert answered == (INVALID, message)
    ecs.define()
    for request, word in (
        ({"placementConstraints": [{"type": "distinctInstance"}]}, "constraints"),
        ({"placementStrategy": [{"type": "random"}]}, "strategies"),
    ):
        assert refusal(ecs.run, **request) == (INVALID, f"Placement {word} are not supported with FARGATE launch type.")


def test_a_task_definitions_constraints_are_checked_when_it_is_registered(ecs: Ecs) -> None:
    for constraint, message in (
        (
            {"type": "memberOf", "expression": "attribute:a =~ '('"},
            "Invalid expression 'attribute:a =~ '('': '(' is no regular expression that can be used (missing ): () at "
            "position 16.",
        ),
        ({"type": "memberOf"}, "memberOf expression should be specified."),
    ):
        answered = refusal(
            ecs.client.register_task_definition,
            family="bound",
            containerDefinitions=[{"name": "a", "image": "b", "memory": 4}],
            placementConstraints=[constraint],
        )
        assert answered == ("ClientException", message)


def test_two_tasks_never_get_one_host_port(ecs: Ecs) -> None:
    arn = register_instance(ecs, "one")
    definition = define(ecs, memory=10, portMappings=[{"containerPort": 80, "hostPort": 8080}])
    places, failures = run(ecs, definition, count=2)
    assert (places, failures) == ([arn], [{"arn": arn, "reason": "RESOURCE:PORTS"}])
    udp = define(ecs, memory=10, portMappings=[{"containerPort": 80, "hostPort": 8080, "protocol": "udp"}])
    assert run(ecs, udp) == ([arn], [])


def test_an_instance_keeps_at_most_a_hundred_named_ports(ecs: Ecs) -> None:
    arn = register_instance(ecs, "one")
    many = [{"containerPort": port, "hostPort": port} for port in range(1000, 1099)]
    assert run(ecs, define(ecs, portMappings=many)) == ([arn], [])
    one_more = define(ecs, portMappings=[{"containerPort": 80, "hostPort": 80}])
    assert run(ecs, one_more) == ([], [{"arn": arn, "reason": "RESOURCE:PORTS"}])
    assert run(ecs, define(ecs, portMappings=[{"containerPort": 80}])) == ([arn], [])


def test_gpus_are_given_to_containers_by_their_ids(ecs: Ecs) -> None:
    register_instance(ecs, "one")
    definition = define(ecs, resourceRequirements=[{"type": "GPU", "value": "1"}])
    first, second = ecs.client.run_task(cluster=ecs.name, taskDefinition=definition, count=2)["tasks"]
    assert [task["containers"][0]["gpuIds"] for task in (first, second)] == [["GPU-0"], ["GPU-1"]]
    instance = ecs.client.describe_container_instances(cluster=ecs.name, containerInstances=["one"])
    (left,) = [each for each in instance["containerInstances"][0]["remainingResources"] if each["name"] == "GPU"]
    assert left["stringSetValue"] == ["GPU-2"]
    two = {"name": "a", "resourceRequirements": [{"type": "GPU", "value": "2"}]}
    overridden = {"overrides": {"containerOverrides": [two]}}
    assert run(ecs, definition, **overridden)[1][0]["reason"] == "RESOURCE:GPU"
    ecs.change(first["taskArn"], lambda task: replace(task, last_status="STOPPED"))
    answer = ecs.client.start_task(
        cluster=ecs.name, taskDefinition=definition, containerInstances=["one"], **overridden
    )
    assert answer["tasks"][0]["containers"][0]["gpuIds"] == ["GPU-0", "GPU-2"]


def test_an_interface_is_in_its_instance_s_zone(ecs: Ecs) -> None:
    ecs.subnets()
    subnets = {
        each.id: each for each in ec2.default_subnets(ecs.served.context.store.reader, "000000000000", "us-east-1")
    }
    vpc = next(iter(subnets.values())).vpc_id
    enabled = {"ecs.capability.task-eni": "", "com.amazonaws.ecs.capability.docker-remote-api.1.18": ""}

    def instance(name: str, zone: str, **more: str) -> str:
        attributes = {**enabled, "ecs.availability-zone": zone, "ecs.vpc-id": vpc, "ecs.instance-type": "t3.small"}
        return register_instance(ecs, name, {**attributes, **more})

    first, second = instance("first", "us-east-1a"), instance("second", "us-east-1b")
    elsewhere = instance("elsewhere", "us-east-1a", **{"ecs.vpc-id": "vpc-of-another"})
    register_instance(ecs, "old", {"ecs.availability-zone": "us-east-1a"})
    definition = define(ecs, {"networkMode": "awsvpc"}, memory=10)
    asked = {"subnets": [each for each in subnets if subnets[each].availability_zone in ("us-east-1a", "us-east-1c")]}
    request: dict[str, Any] = {
        "cluster": ecs.name,
        "taskDefinition": definition,
        "networkConfiguration": {"awsvpcConfiguration": asked},
    }
    answer = ecs.client.run_task(**request, count=5)
    # A t3.small has three interfaces, one of them its own.
    assert [task["containerInstanceArn"] for task in answer["tasks"]] == [first, first]
    reasons = {each["arn"].rsplit("/")[-1]: each["reason"] for each in answer["failures"]}
    assert reasons == {
        "first": "RESOURCE:ENI",
        "second": "ATTRIBUTE",
        "elsewhere": "ATTRIBUTE",
        "old": "ATTRIBUTE",
    }
    for task in answer["tasks"]:
        assert (task["lastStatus"], task["launchType"], task["availabilityZone"]) == (
            "PROVISIONING",
            "EC2",
            "us-east-1a",
        )
        (attachment,) = task["attachments"]
        (subnet,) = [pair["value"] for pair in attachment["details"] if pair["name"] == "subnetId"]
        assert subnets[subnet].availability_zone == "us-east-1a"
        assert (attachment["type"], attachment["status"]) == ("ElasticNetworkInterface", "PRECREATED")
    started = ecs.client.start_task(**request, containerInstances=["second", "elsewhere"])
    assert started == {
        "tasks": [],
        "failures": [{"arn": second, "reason": "ATTRIBUTE"}, {"arn": elsewhere, "reason": "ATTRIBUTE"}],
        "ResponseMetadata": started["ResponseMetadata"],
    }
    public = {"networkConfiguration": {"awsvpcConfiguration": {**asked, "assignPublicIp": "ENABLED"}}}
    assert refusal(ecs.client.run_task, **{**request, **public}) == (
        INVALID,
        "Assign public IP is not supported for this launch type.",
    )
    external = register_instance(ecs, "external", enabled, capacity="EXTERNAL")
    assert refusal(ecs.client.start_task, **request, containerInstances=[external]) == (
        INVALID,
        "Task definition does not support launch_type EXTERNAL.",
    )


def test_what_cannot_be_had_on_instances_yet_is_refused_by_name(ecs: Ecs) -> None:
    register_instance(ecs, "one")
    for requirement in ({"type": "InferenceAccelerator", "value": "a"}, {"type": "GPU", "value": "ALL"}):
        assert refusal(define, ecs=ecs, resourceRequirements=[requirement])[0] == "NotImplemented"


def test_instances_are_listed_by_a_query(ecs: Ecs) -> None:
    blue = register_instance(ecs, "blue", {"color": "blue"}, ec2_instance_id="i-1", agent_version="1.14.5")
    red = register_instance(ecs, "red", {"color": "red"}, registered_at=1529360908.5, agent_version="1.105.1")
    register_instance(ecs, "gone", {"color": "red"}, status="INACTIVE")
    ecs.client.start_task(cluster=ecs.name, taskDefinition=define(ecs), containerInstances=["red"], group="mine")

    def listed(expression: str, **more: Any) -> list[str]:
        answer = ecs.client.list_container_instances(cluster=ecs.name, filter=expression, **more)
        found: list[str] = answer["containerInstanceArns"]
        return found

    assert listed("attribute:color == red") == [red]
    assert listed("attribute:color == red", status="DRAINING") == []
    assert listed("attribute:color exists") == [blue, red]
    assert listed("agentVersion > 1.14.5") == [red]
    assert listed("ec2InstanceId exists or task:group == mine".replace("exists", "=~ i-.*")) == [blue, red]
    assert listed("registeredAt > 2018-06-18T22:28:27Z") == [red]
    assert listed("task:group == mine and runningTasksCount == 0") == [red]
    answered = refusal(ecs.client.list_container_instances, cluster=ecs.name, filter="attribute:color ==")
    assert answered == (INVALID, "Invalid expression 'attribute:color ==': expected a value at position 19.")
