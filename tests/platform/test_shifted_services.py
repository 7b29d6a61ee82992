"""Blue/green and canary deployments on the whole platform: traffic shifted under load, brought back, killed."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.conftest import Platform
from tests.load import Load
from tests.platform.support import EXECUTION_ROLE, Tasks, eventually
from tests.platform.test_balanced_services import CHECK, SERVE, Front, Kept
from tests.ports import free_port

pytestmark = pytest.mark.platform

ROLE = "arn:aws:iam::000000000000:role/ecsInfrastructureRole"
PAUSE: dict[str, Any] = {"targetType": "PAUSE"}


class Turns:
    """A balancer with two target groups that take turns, behind a production and a test listener."""

    def __init__(self, front: Front, name: str) -> None:
        self.front, self.elb = front, front.elb
        self.first, self.second = self._group(f"{name}-a"), self._group(f"{name}-b")
        # A network load balancer's listener need not know the second one.
        self.production_rule, self.production = self._listener(both=front.protocol == "HTTP")
        self.test_rule, self.test = self._listener(both=True)

    def _group(self, name: str) -> str:
        made = self.elb.create_target_group(
            Name=name,
            Protocol=self.front.protocol,
            Port=80,
            VpcId=self.front.vpc_id,
            TargetType="ip",
            HealthCheckProtocol="HTTP",
            **CHECK,
        )
        arn: str = made["TargetGroups"][0]["TargetGroupArn"]
        delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "2"}]
        self.elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=delay)
        return arn

    def _listener(self, *, both: bool) -> tuple[str, str]:
        """The ARN of its default rule, of a network load balancer's its own, and where it answers."""
        port = free_port()
        groups = [{"TargetGroupArn": self.first, "Weight": 1}, {"TargetGroupArn": self.second, "Weight": 0}]
        forward = [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups if both else groups[:1]}}]
        made = self.elb.create_listener(
            LoadBalancerArn=self.front.arn, Protocol=self.front.protocol, Port=port, DefaultActions=forward
        )
        if self.front.protocol == "TCP":
            return made["Listeners"][0]["ListenerArn"], f"http://{self.front.name}:{port}/"
        rules = self.elb.describe_rules(ListenerArn=made["Listeners"][0]["ListenerArn"])["Rules"]
        return rules[0]["RuleArn"], f"http://{self.front.name}:{port}/"

    def balancer(self) -> dict[str, Any]:
        advanced = {
            "alternateTargetGroupArn": self.second,
            "productionListenerRule": self.production_rule,
            "testListenerRule": self.test_rule,
            "roleArn": ROLE,
        }
        return {
            "targetGroupArn": self.first,
            "containerName": "main",
            "containerPort": 8080,
            "advancedConfiguration": advanced,
        }

    def weights(self, rule: str) -> dict[str, int]:
        if self.front.protocol == "TCP":
            actions = self.elb.describe_listeners(ListenerArns=[rule])["Listeners"][0]["DefaultActions"]
        else:
            actions = self.elb.describe_rules(RuleArns=[rule])["Rules"][0]["Actions"]
        return {each["TargetGroupArn"]: each["Weight"] for each in actions[0]["ForwardConfig"]["TargetGroups"]}


class Shifted(Kept):
    """A service whose deployments shift traffic."""

    def __init__(self, turns: Turns, name: str) -> None:
        super().__init__(turns.front, name)
        self.turns = turns

    def deployment(self) -> dict[str, Any]:
        """The latest one."""
        listed = self.ecs.list_service_deployments(service=self.name)["serviceDeployments"]
        arns = [listed[0]["serviceDeploymentArn"]]
        found: dict[str, Any] = self.ecs.describe_service_deployments(serviceDeploymentArns=arns)["serviceDeployments"][
            0
        ]
        return found

    def waiting(self, stage: str, seconds: float = 90) -> dict[str, Any]:
        """The latest deployment, once it waits for somebody at a stage."""

        def probe() -> dict[str, Any]:
            found = self.deployment()
            open_hooks = [each for each in found.get("lifecycleHookDetails", ()) if each["status"] == "AWAITING_ACTION"]
            return found if found.get("lifecycleStage") == stage and open_hooks else {}

        try:
            return eventually(probe, seconds)
        except AssertionError:
            raise AssertionError(f"{self.deployment()}; {self.messages()}") from None

    def go_on(self) -> None:
        found = self.deployment()
        hook = next(each for each in found["lifecycleHookDetails"] if each["status"] == "AWAITING_ACTION")
        self.ecs.continue_service_deployment(
            serviceDeploymentArn=found["serviceDeploymentArn"], hookId=hook["hookId"], action="CONTINUE"
        )

    def ended(self, seconds: float = 120) -> dict[str, Any]:
        def probe() -> dict[str, Any]:
            found = self.deployment()
            return found if found["status"] in ("SUCCESSFUL", "ROLLBACK_SUCCESSFUL") else {}

        found = eventually(probe, seconds)
        self.steady(60)
        return found


