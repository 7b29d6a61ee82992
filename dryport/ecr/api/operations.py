"""How ECR's handlers are written: functions of the registry's contents, the call and its request.

Some of them move bytes, so they need the contents that the control plane made; ``Operations.service`` binds them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from dryport.ecr import errors, images
from dryport.ecr.contents import Contents
from dryport.ecr.model import Repository
from dryport.ecr.names import repository_arn
from dryport.gateway.service import Call, Output, Service

Request = dict[str, Any]
Handler = Callable[[Contents, Call, Request], Output] | Callable[[Contents, Call, Request], Awaitable[Output]]
H = TypeVar("H", bound=Callable[..., Any])


class Operations:
    """Handlers by operation."""

    def __init__(self) -> None:
        self._handlers: dict[str, tuple[Handler, tuple[str, ...]]] = {}

    def operation(self, name: str, *, unsupported: tuple[str, ...] = ()) -> Callable[[H], H]:
        """Register the decorated function; see ``gateway.service.Service.operation``."""

        def register(handler: H) -> H:
            self._handlers[name] = (handler, unsupported)
            return handler

        return register

    def service(self, contents: Contents) -> Service:
        """The service, over these contents."""
        service = Service("ecr")
        for name, (handler, unsupported) in self._handlers.items():
            service.operation(name, unsupported=unsupported)(partial(handler, contents))
        return service


OPERATIONS = Operations()
operation = OPERATIONS.operation


def registry_id(call: Call, request: Request) -> str:
    """The registry that a request is for: the caller's own unless it names one.

    Repositories of another account's let in whom their policies do, which was asked before. Raises
    AccessDeniedException for what no policy can allow: a request about no repository of theirs.
    """
    account: str = request.get("registryId", call.account)
    named = request.get("repositoryName") or request.get("repositoryNames")
    if account != call.account and (not named or call.operation == "CreateRepository"):
        resource = repository_arn(account, call.region, request.get("repositoryName", "*"))
        raise errors.not_authorized(call.principal.arn, f"ecr:{call.operation}", resource)
    return account


def repository_of(call: Call, request: Request) -> Repository:
    """The repository that a request names. Raises AccessDeniedException and RepositoryNotFoundException."""
    account = registry_id(call, request)
    return images.repository(call.store.reader, account, call.region, request["repositoryName"])


def identity(repository: Repository) -> dict[str, Any]:
    """The members by which most answers say what they are about."""
    return {"registryId": repository.account, "repositoryName": repository.name}
