"""Blue/green, canary and linear deployments, with agents on real websockets.

Target groups, listeners and targets' health are written by hand, as in ``test_balancers``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from dryport.ecs.model import TASKS
from dryport.ecs.services.model import SERVICES
from dryport.elb.model import TARGETS
from tests.ecs.control.plane import DEMO
from tests.ecs.control.shifted import BLUE_GREEN, SERVICE, Shifted, shifting
from tests.ecs.control.test_balancers import PREFIX


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shifted]:
    async with shifting(tmp_path, monkeypatch) as made:
        yield made


async def test_target_groups_take_turns(world: Shifted) -> None:
    """Green comes to its number in the group that does not serve; testers, then production go there; blue goes."""
    made = await world.made()
    assert world.weights(world.production) == {"first": 0, "second": 100} == world.weights(world.test)
    assert made["deploymentConfiguration"] == {
        "strategy": "BLUE_GREEN",
        "bakeTimeInMinutes": 0,
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},
        "maximumPercent": 200,
        "minimumHealthyPercent": 100,
    }
    old = {task.arn for task in world.tasks()}
    await world.update(forceNewDeployment=True)
    await world.registered(world.first, 2)
    await asyncio.sleep(0.3)
    assert world.progress().stage == "SCALE_UP" and world.weights(world.test) == {"first": 0, "second": 100}
    await world.find("healthy", world.first)
    await world.at("TEST_TRAFFIC_SHIFT")
    assert world.weights(world.test) == {"first": 100, "second": 0}
    assert world.weights(world.production) == {"first": 0, "second": 100}
    await world.at("CLEAN_UP")
    assert world.weights(world.production) == {"first": 100, "second": 0}
    after = await world.complete()
    assert world.targets(world.second) == [] and world.states(world.first) == ["healthy", "healthy"]
    assert not old & {task.arn for task in world.tasks()}
    last, first = await world.history()
    assert (
        (last["status"], last["lifecycleStage"])
        == ("SUCCESSFUL", "CLEAN_UP")
        == (
            first["status"],
            first["lifecycleStage"],
        )
    )
    assert last["targetServiceRevision"]["requestedProductionTrafficWeight"] == 100.0
    assert last["targetServiceRevision"]["requestedTestTrafficWeight"] == 100.0
    assert last["sourceServiceRevisions"][0]["requestedProductionTrafficWeight"] == 0.0
    arns = [last["targetServiceRevision"]["arn"], first["targetServiceRevision"]["arn"]]
    found = (await world.plane.api("describe_service_revisions", serviceRevisionArns=arns))["serviceRevisions"]
    groups = {each["serviceRevisionArn"]: each["resolvedConfiguration"]["loadBalancers"] for each in found}
    assert groups[arns[0]] == [{"targetGroupArn": world.first, "productionListenerRule": world.production}]
    assert groups[arns[1]] == [{"targetGroupArn": world.second, "productionListenerRule": world.production}]
    assert after["loadBalancers"] == [world.balancer()]


async def test_both_are_kept_at_their_number_until_blue_goes(world: Shifted) -> None:
    await world.made()
    held = world.hold("POST_PRODUCTION_TRAFFIC_SHIFT")
    await world.update(forceNewDeployment=True, deploymentConfiguration=held)
    await world.well(world.first)
    await world.at("POST_PRODUCTION_TRAFFIC_SHIFT")
    assert world.states(world.second) == ["healthy", "healthy"]
    lost = next(task for task in world.tasks() if task.targets[0].group == world.second)
    await world.host.report(lost.arn, "STOPPED")
    await world.well(world.second, 1)
    await world.update(desiredCount=3)
    await world.well(world.first, 1)
    await world.well(world.second, 1)
    assert len(world.states(world.first)) == len(world.states(world.second)) == 3
    deployments = (await world.service())["deployments"]
    assert [each["desiredCount"] for each in deployments] == [3, 3]
    await world.go_on()
    service = await world.complete()
    assert service["runningCount"] == 3 and world.targets(world.second) == []


async def test_canary_and_linear_go_by_steps(world: Shifted) -> None:
    await world.made()
    pauses = {"lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"]}]}
    canary = {"canaryPercent": 0.5, "canaryBakeTimeInMinutes": 0}
    await world.update(
        forceNewDeployment=True, deploymentConfiguration={"strategy": "CANARY", "canaryConfiguration": canary, **pauses}
    )
    await world.well(world.first)
    await world.at("PRE_PRODUCTION_TRAFFIC_SHIFT")
    await world.go_on()
    await world.at("PRE_PRODUCTION_TRAFFIC_SHIFT", 1)
    assert world.weights(world.production) == {"first": 5, "second": 995}
    shown = (await world.history())[0]
    assert shown["targetServiceRevision"]["requestedProductionTrafficWeight"] == 0.5
    assert shown["sourceServiceRevisions"][0]["requestedProductionTrafficWeight"] == 99.5
    await world.go_on()
    await world.complete()
    assert world.weights(world.production) == {"first": 100, "second": 0}

    linear = {"stepPercent": 40.0, "stepBakeTimeInMinutes": 0}
    await world.update(
        forceNewDeployment=True, deploymentConfiguration={"strategy": "LINEAR", "linearConfiguration": linear}
    )
    await world.well(world.second)
    for step, share in enumerate((0, 40, 80)):
        await world.at("PRE_PRODUCTION_TRAFFIC_SHIFT", step)
        assert world.weights(world.production) == {"first": 100 - share, "second": share}
        await world.go_on()
    await world.complete()
    assert world.weights(world.production) == {"first": 0, "second": 100}
    assert [each["status"] for each in (await world.history())[0]["lifecycleHookDetails"]] == ["SUCCEEDED"] * 3


async def test_a_pause_is_answered_or_times_out(world: Shifted) -> None:
    await world.made()
    await world.update(forceNewDeployment=True, deploymentConfiguration=world.hold("POST_TEST_TRAFFIC_SHIFT"))
    await world.well(world.first)
    await world.at("POST_TEST_TRAFFIC_SHIFT")
    assert world.weights(world.test) == {"first": 100, "second": 0}
    shown = (await world.history())[0]
    hook = shown["lifecycleHookDetails"][0]
    assert (hook["targetType"], hook["status"], hook["timeoutAction"]) == ("PAUSE", "AWAITING_ACTION", "ROLLBACK")
    assert hook["hookId"].startswith("ecs-pause-") and "targetArn" not in hook
    asked = {"serviceDeploymentArn": shown["serviceDeploymentArn"]}
    with pytest.raises(ClientError, match="hookId must follow the format: ecs-"):
        await world.plane.api("continue_service_deployment", hookId="pause", **asked)
    with pytest.raises(ClientError, match="either completed, unavailable, or not associated"):
        await world.plane.api("continue_service_deployment", hookId="ecs-pause-x", **asked)
    await world.go_on("ROLLBACK")
    await world.complete()
    last = (await world.history())[0]
    assert last["status"] == "ROLLBACK_SUCCESSFUL" and last["lifecycleHookDetails"][0]["status"] == "FAILED"
    assert world.weights(world.production) == {"first": 0, "second": 100} == world.weights(world.test)
    with pytest.raises(ClientError, match="not allowed for service deployment in terminal states"):
        await world.plane.api("continue_service_deployment", hookId=hook["hookId"], **asked)

    await world.update(forceNewDeployment=True, deploymentConfiguration=world.hold("POST_SCALE_UP", timeoutInMinutes=1))
    await world.well(world.first)
    await world.at("POST_SCALE_UP")
    await world.plane.store.transact(_expire)
    await world.complete()
    last = (await world.history())[0]
    assert last["statusReason"] == "Service deployment rolled back because POST_SCALE_UP pause hook timed out."
    assert last["lifecycleHookDetails"][0]["status"] == "TIMED_OUT"


def _expire(tx: Any) -> None:
    service = tx.get(SERVICES, SERVICE)
    progress = service.primary.progress
    hooks = [replace(each, expires_at=0.0) for each in progress.hooks]
    primary = replace(service.primary, progress=replace(progress, hooks=hooks))
    tx.put(SERVICES, replace(service, deployments=[primary, *service.deployments[1:]]))


async def test_a_later_deployment_begins_by_going_back_to_blue(world: Shifted) -> None:
    before = await world.made()
    held = world.hold("POST_PRODUCTION_TRAFFIC_SHIFT")
    await world.update(forceNewDeployment=True, deploymentConfiguration=held)
    await world.well(world.first)
    await world.at("POST_PRODUCTION_TRAFFIC_SHIFT")
    second = world.stored().primary.id
    await world.update(forceNewDeployment=True)
    assert world.progress().stage == "RECONCILE_SERVICE" or world.progress().blue == before["deployments"][0]["id"]
    assert world.weights(world.production) == {"first": 0, "second": 100}
    await world.plane.until(lambda: not world.tasks(started_by=second), "the second one's tasks are gone")
    await world.well(world.first)
    await world.at("POST_PRODUCTION_TRAFFIC_SHIFT")
    await world.go_on()
    await world.complete()
    assert [each["status"] for each in await world.history()] == ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]


async def test_a_later_deployment_leaves_production_where_it_was_decided(world: Shifted) -> None:
    """As blue is cleaned up there is no way back to it: what took its place is blue now."""
    await world.made()
    await world.update(forceNewDeployment=True)
    await world.well(world.first)
    await world.at("CLEAN_UP")
    green = world.stored().primary.id
    await world.update(forceNewDeployment=True)
    assert world.weights(world.production) == {"first": 100, "second": 0}
    assert world.progress().blue == green
    await world.plane.until(lambda: world.states(world.second).count("initial") == 2, "green again")
    await world.find("healthy", world.second)
    await world.complete()
    assert world.weights(world.production) == {"first": 0, "second": 100}


async def test_a_rolling_deployment_goes_on_in_the_group_that_serves(world: Shifted) -> None:
    await world.made()
    await world.update(forceNewDeployment=True, deploymentConfiguration={"strategy": "ROLLING"})
    await world.plane.until(lambda: world.states(world.second).count("initial") == 2, "two more")
    await world.find("healthy", world.second)
    await world.complete()
    assert world.targets(world.first) == [] and world.weights(world.production) == {"first": 0, "second": 100}
    assert "lifecycleStage" not in (await world.history())[0]


async def test_without_balancers_nothing_is_shifted(world: Shifted) -> None:
    await world.create(deploymentConfiguration=BLUE_GREEN)
    await world.complete()
    old = {task.arn for task in world.tasks()}
    await world.update(forceNewDeployment=True, deploymentConfiguration=world.hold("POST_SCALE_UP"))
    await world.at("POST_SCALE_UP")
    assert len(world.tasks(last_status="RUNNING")) == 4
    await world.go_on()
    await world.complete()
    assert len(world.tasks(desired_status="RUNNING")) == 2 and not old & {task.arn for task in world.tasks()}
    last = (await world.history())[0]
    assert last["lifecycleStage"] == "CLEAN_UP"
    assert "requestedProductionTrafficWeight" not in last["targetServiceRevision"]


async def test_a_network_load_balancers_listener_gets_to_know_green(world: Shifted) -> None:
    """Before its tasks come: its targets would not be checked. It gives them nothing until the shift."""
    wire = await world.listener("net/wire/0123456789abcdef/1", {world.first: 1}, "TCP")
    given = world.balancer(productionListenerRule=wire)
    held = world.hold("POST_TEST_TRAFFIC_SHIFT")
    await world.create(loadBalancers=[given], deploymentConfiguration=held, desired=2)
    await world.well(world.second)
    await world.at("POST_TEST_TRAFFIC_SHIFT")
    assert world.weights(wire) == {"first": 100, "second": 0}
    await world.go_on()
    await world.complete()
    assert world.weights(wire) == {"first": 0, "second": 100}


async def test_rules_that_are_wrong_are_told(world: Shifted) -> None:
    stranger = await world.group("stranger")
    both = await world._rule("both", {world.first: 1, world.second: 1})
    other = await world._rule("other", {stranger: 1, world.first: 0, world.second: 0})
    alone = await world._rule("alone", {world.first: 1})
    names = await world.listener("net/names/0123456789abcdef/1", {world.first: 1}, "UDP")
    reason = "Service deployment rolled back because of invalid networking configuration"
    for rule, words in (
        (both, f"productionListenerRule {both} should have exactly one target group serving traffic but found 2"),
        (other, f"Production listener rule is forwarding traffic to unexpected target group {stranger}."),
    ):
        await world.create(
            serviceName="web",
            loadBalancers=[world.balancer(productionListenerRule=rule)],
            deploymentConfiguration=BLUE_GREEN,
        )
        await world.plane.until(lambda: world.stored().primary.rollout_state == "FAILED", "failed")
        last = (await world.history())[0]
        assert last["status"] == "STOPPED" and last["statusReason"].startswith(f"{reason}. {words}")
        assert not world.tasks()
        await world.plane.api("delete_service", cluster="demo", service="web", force=True)
        await world.plane.until(lambda: world.stored().status == "INACTIVE", "gone")
    for balancer, words in (
        (world.balancer(testListenerRule=world.production), "both production and test listener rules"),
        (
            world.balancer(productionListenerRule=f"{PREFIX}:listener/app/front/0123456789abcdef/test"),
            "Must be RuleArn for ALB or ListenerArn for NLB",
        ),
        (
            world.balancer(productionListenerRule=alone, testListenerRule=""),
            "testListenerRule is required when productionListenerRule is not associated with both",
        ),
        (world.balancer(productionListenerRule=names), "does not shift the traffic of UDP"),
        (world.balancer(alternateTargetGroupArn=world.first), "Duplicate targetGroupArn found"),
        ({**world.balancer(), "advancedConfiguration": {}}, "alternateTargetGroupArn cannot be null or empty"),
        ({"targetGroupArn": stranger, "containerName": "main", "containerPort": 80}, "field is required for all"),
    ):
        with pytest.raises(ClientError, match=words):
            await world.create(loadBalancers=[balancer], deploymentConfiguration=BLUE_GREEN)


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1441}, "bakeTimeInMinutes must be between 0 and 1440"),
        ({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 0.05}}, "multiple of 0.1 between 0.1 and"),
        ({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 2.9}}, "multiple of 0.1 between 3.0 and"),
        ({"strategy": "LINEAR", "canaryConfiguration": {"canaryPercent": 5.0}}, "only be used with the CANARY"),
        ({"strategy": "ROLLING", "bakeTimeInMinutes": 5}, "BLUE_GREEN, CANARY and LINEAR only"),
        (
            {
                "strategy": "BLUE_GREEN",
                "lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["TEST_TRAFFIC_SHIFT"]}],
            },
            "Invalid lifecycle stage provided for Pause Hook",
        ),
    ],
)
async def test_limits(world: Shifted, configuration: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError, match=words):
        await world.create(deploymentConfiguration=configuration)


async def test_a_kill_in_the_middle_changes_nothing(world: Shifted) -> None:
    await world.made()
    await world.update(forceNewDeployment=True, deploymentConfiguration=world.hold("POST_TEST_TRAFFIC_SHIFT"))
    await world.well(world.first)
    await world.at("POST_TEST_TRAFFIC_SHIFT")
    await world.plane.restart(kill=True)
    await world.host.connect(send_credentials=True)
    assert world.weights(world.test) == {"first": 100, "second": 0}
    await world.go_on()
    await world.complete()
    assert world.weights(world.production) == {"first": 100, "second": 0}
    assert {each.group for each in world.plane.store.reader.all(TARGETS)} == {world.first}
    assert all(task.group == "service:web" for task in world.plane.store.reader.find(TASKS, "cluster", DEMO))
