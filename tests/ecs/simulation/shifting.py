"""Histories of services whose deployments shift traffic between two target groups, behind rules and behind listeners of
network load balancers, with hooks that pause and hooks that are functions."""

from __future__ import annotations

import asyncio
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ecs.connect import traffic
from dryport.ecs.model import Task
from dryport.ecs.services import shifting
from dryport.ecs.services.model import SERVICE_REVISIONS
from dryport.elb import published as elb
from dryport.servicediscovery import published as cloudmap
from tests.ecs.simulation.balancing import make_pair
from tests.ecs.simulation.history import MENDED, MOST_TASKS, History, Wanted
from tests.iam.stored import put_roles

_ROLE = "arn:aws:iam::000000000000:role/balancing"
_FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:check"
_STAGES = (
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
)
_PAUSES = ("PRE_SCALE_UP", "POST_TEST_TRAFFIC_SHIFT", "PRE_PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT")


class ShiftingHistory(History):
    """Everything of one seed."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.rules: dict[str, str] = {}  # the production rule of each service with balancers
        self.connected: set[str] = set()  # names of services with Service Connect

    def choices(self) -> dict[Any, int]:
        found = super().choices()
        del found[self._regroup]
        return {**found, self._turn_back: 6}

    async def _turn_back(self) -> None:
        """A deployment goes back after some of its stages, perhaps to what was deployed by another strategy."""
        service = self._service()
        if service is None:
            return
        configuration = self._configuration(service)
        if self._stored(service).zone_rebalancing != "ENABLED":
            await self._ask("UpdateService", service=service.name, deploymentConfiguration=configuration)
        await asyncio.sleep(self.random.choice((60.0, 400.0)))
        await self._ask("UpdateService", service=service.name, taskDefinition=await self._define(service))
        await asyncio.sleep(self.random.uniform(1.0, 150.0))
        arn = self._stored(service).primary.service_deployment_arn
        try:
            await self.plane.until_answered("StopServiceDeployment", serviceDeploymentArn=arn, stopType="ROLLBACK")
        except ServiceError as error:
            self._say(f"not stopped: {error.code}")

    async def _named(self, *, daemon: bool, port: int) -> Wanted:
        await self.plane.write(lambda tx: put_roles(tx, "ecs", "balancing"))
        name = f"web{len(self.services)}"
        service = Wanted(name, self.random.randint(0, MOST_TASKS), daemon=False, port=0, groups=[])
        if self.random.random() < 0.7:
            network = self.random.random() < 0.4
            *service.groups, self.rules[name] = await make_pair(self.plane, name, network=network)
        else:
            await self._ask("UpdateCluster", serviceConnectDefaults={"namespace": "shop"})
            self.connected.add(name)
        return service

    async def _define(self, service: Wanted, image: str = "busybox") -> str:
        if service.name not in self.connected:
            return await super()._define(service, image)
        port = {"containerPort": 80, "name": "web", "appProtocol": "http"}
        container = {"name": "main", "image": image, "memory": 128, "portMappings": [port]}
        made = await self.plane.until_answered(
            "RegisterTaskDefinition", family=service.name, containerDefinitions=[container]
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def _more(self, service: Wanted) -> dict[str, Any]:
        if service.name not in self.connected:
            return {}
        offered = {"portName": "web", "discoveryName": service.name, "clientAliases": [{"port": 80}]}
        return {"serviceConnectConfiguration": {"enabled": True, "services": [offered]}}

    def _balancers(self, service: Wanted) -> list[dict[str, Any]]:
        if not service.groups:
            return []
        advanced = {
            "alternateTargetGroupArn": service.groups[1],
            "productionListenerRule": self.rules[service.name],
            "roleArn": _ROLE,
        }
        return [
            {
                "targetGroupArn": service.groups[0],
                "containerName": "main",
                "containerPort": 80,
                "advancedConfiguration": advanced,
            }
        ]

    def _configuration(self, service: Wanted) -> dict[str, Any]:
        found = super()._configuration(service)
        strategy = self.random.choice(("BLUE_GREEN", "BLUE_GREEN", "CANARY", "LINEAR", "ROLLING"))
        found |= {"strategy": strategy, "bakeTimeInMinutes": 0, "lifecycleHooks": []}
        if strategy == "ROLLING":
            return found
        found["earlySuccessCriteria"] = {"enable": False}  # which rolling deployments alone have
        found["bakeTimeInMinutes"] = self.random.choice((0, 1))
        if self.random.random() < 0.6:
            found["lifecycleHooks"] = [self._hook() for _ in range(self.random.choice((1, 1, 2)))]
        minutes = self.random.choice((0, 1))
        if strategy == "CANARY":
            found["canaryConfiguration"] = {"canaryPercent": 12.5, "canaryBakeTimeInMinutes": minutes}
        elif strategy == "LINEAR":
            found["linearConfiguration"] = {"stepPercent": 30.0, "stepBakeTimeInMinutes": minutes}
        return found

    def _hook(self) -> dict[str, Any]:
        timeout = {"timeoutInMinutes": 1, "action": self.random.choice(("CONTINUE", "ROLLBACK"))}
        if self.random.random() < 0.5:
            return {
                "targetType": "PAUSE",
                "lifecycleStages": self.random.sample(_PAUSES, 1),
                "timeoutConfiguration": timeout,
            }
        asked = self.random.sample(_STAGES, self.random.choice((1, 1, 3)))
        of = {"targetType": "AWS_LAMBDA", "hookTargetArn": _FUNCTION, "roleArn": _ROLE}
        return {**of, "lifecycleStages": asked, "timeoutConfiguration": timeout}

    async def _mend(self, service: Wanted) -> None:
        more = {**MENDED, "lifecycleHooks": []}
        definition = await self._define(service)
        await self._ask("UpdateService", service=service.name, taskDefinition=definition, deploymentConfiguration=more)

    def groups_of(self, service: Wanted, task: Task) -> list[str]:
        revision = self.plane.store.reader.get(SERVICE_REVISIONS, self._stored(service).revision_arn)
        return [each["targetGroupArn"] for each in shifting.serving(revision)] if revision else []

    def _steady(self, service: Wanted, tasks: list[Task]) -> bool:
        return super()._steady(service, tasks) and self._shifted(service, tasks) and self._known_as(service, tasks)

    def _known_as(self, service: Wanted, tasks: list[Task]) -> bool:
        """Whether just the tasks are known by the service's name, each alike."""
        if service.name not in self.connected:
            return True
        reader, stored = self.plane.store.reader, self._stored(service)
        (name,) = stored.connect_services
        known = {each.id for each in cloudmap.instances(reader, name)}
        alike = traffic.shares(stored, test=False) is None
        return alike and known == {task.arn.rpartition("/")[2] for task in tasks}

    def _shifted(self, service: Wanted, tasks: list[Task]) -> bool:
        """Whether production is led to the tasks alone."""
        if not service.groups or not tasks:
            return True
        weights = elb.weights(self.plane.store.reader, self.rules[service.name]) or {}
        return {group for group, weight in weights.items() if weight} == set(self.groups_of(service, tasks[0]))
