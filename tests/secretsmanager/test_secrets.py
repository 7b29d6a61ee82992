"""Secrets Manager with boto3 and the AWS CLI."""

from __future__ import annotations

import json
import re
import string
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dryport.secretsmanager.model import SECRETS, VERSIONS
from dryport.secretsmanager.room import room
from tests.served import Served, refusal

MISSING = ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
MARKED = (
    "InvalidRequestException",
    "You can't perform this operation on the secret because it was marked for deletion.",
)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path, [room])
    yield running
    running.stop()


@pytest.fixture
def secrets(served: Served) -> Any:
    return served.client("secretsmanager")


def token() -> str:
    return str(uuid.uuid4())


def test_a_secret(served: Served, secrets: Any) -> None:
    made = secrets.create_secret(Name="app/db", SecretString="s3cret-in-the-clear", Description="The database's")
    assert re.fullmatch(r"arn:aws:secretsmanager:us-east-1:000000000000:secret:app/db-[A-Za-z0-9]{6}", made["ARN"])
    for identifier in ("app/db", made["ARN"], made["ARN"][:-7]):
        found = secrets.get_secret_value(SecretId=identifier)
        assert (found["SecretString"], found["VersionId"]) == ("s3cret-in-the-clear", made["VersionId"])
        assert (found["VersionStages"], found["Name"], found["ARN"]) == (["AWSCURRENT"], "app/db", made["ARN"])
        assert "SecretBinary" not in found
    described = secrets.describe_secret(SecretId="app/db")
    del described["ResponseMetadata"]
    accessed = described.pop("LastAccessedDate")
    assert accessed.timestamp() % 86_400 == 0
    assert described.pop("CreatedDate") == described.pop("LastChangedDate")
    assert described == {
        "ARN": made["ARN"],
        "Name": "app/db",
        "Description": "The database's",
        "VersionIdsToStages": {made["VersionId"]: ["AWSCURRENT"]},
    }
    assert refusal(secrets.get_secret_value, SecretId="no") == MISSING
    assert refusal(served.client("secretsmanager", "eu-west-1").get_secret_value, SecretId=made["ARN"]) == MISSING
    assert refusal(secrets.create_secret, Name="app/db", SecretString="x") == (
        "ResourceExistsException",
        "The operation failed because the secret app/db already exists.",
    )
    with pytest.raises(secrets.exceptions.ResourceNotFoundException) as caught:
        secrets.describe_secret(SecretId="no")
    assert caught.value.response["Message"] == MISSING[1]  # as this model calls it, besides Error's
    served.restart()
    again = served.client("secretsmanager").get_secret_value(SecretId="app/db")
    assert again["SecretString"] == "s3cret-in-the-clear"
    for path in served.state_dir.rglob("*"):
        assert not path.is_file() or b"s3cret-in-the-clear" not in path.read_bytes(), path


def test_binary_values_and_secrets_without_one(secrets: Any) -> None:
    made = secrets.create_secret(Name="empty")
    assert "VersionId" not in made
    assert "VersionIdsToStages" not in secrets.describe_secret(SecretId="empty")
    assert refusal(secrets.get_secret_value, SecretId="empty") == (
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
    )
    put = secrets.put_secret_value(SecretId="empty", SecretBinary=b"\x00\xff", VersionStages=["AWSPENDING"])
    assert put["VersionStages"] == ["AWSPENDING", "AWSCURRENT"]
    assert secrets.get_secret_value(SecretId="empty")["SecretBinary"] == b"\x00\xff"


def test_versions_and_stages(secrets: Any) -> None:
    first = secrets.create_secret(Name="s", SecretString="1")["VersionId"]
    second = secrets.put_secret_value(SecretId="s", SecretString="2")
    assert second["VersionStages"] == ["AWSCURRENT"]
    third = secrets.put_secret_value(SecretId="s", SecretString="3", VersionStages=["AWSPENDING"])["VersionId"]

    def stages() -> dict[str, list[str]]:
        found: dict[str, list[str]] = secrets.describe_secret(SecretId="s")["VersionIdsToStages"]
        return found

    assert stages() == {first: ["AWSPREVIOUS"], second["VersionId"]: ["AWSCURRENT"], third: ["AWSPENDING"]}
    assert secrets.get_secret_value(SecretId="s", VersionStage="AWSPREVIOUS")["SecretString"] == "1"
    assert secrets.get_secret_value(SecretId="s", VersionId=third)["SecretString"] == "3"
    assert refusal(secrets.get_secret_value, SecretId="s", VersionId=third, VersionStage="AWSCURRENT") == (
        "InvalidRequestException",
        "You provided a VersionStage that is not associated to the provided VersionId.",
    )
    code, message = refusal(
        secrets.update_secret_version_stage, SecretId="s", VersionStage="AWSCURRENT", MoveToVersionId=third
    )
    assert code == "InvalidParameterException"
    assert f"Staging label AWSCURRENT is currently attached to version {second['VersionId']}" in message
    secrets.update_secret_version_stage(
        SecretId="s", VersionStage="AWSCURRENT", MoveToVersionId=third, RemoveFromVersionId=second["VersionId"]
    )
    assert stages() == {second["VersionId"]: ["AWSPREVIOUS"], third: ["AWSCURRENT", "AWSPENDING"]}
    secrets.update_secret_version_stage(SecretId="s", VersionStage="AWSPENDING", RemoveFromVersionId=third)
    assert stages()[third] == ["AWSCURRENT"]
    listed = secrets.list_secret_version_ids(SecretId="s")["Versions"]
    assert {one["VersionId"] for one in listed} == {second["VersionId"], third}
    every = secrets.list_secret_version_ids(SecretId="s", IncludeDeprecated=True)["Versions"]
    assert {one["VersionId"] for one in every} == {first, second["VersionId"], third}


