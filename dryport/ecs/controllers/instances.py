"""Container instances whose end has come: keyed by the container instance's ARN."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from dryport.control.controller import Controller
from dryport.ec2.model import INSTANCES
from dryport.ecs import lifecycle
from dryport.ecs.model import CONTAINER_INSTANCES, INSTANCE_HEALTH, TASKS, ContainerInstance
from dryport.store import Change, Reader, Transaction

INACTIVE_SECONDS = 3600.0  # for how long an inactive instance can be seen
STOPPED, TERMINATED = "stopped", "terminated"  # states of EC2 instances


def ended(reader: Reader, instance: ContainerInstance) -> str | None:
    """How the EC2 instance under a container instance has ended (``stopped``, ``terminated``), ``None`` if it has not.

    Other machines are not EC2's to know of.
    """
    if instance.capacity != "EC2" or instance.ec2_instance_id is None:
        return None
    machine = reader.get(INSTANCES, instance.ec2_instance_id)
    state = machine.state if machine is not None else TERMINATED
    return state if state in (STOPPED, TERMINATED) else None


def retire(tx: Transaction, instance: ContainerInstance, code: str, reason: str, now: float) -> ContainerInstance:
    """Make an instance inactive and give its tasks up, with this stop code and reason; the instance as it is then."""
    retired = replace(
        instance, status="INACTIVE", agent_connected=False, deregistered_at=now, version=instance.version + 1
    )
    tx.put(CONTAINER_INSTANCES, retired)
    tx.delete(INSTANCE_HEALTH, instance.arn)
    for task in tx.find(TASKS, "unstopped", instance.arn):
        tx.put(TASKS, lifecycle.request_stop(task, code, reason, now))
    return retired


class InstanceController(Controller):
    """Notices that an EC2 instance is gone: at once, not when its agent's silence is.

    A stopped one stays registered, without its agent; a terminated one is deregistered. Inactive ones are forgotten
    after an hour.
    """

    tables = (CONTAINER_INSTANCES, INSTANCES)

    def existing(self) -> Iterable[str]:
        return [each.arn for each in self.store.reader.all(CONTAINER_INSTANCES)]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        old, new = change.old, change.new
        if change.table.name == INSTANCES.name:
            same = old is not None and new is not None and old.state == new.state
            return () if same else self.store.reader.keys(CONTAINER_INSTANCES, "ec2_instance", change.key)
        return (change.key,) if old is None or new is None or old.status != new.status else ()

    async def reconcile(self, key: str) -> float | None:
        instance = self.store.reader.get(CONTAINER_INSTANCES, key)
        if instance is None or (instance.status != "INACTIVE" and ended(self.store.reader, instance) is None):
            return None
        return await self.store.transact(lambda tx: self._settle(tx, key))

    def _settle(self, tx: Transaction, key: str) -> float | None:
        instance, now = tx.get(CONTAINER_INSTANCES, key), self.clock.time()
        if instance is None:
            return None
        if instance.status == "INACTIVE":
            return self._forget(tx, instance, now)
        how = ended(tx, instance)
        if how == TERMINATED:
            reason = lifecycle.HOST_TERMINATED.format(instance=instance.ec2_instance_id)
            retire(tx, instance, lifecycle.TERMINATION_NOTICE, reason, now)
        elif how == STOPPED and instance.agent_connected:
            tx.put(CONTAINER_INSTANCES, replace(instance, agent_connected=False))
        return None

    def _forget(self, tx: Transaction, instance: ContainerInstance, now: float) -> float | None:
        left = (instance.deregistered_at or 0.0) + INACTIVE_SECONDS - now
        if left > 0 or tx.keys(TASKS, "unstopped", instance.arn):
            return max(left, 60.0)
        tx.delete(CONTAINER_INSTANCES, instance.arn)
        return None
