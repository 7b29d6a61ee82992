"""Temporary credentials without a role, and what STS tells of keys and refusals. boto3 against the running services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dryport.ec2.room import room as ec2_room
from dryport.iam.room import room as iam_room
from dryport.s3.room import room as s3_room
from dryport.sts.room import room as sts_room
from tests.iam.accounts import ACCOUNT, User, document, document_of, statement
from tests.iam.test_roles import READ, assume, make, session
from tests.served import Served, refusal

NO_IAM = ("InvalidClientTokenId", "The security token included in the request is invalid")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(tmp_path_factory.mktemp("sts"), [iam_room, sts_room, s3_room, ec2_room])
    running.client("s3").create_bucket(Bucket="photos")
    running.client("s3").put_object(Bucket="photos", Key="a", Body=b"abc")
    yield running
    running.stop()


def cannot(operation: str) -> tuple[str, str]:
    return ("AccessDenied", f"Cannot call {operation} with session credentials")


def test_a_session_of_a_user_is_the_user(served: Served) -> None:
    """Under its policies, without permission to ask for one; IAM and most of STS are closed to it."""
    user = User(served)
    keys = user.client("sts").get_session_token(DurationSeconds=900)["Credentials"]
    sts, s3 = session(served, "sts", keys), session(served, "s3", keys)
    assert sts.get_caller_identity()["Arn"] == user.arn
    assert refusal(s3.get_object, Bucket="photos", Key="a")[0] == "AccessDenied"
    user.may(statement("Allow", ["s3:GetObject", "iam:*", "sts:*"]))
    assert s3.get_object(Bucket="photos", Key="a")["Body"].read() == b"abc"
    assert refusal(session(served, "iam", keys).list_users) == NO_IAM
    assert refusal(sts.get_session_token) == cannot("GetSessionToken")
    assert refusal(sts.get_federation_token, Name="bob") == cannot("GetFederationToken")
    assert refusal(sts.get_access_key_info, AccessKeyId=keys["AccessKeyId"]) == cannot("GetAccessKeyInfo")
    role = make(served, document_of({"Principal": {"AWS": user.arn}}))
    taken = sts.assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    assert refusal(session(served, "sts", taken).get_session_token) == cannot("GetSessionToken")
    seconds = keys["Expiration"].timestamp() - served.context.clock.time()
    assert 880 < seconds <= 900
    served.client("iam").update_access_key(
        UserName=user.name, AccessKeyId=user.key["AccessKeyId"], Status="Inactive"
    )  # its sessions go on, as AWS's do
    assert sts.get_caller_identity()["Arn"] == user.arn


def test_sessions_of_a_user_follow_it(served: Served) -> None:
    """To another name, and to its end."""
    user = User(served, statement("Allow", "s3:GetObject"))
    iam = served.client("iam")
    keys = user.client("sts").get_session_token()["Credentials"]
    iam.update_user(UserName=user.name, NewUserName=user.name + "-2")
    assert session(served, "sts", keys).get_caller_identity()["Arn"] == user.arn + "-2"
    iam.delete_user_policy(UserName=user.name + "-2", PolicyName="own")
    iam.delete_access_key(UserName=user.name + "-2", AccessKeyId=user.key["AccessKeyId"])
    iam.delete_user(UserName=user.name + "-2")
    assert refusal(session(served, "sts", keys).get_caller_identity)[0] == "InvalidClientTokenId"


def test_a_session_of_the_root_user(served: Served) -> None:
    """It may do everything but IAM, for an hour at most."""
    answer = served.client("sts").get_session_token(DurationSeconds=7200)["Credentials"]
    assert answer["Expiration"].timestamp() - served.context.clock.time() <= 3600
    assert session(served, "s3", answer).list_buckets()["Buckets"]
    assert session(served, "sts", answer).get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert refusal(session(served, "iam", answer).list_users) == NO_IAM


@pytest.mark.parametrize("root", [True, False])
def test_a_federated_user_may_what_both_may(served: Served, root: bool) -> None:
    user = User(served, statement("Allow", ["sts:GetFederationToken", "s3:*", "iam:*"]))
    sts = served.client("sts") if root else user.client("sts")
    answer = sts.get_federation_token(Name="bob", Policy=document(statement("Allow", ["s3:GetObject", "iam:*"])))
    arn = f"arn:aws:sts::{ACCOUNT}:federated-user/bob"
    assert answer["FederatedUser"] == {"FederatedUserId": f"{ACCOUNT}:bob", "Arn": arn}
    assert answer["PackedPolicySize"] > 0
    keys = answer["Credentials"]
    s3 = session(served, "s3", keys)
    assert s3.get_object(Bucket="photos", Key="a")["Body"].read() == b"abc"
    code, message = refusal(s3.put_object, Bucket="photos", Key="b", Body=b"")
    assert code == "AccessDenied"
    assert message == (
        f'User: {arn} is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::photos/b" '
        "because no session policy allows the s3:PutObject action"
    )
    assert refusal(session(served, "iam", keys).list_users) == NO_IAM
    mine = session(served, "sts", keys)
    assert mine.get_caller_identity()["Arn"] == arn
    role = make(served, document_of({"Principal": {"AWS": arn}}))
    assert refusal(mine.assume_role, RoleArn=role, RoleSessionName="me") == cannot("AssumeRole")
    if not root:
        user.may(statement("Allow", "sts:GetFederationToken"))
        assert refusal(s3.get_object, Bucket="photos", Key="a")[0] == "AccessDenied"


def test_without_a_policy_a_federated_user_may_nothing(served: Served) -> None:
    keys = served.client("sts").get_federation_token(Name="bob")["Credentials"]
    message = refusal(session(served, "s3", keys).get_object, Bucket="photos", Key="a")[1]
    assert message.endswith("because no session policy allows the s3:GetObject action")


def test_federation_needs_permissions(served: Served) -> None:
    """One for the name, one more for tags; tags are conditions of both sides."""
    tags = [{"Key": "team", "Value": "blue"}]
    user = User(served, statement("Allow", "sts:GetFederationToken", f"arn:aws:sts::{ACCOUNT}:federated-user/bob"))
    sts = user.client("sts")
    arn = f"arn:aws:sts::{ACCOUNT}:federated-user/eve"
    expected = ("AccessDenied", user.not_allowed("sts:GetFederationToken", arn))
    assert refusal(sts.get_federation_token, Name="eve") == expected
    sts.get_federation_token(Name="bob")
    assert "sts:TagSession" in refusal(sts.get_federation_token, Name="bob", Tags=tags)[1]
    user.may(
        statement("Allow", ["sts:GetFederationToken", "sts:TagSession"]),
        statement("Allow", "s3:*", Condition={"StringEquals": {"aws:PrincipalTag/team": "blue"}}),
    )
    everything = document(statement("Allow", "*"))
    s3 = session(served, "s3", sts.get_federation_token(Name="bob", Policy=everything, Tags=tags)["Credentials"])
    s3.get_object(Bucket="photos", Key="a")
    s3 = session(served, "s3", sts.get_federation_token(Name="bob", Policy=everything)["Credentials"])
    assert refusal(s3.get_object, Bucket="photos", Key="a")[0] == "AccessDenied"
    twice = [*tags, {"Key": "Team", "Value": "red"}]
    assert refusal(sts.get_federation_token, Name="bob", Tags=twice)[0] == "InvalidParameterValue"
    root = served.client("sts")
    assert refusal(root.get_federation_token, Name="bob", DurationSeconds=899)[0] == "ValidationError"
    assert refusal(sts.get_federation_token, Name="bob", Policy="{}")[0] == "MalformedPolicyDocument"
    by_arn = sts.get_federation_token(Name="bob", PolicyArns=[{"arn": READ}], Tags=tags)["Credentials"]
    session(served, "s3", by_arn).get_object(Bucket="photos", Key="a")


def test_sessions_that_were_stolen_are_denied_by_their_age(served: Served) -> None:
    """``aws:TokenIssueTime``, as the console's "revoke older sessions" uses it."""
    user = User(served)
    arn = make(served, document_of({"Principal": {"AWS": user.arn}}), READ)
    s3 = session(served, "s3", assume(user, arn)["Credentials"])
    for limit, allowed in (("2000-01-01T00:00:00Z", True), ("2200-01-01T00:00:00Z", False)):
        older = statement("Deny", "*", Condition={"DateLessThan": {"aws:TokenIssueTime": limit}})
        role = arn.rpartition("/")[2]
        served.client("iam").put_role_policy(RoleName=role, PolicyName="old", PolicyDocument=document(older))
        if allowed:
            s3.get_object(Bucket="photos", Key="a")
        else:
            assert refusal(s3.get_object, Bucket="photos", Key="a")[1].endswith(
                "explicit deny in an identity-based policy"
            )


