"""The policy simulator and AWS's managed policies, by boto3 and the AWS CLI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.iam import managed
from dryport.iam.policy import sources
from dryport.iam.room import room
from tests.served import Served, refusal

ALICE = "arn:aws:iam::000000000000:user/team/alice"
BOB = "arn:aws:iam::111111111111:user/bob"
OBJECT = "arn:aws:s3:::photos/a.png"
READ = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::photos/*"}
# The policy and answers of the AWS CLI's own example of simulate-custom-policy.
DATED = (
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":'
    '{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}'
)


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(Path(tmp_path_factory.mktemp("iam")), [room])
    yield running
    running.stop()


@pytest.fixture(scope="module")
def iam(served: Served) -> Any:
    return served.client("iam")


def decisions(iam: Any, *policies: str, **request: Any) -> list[str]:
    answer = iam.simulate_custom_policy(PolicyInputList=policies, **request)
    return [result["EvalDecision"] for result in answer["EvaluationResults"]]


@pytest.mark.parametrize(("time", "decision"), [("2019-04-25T11:00:00Z", "allowed"), ("2014-04-25", "implicitDeny")])
def test_the_example_of_the_aws_cli(served: Served, time: str, decision: str) -> None:
    entry = f"ContextKeyName='aws:CurrentTime',ContextKeyValues='{time}',ContextKeyType=date"
    request = ["--policy-input-list", DATED, "--action-names", "dynamodb:CreateBackup", "--context-entries", entry]
    answered = served.cli("iam", "simulate-custom-policy", *request)
    assert answered.returncode == 0, answered.stderr
    place = {"StartPosition": {"Line": 1, "Column": 38}, "EndPosition": {"Line": 1, "Column": 167}}
    [result] = json.loads(answered.stdout)["EvaluationResults"]
    assert result == {
        "EvalActionName": "dynamodb:CreateBackup",
        "EvalResourceName": "*",
        "EvalDecision": decision,
        "MatchedStatements": [{"SourcePolicyId": "PolicyInputList.1"} | place] if decision == "allowed" else [],
        "MissingContextValues": [],
    }


def test_the_time_is_now_where_none_is_given(iam: Any) -> None:
    assert decisions(iam, DATED, ActionNames=["dynamodb:CreateBackup"]) == ["allowed"]


def test_every_action_on_every_resource_by_pages(iam: Any) -> None:
    pages = iam.get_paginator("simulate_custom_policy").paginate(
        PolicyInputList=[policy(READ)],
        ActionNames=["s3:GetObject", "s3:PutObject"],
        ResourceArns=[OBJECT, "arn:aws:s3:::other/a", "arn:aws:s3:::photos/b"],
        PaginationConfig={"PageSize": 4},
    )
    found = [page["EvaluationResults"] for page in pages]
    assert [len(page) for page in found] == [4, 2]
    assert [
        (one["EvalActionName"], one["EvalResourceName"][13:], one["EvalDecision"]) for page in found for one in page
    ] == [
        ("s3:GetObject", "photos/a.png", "allowed"),
        ("s3:GetObject", "other/a", "implicitDeny"),
        ("s3:GetObject", "photos/b", "allowed"),
        ("s3:PutObject", "photos/a.png", "implicitDeny"),
        ("s3:PutObject", "other/a", "implicitDeny"),
        ("s3:PutObject", "photos/b", "implicitDeny"),
    ]


def test_only_the_statements_that_deny_are_named(iam: Any) -> None:
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    answer = iam.simulate_custom_policy(
        PolicyInputList=[policy(READ), policy(READ, deny)], ActionNames=["s3:GetObject"], ResourceArns=[OBJECT]
    )
    [result] = answer["EvaluationResults"]
    assert result["EvalDecision"] == "explicitDeny"
    [matched] = result["MatchedStatements"]
    text = policy(READ, deny)
    assert matched["SourcePolicyId"] == "PolicyInputList.2"
    start, end = matched["StartPosition"]["Column"] - 2, matched["EndPosition"]["Column"] - 1
    assert json.loads(text[start:end]) == deny


def test_a_boundary_limits(iam: Any) -> None:
    request = {"PolicyInputList": [policy(READ)], "ActionNames": ["s3:GetObject"], "ResourceArns": [OBJECT]}
    for action, decision in (("s3:*", "allowed"), ("ec2:*", "implicitDeny")):
        boundary = policy({"Effect": "Allow", "Action": action, "Resource": "*"})
        [result] = iam.simulate_custom_policy(**request, PermissionsBoundaryPolicyInputList=[boundary])[
            "EvaluationResults"
        ]
        within = {"AllowedByPermissionsBoundary": decision == "allowed"}
        assert (result["EvalDecision"], result["PermissionsBoundaryDecisionDetail"]) == (decision, within)


def test_a_resource_policy_and_who_asks(iam: Any) -> None:
    """In one account it suffices; between two accounts both sides must allow."""
    nothing = policy({"Effect": "Allow", "Action": "ec2:*", "Resource": "*"})
    shared = policy(READ | {"Principal": {"AWS": [ALICE, BOB]}})
    request = {"ActionNames": ["s3:GetObject"], "ResourceArns": [OBJECT], "ResourcePolicy": shared}
    account = "arn:aws:iam::000000000000:root"
    assert decisions(iam, nothing, **request, CallerArn=ALICE) == ["allowed"]
    assert decisions(iam, nothing, **request, CallerArn=BOB, ResourceOwner=account) == ["implicitDeny"]
    assert decisions(iam, policy(READ), **request, CallerArn=BOB, ResourceOwner=account) == ["allowed"]


def test_keys_that_are_given_and_that_are_missing(iam: Any) -> None:
    home = READ | {"Resource": "arn:aws:s3:::home/${aws:username}/*"}
    tagged = READ | {
        "Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}, "Bool": {"other:key": "true"}}
    }
    request = {"ActionNames": ["s3:GetObject"], "ResourceArns": ["arn:aws:s3:::home/alice/a"]}
    assert decisions(iam, policy(home), **request, CallerArn=ALICE) == ["allowed"]
    assert decisions(iam, policy(home), **request) == ["implicitDeny"]
    keys = {"ContextKeyName": "aws:tagkeys", "ContextKeyValues": ["a", "b"], "ContextKeyType": "stringList"}
    request["ResourceArns"] = [OBJECT]
    answer = iam.simulate_custom_policy(PolicyInputList=[policy(home, tagged)], **request, ContextEntries=[keys])
    [specific] = answer["EvaluationResults"][0]["ResourceSpecificResults"]
    assert specific["MissingContextValues"] == ["aws:username", "other:key"]
    truth = {"ContextKeyName": "other:key", "ContextKeyValues": ["true"], "ContextKeyType": "boolean"}
    assert decisions(iam, policy(tagged), **request, ContextEntries=[keys, truth]) == ["allowed"]
    keys["ContextKeyValues"] = ["a", "c"]
    assert decisions(iam, policy(tagged), **request, ContextEntries=[keys, truth]) == ["implicitDeny"]


def test_the_keys_of_policies(iam: Any) -> None:
    """The first as in the AWS CLI's example; a trust policy has keys too."""
    table = DATED.replace(
        '"Resource":"*"', '"Resource":"arn:aws:dynamodb:us-west-2:123456789012:table/${aws:username}"'
    )
    trust = policy(
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"AWS": BOB},
            "Condition": {"StringEquals": {"sts:ExternalId": "${AWS:UserName, 'x'}-${*}"}},
        }
    )
    answer = iam.get_context_keys_for_custom_policy(PolicyInputList=[table, trust])
    assert answer["ContextKeyNames"] == ["aws:username", "aws:CurrentTime", "sts:ExternalId"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"PolicyInputList": ["{}"]}, "Syntax errors in policy."),
        ({"PolicyInputList": [policy(READ | {"Principal": "*"})]}, "Policy document should not specify a principal."),
        ({"ActionNames": ["s3:*"]}, "Invalid Entity Action Name: s3:*"),
        ({"ResourceArns": ["photos"]}, "Invalid Entity Arn: photos does not clearly define entity type and name."),
        ({"CallerArn": "arn:aws:iam::1:role/x"}, "Invalid Entity Arn: arn:aws:iam::1:role/x is not the ARN of a user."),
        (
            {"ResourcePolicy": policy(READ | {"Principal": "*"})},
            "CallerArn must be provided when a resource policy is simulated.",
        ),
        (
            {"ContextEntries": [{"ContextKeyName": "a:key", "ContextKeyValues": ["1", "2"], "ContextKeyType": "ip"}]},
            "Context key a:key of type ip takes one value.",
        ),
    ],
)
def test_what_is_refused(iam: Any, changed: dict[str, Any], message: str) -> None:
    request = {"PolicyInputList": [policy(READ)], "ActionNames": ["s3:GetObject"]} | changed
    assert refusal(iam.simulate_custom_policy, **request) == ("InvalidInput", message)