def test_update(secrets: Any) -> None:
    first = secrets.create_secret(Name="s", SecretString="1")["VersionId"]
    assert "VersionId" not in secrets.update_secret(SecretId="s", Description="new")
    second = secrets.update_secret(SecretId="s", SecretString="2")["VersionId"]
    described = secrets.describe_secret(SecretId="s")
    assert described["Description"] == "new"
    assert described["VersionIdsToStages"] == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]}


def test_the_same_request_again(secrets: Any) -> None:
    request = {"Name": "s", "SecretString": "1", "ClientRequestToken": token()}
    first = secrets.create_secret(**request)
    again = secrets.create_secret(**request)
    assert (first["ARN"], first["VersionId"]) == (again["ARN"], again["VersionId"])
    put = {"SecretId": "s", "SecretString": "2", "ClientRequestToken": token()}
    assert secrets.put_secret_value(**put)["VersionId"] == secrets.put_secret_value(**put)["VersionId"]
    assert len(secrets.list_secret_version_ids(SecretId="s")["Versions"]) == 2
    assert refusal(secrets.put_secret_value, **{**put, "SecretString": "3"})[0] == "ResourceExistsException"


def test_deletion_and_recovery(secrets: Any) -> None:
    made = secrets.create_secret(Name="s", SecretString="1")
    deleted = secrets.delete_secret(SecretId="s", RecoveryWindowInDays=7)
    assert abs(deleted["DeletionDate"].timestamp() - time.time() - 7 * 86_400) < 60
    assert refusal(secrets.get_secret_value, SecretId="s") == MARKED
    assert refusal(secrets.put_secret_value, SecretId="s", SecretString="2") == MARKED
    assert refusal(secrets.create_secret, Name="s") == (
        "InvalidRequestException",
        "You can't create this secret because a secret with this name is already scheduled for deletion.",
    )
    assert "DeletedDate" in secrets.describe_secret(SecretId="s")
    assert secrets.list_secrets()["SecretList"] == []
    assert len(secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"]) == 1
    assert secrets.restore_secret(SecretId="s")["ARN"] == made["ARN"]
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "1"
    secrets.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)
    assert refusal(secrets.describe_secret, SecretId="s") == MISSING
    assert secrets.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)["Name"] == "s"
    assert secrets.create_secret(Name="s")["ARN"] != made["ARN"]
    for days in (6, 31):
        assert refusal(secrets.delete_secret, SecretId="s", RecoveryWindowInDays=days) == (
            "InvalidParameterException",
            "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
        )
    both = {"RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": True}
    assert refusal(secrets.delete_secret, SecretId="s", **both)[0] == "InvalidParameterException"


def test_a_recovery_window_ends(served: Served, secrets: Any) -> None:
    arn = secrets.create_secret(Name="s", SecretString="1")["ARN"]
    secrets.delete_secret(SecretId="s")
    (deletion,) = served.rooms[0].loops
    store = served.context.store

    async def end_the_window() -> None:
        secret = store.reader.get(SECRETS, arn)
        assert secret is not None
        assert (await deletion.reconcile(arn)) > 29 * 86_400  # type: ignore[attr-defined]
        past = msgspec.structs.replace(secret, deletion_at=1.0)
        await store.transact(lambda tx: tx.put(SECRETS, past))
        async with store.watch(SECRETS) as watch:
            if store.reader.get(SECRETS, arn) is not None:
                async for _ in watch:
                    break

    served.run(end_the_window())
    assert refusal(secrets.describe_secret, SecretId=arn) == MISSING
    assert store.reader.count(VERSIONS) == 0


