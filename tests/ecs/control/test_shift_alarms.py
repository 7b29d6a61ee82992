"""CloudWatch alarms end deployments that shift traffic: while both serve, and while they bake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dryport.cloudwatch.room import room as cloudwatch
from dryport.ecs.services import stages
from tests.ecs.control.plane import Plane
from tests.ecs.control.shifted import BLUE_GREEN, Shifted
from tests.ecs.control.test_balancers import drains

ALARMS = {"alarms": {"alarmNames": ["errors"], "enable": True, "rollback": True}}


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shifted]:
    monkeypatch.setattr(stages, "SETTLE", 0.3)
    plane = await Plane(tmp_path, rooms=[drains, cloudwatch]).start()
    made = Shifted(plane)
    await made.begin()
    await plane.call(
        "cloudwatch", "put_metric_alarm", AlarmName="errors", Namespace="Shop", MetricName="errors", Statistic="Sum",
        Period=60, EvaluationPeriods=1, Threshold=1.0, ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )  # fmt: skip
    yield made
    await made.host.close()
    await plane.stop()


async def _set(world: Shifted, state: str) -> None:
    await world.plane.call("cloudwatch", "set_alarm_state", AlarmName="errors", StateValue=state, StateReason="a test")


async def _rolled_back(world: Shifted) -> dict[str, Any]:
    after = await world.complete()
    assert world.weights(world.production) == {"first": 0, "second": 100}, "blue serves again"
    [latest, *_] = await world.history()
    assert latest["status"] == "ROLLBACK_SUCCESSFUL"
    assert latest["alarms"] == {"status": "TRIGGERED", "alarmNames": ["errors"], "triggeredAlarmNames": ["errors"]}
    assert latest["statusReason"] == "ECS deployment: alarm detected."
    return after


async def test_an_alarm_in_the_bake_time_leads_back_to_blue(world: Shifted) -> None:
    made = await world.made()
    configuration = {**BLUE_GREEN, **ALARMS, "bakeTimeInMinutes": 5}
    await world.update(forceNewDeployment=True, deploymentConfiguration=configuration)
    await world.well(world.first)
    await world.at("BAKE_TIME")
    assert world.weights(world.production) == {"first": 100, "second": 0}
    [latest, *_] = await world.history()
    assert latest["alarms"] == {"status": "MONITORING", "alarmNames": ["errors"]}
    await _set(world, "ALARM")
    after = await _rolled_back(world)
    assert after["deployments"][0]["id"] == made["deployments"][0]["id"]


async def test_an_alarm_before_traffic_is_shifted_leaves_it_with_blue(world: Shifted) -> None:
    await world.made()
    held = world.hold("POST_TEST_TRAFFIC_SHIFT")
    await world.update(forceNewDeployment=True, deploymentConfiguration={**held, **ALARMS})
    await world.well(world.first)
    await world.at("POST_TEST_TRAFFIC_SHIFT")
    await _set(world, "ALARM")
    await _rolled_back(world)


async def test_quiet_alarms_do_not_hold_a_deployment_up(world: Shifted) -> None:
    """It has a bake time of its own: none is added to it."""
    await world.made()
    await world.update(forceNewDeployment=True, deploymentConfiguration={**BLUE_GREEN, **ALARMS})
    await world.well(world.first)
    await world.complete()
    [latest, *_] = await world.history()
    assert latest["alarms"] == {"status": "MONITORING_COMPLETE", "alarmNames": ["errors"]}
    assert latest["status"] == "SUCCESSFUL"
