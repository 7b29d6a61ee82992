"""RegisterTaskDefinition's rules, defaults and derived members."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dryport.aws.errors import ServiceError
from dryport.ecs.taskdef import dependencies, register, sizes
from dryport.ecs.taskdef.register import normalize

ROLE = "arn:aws:iam::000000000000:role/execution"
ECR = "000000000000.dkr.ecr.us-east-1.localhost:4566/app:1"
AWSLOGS = {"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-region": "us-east-1"}}
patient = settings(deadline=None, max_examples=80)


def container(**settings: Any) -> dict[str, Any]:
    return {"name": "app", "image": "busybox", "memory": 128, **settings}


def on_instances(*containers: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"family": "f", "containerDefinitions": list(containers) or [container()], **settings}


def on_fargate(*containers: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {
        **on_instances(*containers),
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        **settings,
    }


def refused(request: dict[str, Any]) -> str:
    with pytest.raises(ServiceError) as caught:
        normalize(request)
    assert caught.value.code == "ClientException"
    return caught.value.message


def test_what_is_left_out_is_filled_in() -> None:
    check = {"command": ["CMD-SHELL", "true"]}
    body = normalize(on_fargate(container(portMappings=[{"containerPort": 80}], healthCheck=check)))
    assert body == {
        "family": "f",
        "containerDefinitions": [
            {
                "name": "app",
                "image": "busybox",
                "memory": 128,
                "cpu": 0,
                "essential": True,
                "portMappings": [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}],
                "environment": [],
                "mountPoints": [],
                "volumesFrom": [],
                "systemControls": [],
                "healthCheck": {**check, "interval": 30, "timeout": 5, "retries": 3},
            }
        ],
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "volumes": [],
        "placementConstraints": [],
        "enableFaultInjection": False,
        "compatibilities": ["EC2", "FARGATE"],
        "requiresAttributes": [
            {"name": "com.amazonaws.ecs.capability.docker-remote-api.1.24"},
            {"name": "ecs.capability.container-health-check"},
            {"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"},
            {"name": "ecs.capability.task-eni"},
        ],
    }


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (on_instances(family="a b"), "Family contains invalid characters."),
        ({"family": "f", "containerDefinitions": []}, "Container list cannot be empty."),
        (on_instances(*[container(name=f"c{n}") for n in range(11)]), "Too many containers."),
        (on_instances(container(), container()), "Container names must be unique within a task definition."),
        (on_instances(container(essential=False)), "Task definition doesn't have any essential container."),
        (on_instances({"name": "app", "memory": 4}), "Container.image should not be null or empty."),
        (on_instances({"image": "x", "memory": 4}), "Container.name should not be null or empty."),
        (
            on_instances({"name": "app", "image": "x"}),
            "Invalid setting for container 'app'. At least one of 'memory' or 'memoryReservation' must be specified.",
        ),
        (
            on_instances(container(memoryReservation=129)),
            "Invalid setting for container 'app'. 'memory' must be greater than or equal to 'memoryReservation'.",
        ),
        (on_instances(memory="64"), "The 'memory' setting for container 'app' is greater than for the task."),
        (
            on_instances(container(cpu=200), container(name="b", cpu=57), cpu="256"),
            "The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'.",
        ),
        (
            on_instances(container(dependsOn=[{"containerName": "b", "condition": "START"}])),
            "Cannot depend on container + 'b' because it does not exist",
        ),
        (
            on_instances(container(dependsOn=[{"containerName": "b", "condition": "SUCCESS"}]), container(name="b")),
            "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container",
        ),
        (
            on_instances(container(dependsOn=[{"containerName": "b", "condition": "HEALTHY"}]), container(name="b")),
            "A dependency container with HEALTHY condition must have health check configured",
        ),
        (
            on_instances(
                container(dependsOn=[{"containerName": "b", "condition": "START"}]),
                container(name="b", dependsOn=[{"containerName": "app", "condition": "START"}]),
            ),
            "Container dependsOn contains a cycle.",
        ),
        (on_instances(container(mountPoints=[{"sourceVolume": "v", "containerPath": "/v"}])), "Unknown volume 'v'."),
        (
            on_instances(container(volumesFrom=[{"sourceContainer": "b"}])),
            "Invalid 'volumesFrom' setting. Unknown container: 'b'",
        ),
        (
            on_instances(container(secrets=[{"name": "S", "valueFrom": "p"}])),
            "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.",
        ),
        (
            on_instances(container(logConfiguration={"logDriver": "awslogs"})),
            "Log driver awslogs requires options: awslogs-region, awslogs-group",
        ),
        (
            on_instances(container(portMappings=[{"containerPort": 80, "hostPort": 81}]), networkMode="host"),
            "When networkMode=host, the host ports and container ports in port mappings must match.",
        ),
        (
            on_fargate(container(portMappings=[{"containerPort": 80, "hostPort": 81}])),
            "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
        ),
        (
            on_fargate(container(portMappings=[{"containerPort": 80}, {"containerPort": 80, "protocol": "udp"}])),
            "The container port is used multiple times in task: 80.",
        ),
        (
            on_fargate(container(portMappings=[{"containerPortRange": "90-80"}])),
            "Invalid 'containerPortRange' setting: 90-80.",
        ),
        (on_fargate(container(links=["b"])), "Links are not supported when networkMode=awsvpc."),
        (
            on_fargate(container(hostname="h")),
            "hostname is not supported on container when networkMode=awsvpc.",
        ),
        (
            on_instances(container(restartPolicy={"enabled": True, "restartAttemptPeriod": 59})),
            "The 'restartAttemptPeriod' setting for container 'app' must be between 60 and 1800.",
        ),
        (
            on_instances(container(startTimeout=1)),
            "Granular start timeout on container 'app' must be at least 2 seconds.",
        ),
        (
            on_instances(
                container(systemControls=[{"namespace": "net.core.somaxconn", "value": "1"}]), networkMode="host"
            ),
            "Network namespaced systemControls are not supported when networkMode=host.",
        ),
        (on_fargate(ephemeralStorage={"sizeInGiB": 20}), "EphemeralStorage size should be at least 21"),
        (on_fargate(ephemeralStorage={"sizeInGiB": 201}), "EphemeralStorage size should be at most 200"),
    ],
)
def test_what_no_task_definition_may_say(request_: dict[str, Any], message: str) -> None:
    assert refused(request_) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"networkMode": "bridge"}, "Fargate only supports network mode ‘awsvpc’."),
        ({"cpu": None}, "Fargate requires that 'cpu' be defined at the task level."),
        ({"memory": None}, "Fargate requires that 'memory' be defined at the task level."),
        (
            {"memory": "4096"},
            "No Fargate configuration exists for given values: 256 CPU, 4096 memory. See the Amazon ECS documentation "
            "for the valid values.",
        ),
        ({"ipcMode": "task"}, "Tasks using the Fargate launch type do not support ipcMode."),
        (
            {"placementConstraints": [{"type": "memberOf", "expression": "attribute:a == b"}]},
            "Fargate compatible task definitions do not support constraints",
        ),
        (
            {"volumes": [{"name": "v", "host": {"sourcePath": "/tmp"}}]},
            "Fargate compatible task definitions do not support sourcePath",
        ),
        (
            {"volumes": [{"name": "v", "dockerVolumeConfiguration": {}}]},
            "Fargate compatible task definitions do not support dockerVolumeConfiguration",
        ),
    ],
)
def test_what_a_task_definition_may_not_say_on_fargate(change: dict[str, Any], message: str) -> None:
    request = {name: value for name, value in {**on_fargate(), **change}.items() if value is not None}
    assert refused(request) == message
    if "memory" in request:
        # The same is fine, and said to be, on instances.
        del request["requiresCompatibilities"]
        assert "FARGATE" not in normalize(request)["compatibilities"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"privileged": True}, "Fargate requires that the 'privileged' setting be 'false'."),
        ({"image": ECR}, "Fargate requires task definition to have execution role ARN to support ECR images."),
        (
            {"logConfiguration": AWSLOGS},
            "Fargate requires task definition to have execution role ARN to support log driver awslogs.",
        ),
        (
            {"logConfiguration": {"logDriver": "syslog"}},
            "syslog is not a valid log driver. Must be one of [awslogs,splunk,awsfirelens]",
        ),
        (
            {"linuxParameters": {"sharedMemorySize": 64}},
            "Fargate compatible task definitions do not support sharedMemorySize",
        ),
        ({"linuxParameters": {"capabilities": {"add": ["NET_ADMIN"]}}}, "NET_ADMIN is not allowed on Fargate."),
        (
            {"resourceRequirements": [{"type": "GPU", "value": "1"}]},
            "Tasks using the Fargate launch type do not support GPU resource requirements.",
        ),
        (
            {"stopTimeout": 121},
            "Tasks using the Fargate launch type must have a container stop timeout of less than 120 seconds.",
        ),
    ],
)
def test_what_a_container_may_not_be_on_fargate(setting: dict[str, Any], message: str) -> None:
    assert refused(on_fargate(container(**setting))) == message


def test_a_definition_is_no_longer_than_64_kib() -> None:
    message = refused(on_instances(container(command=["x" * 65536])))
    assert message.startswith("Actual length: '65")
    assert message.endswith("'. Max allowed length is '65536' bytes.")


def test_compatibilities() -> None:
    assert normalize(on_instances())["compatibilities"] == ["EXTERNAL", "EC2"]
    assert normalize(on_instances(networkMode="awsvpc"))["compatibilities"] == ["EC2"]
    assert normalize(on_fargate())["compatibilities"] == ["EC2", "FARGATE"]


def test_the_attributes_that_a_task_asks_of_its_instance() -> None:
    create = {**AWSLOGS, "options": {**AWSLOGS["options"], "awslogs-create-group": "true"}}  # type: ignore[dict-item]
    app = container(image=ECR, logConfiguration=create, secrets=[{"name": "S", "valueFrom": "arn:aws:ssm:::p"}])
    body = normalize(on_fargate(app, executionRoleArn=ROLE, taskRoleArn=ROLE))
    assert {attribute["name"] for attribute in body["requiresAttributes"]} == {
        "com.amazonaws.ecs.capability.logging-driver.awslogs",
        "ecs.capability.execution-role-awslogs",
        "com.amazonaws.ecs.capability.docker-remote-api.1.19",
        "com.amazonaws.ecs.capability.docker-remote-api.1.29",
        "com.amazonaws.ecs.capability.ecr-auth",
        "ecs.capability.execution-role-ecr-pull",
        "ecs.capability.secrets.ssm.environment-variables",
        "com.amazonaws.ecs.capability.task-iam-role",
        "com.amazonaws.ecs.capability.docker-remote-api.1.18",
        "ecs.capability.task-eni",
    }


@pytest.mark.parametrize(
    ("cpu", "memory"), [("256", "512"), (".25 vCPU", "0.5GB"), ("0.25vcpu", "0.5 gb"), ("256", " 512 ")]
)
def test_sizes_are_kept_in_units_and_mib(cpu: str, memory: str) -> None:
    body = normalize(on_fargate(cpu=cpu, memory=memory))
    assert (body["cpu"], body["memory"]) == ("256", "512")


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "1.5", "1 GHz", "½ vCPU", "256\n512"])
def test_a_size_that_is_none(text: str) -> None:
    with pytest.raises(ServiceError, match="Invalid 'cpu' setting for task"):
        sizes.cpu_units(text)


@patient
@given(st.text(max_size=12))
def test_any_text_is_a_size_or_refused(text: str) -> None:
    for parse in (sizes.cpu_units, sizes.memory_mib):
        try:
            assert parse(text) > 0
        except ServiceError as error:
            assert error.code == "ClientException"


def test_fargates_table() -> None:
    def fits(cpu: int, memory: int) -> bool:
        try:
            sizes.check_fargate(cpu, memory)
        except ServiceError:
            return False
        return True

    assert fits(256, 2048) and not fits(256, 1536)
    assert fits(4096, 30 * 1024) and not fits(4096, 31 * 1024)
    assert fits(8192, 20 * 1024) and not fits(8192, 18 * 1024)
    assert fits(16384, 120 * 1024) and not fits(16384, 36 * 1024)
    assert not fits(300, 512)


names = st.sampled_from("abcde")


@patient
@given(st.dictionaries(names, st.lists(names, max_size=3), max_size=5))
def test_a_cycle_is_a_walk_that_comes_back(edges: dict[str, list[str]]) -> None:
    def reaches(start: str) -> set[str]:
        seen: set[str] = set()
        todo = list(edges.get(start, ()))
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += edges.get(name, ())
        return seen

    assert dependencies.has_cycle(edges) == any(name in reaches(name) for name in edges)


containers = st.builds(
    container,
    portMappings=st.lists(
        st.fixed_dictionaries(
            {"containerPort": st.integers(0, 65536)},
            optional={"hostPort": st.integers(-1, 65536), "protocol": st.sampled_from(("tcp", "udp"))},
        ),
        max_size=3,
    ),
    cpu=st.integers(0, 300),
    essential=st.booleans(),
    environment=st.lists(
        st.fixed_dictionaries({"name": st.text(max_size=3), "value": st.text(max_size=3)}), max_size=2
    ),
    healthCheck=st.fixed_dictionaries(
        {"command": st.just(["CMD", "true"])},
        optional={"interval": st.integers(4, 301), "retries": st.integers(0, 11)},
    ),
    restartPolicy=st.fixed_dictionaries({"enabled": st.booleans()}),
    name=st.sampled_from(("app", "b", "c", "d e")),
)
requests = st.fixed_dictionaries(
    {"family": st.just("f"), "containerDefinitions": st.lists(containers, max_size=3)},
    optional={
        "networkMode": st.sampled_from(("none", "bridge", "host", "awsvpc")),
        "cpu": st.sampled_from(("256", "1 vCPU", "x")),
        "memory": st.sampled_from(("512", "2GB", "x")),
        "volumes": st.lists(st.fixed_dictionaries({"name": st.sampled_from(("v", "w", ""))}), max_size=2),
    },
)


@patient
@given(requests)
def test_what_is_described_can_be_registered_again_and_is_the_same(request_: dict[str, Any]) -> None:
    try:
        body = normalize(request_)
    except ServiceError as error:
        assert error.code == "ClientException"
        return
    derived = ("compatibilities", "requiresAttributes")
    assert normalize({name: value for name, value in body.items() if name not in derived}) == body


def test_the_request_is_left_as_it_was() -> None:
    ports = [{"containerPort": 80}]
    request = on_fargate(container(portMappings=ports))
    first = register.normalize(request)
    first["containerDefinitions"][0]["environment"].append({"name": "A", "value": "1"})
    assert ports == [{"containerPort": 80}]
    assert register.normalize(request)["containerDefinitions"][0]["environment"] == []
