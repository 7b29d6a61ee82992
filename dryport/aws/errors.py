"""The error that a handler raises and the gateway turns into AWS's error shape."""

from __future__ import annotations

from typing import Any


class ServiceError(Exception):
    """A refusal with AWS's error code, message and HTTP status.

    Where the service's model declares an error shape of this code, its HTTP status wins over ``status``;
    ``members`` holds further members of that shape (for example ECS's ``resourceIds``).
    """

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = members
        self.headers: tuple[tuple[str, str], ...] = ()  # further ones of S3's answers


def not_implemented(service: str, operation: str) -> ServiceError:
    """What an operation that Dryport does not have answers (HTTP 501, which SDKs do not retry)."""
    return ServiceError(
        "NotImplemented",
        f"Dryport does not implement {service}:{operation}. docs/coverage.md lists what it implements.",
        status=501,
    )


def not_served(service: str, operation: str) -> ServiceError:
    """What a service that Dryport does not have answers."""
    return ServiceError(
        "NotImplemented",
        f"Dryport does not implement {service}:{operation}, and no upstream is configured for it: "
        f"`dryport up --forward SERVICE=URL` has others answer a service. docs/coverage.md lists what is implemented.",
        status=501,
    )


def unsupported_parameter(service: str, operation: str, parameter: str) -> ServiceError:
    """What a parameter that Dryport does not act on answers: refused by name, never ignored (HTTP 501)."""
    return ServiceError(
        "NotImplemented",
        f"Dryport does not act on the parameter {parameter} of {service}:{operation}, and so refuses it. "
        "docs/coverage.md lists what it implements.",
        status=501,
    )