def test_listed_filtered_and_in_pages(secrets: Any) -> None:
    for number in range(5):
        secrets.create_secret(Name=f"prod/app{number}", SecretString="x", Tags=[{"Key": "n", "Value": str(number)}])
    secrets.create_secret(Name="test/MyWeb", Description="the front door")

    def found(*filters: tuple[str, list[str]], **request: Any) -> list[str]:
        shapes = [{"Key": key, "Values": values} for key, values in filters]
        return [one["Name"] for one in secrets.list_secrets(Filters=shapes, **request)["SecretList"]]

    everything = [f"prod/app{number}" for number in range(5)] + ["test/MyWeb"]
    assert found() == everything
    assert found(SortBy="name", SortOrder="desc") == everything[::-1]
    assert found(("name", ["prod/"])) == everything[:5]
    assert found(("name", ["!prod/"])) == ["test/MyWeb"]
    assert found(("tag-key", ["n"]), ("tag-value", ["3", "4"])) == ["prod/app3", "prod/app4"]
    assert found(("description", ["Front"])) == ["test/MyWeb"]
    assert found(("all", ["web"])) == ["test/MyWeb"]
    pages = secrets.get_paginator("list_secrets").paginate(PaginationConfig={"PageSize": 4})
    assert [len(page["SecretList"]) for page in pages] == [4, 2]
    assert refusal(secrets.list_secrets, NextToken="!")[0] == "InvalidNextTokenException"


def test_several_values_at_once(secrets: Any) -> None:
    for name in ("a", "b"):
        secrets.create_secret(Name=name, SecretString=f"value of {name}")
    answer = secrets.batch_get_secret_value(SecretIdList=["b", "no", "a"])
    assert [one["SecretString"] for one in answer["SecretValues"]] == ["value of b", "value of a"]
    assert answer["Errors"] == [
        {"SecretId": "no", "ErrorCode": MISSING[0], "Message": MISSING[1]},
    ]
    answer = secrets.batch_get_secret_value(Filters=[{"Key": "name", "Values": ["a"]}])
    assert [one["Name"] for one in answer["SecretValues"]] == ["a"]
    assert refusal(secrets.batch_get_secret_value)[0] == "InvalidParameterException"


def test_random_passwords(secrets: Any) -> None:
    drawn = {secrets.get_random_password()["RandomPassword"] for _ in range(5)}
    assert len(drawn) == 5
    for word in drawn:
        assert len(word) == 32
        for alphabet in (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation):
            assert set(word) & set(alphabet)
    digits = secrets.get_random_password(
        PasswordLength=50, ExcludeLowercase=True, ExcludeUppercase=True, ExcludePunctuation=True, ExcludeCharacters="0"
    )["RandomPassword"]
    assert re.fullmatch("[1-9]{50}", digits)
    assert refusal(secrets.get_random_password, PasswordLength=3)[0] == "InvalidParameterException"


def test_tags(secrets: Any) -> None:
    secrets.create_secret(Name="s", Tags=[{"Key": "a", "Value": "1"}])
    secrets.tag_resource(SecretId="s", Tags=[{"Key": "b", "Value": "2"}])
    secrets.untag_resource(SecretId="s", TagKeys=["a"])
    assert secrets.describe_secret(SecretId="s")["Tags"] == [{"Key": "b", "Value": "2"}]


def test_what_is_refused(secrets: Any) -> None:
    secrets.create_secret(Name="s", SecretString="1")
    assert refusal(secrets.create_secret, Name="a b")[0] == "ValidationException"
    assert refusal(secrets.create_secret, Name="k", KmsKeyId="alias/mine")[0] == "NotImplemented"
    assert refusal(secrets.create_secret, Name="k", AddReplicaRegions=[{"Region": "eu-west-1"}])[0] == "NotImplemented"
    assert refusal(secrets.rotate_secret, SecretId="s")[0] == "NotImplemented"
    assert refusal(secrets.put_secret_value, SecretId="s")[0] == "InvalidRequestException"
    both = {"SecretString": "a", "SecretBinary": b"a"}
    assert refusal(secrets.put_secret_value, SecretId="s", **both)[0] == "InvalidParameterException"


def test_aws_cli(served: Served) -> None:
    served.cli("secretsmanager", "create-secret", "--name", "cli", "--secret-string", '{"user": "me"}')
    done = served.cli("secretsmanager", "get-secret-value", "--secret-id", "cli")
    assert json.loads(json.loads(done.stdout)["SecretString"]) == {"user": "me"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"Values": ["x"]}, "Invalid filter key"), ({"Key": "name"}, "Invalid filter values for key: name")],
)
def test_a_filter_needs_a_key_and_values(secrets: Any, wrong: dict[str, Any], message: str) -> None:
    for call in (secrets.list_secrets, secrets.batch_get_secret_value):
        assert refusal(call, Filters=[wrong]) == ("InvalidParameterException", message)
