"""Tasks of services, launched in the scheduler's own name."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from random import Random

from msgspec.structs import replace

from dryport.aws.identifiers import uuid4
from dryport.control.clock import Clock
from dryport.ecs import attributes, tags
from dryport.ecs.boards import BOARDS, board
from dryport.ecs.connect import tasks
from dryport.ecs.launching import launch, network, placement
from dryport.ecs.launching.launch import Launch
from dryport.ecs.lookup import client_error
from dryport.ecs.model import CLUSTERS, TASK_DEFINITIONS, TASKS, Cluster, Json, Task
from dryport.ecs.placement import capacity, choice, filters
from dryport.ecs.placement.bits import members
from dryport.ecs.placement.board import Board
from dryport.ecs.placement.model import SERVICE_DEFAULT, Request
from dryport.ecs.services import events
from dryport.ecs.services.model import SERVICE_REVISIONS, Deployment, Service, ServiceRevision, tasks_key
from dryport.ecs.services.shifting import serving
from dryport.gateway.service import Call, Principal
from dryport.store import Store, Transaction

_ROLE = "role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"


def service_role_arn(account: str) -> str:
    """The service-linked role of ECS's scheduler."""
    return f"arn:aws:iam::{account}:{_ROLE}"


class Launcher:
    """Starts the tasks of one service in one transaction."""

    def __init__(self, store: Store, clock: Clock, random: Random, tx: Transaction, service: Service) -> None:
        self._tx, self._service = tx, service
        principal = Principal(service.account, service_role_arn(service.account), "ecs.amazonaws.com", "")
        now = clock.time()
        self._call = Call("ecs", "CreateService", uuid4(random), principal, service.region, now, store, clock, random)
        self._call._tx = tx

    @property
    def board(self) -> Board:
        """The cluster's instances."""
        return board(self._tx.view(BOARDS), self._service.cluster_arn)

    def start(self, deployment: Deployment, count: int, zone: str | None = None) -> tuple[list[Task], str]:
        """Start up to ``count`` tasks, in a zone where one is given.

        Where instances are lacking: the event that says so, else "".
        Raises ServiceError where the revision cannot be launched any more.
        """
        revision, cluster = self._revision(deployment), self._cluster()
        prepared = self._prepared(deployment, revision, cluster)
        if launch_type_of(revision) == "FARGATE":
            return self._on_fargate(deployment, prepared, count, zone), ""
        wanted = self._request(prepared)
        if zone is not None:
            wanted = replace(wanted, attributes=(*wanted.attributes, (attributes.ZONE, (zone,))))
        return self._on_instances(prepared, wanted, count)

    def zones(self, deployment: Deployment) -> list[str]:
        """The zones that tasks may run in: those of the subnets, and of instances that all but tasks allow them on."""
        prepared = self._prepared(deployment, self._revision(deployment), self._cluster())
        if prepared.launch_type == "FARGATE":
            return [subnet.availability_zone for subnet in network.subnets(self._call, prepared.network)]
        there = self.board
        found = (there.instances[slot].attributes.get(attributes.ZONE) for slot in self.eligible(deployment))
        return [zone for zone in found if zone]

    def start_on(self, deployment: Deployment, slots: Sequence[int]) -> tuple[list[Task], str]:
        """Start a task on each of these instances of the board that has room for it; the event where one has not."""
        prepared = self._prepared(deployment, self._revision(deployment), self._cluster())
        wanted = self._request(prepared)
        plan = choice.Plan(self.board, wanted)
        started: list[Task] = []
        unplaced = ""
        for slot in slots:
            instance = self.board.instances[slot]
            if plan.feasible() >> slot & 1:
                started.append(self._put(launch.task_on(self._call, prepared, instance.arn, self.board)))
            elif not unplaced:
                unplaced = events.unplaced((instance.arn, choice.obstacles(self.board, wanted, instance.arn)[0]))
        return started, unplaced

    def eligible(self, deployment: Deployment) -> list[int]:
        """The instances that tasks may be placed on, but for what tasks take."""
        return self._fit(deployment, away=False)

    def homes(self, deployment: Deployment, known: Collection[int]) -> list[int]:
        """The instances that a daemon's task belongs on: those eligible, and of ``known``, where one is, also those
        whose agent is away, which it is whenever the control plane starts. What is there goes on there."""
        there = self.board
        return [slot for slot in self._fit(deployment, away=True) if slot in known or there.connected >> slot & 1]

    def _fit(self, deployment: Deployment, *, away: bool) -> list[int]:
        request = self._request(self._prepared(deployment, self._revision(deployment), self._cluster()))
        there = self.board
        found = choice.pool(there, request)
        for each in choice.Plan(there, request).filters:
            if not each.moving and not (away and each.reason == filters.AGENT):
                found &= each.slots()
        return list(members(found))

    def _on_fargate(self, deployment: Deployment, prepared: Launch, count: int, zone: str | None) -> list[Task]:
        revision = self._revision(deployment)
        providers: list[str | None] = [None] * count
        if revision.capacity_provider_strategy:
            there = self._tx.find(TASKS, "service", tasks_key(self._service))
            mine = [each for each in there if each.started_by == deployment.id and each.desired_status == "RUNNING"]
            wanted = list(capacity.distribute(len(mine) + count, revision.capacity_provider_strategy))
            for each in mine:
                if each.capacity_provider in wanted:
                    wanted.remove(each.capacity_provider)
            providers = [*wanted[:count]]
        subnets = network.subnets(self._call, prepared.network)
        subnets = [subnet for subnet in subnets if zone in (None, subnet.availability_zone)] or subnets
        zones = [each.availability_zone for each in self._tx.find(TASKS, "service", tasks_key(self._service))]
        started = []
        for provider in providers:
            # Spread over the zones, as services are.
            subnet = min(subnets, key=lambda each: (zones.count(each.availability_zone), self._call.random.random()))
            zones.append(subnet.availability_zone)
            started.append(self._put(launch.task(self._call, prepared, subnet=subnet, provider=provider)))
        return started

    def _on_instances(self, prepared: Launch, wanted: Request, count: int) -> tuple[list[Task], str]:
        there = self.board
        plan = choice.Plan(there, wanted)
        started: list[Task] = []
        while len(started) < count:
            slot = plan.choose(self._call.random)
            if slot is None:
                return started, events.unplaced(choice.closest(there, wanted))
            started.append(self._put(launch.task_on(self._call, prepared, there.instances[slot].arn, there)))
        return started, ""

    def _put(self, task: Task) -> Task:
        deployment = next((each for each in self._service.deployments if each.id == task.started_by), None)
        if deployment is not None:
            revision = self._revision(deployment)
            task = replace(task, registries=revision.service_registries, load_balancers=serving(revision))
            task = tasks.connected(self._call, self._service, revision, task)
        self._tx.put(TASKS, task)
        return task

    def _request(self, prepared: Launch) -> Request:
        asked = asked_placement(self._service)
        own = placement.constraints(asked["placementConstraints"], prepared.definition.body)
        return placement.request_of(self._call, prepared, own, placement.strategies(asked["placementStrategy"]))

    def _prepared(self, deployment: Deployment, revision: ServiceRevision, cluster: Cluster) -> Launch:
        definition = self._tx.get(TASK_DEFINITIONS, deployment.task_definition_arn)
        if definition is None:
            raise client_error("TaskDefinition not found.")
        request: Json = {"group": f"family:{definition.family}", "startedBy": deployment.id}
        if revision.network_configuration:
            request["networkConfiguration"] = {"awsvpcConfiguration": revision.network_configuration}
        if revision.platform_version is not None:
            request["platformVersion"] = revision.platform_version
        if revision.volume_configurations:
            request["volumeConfigurations"] = revision.volume_configurations
        service = self._service
        prepared = launch.prepare(self._call, request, cluster, definition, launch_type_of(revision), service.tags)
        given = {"SERVICE": service.tags, "TASK_DEFINITION": definition.tags}.get(service.propagate_tags, [])
        managed: list[Json] = []
        if service.managed_tags:
            managed = [
                {"key": "aws:ecs:clusterName", "value": cluster.name},
                {"key": "aws:ecs:serviceName", "value": service.name},
            ]
        volume = prepared.volume
        if volume and managed:
            volume = {**volume, "tags": {**{each["key"]: each["value"] for each in managed}, **volume["tags"]}}
        return dataclasses.replace(
            prepared,
            group=service.group,
            tags=tags.merge(managed, given),
            placement=asked_placement(service),
            volume=volume,
        )

    def _revision(self, deployment: Deployment) -> ServiceRevision:
        revision = self._tx.get(SERVICE_REVISIONS, deployment.revision_arn)
        assert revision is not None  # they stay as long as their service
        return revision

    def _cluster(self) -> Cluster:
        cluster = self._tx.get(CLUSTERS, self._service.cluster_arn)
        assert cluster is not None  # it is not deleted before its services
        return cluster


def asked_placement(service: Service) -> Json:
    """``placementConstraints`` and ``placementStrategy`` of a service's tasks."""
    default = [{"type": each.type, "field": each.field} for each in SERVICE_DEFAULT]
    return {
        "placementConstraints": service.placement_constraints,
        "placementStrategy": service.placement_strategy or default,
    }


def launch_type_of(revision: ServiceRevision) -> str:
    """Where a revision's tasks run; the capacity providers that there are are all Fargate's."""
    return revision.launch_type or "FARGATE"
