"""Services with agents on real websockets: kept at their number, deployed, rolled back, drained, deleted."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from dryport.ecs import lifecycle
from dryport.ecs.model import TASKS, Task
from dryport.ecs.services.model import SERVICES
from dryport.store import Transaction
from tests.ecs.control.conftest import MakeAgent
from tests.ecs.control.plane import Plane
from tests.ecs.control.simulated import SimulatedAgent


async def _register(plane: Plane, family: str = "web", **container: Any) -> str:
    made = await plane.api(
        "register_task_definition",
        family=family,
        containerDefinitions=[{"name": "main", "image": "busybox", "memory": 64, **container}],
    )
    arn: str = made["taskDefinition"]["taskDefinitionArn"]
    return arn


async def _create(plane: Plane, **request: Any) -> dict[str, Any]:
    wanted = {"cluster": "demo", "serviceName": "web", "taskDefinition": "web", "desiredCount": 2, **request}
    service: dict[str, Any] = (await plane.api("create_service", **wanted))["service"]
    return service


async def _describe(plane: Plane, name: str = "web") -> dict[str, Any]:
    found: dict[str, Any] = (await plane.api("describe_services", cluster="demo", services=[name]))["services"][0]
    return found


async def _stable(plane: Plane, name: str = "web") -> dict[str, Any]:
    """The service, once the AWS CLI's waiter would be content and the deployment is complete."""
    for _ in range(1000):
        plane.check()
        service = await _describe(plane, name)
        alone = len(service["deployments"]) == 1 and service["runningCount"] == service["desiredCount"]
        if alone and service["deployments"][0]["rolloutState"] == "COMPLETED":
            return service
    raise AssertionError(f"never stable: {service}")


def _tasks(plane: Plane, name: str = "web") -> list[Task]:
    found = plane.store.reader.find(TASKS, "service", f"arn:aws:ecs:us-east-1:000000000000:cluster/demo/service:{name}")
    return [task for task in found if task.desired_status == "RUNNING"]


def _said(service: Any) -> list[str]:
    return [event["message"] for event in service.events]


def _messages(service: dict[str, Any]) -> list[str]:
    return [event["message"] for event in reversed(service["events"])]


async def _instance(plane: Plane, agent: MakeAgent, zone: str = "us-east-1a", **more: Any) -> SimulatedAgent:
    return await agent("demo", **await plane.ec2_instance(zone), **more)


async def test_a_service_comes_to_its_number_and_stays_there(plane: Plane, agent: MakeAgent) -> None:
    host = await _instance(plane, agent)
    definition = await _register(plane)
    made = await _create(plane)
    assert made["status"] == "ACTIVE" and made["events"] == [] and made["launchType"] == "EC2"
    assert (made["desiredCount"], made["runningCount"], made["pendingCount"]) == (2, 0, 0)
    assert made["deploymentConfiguration"] == {
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},
        "maximumPercent": 200,
        "minimumHealthyPercent": 100,
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
    }
    first = made["deployments"][0]
    assert (first["status"], first["rolloutState"], first["taskDefinition"]) == ("PRIMARY", "IN_PROGRESS", definition)
    assert first["rolloutStateReason"] == f"ECS deployment {first['id']} in progress."

    service = await _stable(plane)
    tasks = _tasks(plane)
    assert {task.started_by for task in tasks} == {first["id"]} and {task.group for task in tasks} == {"service:web"}
    ids = " ".join(f"(task {task.arn.rpartition('/')[2]})" for task in tasks)
    assert _messages(service) == [
        f"(service web) has started 2 tasks: {ids}.",
        f"(service web) (deployment {first['id']}) deployment completed.",
        "(service web) has reached a steady state.",
    ]
    assert service["deployments"][0]["rolloutStateReason"] == f"ECS deployment {first['id']} completed."

    lost = tasks[0]
    await host.report(lost.arn, "STOPPED")
    await plane.until(lambda: len(_tasks(plane)) == 2 and lost.arn not in {t.arn for t in _tasks(plane)}, "another one")
    await _stable(plane)


