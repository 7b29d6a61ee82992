"""What must hold after every transaction of the control plane, whatever happens. Written apart from what it judges."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from dryport.ecs import lifecycle
from dryport.ecs.connect import traffic
from dryport.ecs.model import CONTAINER_INSTANCES, TASK_DEFINITIONS, TASKS, ContainerInstance, Task
from dryport.ecs.services.model import SERVICE_REVISIONS, SERVICES, Service, tasks_key
from dryport.elb import published as elb
from dryport.elb.model import DRAINING, LISTENERS, TARGETS, Listener, target_key
from dryport.store import Change, Reader, Transaction
from tests.ecs.simulation.agents import MEMORY
from tests.ecs.simulation.loop import VirtualClock


class Broken(AssertionError):
    """An invariant does not hold."""


class Judge:
    """Looks at each transaction. ``trace`` is a digest of all that changed: two runs of a seed have the same."""

    def __init__(self) -> None:
        self.transactions = 0
        self.faults: list[str] = []
        self._served: set[str] = set()  # tasks all of whose targets have been healthy
        self._trace = hashlib.sha256()

    @property
    def trace(self) -> str:
        return self._trace.hexdigest()[:16]

    def anew(self, reader: Reader) -> None:
        """The control plane begins on what the disk has: what was seen besides has not been."""
        self._served = {task.arn for task in reader.all(TASKS) if task.served or self._is_served(task, reader)}

    @staticmethod
    def _is_served(task: Task, reader: Reader) -> bool:
        found = [reader.get(TARGETS, target_key(each.group, each.id, each.port)) for each in task.targets]
        return task.registration == "registered" and all(each is not None and each.state == "healthy" for each in found)

    def observe(self, changes: list[Change[Any]], reader: Transaction) -> None:
        """Note what does not hold now: a judge inside a transaction must not raise into what it judges."""
        self.transactions += 1
        for change in changes:
            status = getattr(change.new, "last_status", getattr(change.new, "status", ""))
            self._trace.update(f"{change.table.name} {change.key} {status}\n".encode())
        tasks = [change for change in changes if change.table.name == TASKS.name]
        if any(change.table.name in (TASKS.name, TARGETS.name) for change in changes):
            self._targets(reader)
        if tasks:
            self._forward(tasks)
            self._bounds(tasks, reader)
            self._room(tasks, reader)
            self._drained(tasks, reader)
        instances = [change.new for change in changes if change.table.name == CONTAINER_INSTANCES.name]
        self._registered_once((each for each in instances if each is not None), reader)
        for change in changes:
            if change.table.name == SERVICES.name and change.new is not None:
                self._one_primary(change.new)
                self._aliases(change.new)
            if change.table.name == LISTENERS.name and change.new is not None:
                self._shares(change.key, reader)
                self._shifted(change, reader)

    def _forward(self, changes: list[Change[Task]]) -> None:
        for change in changes:
            if change.old is None or change.new is None:
                continue
            if lifecycle.is_before(change.new.last_status, change.old.last_status):
                self._say(f"{change.key} went from {change.old.last_status} back to {change.new.last_status}")
            if change.old.desired_status == "STOPPED" and change.new.desired_status != "STOPPED":
                self._say(f"{change.key} is wanted again")

    def _bounds(self, changes: list[Change[Task]], reader: Reader) -> None:
        touched: dict[str, list[Change[Task]]] = defaultdict(list)
        for change in changes:
            task = change.new or change.old
            if task is not None and (task.group or "").startswith("service:"):
                touched[f"{task.cluster_arn}/{task.group}"].append(change)
        for key, of_service in touched.items():
            found = reader.find(SERVICES, "tasks", key)
            if found:
                tasks = reader.find(TASKS, "service", key)
                if found[0].deployments and found[0].deployments[0].progress is not None:
                    self._shifting(found[0], of_service, tasks, reader)
                    continue
                for service, changed, there in _apart(found[0], of_service, tasks):
                    self._most(service, changed, there)
                    self._least(service, changed, there, reader)

    def _shifting(self, service: Service, changes: list[Change[Task]], tasks: list[Task], reader: Reader) -> None:
        """Each deployment has the bounds for its own, and what production is led to is never too few."""
        for each in service.deployments:
            mine = [one for one in changes if any(task and task.started_by == each.id for task in (one.old, one.new))]
            there = [task for task in tasks if task.started_by == each.id]
            self._most(replace(service, name=f"{service.name} {each.id}"), mine, there)
        serving = {arn for each in service.deployments for arn in _production(reader, each.revision_arn)}
        led = [
            change
            for change in changes
            if change.new is not None and any(target.group in serving for target in change.new.targets)
        ]
        there = [task for task in tasks if any(target.group in serving for target in task.targets)]
        self._least(service, led, there, reader)

    def _most(self, service: Service, changes: list[Change[Task]], tasks: list[Task]) -> None:
        if not any(change.old is None for change in changes):
            return
        wanted = sum(task.desired_status == "RUNNING" for task in tasks)
        percent = service.deployment_configuration["maximumPercent"]
        most = service.desired_count * percent // 100
        if wanted > most:
            self._say(f"{service.name}: {wanted} tasks are wanted, {percent} % of {service.desired_count} are allowed")

    def _least(self, service: Service, changes: list[Change[Task]], tasks: list[Task], reader: Reader) -> None:
        stopped = [
            change.old
            for change in changes
            if change.old is not None
            and change.new is not None
            and change.old.desired_status == "RUNNING"
            and change.new.desired_status == "STOPPED"
            and change.new.stop_code == lifecycle.SERVICE_SCHEDULER_INITIATED
        ]
        grace = service.grace_seconds
        if not any(self._healthy(task, reader, grace) for task in stopped):
            return
        left = sum(self._healthy(task, reader, grace) for task in tasks)
        percent = service.deployment_configuration["minimumHealthyPercent"]
        least = -(-service.desired_count * percent // 100)
        if left < least:
            self._say(
                f"{service.name}: {left} healthy tasks are left, {percent} % of {service.desired_count} have to be; "
                f"stopped {[task.arn[-6:] for task in stopped]}"
            )

    def _healthy(self, task: Task, reader: Reader, grace: float) -> bool:
        """Whether a task counts for the minimum; what its containers' checks find in its grace does not count."""
        if task.last_status != "RUNNING" or task.desired_status != "RUNNING":
            return False
        if task.health_status == "UNHEALTHY" and VirtualClock().time() >= (task.started_at or 0.0) + grace:
            return False
        for each in task.targets:
            found = reader.get(TARGETS, target_key(each.group, each.id, each.port))
            anew = found is not None and found.state == "initial" and task.arn in self._served
            if found is None or not (found.state == "healthy" or anew):
                return False
        instance = reader.get(CONTAINER_INSTANCES, task.instance_arn or "")
        return instance is None or instance.status != "DRAINING"

    def _room(self, changes: list[Change[Task]], reader: Reader) -> None:
        for arn in {change.new.instance_arn for change in changes if change.old is None and change.new is not None}:
            there = reader.find(TASKS, "unstopped", arn or "")
            bodies = [(task, reader.get(TASK_DEFINITIONS, task.task_definition_arn)) for task in there]
            containers = [each for _, found in bodies if found for each in found.body["containerDefinitions"]]
            memory = sum(each["memory"] for each in containers)
            ports = [port["hostPort"] for each in containers for port in each.get("portMappings", ())]
            ports = [port for port in ports if port]
            if memory > MEMORY:
                self._say(f"{memory} MiB are given away on {arn}, which has {MEMORY}")
            if len(set(ports)) < len(ports):
                self._say(f"host ports given away twice on {arn}: {ports}")

    def _targets(self, reader: Reader) -> None:
        """Every target that gets traffic is just one task's that runs, or ended a moment ago."""
        owners: dict[str, list[Task]] = defaultdict(list)
        for task in reader.all(TASKS):
            if task.registration == "registered":
                if self._is_served(task, reader):
                    self._served.add(task.arn)
                for each in task.targets:
                    owners[target_key(each.group, each.id, each.port)].append(task)
        for key, tasks in owners.items():
            if sum(task.last_status == "RUNNING" for task in tasks) > 1:
                self._say(f"{key} is more than one task's: {[task.arn[-6:] for task in tasks]}")
        for target in reader.all(TARGETS):
            if target.state != DRAINING and target.key not in owners:
                self._say(f"{target.key} is nobody's")

    def _drained(self, changes: list[Change[Task]], reader: Reader) -> None:
        """Nobody is led to a task whose agent is told to stop it.

        Its port may be another's by now: its container had ended before that.
        """
        for change in changes:
            task = change.new
            if task is None or task.last_status != "STOPPING" or change.old is None or not change.old.started_at:
                continue
            for each in task.targets:
                found = reader.get(TARGETS, target_key(each.group, each.id, each.port))
                others = (reader.get(TASKS, arn) for arn in reader.keys(TASKS, "target", each.key) if arn != task.arn)
                taken = any(other is not None and other.registration == "registered" for other in others)
                if found is not None and found.state != DRAINING and not taken:
                    self._say(f"{task.arn} is stopped while it is a target")

    def _registered_once(self, changed: Iterable[ContainerInstance], reader: Reader) -> None:
        for machine in {each.ec2_instance_id for each in changed}:
            known = reader.find(CONTAINER_INSTANCES, "ec2_instance", machine or "")
            if sum(each.status != "INACTIVE" for each in known) > 1:
                self._say(f"{machine} is registered more than once")

    def _one_primary(self, service: Service) -> None:
        primaries = sum(each.status == "PRIMARY" for each in service.deployments)
        needed = service.status != "INACTIVE" and service.controller == "ECS"
        if not needed <= primaries <= (service.status != "INACTIVE"):
            self._say(f"{service.name} has {primaries} primary deployments")

    def _aliases(self, service: Service) -> None:
        """Service Connect's names lead to deployments that are there, all in all to everything."""
        there = {each.id.rpartition("/")[2] for each in service.deployments}
        for test in (False, True):
            shares = traffic.shares(service, test=test)
            if shares is None:
                continue
            led = {name for name, share in shares.items() if share}
            if sum(shares.values()) != 100.0 or not led <= there:
                self._say(f"{service.name}'s aliases lead to {shares}, there are {there}")

    def _shares(self, listener_arn: str, reader: Reader) -> None:
        """Production is all there, whoever gets which part of it."""
        weights = elb.weights(reader, listener_arn) or {}
        if sum(weights.values()) not in (1, 100, 1000) or len(weights) > 2:
            self._say(f"{listener_arn} leads to {weights}")

    def _shifted(self, change: Change[Listener], reader: Reader) -> None:
        """Who begins to get production has all of its tasks by then."""
        if change.old is None or change.new is None:
            return
        begun = _led_to(change.new) - _led_to(change.old)
        for service in reader.all(SERVICES):
            first = service.deployments[0] if service.deployments else None
            if first is None or first.progress is None or first.progress.back is not None:
                continue  # going back does not wait for those to whom it goes back
            revision = reader.get(SERVICE_REVISIONS, first.revision_arn)
            mine = (revision.resolved or revision.load_balancers) if revision else []
            led = begun & {each["targetGroupArn"] for each in mine}
            there = [task for task in reader.find(TASKS, "service", tasks_key(service)) if task.started_by == first.id]
            there = [task for task in there if any(each.group in led for each in task.targets)]
            whole = sum(self._healthy(task, reader, service.grace_seconds) for task in there)
            if led and whole < service.desired_count:
                self._say(f"{service.name}: {first.id} gets production with {whole} of {service.desired_count} tasks")

    def _say(self, fault: str) -> None:
        self.faults.append(fault)

    def check(self) -> None:
        """Raise Broken with what did not hold."""
        if self.faults:
            raise Broken("; ".join(self.faults[:5]))


