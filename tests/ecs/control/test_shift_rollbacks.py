"""Deployments that shift traffic and go back: traffic at once, tasks once nobody needs them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dryport.ecs.services import shifting as traffic
from dryport.ecs.services.model import SERVICE_REVISIONS, SERVICES
from tests.ecs.control.shifted import BLUE_GREEN, SERVICE, Shifted, shifting


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shifted]:
    async with shifting(tmp_path, monkeypatch) as made:
        yield made


@pytest.mark.parametrize("stage", ["PRE_SCALE_UP", "POST_SCALE_UP", "POST_TEST_TRAFFIC_SHIFT", "BAKE_TIME"])
async def test_a_stop_brings_traffic_back_at_once_and_green_goes(world: Shifted, stage: str) -> None:
    before = await world.made()
    wanted = {**BLUE_GREEN, "bakeTimeInMinutes": 60} if stage == "BAKE_TIME" else world.hold(stage)
    await world.update(forceNewDeployment=True, deploymentConfiguration=wanted)
    if stage != "PRE_SCALE_UP":
        await world.well(world.first)
    await world.at(stage)
    arn = world.stored().primary.service_deployment_arn
    await world.plane.api("stop_service_deployment", serviceDeploymentArn=arn)
    assert world.weights(world.production) == {"first": 0, "second": 100} == world.weights(world.test)
    after = await world.complete()
    assert after["deployments"][0]["id"] == before["deployments"][0]["id"]
    assert world.targets(world.first) == [] and world.states(world.second) == ["healthy", "healthy"]
    last = (await world.history())[0]
    assert (last["status"], last["lifecycleStage"]) == ("ROLLBACK_SUCCESSFUL", stage)
    assert last["targetServiceRevision"]["requestedProductionTrafficWeight"] == 0.0
    assert last["sourceServiceRevisions"][0]["requestedProductionTrafficWeight"] == 100.0


async def test_tasks_that_fail_bring_it_back(world: Shifted) -> None:
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    await world.made({**BLUE_GREEN, **breaker})
    world.host.obedient = False
    await world.update(forceNewDeployment=True)
    green, failed = world.stored().primary.id, set[str]()

    def fresh() -> set[str]:
        return {task.arn for task in world.tasks(started_by=green)} & set(world.host.tasks) - failed

    for _ in range(3):
        arn = (await world.plane.until(fresh, "a task of green")).pop()
        failed.add(arn)
        await world.host.report(arn, "STOPPED")
        await world.plane.store.transact(_at_once)
    world.host.obedient = True
    for arn in fresh():
        await world.host.report(arn, "STOPPED")
    await world.complete()
    last = (await world.history())[0]
    assert last["status"] == "ROLLBACK_SUCCESSFUL"
    assert last["rollback"]["reason"] == "ECS deployment circuit breaker: tasks failed to start."
    assert world.states(world.second) == ["healthy", "healthy"] and world.targets(world.first) == []


def _at_once(tx: Any) -> None:
    """The next start waits no more."""
    service = tx.get(SERVICES, SERVICE)
    deployments = [replace(each, retry_at=0.0) for each in service.deployments]
    tx.put(SERVICES, replace(service, deployments=deployments))


async def test_a_rolling_deployment_goes_back_as_it_came(world: Shifted) -> None:
    """What blue shifted when it was new is over, and no reason to have the others go before its own tasks are well."""
    await world.made()
    await world.update(forceNewDeployment=True, deploymentConfiguration={"strategy": "ROLLING"})
    await world.registered(world.second, 2)
    green = world.stored().primary
    await world.plane.api("stop_service_deployment", serviceDeploymentArn=green.service_deployment_arn)
    await world.said("rolling back to deployment")
    blue = world.stored().primary
    assert blue.id != green.id and blue.rollout_state == "IN_PROGRESS" and blue.progress is None
    await world.complete()
    assert {task.started_by for task in world.tasks(desired_status="RUNNING")} == {blue.id}


async def test_green_stays_until_blue_is_well_again(world: Shifted) -> None:
    """Blue may have lost its tasks by the time that all traffic is with it again."""
    await world.made()
    held = world.hold("POST_TEST_TRAFFIC_SHIFT")
    await world.update(forceNewDeployment=True, deploymentConfiguration=held)
    await world.well(world.first)
    await world.at("POST_TEST_TRAFFIC_SHIFT")
    green = world.stored().primary.id
    world.host.obedient = False
    for task in world.tasks():
        if task.started_by != green:
            await world.host.report(task.arn, "STOPPED")
    await world.plane.until(lambda: world.targets(world.second) == [], "blue's tasks to be gone")
    await world.go_on("ROLLBACK")
    blue = await world.plane.until(lambda: (now := world.stored().primary).id != green and now, "back")
    await world.plane.until(
        lambda: [t.arn for t in world.tasks(started_by=blue.id) if t.arn in world.host.tasks][1:], "blue's new tasks"
    )
    await world.plane.until(lambda: world.stored().primary.updated_at + 1.0 < world.plane.clock.time(), "settled")
    assert [t.desired_status for t in world.tasks(started_by=green)] == ["RUNNING"] * 2
    world.host.obedient = True
    for task in world.tasks(started_by=blue.id):
        await world.host.report(task.arn, "RUNNING")
    await world.well(world.second)
    await world.complete()
    assert world.targets(world.first) == []


async def test_going_back_once_more_leaves_traffic_where_it_is(world: Shifted) -> None:
    """What went back to a deployment that had failed, but served, goes on to the completed one: in that one's place."""
    await world.made()
    completed = world.stored().completed_revision_arn
    await world.update(forceNewDeployment=True, deploymentConfiguration={"strategy": "ROLLING"})
    failed = world.stored().primary
    await world.plane.until(lambda: world.states(world.second).count("initial") == 2, "two more")
    world.host.obedient = False
    await world.find("healthy", world.second)
    await world.stop("ABORT")
    assert world.stored().primary.rollout_state == "FAILED"
    await world.plane.until(
        lambda: all(t.desired_status == "STOPPED" for t in world.tasks() if t.started_by != failed.id), "old tasks"
    )
    await world.end_all_but(failed.id)
    await world.plane.until(lambda: len(world.stored().deployments) == 1, "the old deployment to be gone")

    world.host.obedient = True
    held = world.hold("POST_TEST_TRAFFIC_SHIFT")
    await world.update(forceNewDeployment=True, deploymentConfiguration=held)
    await world.well(world.first)
    await world.at("POST_TEST_TRAFFIC_SHIFT")
    world.host.obedient = False
    await world.stop("ROLLBACK")
    assert world.stored().primary.id == failed.id
    await world.stop("ROLLBACK")
    target = world.stored().primary
    assert target.id != failed.id and target.revision_arn == completed
    assert world.weights(world.production) == {"first": 0, "second": 100}
    revision = world.plane.store.reader.get(SERVICE_REVISIONS, completed)
    assert revision is not None and traffic.groups(revision) == {world.second}
    assert [t.desired_status for t in world.tasks(started_by=failed.id)] == ["RUNNING"] * 2

    world.host.obedient = True
    await world.end_all_but(failed.id, target.id)
    await world.well(world.second)
    await world.complete()
    assert {t.started_by for t in world.tasks(desired_status="RUNNING")} == {target.id}
    assert world.weights(world.production) == {"first": 0, "second": 100}
