"""Which service, protocol and operation a request is for.

JSON services are named by ``X-Amz-Target``, CBOR ones by their path, query ones by ``Action`` and ``Version``, REST
ones by the signature's scope and the path. Signatures also tell apart services that share a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import parse_qsl

import msgspec

from dryport.aws.errors import ServiceError, not_served
from dryport.gateway.models import ServiceModel
from dryport.gateway.rest_paths import PathTable

_CBOR_PATH = re.compile(r"/service/([A-Za-z0-9_.]+)/operation/([A-Za-z0-9_]+)\Z")
_FORM = "application/x-www-form-urlencoded"
MAX_FORM_FIELDS = 10_000


class Route(msgspec.Struct, frozen=True):
    """Where a request goes. ``service`` is botocore's name."""

    service: str
    protocol: str
    operation: str
    labels: Mapping[str, str] = {}
    form: Mapping[str, str] = {}


class Outline(msgspec.Struct, frozen=True):
    """What routing looks at. ``form`` is the decoded body of a form, empty for others."""

    method: str
    path: str  # percent-encoded
    query: str
    target: str | None
    content_type: str
    smithy_protocol: str | None
    scope: str | None  # the service that the signature's scope names
    form: Mapping[str, str]
    header: Callable[[str], str | None]


def is_form(method: str, content_type: str) -> bool:
    """Whether the body is a form, as the query protocols send it."""
    return method == "POST" and content_type.partition(";")[0].strip().lower() == _FORM


def parse_form(body: bytes) -> dict[str, str]:
    """A form's fields. Raises ServiceError where it is none."""
    try:
        return dict(
            parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=False, max_num_fields=MAX_FORM_FIELDS)
        )
    except (ValueError, UnicodeDecodeError):
        raise ServiceError("MalformedQueryString", "The query string contains a syntax error", 400) from None


class Router:
    """Knows the services that have rooms."""

    def __init__(self, models: Iterable[ServiceModel]) -> None:
        self._targets: dict[str, ServiceModel] = {}
        self._by_scope: dict[str, list[ServiceModel]] = {}
        self._all: list[ServiceModel] = []
        self._tables: dict[str, PathTable] = {}
        for model in models:
            self._all.append(model)
            if model.metadata.targetPrefix:
                self._targets[model.metadata.targetPrefix] = model
            self._by_scope.setdefault(model.metadata.signing_name, []).append(model)

    def target(self, target: str, content_type: str) -> Route | None:
        """The route of an ``X-Amz-Target``, or ``None`` where no service of ours has it."""
        prefix, _, operation = target.rpartition(".")
        model = self._targets.get(prefix)
        if model is None or "json" not in model.protocols:
            return None
        protocol = "json-1.0" if "json-1.0" in content_type else "json-1.1" if "json-1.1" in content_type else ""
        if not protocol:
            protocol = f"json-{model.metadata.jsonVersion}"
        return Route(model.name, protocol, operation)

    def route(self, request: Outline) -> Route:
        """The route of a request. Raises ServiceError where it leads nowhere."""
        if request.target:
            route = self.target(request.target, request.content_type)
            if route is not None:
                return route
            prefix, _, operation = request.target.rpartition(".")
            raise not_served(request.scope or prefix, operation)
        if request.smithy_protocol == "rpc-v2-cbor":
            return self._cbor(request)
        candidates = self._by_scope.get(request.scope, []) if request.scope is not None else self._all
        parameters = request.form
        if not parameters.get("Action") and "Action=" in request.query:
            parameters = parse_form(request.query.encode()) | dict(parameters)
        if parameters.get("Action"):
            return self._query(candidates, parameters, request.scope)
        return self._rest(candidates, request)

    def _cbor(self, request: Outline) -> Route:
        match = _CBOR_PATH.match(request.path)
        if match is None:
            raise ServiceError("UnknownOperationException", "", 404)
        prefix = match[1].rpartition(".")[2]
        model = self._targets.get(prefix)
        if model is None or "smithy-rpc-v2-cbor" not in model.protocols:
            raise not_served(request.scope or prefix, match[2])
        return Route(model.name, "smithy-rpc-v2-cbor", match[2])

    @staticmethod
    def _query(candidates: list[ServiceModel], parameters: Mapping[str, str], scope: str | None) -> Route:
        action, version = parameters["Action"], parameters.get("Version")
        speaking = [(m, p) for m in candidates for p in m.protocols if p in ("query", "ec2")]
        exact = [(m, p) for m, p in speaking if m.metadata.apiVersion == version]
        if not exact and scope is not None and len(speaking) == 1 and speaking[0][1] == "ec2":
            exact = speaking  # EC2 answers to all of its API versions
        for model, protocol in exact:
            if model.operation(action) is not None or len(exact) == 1:
                return Route(model.name, protocol, action, form=parameters)
        if speaking and scope is not None:
            raise ServiceError("InvalidAction", f"Could not find operation {action} for version {version}", 400)
        raise not_served(scope or "unknown", action)

    def _rest(self, candidates: list[ServiceModel], request: Outline) -> Route:
        known = False
        for model in candidates:
            protocol = next((p for p in model.protocols if p in ("rest-json", "rest-xml")), None)
            if protocol is None:
                continue
            known = True
            table = self._tables.get(model.name)
            if table is None:
                table = self._tables[model.name] = PathTable(model)
            found = table.find(
                request.method, request.path, request.query, request.header("host") or "", request.header
            )
            if found is not None:
                return Route(model.name, protocol, found.operation, found.labels)
        if request.scope is not None and not candidates:
            raise not_served(request.scope, f"{request.method} {request.path}"[:200])
        status = 404 if known else 403
        raise ServiceError("UnknownOperationException", "", status)
