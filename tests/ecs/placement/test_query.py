"""The cluster query language: its grammar, what operators mean on what they are used with, and how it refuses."""

from __future__ import annotations

import re
import time
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dryport.aws.errors import ServiceError
from dryport.ecs.launching import placement
from dryport.ecs.placement.board import Board
from dryport.ecs.placement.model import Instance, Needs, Occupant
from dryport.ecs.placement.query import And, Comparison, Node, Not, Or, QueryError, parse


def selects(expression: str, groups: tuple[str, ...] = (), **instance: Any) -> bool:
    """Whether an expression selects an instance that runs a task of each of these groups."""
    board = Board()
    board.put_instance(Instance(arn="one", **instance))
    for group in groups:
        board.put_task(Occupant(arn=group, instance_arn="one", group=group, needs=Needs(), running=True))
    return bool(board.select(parse(expression).root))


def refused(expression: str) -> QueryError:
    with pytest.raises(QueryError) as raised:
        parse(expression)
    return raised.value


@pytest.mark.parametrize(
    ("value", "expression", "selected"),
    [
        # Texts
        ("prod", "attribute:a == prod", True),
        ("prod", "attribute:a == Prod", False),
        ("prod", "attribute:a equals prod", True),
        ("prod", "attribute:a != prod", False),
        ("prod", "attribute:a not_equals test", True),
        (None, "attribute:a == prod", False),
        (None, "attribute:a != prod", False),
        ("two words", "attribute:a == 'two words'", True),
        ('a"b', "attribute:a == 'a\"b'", True),
        ("it's", "attribute:a == 'it\\'s'", True),
        ("", "attribute:a == ''", True),
        ("b", "attribute:a > a", True),
        ("b", "attribute:a greater_than b", False),
        ("b", "attribute:a >= b", True),
        ("b", "attribute:a < c", True),
        ("b", "attribute:a less_than_equal a", False),
        # Numbers, where both are
        ("10", "attribute:a > 9", True),
        ("10", "attribute:a < 9", False),
        ("9.5", "attribute:a < 10", True),
        ("-1", "attribute:a < 0", True),
        ("10", "attribute:a >= 10.0", True),
        ("10", "attribute:a == 10.0", False),
        ("10", "attribute:a < 9x", True),
        # Versions, where both are
        ("1.10.1", "attribute:a > 1.9.7", True),
        ("1.10.0", "attribute:a >= v1.10", True),
        ("v2.0.1", "attribute:a less_than 2.1", True),
        # Sets
        ("c5.large", "attribute:a in [c5.large, m5.large]", True),
        ("c5.large", "attribute:a in [m5.large]", False),
        ("c5.large", "attribute:a !in [m5.large]", True),
        ("c5.large", "attribute:a not_in [c5.large]", False),
        ("a,b", "attribute:a in ['a,b', 'c]']", True),
        ("c]", "attribute:a in ['a,b','c]']", True),
        (None, "attribute:a not_in [x]", False),
        # Patterns, of the whole value
        ("c5.large", "attribute:a =~ c5.*", True),
        ("c5.large", "attribute:a =~ c5", False),
        ("c5.large", "attribute:a matches 'c[0-9].(large|small)'", True),
        ("c5.large", "attribute:a !~ m.*", True),
        ("c5.large", "attribute:a not_matches c.*", False),
        ("a\\d", "attribute:a =~ 'a\\\\d'", True),
        (None, "attribute:a !~ m.*", False),
        # Existence
        ("", "attribute:a exists", True),
        (None, "attribute:a exists", False),
        (None, "attribute:a !exists", True),
        ("", "attribute:a not_exists", False),
    ],
)
def test_operators_on_attributes(value: str | None, expression: str, selected: bool) -> None:
    assert selects(expression, attributes={} if value is None else {"a": value}) is selected


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("agentConnected == true", True),
        ("agentConnected != true", False),
        ("agentConnected in [false]", False),
        ("agentVersion == 1.14.5", True),
        ("agentVersion >= 1.9", True),
        ("agentVersion < 1.14.10", True),
        ("agentVersion != 1.14.5.0", False),
        ("ec2InstanceId == i-1", True),
        ("ec2InstanceId in [i-2, 'i-1']", True),
        ("ec2InstanceId =~ 'i-.'", True),
        ("registeredAt == 2018-06-18T22:28:28Z", True),
        ("registeredAt == 2018-06-18T22:28:28", True),
        ("registeredAt == 2018-06-18T23:28:28+01:00", True),
        ("registeredAt > 2018-06-18", True),
        ("registeredAt <= '2018-06-18T00:00:00Z'", False),
        ("runningTasksCount == 2", True),
        ("runningTasksCount > 10", False),
        ("runningTasksCount >= 2", True),
        ("task:group == web", True),
        ("task:group != web", True),  # it has one of another group
        ("not (task:group == web)", False),
        ("task:group in [x, db]", True),
        ("task:group =~ service:.*", False),
        ("task:group exists", True),
        ("task:group !exists", False),
    ],
)
def test_operators_on_fields(expression: str, selected: bool) -> None:
    found = selects(
        expression,
        ("web", "db"),
        agent_version="1.14.5",
        ec2_instance_id="i-1",
        registered_at=1529360908.75,
    )
    assert found is selected


