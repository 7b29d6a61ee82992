"""Errors of requests that lead to no service: written in the protocol that the request seems to speak."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from dryport.aws.errors import ServiceError
from dryport.gateway.wire import Answer
from dryport.gateway.xml_tree import escape

# Services whose signature has no hash in a header, and that answer in XML.
_XML = re.compile(r"Credential=[^/,]+/[0-9]+/[^/,]+/(?:route53|cloudfront)/")


def guess(header: Callable[[str], str | None]) -> str:
    """The protocol that a request seems to speak: ``json``, ``query`` or ``rest-xml``."""
    content_type = header("content-type") or ""
    if header("x-amz-target") is not None or "json" in content_type or header("smithy-protocol"):
        return "json"
    if "x-www-form-urlencoded" in content_type:
        return "query"
    if header("x-amz-content-sha256") or _XML.search(header("authorization") or ""):
        return "rest-xml"
    return "json"


def family(protocol: str) -> str:
    """The family of authentication errors that goes with it."""
    return {"query": "query", "rest-xml": "s3"}.get(protocol, "json")


def error(protocol: str, problem: ServiceError, request_id: str) -> Answer:
    """The answer that carries an error of no service."""
    if protocol == "json":
        document = {"__type": problem.code} | ({"message": problem.message} if problem.message else {})
        headers = [("content-type", "application/x-amz-json-1.1"), ("x-amzn-requestid", request_id)]
        headers.append(("x-amzn-errortype", problem.code))
        return Answer(problem.status, headers, msgspec.json.encode(document))
    inner = f"<Code>{escape(problem.code)}</Code><Message>{escape(problem.message)}</Message>"
    if protocol == "query":
        text = (
            f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    else:
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}<RequestId>{request_id}</RequestId></Error>'
    return Answer(problem.status, [("content-type", "text/xml"), ("x-amzn-requestid", request_id)], text.encode())
