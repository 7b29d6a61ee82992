"""Who is calling, and whose a key is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.iam import published as iam


def get_caller_identity(call: Call, request: object) -> Output:
    """The caller's account, ARN and unique id."""
    principal = call.principal
    return {"UserId": principal.user_id, "Account": principal.account, "Arn": principal.arn}


def get_access_key_info(call: Call, request: Mapping[str, Any]) -> Output:
    """The account of an access key, whoever asks. AWS reads it out of the id; here the id has to be known."""
    account = iam.account_of_key(call.tx, request["AccessKeyId"])
    if account is None:
        raise ServiceError("ValidationError", f"The Access Key with id {request['AccessKeyId']} is not valid.", 400)
    return {"Account": account}


def register(service: Service) -> None:
    """Add the operations to the service."""
    service.operation("GetCallerIdentity")(get_caller_identity)
    service.operation("GetAccessKeyInfo")(get_access_key_info)
