"""PutAttributes, DeleteAttributes, ListAttributes, with boto3."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.aws.errors import ServiceError
from dryport.ecs import attributes
from tests.ecs.api.conftest import Ecs
from tests.served import refusal

INVALID = "InvalidParameterException"


def register(ecs: Ecs, *names: str) -> str:
    own = [{"name": name, "value": "here"} for name in names]
    answer = ecs.client.register_container_instance(cluster=ecs.name, attributes=own)
    arn: str = answer["containerInstance"]["containerInstanceArn"]
    return arn


def put(ecs: Ecs, target: str, **values: str) -> Any:
    wanted = [{"name": name, "value": value, "targetId": target} for name, value in values.items()]
    return ecs.client.put_attributes(cluster=ecs.name, attributes=wanted)["attributes"]


def listed(ecs: Ecs, **request: Any) -> list[tuple[str, str, str | None]]:
    answer = ecs.client.list_attributes(cluster=ecs.name, targetType="container-instance", **request)
    return [(each["targetId"], each["name"], each.get("value")) for each in answer["attributes"]]


def test_put_list_and_delete(ecs: Ecs) -> None:
    one, two = register(ecs, "ecs.os-type"), register(ecs)
    assert put(ecs, one, stack="test", rack="7") == [
        {"name": "stack", "value": "test", "targetId": one},
        {"name": "rack", "value": "7", "targetId": one},
    ]
    put(ecs, one, stack="prod")
    short = [{"name": "stack", "value": "prod", "targetId": two.rsplit("/")[-1], "targetType": "container-instance"}]
    ecs.client.put_attributes(cluster=ecs.name, attributes=short)
    assert listed(ecs) == [
        (one, "ecs.os-type", "here"),
        (one, "stack", "prod"),
        (one, "rack", "7"),
        (two, "stack", "prod"),
    ]
    assert listed(ecs, attributeName="stack") == [(one, "stack", "prod"), (two, "stack", "prod")]
    assert listed(ecs, attributeName="rack", attributeValue="7") == [(one, "rack", "7")]
    assert listed(ecs, attributeName="rack", attributeValue="8") == []
    described = ecs.client.describe_container_instances(cluster=ecs.name, containerInstances=[one])
    assert {"name": "rack", "value": "7"} in described["containerInstances"][0]["attributes"]
    gone = [{"name": name, "targetId": one} for name in ("stack", "nothing")]
    gone.append({"name": "rack", "value": "8", "targetId": one})
    deleted = ecs.client.delete_attributes(cluster=ecs.name, attributes=gone)["attributes"]
    assert deleted == [{"name": "stack", "value": "prod", "targetId": one}]
    assert listed(ecs) == [(one, "ecs.os-type", "here"), (one, "rack", "7"), (two, "stack", "prod")]
    ecs.client.deregister_container_instance(cluster=ecs.name, containerInstance=two)
    assert listed(ecs, attributeName="stack") == []


def test_pages(ecs: Ecs) -> None:
    wanted = [(register(ecs, "a", "b"), name, "here") for name in ("a", "b")]
    paginator = ecs.client.get_paginator("list_attributes")
    pages = paginator.paginate(cluster=ecs.name, targetType="container-instance", PaginationConfig={"PageSize": 1})
    found = [(each["targetId"], each["name"], each["value"]) for page in pages for each in page["attributes"]]
    assert len(found) == 4 and {name for _, name, _ in found} == {"a", "b"}
    assert {target for target, _, _ in found} == {target for target, _, _ in wanted}


def test_what_is_refused(ecs: Ecs) -> None:
    arn = register(ecs)
    elsewhere = ecs.client.create_cluster(clusterName=f"elsewhere-{ecs.number}")["cluster"]["clusterName"]
    wrong: list[tuple[list[dict[str, str]], str]] = [
        ([], INVALID),
        ([{"name": "a"}], INVALID),
        ([{"name": "a", "targetId": arn.rsplit("/")[-1]}], INVALID),
        ([{"name": "", "targetId": arn}], INVALID),
        ([{"name": "a b", "targetId": arn}], INVALID),
        ([{"name": "a" * 129, "targetId": arn}], INVALID),
        ([{"name": "a", "value": " b", "targetId": arn}], INVALID),
        ([{"name": "a", "value": "b;c", "targetId": arn}], INVALID),
        ([{"name": "ecs.os-type", "value": "windows", "targetId": arn}], INVALID),
        ([{"name": "a", "targetId": arn[:-1] + "z"}], "TargetNotFoundException"),
        ([{"name": f"a{number}", "targetId": arn} for number in range(11)], INVALID),
    ]
    for asked, code in wrong:
        assert refusal(ecs.client.put_attributes, cluster=ecs.name, attributes=asked)[0] == code, asked
    one = [{"name": "a", "targetId": arn}]
    assert refusal(ecs.client.put_attributes, cluster=elsewhere, attributes=one)[0] == INVALID
    assert refusal(ecs.client.put_attributes, cluster="none", attributes=one)[0] == "ClusterNotFoundException"
    assert refusal(ecs.client.delete_attributes, cluster=ecs.name, attributes=[{"name": "ecs.x", "targetId": arn}])[0]
    listing = {"cluster": ecs.name, "targetType": "container-instance", "attributeValue": "x"}
    assert refusal(ecs.client.list_attributes, **listing)[0] == INVALID


def test_ten_of_one_s_own_and_all_or_none(ecs: Ecs) -> None:
    arn = register(ecs, "ecs.capability.x", "mine")
    put(ecs, arn, **{f"a{number}": "x" for number in range(9)})
    both = [{"name": "a1", "value": "changed", "targetId": arn}, {"name": "eleventh", "targetId": arn}]
    code, message = refusal(ecs.client.put_attributes, cluster=ecs.name, attributes=both)
    assert (code, message) == (
        "AttributeLimitExceededException",
        "You can apply up to 10 custom attributes for each resource.",
    )
    assert listed(ecs, attributeName="a1") == [(arn, "a1", "x")]


@given(st.text(max_size=140), st.text(max_size=140))
def test_names_and_values_are_what_the_reference_says(name: str, value: str) -> None:
    letters = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    good = 1 <= len(name) <= 128 and set(name) <= letters | set("-_/\\.")
    good &= len(value) <= 128 and set(value) <= letters | set("-_.@/\\: ") and value == value.strip(" ")
    if good:
        assert attributes.checked({"name": name, "value": value})["name"] == name
    else:
        with pytest.raises(ServiceError):
            attributes.checked({"name": name, "value": value})
