"""CloudWatch alarms end deployments: with agents on real websockets, and CloudWatch behind the same gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dryport.cloudwatch.room import room as cloudwatch
from tests.ecs.control.conftest import MakeAgent
from tests.ecs.control.plane import Plane

DEMO = {"cluster": "demo"}


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    made = await Plane(tmp_path, rooms=[cloudwatch]).start()
    yield made
    await made.stop()


async def _alarm(plane: Plane, name: str = "errors", **more: Any) -> None:
    alarm = {
        "Namespace": "Shop", "MetricName": name, "Statistic": "Sum", "Period": 10, "EvaluationPeriods": 1,
        "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
    }  # fmt: skip
    await plane.call("cloudwatch", "put_metric_alarm", AlarmName=name, **(alarm | more))


async def _set(plane: Plane, state: str, name: str = "errors") -> None:
    await plane.call("cloudwatch", "set_alarm_state", AlarmName=name, StateValue=state, StateReason="a test")


def _watched(*names: str, rollback: bool = True) -> dict[str, Any]:
    return {"alarms": {"alarmNames": list(names), "enable": True, "rollback": rollback}}


async def _service(plane: Plane) -> dict[str, Any]:
    found: dict[str, Any] = (await plane.api("describe_services", services=["web"], **DEMO))["services"][0]
    return found


async def _until(plane: Plane, state: str, seconds: float = 40) -> dict[str, Any]:
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        plane.check()
        service = await _service(plane)
        primary = service["deployments"][0]
        settled = service["runningCount"] == service["desiredCount"] or state != "COMPLETED"
        if primary["rolloutState"] == state and settled:
            return service
        await asyncio.sleep(0.05)
    raise AssertionError(service)


async def _running(plane: Plane, deployment: str) -> None:
    """Wait until a deployment has all of its tasks, and no other has one."""
    for _ in range(400):
        plane.check()
        service = await _service(plane)
        counts = {each["id"]: each["runningCount"] for each in service["deployments"]}
        if counts.pop(deployment) == service["desiredCount"] and not any(counts.values()):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(service)


async def _history(plane: Plane) -> list[dict[str, Any]]:
    """The service's deployments, the latest first."""
    listed = (await plane.api("list_service_deployments", service="web", **DEMO))["serviceDeployments"]
    arns = [each["serviceDeploymentArn"] for each in listed]
    described = await plane.api("describe_service_deployments", serviceDeploymentArns=arns)
    return sorted(described["serviceDeployments"], key=lambda each: each["createdAt"], reverse=True)


async def _begin(plane: Plane, agent: MakeAgent, configuration: dict[str, Any]) -> dict[str, Any]:
    """A service that runs, and an update of it with this configuration that has its tasks."""
    await agent("demo", **await plane.ec2_instance("us-east-1a"))
    container = {"name": "main", "image": "busybox", "memory": 64}
    for _ in range(2):
        await plane.api("register_task_definition", family="web", containerDefinitions=[container])
    await plane.api("create_service", serviceName="web", taskDefinition="web:1", desiredCount=2, **DEMO)
    await _until(plane, "COMPLETED")
    updated = await plane.api(
        "update_service", service="web", taskDefinition="web:2", deploymentConfiguration=configuration, **DEMO
    )
    service: dict[str, Any] = updated["service"]
    await _running(plane, service["deployments"][0]["id"])
    return service


async def test_an_alarm_rolls_a_deployment_back(plane: Plane, agent: MakeAgent) -> None:
    await _alarm(plane)
    await _alarm(plane, "latency")
    updated = await _begin(plane, agent, _watched("errors", "latency"))
    new, old = updated["deployments"]
    assert updated["deploymentConfiguration"]["alarms"] == _watched("errors", "latency")["alarms"]
    [deployment, _] = await _history(plane)
    assert deployment["alarms"] == {"status": "MONITORING", "alarmNames": ["errors", "latency"]}
    assert deployment["status"] == "IN_PROGRESS", "it bakes"

    await _set(plane, "ALARM")
    await plane.until(lambda: any("rolling back" in each for each in _said(plane)), "the rollback")
    assert f"(service web) (deployment {new['id']}) deployment failed: alarm detected." in _said(plane)
    assert f"(service web) rolling back to deployment {old['id']}." in _said(plane)
    after = await _until(plane, "COMPLETED")
    assert after["deployments"][0]["id"] == old["id"], "earlier deployments stay until the bake time is over"
    assert after["taskDefinition"].endswith(":1")
    [deployment, first] = await _history(plane)
    assert deployment["alarms"] == {
        "status": "TRIGGERED",
        "alarmNames": ["errors", "latency"],
        "triggeredAlarmNames": ["errors"],
    }
    assert deployment["status"] == "ROLLBACK_SUCCESSFUL"
    assert deployment["statusReason"] == "ECS deployment: alarm detected."
    assert deployment["rollback"]["reason"] == "ECS deployment: alarm detected."
    assert first["alarms"] == {"status": "DISABLED"}