def test_what_an_instance_lacks_is_equal_to_nothing() -> None:
    for expression in ("ec2InstanceId != x", "ec2InstanceId == ''", "agentVersion < 9", "task:group != x"):
        assert not selects(expression)


@pytest.mark.parametrize(
    ("expression", "meaning"),
    [
        ("{a} or {b} and {c}", "a or (b and c)"),
        ("{a} and {b} or {c}", "(a and b) or c"),
        ("not {a} and {b}", "(not a) and b"),
        ("not {a} or {b}", "(not a) or b"),
        ("!{a} && {b} || {c}", "((not a) and b) or c"),
        ("not ({a} or {b})", "not (a or b)"),
        ("({a} || {b}) && {c}", "(a or b) and c"),
        ("NOT {a} OR {b} AND NOT NOT {c}", "(not a) or (b and c)"),
        ("!!{a}", "a"),
        ("(((({a}))))and({b})", "a and b"),
    ],
)
def test_precedence(expression: str, meaning: str) -> None:
    """Held against Python's own, for each combination of what is true."""
    query = expression.format(a="attribute:a exists", b="attribute:b exists", c="attribute:c exists")
    for number in range(8):
        has = {name: bool(number >> bit & 1) for bit, name in enumerate("abc")}
        expected = bool(eval(meaning, {"__builtins__": {}}, has))
        assert selects(query, attributes={name: "" for name in "abc" if has[name]}) is expected


@pytest.mark.parametrize(
    ("expression", "position", "problem"),
    [
        ("", 1, "expected a subject"),
        ("   ", 4, "expected a subject"),
        ("attribute:a", 12, "expected an operator"),
        ("attribute:a = b", 13, "expected an operator"),
        ("attribute:a like b", 13, "expected an operator"),
        ("attribute:a ==", 15, "expected a value"),
        ("attribute:a == b c", 18, "expected 'and', 'or' or the end"),
        ("attribute:a == 'b", 16, "the quoted value does not end"),
        ("attribute:a == \"b'", 16, "the quoted value does not end"),
        ("attribute: == b", 1, "unknown subject"),
        ("colour == red", 1, "unknown subject"),
        ("task:family == a", 1, "unknown subject"),
        ("(attribute:a exists", 20, "expected ')'"),
        ("attribute:a exists)", 19, "expected 'and', 'or' or the end"),
        ("()", 2, "expected a subject"),
        ("attribute:a exists and", 23, "expected a subject"),
        ("attribute:a exists or or", 23, "unknown subject"),
        ("not", 1, "unknown subject"),
        ("attribute:a in b", 16, "expected a list"),
        ("attribute:a in []", 17, "expected a value"),
        ("attribute:a in [b", 18, "expected ',' or ']'"),
        ("attribute:a in [b,]", 19, "expected a value"),
        ("attribute:a in [b c]", 19, "expected ',' or ']'"),
        ("attribute:a =~ '['", 16, "no regular expression"),
        ("attribute:a =~ f(x)", 17, "has to be quoted"),
        ("agentVersion > latest", 16, "is no version"),
        ("agentVersion =~ 1.*", 14, "cannot be compared with =~"),
        ("runningTasksCount > many", 21, "is no number of tasks"),
        ("runningTasksCount exists", 19, "cannot be compared with exists"),
        ("registeredAt > yesterday", 16, "is no date"),
        ("registeredAt > 2018-13-01", 16, "is no date"),
        ("agentConnected > true", 16, "cannot be compared with >"),
        ("attribute:a == \ud800", 16, "no character"),
        ("attribute:a == b \x00", 18, "expected 'and', 'or' or the end"),
    ],
)
def test_what_is_wrong_is_said_with_its_position(expression: str, position: int, problem: str) -> None:
    error = refused(expression)
    assert error.position == position
    assert problem in error.problem
    assert str(error).endswith(f"at position {position}")


_TOKENS = [
    *("attribute:a", "attribute:b.c/d", "task:group", "agentVersion", "registeredAt", "runningTasksCount"),
    *("==", "!=", ">", ">=", "<", "<=", "=~", "!~", "=", "equals", "matches"),
    *("in", "!in", "not_in", "exists", "!exists", "and", "or", "not", "&&", "||", "!", "&"),
    *("(", ")", "[", "]", ",", "'", '"', "\\", "a", "1.2", "2018-06-18", "'a b'"),
    *(" ", "  ", "\t", "\n", "é", "\ud800", "\x00", "[a]", "[a, b]", "(a|b)*", "*", "(?P<x>"),
]


