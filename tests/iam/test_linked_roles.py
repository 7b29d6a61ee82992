"""Service-linked roles: made when a service first acts, changed by nobody, deleted once nothing needs them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dryport.ec2.room import room as ec2_room
from dryport.ecs.room import room as ecs_room
from dryport.iam.room import room as iam_room
from tests.iam.accounts import ACCOUNT, trust
from tests.served import Served, refusal

NAME = "AWSServiceRoleForECS"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(tmp_path_factory.mktemp("linked"), [iam_room, ecs_room, ec2_room])
    yield running
    running.stop()


def status(iam: Any) -> dict[str, Any]:
    task = iam.delete_service_linked_role(RoleName=NAME)["DeletionTaskId"]
    assert task.startswith(f"task/aws-service-role/ecs.amazonaws.com/{NAME}/")
    answer: dict[str, Any] = iam.get_service_linked_role_deletion_status(DeletionTaskId=task)
    return answer


def test_ecs_makes_its_role_with_the_first_cluster(served: Served) -> None:
    """And needs it as long as there is one."""
    iam, ecs = served.client("iam"), served.client("ecs", "eu-west-1")
    assert refusal(iam.get_role, RoleName=NAME)[0] == "NoSuchEntity"
    cluster = ecs.create_cluster(clusterName="one")["cluster"]["clusterArn"]
    role = iam.get_role(RoleName=NAME)["Role"]
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/ecs.amazonaws.com/{NAME}"
    attached = iam.list_attached_role_policies(RoleName=NAME)["AttachedPolicies"]
    assert [one["PolicyName"] for one in attached] == ["AmazonECSServiceRolePolicy"]
    failed = status(iam)
    assert failed["Status"] == "FAILED"
    assert failed["Reason"]["RoleUsageList"] == [{"Region": "eu-west-1", "Resources": [cluster]}]
    ecs.delete_cluster(cluster="one")
    assert status(iam)["Status"] == "SUCCEEDED"
    assert refusal(iam.get_role, RoleName=NAME)[0] == "NoSuchEntity"
    assert (
        refusal(iam.get_service_linked_role_deletion_status, DeletionTaskId="task/x/" + "0" * 36)[0] == "NoSuchEntity"
    )


def test_nobody_changes_one(served: Served) -> None:
    iam = served.client("iam")
    made = iam.create_service_linked_role(AWSServiceName="spot.amazonaws.com", Description="d")["Role"]
    name = made["RoleName"]
    assert (name, made["Path"]) == ("AWSServiceRoleForEC2Spot", "/aws-service-role/spot.amazonaws.com/")
    role, policy = {"RoleName": name}, {"PolicyName": "p"}
    arn = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
    message = f"Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS"
    for call, more in (
        (iam.attach_role_policy, {"PolicyArn": arn}),
        (iam.detach_role_policy, {"PolicyArn": arn}),
        (iam.put_role_policy, {**policy, "PolicyDocument": "{}"}),
        (iam.delete_role_policy, policy),
        (iam.update_assume_role_policy, {"PolicyDocument": trust("ec2")}),
        (iam.update_role, {"MaxSessionDuration": 7200}),
        (iam.put_role_permissions_boundary, {"PermissionsBoundary": arn}),
        (iam.delete_role, {}),
    ):
        assert refusal(call, **role, **more) == ("UnmodifiableEntity", message)
    iam.create_instance_profile(InstanceProfileName="p")
    assert refusal(iam.add_role_to_instance_profile, InstanceProfileName="p", **role)[0] == "UnmodifiableEntity"


def test_what_is_refused(served: Served) -> None:
    iam = served.client("iam")
    name = "elasticloadbalancing.amazonaws.com"
    iam.create_service_linked_role(AWSServiceName=name)
    assert refusal(iam.create_service_linked_role, AWSServiceName=name) == (
        "InvalidInput",
        "Service role name AWSServiceRoleForElasticLoadBalancing has been taken in this account, "
        "please try a different suffix.",
    )
    assert refusal(iam.create_service_linked_role, AWSServiceName="no.amazonaws.com") == (
        "AccessDenied",
        "Cannot find Service Linked Role template for no.amazonaws.com",
    )
    assert refusal(iam.create_service_linked_role, AWSServiceName=name, CustomSuffix="a")[0] == "InvalidInput"
    suffixed = iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com", CustomSuffix="a")["Role"]
    assert suffixed["RoleName"] == "AWSServiceRoleForAutoScaling_a"
    iam.create_role(RoleName="mine", AssumeRolePolicyDocument=trust("ec2"), Path="/service-role/")
    assert refusal(iam.delete_service_linked_role, RoleName="mine")[0] == "InvalidInput"
    reserved = {"RoleName": "other", "AssumeRolePolicyDocument": trust("ec2"), "Path": "/aws-service-role/x/"}
    assert refusal(iam.create_role, **reserved)[0] == "InvalidInput"