def _said(plane: Plane) -> list[str]:
    from dryport.ecs.services.model import SERVICES

    [service] = plane.store.reader.all(SERVICES)
    return [event["message"] for event in service.events]


async def test_without_rollback_a_deployment_only_fails(plane: Plane, agent: MakeAgent) -> None:
    await _alarm(plane)
    updated = await _begin(plane, agent, _watched("errors", rollback=False))
    await _set(plane, "ALARM")
    after = await _until(plane, "FAILED")
    assert after["deployments"][0]["id"] == updated["deployments"][0]["id"]
    assert after["deployments"][0]["rolloutStateReason"] == "ECS deployment: alarm detected."
    [deployment, _] = await _history(plane)
    assert (deployment["status"], deployment["alarms"]["status"]) == ("STOPPED", "TRIGGERED")


async def test_a_quiet_deployment_completes_once_it_has_baked(plane: Plane, agent: MakeAgent) -> None:
    await _alarm(plane)
    before = datetime.now(UTC)
    await _begin(plane, agent, _watched("errors"))
    baking = (await _service(plane))["deployments"]
    assert [each["rolloutState"] for each in baking] == ["IN_PROGRESS", "COMPLETED"]
    assert [each["runningCount"] for each in baking] == [2, 0]
    await _until(plane, "COMPLETED")
    assert (datetime.now(UTC) - before).total_seconds() >= 10, "a period of the alarm's"
    [deployment, _] = await _history(plane)
    assert (deployment["status"], deployment["alarms"]["status"]) == ("SUCCESSFUL", "MONITORING_COMPLETE")
    await _set(plane, "ALARM")  # which is nothing to it any more
    await asyncio.sleep(0.5)
    assert (await _service(plane))["deployments"][0]["rolloutState"] == "COMPLETED"


async def test_an_alarm_that_has_gone_off_before_is_not_watched(plane: Plane, agent: MakeAgent) -> None:
    """ "If an alarm is in the ALARM state at the beginning of a deployment, Amazon ECS will not monitor alarms"."""
    await _alarm(plane, TreatMissingData="ignore")
    await _alarm(plane, "latency", TreatMissingData="ignore")
    await _set(plane, "ALARM")
    await _begin(plane, agent, _watched("errors", "latency"))
    await _set(plane, "ALARM", "latency")
    await _until(plane, "COMPLETED", seconds=5)
    [deployment, _] = await _history(plane)
    assert (deployment["status"], deployment["alarms"]) == ("SUCCESSFUL", {"status": "DISABLED"})


async def test_a_killed_control_plane_goes_on_watching(plane: Plane, agent: MakeAgent) -> None:
    await _alarm(plane, TreatMissingData="ignore")
    updated = await _begin(plane, agent, _watched("errors"))
    await plane.restart(kill=True)
    [deployment, _] = await _history(plane)
    assert deployment["alarms"]["status"] == "MONITORING"
    await _set(plane, "ALARM")
    await plane.restart(kill=True)  # the client was told, the service perhaps not yet
    await plane.until(lambda: any("alarm detected" in each for each in _said(plane)), "the failure")
    service = await _service(plane)
    assert service["deployments"][0]["id"] != updated["deployments"][0]["id"]


async def test_alarms_that_cannot_be(plane: Plane, agent: MakeAgent) -> None:
    container = {"name": "main", "image": "busybox", "memory": 64}
    await plane.api("register_task_definition", family="web", containerDefinitions=[container])
    with pytest.raises(ClientError, match="alarmNames cannot be empty"):
        await plane.api(
            "create_service", serviceName="web", taskDefinition="web", desiredCount=1,
            deploymentConfiguration=_watched(), **DEMO,
        )  # fmt: skip
    made = await plane.api(  # one that is not there may come: nothing is wrong before it does
        "create_service", serviceName="web", taskDefinition="web", desiredCount=0,
        deploymentConfiguration=_watched("later"), **DEMO,
    )  # fmt: skip
    assert made["service"]["deploymentConfiguration"]["alarms"]["alarmNames"] == ["later"]
    await _until(plane, "COMPLETED")
