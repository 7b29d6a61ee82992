"""The roles that the benches need, as people make them from AWS's guides."""

from __future__ import annotations

import contextlib
import json
from typing import Any

_SERVICE = "arn:aws:iam::aws:policy/service-role/"
ROLES = {
    "ecsTaskExecutionRole": ("ecs-tasks", _SERVICE + "AmazonECSTaskExecutionRolePolicy"),
    "ecsInstanceRole": ("ec2", _SERVICE + "AmazonEC2ContainerServiceforEC2Role"),
    "web": ("ecs-tasks", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"),
}


def make_roles(iam: Any) -> None:
    """Make what is not there of them, and an instance profile with the one of hosts. They may make log groups, too."""
    for name, (service, policy) in ROLES.items():
        principal = {"Service": f"{service}.amazonaws.com"}
        trust = [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]
        logs = [{"Effect": "Allow", "Action": "logs:CreateLogGroup", "Resource": "*"}]
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))
        iam.attach_role_policy(RoleName=name, PolicyArn=policy)
        iam.put_role_policy(RoleName=name, PolicyName="logs", PolicyDocument=_document(logs))
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_instance_profile(InstanceProfileName="ecsInstanceRole")
        iam.add_role_to_instance_profile(InstanceProfileName="ecsInstanceRole", RoleName="ecsInstanceRole")


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
