"""The root user's access keys: made, rotated, switched off, deleted, by boto3."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom
from typing import Any

import boto3
import pytest
from botocore.config import Config

from dryport.iam import credentials
from dryport.iam.model import Credential
from dryport.iam.room import room as iam_room
from dryport.platform import credentials as files
from dryport.sts.room import room as sts_room
from tests.iam.accounts import document, statement, trust
from tests.served import Served, refusal

UNKNOWN = ("InvalidClientTokenId", "The security token included in the request is invalid.")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path, [iam_room, sts_room])
    yield running
    running.stop()


def client(served: Served, service: str, access_key: str, secret: str, token: str | None = None) -> Any:
    return boto3.client(
        service,
        endpoint_url=served.endpoint,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_a_key_is_rotated(served: Served) -> None:
    """A second key, the first one off, on again, off and away: each acts with the next request, and after a restart."""
    old = served.client("iam")
    before = time.time()
    made = old.create_access_key()["AccessKey"]
    assert made["Status"] == "Active" and made["AccessKeyId"].startswith("AKIA")
    assert before - 1 <= made["CreateDate"].timestamp() <= time.time()
    assert made["CreateDate"].microsecond == 0  # IAM tells whole seconds
    new, caller = (client(served, name, made["AccessKeyId"], made["SecretAccessKey"]) for name in ("iam", "sts"))
    assert caller.get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:root"
    first = served.key.access_key_id
    new.update_access_key(AccessKeyId=first, Status="Inactive")
    assert refusal(old.list_access_keys) == UNKNOWN
    statuses = {key["AccessKeyId"]: key["Status"] for key in new.list_access_keys()["AccessKeyMetadata"]}
    assert statuses == {first: "Inactive", made["AccessKeyId"]: "Active"}
    new.update_access_key(AccessKeyId=first, Status="Active")
    assert len(old.list_access_keys()["AccessKeyMetadata"]) == 2
    new.update_access_key(AccessKeyId=first, Status="Inactive")
    served.restart()
    old, new = (client(served, "iam", key, secret) for key, secret in _pairs(served, first, made))
    assert refusal(old.list_access_keys) == UNKNOWN
    new.delete_access_key(AccessKeyId=first)
    assert refusal(old.list_access_keys) == UNKNOWN
    assert first not in {key["AccessKeyId"] for key in new.list_access_keys()["AccessKeyMetadata"]}


def _pairs(served: Served, first: str, made: dict[str, str]) -> list[tuple[str, str]]:
    kept = credentials.find(served.context.store.reader, first)
    assert kept is not None
    return [(first, kept.secret_access_key), (made["AccessKeyId"], made["SecretAccessKey"])]


def test_two_keys_and_no_more(served: Served) -> None:
    iam = served.client("iam")
    iam.create_access_key()
    assert refusal(iam.create_access_key) == ("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2")
    pages = list(iam.get_paginator("list_access_keys").paginate(PaginationConfig={"PageSize": 1}))
    assert [len(page["AccessKeyMetadata"]) for page in pages] == [1, 1]
    assert all("SecretAccessKey" not in page["AccessKeyMetadata"][0] for page in pages)


def test_a_session_has_no_keys(served: Served) -> None:
    """A task's role cannot make itself a key of the root user, nor touch one."""

    def issue(tx: Any) -> Credential:
        role, now = "arn:aws:iam::000000000000:role/root", served.context.clock.time()
        return credentials.issue_session(tx, served.context.random, role_arn=role, session_name="root", now=now)

    served.client("iam").create_role(RoleName="root", AssumeRolePolicyDocument=trust("ecs-tasks"))
    everything = document(statement("Allow", "*"))
    served.client("iam").put_role_policy(RoleName="root", PolicyName="all", PolicyDocument=everything)
    session = served.run(served.context.store.transact(issue))
    iam = client(served, "iam", session.access_key_id, session.secret_access_key, session.session_token)
    refused = ("ValidationError", "Must specify userName when calling with non-User credentials")
    assert refusal(iam.create_access_key) == refusal(iam.list_access_keys) == refused
    assert refusal(iam.delete_access_key, AccessKeyId=served.key.access_key_id) == refused
    assert refusal(iam.update_access_key, AccessKeyId=served.key.access_key_id, Status="Inactive") == refused


def test_keys_and_users_that_there_are_not(served: Served) -> None:
    iam = served.client("iam")
    absent = "AKIAABCDEFGHIJKLMNOP"
    gone = ("NoSuchEntity", f"The Access Key with id {absent} cannot be found.")
    assert refusal(iam.delete_access_key, AccessKeyId=absent) == gone
    assert refusal(iam.update_access_key, AccessKeyId=absent, Status="Active") == gone
    nobody = ("NoSuchEntity", "The user with name bob cannot be found.")
    assert refusal(iam.create_access_key, UserName="bob") == nobody
    assert refusal(iam.list_access_keys, UserName="bob") == nobody
    agents = served.run(served.context.store.transact(_agents_key))
    assert refusal(iam.delete_access_key, AccessKeyId=agents.access_key_id)[0] == "NoSuchEntity"
    code = refusal(iam.update_access_key, AccessKeyId=served.key.access_key_id, Status="Expired")[0]
    assert code == "InvalidInput"


def _agents_key(tx: Any) -> Credential:
    arn = f"arn:aws:iam::000000000000:user/{files.AGENT_USER}"
    return credentials.create_key(tx, SystemRandom(), "000000000000", arn, files.AGENT_USER)


def test_the_next_start_writes_a_key_that_works(served: Served) -> None:
    iam = served.client("iam")
    path = files.root_key_path(served.state_dir)
    served.run(files.ensure(served.context))
    assert files.read(path).access_key_id == served.key.access_key_id
    made = iam.create_access_key()["AccessKey"]["AccessKeyId"]
    iam.update_access_key(AccessKeyId=served.key.access_key_id, Status="Inactive")
    served.run(files.ensure(served.context))
    assert files.read(path).access_key_id == made
    kept = files.read(path)
    client(served, "iam", kept.access_key_id, kept.secret_access_key).delete_access_key(AccessKeyId=made)
    served.run(files.ensure(served.context))
    kept = files.read(path)
    assert kept.access_key_id not in (made, served.key.access_key_id)
    assert client(served, "sts", kept.access_key_id, kept.secret_access_key).get_caller_identity()["Account"]