def _led_to(listener: Listener) -> set[str]:
    """The target groups that get some of its traffic."""
    action = listener.actions[0]
    listed = action.get("ForwardConfig", {}).get("TargetGroups") or [{"TargetGroupArn": action["TargetGroupArn"]}]
    return {each["TargetGroupArn"] for each in listed if each.get("Weight", 1)}


def _production(reader: Reader, revision_arn: str) -> set[str]:
    """The target groups that production is led to, by the rules of a revision."""
    revision = reader.get(SERVICE_REVISIONS, revision_arn)
    rules = [each.get("advancedConfiguration", {}) for each in revision.load_balancers] if revision else []
    found = [elb.weights(reader, each["productionListenerRule"]) or {} for each in rules if each]
    return {arn for weights in found for arn, weight in weights.items() if weight}


def _apart(
    service: Service, changes: list[Change[Task]], tasks: list[Task]
) -> Iterable[tuple[Service, list[Change[Task]], list[Task]]]:
    """What has bounds of its own, with its tasks: a service, or each of its task sets."""
    if service.controller == "ECS":
        yield service, changes, tasks
        return
    for each in service.deployments:
        mine = [one for one in changes if any(task and task.started_by == each.id for task in (one.old, one.new))]
        there = [task for task in tasks if task.started_by == each.id]
        yield replace(service, name=f"{service.name} {each.id}", desired_count=each.desired_count), mine, there