def test_what_is_not_simulated_is_refused_by_name(iam: Any) -> None:
    request = {"PolicyInputList": [policy(READ)], "ActionNames": ["s3:GetObject"]}
    code, message = refusal(iam.simulate_custom_policy, **request, ResourceHandlingOption="EC2-VPC-InstanceStore")
    assert code == "NotImplemented" and "ResourceHandlingOption" in message


def test_managed_policies_are_listed_and_read(iam: Any) -> None:
    found = iam.get_paginator("list_policies").paginate(Scope="AWS", PaginationConfig={"PageSize": 1000})
    listed = {one["Arn"]: one for one in found.build_full_result()["Policies"]}
    assert len(listed) == len({one["PolicyId"] for one in listed.values()}) == len(managed.listed())
    arn = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
    found = iam.get_policy(PolicyArn=arn)["Policy"]
    assert found.pop("Tags") == [] and found == listed[arn]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=found["DefaultVersionId"])["PolicyVersion"]
    assert version["Document"] == json.loads(managed.document(arn) or "") and version["IsDefaultVersion"]


def test_managed_policies_are_filtered(iam: Any) -> None:
    service = iam.list_policies(PathPrefix="/service-role/", MaxItems=10)
    assert service["IsTruncated"] and {one["Path"] for one in service["Policies"]} == {"/service-role/"}
    for none in ({"Scope": "Local"}, {"OnlyAttached": True}):
        answer = iam.list_policies(**none)
        assert (answer["Policies"], answer["IsTruncated"]) == ([], False)
    assert refusal(iam.list_policies, Marker="no") == ("ValidationError", "Invalid Marker.")


