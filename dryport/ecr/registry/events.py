"""What the account of calls is told of the registry's requests: docker's pushes and pulls are calls of ECR's actions.

Source: "Logging Amazon ECR actions with AWS CloudTrail", ECR user guide.
"""

from __future__ import annotations

from typing import Any

from dryport.aws import identifiers
from dryport.aws.errors import ServiceError
from dryport.ecr.contents import Contents
from dryport.ecr.names import is_digest
from dryport.ecr.registry import access
from dryport.ecr.registry.routes import Route, parse
from dryport.gateway.http import Exchange
from dryport.gateway.service import Occurrence
from dryport.gateway.service import occurrence as made

_UNAUTHORIZED = ("DENIED",)


def occurrence(
    contents: Contents, exchange: Exchange, visit: access.Visit, refusal: ServiceError | None
) -> Occurrence | None:
    """The call that a request was; ``None`` where nobody made it, or where it asked only whether the token is good."""
    route = parse(exchange.path)
    if route is None or route.kind == "base" or visit.credential is None or visit.address is None:
        return None
    error = refusal.code if refusal is not None else ""
    return made(
        visit.credential,
        time=contents.now(),
        request_id=identifiers.uuid4(contents.context.random),
        source="ecr",
        operation=access.action(exchange, route).partition(":")[2],
        region=visit.address.region,
        source_ip=exchange.source_ip,
        user_agent=exchange.headers.get("user-agent", ""),
        error="AccessDenied" if error in _UNAUTHORIZED else error,
        message=refusal.message if refusal is not None else "",
        given=_given(route, visit.address.account),
    )


def _given(route: Route, account: str) -> dict[str, Any]:
    """The input that the call would have had."""
    given: dict[str, Any] = {"registryId": account}
    if route.name:
        given["repositoryName"] = route.name
    match route.kind:
        case "manifests":
            given["imageIds"] = [{"imageDigest" if is_digest(route.target) else "imageTag": route.target}]
        case "blobs":
            given["layerDigest"] = route.target
        case "uploads" if route.target:
            given["uploadId"] = route.target
        case "referrers":
            given["subjectId"] = {"imageDigest": route.target}
    return given
