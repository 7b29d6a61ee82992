"""Whatever an operation is given, it answers or refuses in AWS's way: never with an internal failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError, FlexibleChecksumError, HTTPClientError, ParamValidationError
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dryport.control.context import Room, RoomMaker
from dryport.ec2.api import SERVICE as EC2
from dryport.ecs.api import SERVICE as ECS
from dryport.platform import coverage, rooms
from tests.served import Served

SERVICES = {service.name: sorted(service.operations) for service in coverage.services()}
# Names of what is there, and of what cannot be.
_TEXTS = [
    *("default", "family", "family:1", "repository", "group", "stream", "parameter", "secret", "bucket", "key"),
    *("arn:aws:ecs:us-east-1:000000000000:cluster/default", "arn:aws:ecs:us-east-1:000000000000:task/default/0"),
    *("arn:", "arn:aws:s3:::bucket/key", "family:99999999999999999999", "aws:x", "sha256:" + "0" * 64, "d" * 36),
    *("", "a", "x" * 300, "ü€😀", "a/b", "/", "//", "0", "-1", "null", "{", "[", " ", "*", "%", "tcp", "bytes=5-1"),
    *("10.0.0.0/16", "999.1.1.1/99", "::/0", "sg-", "vpc-00000000", "subnet-0123456789abcdef0"),
]
_NUMBERS = [-1, 0, 1, 2, 10, 80, 512, 1000, 65_536, 2**31 - 1, 2**31, 2**63]
# A body that is shorter than its announced length is no input: the server waits for the rest.
_LEFT_OUT = ("ContentLength", "DryRun")


def values(shape: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of a shape's type, of which few are valid."""
    if isinstance(shape, StructureShape):
        members = {name: values(member, depth + 1) for name, member in shape.members.items() if name not in _LEFT_OUT}
        if depth > 5:
            return st.just({})
        some = st.sets(st.sampled_from(sorted(members)), max_size=5) if members else st.just(set[str]())
        return some.flatmap(
            lambda names: st.fixed_dictionaries(
                {name: members[name] for name in sorted(names | set(shape.required_members)) if name in members}
            )
        )
    if isinstance(shape, ListShape):
        return st.lists(values(shape.member, depth + 1), max_size=2)
    if isinstance(shape, MapShape):
        return st.dictionaries(st.sampled_from(_TEXTS), values(shape.value, depth + 1), max_size=2)
    if shape.type_name == "string":
        texts = st.sampled_from(_TEXTS)
        return texts | st.sampled_from(shape.enum) if isinstance(shape, StringShape) and shape.enum else texts
    return {
        "integer": st.sampled_from(_NUMBERS),
        "long": st.sampled_from(_NUMBERS),
        "boolean": st.booleans(),
        "blob": st.sampled_from([b"", b"a", b"\xff"]),
        "timestamp": st.sampled_from([0, 1, 2_000_000_000]),
    }.get(shape.type_name, st.sampled_from([0.0, 1.5, -1.0]))


def requests(service: str, client: Any) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """An operation of a service, and an input for it."""

    def of(operation: str) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
        shape = client.meta.service_model.operation_model(operation).input_shape
        given_values = values(shape) if shape is not None else st.just({})
        return given_values.map(lambda value: (operation, value))

    return st.sampled_from(SERVICES[service]).flatmap(of)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    # ECS's and EC2's loops would run tasks and make networks.
    plain: list[RoomMaker] = [lambda _: Room(services={"ecs": lambda: ECS, "ec2": lambda: EC2})]
    others = [make for make in rooms.ROOMS if make.__module__ not in ("dryport.ecs.room", "dryport.ec2.room")]
    running = Served(Path(tmp_path_factory.mktemp("input")), [*others, *plain])
    ecs = running.client("ecs")
    ecs.create_cluster()
    ecs.register_task_definition(
        family="family", containerDefinitions=[{"name": "a", "image": "busybox", "memory": 64}]
    )
    running.client("ecr").create_repository(repositoryName="repository")
    running.client("logs").create_log_group(logGroupName="group")
    running.client("logs").create_log_stream(logGroupName="group", logStreamName="stream")
    running.client("ssm").put_parameter(Name="parameter", Value="v", Type="String")
    running.client("secretsmanager").create_secret(Name="secret", SecretString="v")
    running.client("s3").create_bucket(Bucket="bucket")
    running.client("s3").put_object(Bucket="bucket", Key="key", Body=b"abc")
    yield running
    running.stop()


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_no_input_makes_a_handler_fail(served: Served, service: str) -> None:
    client = served.client(service)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(requests(service, client))
    def check(request: tuple[str, dict[str, Any]]) -> None:
        operation, value = request
        try:
            getattr(client, xform_name(operation))(**value)
        except ClientError as error:
            status, code = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
            # What is not there is refused by name; there are no public addresses where there are no networks.
            allowed = {(501, "NotImplemented"), (500, "InsufficientAddressCapacity")}
            assert status < 500 or (status, code) in allowed, error.response
        except (ParamValidationError, FlexibleChecksumError):
            pass  # botocore cannot even send it
        except HTTPClientError as error:
            assert type(error) is HTTPClientError  # a header that cannot be; a lost connection has a type of its own

    check()