def test_policies_that_there_are_not(iam: Any) -> None:
    absent, present = (f"arn:aws:iam::aws:policy/{name}" for name in ("Nothing", "AmazonEC2FullAccess"))
    assert refusal(iam.get_policy, PolicyArn=absent) == ("NoSuchEntity", f"Policy {absent} was not found.")
    wrong = "arn:aws:s3:::a-bucket-of-mine"
    assert refusal(iam.get_policy, PolicyArn=wrong) == ("ValidationError", f"ARN {wrong} is not valid.")
    assert refusal(iam.get_policy_version, PolicyArn=present, VersionId="v999")[0] == "NoSuchEntity"
    assert refusal(iam.get_policy_version, PolicyArn=present, VersionId="v1")[0] == "NotImplemented"


@given(
    st.lists(st.dictionaries(st.text(), st.text(alphabet='{}[]"\\,: \nü')), min_size=1, max_size=4),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_statements_are_where_they_are_said_to_be(bodies: list[Any], indent: int | None, last: bool) -> None:
    rest = {"Id": '"Statement":[', "Version": "2012-10-17"}
    document = json.dumps(rest | {"Statement": bodies} if last else {"Statement": bodies} | rest, indent=indent)
    lines = document.split("\n")

    def offset(position: sources.Position) -> int:
        return sum(len(line) + 1 for line in lines[: position.line - 1]) + position.column - 1

    found = [json.loads(document[offset(start) - 1 : offset(end)]) for start, end in sources.spans(document)]
    assert found == bodies