def test_an_encoded_refusal_is_decoded(served: Served) -> None:
    """By who may; it tells of the caller, the keys, and the statement that refused."""
    user = User(served, statement("Allow", "ec2:*"), {"Sid": "No", **statement("Deny", "ec2:CreateVpc")})
    code, message = refusal(user.client("ec2").create_vpc, CidrBlock="10.0.0.0/16")
    encoded = message.rpartition("message: ")[2]
    assert code == "UnauthorizedOperation"
    assert refusal(user.client("sts").decode_authorization_message, EncodedMessage=encoded) == (
        "AccessDenied",
        user.not_allowed("sts:DecodeAuthorizationMessage", "*"),
    )
    user.may(statement("Allow", "sts:DecodeAuthorizationMessage"))
    sts = user.client("sts")
    said = json.loads(sts.decode_authorization_message(EncodedMessage=encoded)["DecodedMessage"])
    assert (said["allowed"], said["explicitDeny"]) == (False, True)
    [matched] = said["matchedStatements"]["items"]
    assert (matched["statementId"], matched["effect"]) == ("No", "DENY")
    assert matched["actions"] == {"items": [{"value": "ec2:CreateVpc"}]}
    context = said["context"]
    unique_id = served.client("iam").get_user(UserName=user.name)["User"]["UserId"]
    assert context["principal"] == {"id": unique_id, "arn": user.arn, "name": user.name}
    assert context["action"] == "ec2:CreateVpc"
    keys = {item["key"]: item["values"]["items"][0]["value"] for item in context["conditions"]["items"]}
    assert keys["aws:principalarn"] == user.arn and keys["aws:requestedregion"] == "us-east-1"
    for broken in (encoded[:-4] + "AAAA", "ä", "x"):
        answer = refusal(sts.decode_authorization_message, EncodedMessage=broken)
        assert answer[0] == "InvalidAuthorizationMessageException"


