"""Describing, listing, stopping and protecting tasks, with boto3."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from dryport.ecs import lifecycle
from tests.ecs.api.conftest import Ecs
from tests.served import refusal

INVALID = "InvalidParameterException"


def test_describing_by_id_and_by_arn(ecs: Ecs) -> None:
    ecs.define()
    arn = ecs.run()["tasks"][0]["taskArn"]
    missing = "0" * 32
    for identifier in (arn, arn.rsplit("/", 1)[1]):
        answer = ecs.client.describe_tasks(cluster=ecs.name, tasks=[identifier, missing])
        assert [task["taskArn"] for task in answer["tasks"]] == [arn]
        assert answer["tasks"][0]["healthStatus"] == "UNKNOWN"
        assert answer["tasks"][0]["containers"][0]["healthStatus"] == "UNKNOWN"
        expected = f"arn:aws:ecs:us-east-1:000000000000:task/{ecs.name}/{missing}"
        assert answer["failures"] == [{"arn": expected, "reason": "MISSING"}]


def test_what_changes_is_described_at_once(ecs: Ecs) -> None:
    ecs.define()
    arn = ecs.run()["tasks"][0]["taskArn"]
    for status in ("PENDING", "RUNNING", "DEPROVISIONING", "STOPPED"):
        ecs.change(arn, lambda task, status=status: lifecycle.advance(task, status, task.created_at + 1))  # type: ignore[misc]
        assert ecs.client.describe_tasks(cluster=ecs.name, tasks=[arn])["tasks"][0]["lastStatus"] == status


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([], "Tasks cannot be empty."),
        (["x" * 37], "taskId longer than 36."),
        (["x" * 31], "taskId length should be one of [32,36]"),
        (["a/b"], "Invalid identifier: Unexpected number of separators"),
        (
            ["arn:aws:ecs:us-east-1:000000000000:task/other/" + "0" * 32],
            "Invalid identifier: Identifier is for cluster other. Your cluster is {cluster}",
        ),
    ],
)
def test_identifiers_that_are_none(ecs: Ecs, tasks: list[str], message: str) -> None:
    expected = (INVALID, message.format(cluster=ecs.name))
    assert refusal(ecs.client.describe_tasks, cluster=ecs.name, tasks=tasks) == expected


def test_another_accounts_task_is_missing(ecs: Ecs) -> None:
    ecs.define()
    arn = ecs.run()["tasks"][0]["taskArn"]
    theirs = arn.replace("000000000000", "111111111111")
    ecs.change(arn, lambda task: replace(task, arn=theirs, cluster_arn=ecs.cluster_arn.replace("0" * 12, "1" * 12)))
    answer = ecs.client.describe_tasks(cluster=ecs.name, tasks=[theirs])
    assert (answer["tasks"], answer["failures"]) == ([], [{"arn": theirs, "reason": "MISSING"}])
    assert refusal(ecs.client.stop_task, cluster=ecs.name, task=theirs)[0] == INVALID


def test_stopping(ecs: Ecs) -> None:
    ecs.define()
    arn = ecs.run()["tasks"][0]["taskArn"]
    stopped = ecs.client.stop_task(cluster=ecs.name, task=arn, reason="enough")["task"]
    assert (stopped["desiredStatus"], stopped["lastStatus"]) == ("STOPPED", "PROVISIONING")
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "enough")
    assert stopped["stoppingAt"] >= stopped["createdAt"]
    again = ecs.client.stop_task(cluster=ecs.name, task=arn.rsplit("/", 1)[1], reason="other")["task"]
    assert again == stopped
    assert refusal(ecs.client.stop_task, cluster=ecs.name, task="0" * 32) == (
        INVALID,
        "The referenced task was not found.",
    )


def test_a_stop_without_a_reason(ecs: Ecs) -> None:
    ecs.define()
    arn = ecs.run()["tasks"][0]["taskArn"]
    assert ecs.client.stop_task(cluster=ecs.name, task=arn)["task"]["stoppedReason"] == "Task stopped by user"


def test_every_filter_of_lists(ecs: Ecs) -> None:
    ecs.define()
    other = ecs.define(family=f"other-{ecs.number}")
    mine = ecs.run(startedBy="me")["tasks"][0]["taskArn"]
    theirs = ecs.run(taskDefinition=other)["tasks"][0]["taskArn"]
    service = ecs.run()["tasks"][0]["taskArn"]
    stopped = ecs.run(startedBy="me")["tasks"][0]["taskArn"]
    ecs.client.stop_task(cluster=ecs.name, task=stopped)
    ecs.change(service, lambda task: replace(task, group="service:web", instance_arn="here"))

    def listed(**filters: str) -> list[str]:
        arns: list[str] = ecs.client.list_tasks(cluster=ecs.name, **filters)["taskArns"]
        return arns

    assert listed() == [mine, theirs, service]
    assert listed(desiredStatus="STOPPED") == [stopped]
    assert listed(desiredStatus="PENDING") == []
    assert listed(startedBy="me") == [mine]
    assert listed(startedBy="me", desiredStatus="STOPPED") == [stopped]
    assert listed(startedBy="you") == []
    assert listed(family=f"other-{ecs.number}") == [theirs]
    assert listed(family=f"family-{ecs.number}", desiredStatus="STOPPED") == [stopped]
    assert listed(launchType="FARGATE") == [mine, theirs, service]
    assert listed(launchType="EC2") == []
    assert listed(family=f"family-{ecs.number}", launchType="FARGATE") == [mine, service]
    assert listed(serviceName="web") == [service]
    assert listed(serviceName="web", desiredStatus="STOPPED") == []
    assert listed(containerInstance="elsewhere") == []
    assert refusal(ecs.client.list_tasks, cluster=ecs.name, serviceName="none") == (
        "ServiceNotFoundException",
        "Service not found.",
    )
    assert refusal(ecs.client.list_tasks, cluster=ecs.name, startedBy="me", family="f")[0] == INVALID


def test_pages_of_tasks(ecs: Ecs) -> None:
    ecs.define()
    arns = [task["taskArn"] for _ in range(2) for task in ecs.run(count=10)["tasks"]]
    pages = ecs.client.get_paginator("list_tasks").paginate(cluster=ecs.name, PaginationConfig={"PageSize": 7})
    assert [arn for page in pages for arn in page["taskArns"]] == arns


def test_a_hundred_tasks_at_once_and_not_one_more(ecs: Ecs) -> None:
    ecs.define()
    arns = [task["taskArn"] for _ in range(10) for task in ecs.run(count=10)["tasks"]]
    described = ecs.client.describe_tasks(cluster=ecs.name, tasks=arns)["tasks"]
    assert [task["taskArn"] for task in described] == arns
    assert refusal(ecs.client.describe_tasks, cluster=ecs.name, tasks=[*arns, arns[0]])[0] == INVALID


def test_the_hosts_of_fargate_are_shown_to_nobody(ecs: Ecs) -> None:
    ecs.define()
    arn = ecs.run()["tasks"][0]["taskArn"]
    ecs.change(arn, lambda task: replace(task, instance_arn="hidden"))
    assert "containerInstanceArn" not in ecs.client.describe_tasks(cluster=ecs.name, tasks=[arn])["tasks"][0]


def test_protection_is_for_tasks_of_services(ecs: Ecs) -> None:
    ecs.define()
    plain, service = (task["taskArn"] for task in ecs.run(count=2)["tasks"])
    ecs.change(service, lambda task: replace(task, group="service:web"))
    answer = ecs.client.update_task_protection(
        cluster=ecs.name, tasks=[plain, service, "0" * 32], protectionEnabled=True, expiresInMinutes=60
    )
    not_valid, missing = answer["failures"]
    assert (not_valid["arn"], not_valid["reason"], missing["reason"]) == (plain, "TASK_NOT_VALID", "MISSING")
    protected = answer["protectedTasks"]
    assert [(task["taskArn"], task["protectionEnabled"]) for task in protected] == [(service, True)]
    got = ecs.client.get_task_protection(cluster=ecs.name, tasks=[service])["protectedTasks"]
    assert got == protected
    ecs.client.update_task_protection(cluster=ecs.name, tasks=[service], protectionEnabled=False)
    got = ecs.client.get_task_protection(cluster=ecs.name, tasks=[service])["protectedTasks"]
    assert got == [{"taskArn": service, "protectionEnabled": False}]
