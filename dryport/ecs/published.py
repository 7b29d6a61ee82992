"""What other services may ask of ECS: plain functions inside their own transactions."""

from __future__ import annotations

from typing import Any

from dryport.aws.arn import Arn
from dryport.ecs.lifecycle import STATUSES, STOPPED, USER_INITIATED, request_stop
from dryport.ecs.model import (
    ACCOUNT_SETTINGS,
    CLUSTERS,
    CONTAINER_INSTANCES,
    TASK_DEFINITIONS,
    TASKS,
    Cluster,
    Task,
    TaskDefinition,
    scope,
)
from dryport.ecs.services.model import SERVICES, TASK_SETS
from dryport.ecs.settings import SETTINGS, holder
from dryport.store import Reader, Table, Transaction


def cluster(reader: Reader, cluster_arn: str) -> Cluster | None:
    """A cluster, inactive and hidden ones too."""
    return reader.get(CLUSTERS, cluster_arn)


def clusters_by_region(reader: Reader, account: str) -> dict[str, tuple[str, ...]]:
    """The ARNs of an account's active clusters."""
    found: dict[str, tuple[str, ...]] = {}
    for one in reader.all(CLUSTERS):
        if one.account == account and one.status != "INACTIVE" and not one.hidden:
            found[one.region] = (*found.get(one.region, ()), one.arn)
    return found


def task(reader: Reader, task_arn: str) -> Task | None:
    """A task, until an hour after it stopped."""
    return reader.get(TASKS, task_arn)


def task_definition(reader: Reader, task_definition_arn: str) -> TaskDefinition | None:
    """A revision, of whatever status."""
    return reader.get(TASK_DEFINITIONS, task_definition_arn)


def latest_revision(reader: Reader, account: str, region: str, family: str) -> str | None:
    """The ARN of a family's latest active revision."""
    # Oldest first, and a revision is never active again: the last one is the latest.
    keys = reader.keys(TASK_DEFINITIONS, "active", scope(account, region, family))
    return keys[-1] if keys else None


def account_setting(reader: Reader, account: str, region: str, principal_arn: str, name: str) -> str:
    """What holds for a principal: its own setting, else the account's default, else ECS's.

    Raises KeyError where ECS has no such setting.
    """
    return chosen_setting(reader, account, region, principal_arn, name) or SETTINGS[name].default


def chosen_setting(reader: Reader, account: str, region: str, principal_arn: str, name: str) -> str | None:
    """What somebody has set that holds for a principal: its own setting, else the account's default."""
    for principal in (holder(principal_arn), ""):
        own = reader.get(ACCOUNT_SETTINGS, f"{scope(account, region, name)}/{principal}")
        if own is not None:
            return own.value
    return None


def tasks_of_this_machine(reader: Reader) -> list[Task]:
    """The tasks that have not stopped and do not run on machines elsewhere."""
    unstopped = (task for status in STATUSES if status != STOPPED for task in reader.find(TASKS, "status", status))
    return [task for task in unstopped if task.launch_type != "EXTERNAL"]


def stop_tasks_of_this_machine(tx: Transaction, now: float) -> None:
    """Want all of them stopped: the platform is going down."""
    for each in tasks_of_this_machine(tx):
        tx.put(TASKS, request_stop(each, USER_INITIATED, "Dryport was shut down", now))


def resource_tags(reader: Reader, parts: Arn) -> dict[str, str] | None:
    """The tags of the resource of an ARN, none of one that does not exist; ``None`` where its kind has none."""
    kind = parts.resource.partition("/")[0]
    tables: dict[str, Table[Any]] = {
        "cluster": CLUSTERS,
        "container-instance": CONTAINER_INSTANCES,
        "service": SERVICES,
        "task": TASKS,
        "task-definition": TASK_DEFINITIONS,
        "task-set": TASK_SETS,
    }
    if kind not in tables:
        return None
    found = reader.get(tables[kind], str(parts))
    return {tag["key"]: tag.get("value", "") for tag in found.tags} if found is not None else {}
