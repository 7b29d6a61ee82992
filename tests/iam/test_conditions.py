"""Condition operators, variables and wildcards."""

from __future__ import annotations

from typing import Any

import pytest

from dryport.iam.policy.patterns import Glob, tokens
from tests.iam.policies import ALL, decide


def holds(operator: str, key: str, expected: Any, context: dict[str, Any], version: str = "2012-10-17") -> bool:
    """Whether a condition holds, by what a statement with it allows."""
    return decide({**ALL, "Condition": {operator: {key: expected}}}, context=context, version=version).allowed


@pytest.mark.parametrize(
    ("operator", "expected", "given", "answer"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", "a", "A", False),
        ("stringequals", ["b", "a"], "a", True),
        ("StringEquals", "a*", "ab", False),
        ("StringEquals", [], "a", False),
        ("StringEquals", True, "true", True),
        ("StringEquals", 5, "5", True),
        ("StringNotEquals", ["a", "b"], "c", True),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringEqualsIgnoreCase", "ÄB", "äb", True),
        ("StringNotEqualsIgnoreCase", "AB", "ab", False),
        ("StringLike", "a*z", "abcz", True),
        ("StringLike", "a?c", "abc", True),
        ("StringLike", "a?c", "ac", False),
        ("StringLike", "A*", "ab", False),
        ("StringNotLike", "a*", "b", True),
        ("NumericEquals", "1.50", "1.5", True),
        ("NumericEquals", "9007199254740993", "9007199254740992", False),
        ("NumericNotEquals", "1", "2", True),
        ("NumericLessThan", 10, "9", True),
        ("NumericLessThan", "10", "10", False),
        ("NumericLessThanEquals", "10", "10", True),
        ("NumericGreaterThan", "10", "10.01", True),
        ("NumericGreaterThan", "10", "1e2", False),
        ("NumericGreaterThanEquals", "10", "9.99", False),
        ("NumericLessThan", "10", "x", False),
        ("NumericLessThan", "x", "1", False),
        ("DateEquals", "2026-11-26T00:00:00Z", "2026-11-26", True),
        ("DateEquals", "2026-11-26T01:00:00+01:00", "1795651200", True),
        ("DateNotEquals", "2026", "2026-01-01T00:00:00Z", False),
        ("DateLessThan", "2026-11-26T00:00:00.5Z", "2026-11-26T00:00:00Z", True),
        ("DateGreaterThanEquals", "2026-11-26", "2026-11-25T23:59:59Z", False),
        ("Bool", "true", "TRUE", True),
        ("Bool", False, "false", True),
        ("Bool", "true", "yes", False),
        ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", True),
        ("BinaryEquals", "QmluYXJ5", "QmluYXJ6", False),
        ("BinaryEquals", "?", "?", False),
        ("IpAddress", "203.0.113.0/24", "203.0.113.7", True),
        ("IpAddress", ["198.51.100.1", "203.0.113.7"], "203.0.113.7", True),
        ("IpAddress", "203.0.113.0/24", "2001:db8::1", False),
        ("IpAddress", "2001:db8::/32", "2001:DB8:0::1", True),
        ("NotIpAddress", "203.0.113.0/24", "198.51.100.1", True),
        ("IpAddress", "300.0.0.0/8", "203.0.113.7", False),
        ("ArnLike", "arn:aws:s3:::a*", "arn:aws:s3:::ab/c:d", True),
        ("ArnEquals", "arn:aws:s3:::a*", "arn:aws:s3:::ab", True),
        ("ArnLike", "arn:aws:*:role/x", "arn:aws:iam::111122223333:role/x", False),
        ("ArnLike", "arn:*:iam::*:role/x", "arn:aws:iam::111122223333:role/x", True),
        ("ArnNotLike", "arn:aws:s3:::a*", "arn:aws:s3:::b", True),
        ("ArnNotEquals", "arn:aws:s3:::a", "arn:aws:s3:::a", False),
        ("Null", "true", "a", False),
        ("Null", "false", "a", True),
        ("Null", False, "", True),
    ],
)
def test_operators(operator: str, expected: Any, given: str, answer: bool) -> None:
    assert holds(operator, "Aws:Key", expected, {"aws:key": given}) is answer


NEGATED = ("StringNotEquals", "StringNotLike", "NumericNotEquals", "DateNotEquals", "NotIpAddress", "ArnNotLike")
POSITIVE = (
    "StringEquals",
    "StringLike",
    "NumericEquals",
    "DateLessThan",
    "IpAddress",
    "ArnLike",
    "Bool",
    "BinaryEquals",
)


