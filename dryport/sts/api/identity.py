"""Who is calling."""

from __future__ import annotations

from dryport.gateway.service import Call, Output
from dryport.sts.api import SERVICE


@SERVICE.operation("GetCallerIdentity")
def get_caller_identity(call: Call, request: object) -> Output:
    """The caller's account, ARN and unique id."""
    principal = call.principal
    return {"UserId": principal.user_id, "Account": principal.account, "Arn": principal.arn}
