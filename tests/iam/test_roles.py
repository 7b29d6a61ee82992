"""Roles and their sessions: who may assume one, and what it may do then. boto3 against the running services."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest
from botocore.config import Config

from dryport.iam import credentials
from dryport.iam.model import CREDENTIALS
from dryport.iam.room import room as iam_room
from dryport.s3.room import room as s3_room
from dryport.sts.room import room as sts_room
from tests.iam.accounts import ACCOUNT, User, document, document_of, statement, trust
from tests.served import Served, refusal

READ = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(tmp_path_factory.mktemp("roles"), [iam_room, sts_room, s3_room])
    running.client("s3").create_bucket(Bucket="photos")
    running.client("s3").put_object(Bucket="photos", Key="a", Body=b"abc")
    yield running
    running.stop()


def make(served: Served, document: str, *policies: str, **more: Any) -> str:
    """A role's ARN."""
    iam, name = served.client("iam"), f"role-{next(_numbers)}"
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, **more)["Role"]["Arn"]
    for policy in policies:
        iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    return arn


def name_of(arn: str) -> str:
    return arn.rpartition("/")[2]


def session(served: Served, service: str, keys: dict[str, Any]) -> Any:
    return boto3.client(
        service,
        endpoint_url=served.endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        config=Config(retries={"total_max_attempts": 1}),
    )


