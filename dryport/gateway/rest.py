"""The protocols restJson1 and restXml: operations by method and path, members in paths, queries, headers and bodies."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from dryport.aws.errors import ServiceError
from dryport.gateway import text_values
from dryport.gateway.file_parts import FilePart
from dryport.gateway.json_rpc import decode_object
from dryport.gateway.json_values import JsonReaders, JsonWriters
from dryport.gateway.models import Member, OperationModel, ServiceModel, Shape
from dryport.gateway.wire import Answer, ErrorShapes, Headers, Message, serialization_error
from dryport.gateway.xml_tree import MalformedXml, escape, parse
from dryport.gateway.xml_values import XmlReaders, XmlWriters, malformed, namespace

ReadBody = Callable[[bytes], Any]
WriteBody = Callable[[Any], bytes]


class RestJson:
    """restJson1's bodies and errors for one service."""

    content_type = "application/json"

    def __init__(self, model: ServiceModel) -> None:
        self.model = model
        self.readers = JsonReaders(model)
        self.writers = JsonWriters(model)
        self._errors = ErrorShapes(model)

    def codec(self, operation: OperationModel) -> RestCodec:
        return RestCodec(self, operation)

    def body_reader(self, members: dict[str, Member]) -> ReadBody:
        read = self.readers.structure({m.locationName or name: (name, m) for name, m in members.items()})
        return lambda body: read(decode_object(body))

    def payload_reader(self, member: Member) -> ReadBody:
        read = self.readers.reader(member.shape)
        return lambda body: read(decode_object(body))

    def body_writer(self, operation: OperationModel, members: dict[str, Member]) -> WriteBody:
        write = self.writers.structure(members)
        return lambda value: msgspec.json.encode(write(value))

    def payload_writer(self, name: str, member: Member) -> WriteBody:
        write = self.writers.writer(member.shape)
        return lambda value: msgspec.json.encode(value if write is None else write(value))

    def error(self, error: ServiceError, request_id: str) -> Answer:
        traits = self._errors.traits(error)
        shape = self.model.shape(traits.shape) if traits.shape else None
        headers = [
            ("content-type", self.content_type),
            ("x-amzn-requestid", request_id),
            ("x-amzn-errortype", traits.code),
        ]
        members = dict(error.members)
        for name, member in shape.members.items() if shape else ():
            if member.location == "header" and name in members:
                headers.append(((member.locationName or name).lower(), str(members.pop(name))))
        document = {self._errors.message_member(traits.shape): error.message} | members
        return Answer(traits.status, headers, msgspec.json.encode(document))


