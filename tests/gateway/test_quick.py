"""The quick reader vouches only for what the thorough way reads to the same and finds nothing wrong with."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dryport.aws.errors import ServiceError
from dryport.gateway import policies, protocols
from dryport.gateway.constraints import Constraints
from dryport.gateway.json_types import quick_reader
from dryport.gateway.models import Models
from dryport.gateway.unsupported import Unsupported
from dryport.gateway.wire import Message
from tests.gateway.shapes import Maker, service_model

NO_HEADERS: dict[str, str] = {}
OPERATIONS = [
    ("ecs", "RegisterTaskDefinition"),
    ("ecs", "RunTask"),
    ("ecs", "SubmitTaskStateChange"),
    ("ecs", "ListTasks"),
    ("logs", "PutLogEvents"),
    ("logs", "FilterLogEvents"),
    ("ssm", "PutParameter"),
]
ODD: list[Any] = [
    None,
    "",
    "x" * 3000,
    "-",
    "é",
    0,
    -1,
    1.0,
    1.5,
    2**31,
    2**63,
    2**70,
    True,
    [],
    {},
    [None],
    {"a": None},
]


def altered(value: Any, random: Random) -> Any:
    """The value with an odd one somewhere in it, mostly."""
    if isinstance(value, dict) and value and random.random() < 0.85:
        name = random.choice(sorted(value))
        return {**value, name: altered(value[name], random)}
    if isinstance(value, list) and value and random.random() < 0.85:
        return [altered(value[0], random), *value[1:]]
    return random.choice(ODD)


@pytest.fixture(scope="module")
def models() -> Models:
    return Models({name for name, _ in OPERATIONS})


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
@settings(max_examples=60, deadline=None, database=None)
@given(seed=st.integers(0, 2**32))
def test_agrees_with_the_thorough_way(models: Models, service: str, operation: str, seed: int) -> None:
    model = models.service(service)
    described = model.operation(operation)
    assert described is not None and described.input is not None
    shape = described.input.shape
    quick = quick_reader(model, shape)
    assert quick is not None
    codec = protocols.make("json-1.1", model).codec(described)
    check = Constraints(model, policies.policy(model)).checker(operation, shape)
    random = Random(seed)
    wanted = service_model(service).operation_model(operation).input_shape
    assert wanted is not None
    value = Maker(random, seconds=True).structure(wanted)
    if random.random() < 0.7:
        value = altered(value, random)
    body = msgspec.json.encode(value)
    vouched = quick(body)
    if vouched is None:
        return
    found = codec.read(Message("POST", "", NO_HEADERS.get, dict, body))
    try:
        check(found)
    except ServiceError as error:
        raise AssertionError(f"vouched for {value}") from error
    assert vouched == found and msgspec.json.encode(vouched) == msgspec.json.encode(found)


def test_vouches_for_the_usual_request(models: Models) -> None:
    model = models.service("ecs")
    quick = quick_reader(model, "RegisterTaskDefinitionRequest")
    assert quick is not None
    body = {"family": "a", "containerDefinitions": [{"name": "a", "image": "b", "memory": 4, "essential": True}]}
    assert quick(msgspec.json.encode(body)) == body
    assert quick(msgspec.json.encode(body | {"networkMode": "odd"})) is None
    assert quick(b"") is None and quick(b"[]") is None and quick(b'{"family": "\xff"}') is None


def test_no_quick_reader_for_blobs(models: Models) -> None:
    assert quick_reader(Models({"kms"}).service("kms"), "EncryptRequest") is None


@pytest.mark.parametrize("nothing", [False, [], {}])
def test_unsupported_members_that_ask_for_nothing(nothing: Any) -> None:
    unsupported = Unsupported(["a", "b.c", "d"])
    assert unsupported.find({"a": nothing, "b": [{"c": nothing}], "x": 1}) is None
    assert unsupported.find({"a": nothing, "b": [{"c": nothing}, {"c": 0}]}) == "b.c"
    assert unsupported.find({"d": True}) == "d"
