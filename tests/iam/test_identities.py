"""Users, groups and policies: what IAM keeps of them, and what it refuses, in AWS's words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dryport.iam.room import room as iam_room
from dryport.sts.room import room as sts_room
from tests.iam.accounts import ACCOUNT, document, statement
from tests.served import Served, refusal

ALLOW = document(statement("Allow", "ecs:*"))
READ = "arn:aws:iam::aws:policy/ReadOnlyAccess"
OWN = f"arn:aws:iam::{ACCOUNT}:policy/team/own"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(tmp_path_factory.mktemp("identities"), [iam_room, sts_room])
    yield running
    running.stop()


@pytest.fixture
def iam(served: Served) -> Any:
    """A client, with nothing there."""
    client = served.client("iam")
    for user in client.list_users()["Users"]:
        name = user["UserName"]
        for group in client.list_groups_for_user(UserName=name)["Groups"]:
            client.remove_user_from_group(UserName=name, GroupName=group["GroupName"])
        for policy in client.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
            client.detach_user_policy(UserName=name, PolicyArn=policy["PolicyArn"])
        for policy in client.list_user_policies(UserName=name)["PolicyNames"]:
            client.delete_user_policy(UserName=name, PolicyName=policy)
        for key in client.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            client.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        client.delete_user(UserName=name)
    for group in client.list_groups()["Groups"]:
        client.delete_group(GroupName=group["GroupName"])
    for policy in client.list_policies(Scope="Local")["Policies"]:
        for version in client.list_policy_versions(PolicyArn=policy["Arn"])["Versions"]:
            if not version["IsDefaultVersion"]:
                client.delete_policy_version(PolicyArn=policy["Arn"], VersionId=version["VersionId"])
        client.delete_policy(PolicyArn=policy["Arn"])
    return client


def test_a_user_is_what_it_was_made(iam: Any) -> None:
    tags = [{"Key": "team", "Value": "blue"}]
    made = iam.create_user(UserName="Alice", Path="/dev/", Tags=tags, PermissionsBoundary=READ)["User"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/dev/Alice"
    assert made["UserId"].startswith("AIDA") and len(made["UserId"]) == 21
    found = iam.get_user(UserName="Alice")["User"]
    assert found == made
    assert found["PermissionsBoundary"] == {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": READ}
    assert found["Tags"] == tags
    iam.create_user(UserName="bob")
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["Alice", "bob"]
    assert [user["UserName"] for user in iam.list_users(PathPrefix="/dev/")["Users"]] == ["Alice"]
    pages = list(iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 1}))
    assert [len(page["Users"]) for page in pages] == [1, 1]
    iam.update_user(UserName="Alice", NewUserName="carol", NewPath="/")
    assert iam.get_user(UserName="carol")["User"]["UserId"] == made["UserId"]
    assert refusal(iam.get_user, UserName="Alice")[0] == "NoSuchEntity"
    iam.untag_user(UserName="carol", TagKeys=["TEAM"])
    assert iam.list_user_tags(UserName="carol")["Tags"] == []


def test_a_renamed_user_signs_by_its_new_name(served: Served, iam: Any) -> None:
    import boto3

    iam.create_user(UserName="before")
    key = iam.create_access_key(UserName="before")["AccessKey"]
    sts = boto3.client(
        "sts",
        endpoint_url=served.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    iam.update_user(UserName="before", NewUserName="after")
    identity = sts.get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/after"
    assert identity["UserId"] == iam.get_user(UserName="after")["User"]["UserId"]


def test_groups_and_who_is_in_them(iam: Any) -> None:
    made = iam.create_group(GroupName="team", Path="/x/")["Group"]
    assert made["GroupId"].startswith("AGPA") and made["Arn"] == f"arn:aws:iam::{ACCOUNT}:group/x/team"
    for name in ("b", "a"):
        iam.create_user(UserName=name)
        iam.add_user_to_group(GroupName="team", UserName=name)
    found = iam.get_group(GroupName="team")
    assert [user["UserName"] for user in found["Users"]] == ["a", "b"] and found["Group"] == made
    iam.update_group(GroupName="team", NewGroupName="crew")
    assert [group["GroupName"] for group in iam.list_groups_for_user(UserName="a")["Groups"]] == ["crew"]
    assert refusal(iam.delete_group, GroupName="crew") == (
        "DeleteConflict",
        "Cannot delete entity, must remove users from group first.",
    )


def test_versions_of_a_policy(iam: Any) -> None:
    """Five at most; one acts; numbers never come back."""
    made = iam.create_policy(PolicyName="own", Path="/team/", PolicyDocument=ALLOW, Description="d")["Policy"]
    assert made["Arn"] == OWN and made["PolicyId"].startswith("ANPA") and made["DefaultVersionId"] == "v1"
    for number in range(2, 6):
        iam.create_policy_version(PolicyArn=OWN, PolicyDocument=ALLOW, SetAsDefault=number == 5)
    code, message = refusal(iam.create_policy_version, PolicyArn=OWN, PolicyDocument=ALLOW)
    assert code == "LimitExceeded" and message.startswith("A managed policy can have up to 5 versions.")
    versions = iam.list_policy_versions(PolicyArn=OWN)["Versions"]
    assert [(one["VersionId"], one["IsDefaultVersion"]) for one in versions][:2] == [("v5", True), ("v4", False)]
    refused = refusal(iam.delete_policy_version, PolicyArn=OWN, VersionId="v5")
    assert refused == ("DeleteConflict", "Cannot delete the default version of a policy.")
    iam.delete_policy_version(PolicyArn=OWN, VersionId="v4")
    assert iam.create_policy_version(PolicyArn=OWN, PolicyDocument=ALLOW)["PolicyVersion"]["VersionId"] == "v6"
    assert refusal(iam.delete_policy, PolicyArn=OWN)[0] == "DeleteConflict"
    assert iam.get_policy_version(PolicyArn=OWN, VersionId="v5")["PolicyVersion"]["Document"]["Statement"]
    assert iam.get_policy(PolicyArn=OWN)["Policy"]["Description"] == "d"


def test_policies_and_whom_they_are_attached_to(iam: Any) -> None:
    iam.create_policy(PolicyName="own", Path="/team/", PolicyDocument=ALLOW)
    iam.create_user(UserName="u", PermissionsBoundary=OWN)
    iam.create_group(GroupName="g")
    iam.attach_user_policy(UserName="u", PolicyArn=OWN)
    iam.attach_user_policy(UserName="u", PolicyArn=READ)
    iam.attach_group_policy(GroupName="g", PolicyArn=OWN)
    attached = iam.list_attached_user_policies(UserName="u")["AttachedPolicies"]
    assert [one["PolicyName"] for one in attached] == ["own", "ReadOnlyAccess"]
    below = iam.list_attached_user_policies(UserName="u", PathPrefix="/team/")["AttachedPolicies"]
    assert below == [{"PolicyName": "own", "PolicyArn": OWN}]
    found = iam.get_policy(PolicyArn=OWN)["Policy"]
    assert (found["AttachmentCount"], found["PermissionsBoundaryUsageCount"]) == (2, 1)
    having = iam.list_entities_for_policy(PolicyArn=OWN)
    assert [one["UserName"] for one in having["PolicyUsers"]] == ["u"]
    assert [one["GroupName"] for one in having["PolicyGroups"]] == ["g"]
    only = iam.list_policies(OnlyAttached=True)["Policies"]
    assert [one["PolicyName"] for one in only] == ["own", "ReadOnlyAccess"]
    conflict = ("DeleteConflict", "Cannot delete a policy attached to entities.")
    assert refusal(iam.delete_policy, PolicyArn=OWN) == conflict
    iam.detach_group_policy(GroupName="g", PolicyArn=OWN)
    refused = refusal(iam.detach_group_policy, GroupName="g", PolicyArn=OWN)
    assert refused == ("NoSuchEntity", f"Policy {OWN} was not found.")


def test_inline_policies(iam: Any) -> None:
    iam.create_user(UserName="u")
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=ALLOW)
    assert iam.list_user_policies(UserName="u")["PolicyNames"] == ["p"]
    found = iam.get_user_policy(UserName="u", PolicyName="p")
    assert found["PolicyDocument"]["Statement"][0]["Action"] == "ecs:*"
    assert refusal(iam.get_user_policy, UserName="u", PolicyName="q") == (
        "NoSuchEntity",
        "The user policy with name q cannot be found.",
    )
    long = document(statement("Allow", [f"ecs:Action{i}" for i in range(300)]))
    assert refusal(iam.put_user_policy, UserName="u", PolicyName="p", PolicyDocument=long) == (
        "LimitExceeded",
        "Maximum policy size of 2048 bytes exceeded for user u",
    )


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("get_user", {"UserName": "x"}, "NoSuchEntity", "The user with name x cannot be found."),
    ("delete_user", {"UserName": "x"}, "NoSuchEntity", "The user with name x cannot be found."),
    ("get_group", {"GroupName": "x"}, "NoSuchEntity", "The group with name x cannot be found."),
    ("create_user", {"UserName": "ME"}, "EntityAlreadyExists", "User with name ME already exists."),
    ("create_group", {"GroupName": "Us"}, "EntityAlreadyExists", "Group with name Us already exists."),
    (
        "create_policy",
        {"PolicyName": "OWN", "PolicyDocument": ALLOW},
        "EntityAlreadyExists",
        "A policy called OWN already exists. Duplicate names are not allowed.",
    ),
    (
        "create_policy",
        {"PolicyName": "bad", "PolicyDocument": "{}"},
        "MalformedPolicyDocument",
        "Syntax errors in policy.",
    ),
    (
        "put_user_policy",
        {"UserName": "me", "PolicyName": "p", "PolicyDocument": '{"Version": "2012-10-17", "Statement": 1}'},
        "MalformedPolicyDocument",
        "Syntax errors in policy.",
    ),
    (
        "attach_user_policy",
        {"UserName": "me", "PolicyArn": READ + "x"},
        "NoSuchEntity",
        f"Policy {READ}x does not exist or is not attachable.",
    ),
    ("delete_policy", {"PolicyArn": READ}, "AccessDenied", "Policy is outside your own account."),
    (
        "delete_user",
        {"UserName": "me"},
        "DeleteConflict",
        "Cannot delete entity, must delete access keys first.",
    ),
    (
        "create_user",
        {"UserName": "y", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]},
        "InvalidInput",
        "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
    ),
    (
        "delete_user_permissions_boundary",
        {"UserName": "me"},
        "NoSuchEntity",
        "Permissions boundary for user me does not exist.",
    ),
]


@pytest.mark.parametrize(("operation", "given", "code", "message"), REFUSED)
def test_what_is_refused(iam: Any, operation: str, given: dict[str, Any], code: str, message: str) -> None:
    iam.create_user(UserName="me")
    iam.create_access_key(UserName="me")
    iam.create_group(GroupName="us")
    iam.create_policy(PolicyName="own", PolicyDocument=ALLOW)
    assert refusal(getattr(iam, operation), **given) == (code, message)


def test_ten_policies_and_two_keys(iam: Any) -> None:
    iam.create_user(UserName="u")
    for number in range(11):
        arn = iam.create_policy(PolicyName=f"p{number}", PolicyDocument=ALLOW)["Policy"]["Arn"]
        if number < 10:
            iam.attach_user_policy(UserName="u", PolicyArn=arn)
    refused = refusal(iam.attach_user_policy, UserName="u", PolicyArn=arn)
    assert refused == ("LimitExceeded", "Cannot exceed quota for PoliciesPerUser: 10")
    for _ in range(2):
        iam.create_access_key(UserName="u")
    refused = refusal(iam.create_access_key, UserName="u")
    assert refused == ("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2")
