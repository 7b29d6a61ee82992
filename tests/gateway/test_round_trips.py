"""Every operation of some services of each protocol: botocore writes and we read, we write and botocore reads."""

from __future__ import annotations

from random import Random
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import pytest
from botocore.awsrequest import prepare_request_dict
from botocore.compat import HTTPHeaders
from botocore.model import OperationModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given, settings
from hypothesis import strategies as st

from dryport.gateway import protocols
from dryport.gateway.models import Models
from dryport.gateway.payload import BodyPayload
from dryport.gateway.router import Outline, Router, is_form, parse_form
from dryport.gateway.wire import Message
from tests.gateway.shapes import Maker, plain, pruned, service_model

# name, botocore's protocol
SERVICES = [
    ("ecs", "json"),
    ("ecr", "json"),
    ("logs", "json"),
    ("secretsmanager", "json"),
    ("sqs", "json"),
    ("sts", "query"),
    ("iam", "query"),
    ("elbv2", "query"),
    ("cloudwatch", "query"),
    ("cloudwatch", "json"),
    ("cloudwatch", "smithy-rpc-v2-cbor"),
    ("ec2", "ec2"),
    ("efs", "rest-json"),
    ("lambda", "rest-json"),
    ("apigateway", "rest-json"),
    ("s3", "rest-xml"),
    ("route53", "rest-xml"),
]
NAMES = sorted({name for name, _ in SERVICES})
# Forms and XML have no way to say an empty list.
LOSSY = {"query", "ec2", "rest-xml"}
# These look like others but for the endpoint that they are sent to, or have a part of their host name in the input.
ENDPOINTS = {"ListDirectoryBuckets", "WriteGetObjectResponse"}
# botocore reads this one's answer with a function of its own, not with its parsers.
OWN_PARSER = {"GetBucketLocation"}
seeds = st.integers(0, 2**32)


@pytest.fixture(scope="module")
def models() -> Models:
    return Models(NAMES)


def operations(name: str) -> list[OperationModel]:
    model = service_model(name)
    found = [model.operation_model(operation) for operation in model.operation_names]
    # EC2 has 700: each seventh will do.
    return [o for o in found if not o.deprecated and o.name not in ENDPOINTS][:: 7 if name == "ec2" else 1]


def ours(models: Models, name: str, protocol: str, operation: str) -> Any:
    wire = f"json-{models.service(name).metadata.jsonVersion}" if protocol == "json" else protocol
    model = models.service(name).operation(operation)
    assert model is not None
    return protocols.make(wire, models.service(name)).codec(model)


def sent(operation: OperationModel, protocol: str, parameters: dict[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = create_serializer(protocol, include_validation=False).serialize_to_request(
        parameters, operation
    )
    prepare_request_dict(request, "http://localhost:4566")
    return request


def message_of(request: dict[str, Any], router: Router, scope: str, expected: str) -> Message:
    headers = {name.lower(): str(value) for name, value in request["headers"].items()}
    parts = urlsplit(request["url"])
    body = request["body"]
    if isinstance(body, dict):
        body, headers["content-type"] = urlencode(body).encode(), "application/x-www-form-urlencoded; charset=utf-8"
    body = body.encode() if isinstance(body, str) else body
    content_type = headers.get("content-type", "")
    form = parse_form(body) if is_form(request["method"], content_type) else {}
    route = router.route(
        Outline(
            request["method"],
            unquote(parts.path),
            parts.query,
            headers.get("x-amz-target"),
            content_type,
            headers.get("smithy-protocol"),
            scope,
            form,
            headers.get,
        )
    )
    assert route.operation == expected
    return Message(request["method"], parts.query, headers.get, lambda: headers, body or b"", route.labels, route.form)


@pytest.mark.parametrize(("name", "protocol"), SERVICES)
@settings(max_examples=2, deadline=None, database=None)
@given(seed=seeds)
def test_inputs(models: Models, name: str, protocol: str, seed: int) -> None:
    router = Router([models.service(name)])
    scope = models.service(name).metadata.signing_name
    for operation in operations(name):
        shape = operation.input_shape
        if operation.has_event_stream_input:
            continue
        maker = Maker(Random(f"{seed}{operation.name}"), seconds=False)
        parameters = maker.structure(shape) if shape is not None else {}
        message = message_of(sent(operation, protocol, dict(parameters)), router, scope, operation.name)
        read = ours(models, name, protocol, operation.name).read(message)
        expected = plain(parameters)
        if name == "s3":  # text in the model, for botocore a time
            read.pop("Expires", None), expected.pop("Expires", None)
        payload = shape.serialization.get("payload") if shape is not None else None
        if payload:  # an empty body says nothing
            read = {k: v for k, v in read.items() if k != payload or v not in (b"", "")}
            expected = {k: v for k, v in expected.items() if k != payload or v not in (b"", "")}
        if protocol in LOSSY or payload:
            read, expected = pruned(read), pruned(expected)
        assert read == expected, operation.name


@pytest.mark.parametrize(("name", "protocol"), SERVICES)
@settings(max_examples=2, deadline=None, database=None)
@given(seed=seeds)
def test_outputs(models: Models, name: str, protocol: str, seed: int) -> None:
    for operation in operations(name):
        shape = operation.output_shape
        if operation.has_event_stream_output or operation.name in OWN_PARSER:
            continue
        output = Maker(Random(f"{seed}{operation.name}"), seconds=True).structure(shape) if shape is not None else {}
        payload = shape.serialization.get("payload") if shape is not None else None
        for member, ref in shape.members.items() if shape is not None else ():
            if ref.serialization.get("location") == "statusCode":
                output[member] = 202
            elif member == payload and ref.type_name == "blob" and member in output:
                output[member] = b"botocore decodes it"
        answer = ours(models, name, protocol, operation.name).write(output, "request-1")
        headers = HTTPHeaders()
        for header, value in answer.headers:
            headers[header] = value
        response = {"status_code": answer.status, "headers": headers, "body": answer.body, "context": {}}
        parser: Any = create_parser(protocol)  # reads an answer without a shape too, which its stub does not know
        parsed = parser.parse(response, shape)
        metadata = parsed.pop("ResponseMetadata")
        if protocol != "smithy-rpc-v2-cbor":  # where botocore does not look for it
            assert metadata["RequestId"] == "request-1"
        expected, found = output, plain(parsed)
        payload = shape.serialization.get("payload") if shape is not None else None
        if protocol in LOSSY or payload:
            expected, found = pruned(expected), pruned(found)
            expected = {k: v for k, v in expected.items() if v != ""}
            found = {k: v for k, v in found.items() if v not in ("", b"")}
            if payload and isinstance(expected.get(payload), bytes) and isinstance(found.get(payload), str):
                found[payload] = found[payload].encode()
        assert found == expected, operation.name


def test_payloads_are_streams_where_the_model_says_so(models: Models) -> None:
    assert ours(models, "s3", "rest-xml", "PutObject").streams_input
    assert not ours(models, "s3", "rest-xml", "PutBucketTagging").streams_input
    stream = BodyPayload(lambda: None, 1, None)  # type: ignore[arg-type, return-value]
    message = Message("PUT", "", lambda name: None, dict, b"", {"Bucket": "b", "Key": "k"}, {}, stream)
    assert ours(models, "s3", "rest-xml", "PutObject").read(message)["Body"] is stream
