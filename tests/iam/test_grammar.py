"""Documents that are no policies, in the words that IAM's API answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.iam.policy import MalformedPolicy, Purpose, check
from dryport.iam.policy.arns import split
from dryport.iam.policy.compiled import compiled
from dryport.iam.policy.grammar import size
from tests.iam.policies import ALL, CLUSTER, USER, document

SYNTAX = "Syntax errors in policy."
LEGACY = "The policy failed legacy parsing"
VENDOR = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
COLONS = "Actions/Condition can contain only one colon."
NO_ACTIONS = "Policy statement must contain actions."
NO_RESOURCES = "Policy statement must contain resources."
VERSION = "Policy document must be version 2012-10-17 or greater."
IAM_PATH = (
    'IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, instance-profile/, '
)
BUCKET = "arn:aws:s3:::photos"


def allow(**members: Any) -> dict[str, Any]:
    """A good statement, with members changed; ``None`` takes one away."""
    body = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": BUCKET} | members
    return {name: value for name, value in body.items() if value is not None}


def refused(text: str, purpose: Purpose = Purpose.IDENTITY) -> str:
    with pytest.raises(MalformedPolicy) as error:
        check(text, purpose)
    assert (error.value.code, error.value.status) == ("MalformedPolicyDocument", 400)
    return error.value.message


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("text", SYNTAX),
        (allow(Effect="Perhaps"), SYNTAX),
        (allow(Effect=None), SYNTAX),
        (allow(Effect="allow"), LEGACY),
        (allow(Extra="x"), SYNTAX),
        (allow(Sid=[]), SYNTAX),
        (allow(Action={}), SYNTAX),
        (allow(Action=[["s3:Get*"]]), SYNTAX),
        (allow(NotAction="s3:Get*"), SYNTAX),
        (allow(NotResource="*"), SYNTAX),
        (allow(Condition=[]), SYNTAX),
        (allow(Condition={"StringEquals": "x"}), SYNTAX),
        (allow(Condition={"StringEquals": {"aws:username": {}}}), SYNTAX),
        (allow(Condition={"StringSame": {"aws:username": "x"}}), SYNTAX),
        (allow(Condition={"ForAnyValue::StringEquals": {"aws:TagKeys": "x"}}), SYNTAX),
        (allow(Condition={":StringEquals": {"aws:TagKeys": "x"}}), SYNTAX),
        (allow(Condition={"NullIfExists": {"aws:TagKeys": "true"}}), SYNTAX),
        (allow(Condition={"DateLessThan": {"aws:CurrentTime": "tomorrow"}}), LEGACY),
        (allow(Condition={"DateLessThan": {"aws:CurrentTime": "9223372036854775808"}}), LEGACY),
        (allow(Action=None, Condition={"DateLessThan": {"aws:CurrentTime": "tomorrow"}}), LEGACY),
        (allow(Resource="arn:aws:s3::photos"), LEGACY),
        (allow(Resource=None, NotResource="arn:aws:s3::photos"), LEGACY),
        (allow(Resource="arn:aws::::photos"), LEGACY),
        (allow(Action=None, Resource="arn:aws:s3::photos"), LEGACY),
        (allow(Principal="*"), "Policy document should not specify a principal."),
        (allow(Action="ListBucket"), VENDOR),
        (allow(Action=None, NotAction=""), VENDOR),
        (allow(Action="ListBucket", Resource=None), VENDOR),
        (allow(Action="s3:List:Bucket"), COLONS),
        (allow(Action="s 3:List"), "Vendor s 3 is not valid"),
        (allow(Action=None), NO_ACTIONS),
        (allow(Action=[]), NO_ACTIONS),
        ({"Effect": "Allow"}, NO_ACTIONS),
        (allow(Resource=None), NO_RESOURCES),
        (allow(Resource=[]), NO_RESOURCES),
        (allow(Resource="photos"), 'Resource photos must be in ARN format or "*".'),
        (allow(Resource=""), 'Resource  must be in ARN format or "*".'),
        (allow(Resource=["*", "x"], Action="a:b:c"), 'Resource x must be in ARN format or "*".'),
        (allow(Resource="a:nowhere"), 'Partition "nowhere" is not valid for resource "arn:nowhere:*:*:*:*".'),
        (allow(Resource="a:b:c:d:e:f:g"), 'Partition "b" is not valid for resource "arn:b:c:d:e:f:g".'),
        (allow(Resource="aws:s3:::photos"), 'Partition "s3" is not valid for resource "arn:s3:::photos:*".'),
        (allow(Resource="arn:aws"), "Resource vendor must be fully qualified and cannot contain regexes."),
        (allow(Resource="arn:aws:s*:::photos"), "Resource vendor must be fully qualified and cannot contain regexes."),
        (
            allow(Resource="arn:aws:iam:us-east-1::x"),
            "IAM resource arn:aws:iam:us-east-1::x cannot contain region information.",
        ),
        (
            allow(Resource="arn:aws:s3:us-east-1::photos"),
            "Resource arn:aws:s3:us-east-1::photos can not contain region information.",
        ),
    ],
)
def test_statements_that_are_refused(statement: Any, message: str) -> None:
    assert refused(document(statement)) == message


def test_paths_of_iam() -> None:
    assert refused(document(allow(Resource="arn:aws:iam:::photos"))).startswith(IAM_PATH)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", SYNTAX),
        ("", SYNTAX),
        ("[" * 100_000, SYNTAX),
        ('{"Version": NaN}', SYNTAX),
        ("[]", SYNTAX),
        (json.dumps({"Version": "2012-10-17"}), SYNTAX),
        (json.dumps({"Version": "2012-10-17", "Statement": []}), SYNTAX),
        (json.dumps({"Version": "2012-10-17", "Statement": allow(), "Conditions": {}}), SYNTAX),
        (json.dumps({"Version": "2012-10-17", "Id": [], "Statement": allow()}), SYNTAX),
        ('{"Version": "2012-10-17", "Version": "2012-10-17", "Statement": []}', SYNTAX),
        (document(allow(), version="2013-10-17"), SYNTAX),
        (document(allow(), version="2008-10-17"), VERSION),
        (json.dumps({"Statement": allow(Effect="deny")}), VERSION),
        (
            document(allow(Sid="a"), allow(Sid="a", Action=None)),
            "Statement IDs (SID) in a single policy must be unique.",
        ),
    ],
)
def test_documents_that_are_refused(text: str, message: str) -> None:
    assert refused(text) == message


@pytest.mark.parametrize(
    "statement",
    [
        allow(Action=None, NotAction="iam:*", Resource=None, NotResource="*"),
        allow(Action=["*", "s3-x.y:Get?bject"], Resource=["*", "arn:aws:sqs", "arn:aws-cn:ec2:*:*:instance/*"]),
        allow(Condition={}),
        allow(Condition={"Anything": {}}),
        allow(Condition={"DateLessThan": {"aws:CurrentTime": ["2026-11-26", "2026-11-26t2:00:00.5+01", "1795651200"]}}),
        allow(Condition={"ForAllValues:StringLikeIfExists": {"aws:TagKeys": ["a*", "b"]}, "Null": {"aws:a": True}}),
        allow(Condition={"NumericLessThan": {"s3:max-keys": 10}, "Bool": {"aws:SecureTransport": False}}),
        allow(Resource="arn:aws:s3:us-east-1:111122223333:accesspoint/mine"),
        allow(Resource="arn:aws:iam::*:user/${aws:username}"),
    ],
)
def test_statements_that_are_accepted(statement: dict[str, Any]) -> None:
    check(document(statement))
    check(json.dumps({"Version": "2012-10-17", "Id": "x", "Statement": statement}))


def trust(**members: Any) -> dict[str, Any]:
    body = {
        "Effect": "Allow",
        "Principal": {"Service": "ecs-tasks.amazonaws.com"},
        "Action": "sts:AssumeRole",
    } | members
    return {name: value for name, value in body.items() if value is not None}


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (trust(Resource="*"), "Has prohibited field Resource"),
        (trust(NotResource="*"), "Has prohibited field NotResource"),
        (trust(Principal=None), "Missing required field Principal"),
        (trust(Principal="everybody"), SYNTAX),
        (trust(Principal={"Machine": "x"}), SYNTAX),
        (trust(Principal={}), SYNTAX),
        (trust(Action=None), "Missing required field Action"),
        (trust(Action="s3:GetObject"), "AssumeRole policy may only specify STS AssumeRole actions."),
        (trust(Principal={"Service": "ecs-tasks"}), 'Invalid principal in policy: "SERVICE":"ecs-tasks"'),
        (trust(Principal={"AWS": "alice"}), 'Invalid principal in policy: "AWS":"alice"'),
        (
            trust(Principal={"AWS": "arn:aws:iam::111122223333:user/*"[:-2]}),
            'Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:user"',
        ),
    ],
)
def test_trust_policies_that_are_refused(statement: dict[str, Any], message: str) -> None:
    assert refused(document(statement), Purpose.TRUST) == message


@pytest.mark.parametrize("version", ["2008-10-17", "2012-10-17"])
@pytest.mark.parametrize(
    "principal",
    [
        *("*", {"AWS": "*"}, {"AWS": ["111122223333", "arn:aws:iam::111122223333:role/path/x"]}),
        *({"Service": ["ec2.amazonaws.com", "ecs.application-autoscaling.amazonaws.com"]}, {"AWS": "AROA" + "X" * 17}),
        *({"Federated": "accounts.google.com"}, {"AWS": "arn:aws:sts::111122223333:assumed-role/x/y"}),
    ],
)
def test_principals_that_are_accepted(principal: Any, version: str) -> None:
    check(document(trust(Principal=principal), version=version), Purpose.TRUST)
    check(document(trust(Principal=principal, Resource="*"), version=version), Purpose.RESOURCE)


def test_trust_policy_that_is_no_json() -> None:
    assert refused("no json", Purpose.TRUST) == "This policy contains invalid Json"


def test_resource_policies_need_a_principal() -> None:
    assert refused(document(ALL), Purpose.RESOURCE) == "Missing required field Principal"


def test_white_space_is_free() -> None:
    assert size(' { "a" :\n\t"b c" }\r\n') == len('{"a":"bc"}')


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["*", "Allow", "s3:*", BUCKET, "", "a:b:c"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["AWS", "Service", "Bool", "x"]), inner)
    ),
    max_leaves=6,
)
MEMBERS = (
    "Sid",
    "Effect",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Principal",
    "NotPrincipal",
    "Condition",
    "x",
)


@given(
    st.dictionaries(st.sampled_from(("Version", "Id", "Statement", "x")), VALUES)
    | st.fixed_dictionaries(
        {"Version": st.just("2012-10-17"), "Statement": st.lists(st.dictionaries(st.sampled_from(MEMBERS), VALUES))}
    ),
    st.sampled_from(Purpose),
)
def test_fuzzed_documents_are_accepted_or_refused_in_words(tree: Any, purpose: Purpose) -> None:
    text = json.dumps(tree)
    try:
        check(text, purpose)
    except MalformedPolicy as error:
        assert error.message
    else:
        for statement in compiled(text).statements:
            statement.named(USER)
            statement.covers(CLUSTER, split(CLUSTER), {})


@given(st.text(max_size=60))
def test_fuzzed_texts_are_refused(text: str) -> None:
    assert refused(text)