class RestXml:
    """restXml's bodies and errors for one service."""

    content_type = "application/xml"

    def __init__(self, model: ServiceModel) -> None:
        self.model = model
        self.readers = XmlReaders(model)
        self.writers = XmlWriters(model)
        self._errors = ErrorShapes(model)
        self._s3 = model.name == "s3"

    def codec(self, operation: OperationModel) -> RestCodec:
        return RestCodec(self, operation)

    def body_reader(self, members: dict[str, Member]) -> ReadBody:
        read = self.readers.members(members)
        return lambda body: read(_root(body)) if body else {}

    def payload_reader(self, member: Member) -> ReadBody:
        read = self.readers.structure(member.shape)
        return lambda body: read(_root(body)) if body else None

    def body_writer(self, operation: OperationModel, members: dict[str, Member]) -> WriteBody:
        assert operation.output is not None
        shape = self.model.shape(operation.output.shape)
        tag = operation.output.locationName or shape.locationName or self._root_name(operation)
        declared = operation.output.xmlNamespace or shape.xmlNamespace or self.model.metadata.xmlNamespace
        if self._s3 and list(members) == ["LocationConstraint"]:
            # GetBucketLocation: the one answer whose root element is its only member.
            (name,) = members
            return self._document(name, declared, lambda value, out: out.append(escape(value.get(name, ""))))
        return self._document(tag, declared, self.writers.members(members))

    def _root_name(self, operation: OperationModel) -> str:
        return f"{operation.name}Result" if self._s3 else f"{operation.name}Response"

    def payload_writer(self, name: str, member: Member) -> WriteBody:
        shape = self.model.shape(member.shape)
        tag = member.locationName or shape.locationName or (name if self._s3 else member.shape)
        declared = member.xmlNamespace or shape.xmlNamespace or self.model.metadata.xmlNamespace
        return self._document(tag, declared, self.writers.structure(member.shape))

    def _document(self, tag: str, declared: Any, write: Callable[[Any, list[str]], None]) -> WriteBody:
        if declared is None and self._s3:
            declared = "http://s3.amazonaws.com/doc/2006-03-01/"
        opening = f'<?xml version="1.0" encoding="UTF-8"?>\n<{tag}{namespace(declared)}>'

        def run(value: Any) -> bytes:
            out = [opening]
            write(value, out)
            out.append(f"</{tag}>")
            return "".join(out).encode()

        return run

    def error(self, error: ServiceError, request_id: str) -> Answer:
        traits = self._errors.traits(error)
        members: list[str] = []
        for name, value in error.members.items():
            members.append(f"<{name}>{escape(str(value))}</{name}>")
        inner = f"<Code>{escape(traits.code)}</Code><Message>{escape(error.message)}</Message>{''.join(members)}"
        prologue = '<?xml version="1.0" encoding="UTF-8"?>\n'
        if self._s3:
            text = f"{prologue}<Error>{inner}<RequestId>{request_id}</RequestId><HostId>{request_id}</HostId></Error>"
        else:
            fault = "Receiver" if traits.status >= 500 else "Sender"
            text = (
                f"{prologue}<ErrorResponse{namespace(self.model.metadata.xmlNamespace)}><Error><Type>{fault}</Type>"
                f"{inner}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
            )
        return Answer(
            traits.status,
            [("content-type", self.content_type), *request_ids(self.model, request_id), *error.headers],
            text.encode(),
        )


def request_ids(model: ServiceModel, request_id: str) -> Headers:
    """The headers that carry a request's id."""
    if model.name == "s3":
        return [("x-amz-request-id", request_id), ("x-amz-id-2", request_id)]
    return [("x-amzn-requestid", request_id)]


def _root(body: bytes) -> Any:
    try:
        return parse(body)
    except MalformedXml:
        raise malformed() from None


