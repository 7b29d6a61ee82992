"""Task definitions, with boto3."""

from __future__ import annotations

import pytest

from tests.ecs.api.conftest import Ecs
from tests.served import refusal

NOT_FOUND = ("ClientException", "Unable to describe task definition.")


def test_revisions_of_a_family(ecs: Ecs) -> None:
    first, second = ecs.define(), ecs.define(tags=[{"key": "a", "value": "b"}])
    family = f"family-{ecs.number}"
    assert first == f"arn:aws:ecs:us-east-1:000000000000:task-definition/{family}:1"
    assert second.endswith(f"{family}:2")
    described = ecs.client.describe_task_definition(taskDefinition=family, include=["TAGS"])
    definition = described["taskDefinition"]
    assert (definition["taskDefinitionArn"], definition["revision"], definition["status"]) == (second, 2, "ACTIVE")
    assert definition["registeredBy"] == "arn:aws:iam::000000000000:root"
    assert definition["requiresCompatibilities"] == ["FARGATE"]
    assert described["tags"] == [{"key": "a", "value": "b"}]
    for name in (first, f"{family}:1"):
        described = ecs.client.describe_task_definition(taskDefinition=name)
        assert described["taskDefinition"]["taskDefinitionArn"] == first
        assert described["tags"] == []


def test_what_register_answers_is_what_describe_answers(ecs: Ecs) -> None:
    definition = {"family": f"same-{ecs.number}", "containerDefinitions": [{"name": "a", "image": "b", "memory": 64}]}
    registered = ecs.client.register_task_definition(**definition)
    assert "tags" not in registered
    described = ecs.client.describe_task_definition(taskDefinition=f"same-{ecs.number}")
    assert described["taskDefinition"] == registered["taskDefinition"]
    assert "networkMode" not in registered["taskDefinition"]


@pytest.mark.parametrize("name", ["nothing", "nothing:1", "arn:aws:ecs:us-east-1:111111111111:task-definition/f:1"])
def test_a_task_definition_that_is_not_there(ecs: Ecs, name: str) -> None:
    assert refusal(ecs.client.describe_task_definition, taskDefinition=name) == NOT_FOUND


def test_a_revision_that_is_no_number(ecs: Ecs) -> None:
    assert refusal(ecs.client.describe_task_definition, taskDefinition="f:latest") == (
        "InvalidParameterException",
        "Invalid revision number. Number: latest",
    )


def test_deregistering(ecs: Ecs) -> None:
    first, second = ecs.define(), ecs.define()
    family = f"family-{ecs.number}"
    assert refusal(ecs.client.deregister_task_definition, taskDefinition=family) == (
        "ClientException",
        "Revision is missing.",
    )
    gone = ecs.client.deregister_task_definition(taskDefinition=second)["taskDefinition"]
    assert gone["status"] == "INACTIVE"
    assert gone["deregisteredAt"] >= gone["registeredAt"]
    latest = ecs.client.describe_task_definition(taskDefinition=family)["taskDefinition"]
    assert latest["taskDefinitionArn"] == first
    assert ecs.client.describe_task_definition(taskDefinition=second)["taskDefinition"] == gone
    assert ecs.define().endswith(":3")  # numbers are not used again
    assert refusal(ecs.client.deregister_task_definition, taskDefinition=f"{family}:9")[0] == "ClientException"


def test_deleting(ecs: Ecs) -> None:
    first, second = ecs.define(), ecs.define()
    ecs.client.deregister_task_definition(taskDefinition=first)
    answer = ecs.client.delete_task_definitions(taskDefinitions=[first, second, "none:1"])
    assert [(each["taskDefinitionArn"], each["status"]) for each in answer["taskDefinitions"]] == [
        (first, "DELETE_IN_PROGRESS")
    ]
    assert "deleteRequestedAt" in answer["taskDefinitions"][0]
    assert answer["failures"][0] == {
        "arn": second,
        "reason": "The specified task definition is still in ACTIVE status. "
        "Please deregister the target and try again.",
    }
    assert answer["failures"][1]["arn"] == "none:1"
    assert refusal(ecs.run, taskDefinition=first) == ("ClientException", "TaskDefinition is inactive")


def test_lists(ecs: Ecs) -> None:
    arns = [ecs.define() for _ in range(11)]
    family = f"family-{ecs.number}"
    list_definitions = ecs.client.list_task_definitions
    assert list_definitions(familyPrefix=family)["taskDefinitionArns"] == arns  # 10 after 9, not after 1
    assert list_definitions(familyPrefix=family, sort="DESC")["taskDefinitionArns"] == arns[::-1]
    assert list_definitions(familyPrefix=family[:-1] + "x")["taskDefinitionArns"] == []
    page = list_definitions(familyPrefix=family, maxResults=4)
    rest = list_definitions(familyPrefix=family, nextToken=page["nextToken"])
    assert page["taskDefinitionArns"] + rest["taskDefinitionArns"] == arns
    ecs.client.deregister_task_definition(taskDefinition=arns[0])
    assert list_definitions(familyPrefix=family)["taskDefinitionArns"] == arns[1:]
    assert list_definitions(familyPrefix=family, status="INACTIVE")["taskDefinitionArns"] == arns[:1]


def test_families(ecs: Ecs) -> None:
    prefix = f"families-{ecs.number}-"
    both, gone = ecs.define(family=f"{prefix}both"), ecs.define(family=f"{prefix}gone")
    ecs.client.deregister_task_definition(taskDefinition=gone)
    list_families = ecs.client.list_task_definition_families
    assert list_families(familyPrefix=prefix)["families"] == [f"{prefix}both", f"{prefix}gone"]
    assert list_families(familyPrefix=prefix, status="ACTIVE")["families"] == [f"{prefix}both"]
    assert list_families(familyPrefix=prefix, status="INACTIVE")["families"] == [f"{prefix}gone"]
    assert both.endswith(f"{prefix}both:1")


def test_a_wrong_definition_takes_no_revision(ecs: Ecs) -> None:
    code, message = refusal(ecs.define, memory="4096")
    assert code == "ClientException"
    assert message.startswith("No Fargate configuration exists for given values: 256 CPU, 4096 memory.")
    assert ecs.define().endswith(":1")


def test_tags_of_a_task_definition(ecs: Ecs) -> None:
    assert refusal(ecs.define, tags=[]) == ("ClientException", "Tags can not be empty.")
    reserved = [{"key": "aws:x", "value": "1"}]
    assert refusal(ecs.define, tags=reserved)[0] == "InvalidParameterException"
