"""The details of refusals that EC2 answers sealed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.iam import published as iam
from dryport.store.sealing import Broken, Sealer


def register(service: Service, sealer: Sealer) -> None:
    """Add the operation to the service."""

    @service.operation("DecodeAuthorizationMessage")
    def decode_authorization_message(call: Call, request: Mapping[str, Any]) -> Output:
        """Why a request was refused, for those who may know."""
        try:
            return {"DecodedMessage": iam.decode_message(sealer, call.account, request["EncodedMessage"])}
        except Broken:
            raise ServiceError("InvalidAuthorizationMessageException", "Message is not valid.", 400) from None
