"""The account as a whole: aliases, figures, reports, everybody's details, and the simulator asked about principals."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest

from dryport.iam.room import room as iam_room
from tests.iam.accounts import ACCOUNT, User, document, statement, trust
from tests.served import Served, refusal

READ = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(tmp_path_factory.mktemp("account"), [iam_room])
    yield running
    running.stop()


def test_an_alias(served: Served) -> None:
    iam = served.client("iam")
    iam.create_account_alias(AccountAlias="one")
    iam.create_account_alias(AccountAlias="two")  # in the place of the first
    assert iam.list_account_aliases()["AccountAliases"] == ["two"]
    gone = ("NoSuchEntity", "The account alias one cannot be found.")
    assert refusal(iam.delete_account_alias, AccountAlias="one") == gone
    iam.delete_account_alias(AccountAlias="two")
    assert iam.list_account_aliases()["AccountAliases"] == []
    assert refusal(iam.create_account_alias, AccountAlias="-x")[0] == "ValidationError"


def test_figures(served: Served) -> None:
    iam = served.client("iam")
    User(served)
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust("ec2"))
    text = document(statement("Allow", "s3:*"))
    arn = iam.create_policy(PolicyName="p", PolicyDocument=text)["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=text)
    found = iam.get_account_summary()["SummaryMap"]
    wanted = {
        "Users": 1,
        "Groups": 0,
        "Roles": 1,
        "Policies": 1,
        "PolicyVersionsInUse": 2,
        "AccountAccessKeysPresent": 1,
    }
    assert {name: found[name] for name in wanted} == wanted
    assert (found["UsersQuota"], found["AssumeRolePolicySizeQuota"], found["UserPolicySizeQuota"]) == (5000, 2048, 2048)


def test_a_credential_report(served: Served) -> None:
    """A line a user, with what is known of its keys."""
    iam, user = served.client("iam"), User(served, statement("Allow", "*"))
    assert refusal(iam.get_credential_report)[0] == "ReportNotPresent"
    user.client("iam").list_users()
    assert iam.generate_credential_report()["State"] == "STARTED"
    assert iam.generate_credential_report()["State"] == "COMPLETE"
    answer = iam.get_credential_report()
    assert answer["ReportFormat"] == "text/csv"
    root, line = csv.DictReader(io.StringIO(answer["Content"].decode()))
    assert (root["user"], root["arn"]) == ("<root_account>", f"arn:aws:iam::{ACCOUNT}:root")
    assert (line["user"], line["access_key_1_active"], line["access_key_2_active"]) == (user.name, "true", "false")
    assert (line["access_key_1_last_used_service"], line["access_key_2_last_used_service"]) == ("iam", "N/A")


def test_everybody_with_everything(served: Served) -> None:
    """In pages too, and only those that are asked for."""
    iam, user = served.client("iam"), User(served, statement("Allow", "s3:*"))
    iam.create_group(GroupName="g")
    iam.add_user_to_group(GroupName="g", UserName=user.name)
    iam.attach_group_policy(GroupName="g", PolicyArn=READ)
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust("ec2"), Tags=[{"Key": "a", "Value": "b"}])
    iam.create_instance_profile(InstanceProfileName="p")
    iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r")
    own = iam.create_policy(PolicyName="own", PolicyDocument=document(statement("Allow", "s3:*")))["Policy"]["Arn"]
    found = iam.get_account_authorization_details()
    [one] = found["UserDetailList"]
    assert (one["UserName"], one["GroupList"]) == (user.name, ["g"])
    assert one["UserPolicyList"][0]["PolicyDocument"]["Statement"][0]["Action"] == "s3:*"
    [group] = found["GroupDetailList"]
    assert group["AttachedManagedPolicies"] == [{"PolicyName": "AmazonS3ReadOnlyAccess", "PolicyArn": READ}]
    [role] = found["RoleDetailList"]
    assert role["Tags"] == [{"Key": "a", "Value": "b"}]
    assert [each["InstanceProfileName"] for each in role["InstanceProfileList"]] == ["p"]
    assert [policy["Arn"] for policy in found["Policies"]] == [own, READ]
    assert all(policy["PolicyVersionList"][0]["Document"]["Statement"] for policy in found["Policies"])
    pages = iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 1})
    lists = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
    assert [[len(page[name]) for name in lists].index(1) for page in pages] == [0, 1, 2, 3, 3]
    only = iam.get_account_authorization_details(Filter=["Role", "LocalManagedPolicy"])
    assert [len(only[name]) for name in lists] == [0, 0, 1, 1]


def test_who_has_a_policy(served: Served) -> None:
    """Attached, as a boundary, or either."""
    iam, user = served.client("iam"), User(served)
    iam.attach_user_policy(UserName=user.name, PolicyArn=READ)
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust("ec2"), PermissionsBoundary=READ)

    def names(**more: Any) -> list[str]:
        found = iam.list_entities_for_policy(PolicyArn=READ, **more)
        users = [one["UserName"] for one in found["PolicyUsers"]]
        return users + [one["RoleName"] for one in found["PolicyRoles"]]

    assert names() == [user.name, "r"]
    assert names(PolicyUsageFilter="PermissionsPolicy") == [user.name]
    assert names(PolicyUsageFilter="PermissionsBoundary") == ["r"]
    listed = iam.list_policies(PolicyUsageFilter="PermissionsBoundary")["Policies"]
    assert [policy["Arn"] for policy in listed] == [READ]


def test_tags_of_profiles(served: Served) -> None:
    iam = served.client("iam")
    made = iam.create_instance_profile(InstanceProfileName="p", Tags=[{"Key": "a", "Value": "b"}])
    assert made["InstanceProfile"]["Tags"] == [{"Key": "a", "Value": "b"}]
    iam.tag_instance_profile(InstanceProfileName="p", Tags=[{"Key": "c", "Value": "d"}])
    iam.untag_instance_profile(InstanceProfileName="p", TagKeys=["a"])
    assert iam.list_instance_profile_tags(InstanceProfileName="p")["Tags"] == [{"Key": "c", "Value": "d"}]
    assert iam.get_instance_profile(InstanceProfileName="p")["InstanceProfile"]["Tags"] == [{"Key": "c", "Value": "d"}]


def test_what_a_principal_may(served: Served) -> None:
    """Its own policies, its groups', its boundary; and what further ones would change."""
    iam, user = served.client("iam"), User(served, statement("Allow", "s3:GetObject"))

    def said(*actions: str, source: str = user.arn, **more: Any) -> list[str]:
        asked = iam.simulate_principal_policy(PolicySourceArn=source, ActionNames=list(actions), **more)
        return [one["EvalDecision"] for one in asked["EvaluationResults"]]

    allowed, refused = "allowed", "implicitDeny"
    assert said("s3:GetObject", "s3:ListBucket") == [allowed, refused]
    iam.create_group(GroupName="g")
    iam.add_user_to_group(GroupName="g", UserName=user.name)
    iam.attach_group_policy(GroupName="g", PolicyArn=READ)
    assert said("s3:ListBucket", "s3:PutObject") == [allowed, refused]
    more = document(statement("Deny", "s3:GetObject"), statement("Allow", "s3:PutObject"))
    assert said("s3:GetObject", "s3:PutObject", PolicyInputList=[more]) == ["explicitDeny", allowed]
    iam.put_user_permissions_boundary(UserName=user.name, PermissionsBoundary=READ)
    assert said("s3:PutObject", PolicyInputList=[more]) == [refused]
    wide = [document(statement("Allow", "*"))]
    assert said("s3:PutObject", PolicyInputList=[more], PermissionsBoundaryPolicyInputList=wide) == [allowed]
    assert said("s3:ListBucket", source=f"arn:aws:iam::{ACCOUNT}:group/g") == [allowed]
    own = document(statement("Allow", "s3:*", Condition={"StringEquals": {"aws:PrincipalTag/a": "b"}}))
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust("ec2"), Tags=[{"Key": "a", "Value": "b"}])[
        "Role"
    ]["Arn"]
    iam.put_role_policy(RoleName="r", PolicyName="own", PolicyDocument=own)
    assert said("s3:ListBucket", source=role) == [allowed]
    keys = iam.get_context_keys_for_principal_policy(PolicySourceArn=role)["ContextKeyNames"]
    assert keys == ["aws:PrincipalTag/a"]
    name = {"ActionNames": ["s3:GetObject"]}
    assert refusal(iam.simulate_principal_policy, PolicySourceArn=role + "x", **name)[0] == "NoSuchEntity"
    assert refusal(iam.simulate_principal_policy, PolicySourceArn=READ, **name)[0] == "InvalidInput"
    asking = User(served, statement("Allow", "iam:SimulatePrincipalPolicy", role)).client("iam")
    asking.simulate_principal_policy(PolicySourceArn=role, **name)
    assert refusal(asking.simulate_principal_policy, PolicySourceArn=user.arn, **name)[0] == "AccessDenied"
