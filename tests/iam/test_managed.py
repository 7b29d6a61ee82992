"""AWS's managed policies: present, accepted by our grammar, and doing what they are for."""

from __future__ import annotations

import zipfile
from importlib import resources

import pytest

from dryport.iam import managed
from dryport.iam.policy import Attached, MalformedPolicy, Policies, Request, check, evaluate
from tests.iam.policies import ACCOUNT, CLUSTER, SESSION

ROLE = "service-role/AmazonEC2ContainerServiceforEC2Role"
INSTANCE = f"arn:aws:ecs:us-east-1:{ACCOUNT}:container-instance/prod/1"
OBJECT = "arn:aws:s3:::photos/a.png"
REPOSITORY = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/web"
USER = f"arn:aws:iam::{ACCOUNT}:user/alice"


@pytest.mark.parametrize(
    ("name", "action", "resource", "context", "answer"),
    [
        (ROLE, "ecs:RegisterContainerInstance", CLUSTER, {}, True),
        (ROLE, "ecs:SubmitTaskStateChange", CLUSTER, {}, True),
        (ROLE, "ecr:BatchGetImage", REPOSITORY, {}, True),
        (ROLE, "ecr:PutImage", REPOSITORY, {}, False),
        (ROLE, "ecs:RunTask", CLUSTER, {}, False),
        (ROLE, "ecs:TagResource", INSTANCE, {"ecs:createaction": "RegisterContainerInstance"}, True),
        (ROLE, "ecs:TagResource", INSTANCE, {}, False),
        ("service-role/AmazonECSTaskExecutionRolePolicy", "logs:PutLogEvents", "*", {}, True),
        ("service-role/AmazonECSTaskExecutionRolePolicy", "ecs:RunTask", "*", {}, False),
        ("AmazonS3ReadOnlyAccess", "s3:GetObject", OBJECT, {}, True),
        ("AmazonS3ReadOnlyAccess", "s3:PutObject", OBJECT, {}, False),
        ("AmazonEC2FullAccess", "ec2:RunInstances", "*", {}, True),
        ("AmazonEC2FullAccess", "iam:CreateServiceLinkedRole", "*", {"iam:awsservicename": "spot.amazonaws.com"}, True),
        ("AmazonEC2FullAccess", "iam:CreateServiceLinkedRole", "*", {"iam:awsservicename": "ecs.amazonaws.com"}, False),
        ("AmazonEC2ContainerRegistryReadOnly", "ecr:BatchGetImage", REPOSITORY, {}, True),
        ("AmazonEC2ContainerRegistryReadOnly", "ecr:PutImage", REPOSITORY, {}, False),
        ("AmazonEC2ContainerRegistryPowerUser", "ecr:PutImage", REPOSITORY, {}, True),
        ("AmazonEC2ContainerRegistryPowerUser", "ecr:DeleteRepository", REPOSITORY, {}, False),
        ("PowerUserAccess", "ecs:RunTask", CLUSTER, {}, True),
        ("PowerUserAccess", "iam:CreateUser", USER, {}, False),
        ("AdministratorAccess", "iam:CreateUser", USER, {}, True),
        ("ReadOnlyAccess", "ecs:DescribeClusters", CLUSTER, {}, True),
    ],
)
def test_what_they_allow(name: str, action: str, resource: str, context: dict[str, str], answer: bool) -> None:
    text = managed.document(f"arn:aws:iam::aws:policy/{name}")
    assert text is not None
    decision = evaluate(Request(action, resource, SESSION, context), Policies(identity=(Attached(name, text),)))
    assert decision.allowed is answer


def test_all_of_them_are_policies() -> None:
    """But those about the root user of member accounts, which AWS alone can write."""
    refused = set()
    with zipfile.ZipFile(str(resources.files(managed) / "policies.zip")) as archive:
        documents = {name: archive.read(name).decode() for name in archive.namelist()}
    assert len(documents) == len(managed.listed()) + 1 > 1500
    for policy in managed.listed():
        try:
            check(documents[f"{policy.path_and_name}.json"])
        except MalformedPolicy:
            refused.add(policy.path)
    assert refused == {"/root-task/"}


def test_names_and_partitions() -> None:
    [policy] = [policy for policy in managed.listed() if policy.path_and_name == ROLE]
    assert (policy.path, policy.name) == ("/service-role/", "AmazonEC2ContainerServiceforEC2Role")
    assert policy.created < policy.updated and policy.version.startswith("v")
    assert managed.document(policy.arn("aws-cn")) == managed.document(policy.arn())


@pytest.mark.parametrize(
    "arn", ["", "x", "arn:aws:iam::aws:policy/Nothing", "arn:aws:iam::aws:policy/index", "arn:aws:iam::aws:policy/"]
)
def test_policies_that_there_are_not(arn: str) -> None:
    assert managed.document(arn) is None
