"""A random history of services: what users do, what breaks, and where it must end."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ecs.model import CONTAINER_INSTANCES, TASKS, Task
from dryport.ecs.services.model import SERVICE_REVISIONS, SERVICES, Service
from dryport.elb.model import TARGETS, target_key
from tests.ecs.control.plane import DEMO
from tests.ecs.simulation.agents import BAD, Machine
from tests.ecs.simulation.balancing import Checks, make_group
from tests.ecs.simulation.invariants import Broken, Judge
from tests.ecs.simulation.loop import VirtualLoop
from tests.ecs.simulation.plane import Plane

ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
BOUNDS = ((100, 200), (100, 200), (50, 100), (50, 200), (0, 100), (100, 150), (75, 125))
MENDED = {"minimumHealthyPercent": 50, "maximumPercent": 200, "earlySuccessCriteria": {"enable": False}}
STRATEGIES: tuple[list[dict[str, str]], ...] = (
    [],
    [{"type": "spread", "field": "attribute:ecs.availability-zone"}, {"type": "spread", "field": "instanceId"}],
    [{"type": "binpack", "field": "memory"}],
    [{"type": "random"}],
)
MOST_TASKS = 5  # of a service
_MOST_MACHINES = 5
_TO_END = 3 * 3600.0  # seconds until the wanted state has come, once all is well: back-off and protection are in it
_QUIET = 1800.0  # seconds for which nothing moves then


class Wanted:
    """A service as its user last had it, by answers."""

    def __init__(self, name: str, desired: int, *, daemon: bool, port: int, groups: list[str]) -> None:
        self.name = name
        self.desired = desired
        self.daemon = daemon
        self.port = port
        self.groups = groups  # target groups that it may be in
        self.arn = f"arn:aws:ecs:us-east-1:000000000000:service/demo/{name}"
        self.deleted = False


class History:
    """Everything of one seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.judge = Judge()
        self.plane = Plane(Random(self.random.random()), self.judge.observe, self.judge.anew)
        self.machines: list[Machine] = []
        self.services: list[Wanted] = []
        self.log: list[str] = []
        self.taken: Counter[str] = Counter()
        self.checks = Checks(self.plane, self.machines)
        self._places: dict[str, Machine] = {}  # of each task, where it was started
        self._booted = 0

    async def live(self) -> None:
        """From the beginning to the end. Raises Broken."""
        await self.plane.start()
        self.checks.start()
        for _ in range(self.random.randint(1, 3)):
            await self._boot()
        await self._create()
        for _ in range(self.random.randint(5, 20)):
            await self._step()
            self.plane.check()
            self.judge.check()
        await self._heal()
        await self._end()
        self.judge.check()

    async def close(self) -> None:
        await self.checks.close()
        for machine in self.machines:
            await machine.close()
        await self.plane.end()

    # What happens

    async def _step(self) -> None:
        choices = self.choices()
        step = self.random.choices(list(choices), list(choices.values()))[0]
        name = step.__name__.strip("_")
        self.taken[name] += 1
        self._say(name)
        doing = asyncio.get_running_loop().create_task(step())
        if step != self._kill and self.random.random() < 0.1:
            # In the middle of it.
            await asyncio.sleep(self.random.uniform(0.0, 0.05))
            self._say("… killed meanwhile")
            await self.plane.restart(self.random.uniform(0.1, 3.0))
        await doing
        self._check_kept()
        await asyncio.sleep(self.random.choice((0.0, 0.0, 0.01, 0.1, 1.0)))

    def choices(self) -> dict[Any, int]:
        """What may happen next, by how often it does."""
        return {
            self._scale: 3, self._deploy: 3, self._deploy_bad: 1, self._force: 1, self._stop_deployment: 1,
            self._protect: 1, self._rebound: 1, self._create: 1, self._delete: 1, self._die: 4, self._sicken: 2,
            self._crash: 2, self._restart: 2, self._cut: 1, self._drain: 1, self._undrain: 1, self._lose: 1,
            self._boot: 2, self._disk: 1, self._kill: 2, self._pause: 4, self._mute: 2, self._recheck: 1,
            self._regroup: 1,
        }  # fmt: skip

    def _service(self) -> Wanted | None:
        there = [each for each in self.services if not each.deleted]
        return self.random.choice(there) if there else None

    def _machine(self) -> Machine | None:
        there = [each for each in self.machines if not each.gone]
        return self.random.choice(there) if there else None

    async def _ask(self, operation: str, **request: Any) -> dict[str, Any]:
        try:
            return await self.plane.until_answered(operation, cluster="demo", **request)
        except ServiceError as error:
            raise Broken(f"{operation} of {request} was refused: {error.code}, {error.message}") from None

    async def _define(self, service: Wanted, image: str = "busybox") -> str:
        container: dict[str, Any] = {"name": "main", "image": image, "memory": 128}
        if service.port or service.groups:
            container["portMappings"] = [{"containerPort": 80, "hostPort": service.port}]
        made = await self.plane.until_answered(
            "RegisterTaskDefinition", family=service.name, containerDefinitions=[container]
        )
        arn: str = made["taskDefinition"]["taskDefinitionArn"]
        return arn

    def _configuration(self, service: Wanted) -> dict[str, Any]:
        least, most = self.random.choice(BOUNDS)
        if service.daemon:
            least, most = self.random.choice((0, 50)), 100
        elif service.port:
            least, most = 0, 100
        breaker = {"enable": self.random.random() < 0.5, "rollback": self.random.random() < 0.5}
        breaker["rollback"] &= breaker["enable"]
        configuration = {"minimumHealthyPercent": least, "maximumPercent": most, "deploymentCircuitBreaker": breaker}
        return {**configuration, **self._ends(breaker, least)}

    def _ends(self, breaker: dict[str, Any], least: int) -> dict[str, Any]:
        """At times other ends of a deployment than ECS's own: other thresholds, an early success."""
        if self.random.random() < 0.2:
            kind = self.random.choice(("COUNT", "BOUNDED_PERCENT", "UNBOUNDED_PERCENT"))
            breaker["thresholdConfiguration"] = {"type": kind, "value": self.random.randint(1, 100)}
            breaker["resetOnHealthyTask"] = self.random.random() < 0.5
        if self.random.random() < 0.8:
            return {"earlySuccessCriteria": {"enable": False}}
        cleanup = self.random.choice(("BLOCKING", "DEFERRED"))
        percent = self.random.randint(least, 100)
        criteria = {"enable": True, "healthyPercent": percent, "sourceServiceRevisionCleanup": cleanup}
        return {"earlySuccessCriteria": criteria}

    async def _create(self) -> None:
        if len(self.services) >= 3:
            return
        kind = self.random.random()
        service = await self._named(daemon=kind < 0.15, port=8000 + len(self.services) if kind > 0.8 else 0)
        request: dict[str, Any] = {"deploymentConfiguration": self._configuration(service)}
        request |= {"loadBalancers": self._balancers(service), "healthCheckGracePeriodSeconds": self._grace()}
        request |= self._more(service)
        if service.daemon:
            request["schedulingStrategy"] = "DAEMON"
        else:
            service.desired = min(service.desired, 2) if service.port else service.desired
            request |= {"desiredCount": service.desired, "placementStrategy": self.random.choice(STRATEGIES)}
            request["availabilityZoneRebalancing"] = self.random.choice(("ENABLED", "DISABLED"))
            if request["placementStrategy"] and request["placementStrategy"][0].get("field") != (
                "attribute:ecs.availability-zone"
            ):
                request["availabilityZoneRebalancing"] = "DISABLED"
            if request["deploymentConfiguration"]["maximumPercent"] <= 100:
                request["availabilityZoneRebalancing"] = "DISABLED"
        definition = await self._define(service)
        # The token makes the repetition of an unanswered request the same request.
        await self._ask(
            "CreateService", serviceName=service.name, taskDefinition=definition, clientToken=service.name, **request
        )
        self.services.append(service)

    async def _named(self, *, daemon: bool, port: int) -> Wanted:
        """A service to come, with target groups or none."""
        name = f"web{len(self.services)}"
        service = Wanted(name, self.random.randint(0, MOST_TASKS), daemon=daemon, port=port, groups=[])
        if self.random.random() < 0.5:
            service.groups = [await make_group(self.plane, f"{service.name}-{each}") for each in "ab"]
        return service

    def _balancers(self, service: Wanted) -> list[dict[str, Any]]:
        chosen = self.random.sample(service.groups, self.random.randint(1, 2)) if service.groups else []
        return [{"targetGroupArn": each, "containerName": "main", "containerPort": 80} for each in chosen]

    def _more(self, service: Wanted) -> dict[str, Any]:
        """Whatever else CreateService is told."""
        return {}

    def _grace(self) -> int:
        return self.random.choice((0, 0, 10, 60))

    async def _regroup(self) -> None:
        service = self._service()
        if service is not None and service.groups:
            balancers = self._balancers(service) if self.random.random() < 0.7 else []
            await self._ask("UpdateService", service=service.name, loadBalancers=balancers)

    async def _mute(self) -> None:
        running = [(machine, arn) for machine in self.machines for arn in machine.running()]
        if running:
            machine, arn = self.random.choice(running)
            machine.containers[arn].mute = True

    async def _recheck(self) -> None:
        self.checks.forget()

    async def _scale(self) -> None:
        service = self._service()
        if service is None or service.daemon:
            return
        service.desired = -1  # either may be there until the answer is
        desired = self.random.randint(0, 2 if service.port else MOST_TASKS)
        await self._ask("UpdateService", service=service.name, desiredCount=desired)
        service.desired = desired

    async def _deploy(self) -> None:
        service = self._service()
        if service is not None:
            await self._ask("UpdateService", service=service.name, taskDefinition=await self._define(service))

    async def _deploy_bad(self) -> None:
        service = self._service()
        if service is not None:
            await self._ask("UpdateService", service=service.name, taskDefinition=await self._define(service, BAD))

    async def _force(self) -> None:
        service = self._service()
        if service is not None:
            await self._ask("UpdateService", service=service.name, forceNewDeployment=True)

    async def _rebound(self) -> None:
        service = self._service()
        if service is None or self._stored(service).zone_rebalancing == "ENABLED":
            return
        await self._ask("UpdateService", service=service.name, deploymentConfiguration=self._configuration(service))

    async def _stop_deployment(self) -> None:
        service = self._service()
        if service is None:
            return
        arn = self._stored(service).primary.service_deployment_arn
        kind = self.random.choice(("ABORT", "ROLLBACK"))
        try:
            await self.plane.until_answered("StopServiceDeployment", serviceDeploymentArn=arn, stopType=kind)
        except ServiceError as error:
            self._say(f"not stopped: {error.code}")

    async def _protect(self) -> None:
        service = self._service()
        if service is None:
            return
        running = [task.arn for task in self._tasks(service) if task.last_status == "RUNNING"][:2]
        if running:
            try:
                await self.plane.until_answered(
                    "UpdateTaskProtection", cluster="demo", tasks=running, protectionEnabled=True, expiresInMinutes=5
                )
            except ServiceError as error:
                self._say(f"not protected: {error.code}")

    async def _delete(self) -> None:
        service = self._service()
        if service is None or self.random.random() < 0.5:
            return
        service.desired = -1
        try:
            await self.plane.until_answered("DeleteService", cluster="demo", service=service.name, force=True)
        except ServiceError as error:
            self._say(f"not deleted: {error.code}")  # a repetition of what was done
        service.deleted = True

    async def _die(self) -> None:
        running = [(machine, arn) for machine in self.machines for arn in machine.running()]
        if running:
            machine, arn = self.random.choice(running)
            machine.die(arn)

    async def _sicken(self) -> None:
        running = [(machine, arn) for machine in self.machines for arn in machine.running()]
        if running:
            machine, arn = self.random.choice(running)
            await machine.report_health(arn, "UNHEALTHY")

    async def _crash(self) -> None:
        machine = self._machine()
        if machine is not None:
            await machine.crash()

    async def _restart(self) -> None:
        for machine in self.machines:
            machine.restart()

    async def _cut(self) -> None:
        machine = self._machine()
        if machine is not None:
            machine.cut()

    async def _drain(self) -> None:
        await self._state("DRAINING")

    async def _undrain(self) -> None:
        await self._state("ACTIVE")

    async def _state(self, status: str, machine: Machine | None = None) -> None:
        machine = machine or self._machine()
        if machine is not None and machine.arn:
            await self.plane.until_answered(
                "UpdateContainerInstancesState", cluster="demo", containerInstances=[machine.arn], status=status
            )

    async def _lose(self) -> None:
        machine = self._machine()
        if machine is not None and self.random.random() < 0.7:
            await machine.lose()

    async def _boot(self) -> None:
        if sum(not machine.gone for machine in self.machines) >= _MOST_MACHINES:
            return
        self._booted += 1
        machine = Machine(self.plane, self._booted, ZONES[self._booted % 3], self._started)
        self.machines.append(machine)
        await machine.boot()

    async def _disk(self) -> None:
        self.plane.disk.full = True
        await asyncio.sleep(self.random.uniform(0.0, 3.0))
        self.plane.disk.full = False

    async def _kill(self) -> None:
        await self.plane.restart(self.random.uniform(0.1, 90.0) if self.random.random() < 0.3 else 0.5)

    async def _pause(self) -> None:
        await asyncio.sleep(self.random.choice((0.5, 2.0, 10.0, 60.0, 400.0)))

    # What must be

    def _started(self, task_arn: str, machine: Machine) -> None:
        before = self._places.setdefault(task_arn, machine)
        if before is not machine:
            self.judge.faults.append(f"{task_arn} was started on {before.id} and on {machine.id}")

    def _check_kept(self) -> None:
        """What was answered is there."""
        for service in self.services:
            if not service.daemon and service.desired >= 0:
                found = self._stored(service).desired_count
                if found != service.desired:
                    raise Broken(f"{service.name}: {service.desired} was answered, {found} is stored")

    async def _heal(self) -> None:
        """Everybody is well again, and what cannot work is replaced by what can."""
        self._say("heal")
        if not any(not service.deleted for service in self.services) and len(self.services) < 3:
            await self._create()
        while sum(not machine.gone for machine in self.machines) < _MOST_MACHINES:
            await self._boot()
        for machine in self.machines:
            machine.restart()
        await self._until(lambda: all(each.gone or self._connected(each) for each in self.machines), 600.0, "agents")
        for machine in self.machines:
            if not machine.gone:
                await self._state("ACTIVE", machine)
        for service in self.services:
            if not service.deleted:
                await self._mend(service)

    async def _mend(self, service: Wanted) -> None:
        more: dict[str, Any] = {}
        if not service.daemon and not service.port:  # others of the bounds leave no way to go on
            more["deploymentConfiguration"] = MENDED
        definition = await self._define(service)
        await self._ask("UpdateService", service=service.name, taskDefinition=definition, **more)

    async def _end(self) -> None:
        await self._until(self._converged, _TO_END, "the wanted state")
        before = self._known()
        await asyncio.sleep(_QUIET)
        balanced = any(not each.deleted and self._stored(each).zone_rebalancing == "ENABLED" for each in self.services)
        moved = set() if balanced else self._known() - before
        if moved or not self._converged():
            raise Broken(f"what was steady moved: {moved}; {self.state()}")

    def _known(self) -> set[str]:
        return {task.arn for task in self.plane.store.reader.all(TASKS)}

    def _connected(self, machine: Machine) -> bool:
        found = self.plane.store.reader.get(CONTAINER_INSTANCES, machine.arn) if machine.arn else None
        return found is not None and found.agent_connected and found.status != "INACTIVE"

    async def _until(self, condition: Any, seconds: float, what: str) -> None:
        waited, pause = 0.0, 0.5
        while not condition():
            self.plane.check()
            self.judge.check()
            if waited > seconds:
                raise Broken(f"{what} did not come within {seconds:.0f} s; {self.state()}")
            await asyncio.sleep(pause)
            waited, pause = waited + pause, min(60.0, pause * 1.3)

    def _converged(self) -> bool:
        known: set[str] = set()
        for service in self.services:
            tasks = self._tasks(service)
            known.update(task.arn for task in tasks)
            if service.deleted:
                if tasks:
                    return False
                continue
            if not self._steady(service, tasks):
                return False
        there = {arn for each in self.machines for arn, found in each.containers.items() if found.status != "STOPPED"}
        return there == known and self._led_to()

    def _led_to(self) -> bool:
        """Whether just the tasks that are there are targets, all healthy, of the groups that their services say."""
        reader = self.plane.store.reader
        wanted = set()
        for service in self.services:
            if service.deleted:
                continue
            for task in self._tasks(service):
                place = self._places[task.arn]
                port = place.containers[task.arn].port
                wanted |= {target_key(group, place.id, port) for group in self.groups_of(service, task)}
        found = {each.key for each in reader.all(TARGETS)}
        return found == wanted and all(each.state == "healthy" for each in reader.all(TARGETS))

    def groups_of(self, service: Wanted, task: Task) -> list[str]:
        """The target groups that a task has to be in."""
        revision = self.plane.store.reader.get(SERVICE_REVISIONS, self._stored(service).revision_arn)
        return [each["targetGroupArn"] for each in revision.load_balancers] if revision else []

    def _steady(self, service: Wanted, tasks: list[Task]) -> bool:
        stored = self._stored(service)
        if len(stored.deployments) != 1 or stored.primary.rollout_state != "COMPLETED":
            return False
        if not all(task.last_status == "RUNNING" and task.started_by == stored.primary.id for task in tasks):
            return False
        if service.daemon:
            active = {each.arn for each in self.machines if not each.gone and each.active}
            return len(tasks) == len(active) and {task.instance_arn for task in tasks} == active
        return len(tasks) == stored.desired_count == service.desired

    def _stored(self, service: Wanted) -> Service:
        found = self.plane.store.reader.get(SERVICES, service.arn)
        if found is None:
            raise Broken(f"{service.name} is gone")
        return found

    def _tasks(self, service: Wanted) -> list[Task]:
        found = self.plane.store.reader.find(TASKS, "service", f"{DEMO}/service:{service.name}")
        return [task for task in found if task.last_status != "STOPPED"]

    def state(self) -> str:
        """What is, for people."""
        lines = []
        for service in self.services:
            stored = self.plane.store.reader.get(SERVICES, service.arn)
            if stored is None:
                continue
            tasks = [(each.desired_status, each.last_status, each.health_status, each.started_by, each.instance_arn)
                     for each in self._tasks(service)]  # fmt: skip
            deployments = [(each.id, each.status, each.rollout_state, each.failed_tasks) for each in stored.deployments]
            said = [each["message"] for each in stored.events[:4]]
            lines.append(f"{service.name}: wanted {service.desired}, stored {stored.desired_count} {stored.status}, "
                         f"{stored.deployment_configuration} {deployments} tasks {tasks} said {said}")  # fmt: skip
        lines += [f"{each.id} gone={each.gone} {[(a[-6:], c.status) for a, c in each.containers.items()]}"
                  for each in self.machines]  # fmt: skip
        return "\n  ".join(["", *lines])

    def _say(self, what: str) -> None:
        self.log.append(f"{asyncio.get_running_loop().time():.2f} {what}")


def run(seed: int) -> History:
    """Live through the history of a seed: of five, one is of task sets, one of traffic that is shifted. Raises whatever
    goes wrong, with ``history`` as an attribute."""
    from tests.ecs.simulation.external import ExternalHistory  # they are histories
    from tests.ecs.simulation.shifting import ShiftingHistory

    loop = VirtualLoop(Random(seed ^ 0x5EED))
    history = {3: ShiftingHistory, 4: ExternalHistory}.get(seed % 5, History)(seed)
    try:
        loop.run_until_complete(history.live())
        return history
    except Exception as error:
        error.history = history  # type: ignore[attr-defined]
        raise
    finally:
        loop.run_until_complete(history.close())
        loop.close()