@pytest.mark.parametrize("operator", NEGATED + POSITIVE)
def test_absent_keys(operator: str) -> None:
    assert holds(operator, "aws:key", "1", {}) is (operator in NEGATED)
    assert holds(f"{operator}IfExists", "aws:key", "1", {})
    for nothing in ({}, {"aws:key": ()}):
        assert holds(f"ForAllValues:{operator}", "aws:key", "1", nothing)
        assert not holds(f"ForAnyValue:{operator}", "aws:key", "1", nothing)
        assert holds(f"ForAnyValue:{operator}IfExists", "aws:key", "1", nothing)
    assert holds("Null", "aws:key", "true", {})
    assert holds("Null", "aws:key", "true", {"aws:key": ()})


@pytest.mark.parametrize(
    ("operator", "given", "answer"),
    [
        ("ForAllValues:StringEquals", ("a", "b"), True),
        ("ForAllValues:StringEquals", ("a", "c"), False),
        ("ForAnyValue:StringEquals", ("a", "c"), True),
        ("ForAnyValue:StringEquals", ("c", "d"), False),
        ("ForAllValues:StringNotEquals", ("c", "d"), True),
        ("ForAllValues:StringNotEquals", ("a", "d"), False),
        ("ForAnyValue:StringNotEquals", ("a", "d"), True),
        ("ForAnyValue:StringNotEquals", ("a", "b"), False),
        ("ForAllValues:StringEqualsIfExists", ("a",), True),
        ("ForAnyValue:StringLike", "a", True),
    ],
)
def test_multivalued_keys(operator: str, given: Any, answer: bool) -> None:
    assert holds(operator, "aws:TagKeys", ["a", "b"], {"aws:TagKeys": given}) is answer


def test_every_operator_and_every_key_must_hold() -> None:
    both = {"StringEquals": {"aws:a": "1", "aws:b": "2"}, "Bool": {"aws:c": "true"}}
    values = {"aws:a": "1", "aws:b": "2", "aws:c": "true"}
    assert decide({**ALL, "Condition": both}, context=values).allowed
    for key in values:
        assert not decide({**ALL, "Condition": both}, context={**values, key: "x"}).allowed


@pytest.mark.parametrize(
    ("operator", "expected", "given", "answer"),
    [
        ("StringEquals", "home/${aws:username}", "home/alice", True),
        ("StringEquals", "home/${AWS:UserName}", "home/alice", True),
        ("StringEquals", "home/${aws:username}", "home/bob", False),
        ("StringEquals", "${aws:unknown}", "", False),
        ("StringNotEquals", "${aws:unknown}", "x", True),
        ("StringEquals", "${aws:unknown, 'x y'}", "x y", True),
        ("StringEquals", "${aws:username, 'x y'}", "alice", True),
        ("StringEquals", "${$}${*}${?}", "$*?", True),
        ("StringLike", "${*}*", "*abc", True),
        ("StringLike", "${*}*", "abc", False),
        ("StringLike", "${aws:stars}", "anything", False),
        ("StringLike", "${aws:stars}?", "*!", True),
        ("StringLike", "${aws:many}", "one", False),
        ("StringLike", "${aws:single}*", "one more", True),
        ("StringEqualsIgnoreCase", "${aws:username}", "ALICE", True),
        ("ArnLike", "arn:aws:iam::${aws:account}:user/*", "arn:aws:iam::111122223333:user/x", True),
        ("NumericEquals", "${aws:number}", "5", False),
    ],
)
def test_variables(operator: str, expected: str, given: str, answer: bool) -> None:
    context = {"aws:username": "alice", "aws:stars": "*", "aws:number": "5", "aws:account": "111122223333"}
    lists = {"aws:many": ("one", "two"), "aws:single": ("one",)}
    assert holds(operator, "aws:key", expected, {**context, **lists, "aws:key": given}) is answer


def test_variables_are_text_in_the_older_version() -> None:
    context = {"aws:username": "alice", "aws:key": "${aws:username}"}
    assert holds("StringEquals", "aws:key", "${aws:username}", context, version="2008-10-17")
    assert not holds("StringEquals", "aws:key", "${aws:username}", context)


@pytest.mark.parametrize(
    ("pattern", "text", "answer"),
    [
        ("", "", True),
        ("*", "", True),
        ("?", "", False),
        ("??", "ab", True),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "abc", True),
        ("a*b*c", "acb", False),
        ("aba*aba", "aba", False),
        ("*?", "x", True),
        ("*?*", "", False),
        ("*a?c*", "xxabcxx", True),
        ("*a?c", "xxabcxabd", False),
        ("?*", "x:y/z", True),
    ],
)
def test_wildcards(pattern: str, text: str, answer: bool) -> None:
    assert Glob(tokens(pattern, variables=False)).matches(text) is answer


def test_wildcards_take_no_time_that_grows_with_their_number() -> None:
    """A backtracking matcher would not return."""
    assert not Glob(tokens("*a" * 60 + "b", variables=False)).matches("a" * 2000)
