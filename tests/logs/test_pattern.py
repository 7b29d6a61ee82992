"""Filter patterns against the examples of AWS's user guide, and their parsers against anything."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.aws.errors import ServiceError
from dryport.logs import pattern
from dryport.logs.pattern import fields

CLOUDTRAIL = json.dumps(
    {
        "eventType": "UpdateTrail",
        "sourceIPAddress": "111.111.111.111",
        "arrayKey": ["value", "another value"],
        "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
        "SomeObject": None,
        "cluster": {"c-1": {"status": "up"}},
        "ThisFlag": True,
        "detail-type": "ECS",
        "size": 1500.5,
    }
)
ACCESS = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 200 1534'


def matches(text: str, message: str) -> bool:
    parsed = pattern.parse(text)
    return parsed is None or parsed.matches(message)


@pytest.mark.parametrize(
    ("text", "message", "expected"),
    [
        ("", "anything", True),
        ("  ", "anything", True),
        ("ERROR", "[ERROR 400] BAD REQUEST", True),
        ("ERROR", "[error 400] BAD REQUEST", False),
        ("ERROR REQUEST", "[ERROR 400] BAD REQUEST", True),
        ("ERROR ARGUMENTS", "[ERROR 400] BAD REQUEST", False),
        ("?ERROR ?ARGUMENTS", "[ERROR 401] UNAUTHORIZED", True),
        ("?ERROR ?ARGUMENTS", "[INFO] fine", False),
        ("INFO ?ERROR", "[INFO] fine", True),  # "?" beside other terms is ignored
        ('"INTERNAL SERVER ERROR"', "[ERROR 500] INTERNAL SERVER ERROR", True),
        ('"INTERNAL SERVER ERROR"', "[ERROR 500] INTERNAL ERROR SERVER", False),
        ("ERROR -ARGUMENTS", "[ERROR 400] BAD REQUEST", True),
        ("ERROR -ARGUMENTS", "[ERROR 400] MISSING ARGUMENTS", False),
        ('-"exit code 1"', "exit code 2", True),
        ('"say \\"hello\\""', 'they say "hello"', True),
        ("%AUTHORIZED%", "[ERROR 401] UNAUTHORIZED REQUEST", True),
        ("%ERROR\\s4[0-9]{2}%", "[ERROR 404] x", True),
        ("%^ERROR%", "[ERROR 404] x", False),
        ("%gr[ae]y|blue%", "a grey cat", True),
        ("-%DEBUG|TRACE% ERROR", "ERROR", True),
    ],
)
def test_terms(text: str, message: str, expected: bool) -> None:
    assert matches(text, message) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{ $.eventType = "UpdateTrail" }', True),
        ('{ $.eventType = "updatetrail" }', False),
        ("{ $.sourceIPAddress != 123.123.* }", True),
        ("{ $.sourceIPAddress = 111.111.* }", True),
        ('{ $.arrayKey[0] = "value" }', True),
        ('{ $.arrayKey[1] = "value" }', False),
        ('{ $.arrayKey[*] = "another*" }', True),
        ("{ $.objectList[1].id = 2 }", True),
        ('{ $.objectList[*].name = "b" && $.objectList[0].id < 2 }', True),
        ("{ $.SomeObject IS NULL }", True),
        ("{ $.eventType IS NULL }", False),
        ("{ $.SomeOtherObject NOT EXISTS }", True),
        ("{ $.SomeObject NOT EXISTS }", False),
        ("{ $.ThisFlag IS TRUE }", True),
        ("{ $.ThisFlag IS FALSE }", False),
        ('{ $.detail-type = "ECS" }', True),
        ('{ $.["detail-type"] = "ECS" }', True),
        ('{ $.cluster.*.status = "up" }', True),
        ("{ $.size > 1500 && $.size <= 1500.5 }", True),
        ("{ $.size = 1.5005e3 }", True),
        ("{ $.eventType > 1 }", False),
        ("{ $.missing != 1 }", False),
        ("{ $.eventType = %Up[a-z]+Trail% }", True),
        ('{ ($.eventType = "x" || $.ThisFlag IS TRUE) && $.size > 1 }', True),
        ('{ $.eventType = "x" || $.ThisFlag IS TRUE && $.size < 1 }', False),
    ],
)
def test_json(text: str, expected: bool) -> None:
    assert matches(text, CLOUDTRAIL) is expected
    assert not matches(text, "no JSON: " + CLOUDTRAIL)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[ip, user, username, timestamp, request, status_code, bytes]", True),
        ("[ip, user, username, timestamp, request, status_code]", False),
        ("[ip, ...]", True),
        ("[..., size]", True),
        ("[..., status_code = 2*, size > 1000]", True),
        ("[..., status_code = 4*, size]", False),
        ("[ip, user, username, timestamp, request =*.gif*, status_code = 200, bytes]", True),
        ("[ip = %127\\.0\\.0\\.[1-9]%, ...]", True),
        ("[..., status = 404 || status = 200, size]", True),
        ("[..., status != 404 && status != 200, size]", False),
        ("[a,b,c,d,e,f,g,...,h]", False),
    ],
)
def test_fields(text: str, expected: bool) -> None:
    assert matches(text, ACCESS) is expected


def test_extracted_values() -> None:
    parsed = pattern.parse("[ip, ..., status, size]")
    assert parsed is not None
    assert parsed.extract(ACCESS) == {
        "$ip": "127.0.0.1",
        "$2": "-",
        "$3": "frank",
        "$4": "10/Oct/2000:13:25:15 -0700",
        "$5": "GET /apache_pb.gif HTTP/1.0",
        "$status": "200",
        "$size": "1534",
    }
    parsed = pattern.parse('{ $.eventType = "Update*" && $.size > 1 }')
    assert parsed is not None
    assert parsed.extract(CLOUDTRAIL) == {"$.eventType": "UpdateTrail", "$.size": "1500.5"}
    assert parsed.extract("{}") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo-bar", "Invalid character(s) in term '-'"),
        ("?Status: timeout", "Invalid character(s) in term ':'"),
        ('""', "Invalid character(s) in term '\"\"'"),
        ("%a(b)%", "Invalid character(s) in term '('"),
        ("{ $.a = 1", "If a filter pattern starts with '{' it must end with '}'"),
        ("[a, b", "If a filter pattern starts with '[' it must end with ']'"),
        ('{ $."a" = 1 }', "Invalid character(s) in term '$.\"'"),
        ("{ $.a < b }", "Invalid filter pattern"),
        ("[a = 1 && b = 2]", "Invalid filter pattern"),
        ("[..., a, ...]", "Invalid filter pattern"),
        ("{ $.a = %a% && $.b = %b% && $.c = %c% }", "A filter pattern can have at most 2 regular expressions"),
        ("%[%", "Invalid regular expression in the filter pattern"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ServiceError) as refused:
        pattern.parse(text)
    assert (refused.value.code, refused.value.message) == ("InvalidParameterException", message)


@given(st.text(alphabet='{}[]()$.,"%=!<>&|?-*\\ abc019\u00e9IS NULL', max_size=40), st.text(max_size=40))
def test_any_pattern_is_read_or_refused(text: str, message: str) -> None:
    try:
        parsed = pattern.parse(text)
    except ServiceError as refused:
        assert refused.code == "InvalidParameterException"
        return
    if parsed is not None:
        assert (parsed.extract(message) is not None) == parsed.matches(message)


@given(st.lists(st.text(alphabet=st.characters(categories=["L", "N"]), min_size=1), min_size=1), st.text())
def test_quoted_terms_are_substrings(terms: list[str], message: str) -> None:
    text = " ".join(f'"{term}"' for term in terms)
    assert matches(text, message) == all(term in message for term in terms)


SCALARS = st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(alphabet='ab*"\\', min_size=1, max_size=4)


@given(st.dictionaries(st.sampled_from("abc"), SCALARS), st.sampled_from("abc"), st.integers(-1000, 1000))
def test_json_comparisons_agree_with_python(document: dict[str, object], name: str, number: int) -> None:
    message = json.dumps(document)
    value = document.get(name)
    numeric = isinstance(value, int) and not isinstance(value, bool)
    assert matches(f"{{ $.{name} > {number} }}", message) == (numeric and value > number)  # type: ignore[operator]
    assert matches(f"{{ $.{name} NOT EXISTS }}", message) == (name not in document)
    assert matches(f"{{ $.{name} IS NULL }}", message) == (name in document and value is None)


@given(st.lists(st.text(alphabet="abc019.-", min_size=1), min_size=1, max_size=6))
def test_fields_are_split_as_they_were_joined(values: list[str]) -> None:
    assert fields.split(" ".join(values)) == values
    assert fields.split(" ".join(f'"{value} x"' for value in values)) == [f"{value} x" for value in values]
    assert fields.split(" ".join(f"[{value} x]" for value in values)) == [f"{value} x" for value in values]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("%" + "a*" * 200 + "b%", "a" * 100_000),
        ("[a]", "[a " * 100_000),
        ("[a]", '"\\" ' * 100_000),
        ('{ $.a = "' + "*a" * 200 + 'b" }', json.dumps({"a": "a" * 50_000})),
    ],
)
def test_hostile_patterns_come_to_an_end(text: str, message: str) -> None:
    """With a cost beyond linear these take minutes to years."""
    assert not matches(text, message)
