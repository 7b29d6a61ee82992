"""What an auditor is told of a request that was answered, without what must not be written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dryport.gateway.auth import Claim
from dryport.gateway.endpoint import Compiled
from dryport.gateway.http1.exchange import HttpExchange
from dryport.gateway.service import Auditor, occurrence
from dryport.gateway.wire import Answer

if TYPE_CHECKING:
    from dryport.gateway.dispatch import Request


class Audit:
    """Tells an auditor of requests, without what must not be written down."""

    def __init__(self, auditor: Auditor) -> None:
        self._auditor = auditor

    def note(self, request: Request, exchange: HttpExchange, claim: Claim, answer: Answer) -> None:
        """Tell of a request that was answered."""
        entry, operation, auditor = request.entry, request.operation, self._auditor
        if not auditor.wants(entry.service, entry.operation) or not isinstance(operation, Compiled):
            return
        is_json = request.route.protocol.startswith("json-")
        given = operation.hidden_of_input().hide(request.given, request.body if is_json and request.given else None)
        output = None
        if request.output is not None and auditor.changes(entry.operation):
            text = answer.body if is_json and answer.status == 200 else None
            output = operation.hidden_of_output().hide(request.output, text)
        auditor.note(
            occurrence(
                claim.credential,
                time=entry.time,
                request_id=entry.id,
                source=request.endpoint.signing_name,
                operation=entry.operation,
                region=entry.region,
                source_ip=entry.ip,
                user_agent=exchange.header("user-agent") or "",
                error=entry.error,
                message=request.refusal,
                given=given,
                output=output,
            )
        )
