"""The authorization table: every operation has its row, and a request's resources and keys are AWS's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dryport.aws import arn
from dryport.gateway.service import Service
from dryport.iam.authorization import Scope, gist, required, table
from dryport.iam.policy.arns import split
from dryport.platform.coverage import services

SCOPE = Scope("eu-central-1", "111122223333")
HERE = "arn:aws:{}:eu-central-1:111122223333:"
ECS, EC2, S3 = HERE.format("ecs"), HERE.format("ec2"), "arn:aws:s3:::"


@pytest.fixture(scope="module")
def served() -> list[Service]:
    return services()


def test_a_request_that_names_nothing_needs_its_actions(served: list[Service]) -> None:
    """Every operation with an empty input: actions with a vendor, resources that are ARNs or ``*``."""
    for service in served:
        for operation in service.operations:
            for need in required(service.name, operation, {}, SCOPE):
                assert need.action.count(":") == 1, operation
                assert all(one.arn == "*" or split(one.arn) for one in need.resources), operation
                assert not any("{" in one.arn or "$" in one.arn for one in need.resources), operation


def test_few_operations_need_no_permission(served: list[Service]) -> None:
    free = [name for service in served for name, rows in table(service.name).operations.items() if not rows]
    assert sorted(free) == ["AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity", "GetSessionToken"]


@pytest.mark.parametrize(
    ("service", "operation", "given", "action", "resources"),
    [
        (
            "ecs",
            "DescribeClusters",
            {"clusters": ["a", ECS + "cluster/b"]},
            None,
            [ECS + "cluster/a", ECS + "cluster/b"],
        ),
        ("ecs", "StopTask", {"task": "0123"}, None, [ECS + "task/default/0123"]),
        ("ecs", "StopTask", {"task": "0123", "cluster": ECS + "cluster/prod"}, None, [ECS + "task/prod/0123"]),
        ("ecs", "RunTask", {"taskDefinition": "web:3"}, None, [ECS + "task-definition/web:3"]),
        ("ecs", "RunTask", {"taskDefinition": "web"}, None, [ECS + "task-definition/web:*"]),
        ("ecs", "ListClusters", {}, None, ["*"]),
        ("ecs", "TagResource", {"resourceArn": ECS + "cluster/a"}, None, [ECS + "cluster/a"]),
        ("ecs", "CreateService", {"serviceName": "web", "cluster": "prod"}, None, [ECS + "service/prod/web"]),
        (
            "ecs",
            "CreateTaskSet",
            {"service": ECS + "service/prod/web", "cluster": "prod", "taskDefinition": "web"},
            None,
            [ECS + "task-set/prod/web/*"],
        ),
        (
            "ecs",
            "DeleteTaskSet",
            {"service": "web", "cluster": ECS + "cluster/prod", "taskSet": "ecs-svc/1"},
            None,
            [ECS + "task-set/prod/web/ecs-svc/1"],
        ),
        ("ecs", "DescribeTaskSets", {"service": "web", "cluster": "prod"}, None, [ECS + "task-set/prod/web/*"]),
        ("ec2", "DescribeInstances", {"InstanceIds": ["i-1"]}, None, ["*"]),
        (
            "ec2",
            "TerminateInstances",
            {"InstanceIds": ["i-1", "i-2"]},
            None,
            [EC2 + "instance/i-1", EC2 + "instance/i-2"],
        ),
        ("ec2", "CreateVpc", {}, None, [EC2 + "vpc/*"]),
        (
            "ec2",
            "AttachVolume",
            {"InstanceId": "i-1", "VolumeId": "vol-1"},
            None,
            [EC2 + "instance/i-1", EC2 + "volume/vol-1"],
        ),
        ("ec2", "DeregisterImage", {"ImageId": "ami-1"}, None, ["arn:aws:ec2:eu-central-1::image/ami-1"]),
        (
            "ec2",
            "CreateTags",
            {"Resources": ["i-1", "subnet-2"]},
            None,
            [EC2 + "instance/i-1", EC2 + "subnet/subnet-2"],
        ),
        ("s3", "ListObjectsV2", {"Bucket": "b"}, "s3:ListBucket", [S3 + "b"]),
        ("s3", "HeadObject", {"Bucket": "b", "Key": "/x"}, "s3:GetObject", [S3 + "b//x"]),
        ("s3", "GetObject", {"Bucket": "b", "Key": "x", "VersionId": "1"}, "s3:GetObjectVersion", [S3 + "b/x"]),
        (
            "s3",
            "CopyObject",
            {"Bucket": "b", "Key": "x", "CopySource": "/c/a%20b?versionId=1"},
            "s3:GetObjectVersion",
            [S3 + "c/a b"],
        ),
        ("s3", "ListBuckets", {}, "s3:ListAllMyBuckets", ["*"]),
        (
            "s3",
            "DeleteObjects",
            {"Bucket": "b", "Delete": {"Objects": [{"Key": "x"}]}},
            "s3:DeleteObject",
            [S3 + "b/x"],
        ),
        (
            "logs",
            "PutLogEvents",
            {"logGroupName": "g", "logStreamName": "s"},
            None,
            [HERE.format("logs") + "log-group:g:log-stream:s"],
        ),
        ("ssm", "GetParameter", {"Name": "/a/b:3"}, None, [HERE.format("ssm") + "parameter/a/b"]),
        ("secretsmanager", "GetSecretValue", {"SecretId": "db"}, None, [HERE.format("secretsmanager") + "secret:db-*"]),
        ("ecr", "BatchGetImage", {"repositoryName": "a/b"}, None, [HERE.format("ecr") + "repository/a/b"]),
        ("ecr", "GetAuthorizationToken", {}, None, ["*"]),
        (
            "efs",
            "TagResource",
            {"ResourceId": "fsap-1"},
            None,
            [HERE.format("elasticfilesystem") + "access-point/fsap-1"],
        ),
    ],
)
def test_resources(
    service: str, operation: str, given: Mapping[str, Any], action: str | None, resources: list[str]
) -> None:
    need = required(service, operation, given, SCOPE)[0]
    vendor = "elasticfilesystem" if service == "efs" else service
    assert need.action == (action or f"{vendor}:{operation}")
    assert [one.arn for one in need.resources] == resources
    assert [one.exact for one in need.resources] == ["*" not in one or one == "*" for one in resources]


def test_keys() -> None:
    given = {
        "cluster": "prod",
        "taskDefinition": "web:3",
        "enableExecuteCommand": True,
        "capacityProviderStrategy": [{"capacityProvider": "FARGATE"}],
        "tags": [{"key": "Stage", "value": "test"}, {"key": "empty"}],
    }
    [need] = required("ecs", "RunTask", given, SCOPE)
    assert need.keys == {
        "ecs:cluster": ECS + "cluster/prod",
        "ecs:enable-execute-command": "true",
        "ecs:capacity-provider": ("FARGATE",),
        "aws:requesttag/stage": "test",
        "aws:requesttag/empty": "",
        "aws:tagkeys": ("Stage", "empty"),
    }
    assert "aws:ResourceTag/${TagKey}" in need.others


@pytest.mark.parametrize(
    ("service", "operation", "given", "names"),
    [
        (
            "ec2",
            "CreateVpc",
            {"TagSpecifications": [{"ResourceType": "vpc", "Tags": [{"Key": "a", "Value": "b"}]}]},
            ("a",),
        ),
        ("ecs", "UntagResource", {"tagKeys": ["a", "b"]}, ("a", "b")),
        ("logs", "UntagLogGroup", {"logGroupName": "g", "tags": ["a"]}, ("a",)),
        ("logs", "TagLogGroup", {"logGroupName": "g", "tags": {"a": "b"}}, ("a",)),
        ("ssm", "AddTagsToResource", {"ResourceId": "p", "Tags": [{"Key": "a", "Value": "b"}]}, ("a",)),
    ],
)
def test_tag_keys(service: str, operation: str, given: Mapping[str, Any], names: tuple[str, ...]) -> None:
    assert required(service, operation, given, SCOPE)[0].keys["aws:tagkeys"] == names


def test_roles_that_are_passed() -> None:
    role = "arn:aws:iam::111122223333:role/app"
    needs = required(
        "ecs", "RegisterTaskDefinition", {"family": "web", "taskRoleArn": role, "executionRoleArn": "exec"}, SCOPE
    )
    passed = [(need.action, need.resources[0].arn, need.keys["iam:passedtoservice"]) for need in needs[1:]]
    assert passed == [
        ("iam:PassRole", role, "ecs-tasks.amazonaws.com"),
        ("iam:PassRole", "arn:aws:iam::111122223333:role/exec", "ecs-tasks.amazonaws.com"),
    ]
    assert len(required("ecs", "RegisterTaskDefinition", {"family": "web"}, SCOPE)) == 1
    profile = {"ImageId": "ami-1", "IamInstanceProfile": {"Name": "host"}}
    [_, need] = required("ec2", "RunInstances", profile, SCOPE)
    assert need.action == "iam:PassRole" and not need.resources[0].exact  # the profile's role is in the store


def test_copies_need_both_sides() -> None:
    given = {"Bucket": "b", "Key": "x", "CopySource": "c/y"}
    assert [need.action for need in required("s3", "CopyObject", given, SCOPE)] == ["s3:GetObject", "s3:PutObject"]
    versions = {"Bucket": "b", "Delete": {"Objects": [{"Key": "x", "VersionId": "1"}]}}
    assert [n.action for n in required("s3", "DeleteObjects", versions, SCOPE)] == [
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
    ]


def test_partitions() -> None:
    [need] = required("s3", "DeleteBucket", {"Bucket": "b"}, Scope("cn-north-1", "111122223333"))
    assert arn.parse(need.resources[0].arn) == arn.Arn("aws-cn", "s3", "", "", "b")


def test_an_operation_without_a_row_is_an_error() -> None:
    with pytest.raises(KeyError):
        required("ecs", "Nothing", {}, SCOPE)


def test_what_decides_is_all_that_is_looked_at(served: list[Service]) -> None:
    """Of every operation: no member of its input changes what it needs without changing the gist."""
    import botocore.session

    session = botocore.session.get_session()
    looked_at = 0
    for service in served:
        if service.name == "dryport":
            continue
        model = session.get_service_model(service.name)
        for operation in service.operations:
            shape = model.operation_model(operation).input_shape
            members = dict(shape.members) if shape is not None else {}
            whole = {name: _value(member, name) for name, member in members.items()}
            needed, decides = required(service.name, operation, whole, SCOPE), gist(service.name, operation, whole)
            for name, member in members.items():
                changed = whole | {name: _value(member, f"{name}-other")}
                if required(service.name, operation, changed, SCOPE) != needed:
                    assert gist(service.name, operation, changed) != decides, (service.name, operation, name)
                    looked_at += 1
    assert looked_at > 500


def _value(shape: Any, text: str) -> Any:
    """A value of a shape with a text wherever it has one."""
    if shape.type_name == "structure":
        return {name: text if one.type_name == "string" else [] for name, one in list(shape.members.items())[:8]}
    if shape.type_name == "list":
        return [_value(shape.member, text)] if shape.member.type_name in ("string", "structure") else []
    return {text: text} if shape.type_name == "map" else text