class RestCodec:
    """One operation."""

    def __init__(self, protocol: RestJson | RestXml, operation: OperationModel) -> None:
        self._protocol = protocol
        self._model = protocol.model
        self._status = operation.http.responseCode
        self._read_body: ReadBody | None = None
        self._payload: str | None = None
        self._payload_blob = False
        self.streams_input = False
        self._labels: list[tuple[str, str, text_values.FromText]] = []
        self._query: list[tuple[str, str, Callable[[list[str]], Any]]] = []
        self._query_map: str | None = None
        # What the template itself asks for in the query is no member.
        literals = parse_qsl(operation.http.requestUri.partition("?")[2], keep_blank_values=True)
        self._query_literals = frozenset(name for name, _ in literals)
        self._headers: list[tuple[str, str, text_values.FromText]] = []
        self._prefixes: list[tuple[str, str]] = []
        if operation.input is not None:
            self._compile_input(self._model.shape(operation.input.shape))
        self._out_headers: list[tuple[str, str, text_values.ToText]] = []
        self._out_prefixes: list[tuple[str, str]] = []
        self._out_status: str | None = None
        self._out_payload: str | None = None
        self._out_raw = False
        self._write_body: WriteBody | None = None
        self._body_members: frozenset[str] = frozenset()
        self._typed = False  # a member of the output is the Content-Type
        self._ranged = False  # part of an object may be sent
        if operation.output is not None:
            self._compile_output(operation, self._model.shape(operation.output.shape))

    # Inputs

    def _compile_input(self, shape: Shape) -> None:
        body = {}
        for name, member in shape.members.items():
            wire = member.locationName or name
            target = self._model.shape(member.shape)
            if member.location == "uri":
                self._labels.append((name, wire, self._from_text(member, target)))
            elif member.location == "querystring":
                self._compile_query(name, wire, member, target)
            elif member.location == "header":
                self._headers.append((name, wire.lower(), self._header_reader(member, target)))
            elif member.location == "headers":
                self._prefixes.append((name, (member.locationName or "").lower()))
            else:
                body[name] = member
        if shape.payload is not None:
            self._compile_payload(shape.payload, shape.members[shape.payload])
        elif body:
            self._read_body = self._protocol.body_reader(body)

    def _compile_payload(self, name: str, member: Member) -> None:
        target = self._model.shape(member.shape)
        self._payload = name
        if target.type in ("blob", "string"):
            self._payload_blob = True
            self.streams_input = target.type == "blob" and (member.streaming or target.streaming)
            if target.type == "string":
                self._read_body = lambda body: body.decode("utf-8", "replace")
        else:
            self._read_body = self._protocol.payload_reader(member)

    def _from_text(self, member: Member, shape: Shape) -> text_values.FromText:
        return text_values.reader(shape)

    def _compile_query(self, name: str, wire: str, member: Member, shape: Shape) -> None:
        if shape.type == "map":
            self._query_map = name
            return
        if shape.type == "list" and shape.member is not None:
            each = text_values.reader(self._model.shape(shape.member.shape))
            self._query.append((name, wire, lambda texts: [each(text) for text in texts]))
            return
        one = text_values.reader(shape)
        self._query.append((name, wire, lambda texts: one(texts[-1])))

    def _header_reader(self, member: Member, shape: Shape) -> text_values.FromText:
        if member.jsonvalue or shape.jsonvalue:
            return lambda text: msgspec.json.decode(base64.b64decode(text, validate=True))
        if shape.type == "list" and shape.member is not None:
            item = self._model.shape(shape.member.shape)
            each = text_values.reader(item)
            if item.type == "timestamp":
                return lambda text: [each(",".join(pair)) for pair in _pairs(text)]
            return lambda text: [each(part) for part in _list_header(text)]
        return text_values.reader(shape)

    def read(self, message: Message) -> dict[str, Any]:
        given: dict[str, Any] = {}
        if self._read_body is not None and self._payload is None:
            given.update(self._read_body(message.body))
        elif self._payload is not None:
            self._read_payload(message, given)
        try:
            self._read_bindings(message, given)
        except (ValueError, OverflowError, msgspec.DecodeError) as error:
            raise self._bad_binding(str(error)) from None
        return given

    def _bad_binding(self, text: str) -> ServiceError:
        if isinstance(self._protocol, RestXml):
            return ServiceError("InvalidArgument", f"Invalid argument: {text[:200]}", 400)
        return serialization_error(f"{text[:200]} cannot be converted")

    def _read_payload(self, message: Message, given: dict[str, Any]) -> None:
        assert self._payload is not None
        if self.streams_input and message.payload is not None:
            given[self._payload] = message.payload
        elif self._read_body is not None:
            if message.body:
                value = self._read_body(message.body)
                if value is not None:
                    given[self._payload] = value
        elif message.body or self._payload_blob:
            given[self._payload] = message.body

    def _read_bindings(self, message: Message, given: dict[str, Any]) -> None:
        for name, wire, read in self._labels:
            if wire in message.labels:
                given[name] = read(message.labels[wire])
        if (self._query or self._query_map) and message.query:
            parameters: dict[str, list[str]] = {}
            for key, value in parse_qsl(message.query, keep_blank_values=True, max_num_fields=10_000):
                parameters.setdefault(key, []).append(value)
            for name, wire, read_all in self._query:
                if wire in parameters:
                    given[name] = read_all(parameters.pop(wire))
            if self._query_map is not None:
                given[self._query_map] = self._rest_of_query(parameters)
        for name, wire, read in self._headers:
            text = message.header(wire)
            if text is not None:
                given[name] = read(text)
        for name, prefix in self._prefixes:
            headers = message.headers()
            found = {k[len(prefix) :]: v for k, v in headers.items() if k.startswith(prefix) and len(k) > len(prefix)}
            if found:
                given[name] = found

    def _rest_of_query(self, parameters: dict[str, list[str]]) -> dict[str, Any]:
        return {
            key: values[-1]
            for key, values in parameters.items()
            if not key.startswith("X-Amz-") and key not in self._query_literals
        }

    # Outputs

    def _compile_output(self, operation: OperationModel, shape: Shape) -> None:
        self._ranged = self._model.name == "s3" and "ContentRange" in shape.members
        body = {}
        for name, member in shape.members.items():
            target = self._model.shape(member.shape)
            if member.location == "header":
                self._typed = self._typed or (member.locationName or name).lower() == "content-type"
                self._out_headers.append((name, (member.locationName or name), self._header_writer(member, target)))
            elif member.location == "headers":
                self._out_prefixes.append((name, member.locationName or ""))
            elif member.location == "statusCode":
                self._out_status = name
            else:
                body[name] = member
        if shape.payload is not None:
            self._out_payload = shape.payload
            member = shape.members[shape.payload]
            self._out_raw = self._model.shape(member.shape).type in ("blob", "string")
            if not self._out_raw:
                self._write_body = self._protocol.payload_writer(shape.payload, member)
        elif body or isinstance(self._protocol, RestJson):
            self._write_body = self._protocol.body_writer(operation, body)
            self._body_members = frozenset(body)

    def _header_writer(self, member: Member, shape: Shape) -> text_values.ToText:
        if member.jsonvalue or shape.jsonvalue:
            return lambda value: base64.b64encode(msgspec.json.encode(value)).decode()
        if shape.type == "list" and shape.member is not None:
            each = text_values.writer(self._model.shape(shape.member.shape), None, "rfc822")
            return lambda value: ", ".join(each(item) for item in value)
        return text_values.writer(shape, member.timestampFormat, "rfc822")

    def write(self, output: Mapping[str, Any], request_id: str) -> Answer:
        headers = request_ids(self._model, request_id)
        for name, wire, text in self._out_headers:
            if name in output:
                headers.append((wire.lower(), text(output[name])))
        for name, prefix in self._out_prefixes:
            headers += [(prefix.lower() + key, str(value)) for key, value in output.get(name, {}).items()]
        status = int(output.get(self._out_status, self._status)) if self._out_status else self._status
        if self._ranged and "ContentRange" in output:
            status = 206  # which S3's model does not say
        if self._out_payload is not None:
            return self._write_payload(Answer(status, headers), output.get(self._out_payload))
        if self._write_body is None:
            return Answer(status, headers)
        if not self._typed:
            headers.append(("content-type", self._protocol.content_type))
        # Members that travel in headers are no part of the body.
        return Answer(status, headers, self._write_body({k: v for k, v in output.items() if k in self._body_members}))

    def _write_payload(self, answer: Answer, payload: Any) -> Answer:
        if isinstance(payload, FilePart):
            answer.file = payload
        elif isinstance(payload, str):
            answer.body = payload.encode()
        elif isinstance(payload, bytes):
            answer.body = payload
        elif payload is not None and self._write_body is not None:
            answer.body = self._write_body(payload)
        if not self._typed and payload is not None:
            answer.headers.append(
                ("content-type", "application/octet-stream" if self._out_raw else self._protocol.content_type)
            )
        return answer


def _list_header(text: str) -> list[str]:
    """The items of a list in a header; quoted ones may hold commas."""
    items, item, quoted = [], "", False
    for character in text:
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            items.append(item.strip())
            item = ""
        else:
            item += character
    items.append(item.strip())
    return items


def _pairs(text: str) -> list[list[str]]:
    """A list of HTTP dates: each has a comma of its own."""
    parts = text.split(",")
    return [parts[place : place + 2] for place in range(0, len(parts), 2)]