async def test_scaling(plane: Plane, agent: MakeAgent) -> None:
    await _instance(plane, agent)
    await _register(plane)
    await _create(plane, desiredCount=1)
    await _stable(plane)
    answer = await plane.api("update_service", cluster="demo", service="web", desiredCount=4)
    assert answer["service"]["desiredCount"] == 4 and len(answer["service"]["deployments"]) == 1
    await plane.until(lambda: len(_tasks(plane)) == 4, "four")
    await _stable(plane)
    await plane.api("update_service", cluster="demo", service="web", desiredCount=1)
    await plane.until(lambda: len(_tasks(plane)) == 1, "one")
    service = await _stable(plane)
    stopped = (await plane.api("list_tasks", cluster="demo", serviceName="web", desiredStatus="STOPPED"))["taskArns"]
    task = plane.task(stopped[0])
    assert task.stop_code == "ServiceSchedulerInitiated"
    assert task.stopped_reason == f"Scaling activity initiated by (deployment {service['deployments'][0]['id']})"
    assert "has stopped 3 running tasks: (task " in _messages(service)[-2]


async def test_a_rolling_update(plane: Plane, agent: MakeAgent) -> None:
    await _instance(plane, agent)
    await _register(plane)
    await _create(plane)
    before = await _stable(plane)
    second = await _register(plane)
    update = await plane.api("update_service", cluster="demo", service="web", taskDefinition=second)
    new, old = update["service"]["deployments"]
    assert (new["status"], old["status"], old["id"]) == ("PRIMARY", "ACTIVE", before["deployments"][0]["id"])
    after = await _stable(plane)
    assert after["taskDefinition"] == second
    assert {task.task_definition_arn for task in _tasks(plane)} == {second}
    history = (await plane.api("list_service_deployments", cluster="demo", service="web"))["serviceDeployments"]
    assert [each["status"] for each in history] == ["SUCCESSFUL", "SUCCESSFUL"]
    arns = [each["serviceDeploymentArn"] for each in history]
    full = (await plane.api("describe_service_deployments", serviceDeploymentArns=arns))["serviceDeployments"][0]
    assert full["sourceServiceRevisions"] == before["currentServiceRevisions"]
    assert full["targetServiceRevision"]["arn"] == after["currentServiceRevisions"][0]["arn"]
    assert full["deploymentCircuitBreaker"] == {"status": "DISABLED", "failureCount": 0, "threshold": 3}
    revisions = await plane.api(
        "describe_service_revisions", serviceRevisionArns=[full["targetServiceRevision"]["arn"], "arn:gone"]
    )
    assert revisions["serviceRevisions"][0]["taskDefinition"] == second
    assert revisions["failures"] == [{"arn": "arn:gone", "reason": "MISSING"}]


async def test_an_update_that_changes_nothing_of_the_tasks_is_no_deployment(plane: Plane, agent: MakeAgent) -> None:
    await _instance(plane, agent)
    await _register(plane)
    await _create(plane)
    before = await _stable(plane)
    same = await plane.api("update_service", cluster="demo", service="web", taskDefinition="web", desiredCount=2)
    assert [each["id"] for each in same["service"]["deployments"]] == [before["deployments"][0]["id"]]
    forced = await plane.api("update_service", cluster="demo", service="web", forceNewDeployment=True)
    assert len(forced["service"]["deployments"]) == 2
    await _stable(plane)


