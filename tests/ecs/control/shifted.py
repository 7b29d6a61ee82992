"""A service whose deployments shift traffic, with an agent on real websockets.

Target groups, listeners and targets' health are written by hand, as in ``test_balancers``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dryport.ecs.services import stages
from dryport.ecs.services.model import SERVICES, Progress, Service
from dryport.elb import published as elb
from dryport.elb.model import LISTENERS, Listener
from dryport.elb.names import default_rule_arn
from tests.ecs.control.plane import Plane
from tests.ecs.control.test_balancers import BALANCER, PREFIX, World, drains
from tests.iam.stored import put_roles

ROLE = "arn:aws:iam::000000000000:role/balancing"
SERVICE = "arn:aws:ecs:us-east-1:000000000000:service/demo/web"
BLUE_GREEN: dict[str, Any] = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0}


class Shifted(World):
    """A world with two target groups that take turns: production leads to the first one, the test listener to both."""

    first: str
    second: str
    production: str
    test: str

    async def begin(self) -> None:
        await super().begin()
        await self.plane.store.transact(lambda tx: put_roles(tx, "ecs", "balancing"))
        self.first, self.second = await self.group("first", used=False), await self.group("second", used=False)
        self.production = await self._rule("production", {self.first: 1, self.second: 0})
        self.test = await self._rule("test", {self.first: 1, self.second: 0})

    async def _rule(self, name: str, weights: dict[str, int]) -> str:
        return default_rule_arn(await self.listener(f"app/front/0123456789abcdef/{name}", weights))

    async def listener(self, name: str, weights: dict[str, int], protocol: str = "HTTP") -> str:
        listed = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
        listener = Listener(
            arn=f"{PREFIX}:listener/{name}",
            load_balancer=BALANCER,
            protocol=protocol,
            port=80,
            actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": listed}}],
        )
        await self.plane.store.transact(lambda tx: tx.put(LISTENERS, listener))
        return listener.arn

    def balancer(self, **more: Any) -> dict[str, Any]:
        advanced = {
            "alternateTargetGroupArn": self.second,
            "productionListenerRule": self.production,
            "testListenerRule": self.test,
            "roleArn": ROLE,
        }
        return {
            "targetGroupArn": self.first,
            "containerName": "main",
            "containerPort": 80,
            "advancedConfiguration": advanced | more,
        }

    async def made(self, configuration: dict[str, Any] = BLUE_GREEN, **more: Any) -> dict[str, Any]:
        """A service whose first deployment is complete: it went to the second group, which did not serve."""
        await self.create(
            loadBalancers=[self.balancer()], deploymentConfiguration=configuration, **{"desired": 2, **more}
        )
        await self.well(self.second)
        return await self.complete()

    async def well(self, group: str, count: int = 2) -> None:
        await self.registered(group, count)
        await self.find("healthy", group)

    async def complete(self) -> dict[str, Any]:
        def there() -> bool:
            stored = self.stored()
            return len(stored.deployments) == 1 and stored.primary.rollout_state == "COMPLETED"

        await self.plane.until(there, "complete")
        return await self.service()

    def stored(self) -> Service:
        found = self.plane.store.reader.get(SERVICES, SERVICE)
        assert found is not None
        return found

    def progress(self) -> Progress:
        found = self.stored().primary.progress
        assert found is not None
        return found

    async def at(self, stage: str, step: int = 0) -> None:
        def there() -> bool:
            progress = self.stored().primary.progress
            return progress is not None and (progress.stage, progress.step) == (stage, step)

        await self.plane.until(there, f"{stage} {step}; now {self.stored().primary.progress}")

    def weights(self, rule: str) -> dict[str, int]:
        """Of the first and the second target group."""
        found = elb.weights(self.plane.store.reader, rule) or {}
        return {name: found[arn] for name, arn in (("first", self.first), ("second", self.second))}

    async def history(self) -> list[dict[str, Any]]:
        """The service's deployments, the latest first."""
        listed = await self.plane.api("list_service_deployments", cluster="demo", service="web")
        arns = [each["serviceDeploymentArn"] for each in listed["serviceDeployments"]]
        found = await self.plane.api("describe_service_deployments", serviceDeploymentArns=arns)
        by_arn = {each["serviceDeploymentArn"]: each for each in found["serviceDeployments"]}
        return [by_arn[arn] for arn in arns]

    def hold(self, stage: str, **timeout: Any) -> dict[str, Any]:
        """A configuration that pauses at a stage."""
        hook = {"targetType": "PAUSE", "lifecycleStages": [stage]}
        return {**BLUE_GREEN, "lifecycleHooks": [hook | ({"timeoutConfiguration": timeout} if timeout else {})]}

    async def stop(self, kind: str) -> None:
        arn = self.stored().primary.service_deployment_arn
        await self.plane.api("stop_service_deployment", serviceDeploymentArn=arn, stopType=kind)

    async def end_all_but(self, *deployments: str) -> None:
        """Have the tasks that are to stop do so, but for those of some deployments."""
        for task in self.tasks(desired_status="STOPPED"):
            if task.started_by not in deployments and task.last_status != "STOPPED":
                await self.host.report(task.arn, "STOPPED")

    async def go_on(self, action: str = "CONTINUE") -> None:
        waiting = [each for each in stages.current(self.progress()) if each.status == "AWAITING_ACTION"]
        await self.plane.api(
            "continue_service_deployment",
            serviceDeploymentArn=self.stored().primary.service_deployment_arn,
            hookId=waiting[0].id,
            action=action,
        )


@asynccontextmanager
async def shifting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shifted]:
    """A world in which balancers take a shift within a moment."""
    monkeypatch.setattr(stages, "SETTLE", 0.3)
    plane = await Plane(tmp_path, rooms=[drains]).start()
    made = Shifted(plane)
    await made.begin()
    yield made
    await made.host.close()
    await plane.stop()