def test_the_account_of_a_key(served: Served) -> None:
    user = User(served)
    sts = served.client("sts")
    assert sts.get_access_key_info(AccessKeyId=user.key["AccessKeyId"])["Account"] == ACCOUNT
    assert refusal(sts.get_access_key_info, AccessKeyId="AKIAAAAAAAAAAAAAAAAA")[0] == "ValidationError"


def test_last_use_of_keys_and_roles(served: Served) -> None:
    """Noted at once where nothing was noted within a minute, refused or not."""
    user, iam = User(served), served.client("iam")
    key = user.key["AccessKeyId"]
    before = iam.get_access_key_last_used(AccessKeyId=key)
    assert before["UserName"] == user.name
    assert before["AccessKeyLastUsed"] == {"Region": "N/A", "ServiceName": "N/A"}
    refusal(user.client("s3", "eu-west-1").get_object, Bucket="photos", Key="a")
    used = iam.get_access_key_last_used(AccessKeyId=key)["AccessKeyLastUsed"]
    assert (used["ServiceName"], used["Region"]) == ("s3", "eu-west-1")
    assert abs(used["LastUsedDate"].timestamp() - served.context.clock.time()) < 60
    arn = make(served, document_of({"Principal": {"AWS": user.arn}}))
    name = arn.rpartition("/")[2]
    assert iam.get_role(RoleName=name)["Role"]["RoleLastUsed"] == {}
    session(served, "sts", assume(user, arn)["Credentials"]).get_caller_identity()
    assert iam.get_role(RoleName=name)["Role"]["RoleLastUsed"]["Region"] == "us-east-1"
    assert refusal(iam.get_access_key_last_used, AccessKeyId=key + "X")[0] == "AccessDenied"
    iam.delete_access_key(UserName=user.name, AccessKeyId=key)
    assert refusal(iam.get_access_key_last_used, AccessKeyId=key)[0] == "AccessDenied"


def test_last_use_is_written_once_a_minute(served: Served) -> None:
    """Not a row a request."""
    user = User(served)
    writes: list[Any] = []

    async def watch() -> Any:
        from dryport.iam.model import LAST_USES

        return served.context.store.watch(LAST_USES)

    async def drain(watching: Any) -> None:
        import asyncio

        async with watching:
            try:
                async with asyncio.timeout(1):
                    async for changes in watching:
                        writes.extend(changes)
            except TimeoutError:
                pass

    watching = served.run(watch())
    for _ in range(20):
        user.client("sts").get_caller_identity()
    served.run(drain(watching))
    assert [change.key for change in writes if change.key == user.key["AccessKeyId"]] == [user.key["AccessKeyId"]]
