"""Functions of lifecycle hooks: whom ECS asks to invoke them, and Lambda where it is forwarded."""

from __future__ import annotations

from typing import Protocol

from dryport.control.context import Context
from dryport.forwarding.published import Functions, InvocationFailed
from dryport.iam import published as iam

_ECS = "ecs.amazonaws.com"
_SESSION = "ECS-Lambda-Execution"


class NotInvoked(Exception):
    """A function was not invoked, or it failed; the text says why, in ECS's words where it has some."""


class Invoker(Protocol):
    """Invokes functions in roles."""

    @property
    def configured(self) -> bool:
        """Whether functions can be invoked at all."""
        ...

    async def invoke(self, role_arn: str, function_arn: str, payload: bytes) -> bytes:
        """What a function answers, invoked in a role that ECS assumes. Raises NotInvoked."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


class Forwarded:
    """An ``Invoker`` at the upstream that Lambda is forwarded to."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._functions = Functions(context)

    @property
    def configured(self) -> bool:
        return self._functions.configured

    async def invoke(self, role_arn: str, function_arn: str, payload: bytes) -> bytes:
        if iam.refuses(self._context.store.reader, role_arn, _ECS):
            raise NotInvoked(f"ECS was unable to assume role {role_arn}")
        try:
            return await self._functions.invoke(role_arn, function_arn, payload, _SESSION, _ECS)
        except InvocationFailed as error:
            raise NotInvoked(unreachable(function_arn, str(error))) from None

    async def close(self) -> None:
        await self._functions.close()


def unreachable(function_arn: str, why: str) -> str:
    """ECS's words for a function that it could not invoke."""
    return f"ECS was unable to invoke hook target {function_arn} due to {why}"
