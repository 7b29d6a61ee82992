"""The roles that the platform's tests have in common, as people make them from AWS's guides."""

from __future__ import annotations

from typing import Any

from tests.iam.accounts import document, statement, trust

_SERVICE = "arn:aws:iam::aws:policy/service-role/"
INSTANCE = _SERVICE + "AmazonEC2ContainerServiceforEC2Role"
# Name, who may assume it, AWS's policies, and what those lack (tests have their log groups made).
ROLES: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "ecsTaskExecutionRole",
        "ecs-tasks",
        (_SERVICE + "AmazonECSTaskExecutionRolePolicy",),
        (
            "logs:CreateLogGroup",
            "ssm:GetParameters",
            "secretsmanager:GetSecretValue",
            "s3:GetObject",
            "s3:GetBucketLocation",
        ),
    ),
    ("taskRole", "ecs-tasks", (), ("sts:*", "s3:*", "elasticfilesystem:*")),
    ("ecsInstanceRole", "ec2", (INSTANCE,), ("logs:CreateLogGroup",)),
    (
        "ecsAnywhereRole",
        "ssm",
        ("arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore", INSTANCE),
        ("logs:CreateLogGroup",),
    ),
    ("ecsInfrastructureRole", "ecs", (_SERVICE + "AmazonECSInfrastructureRolePolicyForVolumes",), ()),
)


def make_roles(iam: Any) -> None:
    """Make them, with an instance profile for the hosts."""
    for name, service, policies, more in ROLES:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(service))
        for policy in policies:
            iam.attach_role_policy(RoleName=name, PolicyArn=policy)
        if more:
            text = document(statement("Allow", list(more)))
            iam.put_role_policy(RoleName=name, PolicyName="tests", PolicyDocument=text)
    iam.create_instance_profile(InstanceProfileName="ecsInstanceRole")
    iam.add_role_to_instance_profile(InstanceProfileName="ecsInstanceRole", RoleName="ecsInstanceRole")
