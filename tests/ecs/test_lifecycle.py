"""The life of a task, under any history of reports, stops and steps."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dryport.ecs import lifecycle
from dryport.ecs.lifecycle import ContainerReport, TaskReport
from dryport.ecs.model import Attachment, Container, Task

patient = settings(deadline=None, max_examples=80)
NAMES = ("app", "side")
STARTED = 1_000.0

times = st.floats(min_value=0.0, max_value=5_000.0)
container_reports = st.builds(
    ContainerReport,
    name=st.sampled_from((*NAMES, "stranger")),
    status=st.sampled_from((None, "PENDING", "PULLED", "RUNNING", "STOPPED")),
    runtime_id=st.none() | st.sampled_from(("r1", "r2")),
    image_digest=st.none() | st.just("sha256:1"),
    exit_code=st.none() | st.integers(0, 255),
    reason=st.none() | st.sampled_from(("OutOfMemoryError: Container killed due to memory usage", "other")),
)
reports = st.builds(
    TaskReport,
    status=st.sampled_from((None, "PENDING", "RUNNING", "STOPPED")),
    reason=st.none() | st.just("CannotPullContainerError: no such image"),
    containers=st.lists(container_reports, max_size=4),
    pull_started_at=st.none() | times,
    pull_stopped_at=st.none() | times,
    execution_stopped_at=st.none() | times,
)
events = st.one_of(
    reports,
    st.sampled_from(lifecycle.STATUSES),
    st.just("stop"),
    st.sampled_from(("PRECREATED", "ATTACHED", "DETACHING", "DELETED")).map(lambda status: ("attachment", status)),
)


def new_task(*, interface: bool = True, launch_type: str = "FARGATE") -> Task:
    return Task(
        arn="task",
        cluster_arn="cluster",
        account="000000000000",
        region="us-east-1",
        task_definition_arn="definition",
        family="family",
        launch_type=launch_type,
        containers=[Container(arn=name, name=name, image="image") for name in NAMES],
        attachments=[Attachment(id="eni")] if interface else [],
        created_at=STARTED,
    )


def apply(task: Task, event: Any, now: float) -> Task:
    if isinstance(event, TaskReport):
        return lifecycle.apply_task_report(task, event, now)
    if event == "stop":
        return lifecycle.request_stop(task, lifecycle.USER_INITIATED, lifecycle.STOPPED_BY_USER, now)
    if isinstance(event, tuple):
        return lifecycle.apply_attachment_status(task, "eni", event[1])
    return lifecycle.advance(task, event, now)


@patient
@given(st.lists(st.tuples(events, times), max_size=12), st.booleans())
def test_no_history_leads_backwards_or_loses_what_is_known(history: list[tuple[Any, float]], interface: bool) -> None:
    task = new_task(interface=interface)
    for event, now in history:
        before, task = task, apply(task, event, now)
        order = lifecycle.STATUSES.index
        assert order(task.last_status) >= order(before.last_status)
        assert not (before.desired_status == "STOPPED" and task.desired_status == "RUNNING")
        assert task.version > before.version if task != before else task.version == before.version
        for old, new in zip(before.containers, task.containers, strict=True):
            assert old.exit_code in (None, new.exit_code)
            assert old.reason in (None, new.reason)
            assert old.runtime_id in (None, new.runtime_id)
            assert old.last_status != "STOPPED" or new.last_status == "STOPPED"
        for name in ("started_at", "stopping_at", "stopped_at", "execution_stopped_at", "stop_code", "stopped_reason"):
            known = getattr(before, name)
            assert known is None or known == getattr(task, name), name


@patient
@given(st.lists(st.tuples(events, times), max_size=12))
def test_the_time_stamps_of_a_life_are_in_order(history: list[tuple[Any, float]]) -> None:
    task = new_task()
    for event, now in history:
        task = apply(task, event, now)
        for order in (
            (task.created_at, task.started_at, task.stopped_at),
            # A task may be told to stop before it runs.
            (task.created_at, task.stopping_at, task.stopped_at),
            (task.created_at, task.execution_stopped_at, task.stopped_at),
            (task.created_at, task.pull_started_at, task.pull_stopped_at),
        ):
            known = [stamp for stamp in order if stamp is not None]
            assert known == sorted(known)
        assert (task.stopped_at is not None) == (task.last_status == "STOPPED")


@patient
@given(st.lists(reports, min_size=1, max_size=6), times)
def test_a_report_that_comes_twice_changes_nothing(history: list[TaskReport], now: float) -> None:
    task = new_task()
    for report in history:
        task = lifecycle.apply_task_report(task, report, now)
        assert lifecycle.apply_task_report(task, report, now) == task


@patient
@given(st.lists(reports, max_size=6))
def test_once_stopped_nothing_changes(history: list[TaskReport]) -> None:
    task = lifecycle.advance(new_task(), "STOPPED", 2_000.0)
    for report in history:
        assert lifecycle.apply_task_report(task, report, 3_000.0) is task


def run(task: Task, *containers: ContainerReport) -> Task:
    return lifecycle.apply_task_report(task, TaskReport(status="RUNNING", containers=containers), 1_010.0)


def test_an_essential_container_that_exits() -> None:
    task = run(new_task(), ContainerReport(name="app", status="RUNNING", runtime_id="r"))
    assert (task.last_status, task.started_at) == ("RUNNING", 1_010.0)
    report = TaskReport(
        status="STOPPED",
        containers=[ContainerReport(name="app", status="STOPPED", exit_code=3)],
        execution_stopped_at=1_019.0,
    )
    task = lifecycle.apply_task_report(task, report, 1_020.0)
    assert (task.stop_code, task.stopped_reason) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )
    assert (task.last_status, task.desired_status) == ("DEPROVISIONING", "STOPPED")
    assert (task.stopping_at, task.execution_stopped_at, task.stopped_at) == (1_019.0, 1_019.0, None)
    assert [container.last_status for container in task.containers] == ["STOPPED", "STOPPED"]
    task = lifecycle.advance(task, "STOPPED", 1_021.0)
    assert task.stopped_at == 1_021.0
    assert not lifecycle.expired(task, 1_021.0 + 3_599.0)
    assert lifecycle.expired(task, 1_021.0 + 3_600.0)


def test_an_image_that_was_pulled_before_the_interface_was_there_counts_as_pulled_after() -> None:
    task = replace(new_task(), connectivity_at=1_003.0)
    report = TaskReport(status="RUNNING", pull_started_at=1_001.0, pull_stopped_at=1_002.0)
    task = lifecycle.apply_task_report(task, report, 1_004.0)
    assert (task.pull_started_at, task.pull_stopped_at, task.started_at) == (1_003.0, 1_003.0, 1_004.0)


def test_an_exit_so_fast_that_running_was_never_reported_is_still_an_exit() -> None:
    report = TaskReport(status="STOPPED", containers=[ContainerReport(name="app", status="STOPPED", exit_code=0)])
    task = lifecycle.apply_task_report(new_task(), report, 1_005.0)
    assert task.stop_code == "EssentialContainerExited"
    assert task.started_at is None


@pytest.mark.parametrize(
    ("launch_type", "reason"),
    [("FARGATE", "CannotPullContainerError: pull access denied"), ("EC2", "Task failed to start")],
)
def test_an_image_that_cannot_be_pulled(launch_type: str, reason: str) -> None:
    error = "CannotPullContainerError: pull access denied"
    report = TaskReport(status="STOPPED", containers=[ContainerReport(name="app", status="STOPPED", reason=error)])
    task = lifecycle.apply_task_report(new_task(launch_type=launch_type), report, 1_005.0)
    assert (task.stop_code, task.stopped_reason) == ("TaskFailedToStart", reason)
    assert task.containers[0].reason == error


def test_a_user_who_stops_a_task_is_the_reason_whatever_its_containers_then_say() -> None:
    task = lifecycle.request_stop(run(new_task()), lifecycle.USER_INITIATED, "going home", 1_020.0)
    assert (task.last_status, task.desired_status) == ("RUNNING", "STOPPED")
    assert task == lifecycle.request_stop(task, lifecycle.SERVICE_SCHEDULER_INITIATED, "later", 1_021.0)
    report = TaskReport(status="STOPPED", containers=[ContainerReport(name="app", status="STOPPED", exit_code=137)])
    task = lifecycle.apply_task_report(task, report, 1_030.0)
    assert (task.stop_code, task.stopped_reason, task.stopping_at) == ("UserInitiated", "going home", 1_020.0)


def test_a_task_without_an_interface_is_stopped_at_once() -> None:
    task = lifecycle.apply_task_report(new_task(interface=False), TaskReport(status="STOPPED"), 1_005.0)
    assert (task.last_status, task.stopped_at) == ("STOPPED", 1_005.0)


@pytest.mark.parametrize(
    ("statuses", "health"),
    [
        ({"app": "HEALTHY"}, "HEALTHY"),
        ({"app": "HEALTHY", "side": "UNHEALTHY"}, "HEALTHY"),  # side is not essential
        ({"app": "UNHEALTHY"}, "UNHEALTHY"),
        ({"app": "UNKNOWN"}, "UNKNOWN"),
        ({"side": "HEALTHY"}, "UNKNOWN"),
    ],
)
def test_a_tasks_health_is_that_of_its_essential_containers(statuses: dict[str, str], health: str) -> None:
    task = lifecycle.apply_health_report(run(new_task()), statuses, essential=("app",))
    assert task.health_status == health
    assert lifecycle.apply_health_report(task, statuses, essential=("app",)) is task