async def test_the_circuit_breaker_rolls_back(plane: Plane, agent: MakeAgent) -> None:
    host = await _instance(plane, agent)
    await _register(plane)
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    await _create(plane, deploymentConfiguration=breaker)
    before = await _stable(plane)
    kept = {task.arn for task in _tasks(plane)}
    host.obedient = False
    broken = await _register(plane, image="broken")
    await plane.api("update_service", cluster="demo", service="web", taskDefinition=broken)
    failed: set[str] = set()
    for _ in range(3):
        fresh = await plane.until(
            lambda: {t.arn for t in _tasks(plane)} & set(host.tasks) - kept - failed, "a task to fail", seconds=30
        )
        arn = fresh.pop()
        failed.add(arn)
        await host.report(arn, "STOPPED", reason="CannotPullContainerError: no")
    host.obedient = True
    for arn in [t.arn for t in _tasks(plane) if t.arn not in kept and t.arn in host.tasks]:
        await host.report(arn, "STOPPED")
    after = await _stable(plane)
    old = before["deployments"][0]["id"]
    assert after["taskDefinition"] == before["taskDefinition"] and after["deployments"][0]["id"] == old
    assert {task.arn for task in _tasks(plane)} == kept
    said = _messages(after)
    assert any(each.endswith("deployment failed: tasks failed to start.") for each in said)
    assert f"(service web) rolling back to deployment {old}." in said
    history = (await plane.api("list_service_deployments", cluster="demo", service="web"))["serviceDeployments"]
    assert [each["status"] for each in history] == ["ROLLBACK_SUCCESSFUL", "SUCCESSFUL"]


async def test_a_service_backs_off_from_tasks_that_never_run(plane: Plane, agent: MakeAgent) -> None:
    host = await _instance(plane, agent)
    await _register(plane)
    await _create(plane, desiredCount=1)
    await _stable(plane)
    kept = _tasks(plane)[0].arn
    host.obedient = False
    await plane.api("update_service", cluster="demo", service="web", desiredCount=2)
    failed = {kept}
    for _ in range(2):
        fresh = await plane.until(lambda: {t.arn for t in _tasks(plane)} & set(host.tasks) - failed, "a task to fail")
        failed.update(fresh)
        await host.report(fresh.pop(), "STOPPED", reason="CannotPullContainerError: no")
    for _ in range(500):
        service = await _describe(plane)
        if service["deployments"][0]["failedTasks"] == 2:
            break
    assert service["deployments"][0]["failedTasks"] == 2
    assert "is unable to consistently start tasks successfully." in service["events"][0]["message"]
    assert {task.arn for task in _tasks(plane)} == {kept}, "the next one waits"
    stored = plane.store.reader.get(SERVICES, service["serviceArn"])
    assert stored is not None and stored.primary.retry_at > plane.clock.time()


async def test_a_deployment_can_be_stopped(plane: Plane, agent: MakeAgent) -> None:
    host = await _instance(plane, agent)
    await _register(plane)
    await _create(plane)
    before = await _stable(plane)
    host.obedient = False
    await plane.api("update_service", cluster="demo", service="web", forceNewDeployment=True)
    under_way = (await _describe(plane))["currentServiceDeployment"]
    await plane.api("stop_service_deployment", serviceDeploymentArn=under_way)
    host.obedient = True
    for arn in [arn for arn in host.tasks if plane.task(arn).last_status == "PENDING"]:
        await host.report(arn, "STOPPED")
    after = await _stable(plane)
    assert after["deployments"][0]["id"] == before["deployments"][0]["id"]
    with pytest.raises(ClientError, match="ConflictException"):
        await plane.api("stop_service_deployment", serviceDeploymentArn=under_way)


async def test_what_cannot_be_placed_is_said_and_placed_once_it_can(plane: Plane, agent: MakeAgent) -> None:
    await _register(plane)
    await _create(plane)
    found = await plane.until(lambda: plane.store.reader.count(TASKS) == 0, "nothing")
    assert found
    for _ in range(200):
        service = await _describe(plane)
        if service["events"]:
            break
    assert _messages(service) == [
        "(service web) was unable to place a task because no container instance met all of its requirements. Reason: "
        "No Container Instances were found in your cluster. For more information, see the Troubleshooting section of "
        "the Amazon ECS Developer Guide."
    ]
    await _instance(plane, agent)
    await _stable(plane)


