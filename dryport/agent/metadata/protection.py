"""Task scale-in protection from inside a task.

Source: "Amazon ECS task scale-in protection endpoint", developer guide. Signed with the task's own role.
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from dryport.agent.model import TaskRecord
from dryport.client import ApiError, Client, Credentials, Unreachable


class _Wish(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    protection_enabled: bool
    expires_in_minutes: int | None = None


async def protection(request: web.BaseRequest, record: TaskRecord, client: Client) -> tuple[int, dict[str, Any]]:
    """Read (GET) or set (PUT) the protection of the task: HTTP status and answer."""

    def error(status: int, code: str, message: str) -> tuple[int, dict[str, Any]]:
        return status, {"error": {"Arn": record.arn, "Code": code, "Message": message}}

    role = record.role_credentials
    if role is None:
        return error(
            HTTPStatus.FORBIDDEN,
            "AccessDeniedException",
            "Invalid Request: no task IAM role credentials available for task",
        )
    body: dict[str, Any] = {"cluster": record.payload.task_cluster_arn, "tasks": [record.arn]}
    operation = "GetTaskProtection"
    if request.method == "PUT":
        try:
            wish = msgspec.json.decode(await request.read(), type=_Wish)
        except msgspec.MsgspecError:
            message = "UpdateTaskProtection: failed to decode request"
            return error(HTTPStatus.BAD_REQUEST, "InvalidParameterException", message)
        operation = "UpdateTaskProtection"
        body["protectionEnabled"] = wish.protection_enabled
        if wish.expires_in_minutes is not None:
            body["expiresInMinutes"] = wish.expires_in_minutes
    credentials = Credentials(role.access_key_id, role.secret_access_key, role.session_token or None)
    try:
        answer = await client.call("ecs", operation, body, credentials)
    except ApiError as refused:
        return error(refused.status, refused.code, refused.message)
    except Unreachable as away:
        return error(HTTPStatus.INTERNAL_SERVER_ERROR, "ServerException", str(away))
    if failures := answer.get("failures"):
        named = {"arn": "Arn", "reason": "Reason", "detail": "Detail"}
        return HTTPStatus.OK, {"failure": {named[k]: v for k, v in failures[0].items() if k in named}}
    if not answer.get("protectedTasks"):
        return error(HTTPStatus.INTERNAL_SERVER_ERROR, "ServerException", "Unexpected error occurred")
    task = answer["protectedTasks"][0]
    shown: dict[str, Any] = {"ProtectionEnabled": task["protectionEnabled"], "TaskArn": task["taskArn"]}
    if (expires := task.get("expirationDate")) is not None:
        shown["ExpirationDate"] = datetime.fromtimestamp(float(expires), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return HTTPStatus.OK, {"protection": shown}
