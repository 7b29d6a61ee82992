"""A refusal in the words of each kind of service.

Source: "Troubleshoot access denied error messages", IAM user guide; "Error codes", EC2 API reference.
"""

from __future__ import annotations

from collections.abc import Callable

from dryport.aws.errors import ServiceError
from dryport.iam.enforcement.decision import Refused

Encode = Callable[[Refused], str]


def error(refused: Refused, family: str, *, rest: bool, encode: Encode) -> ServiceError:
    """The error of a service's family (``gateway.protocols.error_family``); ``encode`` makes EC2's sealed message."""
    if family == "ec2":
        text = "You are not authorized to perform this operation. "
        text += f"{refused.message}. Encoded authorization failure message: {encode(refused)}"
        return ServiceError("UnauthorizedOperation", text, 403)
    if family == "s3":
        quoted = refused.message.replace(f"on resource: {refused.resource}", f'on resource: "{refused.resource}"')
        return ServiceError("AccessDenied", quoted, 403)
    if family == "query":
        return ServiceError("AccessDenied", refused.message, 403)
    return ServiceError("AccessDeniedException", refused.message, 403 if rest else 400)
