"""Roles that bind: what a task's program may do, and what is done for the task, is what its stored roles allow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.conftest import Platform
from tests.iam.accounts import document, statement, trust
from tests.platform.support import Tasks, eventually
from tests.served import refusal

pytestmark = pytest.mark.platform
READ = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
EXECUTION = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"


class Role:
    """A role that ECS's tasks may have."""

    def __init__(self, platform: Platform, name: str, *policies: str) -> None:
        self.iam, self.name = platform.client("iam"), name
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust("ecs-tasks"))
        self.arn: str = made["Role"]["Arn"]
        for policy in policies:
            self.iam.attach_role_policy(RoleName=name, PolicyArn=policy)

    def may(self, *statements: dict[str, Any]) -> None:
        self.iam.put_role_policy(RoleName=self.name, PolicyName="own", PolicyDocument=document(*statements))

    def delete(self) -> None:
        for policy in self.iam.list_attached_role_policies(RoleName=self.name)["AttachedPolicies"]:
            self.iam.detach_role_policy(RoleName=self.name, PolicyArn=policy["PolicyArn"])
        for policy in self.iam.list_role_policies(RoleName=self.name)["PolicyNames"]:
            self.iam.delete_role_policy(RoleName=self.name, PolicyName=policy)
        self.iam.delete_role(RoleName=self.name)


@pytest.fixture
def reader(platform: Platform) -> Iterator[Role]:
    made = Role(platform, "boundReader", READ)
    yield made
    made.delete()


@pytest.fixture
def execution(platform: Platform) -> Iterator[Role]:
    made = Role(platform, "boundExecution", EXECUTION)
    made.may(statement("Allow", "logs:CreateLogGroup"))
    yield made
    made.delete()


def test_a_tasks_program_reads_and_may_not_write(tasks: Tasks, platform: Platform, reader: Role) -> None:
    """By the keys that it finds inside; the role's policies act at once, and when it is gone nothing is allowed."""
    platform.client("s3").create_bucket(Bucket="tests-roles")
    platform.client("s3").put_object(Bucket="tests-roles", Key="a", Body=b"abc")
    script = "wget -qO- http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; echo; sleep 600"
    arn = tasks.run(tasks.define(tasks.container(script)), overrides={"taskRoleArn": reader.arn})[0]
    eventually(lambda: len(tasks.output(arn)) > 0)
    key = json.loads(tasks.output(arn)[0])
    assert key["RoleArn"] == reader.arn
    s3 = boto3.client(
        "s3",
        "us-east-1",
        endpoint_url=platform.endpoint,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key["Token"],
    )
    assert s3.get_object(Bucket="tests-roles", Key="a")["Body"].read() == b"abc"
    code, message = refusal(s3.put_object, Bucket="tests-roles", Key="b", Body=b"")
    session = f"arn:aws:sts::000000000000:assumed-role/boundReader/{arn.rpartition('/')[2]}"
    assert code == "AccessDenied"
    assert message.startswith(f"User: {session} is not authorized to perform: s3:PutObject on resource: ")
    reader.iam.detach_role_policy(RoleName=reader.name, PolicyArn=READ)
    assert refusal(s3.get_object, Bucket="tests-roles", Key="a")[0] == "AccessDenied"
    tasks.stop(arn)


def test_an_execution_role_that_may_is_enough(tasks: Tasks, execution: Role) -> None:
    """AWS's managed policy: images are pulled, logs are written."""
    definition = tasks.define(tasks.container("echo done"))
    arn = tasks.run(definition, overrides={"executionRoleArn": execution.arn})[0]
    tasks.until(arn, "STOPPED")
    assert tasks.output(arn) == ["done"]


def test_an_image_that_the_execution_role_may_not_pull(tasks: Tasks, execution: Role) -> None:
    execution.may(statement("Allow", "logs:*"), statement("Deny", "ecr:BatchGetImage"))
    definition = tasks.define(tasks.container("echo done"))
    task = tasks.until(tasks.run(definition, overrides={"executionRoleArn": execution.arn})[0], "STOPPED")
    assert task["stopCode"] == "TaskFailedToStart"
    assert "CannotPullContainerError" in task["stoppedReason"] or "ResourceInitializationError" in task["stoppedReason"]


def test_a_secret_that_the_execution_role_may_not_read(tasks: Tasks, platform: Platform, execution: Role) -> None:
    platform.client("ssm").put_parameter(Name="/tests/roles", Value="swordfish", Type="String", Overwrite=True)
    container = tasks.container("echo $X", secrets=[{"name": "X", "valueFrom": "/tests/roles"}])
    definition = tasks.define(container)
    task = tasks.until(tasks.run(definition, overrides={"executionRoleArn": execution.arn})[0], "STOPPED")
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("ResourceInitializationError")
    assert "ssm:GetParameters" in task["stoppedReason"]
    execution.may(statement("Allow", ["logs:*", "ssm:GetParameters"]))
    arn = tasks.run(definition, overrides={"executionRoleArn": execution.arn})[0]
    tasks.until(arn, "STOPPED")
    assert tasks.output(arn) == ["swordfish"]