async def test_the_closest_instance_is_named(plane: Plane, agent: MakeAgent) -> None:
    machine = await plane.ec2_instance("us-east-1a")
    await agent("demo", **{**machine, "attributes": []})  # it has neither the attribute nor the memory
    near = await _instance(plane, agent, "us-east-1b")
    await _register(plane, memory=64_000, dockerLabels={"a": "b"})  # labels ask for a capability
    await _create(plane, desiredCount=1)
    for _ in range(200):
        service = await _describe(plane)
        if service["events"]:
            break
    identifier = near.arn.rpartition("/")[2]
    assert (
        f"The closest matching (container-instance {identifier}) has insufficient memory available."
        in (service["events"][0]["message"])
    )


async def test_the_default_spreads_over_zones(plane: Plane, agent: MakeAgent) -> None:
    for zone in ("us-east-1a", "us-east-1b"):
        await _instance(plane, agent, zone)
    await _register(plane)
    await _create(plane, desiredCount=4)
    await _stable(plane)
    zones = [task.availability_zone or "" for task in _tasks(plane)]
    assert sorted(zones) == ["us-east-1a"] * 2 + ["us-east-1b"] * 2
    await plane.api("update_service", cluster="demo", service="web", desiredCount=2)
    await plane.until(lambda: len(_tasks(plane)) == 2, "two")
    assert {task.availability_zone for task in _tasks(plane)} == {"us-east-1a", "us-east-1b"}


async def test_a_drained_instance_gives_its_tasks_away_first(plane: Plane, agent: MakeAgent) -> None:
    first = await _instance(plane, agent)
    await _register(plane)
    await _create(plane)
    await _stable(plane)
    second = await _instance(plane, agent, "us-east-1b")
    await plane.api(
        "update_container_instances_state", cluster="demo", containerInstances=[first.arn], status="DRAINING"
    )
    await plane.until(lambda: {t.instance_arn for t in _tasks(plane)} == {second.arn}, "all of them over there")
    await _stable(plane)


async def test_zones_are_balanced_once_they_can_be(plane: Plane, agent: MakeAgent) -> None:
    await _instance(plane, agent)
    await _register(plane)
    assert (await _create(plane, desiredCount=4))["availabilityZoneRebalancing"] == "ENABLED"
    await _stable(plane)
    await _instance(plane, agent, "us-east-1b")

    def zones() -> list[str]:
        return sorted(task.availability_zone or "" for task in _tasks(plane))

    await plane.until(lambda: zones() == ["us-east-1a"] * 2 + ["us-east-1b"] * 2, "two in each")
    balanced = "(service web) is AZ balanced with 2 tasks in us-east-1a, and 2 tasks in us-east-1b."
    stored = plane.store.reader.all
    await plane.until(lambda: any(balanced in _said(each) for each in stored(SERVICES)), "that it is said")
    service = await _stable(plane)
    said = _messages(service)
    start = "(service web) is not AZ balanced with 4 tasks in us-east-1a, and 0 tasks in us-east-1b. AZ Rebalancing in "
    assert f"{start}progress." in said


async def test_a_daemon_runs_everywhere(plane: Plane, agent: MakeAgent) -> None:
    await _register(plane)
    made = await plane.api(
        "create_service", cluster="demo", serviceName="watch", taskDefinition="web", schedulingStrategy="DAEMON"
    )
    assert made["service"]["deploymentConfiguration"]["maximumPercent"] == 100
    hosts = [await _instance(plane, agent, zone) for zone in ("us-east-1a", "us-east-1b")]
    await plane.until(lambda: len(_tasks(plane, "watch")) == 2, "one each")
    assert {task.instance_arn for task in _tasks(plane, "watch")} == {host.arn for host in hosts}
    service = await _stable(plane, "watch")
    assert service["desiredCount"] == 2
    await plane.api("update_service", cluster="demo", service="watch", forceNewDeployment=True)
    await _stable(plane, "watch")
    await plane.api(
        "update_container_instances_state", cluster="demo", containerInstances=[hosts[0].arn], status="DRAINING"
    )
    await plane.until(lambda: [t.instance_arn for t in _tasks(plane, "watch")] == [hosts[1].arn], "one left")
    with pytest.raises(ClientError, match="does not support a desired count"):
        await plane.api("update_service", cluster="demo", service="watch", desiredCount=1)


