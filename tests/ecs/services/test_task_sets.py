"""Task sets, purely: how many tasks they are to have, which one is the primary one."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.ecs.services import task_sets
from dryport.ecs.services.model import DRAINING, EXTERNAL, PRIMARY, Deployment, Service


@pytest.mark.parametrize(
    ("desired", "scale", "tasks"),
    [(10, 12.0, 2), (2, 50.0, 1), (3, 50.0, 2), (0, 100.0, 0), (5, 0.0, 0), (1000, 7.1, 71), (1, 0.001, 1)],
)
def test_a_share_is_rounded_up(desired: int, scale: float, tasks: int) -> None:
    assert task_sets.computed(desired, scale) == tasks


@given(desired=st.integers(0, 5000), hundredths=st.integers(0, 10_000))
def test_no_share_is_off_by_more_than_its_rounding(desired: int, hundredths: int) -> None:
    exact = Fraction(desired * hundredths, 10_000)
    assert 0 <= task_sets.computed(desired, hundredths / 100) - exact < 1


def _service(count: int) -> Service:
    service = Service(
        arn="arn:aws:ecs:us-east-1:0:service/a/web", name="web", cluster_arn="arn:aws:ecs:us-east-1:0:cluster/a",
        account="0", region="us-east-1", controller=EXTERNAL, revision_arn="",
    )  # fmt: skip
    for number in range(count):
        made = Deployment(
            id=f"ecs-svc/{number}", revision_arn=f"revision-{number}", service_deployment_arn="", status="ACTIVE",
            task_definition_arn="web:1", desired_count=1, created_at=float(number), updated_at=float(number),
        )  # fmt: skip
        service = task_sets.change(service, made)
    return service


@given(
    count=st.integers(1, 5),
    steps=st.lists(st.tuples(st.sampled_from(["promote", "leave"]), st.integers(0, 4)), max_size=12),
)
def test_one_is_the_primary_one_and_what_the_service_is_said_to_run(count: int, steps: list[tuple[str, int]]) -> None:
    service, expected = _service(count), ""
    for kind, number in steps:
        chosen = next((each for each in service.deployments if each.id == f"ecs-svc/{number}"), None)
        if chosen is None or chosen.status == DRAINING:
            continue
        if kind == "promote":
            service, expected = task_sets.promote(service, chosen, 9.0), chosen.revision_arn
        else:
            service = task_sets.leave(service, chosen, 9.0)
            expected = "" if expected == chosen.revision_arn else expected
        assert service.revision_arn == expected
        primary = [each.revision_arn for each in service.deployments if each.status == PRIMARY]
        assert primary == ([expected] if expected else [])
        assert len(service.deployments) == count
        assert not primary or service.deployments[0].status == PRIMARY
        assert all(each.desired_count == 0 for each in service.deployments if each.status == DRAINING)
