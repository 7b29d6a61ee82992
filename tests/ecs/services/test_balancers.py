"""What targets' health makes of a task, and when a task is registered and leaves: in every case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.ecs import lifecycle
from dryport.ecs.model import Container, Task, TaskTarget, registration_due
from dryport.ecs.services import balancers
from dryport.ecs.services.balancers import NOT_REGISTERED, STARTING, UNWELL, WELL, Seen, judge, reason, verdict

STATES = (None, "initial", "healthy", "unhealthy", "unused", "draining", "unavailable")
TARGET = TaskTarget(group="arn:group", id="10.0.0.1", port=80)
seen = st.builds(
    Seen,
    st.just(TARGET),
    st.booleans(),
    st.booleans(),
    st.sampled_from(STATES),
    st.sampled_from(("", "Health checks failed")),
)


def _task(**members: object) -> Task:
    given = {"load_balancers": [{"targetGroupArn": "arn:group"}], **members}
    return Task(arn="a", cluster_arn="c", account="0", region="r", task_definition_arn="d", family="f", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "fresh", "served"),
    [
        ("healthy", WELL, WELL),
        ("initial", STARTING, WELL),
        ("unhealthy", UNWELL, UNWELL),
        ("unused", UNWELL, UNWELL),  # in a zone that its balancer does not have
        ("draining", UNWELL, UNWELL),  # somebody else deregistered it
        (None, UNWELL, UNWELL),
    ],
)
def test_what_a_target_says_of_its_task(state: str | None, fresh: str, served: str) -> None:
    there = Seen(TARGET, group=True, used=True, state=state)
    assert (judge(there, False), judge(there, True)) == (fresh, served)


def test_groups_that_are_gone_or_lead_nowhere() -> None:
    gone = Seen(TARGET, group=False, used=False)
    assert (judge(gone, False), judge(gone, True)) == (STARTING, WELL)
    idle = Seen(TARGET, group=True, used=False, state="initial")
    assert (judge(idle, False), judge(idle, True)) == (WELL, WELL)


@given(st.lists(seen, max_size=5), st.booleans())
def test_a_task_is_what_the_worst_of_its_targets_says(found: list[Seen], served: bool) -> None:
    kinds = [judge(each, served) for each in found]
    kind, blamed = verdict(found, served)
    assert kind == next((each for each in (UNWELL, STARTING) if each in kinds), WELL)
    assert (blamed is None) == (kind == WELL)
    assert blamed is None or (judge(blamed, served) == kind and reason(blamed))


@given(st.lists(seen, max_size=5))
def test_to_have_served_makes_nobody_worse(found: list[Seen]) -> None:
    order = [WELL, STARTING, UNWELL]
    assert order.index(verdict(found, True)[0]) <= order.index(verdict(found, False)[0])


def test_reasons_are_elbs_words() -> None:
    assert reason(Seen(TARGET, group=True, used=True)) == NOT_REGISTERED
    assert reason(Seen(TARGET, group=True, used=True, state="unhealthy")) == "Health checks failed"
    timeout = Seen(TARGET, group=True, used=True, state="unhealthy", description="Request timed out")
    assert reason(timeout) == "Request timed out"


@given(
    st.sampled_from(lifecycle.STATUSES),
    st.sampled_from(("RUNNING", "STOPPED")),
    st.sampled_from(("", "registered", "leaving", "gone")),
)
def test_whoever_runs_is_registered_and_nobody_else_stays_so(last: str, desired: str, registration: str) -> None:
    due = registration_due(_task(last_status=last, desired_status=desired, registration=registration))
    runs = desired == "RUNNING" and last in ("ACTIVATING", "RUNNING")
    if registration == "registered":
        assert due == ("" if runs else "deregister")
    elif registration == "":
        assert due == ("register" if runs else "")
    else:
        assert due == ("leave" if registration == "leaving" else "")
    assert registration_due(_task(last_status=last, load_balancers=[])) == ""


def test_ports_of_bridge_tasks_are_their_hosts_and_of_their_protocol() -> None:
    bindings = [
        {"containerPort": 53, "hostPort": 32_768, "protocol": "tcp"},
        {"containerPort": 53, "hostPort": 32_769, "protocol": "udp"},
    ]
    task = _task(containers=[Container(arn="c", name="main", image="i", network_bindings=bindings)])
    assert balancers.host_port(task, {}, "main", 53) == 32_768
    assert balancers.host_port(task, {}, "main", 53, "udp") == 32_769
    assert balancers.host_port(task, {}, "main", 54) is None
    assert balancers.host_port(task, {"networkMode": "host"}, "main", 54) == 54
