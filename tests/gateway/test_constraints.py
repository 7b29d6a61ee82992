"""Inputs that break their model, answered in AWS's words."""

from __future__ import annotations

from typing import Any

import pytest

from dryport.aws.errors import ServiceError
from dryport.gateway import policies
from dryport.gateway.constraints import Constraints
from dryport.gateway.models import Models
from dryport.gateway.patterns import translate


@pytest.fixture(scope="module")
def models() -> Models:
    return Models(["ecs", "ecr", "logs", "ssm", "iam", "ec2"])


def refusal(models: Models, service: str, operation: str, given: dict[str, Any]) -> tuple[str, str] | None:
    model = models.service(service)
    found = model.operation(operation)
    assert found is not None and found.input is not None
    check = Constraints(model, policies.policy(model)).checker(operation, found.input.shape)
    try:
        check(given)
    except ServiceError as error:
        return error.code, error.message
    return None


@pytest.mark.parametrize(
    ("service", "operation", "given", "code", "message"),
    [
        (
            "logs", "CreateLogGroup", {"logGroupName": "a b"}, "InvalidParameterException",
            "1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+",
        ),
        (
            "logs", "CreateLogGroup", {}, "InvalidParameterException",
            "1 validation error detected: Value null at 'logGroupName' failed to satisfy constraint: "
            "Member must not be null",
        ),
        (
            "ssm", "GetParameters", {"Names": []}, "ValidationException",
            "1 validation error detected: Value '[]' at 'names' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
        ),
        (
            "ssm", "PutParameter", {"Name": "a", "Value": "b", "Type": "Bad"}, "ValidationException",
            "1 validation error detected: Value 'Bad' at 'type' failed to satisfy constraint: "
            "Member must satisfy enum value set: [String, StringList, SecureString]",
        ),
        (
            "ecr", "CreateRepository", {"repositoryName": "A"}, "InvalidParameterException",
            "2 of them",
        ),
        (
            "ecr", "DescribeImages", {"repositoryName": "ab", "registryId": "12"}, "InvalidParameterException",
            "Invalid parameter at 'registryId' failed to satisfy constraint: 'must satisfy regular expression "
            "'[0-9]{12}''",
        ),
        ("ecs", "StopTask", {}, "InvalidParameterException", "Task can not be blank."),
        (
            "iam", "CreateUser", {"UserName": "x" * 65}, "ValidationError",
            "1 validation error detected: Value at 'userName' failed to satisfy constraint: "
            "Member must have length less than or equal to 64",
        ),
        ("ec2", "TerminateInstances", {}, "MissingParameter", "The request must contain the parameter InstanceIds"),
    ],
)  # fmt: skip
def test_words(models: Models, service: str, operation: str, given: dict[str, Any], code: str, message: str) -> None:
    found = refusal(models, service, operation, given)
    assert found is not None and found[0] == code
    if message != "2 of them":
        assert found[1] == message
    else:
        assert found[1].startswith("Invalid parameter at 'repositoryName' failed to satisfy constraint: '")


def test_all_violations_are_counted(models: Models) -> None:
    found = refusal(models, "logs", "PutLogEvents", {"logEvents": [{"timestamp": -1}]})
    assert found is not None
    assert found[1].startswith("4 validation errors detected: Value null at 'logGroupName' failed")
    assert (
        "Value null at 'logEvents.1.member.message' failed to satisfy constraint: Member must not be null" in found[1]
    )
    assert "Value '-1' at 'logEvents.1.member.timestamp'" in found[1]


def test_secrets_are_not_repeated(models: Models) -> None:
    found = refusal(models, "iam", "CreateLoginProfile", {"UserName": "u", "Password": "s3cret" * 50})
    assert found is not None and "s3cret" not in found[1]
    assert "Value at 'password' failed" in found[1]


def test_lists_of_scalars_are_named_as_a_whole(models: Models) -> None:
    found = refusal(models, "ecr", "DescribeRegistry", {})
    assert found is None
    found = refusal(models, "ecr", "GetAuthorizationToken", {"registryIds": ["1"]})
    assert found is not None
    assert found[1] == (
        "Invalid parameter at 'registryIds' failed to satisfy constraint: "
        "'Member must satisfy constraint: [Member must satisfy regular expression pattern: [0-9]{12}]'"
    )


def test_good_input_passes(models: Models) -> None:
    assert refusal(models, "logs", "CreateLogGroup", {"logGroupName": "/ecs/x", "tags": {"a": "b"}}) is None
    assert refusal(models, "ecs", "RunTask", {"taskDefinition": "x", "tags": [{"key": "ä", "value": "1"}]}) is None


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (r"[\p{L}\p{Nd}]+", "äß9", "a b"),
        (r"\P{L}", "1", "ä"),
        (r"[^\p{Cc}]*", "a", "\x01"),
        (r"[\p{Alpha}-]+", "a-b", "1"),
        (r"[\w-_]+", "a-b", "!"),
        (r"[a[b]+", "[", "c"),
        ("a{2}", "aa", "a"),
    ],
)
def test_java_patterns(pattern: str, yes: str, no: str) -> None:
    import re

    text = translate(pattern)
    assert text is not None
    assert re.fullmatch(text, yes) and not re.fullmatch(text, no)


def test_every_pattern_of_the_services_is_understood(models: Models) -> None:
    for service in ("ecs", "ecr", "logs", "ssm", "iam"):
        rows = models.service(service)._connection.execute("SELECT name FROM shapes WHERE service = ?", (service,))
        for (name,) in rows.fetchall():
            shape = models.service(service).shape(name)
            assert shape.pattern is None or shape.regex is not None, (service, name, shape.pattern)
