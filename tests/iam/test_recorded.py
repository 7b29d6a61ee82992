# ruff: noqa: E501 (the words are as long as AWS made them)
"""What AWS's IAM was seen to answer in 2026: members that it leaves out, and its words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dryport.iam.room import room
from tests.iam.accounts import ACCOUNT, document, statement, trust
from tests.served import Served, refusal

POLICY = f"arn:aws:iam::{ACCOUNT}:policy/p"


@pytest.fixture(scope="module")
def iam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    running = Served(Path(tmp_path_factory.mktemp("recorded")), [room])
    client = running.client("iam")
    client.create_role(RoleName="r", AssumeRolePolicyDocument=trust("ec2"))
    client.create_user(UserName="u")
    client.create_group(GroupName="g")
    yield client
    running.stop()


def test_a_role_tells_its_longest_session_only_where_it_is_asked_for(iam: Any) -> None:
    made = iam.create_role(RoleName="s", AssumeRolePolicyDocument=trust("ec2"))["Role"]
    assert set(made) == {"Path", "RoleName", "RoleId", "Arn", "CreateDate", "AssumeRolePolicyDocument"}
    assert "MaxSessionDuration" not in iam.update_role_description(RoleName="s", Description="d")["Role"]
    assert iam.get_role(RoleName="s")["Role"]["MaxSessionDuration"] == 3600
    assert iam.list_roles()["Roles"][0]["MaxSessionDuration"] == 3600
    assert "Tags" not in iam.create_instance_profile(InstanceProfileName="i")["InstanceProfile"]
    iam.add_role_to_instance_profile(InstanceProfileName="i", RoleName="s")
    profile = iam.get_instance_profile(InstanceProfileName="i")["InstanceProfile"]
    assert (profile["Tags"], "MaxSessionDuration" in profile["Roles"][0]) == ([], False)


def test_policies_have_tags_whose_case_counts(iam: Any) -> None:
    tags = [{"Key": "a", "Value": "lower"}, {"Key": "A", "Value": "upper"}]
    every = document(statement("Allow", "s3:*"))
    made = iam.create_policy(PolicyName="p", PolicyDocument=every, Description="d", Tags=tags)["Policy"]
    assert made["Tags"] == tags
    assert "Description" not in made
    assert iam.list_policy_tags(PolicyArn=POLICY)["Tags"] == tags[::-1]
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    assert refusal(iam.tag_policy, PolicyArn=POLICY, Tags=twice) == ("InvalidInput", "Duplicate tag keys found.")
    both = refusal(iam.tag_role, RoleName="r", Tags=tags)
    assert both == ("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    iam.untag_policy(PolicyArn=POLICY, TagKeys=["a"])
    assert iam.list_policy_tags(PolicyArn=POLICY)["Tags"] == tags[1:]


KEYS = (
    "Member must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater "
    "than or equal to 1, Member must satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+, Member must not be null]"
)


@pytest.mark.parametrize(
    ("operation", "given", "code", "message"),
    [
        ("untag_role", {"RoleName": "r", "TagKeys": ["x" * 129]}, "ValidationError", f"1 validation error detected: Value at 'tagKeys' failed to satisfy constraint: {KEYS}"),
        ("tag_role", {"RoleName": "r", "Tags": [{"Key": "k", "Value": "v" * 257}]}, "ValidationError", "1 validation error detected: Value at 'tags.1.member.value' failed to satisfy constraint: Member must have length less than or equal to 256"),
        ("attach_role_policy", {"RoleName": "r", "PolicyArn": "longpolicynamebutnoarn"}, "ValidationError", "ARN longpolicynamebutnoarn is not valid."),
        ("attach_user_policy", {"UserName": "u", "PolicyArn": POLICY + "x"}, "NoSuchEntity", f"Policy {POLICY}x does not exist or is not attachable."),
        ("detach_user_policy", {"UserName": "u", "PolicyArn": POLICY + "x"}, "NoSuchEntity", f"Policy {POLICY}x was not found."),
        ("get_policy_version", {"PolicyArn": POLICY + "x", "VersionId": "v1"}, "NoSuchEntity", f"Policy {POLICY}x version v1 does not exist or is not attachable."),
        ("set_default_policy_version", {"PolicyArn": POLICY + "x", "VersionId": "v1"}, "NoSuchEntity", f"Policy {POLICY}x version v1 does not exist or is not attachable."),
        ("tag_policy", {"PolicyArn": POLICY + "x", "Tags": []}, "NoSuchEntity", f"Policy {POLICY}x was not found."),
        ("remove_user_from_group", {"GroupName": "none", "UserName": "nobody"}, "NoSuchEntity", "The user with name nobody cannot be found."),
        ("remove_user_from_group", {"GroupName": "none", "UserName": "u"}, "NoSuchEntity", "The group with name none cannot be found."),
        ("get_access_key_last_used", {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}, "AccessDenied", f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform iam:GetAccessKeyLastUsed on resource: access key AKIAIOSFODNN7EXAMPLE"),
    ],
)  # fmt: skip
def test_refusals(iam: Any, operation: str, given: dict[str, Any], code: str, message: str) -> None:
    assert refusal(getattr(iam, operation), **given) == (code, message)