def assume(user: User, arn: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = user.client("sts").assume_role(RoleArn=arn, RoleSessionName="me", **more)
    return answer


def test_a_session_may_do_what_its_role_may(served: Served) -> None:
    """Read and not write; at once when the role changes; nothing once it is gone."""
    user = User(served)
    arn = make(served, document_of({"Principal": {"AWS": user.arn}}), READ)
    answer = assume(user, arn)
    keys, who = answer["Credentials"], answer["AssumedRoleUser"]
    assert keys["AccessKeyId"].startswith("ASIA")
    assert who["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name_of(arn)}/me"
    assert who["AssumedRoleId"].startswith("AROA") and who["AssumedRoleId"].endswith(":me")
    identity = session(served, "sts", keys).get_caller_identity()
    assert (identity["Arn"], identity["UserId"]) == (who["Arn"], who["AssumedRoleId"])
    s3, iam = session(served, "s3", keys), served.client("iam")
    assert s3.get_object(Bucket="photos", Key="a")["Body"].read() == b"abc"
    message = (
        f"User: {who['Arn']} is not authorized to perform: s3:PutObject on resource: "
        '"arn:aws:s3:::photos/b" because no identity-based policy allows the s3:PutObject action'
    )
    assert refusal(s3.put_object, Bucket="photos", Key="b", Body=b"") == ("AccessDenied", message)
    iam.attach_role_policy(RoleName=name_of(arn), PolicyArn=FULL)
    s3.put_object(Bucket="photos", Key="b", Body=b"")
    for policy in (READ, FULL):
        iam.detach_role_policy(RoleName=name_of(arn), PolicyArn=policy)
    assert refusal(s3.get_object, Bucket="photos", Key="a")[0] == "AccessDenied"
    iam.delete_role(RoleName=name_of(arn))
    assert refusal(s3.get_object, Bucket="photos", Key="a")[0] == "InvalidAccessKeyId"


def test_a_trust_policy_decides(served: Served) -> None:
    """One that names the account asks for the caller's own policies; one that names another, or a service, refuses."""
    user = User(served)
    account = {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    arn = make(served, document_of(account))
    message = f"User: {user.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    assert refusal(assume, user=user, arn=arn) == ("AccessDenied", message)
    user.may(statement("Allow", "sts:AssumeRole", arn))
    assume(user, arn)
    for document_ in (document_of({"Principal": {"AWS": User(served).arn}}), trust("ecs-tasks")):
        assert refusal(assume, user=user, arn=make(served, document_))[0] == "AccessDenied"
    user.may(statement("Deny", "sts:AssumeRole"))
    assert (
        refusal(assume, user=user, arn=make(served, document_of({"Principal": {"AWS": user.arn}})))[0] == "AccessDenied"
    )
    missing = arn + "x"
    assert refusal(assume, user=user, arn=missing)[1].endswith(missing)
    root = served.client("sts")
    refused = refusal(root.assume_role, RoleArn=arn, RoleSessionName="me")
    assert refused == ("AccessDenied", "Roles may not be assumed by root accounts.")


def test_an_external_id(served: Served) -> None:
    user = User(served)
    condition = {"Condition": {"StringEquals": {"sts:ExternalId": "42"}}}
    arn = make(served, document_of({"Principal": {"AWS": user.arn}}, **condition))
    assert refusal(assume, user=user, arn=arn)[0] == "AccessDenied"
    assert refusal(assume, user=user, arn=arn, ExternalId="43")[0] == "AccessDenied"
    assume(user, arn, ExternalId="42")


@pytest.mark.parametrize("by_arn", [True, False])
def test_a_session_policy_limits(served: Served, by_arn: bool) -> None:
    """What the role and the session's policy both allow."""
    user = User(served)
    arn = make(served, document_of({"Principal": {"AWS": user.arn}}), FULL)
    limit: dict[str, Any] = {"PolicyArns": [{"arn": READ}]}
    if not by_arn:
        limit = {"Policy": document(statement("Allow", "s3:GetObject"))}
    answer = assume(user, arn, **limit)
    assert answer["PackedPolicySize"] > 0
    s3 = session(served, "s3", answer["Credentials"])
    s3.get_object(Bucket="photos", Key="a")
    code, message = refusal(s3.put_object, Bucket="photos", Key="b", Body=b"")
    assert code == "AccessDenied" and message.endswith("because no session policy allows the s3:PutObject action")


def test_tags_go_on_from_session_to_session(served: Served) -> None:
    """Only transitive ones; a policy sees them as the caller's, and a chained session ends within an hour."""
    user = User(served)
    team = {"Condition": {"StringEquals": {"aws:PrincipalTag/team": "blue"}}}
    second = make(served, document_of({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}))
    first = make(served, document_of({"Principal": {"AWS": user.arn}}), MaxSessionDuration=7200)
    iam = served.client("iam")
    chain = statement("Allow", ["sts:AssumeRole", "sts:TagSession"], second)
    iam.put_role_policy(RoleName=name_of(first), PolicyName="p", PolicyDocument=document(chain))
    read = statement("Allow", "s3:GetObject", **team)
    iam.put_role_policy(RoleName=name_of(second), PolicyName="p", PolicyDocument=document(read))
    for transitive in (["team"], []):
        tags = [{"Key": "team", "Value": "blue"}]
        keys = assume(user, first, Tags=tags, TransitiveTagKeys=transitive, DurationSeconds=7200)["Credentials"]
        sts = session(served, "sts", keys)
        ask = {"RoleArn": second, "RoleSessionName": "two"}
        assert refusal(sts.assume_role, **ask, DurationSeconds=3601)[1].endswith("roles assumed by role chaining")
        chained = session(served, "s3", sts.assume_role(**ask)["Credentials"])
        if transitive:
            chained.get_object(Bucket="photos", Key="a")
            assert refusal(sts.assume_role, **ask, Tags=tags)[0] == "InvalidParameterValue"
        else:
            assert refusal(chained.get_object, Bucket="photos", Key="a")[0] == "AccessDenied"


def test_sessions_end(served: Served) -> None:
    """And none is longer than its role has them."""
    user = User(served)
    arn = make(served, document_of({"Principal": {"AWS": user.arn}}), READ)
    assert refusal(assume, user=user, arn=arn, DurationSeconds=3601) == (
        "ValidationError",
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    )
    keys = assume(user, arn, DurationSeconds=900)["Credentials"]
    store = served.context.store

    async def end() -> None:
        def work(tx: Any) -> None:
            found = credentials.find(tx, keys["AccessKeyId"])
            assert found is not None
            tx.put(CREDENTIALS, msgspec.structs.replace(found, expires=served.context.clock.time() - 1))

        await store.transact(work)

    served.run(end())
    expired = refusal(session(served, "sts", keys).get_caller_identity)
    assert expired == ("ExpiredToken", "The security token included in the request is expired")


def test_a_boundary_bounds_a_role(served: Served) -> None:
    user = User(served)
    arn = make(served, document_of({"Principal": {"AWS": user.arn}}), FULL, PermissionsBoundary=READ)
    s3 = session(served, "s3", assume(user, arn)["Credentials"])
    s3.get_object(Bucket="photos", Key="a")
    message = refusal(s3.put_object, Bucket="photos", Key="b", Body=b"")[1]
    assert message.endswith("because no permissions boundary allows the s3:PutObject action")


def test_sessions_of_a_role_that_is_not_may_do_nothing(served: Served) -> None:
    """Nor may they once another role of the same name is made."""
    context = served.context
    arn = f"arn:aws:iam::{ACCOUNT}:role/later"

    async def issue() -> Any:
        return await context.store.transact(
            lambda tx: credentials.issue_session(
                tx, context.random, role_arn=arn, session_name="task", now=context.clock.time(), owner="task"
            )
        )

    made = served.run(issue())
    keys = {
        "AccessKeyId": made.access_key_id,
        "SecretAccessKey": made.secret_access_key,
        "SessionToken": made.session_token,
    }
    s3 = session(served, "s3", keys)
    assert refusal(s3.get_object, Bucket="photos", Key="a")[0] == "AccessDenied"
    served.client("iam").create_role(RoleName="later", AssumeRolePolicyDocument=trust("ecs-tasks"))
    served.client("iam").attach_role_policy(RoleName="later", PolicyArn=FULL)
    assert refusal(s3.get_object, Bucket="photos", Key="a")[0] == "AccessDenied"


def test_a_role_is_what_it_was_made(served: Served) -> None:
    iam = served.client("iam")
    made = iam.create_role(
        RoleName="App", Path="/team/", AssumeRolePolicyDocument=trust("ec2"), Description="d", MaxSessionDuration=7200
    )["Role"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/team/App" and made["AssumeRolePolicyDocument"]
    assert iam.get_role(RoleName="App")["Role"] == made | {"MaxSessionDuration": 7200, "RoleLastUsed": {}}
    assert [role["RoleName"] for role in iam.list_roles(PathPrefix="/team/")["Roles"]] == ["App"]
    iam.update_role(RoleName="App", Description="e", MaxSessionDuration=3600)
    found = iam.get_role(RoleName="App")["Role"]
    assert (found["Description"], found["MaxSessionDuration"]) == ("e", 3600)
    refused = refusal(iam.create_role, RoleName="app", AssumeRolePolicyDocument=trust("ec2"))
    assert refused == ("EntityAlreadyExists", "Role with name app already exists.")
    resource = json.loads(trust("ec2"))
    resource["Statement"][0]["Resource"] = "*"
    refused = refusal(iam.create_role, RoleName="bad", AssumeRolePolicyDocument=json.dumps(resource))
    assert refused == ("MalformedPolicyDocument", "Has prohibited field Resource")
    iam.create_instance_profile(InstanceProfileName="Host", Path="/x/")
    iam.add_role_to_instance_profile(InstanceProfileName="Host", RoleName="App")
    profile = iam.get_instance_profile(InstanceProfileName="Host")["InstanceProfile"]
    assert profile["Arn"] == f"arn:aws:iam::{ACCOUNT}:instance-profile/x/Host"
    assert [role["RoleName"] for role in profile["Roles"]] == ["App"]
    assert refusal(iam.add_role_to_instance_profile, InstanceProfileName="Host", RoleName="App") == (
        "LimitExceeded",
        "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1",
    )
    listed = iam.list_instance_profiles_for_role(RoleName="App")["InstanceProfiles"]
    assert [one["InstanceProfileName"] for one in listed] == ["Host"]
    message = "Cannot delete entity, must remove roles from instance profile first."
    assert refusal(iam.delete_role, RoleName="App") == ("DeleteConflict", message)
    assert refusal(iam.delete_instance_profile, InstanceProfileName="Host") == ("DeleteConflict", message)
    iam.remove_role_from_instance_profile(InstanceProfileName="Host", RoleName="App")
    iam.delete_instance_profile(InstanceProfileName="Host")
    iam.delete_role(RoleName="App")
    assert refusal(iam.get_role, RoleName="App") == ("NoSuchEntity", "The role with name App cannot be found.")
