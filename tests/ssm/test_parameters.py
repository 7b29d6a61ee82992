"""Parameter Store with boto3 and the AWS CLI."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dryport.ssm import published
from dryport.ssm.published import PublicParameter
from dryport.ssm.room import room
from tests.served import Served, refusal

NOT_FOUND = ("ParameterNotFound", "")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path, [room])
    yield running
    running.stop()


@pytest.fixture
def ssm(served: Served) -> Any:
    return served.client("ssm")


def put(ssm: Any, name: str, value: str = "v", **request: Any) -> int:
    version: int = ssm.put_parameter(Name=name, Value=value, **{"Type": "String", **request})["Version"]
    return version


def test_a_parameter(ssm: Any) -> None:
    assert ssm.put_parameter(Name="/app/db", Value="postgres", Type="String") | {"ResponseMetadata": 0} == {
        "Version": 1,
        "Tier": "Standard",
        "ResponseMetadata": 0,
    }
    parameter = ssm.get_parameter(Name="/app/db")["Parameter"]
    assert abs(parameter.pop("LastModifiedDate").timestamp() - time.time()) < 60
    assert parameter == {
        "Name": "/app/db",
        "Type": "String",
        "Value": "postgres",
        "Version": 1,
        "ARN": "arn:aws:ssm:us-east-1:000000000000:parameter/app/db",
        "DataType": "text",
    }
    assert refusal(ssm.get_parameter, Name="/app/no") == NOT_FOUND
    assert refusal(ssm.put_parameter, Name="/app/db", Value="x", Type="String") == (
        "ParameterAlreadyExists",
        "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
    )
    ssm.delete_parameter(Name="/app/db")
    assert refusal(ssm.get_parameter, Name="/app/db") == NOT_FOUND
    assert refusal(ssm.delete_parameter, Name="/app/db") == NOT_FOUND


def test_versions_labels_and_selectors(ssm: Any) -> None:
    for number in range(1, 4):
        assert put(ssm, "p", f"v{number}", Overwrite=True) == number
    answer = ssm.label_parameter_version(Name="p", ParameterVersion=2, Labels=["good", "1bad", "aws-bad"])
    assert (answer["InvalidLabels"], answer["ParameterVersion"]) == (["1bad", "aws-bad"], 2)
    parameter = ssm.get_parameter(Name="p:good")["Parameter"]
    assert (parameter["Name"], parameter["Value"], parameter["Selector"]) == ("p", "v2", ":good")
    assert ssm.get_parameter(Name="p:1")["Parameter"]["Value"] == "v1"
    arn = "arn:aws:ssm:us-east-1:000000000000:parameter/p"
    assert ssm.get_parameter(Name=arn)["Parameter"]["Value"] == "v3"
    assert ssm.get_parameter(Name=f"{arn}:2")["Parameter"]["Value"] == "v2"
    assert refusal(ssm.get_parameter, Name="p:9") == (
        "ParameterVersionNotFound",
        "Systems Manager could not find version 9 of p. Verify the version and try again.",
    )
    ssm.label_parameter_version(Name="p", Labels=["good"])
    assert ssm.get_parameter(Name="p:good")["Parameter"]["Version"] == 3
    history = ssm.get_parameter_history(Name="p")["Parameters"]
    assert [(one["Version"], one["Value"], one["Labels"]) for one in history] == [
        (1, "v1", []),
        (2, "v2", []),
        (3, "v3", ["good"]),
    ]
    answer = ssm.unlabel_parameter_version(Name="p", ParameterVersion=3, Labels=["good", "other"])
    assert (answer["RemovedLabels"], answer["InvalidLabels"]) == (["good"], ["other"])


def test_a_hundred_versions_are_kept(ssm: Any) -> None:
    for _ in range(101):
        put(ssm, "p", Overwrite=True)
    history = ssm.get_paginator("get_parameter_history").paginate(Name="p").build_full_result()["Parameters"]
    assert [one["Version"] for one in history] == list(range(2, 102))
    ssm.label_parameter_version(Name="p", ParameterVersion=2, Labels=["held"])
    assert refusal(ssm.put_parameter, Name="p", Value="x", Overwrite=True)[0] == "ParameterMaxVersionLimitExceeded"


def test_secure_strings_are_sealed(served: Served, ssm: Any) -> None:
    put(ssm, "/secret", "hunter2-in-the-clear", Type="SecureString")
    plain = ssm.get_parameter(Name="/secret", WithDecryption=True)["Parameter"]
    assert (plain["Value"], plain["Type"]) == ("hunter2-in-the-clear", "SecureString")
    assert "hunter2" not in ssm.get_parameter(Name="/secret")["Parameter"]["Value"]
    assert ssm.describe_parameters()["Parameters"][0]["KeyId"] == "alias/aws/ssm"
    served.restart()
    assert served.client("ssm").get_parameters(Names=["/secret"], WithDecryption=True)["Parameters"][0]["Value"] == (
        "hunter2-in-the-clear"
    )
    assert stat.S_IMODE((served.state_dir / "sealing.key").stat().st_mode) == 0o600
    for path in served.state_dir.rglob("*"):
        if path.is_file():
            assert b"hunter2-in-the-clear" not in path.read_bytes(), path


def test_several_at_once(ssm: Any) -> None:
    put(ssm, "a", "1")
    put(ssm, "/b", "2,3", Type="StringList")
    answer = ssm.get_parameters(Names=["/b", "a", "no", "a:7"])
    assert [(one["Name"], one["Value"]) for one in answer["Parameters"]] == [("/b", "2,3"), ("a", "1")]
    assert answer["InvalidParameters"] == ["no", "a:7"]
    answer = ssm.delete_parameters(Names=["a", "no"])
    assert (answer["DeletedParameters"], answer["InvalidParameters"]) == (["a"], ["no"])


def test_paths(ssm: Any) -> None:
    for name in ("/app/a", "/app/b", "/app/deep/c", "/apple", "root"):
        put(ssm, name, Type="SecureString" if name == "/app/b" else "String")

    def found(path: str, **request: Any) -> list[str]:
        pages = ssm.get_paginator("get_parameters_by_path").paginate(
            Path=path, PaginationConfig={"PageSize": 2}, **request
        )
        return [one["Name"] for page in pages for one in page["Parameters"]]

    assert found("/app") == ["/app/a", "/app/b"]
    assert found("/app/", Recursive=True) == ["/app/a", "/app/b", "/app/deep/c"]
    assert found("/") == ["/apple", "root"]
    assert found("/app", ParameterFilters=[{"Key": "Type", "Values": ["SecureString"]}]) == ["/app/b"]
    ssm.label_parameter_version(Name="/app/a", Labels=["x"])
    assert found("/app", ParameterFilters=[{"Key": "Label", "Values": ["x"]}]) == ["/app/a"]
    assert refusal(ssm.get_parameters_by_path, Path="app")[0] == "ValidationException"
    name_filter = [{"Key": "Name", "Values": ["x"]}]
    assert refusal(ssm.get_parameters_by_path, Path="/", ParameterFilters=name_filter) == (
        "InvalidFilterKey",
        "The following filter key is not valid: Name. Valid filter keys include: [Type, KeyId].",
    )


def test_described_and_filtered(ssm: Any) -> None:
    put(ssm, "/app/a", Description="first", AllowedPattern="v+", Tags=[{"Key": "team", "Value": "blue"}])
    put(ssm, "/app/b", Type="SecureString")
    put(ssm, "c", "x" * 5000, Tier="Intelligent-Tiering")

    def found(*filters: dict[str, Any]) -> list[str]:
        return [one["Name"] for one in ssm.describe_parameters(ParameterFilters=list(filters))["Parameters"]]

    assert found() == ["/app/a", "/app/b", "c"]
    assert found({"Key": "Name", "Values": ["app/a", "/c"]}) == ["/app/a", "c"]
    assert found({"Key": "Name", "Option": "BeginsWith", "Values": ["/app"]}) == ["/app/a", "/app/b"]
    assert found({"Key": "Name", "Option": "Contains", "Values": ["pp"]}) == ["/app/a", "/app/b"]
    assert found({"Key": "Type", "Values": ["SecureString"]}) == ["/app/b"]
    assert found({"Key": "Tier", "Values": ["Advanced"]}) == ["c"]
    assert found({"Key": "Path", "Option": "OneLevel", "Values": ["/app"]}) == ["/app/a", "/app/b"]
    assert found({"Key": "tag:team", "Values": ["blue"]}) == ["/app/a"]
    assert found({"Key": "tag:team"}, {"Key": "Type", "Values": ["StringList"]}) == []
    (first, *_) = ssm.describe_parameters(Filters=[{"Key": "Name", "Values": ["/app/a"]}])["Parameters"]
    first.pop("LastModifiedDate")
    assert first == {
        "Name": "/app/a",
        "ARN": "arn:aws:ssm:us-east-1:000000000000:parameter/app/a",
        "Type": "String",
        "LastModifiedUser": "arn:aws:iam::000000000000:root",
        "Description": "first",
        "AllowedPattern": "v+",
        "Version": 1,
        "Tier": "Standard",
        "Policies": [],
        "DataType": "text",
    }


def test_what_is_refused(ssm: Any) -> None:
    def refused(**request: Any) -> tuple[str, str]:
        return refusal(ssm.put_parameter, **{"Name": "p", "Value": "v", "Type": "String", **request})

    assert refusal(ssm.put_parameter, Name="p", Value="v") == (
        "ValidationException",
        "A parameter type is required when you create a parameter.",
    )
    assert refused(Name="awsome") == (
        "ValidationException",
        'Parameter name: can\'t be prefixed with "aws" or "ssm" (case-insensitive).',
    )
    assert refused(Name="/aws/mine") == ("AccessDeniedException", "No access to reserved parameter name: /aws/mine.")
    assert refused(Name="a/b") == ("ValidationException", "Parameter name must be a fully qualified name.")
    assert refused(Name="a b")[0] == "ValidationException"
    assert refused(Name="/a" * 16)[0] == "HierarchyLevelLimitExceededException"
    assert refused(Value="x" * 4097)[1].startswith("Standard tier parameters support a maximum parameter value of 4096")
    assert refused(Value="x", AllowedPattern="\\d+") == (
        "ParameterPatternMismatchException",
        "Parameter value, cannot be validated against allowedPattern: \\d+",
    )
    assert refused(AllowedPattern="(")[0] == "InvalidAllowedPatternException"
    assert refused(Policies="[]")[0] == "NotImplemented"
    assert refused(Type="SecureString", KeyId="alias/mine")[0] == "NotImplemented"
    assert refused(DataType="aws:ec2:image")[0] == "NotImplemented"
    assert refused(DataType="Text")[0] == "ValidationException"
    assert refused(Overwrite=True, Tags=[{"Key": "a", "Value": "b"}])[0] == "ValidationException"
    assert refused(Type="Secret")[0] == "ValidationException"
    assert ssm.describe_parameters()["Parameters"] == []
    put(ssm, "big", "x" * 5000, Tier="Advanced")
    assert "downgrade" in refused(Name="big", Tier="Standard", Overwrite=True)[1]


def test_tags(ssm: Any) -> None:
    put(ssm, "p", Tags=[{"Key": "a", "Value": "1"}])
    named = {"ResourceType": "Parameter", "ResourceId": "p"}
    ssm.add_tags_to_resource(**named, Tags=[{"Key": "b", "Value": "2"}])
    ssm.remove_tags_from_resource(**named, TagKeys=["a"])
    assert ssm.list_tags_for_resource(**named)["TagList"] == [{"Key": "b", "Value": "2"}]
    assert refusal(ssm.list_tags_for_resource, ResourceType="Parameter", ResourceId="no")[0] == "InvalidResourceId"
    many = [{"Key": str(number), "Value": ""} for number in range(50)]
    assert refusal(ssm.add_tags_to_resource, **named, Tags=many)[0] == "TooManyTagsError"


def test_public_parameters(ssm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "_resolvers", {})
    name = "/aws/service/test/latest/image_id"
    published.register_public(
        "/aws/service/test/", lambda reader, region: [PublicParameter(name=name, value=f"ami-{region}")]
    )
    parameter = ssm.get_parameter(Name=name)["Parameter"]
    assert (parameter["Value"], parameter["ARN"]) == ("ami-us-east-1", f"arn:aws:ssm:us-east-1::parameter{name}")
    by_path = ssm.get_parameters_by_path(Path="/aws/service/test", Recursive=True)["Parameters"]
    assert [one["Name"] for one in by_path] == [name]
    assert refusal(ssm.get_parameter, Name="/aws/service/test/other") == NOT_FOUND


def test_aws_cli(served: Served) -> None:
    served.cli("ssm", "put-parameter", "--name", "/cli", "--value", "hello", "--type", "SecureString")
    done = served.cli("ssm", "get-parameter", "--name", "/cli", "--with-decryption")
    assert json.loads(done.stdout)["Parameter"]["Value"] == "hello"
    failed = served.cli("ssm", "get-parameter", "--name", "/no")
    assert failed.returncode != 0
    assert "(ParameterNotFound) when calling the GetParameter operation:" in failed.stderr
