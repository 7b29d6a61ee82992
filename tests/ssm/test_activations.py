"""Hybrid activations, and the machines that join by them: boto3, and the requests of `dryport join`."""

from __future__ import annotations

import base64
import datetime
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.client import managed
from dryport.ecs.room import room as ecs_room
from dryport.iam.room import room as iam_room
from dryport.ssm import machines
from dryport.ssm.attempts import MOST, SECONDS, Attempts
from dryport.ssm.room import room
from dryport.sts.room import room as sts_room
from tests.iam.accounts import document, statement, trust
from tests.served import Served, refusal

ROLE = "ecsAnywhereRole"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(tmp_path_factory.mktemp("ssm"), [room, sts_room, ecs_room, iam_room])
    for name in (ROLE, "other"):
        iam = running.client("iam")
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust("ssm"))
        text = document(statement("Allow", ["ecs:*", "ssm:*"]))
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=text)
    yield running
    running.stop()


@pytest.fixture
def ssm(served: Served) -> Any:
    return served.client("ssm")


def activate(ssm: Any, **request: Any) -> tuple[str, str]:
    answer = ssm.create_activation(IamRole=ROLE, **request)
    return answer["ActivationId"], answer["ActivationCode"]


def described(ssm: Any, activation_id: str) -> Any:
    filters = [{"FilterKey": "ActivationIds", "FilterValues": [activation_id]}]
    (found,) = ssm.describe_activations(Filters=filters)["ActivationList"]
    return found


def client(served: Served, service: str, session: managed.Session) -> Any:
    return boto3.client(
        service,
        endpoint_url=served.endpoint,
        region_name="us-east-1",
        aws_access_key_id=session.access_key_id,
        aws_secret_access_key=session.secret_access_key,
        aws_session_token=session.session_token,
    )


def test_activations(served: Served, ssm: Any) -> None:
    tags = [{"Key": "a", "Value": "b"}]
    one, code = activate(ssm, Description="edge", DefaultInstanceName="box", RegistrationLimit=7, Tags=tags)
    assert len(code) == 20
    found = described(ssm, one)
    life = found.pop("ExpirationDate") - found.pop("CreatedDate")
    assert life == datetime.timedelta(hours=24)
    assert found == {
        "ActivationId": one,
        "Description": "edge",
        "DefaultInstanceName": "box",
        "IamRole": ROLE,
        "RegistrationLimit": 7,
        "RegistrationsCount": 0,
        "Expired": False,
        "Tags": tags,
    }
    assert code.encode() not in (served.state_dir / "control.db").read_bytes()
    two, _ = activate(ssm)
    pages = ssm.get_paginator("describe_activations").paginate(PaginationConfig={"PageSize": 1})
    assert [each["ActivationId"] for page in pages for each in page["ActivationList"]][-2:] == [one, two]
    ssm.delete_activation(ActivationId=one)
    assert refusal(ssm.delete_activation, ActivationId=one)[0] == "InvalidActivation"
    assert refusal(served.client("ssm", "eu-west-1").delete_activation, ActivationId=two)[0] == "InvalidActivation"
    now = datetime.datetime.now(datetime.UTC)
    for wrong in (now - datetime.timedelta(seconds=1), now + datetime.timedelta(days=31)):
        assert refusal(ssm.create_activation, IamRole=ROLE, ExpirationDate=wrong)[0] == "ValidationException"
    assert refusal(ssm.create_activation, IamRole="no role")[0] == "ValidationException"


def test_a_machine_joins_and_leaves(served: Served, ssm: Any) -> None:
    activation, code = activate(ssm, DefaultInstanceName="box", Tags=[{"Key": "site", "Value": "berlin"}])
    key = managed.new_key()
    identity = managed.join(served.endpoint, activation, code, key)
    # The answer may have been lost: the same machine asks again, and is the same.
    assert managed.join(served.endpoint, activation, code, key) == identity
    assert described(ssm, activation)["RegistrationsCount"] == 1
    with pytest.raises(managed.Refused) as refused:
        managed.join(served.endpoint, activation, code, managed.new_key())
    assert refused.value.code == "ActivationUsedUp"
    session = managed.renew(identity, "1.105.1")
    assert managed.renew(identity, "1.105.1") == session  # still good for long
    assert session.expiration - time.time() > 1800
    caller = client(served, "sts", session).get_caller_identity()
    assert caller["Arn"] == f"arn:aws:sts::000000000000:assumed-role/{ROLE}/{identity.instance_id}"
    filters = [{"Key": "InstanceIds", "Values": [identity.instance_id]}, {"Key": "tag:site", "Values": ["berlin"]}]
    (shown,) = ssm.describe_instance_information(Filters=filters)["InstanceInformationList"]
    assert shown["PingStatus"] == "Online" and shown["ActivationId"] == activation and shown["Name"] == "box"
    assert shown["IPAddress"] in ("127.0.0.1", "::1") and shown["AgentVersion"] == "1.105.1"
    assert shown["ResourceType"] == "ManagedInstance" and shown["IamRole"] == ROLE
    old = [{"key": "PingStatus", "valueSet": ["ConnectionLost"]}]
    assert ssm.describe_instance_information(InstanceInformationFilterList=old)["InstanceInformationList"] == []
    register = client(served, "ecs", session).register_container_instance
    instance = register(cluster="default")["containerInstance"]
    assert instance["ec2InstanceId"] == identity.instance_id
    lost = register(cluster="default")["containerInstance"]["containerInstanceArn"]
    ecs = served.client("ecs")
    assert ecs.list_container_instances()["containerInstanceArns"] == [lost]
    ssm.update_managed_instance_role(InstanceId=identity.instance_id, IamRole="other")
    assert refusal(client(served, "sts", session).get_caller_identity)[0] == "InvalidClientTokenId"
    session = managed.renew(identity, "")
    assert ":assumed-role/other/" in client(served, "sts", session).get_caller_identity()["Arn"]
    managed.leave(identity)
    assert refusal(client(served, "sts", session).get_caller_identity)[0] == "InvalidClientTokenId"
    with pytest.raises(managed.Refused):
        managed.renew(identity, "")


