"""What requests to forwarded services need: found where it is sure, open where it is not."""

from __future__ import annotations

from typing import Any

import pytest

from dryport.forwarding import actions, permissions
from dryport.forwarding.permissions import Asked
from dryport.iam.authorization import Resource, Scope

SCOPE = Scope("eu-west-1", "111122223333")
TABLE = "arn:aws:dynamodb:eu-west-1:111122223333:table/"
QUEUE, TOPIC = (f"arn:aws:{name}:eu-west-1:111122223333:" for name in ("sqs", "sns"))
FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:"
OTHER = "arn:aws:sns:eu-west-1:999999999999:news"


def needed(prefix: str, operation: str, **given: Any) -> list[tuple[str, tuple[Resource, ...]]] | None:
    asked = Asked(prefix, operation, given, SCOPE, SCOPE.account)
    found = permissions.requirements(asked, actions.reference(prefix))
    return None if found is None else [(one.action, one.resources) for one in found]


def exact(*arns: str) -> tuple[Resource, ...]:
    return tuple(Resource(arn, True) for arn in arns)


def wide(*arns: str) -> tuple[Resource, ...]:
    return tuple(Resource(arn, False) for arn in arns)


@pytest.mark.parametrize(
    ("prefix", "operation", "given", "action", "resources"),
    [
        ("sqs", "SendMessage", {"QueueUrl": "http://x:1/1/jobs"}, "SendMessage", exact(QUEUE + "jobs")),
        ("sqs", "SendMessageBatch", {"QueueUrl": "http://x/1/jobs/"}, "SendMessage", exact(QUEUE + "jobs")),
        ("sqs", "CreateQueue", {"QueueName": "q"}, "CreateQueue", exact(QUEUE + "q")),
        ("sqs", "ListQueues", {}, "ListQueues", exact("*")),
        ("dynamodb", "GetItem", {"TableName": "t"}, "GetItem", exact(TABLE + "t")),
        ("dynamodb", "GetItem", {"TableName": TABLE + "t"}, "GetItem", exact(TABLE + "t")),
        ("dynamodb", "Query", {"TableName": "t", "IndexName": "i"}, "Query", exact(TABLE + "t/index/i")),
        ("dynamodb", "GetItem", {"TableName": "a/b"}, "GetItem", wide(TABLE + "*")),
        ("dynamodb", "GetItem", {"TableName": "arn:aws:s3:::x"}, "GetItem", wide(TABLE + "*")),
        ("sns", "Publish", {"TopicArn": OTHER}, "Publish", exact(OTHER)),
        ("sns", "Publish", {"PhoneNumber": "+1"}, "Publish", wide(TOPIC + "*")),
        ("sns", "CreateTopic", {"Name": "n"}, "CreateTopic", exact(TOPIC + "n")),
        ("lambda", "Invoke", {"FunctionName": "f"}, "InvokeFunction", exact(FUNCTION + "f")),
        ("lambda", "Invoke", {"FunctionName": "f", "Qualifier": "v"}, "InvokeFunction", exact(FUNCTION + "f:v")),
        ("lambda", "Invoke", {"FunctionName": "1:function:f"}, "InvokeFunction", wide(FUNCTION + "*")),
    ],
)  # fmt: skip
def test_the_resources_of_a_request(
    prefix: str, operation: str, given: dict[str, Any], action: str, resources: tuple[Resource, ...]
) -> None:
    assert needed(prefix, operation, **given) == [(f"{prefix}:{action}", resources)]


def test_what_stands_deeper_names_nothing() -> None:
    """An ARN in an item decides nothing of what the table is."""
    given = {"TableName": "x/y", "Key": {"k": {"S": TABLE + "mine"}}}
    assert needed("dynamodb", "GetItem", **given) == [("dynamodb:GetItem", wide(TABLE + "*"))]
    batch: dict[str, Any] = {"RequestItems": {TABLE + "mine": {}}}
    found = needed("dynamodb", "BatchGetItem", **batch)
    assert found is not None
    assert all(not one.exact for one in found[0][1])


def test_a_second_name_is_needed_too() -> None:
    found = needed("sns", "Publish", TopicArn=OTHER, TargetArn=OTHER + "2")
    assert found == [("sns:Publish", exact(OTHER, OTHER + "2"))]


def test_a_role_is_passed() -> None:
    role = "arn:aws:iam::111122223333:role/worker"
    found = needed("lambda", "CreateFunction", FunctionName="f", Role=role)
    assert found is not None
    assert found[1] == ("iam:PassRole", exact(role))


def test_several_actions_and_none() -> None:
    found = needed("dynamodb", "TransactWriteItems", TransactItems=[])
    assert found is not None
    assert {action for action, _ in found} == {f"dynamodb:{n}Item" for n in ("Put", "Update", "Delete")} | {
        "dynamodb:ConditionCheckItem"
    }
    assert needed("dynamodb", "ExecuteStatement", Statement="x") is None


def test_request_tags_are_keys() -> None:
    asked = Asked("lambda", "CreateFunction", {"FunctionName": "f", "Tags": {"a": "b"}}, SCOPE, SCOPE.account)
    found = permissions.requirements(asked, actions.reference("lambda"))
    assert found is not None
    assert found[0].keys == {"aws:requesttag/a": "b", "aws:tagkeys": ("a",)}
    assert found[0].account == SCOPE.account
    assert "lambda:Layer" in found[0].others


def test_api_gateways_actions_are_methods() -> None:
    asked = Asked("apigateway", "GetRestApi", {"restApiId": "x"}, SCOPE, SCOPE.account, "GET", "/restapis/x")
    found = permissions.requirements(asked, actions.reference("apigateway"))
    assert found is not None
    assert (found[0].action, found[0].resources) == (
        "apigateway:GET",
        exact("arn:aws:apigateway:eu-west-1::/restapis/x"),
    )
