"""Container instances whose end has come: keyed by the container instance's ARN."""

from __future__ import annotations

from msgspec.structs import replace

from dryport.ecs import lifecycle
from dryport.ecs.model import CONTAINER_INSTANCES, INSTANCE_HEALTH, TASKS, ContainerInstance
from dryport.store import Transaction


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
