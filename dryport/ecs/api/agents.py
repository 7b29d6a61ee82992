"""What container agents call: where to connect, and what became of their tasks.

Source: the agent protocol page; Amazon ECS API reference. An agent goes on or gives up by an error's code: the codes
are AWS's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import uuid4
from dryport.ecs import ebs, lifecycle
from dryport.ecs.api import SERVICE
from dryport.ecs.controllers import steps
from dryport.ecs.model import CONTAINER_INSTANCES, TASKS, Task
from dryport.gateway.service import Call, Output

Json = dict[str, Any]


@SERVICE.operation("DiscoverPollEndpoint")
def discover_poll_endpoint(call: Call, request: Json) -> Output:
    """Where the agent opens its websockets: at the address by which it reached us."""
    base = f"http://{call.host}"
    return {"endpoint": f"{base}/acs", "telemetryEndpoint": f"{base}/tcs"}


@SERVICE.operation("SubmitTaskStateChange")
def submit_task_state_change(call: Call, request: Json) -> Output:
    """Take an agent's report of a task, as often and as late as it comes."""
    task = _reported_task(call, request.get("task") or "")
    for change in request.get("attachments") or ():
        task = _apply_attachment(call, task, change, request.get("reason") or "")
    report = lifecycle.TaskReport(
        status=_status(request.get("status")),
        reason=request.get("reason") or None,
        containers=_container_reports(request),
        pull_started_at=request.get("pullStartedAt"),
        pull_stopped_at=request.get("pullStoppedAt"),
        execution_stopped_at=request.get("executionStoppedAt"),
    )
    return _apply(call, task, report)


@SERVICE.operation("SubmitContainerStateChange")
def submit_container_state_change(call: Call, request: Json) -> Output:
    """Take an agent's report of one container."""
    task = _reported_task(call, request.get("task") or "")
    return _apply(call, task, lifecycle.TaskReport(containers=[_container_report(request, None)]))


@SERVICE.operation("SubmitAttachmentStateChanges")
def submit_attachment_state_changes(call: Call, request: Json) -> Output:
    """Take an agent's report of interfaces and volumes that have come up."""
    for change in request["attachments"]:
        for task in _tasks_with_attachment(call, change["attachmentArn"]):
            _apply_attachment(call, task, change)
    return {"acknowledgment": uuid4(call.random)}


def _reported_task(call: Call, task_arn: str) -> Task:
    task = call.tx.get(TASKS, task_arn)
    host = call.tx.get(CONTAINER_INSTANCES, task.instance_arn or "") if task else None
    # Only the machine that runs a task may speak of it; on the platform's own hosts that is not the task's account.
    if task is None or host is None or host.account != call.account:
        raise ServiceError("InvalidParameterException", "The referenced task was not found.")
    return task


def _tasks_with_attachment(call: Call, attachment_arn: str) -> Iterable[Task]:
    for instance in call.tx.all(CONTAINER_INSTANCES):
        if instance.account == call.account:
            for task in call.tx.find(TASKS, "unstopped", instance.arn):
                if any(attachment_arn.endswith(f"/{each.id}") for each in task.attachments):
                    yield task


def _apply_attachment(call: Call, task: Task, change: Mapping[str, Any], reason: str = "") -> Task:
    found = next((each for each in task.attachments if change["attachmentArn"].endswith(f"/{each.id}")), None)
    if found is None:
        return task
    if found.type == ebs.TYPE and change["status"] == "FAILED":  # what only Dryport's agent says
        steps.fail_volume(call.tx, task, reason or ebs.TIMEOUT, call.now)
    elif found.type == ebs.TYPE and change["status"] == "ATTACHED":
        steps.use_volume(call.tx, task)
    elif change["status"] == "ATTACHED":
        steps.connect(call.tx, task, call.now)
    return call.tx.get(TASKS, task.arn) or task


def _apply(call: Call, task: Task, report: lifecycle.TaskReport) -> Output:
    changed = lifecycle.apply_task_report(task, report, call.now)
    if changed is not task:
        call.tx.put(TASKS, changed)
    return {"acknowledgment": uuid4(call.random)}


def _status(status: str | None) -> str | None:
    return status if status in (lifecycle.PENDING, lifecycle.RUNNING, lifecycle.STOPPED) else None


def _container_reports(request: Mapping[str, Any]) -> Sequence[lifecycle.ContainerReport]:
    managed: dict[str, list[Json]] = {}
    for each in request.get("managedAgents") or ():
        agent = {"name": each["managedAgentName"], "lastStatus": each["status"]}
        managed.setdefault(each["containerName"], []).append(
            agent | ({"reason": each["reason"]} if each.get("reason") else {})
        )
    reports = [
        _container_report(each, managed.pop(each.get("containerName") or "", None))
        for each in request.get("containers") or ()
    ]
    reports += [lifecycle.ContainerReport(name=name, managed_agents=agents) for name, agents in managed.items()]
    return reports


def _container_report(each: Mapping[str, Any], managed_agents: Sequence[Json] | None) -> lifecycle.ContainerReport:
    return lifecycle.ContainerReport(
        name=each.get("containerName") or "",
        status=each.get("status") or None,
        runtime_id=each.get("runtimeId") or None,
        image_digest=each.get("imageDigest") or None,
        exit_code=each.get("exitCode"),
        reason=each.get("reason") or None,
        network_bindings=each.get("networkBindings"),
        managed_agents=managed_agents,
    )
