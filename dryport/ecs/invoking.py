"""Functions of lifecycle hooks: whom ECS asks to invoke them, and the Lambda endpoint of ``dryport up --lambda URL``.

Source: Invoke, Lambda API reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit

from dryport.aws import arn as arns
from dryport.control.context import Context
from dryport.iam import published as iam

if TYPE_CHECKING:
    import aiohttp

_ECS = "ecs.amazonaws.com"
_SESSION = "ECS-Lambda-Execution"
_LONGEST = 900.0  # seconds: a function's most


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


class Endpoint:
    """An ``Invoker`` at one URL: of a function (Lambda's runtime interface emulator), or, without a path, of an API."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._url = context.config.lambda_url
        self._client: aiohttp.ClientSession | None = None

    @property
    def configured(self) -> bool:
        return bool(self._url)

    async def invoke(self, role_arn: str, function_arn: str, payload: bytes) -> bytes:
        self._authorize(role_arn, function_arn)
        if not self._url:
            raise NotInvoked(unreachable(function_arn, "no endpoint being configured: dryport up --lambda URL"))
        import aiohttp  # with the first hook

        if self._client is None:
            self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_LONGEST, connect=10.0))
        headers = {"content-type": "application/json", "x-amz-invocation-type": "RequestResponse"}
        try:
            async with self._client.post(self._at(function_arn), data=payload, headers=headers) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NotInvoked(unreachable(function_arn, str(error) or type(error).__name__)) from None
        if answer.status != 200 or "x-amz-function-error" in answer.headers:
            what = answer.headers.get("x-amz-function-error", f"HTTP status {answer.status}")
            raise NotInvoked(unreachable(function_arn, what))
        return body

    def _authorize(self, role_arn: str, function_arn: str) -> None:
        reader = self._context.store.reader
        if iam.refuses(reader, role_arn, _ECS):
            raise NotInvoked(f"ECS was unable to assume role {role_arn}")
        parts = arns.parse(function_arn)
        region = parts.region if parts is not None else ""
        now = self._context.clock.time()
        refused = iam.refused_to_role(
            reader, role_arn, _ECS, _SESSION, "lambda:InvokeFunction", function_arn, region, now
        )
        if refused is not None:
            raise NotInvoked(unreachable(function_arn, refused))

    def _at(self, function_arn: str) -> str:
        if urlsplit(self._url).path.strip("/"):
            return self._url
        return f"{self._url.rstrip('/')}/2015-03-31/functions/{quote(function_arn, safe='')}/invocations"

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


def unreachable(function_arn: str, why: str) -> str:
    """ECS's words for a function that it could not invoke."""
    return f"ECS was unable to invoke hook target {function_arn} due to {why}"
