"""Tags and account settings, with boto3."""

from __future__ import annotations

from typing import Any

import pytest

from dryport.ecs.model import TASKS
from tests.ecs.api.conftest import Ecs
from tests.served import refusal

INVALID = "InvalidParameterException"


@pytest.mark.parametrize("kind", ["cluster", "task", "task-definition"])
def test_tags_of_each_kind_of_resource(ecs: Ecs, kind: str) -> None:
    definition = ecs.define()
    arns = {"cluster": ecs.cluster_arn, "task-definition": definition}
    arn = arns.get(kind) or ecs.run()["tasks"][0]["taskArn"]
    tags = [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]
    ecs.client.tag_resource(resourceArn=arn, tags=tags)
    assert ecs.client.list_tags_for_resource(resourceArn=arn)["tags"] == tags
    ecs.client.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "3"}])
    ecs.client.untag_resource(resourceArn=arn, tagKeys=["b", "none"])
    assert ecs.client.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "a", "value": "3"}]


def test_tags_that_cannot_be(ecs: Ecs) -> None:
    wrong: list[list[dict[str, Any]]] = [
        [{"key": "aws:a", "value": "1"}],
        [{"key": "a"}, {"key": "a"}],
        [{"value": "1"}],
    ]
    for tags in wrong:
        assert refusal(ecs.client.tag_resource, resourceArn=ecs.cluster_arn, tags=tags)[0] == INVALID
    for number in range(0, 50, 25):
        many = [{"key": f"k{number + each}", "value": ""} for each in range(25)]
        ecs.client.tag_resource(resourceArn=ecs.cluster_arn, tags=many)
    assert refusal(ecs.client.tag_resource, resourceArn=ecs.cluster_arn, tags=[{"key": "51"}])[0] == INVALID
    assert len(ecs.client.list_tags_for_resource(resourceArn=ecs.cluster_arn)["tags"]) == 50


def test_tags_of_nothing(ecs: Ecs) -> None:
    list_tags = ecs.client.list_tags_for_resource
    prefix = "arn:aws:ecs:us-east-1:000000000000"
    assert refusal(list_tags, resourceArn=f"{prefix}:cluster/nowhere")[0] == "ClusterNotFoundException"
    assert refusal(list_tags, resourceArn=f"{prefix}:task/{ecs.name}/0")[0] == "ResourceNotFoundException"
    assert refusal(list_tags, resourceArn="arn:aws:s3:::bucket")[0] == INVALID


def test_settings_of_the_account(ecs: Ecs) -> None:
    client = ecs.served.client("ecs", region="eu-central-1")
    root = "arn:aws:iam::000000000000:root"

    def effective(name: str) -> Any:
        return client.list_account_settings(name=name, effectiveSettings=True)["settings"][0]["value"]

    assert client.list_account_settings()["settings"] == []
    pages = client.get_paginator("list_account_settings").paginate(effectiveSettings=True)
    everything = [setting for page in pages for setting in page["settings"]]
    assert {"name": "taskLongArnFormat", "value": "enabled", "principalArn": root, "type": "user"} in everything
    expected = {"name": "defaultLogDriverMode", "value": "blocking", "principalArn": root, "type": "user"}
    assert client.put_account_setting(name="defaultLogDriverMode", value="blocking")["setting"] == expected
    assert client.list_account_settings()["settings"] == [expected]
    client.put_account_setting_default(name="defaultLogDriverMode", value="non-blocking")
    assert effective("defaultLogDriverMode") == "non-blocking"
    client.delete_account_setting(name="defaultLogDriverMode")
    assert client.list_account_settings()["settings"] == []
    user = "arn:aws:iam::000000000000:user/u"
    client.put_account_setting(name="defaultLogDriverMode", value="blocking", principalArn=user)
    assert effective("defaultLogDriverMode") == "non-blocking"
    own = client.list_account_settings(principalArn=user)["settings"]
    assert [(each["name"], each["value"], each["principalArn"]) for each in own] == [
        ("defaultLogDriverMode", "blocking", user)
    ]


def test_tasks_are_started_with_the_log_mode_of_that_time(ecs: Ecs) -> None:
    ecs.define()

    def mode(arn: str) -> str | None:
        task = ecs.write(lambda tx: tx.get(TASKS, arn))
        assert task is not None
        return task.log_driver_mode

    assert mode(ecs.run()["tasks"][0]["taskArn"]) is None
    ecs.client.put_account_setting(name="defaultLogDriverMode", value="blocking")
    try:
        assert mode(ecs.run()["tasks"][0]["taskArn"]) == "blocking"
    finally:
        ecs.client.delete_account_setting(name="defaultLogDriverMode")


@pytest.mark.parametrize(
    ("name", "value"),
    [("taskLongArnFormat", "disabled"), ("guardDutyActivate", "on"), ("containerInsights", "perhaps")],
)
def test_settings_that_cannot_be(ecs: Ecs, name: str, value: str) -> None:
    assert refusal(ecs.client.put_account_setting, name=name, value=value)[0] == INVALID


@pytest.mark.parametrize(
    ("name", "default", "asked"),
    [
        ("awsvpcTrunking", "disabled", "enabled"),
        ("containerInsights", "disabled", "enhanced"),
        ("fargateTaskRetirementWaitPeriod", "7", "14"),
        ("tagResourceAuthorization", "on", "off"),
    ],
)
def test_settings_that_nothing_acts_on_keep_their_defaults(ecs: Ecs, name: str, default: str, asked: str) -> None:
    code, message = refusal(ecs.client.put_account_setting_default, name=name, value=asked)
    assert code == "NotImplemented" and f"{name}={asked}" in message
    assert ecs.client.put_account_setting(name=name, value=default)["setting"]["value"] == default
    ecs.client.delete_account_setting(name=name)