async def test_unhealthy_tasks_are_replaced(plane: Plane, agent: MakeAgent) -> None:
    await _instance(plane, agent)
    await _register(plane)
    await _create(plane, desiredCount=1)
    await _stable(plane)
    sick = _tasks(plane)[0]

    def sicken(tx: Transaction) -> None:
        task = tx.get(TASKS, sick.arn)
        assert task is not None
        tx.put(TASKS, replace(task, health_status="UNHEALTHY"))

    await plane.store.transact(sicken)
    await plane.until(lambda: plane.task(sick.arn).desired_status == "STOPPED", "it stops")
    assert plane.task(sick.arn).stopped_reason == lifecycle.FAILED_HEALTH_CHECKS
    await _stable(plane)
    assert len(_tasks(plane)) == 1


async def test_on_fargate(plane: Plane, agent: MakeAgent) -> None:
    await agent()
    containers = [{"name": "main", "image": "busybox"}]
    await plane.api("register_task_definition", family="far", networkMode="awsvpc", cpu="256", memory="512",
                    requiresCompatibilities=["FARGATE"], containerDefinitions=containers)  # fmt: skip
    await plane.api("put_cluster_capacity_providers", cluster="demo", capacityProviders=["FARGATE", "FARGATE_SPOT"],
                    defaultCapacityProviderStrategy=[])  # fmt: skip
    network = {"awsvpcConfiguration": {"subnets": [subnet.id for subnet in plane.subnets()]}}
    strategy = [
        {"capacityProvider": "FARGATE", "base": 1, "weight": 1},
        {"capacityProvider": "FARGATE_SPOT", "weight": 1},
    ]
    await _create(plane, serviceName="far", taskDefinition="far", desiredCount=3, capacityProviderStrategy=strategy,
                  networkConfiguration=network, propagateTags="SERVICE", enableECSManagedTags=True,
                  tags=[{"key": "team", "value": "a"}])  # fmt: skip
    service = await _stable(plane, "far")
    assert service["platformVersion"] == "LATEST" and "launchType" not in service
    tasks = _tasks(plane, "far")
    assert sorted(task.capacity_provider or "" for task in tasks) == ["FARGATE", "FARGATE", "FARGATE_SPOT"]
    assert len({task.availability_zone for task in tasks}) == 3
    assert tasks[0].tags == [
        {"key": "aws:ecs:clusterName", "value": "demo"},
        {"key": "aws:ecs:serviceName", "value": "far"},
        {"key": "team", "value": "a"},
    ]


async def test_a_control_plane_that_is_killed_in_a_deployment_carries_on(plane: Plane, agent: MakeAgent) -> None:
    host = await _instance(plane, agent)
    await _register(plane)
    await _create(plane, desiredCount=3)
    await _stable(plane)
    await plane.api("update_service", cluster="demo", service="web", forceNewDeployment=True)
    await host.disconnect()
    await plane.restart(kill=True)
    await host.register()
    await host.connect()
    await _stable(plane)
    assert len(_tasks(plane)) == 3 and len({task.started_by for task in _tasks(plane)}) == 1