def _define(tasks: Tasks, family: str, command: str) -> str:
    made = tasks.ecs.register_task_definition(
        family=family, networkMode="awsvpc", cpu="256", memory="512", requiresCompatibilities=["FARGATE"],
        executionRoleArn=EXECUTION_ROLE,
        containerDefinitions=[tasks.container(command, portMappings=[{"containerPort": 8080}])],
    )  # fmt: skip
    arn: str = made["taskDefinition"]["taskDefinitionArn"]
    return arn


@pytest.fixture(scope="module")
def front(platform: Platform) -> Iterator[Front]:
    made = Front(platform)
    yield made
    made.delete()


@pytest.fixture(scope="module")
def kept(front: Front, tasks: Tasks) -> Iterator[Shifted]:
    turns = Turns(front, "turns")
    made = Shifted(turns, "turns")
    network = {"subnets": front.subnets, "securityGroups": [front.open]}
    tasks.ecs.create_service(
        serviceName="turns", taskDefinition=_define(tasks, "turns", SERVE.format(version="one")), desiredCount=2,
        launchType="FARGATE", networkConfiguration={"awsvpcConfiguration": network}, loadBalancers=[turns.balancer()],
        deploymentConfiguration={
            "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0,
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        },
    )  # fmt: skip
    made.ended()
    yield made
    made.delete()


def _asked(url: str) -> str:
    return requests.get(url, timeout=5).text.split()[0]


def test_blue_green_under_load(kept: Shifted, tasks: Tasks) -> None:
    """Testers reach green before production does; then everybody does, and not one request fails."""
    turns = kept.turns
    assert turns.weights(turns.production_rule) == {turns.first: 0, turns.second: 100}
    hooks = [{**PAUSE, "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}]
    with Load(turns.production) as load:
        tasks.ecs.update_service(
            service="turns", taskDefinition=_define(tasks, "turns", SERVE.format(version="two")),
            deploymentConfiguration={"lifecycleHooks": hooks},
        )  # fmt: skip
        found = kept.waiting("POST_TEST_TRAFFIC_SHIFT")
        eventually(lambda: _asked(turns.test) == "two", 10)
        assert {_asked(turns.production) for _ in range(20)} == {"one"}
        assert found["targetServiceRevision"]["requestedTestTrafficWeight"] == 100.0
        assert found["targetServiceRevision"]["requestedProductionTrafficWeight"] == 0.0
        assert set(turns.front.targets(turns.first).values()) == {"healthy"} and len(kept.tasks()) == 4
        kept.go_on()
        done = kept.ended()
        eventually(lambda: not turns.front.targets(turns.second))
    assert done["status"] == "SUCCESSFUL"
    firsts = [each.at for each in load.answers if each.server.startswith("two")]
    assert not load.failed, (load.failed, load.answers[0].at, firsts[0], load.answers[-1].at)
    versions = [each.server.split()[0] for each in load.answers]
    changed = versions.index("two")
    assert set(versions[:changed]) == {"one"} and set(versions[changed + 50 :]) == {"two"}
    assert turns.weights(turns.production_rule) == {turns.first: 100, turns.second: 0}
    assert turns.weights(turns.test_rule) == {turns.first: 100, turns.second: 0}


def test_tasks_that_are_not_well_never_get_traffic(kept: Shifted, tasks: Tasks) -> None:
    """They serve nothing at their port; the circuit breaker brings it back, and production never noticed."""
    turns = kept.turns
    before = turns.weights(turns.production_rule)
    with Load(turns.production, rate=50) as load:
        tasks.ecs.update_service(
            service="turns", taskDefinition=_define(tasks, "turns", "exec httpd -f -p 8081"),
            deploymentConfiguration={"lifecycleHooks": []},
        )  # fmt: skip
        done = kept.ended(180)
    assert done["status"] == "ROLLBACK_SUCCESSFUL" and done["lifecycleStage"] == "SCALE_UP"
    assert not load.failed and {each.server.split()[0] for each in load.answers} == {"two"}
    assert turns.weights(turns.production_rule) == before
    eventually(lambda: len(kept.tasks()) == 2)


def test_a_canary_over_a_death_of_the_control_plane(platform: Platform, kept: Shifted, tasks: Tasks) -> None:
    """A share of the traffic goes to green, and stays so while the control plane is killed; then all of it."""
    turns = kept.turns
    hooks = [{**PAUSE, "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT"]}]
    canary = {"canaryPercent": 25.0, "canaryBakeTimeInMinutes": 0}
    with Load(turns.production, rate=50) as load:
        tasks.ecs.update_service(
            service="turns", taskDefinition=_define(tasks, "turns", SERVE.format(version="three")),
            deploymentConfiguration={"strategy": "CANARY", "canaryConfiguration": canary, "lifecycleHooks": hooks},
        )  # fmt: skip
        kept.waiting("PRE_PRODUCTION_TRAFFIC_SHIFT")
        kept.go_on()
        eventually(lambda: turns.weights(turns.production_rule) == {turns.first: 75, turns.second: 25}, 20)
        kept.waiting("PRE_PRODUCTION_TRAFFIC_SHIFT")
        begun = time.monotonic()
        time.sleep(4)
        os.kill(platform.pid("control"), signal.SIGKILL)
        time.sleep(4)
        until = time.monotonic()
        eventually(lambda: kept.waiting("PRE_PRODUCTION_TRAFFIC_SHIFT"), 30)
        kept.go_on()
        kept.waiting("POST_PRODUCTION_TRAFFIC_SHIFT")
        assert {_asked(turns.production) for _ in range(20)} == {"three"}
        kept.go_on()
        done = kept.ended()
    assert done["status"] == "SUCCESSFUL" and not load.failed
    held = [each.server.split()[0] for each in load.answers if begun <= each.at < until]
    assert 0.1 < held.count("three") / len(held) < 0.4


def test_a_stop_in_the_bake_time_brings_blue_back_at_once(kept: Shifted, tasks: Tasks) -> None:
    turns = kept.turns
    with Load(turns.production, rate=50) as load:
        tasks.ecs.update_service(
            service="turns", taskDefinition=_define(tasks, "turns", SERVE.format(version="four")),
            deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 60, "lifecycleHooks": []},
        )  # fmt: skip
        eventually(lambda: kept.deployment().get("lifecycleStage") == "BAKE_TIME", 90)
        eventually(lambda: _asked(turns.production) == "four", 10)
        arn = kept.deployment()["serviceDeploymentArn"]
        tasks.ecs.stop_service_deployment(serviceDeploymentArn=arn)
        stopped = time.monotonic()
        eventually(lambda: _asked(turns.production) == "three", 5)
        assert time.monotonic() - stopped < 5
        done = kept.ended()
    assert done["status"] == "ROLLBACK_SUCCESSFUL" and not load.failed
    assert load.answers[-1].server.startswith("three")


