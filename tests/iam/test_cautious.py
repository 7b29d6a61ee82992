"""Policies read with caution: never more than a policy allows whatever is not known, nor less than it might deny."""

from __future__ import annotations

import fnmatch
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.iam.policy import Attached, Caller, CallerKind, Policies, Request, check, evaluate
from dryport.iam.policy.cautious import cautious, may_meet, stand_in

CALLER = Caller(CallerKind.USER, "arn:aws:iam::111122223333:user/u", "111122223333")
KEY = "aws:resourcetag/"
ARN = "arn:aws:ecs:us-east-1:111122223333:{}"
patterns = st.text("ab*?", min_size=1, max_size=5)
names = st.text("ab", max_size=4)
conditions = st.sampled_from(
    [
        None,
        {"StringEquals": {"aws:ResourceTag/x": "a"}},
        {"StringNotEquals": {"aws:ResourceTag/x": "a"}},
        {"Null": {"aws:ResourceTag/x": "true"}},
        {"StringEqualsIfExists": {"aws:ResourceTag/x": "b"}, "StringEquals": {"aws:PrincipalTag/y": "a"}},
        {"StringEquals": {"aws:PrincipalTag/y": "${aws:ResourceTag/x}"}},
    ]
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    statements = []
    for _ in range(draw(st.integers(1, 3))):
        body: dict[str, object] = {"Effect": draw(st.sampled_from(["Allow", "Deny"])), "Action": "ecs:RunTask"}
        which = draw(st.sampled_from(["Resource", "NotResource"]))
        body[which] = [ARN.format(pattern) for pattern in draw(st.lists(patterns, min_size=1, max_size=2))]
        if (condition := draw(conditions)) is not None:
            body["Condition"] = condition
        statements.append(body)
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def decided(document: str, resource: str, context: dict[str, str]) -> bool:
    check(document)
    policies = Policies(identity=(Attached("p", document),))
    return evaluate(Request("ecs:RunTask", resource, CALLER, context), policies).allowed


@given(documents(), st.text("ab*", max_size=3), names, st.sampled_from([None, "a", "b"]), st.sampled_from([None, "a"]))
def test_what_caution_allows_is_allowed_in_any_case(
    document: str, wide: str, name: str, tag: str | None, team: str | None
) -> None:
    """For whatever name the wildcards may stand for, and whatever tag the resource may have."""
    known = {} if team is None else {"aws:principaltag/y": team}
    resource = ARN.format(wide)
    read = cautious(document, (KEY,), resource if "*" in wide else None)
    if decided(read, stand_in(resource), known):
        actual = ARN.format(wide.replace("*", name))
        assert decided(document, actual, known | ({} if tag is None else {"aws:resourcetag/x": tag}))


@given(documents(), names)
def test_who_knows_everything_reads_the_same(document: str, name: str) -> None:
    assert cautious(document, (), None) is document
    assert cautious(document, ("ecs:cluster",), None) is document


@given(patterns, patterns, names)
def test_patterns_that_share_a_text_meet(left: str, right: str, text: str) -> None:
    if fnmatch.fnmatchcase(text, left) and fnmatch.fnmatchcase(text, right):
        assert may_meet(left, right)


@pytest.mark.parametrize(
    ("left", "right", "meet"),
    [
        ("a*", "*b", True),
        ("a*", "b*", False),
        ("a?c", "ab*", True),
        ("a?", "abc*", False),
        ("", "*", True),
        ("ab", "ab", True),
        ("*a", "*b", False),
    ],
)
def test_patterns_meet(left: str, right: str, meet: bool) -> None:
    assert may_meet(left, right) is may_meet(right, left) is meet