async def test_deleting(plane: Plane, agent: MakeAgent) -> None:
    host = await _instance(plane, agent)
    await _register(plane)
    await _create(plane)
    await _stable(plane)
    with pytest.raises(ClientError, match="cannot be stopped while it is scaled above 0"):
        await plane.api("delete_service", cluster="demo", service="web")
    assert (await plane.api("list_services", cluster="demo"))["serviceArns"] == [
        "arn:aws:ecs:us-east-1:000000000000:service/demo/web"
    ]
    counts = (await plane.api("describe_clusters", clusters=["demo"]))["clusters"][0]
    assert counts["activeServicesCount"] == 1
    host.obedient = False  # its tasks go on until the test says so
    gone = await plane.api("delete_service", cluster="demo", service="web", force=True)
    assert gone["service"]["status"] == "DRAINING"
    with pytest.raises(ClientError, match="Unable to Start a service that is still Draining"):
        await _create(plane)
    for task in host.tasks:
        await host.report(task, "STOPPED")
    for _ in range(500):
        service = await _describe(plane)
        if service["status"] == "INACTIVE":
            break
    assert service["status"] == "INACTIVE" and service["deployments"] == []
    assert (await plane.api("list_services", cluster="demo"))["serviceArns"] == []
    with pytest.raises(ClientError, match="ServiceNotActiveException"):
        await plane.api("update_service", cluster="demo", service="web", desiredCount=1)
    assert (await _create(plane))["status"] == "ACTIVE"


async def test_refusals(plane: Plane, agent: MakeAgent) -> None:
    await _register(plane)
    made = await _create(plane, clientToken="one")
    assert (await _create(plane, clientToken="one"))["serviceArn"] == made["serviceArn"]
    cases: dict[str, dict[str, Any]] = {
        "Creation of service was not idempotent.": {},
        "TaskDefinition not found.": {"serviceName": "b", "taskDefinition": "nothing"},
        "Both maximumPercent and minimumHealthyPercent cannot be 100": {
            "serviceName": "b",
            "deploymentConfiguration": {"maximumPercent": 100, "minimumHealthyPercent": 100},
        },
        "CODE_DEPLOY": {"serviceName": "b", "deploymentController": {"type": "CODE_DEPLOY"}},
    }
    for words, request in cases.items():
        with pytest.raises(ClientError, match=words):
            await _create(plane, **request)
    volumes = [{"name": "data", "configuredAtLaunch": True}]
    mounted = {"mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}]}
    container = {"name": "main", "image": "busybox", "memory": 64, **mounted}
    await plane.api("register_task_definition", family="kept", containerDefinitions=[container], volumes=volumes)
    volume = {"name": "data", "managedEBSVolume": {"sizeInGiB": 1, "roleArn": "arn:aws:iam::000000000000:role/a"}}
    kept: dict[str, dict[str, Any]] = {
        "must be configured at launch": {},
        "do not match a volume": {"volumeConfigurations": [{**volume, "name": "other"}]},
        "daemon scheduling strategy does not support volume": {
            "schedulingStrategy": "DAEMON",
            "volumeConfigurations": [volume],
        },
    }
    for words, request in kept.items():
        wanted = {"cluster": "demo", "serviceName": "kept", "taskDefinition": "kept", **request}
        if "schedulingStrategy" not in request:
            wanted["desiredCount"] = 1
        with pytest.raises(ClientError, match=words):
            await plane.api("create_service", **wanted)
    with pytest.raises(ClientError, match="ClusterContainsServicesException"):
        await plane.api("delete_cluster", cluster="demo")
    described = await plane.api("describe_services", cluster="demo", services=["web", "none"])
    assert described["failures"] == [
        {"arn": "arn:aws:ecs:us-east-1:000000000000:service/demo/none", "reason": "MISSING"}
    ]
    with pytest.raises(ClientError, match="ServiceNotFoundException"):
        await plane.api("update_service", cluster="demo", service="none", desiredCount=1)


async def test_the_tasks_of_a_service_that_has_none_yet_are_none(plane: Plane) -> None:
    await _register(plane)
    await _create(plane)
    assert await plane.api("list_tasks", cluster="demo", serviceName="web") == {"taskArns": []}
    with pytest.raises(ClientError, match="ServiceNotFoundException"):
        await plane.api("list_tasks", cluster="demo", serviceName="other")
