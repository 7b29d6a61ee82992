"""What holds of every policy and every request."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dryport.iam.policy import Caller
from tests.iam.policies import ACCOUNT, ALL, CLUSTER, ROLE_ARN, SESSION, USER, decide

ACTIONS = st.sampled_from(
    ["ecs:DescribeClusters", "ecs:Describe*", "ecs:*", "*", "s3:*", "ECS:?escribe*", "ecs:RunTask"]
)
RESOURCES = st.sampled_from(
    ["*", CLUSTER, "arn:aws:ecs:*:*:cluster/*", "arn:aws:ecs:*:*:task/*", "arn:aws:ecs:*:*:cluster/${aws:username}"]
)
OPERATORS = st.sampled_from(
    ["StringEquals", "StringNotLike", "StringLikeIfExists", "ForAnyValue:StringEquals", "ForAllValues:StringNotEquals"]
)
KEYS = st.sampled_from(["aws:username", "aws:tagkeys", "aws:absent"])
VALUES = st.lists(st.sampled_from(["prod", "a", "b", "p*", "${aws:username}"]), max_size=3)
CONDITIONS = st.dictionaries(OPERATORS, st.dictionaries(KEYS, VALUES, min_size=1), max_size=2)
CONTEXTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "aws:username": st.sampled_from(["prod", "a"]),
        "aws:tagkeys": st.lists(st.sampled_from("abc"), max_size=3).map(tuple),
    },
)
CALLERS = st.sampled_from([USER, SESSION])
PRINCIPALS = st.sampled_from(["*", {"AWS": ACCOUNT}, {"AWS": [USER.arn, ROLE_ARN]}, {"Service": "ecs.amazonaws.com"}])


@st.composite
def statements(draw: st.DrawFn, effect: str | None = None) -> dict[str, Any]:
    """A statement of an identity-based policy."""
    negated = st.sampled_from(["", "", "Not"])
    return {
        "Effect": effect or draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        draw(negated) + "Action": draw(st.lists(ACTIONS, min_size=1, max_size=2)),
        draw(negated) + "Resource": draw(st.lists(RESOURCES, min_size=1, max_size=2)),
        "Condition": draw(CONDITIONS),
    }


MANY = st.lists(statements(), max_size=4)


@given(MANY, statements("Deny"), CONTEXTS, st.integers(0, 4))
def test_a_further_deny_never_allows(some: list[Any], deny: Any, context: dict[str, Any], at: int) -> None:
    before = decide(*some, context=context)
    after = decide(*some[:at], deny, *some[at:], context=context)
    assert before.allowed or not after.allowed


@given(MANY, statements("Allow"), CONTEXTS)
def test_a_further_allow_never_refuses(some: list[Any], allow: Any, context: dict[str, Any]) -> None:
    before = decide(*some, context=context)
    after = decide(*some, allow, context=context)
    assert after.allowed or not before.allowed


@given(MANY, statements(), CONTEXTS, st.sampled_from(["Action", "Resource"]))
def test_an_unrelated_statement_changes_nothing(some: list[Any], other: Any, context: dict[str, Any], by: str) -> None:
    unrelated = {name: value for name, value in other.items() if not name.endswith(by)}
    unrelated[by] = ["sqs:*"] if by == "Action" else ["arn:aws:sqs:*:*:*"]
    before = decide(*some, context=context)
    after = decide(*some, unrelated, context=context)
    assert (after.allowed, after.explicit) == (before.allowed, before.explicit)


@given(st.lists(ACTIONS, min_size=1), st.lists(RESOURCES, min_size=1), CONTEXTS)
def test_not_elements_are_complements(actions: list[str], resources: list[str], context: dict[str, Any]) -> None:
    for name, listed in (("Action", actions), ("Resource", resources)):
        rest = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        del rest[name]
        one = decide({**rest, name: listed}, context=context).allowed
        other = decide({**rest, f"Not{name}": listed}, context=context).allowed
        assert one is not other


@given(KEYS, VALUES, CONTEXTS)
def test_negated_operators_are_complements(key: str, values: list[str], context: dict[str, Any]) -> None:
    """A plain operator and its negation; of many values, *some* is the complement of *none*."""
    for operator in ("StringEquals", "StringLike"):
        one = decide({**ALL, "Condition": {operator: {key: values}}}, context=context).allowed
        negated = operator.replace("String", "StringNot")
        assert decide({**ALL, "Condition": {negated: {key: values}}}, context=context).allowed is not one
        some = decide({**ALL, "Condition": {f"ForAnyValue:{operator}": {key: values}}}, context=context).allowed
        none = decide({**ALL, "Condition": {f"ForAllValues:{negated}": {key: values}}}, context=context).allowed
        assert some is not none


@given(MANY, statements(), CONTEXTS, CALLERS)
def test_limits_only_take_away(some: list[Any], limit: Any, context: dict[str, Any], by: Caller) -> None:
    free = decide(*some, context=context, by=by).allowed
    for kind in ("boundary", "session"):
        assert free or not decide(*some, context=context, by=by, **{kind: limit}).allowed
        unlimiting: dict[str, Any] = {kind: ALL}
        assert decide(*some, context=context, by=by, **unlimiting).allowed is free


@given(MANY, statements(), PRINCIPALS, CONTEXTS, CALLERS)
def test_statements_have_no_order(
    some: list[Any], own: Any, principal: Any, context: dict[str, Any], by: Caller
) -> None:
    resource = [{**own, "Principal": principal}, {**own, "Principal": {"AWS": ACCOUNT}}]
    one = decide(*some, context=context, by=by, resource=resource)
    other = decide(*reversed(some), context=context, by=by, resource=resource[::-1])
    assert (one.allowed, one.explicit, one.by) == (other.allowed, other.explicit, other.by)