@settings(max_examples=2000, deadline=None)
@given(
    st.lists(st.sampled_from(_TOKENS), max_size=25).map(" ".join)
    | st.lists(st.sampled_from(_TOKENS), max_size=25).map("".join)
    | st.text(max_size=200)
)
@example("attribute:a =~ '" + "(a{1000}){1000}" * 50 + "'")
@example("attribute:a > " + "9" * 1900)
@example("registeredAt > 2018-06-18T25:00:00Z")
@example("attribute:a =~ \ud800")
def test_anything_is_read_or_refused_with_a_position(text: str) -> None:
    try:
        placement.query(text)
    except ServiceError as error:
        assert error.code == "InvalidParameterException"
        found = re.search(r"at position (\d+)\.$", error.message)
        assert found is not None, error.message
        assert 1 <= int(found[1]) <= len(text) + 1


def test_depth_and_length_are_bounded() -> None:
    inner = "attribute:a exists"
    assert selects("(" * 49 + inner + ")" * 49, attributes={"a": ""})
    assert "within each other" in refused("(" * 50 + inner + ")" * 50).problem
    assert selects("not " * 48 + inner, attributes={"a": ""})
    assert "within each other" in refused("not " * 50 + inner).problem
    assert "within each other" in refused("(" * 2000).problem
    assert "within each other" in refused("!" * 2000).problem
    long = " or ".join(["attribute:a==1"] * 111)
    assert len(long) <= 2000
    assert selects(long, attributes={"a": "1"})
    error = refused(long + " or attribute:a exists" * 10)
    assert (error.position, error.problem) == (2001, "the expression is longer than 2000 characters")
    assert refused("x" * 1_000_000).position == 2001


def test_patterns_take_linear_time() -> None:
    start = time.process_time()
    assert not selects("attribute:a =~ '(a*)*(a*)*(a*)*b'", attributes={"a": "a" * 5000})
    # Backtracking would take longer than anybody waits: this is no measure of speed.
    assert time.process_time() - start < 20


# Trees, written out in any of the ways in which they can be, are read as what they are.

_NAMES = st.sampled_from(["attribute:a", "attribute:x.y-z", "task:group"])
_VALUES = st.sampled_from(["a", "it's", 'say "a"', "two words", "a]", "a,b", "(", "and", "", "\\d", "i-1"])
_SPELLINGS = {
    "==": ["==", "equals", "Equals"],
    "!=": ["!=", "not_equals"],
    ">": [">", "greater_than"],
    ">=": [">=", "greater_than_equal"],
    "<": ["<", "less_than"],
    "<=": ["<=", "less_than_equal"],
    "in": ["in", "IN"],
    "!in": ["!in", "not_in"],
    "exists": ["exists"],
    "!exists": ["!exists", "not_exists"],
}
_ANY = [each for each in _SPELLINGS if "in" not in each and "exists" not in each]


def _comparison(subject: str, operator: str, *arguments: str) -> Comparison:
    return Comparison(subject, operator, arguments, lambda _: True)


_COMPARISONS = (
    st.builds(_comparison, _NAMES, st.sampled_from(_ANY), _VALUES)
    | st.builds(_comparison, _NAMES, st.sampled_from(["exists", "!exists"]))
    | st.builds(_comparison, _NAMES, st.sampled_from(["in", "!in"]), _VALUES, _VALUES)
)
_TREES: st.SearchStrategy[Node] = st.recursive(
    _COMPARISONS,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(lambda *each: And(each), inner, inner)
        | st.builds(lambda *each: Or(each), inner, inner, inner)
    ),
    max_leaves=8,
)


def _written(node: Node, random: Random, binding: int = 0) -> str:
    """A tree as text; ``binding`` is how strongly what is around it binds."""
    space = random.choice([" ", "  ", "\n"])
    if isinstance(node, Comparison):
        values = [_quoted(value, random) for value in node.arguments]
        argument = f"[{', '.join(values)}]" if node.operator in ("in", "!in") else "".join(values)
        return space.join(filter(None, (node.subject, random.choice(_SPELLINGS[node.operator]), argument)))
    if isinstance(node, Not):
        return random.choice(["not ", "!", "NOT "]) + _written(node.operand, random, 3)
    own, words = (2, ["and", "&&", "AND"]) if isinstance(node, And) else (1, ["or", "||", "Or"])
    text = f" {random.choice(words)}{space}".join(_written(each, random, own + 1) for each in node.operands)
    return f"({text})" if own < binding or random.random() < 0.2 else text


def _quoted(value: str, random: Random) -> str:
    if re.fullmatch(r"[a-z0-9-]+", value) and random.random() < 0.5:
        return value
    quote = random.choice("'\"")
    return quote + value.replace(quote, f"\\{quote}") + quote


def _shape(node: Node) -> Any:
    if isinstance(node, Comparison):
        return node.key
    if isinstance(node, Not):
        return ("not", _shape(node.operand))
    return ("and" if isinstance(node, And) else "or", *map(_shape, node.operands))


@settings(max_examples=500, deadline=None)
@given(_TREES, st.integers(0, 2**32))
def test_a_tree_is_read_as_it_was_written(node: Node, seed: int) -> None:
    text = _written(node, Random(seed))
    if len(text) <= 2000:
        assert _shape(parse(text).root) == _shape(node)