def test_blue_green_and_canary_behind_a_network_load_balancer(platform: Platform, tasks: Tasks) -> None:
    """Connections go where their listener's weights lead them; the production listener gets to know green's group."""
    front = Front(platform, "network")
    turns = Turns(front, "passed")
    kept = Shifted(turns, "passed")
    network = {"subnets": front.subnets, "securityGroups": [front.open]}
    configuration = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0}
    try:
        tasks.ecs.create_service(
            serviceName="passed", taskDefinition=_define(tasks, "passed", SERVE.format(version="one")), desiredCount=2,
            launchType="FARGATE", networkConfiguration={"awsvpcConfiguration": network},
            loadBalancers=[turns.balancer()], deploymentConfiguration=configuration,
        )  # fmt: skip
        kept.ended()
        serving = next(arn for arn, weight in turns.weights(turns.production_rule).items() if weight)
        hooks = [{**PAUSE, "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}]
        tasks.ecs.update_service(
            service="passed", taskDefinition=_define(tasks, "passed", SERVE.format(version="two")),
            deploymentConfiguration={"lifecycleHooks": hooks},
        )  # fmt: skip
        kept.waiting("POST_TEST_TRAFFIC_SHIFT")
        eventually(lambda: _asked(turns.test) == "two", 10)
        assert {_asked(turns.production) for _ in range(20)} == {"one"}
        assert turns.weights(turns.production_rule)[serving] == 100
        with socket.create_connection((front.name, urlsplit(turns.production).port or 0), 5) as opened:
            kept.go_on()
            eventually(lambda: _asked(turns.production) == "two", 20)
            assert {_asked(turns.production) for _ in range(20)} == {"two"}
            opened.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert b"one" in opened.makefile("rb").read(), "what is open stays where it is"
        assert kept.ended()["status"] == "SUCCESSFUL"

        hooks = [{**PAUSE, "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"]}]
        canary = {"canaryPercent": 40.0, "canaryBakeTimeInMinutes": 0}
        tasks.ecs.update_service(
            service="passed", taskDefinition=_define(tasks, "passed", SERVE.format(version="three")),
            deploymentConfiguration={"strategy": "CANARY", "canaryConfiguration": canary, "lifecycleHooks": hooks},
        )  # fmt: skip
        kept.waiting("PRE_PRODUCTION_TRAFFIC_SHIFT")
        kept.go_on()
        eventually(lambda: turns.weights(turns.production_rule)[serving] == 40, 20)
        kept.waiting("PRE_PRODUCTION_TRAFFIC_SHIFT")
        heard = [_asked(turns.production) for _ in range(200)]
        assert 0.25 < heard.count("three") / 200 < 0.55 and set(heard) == {"two", "three"}
        kept.go_on()
        assert kept.ended()["status"] == "SUCCESSFUL"
        assert {_asked(turns.production) for _ in range(20)} == {"three"}
    finally:
        kept.delete()
        front.delete()