def test_a_machine_is_put_out(served: Served, ssm: Any) -> None:
    identity = managed.join(served.endpoint, *activate(ssm), managed.new_key())
    session = managed.renew(identity, "")
    elsewhere = served.client("ssm", "eu-west-1")
    assert refusal(elsewhere.deregister_managed_instance, InstanceId=identity.instance_id)[0] == "InvalidInstanceId"
    tags = {"ResourceType": "ManagedInstance", "ResourceId": identity.instance_id}
    ssm.add_tags_to_resource(**tags, Tags=[{"Key": "a", "Value": "b"}])
    assert ssm.list_tags_for_resource(**tags)["TagList"] == [{"Key": "a", "Value": "b"}]
    ssm.deregister_managed_instance(InstanceId=identity.instance_id)
    assert refusal(client(served, "sts", session).get_caller_identity)[0] == "InvalidClientTokenId"
    with pytest.raises(managed.Refused):
        managed.renew(identity, "")
    assert refusal(ssm.list_tags_for_resource, **tags)[0] == "InvalidResourceId"
    both = {
        "Filters": [{"Key": "InstanceIds", "Values": ["mi-0"]}],
        "InstanceInformationFilterList": [{"key": "InstanceIds", "valueSet": ["mi-0"]}],
    }
    assert refusal(ssm.describe_instance_information, **both)[0] == "ValidationException"
    unknown = [{"Key": "Color", "Values": ["red"]}]
    assert refusal(ssm.describe_instance_information, Filters=unknown)[0] == "InvalidFilterKey"


def test_an_activation_expires(served: Served, ssm: Any) -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1.2)
    activation, code = activate(ssm, ExpirationDate=soon)
    while not described(ssm, activation)["Expired"]:
        time.sleep(0.05)
    with pytest.raises(managed.Refused) as refused:
        managed.join(served.endpoint, activation, code, managed.new_key())
    assert refused.value.code == "ActivationExpired"


def ask(served: Served, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{served.port}{managed.PATH}{path}", data=body, method="POST", headers=headers
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_what_the_door_refuses(served: Served, ssm: Any) -> None:
    activation, code = activate(ssm)
    key = base64.b64encode(bytes(32)).decode()
    good = {"activationId": activation, "activationCode": code, "publicKey": key}
    for body, status in (
        (b"", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (json.dumps({**good, "publicKey": "AAAA"}).encode(), 400),
        (json.dumps({**good, "activationId": activation[:-1] + "x"}).encode(), 403),
        (b"x" * 20_000, 413),
    ):
        assert ask(served, "", body)[0] == status, body[:20]
    assert ask(served, "/a/b/c", b"")[0] == 404
    identity = managed.join(served.endpoint, activation, code, managed.new_key())
    path = f"/{identity.instance_id}/credentials"
    assert ask(served, path, b"")[1]["code"] == "RequestExpired"
    date = str(int(time.time()))
    for signature in ("", "!", base64.b64encode(bytes(64)).decode()):
        headers = {"X-Dryport-Date": date, "X-Dryport-Signature": signature}
        assert ask(served, path, b"", **headers)[1]["code"] == "InvalidInstance"


def test_codes_cannot_be_tried_for_long(served: Served, ssm: Any) -> None:
    activation, _ = activate(ssm)
    wrong = {"activationId": activation, "activationCode": "x" * 20, "publicKey": base64.b64encode(bytes(32)).decode()}
    statuses = [ask(served, "", json.dumps(wrong).encode())[0] for _ in range(MOST + 2)]
    assert set(statuses) == {403, 429} and statuses[-1] == 429


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now

    monotonic = time

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(st.lists(st.floats(0, 30), max_size=60))
def test_no_address_is_refused_more_often_than_it_may(pauses: list[float]) -> None:
    clock = _Clock()
    attempts, refused = Attempts(clock), list[float]()
    for pause in pauses:
        clock.now += pause
        if not attempts.wait("a"):
            attempts.failed("a")
            refused.append(clock.now)
        assert not attempts.wait("b")
        assert sum(clock.now - each < SECONDS for each in refused) <= MOST


def test_codes_are_compared_as_wholes() -> None:
    activation = machines.Activation(
        id="a",
        account="0",
        region="r",
        code_hash=machines.hash_of("code"),
        iam_role="r",
        limit=1,
        expires=0.0,
        created_at=0.0,
    )
    assert activation.admits("code") and not activation.admits("codE") and not activation.admits("")
