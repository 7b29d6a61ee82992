"""What is wrong with a policy document."""

from __future__ import annotations

from dryport.aws.errors import ServiceError


class MalformedPolicy(ServiceError):
    """A document that is no policy (``MalformedPolicyDocument``, HTTP 400), in AWS's words."""

    def __init__(self, message: str) -> None:
        super().__init__("MalformedPolicyDocument", message, 400)
