"""What other services may ask of forwarding: to have a function of Lambda's invoked, where that is forwarded."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from dryport.aws import arn as arns
from dryport.aws.errors import ServiceError
from dryport.control.context import Context

if TYPE_CHECKING:
    from dryport.forwarding.upstream import Upstream

LAMBDA = "lambda"


class InvocationFailed(Exception):
    """A function was not invoked, or it failed; the text says why."""


class Functions:
    """Lambda's functions, at the upstream that ``dryport up --forward lambda=URL`` names."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._upstream: Upstream | None = None

    @property
    def configured(self) -> bool:
        """Whether there is an upstream."""
        return any(one.service == LAMBDA for one in self._context.config.forwards)

    async def invoke(self, role_arn: str, function_arn: str, payload: bytes, session: str, service: str) -> bytes:
        """What a function answers (RequestResponse).

        It is invoked in a role that ``service`` (``ecs.amazonaws.com``) assumes; ``session`` is the session's name.
        Raises InvocationFailed, also where the role may not be assumed or does not allow ``lambda:InvokeFunction``.
        """
        from dryport.forwarding.upstream import Line
        from dryport.iam.published import refused_to_role

        parts = arns.parse(function_arn)
        if parts is None or parts.service != LAMBDA or not parts.resource.startswith("function:"):
            raise InvocationFailed(f"{function_arn} is no function's ARN")
        now = self._context.clock.time()
        action = "lambda:InvokeFunction"
        refused = refused_to_role(
            self._context.store.reader, role_arn, service, session, action, function_arn, parts.region, now
        )
        if refused is not None:
            raise InvocationFailed(refused)
        path = f"/2015-03-31/functions/{quote(function_arn, safe='')}/invocations"
        line = Line("POST", path, "", "", parts.account, parts.region, now)
        headers = {"content-type": "application/json", "x-amz-invocation-type": "RequestResponse"}
        try:
            answer = await self._opened().ask(line, headers, payload)
        except ServiceError as error:
            raise InvocationFailed(error.message) from None
        if answer.status != 200:
            raise InvocationFailed(f"{function_arn} could not be invoked: HTTP status {answer.status}")
        if problem := answer.headers.get("x-amz-function-error"):
            raise InvocationFailed(f"{function_arn} failed ({problem})")
        return answer.body

    def _opened(self) -> Upstream:
        if self._upstream is None:
            from dryport.forwarding.keys import Keys
            from dryport.forwarding.upstream import Upstream
            from dryport.gateway.models import Models

            config = self._context.config
            forward = next((one for one in config.forwards if one.service == LAMBDA), None)
            if forward is None:
                raise InvocationFailed("no upstream is configured for Lambda: dryport up --forward lambda=URL")
            self._upstream = Upstream(forward, Models([LAMBDA]).service(LAMBDA), Keys(config.forward_credentials))
        return self._upstream

    async def close(self) -> None:
        """Close the connections."""
        if self._upstream is not None:
            await self._upstream.close()
