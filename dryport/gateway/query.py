"""The protocols awsQuery and ec2Query: forms in, XML out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.gateway.form_values import FormReaders, Read, tree
from dryport.gateway.models import InputReference, OperationModel, ServiceModel
from dryport.gateway.wire import Answer, ErrorShapes, Message
from dryport.gateway.xml_tree import escape
from dryport.gateway.xml_values import Write, XmlWriters

_CONTENT_TYPE = "text/xml"
_EC2_CONTENT_TYPE = "text/xml;charset=UTF-8"


class FormCodec:
    """One operation. ``before`` and ``after`` are what stands around the members of its answers."""

    streams_input = False

    def __init__(self, read: Read | None, write: Write | None, before: str, after: str, content_type: str) -> None:
        self._read = read
        self._write = write
        self._before = before
        self._after = after
        self._content_type = content_type

    def read(self, message: Message) -> dict[str, Any]:
        if self._read is None:
            return {}
        given: dict[str, Any] = self._read(tree(message.form), "")
        return given

    def write(self, output: Mapping[str, Any], request_id: str) -> Answer:
        out = [self._before.replace("{request_id}", request_id)]
        if self._write is not None:
            self._write(output, out)
        out.append(self._after.replace("{request_id}", request_id))
        headers = [("content-type", self._content_type), ("x-amzn-requestid", request_id)]
        return Answer(200, headers, "".join(out).encode())


class Query:
    """awsQuery for one service."""

    def __init__(self, model: ServiceModel) -> None:
        self._readers = FormReaders(model, ec2=False)
        self._writers = XmlWriters(model)
        self._errors = ErrorShapes(model)
        metadata = model.metadata
        declared = metadata.xmlNamespace
        uri = declared.get("uri") if isinstance(declared, dict) else declared
        self._namespace = uri or f"http://{metadata.endpointPrefix}.amazonaws.com/doc/{metadata.apiVersion}/"

    def codec(self, operation: OperationModel) -> FormCodec:
        name, output = operation.name, operation.output
        wrapper = output.resultWrapper if output else None
        before = f'<{name}Response xmlns="{self._namespace}">' + (f"<{wrapper}>" if wrapper else "")
        after = (f"</{wrapper}>" if wrapper else "") + (
            f"<ResponseMetadata><RequestId>{{request_id}}</RequestId></ResponseMetadata></{name}Response>"
        )
        return FormCodec(*_values(self._readers, self._writers, operation.input, output), before, after, _CONTENT_TYPE)

    def error(self, error: ServiceError, request_id: str) -> Answer:
        traits = self._errors.traits(error)
        fault = "Receiver" if traits.status >= 500 else "Sender"
        members: list[str] = []
        if traits.shape and error.members:
            self._writers.structure(traits.shape)(error.members, members)
        text = (
            f'<ErrorResponse xmlns="{self._namespace}"><Error><Type>{fault}</Type>'
            f"<Code>{escape(traits.code)}</Code><Message>{escape(error.message)}</Message>{''.join(members)}</Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        headers = [("content-type", _CONTENT_TYPE), ("x-amzn-requestid", request_id)]
        return Answer(traits.status, headers, text.encode())


class Ec2:
    """ec2Query for one service."""

    def __init__(self, model: ServiceModel) -> None:
        self._readers = FormReaders(model, ec2=True)
        self._writers = XmlWriters(model)
        self._namespace = f"http://ec2.amazonaws.com/doc/{model.metadata.apiVersion}/"

    def codec(self, operation: OperationModel) -> FormCodec:
        name = operation.name
        before = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}Response xmlns="{self._namespace}">'
            "<requestId>{request_id}</requestId>"
        )
        # An operation without output says that it was done.
        after = f"</{name}Response>" if operation.output else f"<return>true</return></{name}Response>"
        values = _values(self._readers, self._writers, operation.input, operation.output)
        return FormCodec(*values, before, after, _EC2_CONTENT_TYPE)

    def error(self, error: ServiceError, request_id: str) -> Answer:
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
            f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error></Errors>"
            f"<RequestID>{request_id}</RequestID></Response>"
        )
        headers = [("content-type", _EC2_CONTENT_TYPE), ("x-amzn-requestid", request_id)]
        return Answer(error.status, headers, text.encode())


def _values(
    readers: FormReaders, writers: XmlWriters, given: InputReference | None, output: InputReference | None
) -> tuple[Read | None, Write | None]:
    return (
        readers.structure(given.shape) if given else None,
        writers.structure(output.shape) if output else None,
    )
